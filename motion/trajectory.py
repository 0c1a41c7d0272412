"""Where the pelvis is: the path whose moving skeleton projects onto the 2D joints.

For a joint x relative to the pelvis p and its viewing ray (u, v, 1), x + p lies on the ray when
`x_x + p_x = u (x_z + p_z)` and likewise for y: linear in p, in metres. The sum over joints, frames and the smoothness
in time is one banded system, solved a few times with robust weights (Cauchy). Distance is far noisier than the
position across the view, so that acceleration along the view is held down much more than across it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motion.chain import CLOSEST_S, Chain
from pipeline.projection import rays
from pipeline.results import Array, Camera, Motion3D, Track2D
from pipeline.skeletons import skeleton

POSE_M = 0.03  # expected error of a joint of the lifted pose
PIXEL_SHARE = 0.004  # expected error of a 2D joint, as share of the picture's longer side
ERROR_S = 0.1  # errors of neighbouring frames are alike over that time
ACROSS, ALONG = 20.0, 1.0  # (m/s^2)^2 s: spectral density of the acceleration across and along the view
ROUNDS = 5
SLOW_FOOT = 0.001  # (m/s)^2 s: how exactly a foot on the ground stands still
FLOOR_M = 0.01  # how exactly it is on the floor: rather the whole body gives way to the floor than its legs bend
OFF_FLOOR_M = 0.2  # a foot that stands that far above or below the floor hardly belongs to it
MIN_DEPTH = 0.3  # m
CHUNK = 2048  # frames whose rays are weighed at a time, so that long clips need little memory


@dataclass(frozen=True)
class Sight:
    """What a person's 2D track says: rays (T,K,2) at depth 1 for the joints of the 3D skeleton, weights (T,K)."""

    rays: Array
    weights: Array
    pixel: float  # expected error at depth 1


@dataclass(frozen=True)
class Ground:
    """The floor in camera axes: unit `up` (3,), `height` m of the camera above it."""

    up: Array
    height: float


def sight(motion: Motion3D, track: Track2D, camera: Camera) -> Sight:
    """The rays of the joints that both skeletons name, at the frames of the motion; weight 0 for all others.

    Raises:
        ValueError: motion and track do not cover the same frames.
    """
    if not np.array_equal(motion.frames, track.frames):
        raise ValueError(f"person {motion.id}: the motion and the 2D track cover different frames")
    names = skeleton(track.skeleton).joints
    pairs = [(k, names.index(name)) for k, name in enumerate(skeleton(motion.skeleton).joints) if name in names]
    into, source = (list(column) for column in zip(*pairs, strict=True))
    directions = np.zeros((*motion.joints.shape[:2], 2))
    weights = np.zeros(motion.joints.shape[:2])
    pixels = track.keypoints[:, source].astype(float)
    known = np.isfinite(pixels).all(-1) & np.isfinite(motion.joints[:, into]).all(-1)
    directions[:, into] = rays(camera, np.nan_to_num(pixels))
    weights[:, into] = np.where(known, track.scores[:, source], 0.0)
    return Sight(directions, weights, PIXEL_SHARE * max(camera.size) / camera.matrix[0, 0])


def solve_path(
    pose: Array,
    seen: Sight,
    times: Array,
    ground: Ground | None = None,
    feet: tuple[list[int], Array] | None = None,
    first: Array | None = None,
) -> Array:
    """(T,3) m in camera axes: the pelvis.

    Args:
        pose: (T,K,3) m relative to the pelvis, camera axes; NaN where unknown.
        times: (T,) s.
        ground: where the floor is; then up and down is as free as sideways.
        feet: joints of the feet and (T,F) how surely each stands on the ground: it stays in place there,
            and on the floor where it is not far from it (it may be a step, a box, a roof).
        first: (T,3) m, an earlier solution to start from.
    """
    pose = np.nan_to_num(pose)
    path = _start(pose, seen) if first is None else first
    for _ in range(ROUNDS):
        chain = Chain(len(pose))
        chain.add_points(*_sight_terms(pose, seen, path, times))
        _add_smoothness(chain, path, times, ground)
        if feet is not None:
            _add_feet(chain, pose[:, feet[0]], feet[1], path, times, ground)
        path = chain.solve()
        path[:, 2] = np.maximum(path[:, 2], MIN_DEPTH)
    return path


def _start(pose: Array, seen: Sight) -> Array:
    """Weak perspective per frame: the distance at which the skeleton's spread is that of the rays."""
    w = seen.weights[..., None]
    total = np.maximum(w.sum(1, keepdims=True), 1e-9)
    flat, ray = pose[..., :2], seen.rays
    flat_mean, ray_mean = (w * flat).sum(1, keepdims=True) / total, (w * ray).sum(1, keepdims=True) / total
    spread = (w * (flat - flat_mean) ** 2).sum((1, 2))
    depth = np.sqrt(spread / np.maximum((w * (ray - ray_mean) ** 2).sum((1, 2)), 1e-12))
    good = (seen.weights > 0).sum(1) >= 3
    usual = float(np.median(depth[good])) if good.any() else 4.0
    depth = np.clip(np.where(good, depth, usual), 0.3 * usual, 3 * usual)
    across = ray_mean[:, 0] * depth[:, None] - flat_mean[:, 0]
    good_rows = np.nonzero(good)[0]
    if len(good_rows):
        across = np.stack([np.interp(np.arange(len(pose)), good_rows, across[good_rows, k]) for k in (0, 1)], 1)
    return np.concatenate([across, depth[:, None]], axis=1)


def _sight_terms(pose: Array, seen: Sight, path: Array, times: Array) -> tuple[Array, Array]:
    """(T,3,3) and (T,3) of the normal equations of all frames."""
    normal, right, share = np.zeros((len(pose), 3, 3)), np.empty((len(pose), 3)), frame_share(times)
    for begin in range(0, len(pose), CHUNK):
        rows = slice(begin, begin + CHUNK)
        part = Sight(seen.rays[rows], seen.weights[rows], seen.pixel)
        _weigh_sight(normal[rows], right[rows], pose[rows], part, path[rows], share[rows])
    return normal, right


def _weigh_sight(normal: Array, right: Array, pose: Array, seen: Sight, path: Array, share: Array) -> None:
    """Fill the terms of some frames."""
    depth = np.maximum(pose[..., 2] + path[:, None, 2], MIN_DEPTH)
    spread = POSE_M**2 + (seen.pixel * depth) ** 2
    target = seen.rays * pose[..., 2:] - pose[..., :2]  # p_xy - ray * p_z = target
    miss = path[:, None, :2] - seen.rays * path[:, None, 2:] - target
    weight = seen.weights / spread / (1 + (miss**2).sum(-1) / (4 * spread)) * share[:, None]
    normal[:, 0, 0] = normal[:, 1, 1] = weight.sum(1)
    normal[:, :2, 2] = normal[:, 2, :2] = -(weight[..., None] * seen.rays).sum(1)
    normal[:, 2, 2] = (weight * (seen.rays**2).sum(-1)).sum(1)
    right[:, :2] = (weight[..., None] * target).sum(1)
    right[:, 2] = -(weight * (seen.rays * target).sum(-1)).sum(1)


def frame_share(times: Array) -> Array:
    """(T,) how much of one independent measurement each frame is: high frame rates do not multiply the evidence."""
    return np.minimum(1.0, steps(times) / ERROR_S)


def steps(times: Array) -> Array:
    """(T,) s that each frame stands for."""
    return np.gradient(times) if len(times) > 1 else np.ones(1)


def _add_smoothness(chain: Chain, path: Array, times: Array, ground: Ground | None) -> None:
    if len(path) < 3:
        return
    view = path / np.linalg.norm(path, axis=1, keepdims=True)
    if ground is not None:
        level = view - (view @ ground.up)[:, None] * ground.up
        view = level / np.maximum(np.linalg.norm(level, axis=1, keepdims=True), 1e-6)
    along = view[1:-1, :, None] * view[1:-1, None, :]
    weight = np.eye(3) / ACROSS + along * (1 / ALONG - 1 / ACROSS)
    span = (times[2:] - times[:-2]) / 2
    chain.add_bending(weight * span[:, None, None], times)


def _add_feet(chain: Chain, feet: Array, standing: Array, path: Array, times: Array, ground: Ground | None) -> None:
    """Standing feet (T,F,3) keep their place, and their height where the floor is known."""
    if len(feet) > 1:
        both = np.minimum(standing[1:], standing[:-1]) / SLOW_FOOT / np.maximum(np.diff(times), CLOSEST_S)[:, None]
        total = both.sum(1)
        step = -(both[..., None] * np.diff(feet, axis=0)).sum(1) / np.maximum(total, 1e-12)[:, None]
        chain.add_steps(total[:, None, None] * np.eye(3), step)
    if ground is not None:
        missing = -ground.height - feet @ ground.up
        off = missing - (path @ ground.up)[:, None]
        weight = standing * frame_share(times)[:, None] / FLOOR_M**2 / (1 + (off / OFF_FLOOR_M) ** 2) ** 2
        normal = weight.sum(1)[:, None, None] * np.outer(ground.up, ground.up)
        chain.add_points(normal, (weight * missing).sum(1)[:, None] * ground.up)
