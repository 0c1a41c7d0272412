"""From motion relative to the pelvis to metres in the world, with one camera that stands still.

The world: Z up, the floor at z = 0, the origin on the floor under the camera, Y the horizontal direction in which the
camera looks, X to its right. So the result does not depend on the order of the people.
Scale: everyone is 1.70 m tall unless `height_m` says how tall the main person is (the one seen in most frames; of
equals the larger). Where several people stand on one floor, the floor says how tall they are relative to each other,
as far as the view tells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from motion.body import MEAN_STATURE_M, Body, evidence, make_body, on_ground, posed, scaled, to_world, world_axes
from motion.ground import Floor, fit_floor
from motion.stance import lowest
from motion.trajectory import Ground
from pipeline.results import Array, Camera, Motion3D, Track2D

STATURE_SPREAD, STATURE_TAIL = 0.06, 3.0  # of its logarithm: Student's t, narrow for grown-ups, open for children
SMALLEST, TALLEST = 0.45, 1.22  # times the mean stature
SCALE_ERROR = 0.06  # of the logarithm of a camera height as one person shows it


@dataclass(frozen=True)
class Placement:
    motions: list[Motion3D]  # frame "world"
    camera: Camera
    quality: dict[str, Any]


def placement(
    motions: list[Motion3D], tracks: list[Track2D], camera: Camera, times: Array, height_m: float | None = None
) -> Placement:
    """Put everyone on one floor.

    Args:
        motions: frame "root": m relative to the pelvis, camera axes, of about a mean-sized person.
        tracks: the 2D tracks they were lifted from, in the same order and of the same frames.
        camera: its `camera_to_world` is not read.
        times: (T_clip,) s.
        height_m: standing height of the main person, heel to top of the head.

    Returns:
        Motions in the world (NaN where the lifted pose is; a person without any pose does not matter to the others),
        the camera with `camera_to_world`, and a quality report:
        `up` ("feet" or "prior": what tells most of the up direction), `tilt_error_deg`, `floor` ("feet" or "guess"),
        `stances`, `one_floor` (False: no statures bring everybody onto one), `scale` and where it came from,
        `stature_m` and `reprojection_px` (median) per person id.

    Raises:
        ValueError: motions and tracks do not belong together, or a motion is not relative to the pelvis.
    """
    if len(motions) != len(tracks) or any(m.id != t.id for m, t in zip(motions, tracks, strict=False)):
        raise ValueError("motions and tracks must be of the same people in the same order")
    for motion in motions:
        if motion.frame != "root":
            raise ValueError(f"person {motion.id}: expected a motion relative to the pelvis, got {motion.frame!r}")
    known = [k for k, m in enumerate(motions) if posed(m)]
    if not known:
        level = replace(camera, camera_to_world=world_axes(np.array([0.0, -1, 0]), 1.5))
        return Placement([_nowhere(m) for m in motions], level, {})
    placed = _placement([motions[k] for k in known], [tracks[k] for k in known], camera, times, height_m)
    found = dict(zip(known, placed.motions, strict=True))
    return replace(placed, motions=[found[k] if k in found else _nowhere(m) for k, m in enumerate(motions)])


def _nowhere(motion: Motion3D) -> Motion3D:
    joints = np.full_like(motion.joints, np.nan)
    return replace(motion, frame="world", joints=joints, root=joints[:, 0], scores=np.zeros_like(motion.scores))


def _placement(
    motions: list[Motion3D], tracks: list[Track2D], camera: Camera, times: Array, height_m: float | None
) -> Placement:
    times = np.asarray(times, float)
    bodies = [make_body(m, t, camera, times) for m, t in zip(motions, tracks, strict=True)]
    main = _main(bodies)
    if height_m is not None:
        bodies[main] = scaled(bodies[main], height_m / MEAN_STATURE_M)
    floor = fit_floor([evidence(body) for body in bodies])
    bodies, factors, one_floor = _tie_scales(bodies, floor, main if height_m is not None else None)
    ground, guessed = _ground(bodies, floor, factors)
    bodies = [on_ground(body, ground) for body in bodies]
    camera = replace(camera, camera_to_world=world_axes(ground.up, ground.height))
    quality = _quality(bodies, camera, floor, guessed, main if height_m is not None else None)
    quality["one_floor"] = one_floor
    return Placement([to_world(body, camera) for body in bodies], camera, quality)


def _main(bodies: list[Body]) -> int:
    """Seen in most frames; of equals the one larger in the picture."""
    size = [float(np.nanmedian(1 / body.path[:, 2])) for body in bodies]
    return max(range(len(bodies)), key=lambda k: (int(bodies[k].motion.observed.sum()), size[k]))


def _tie_scales(bodies: list[Body], floor: Floor, fixed: int | None) -> tuple[list[Body], Array, bool]:
    """Everyone's floor becomes one: factors, likely near 1, that bring the camera heights together; can they?"""
    heights = floor.heights
    known = np.isfinite(heights) & (heights > 0.3)
    if known.sum() < 2:
        return bodies, np.ones(len(bodies)), True
    away = np.array([float(np.nanmedian(body.path[:, 2])) for body in bodies])
    tilted = (away - away[known].mean()) * floor.tilt_error
    unsure = SCALE_ERROR**2 + (np.hypot(np.nan_to_num(floor.height_errors), tilted) / np.where(known, heights, 1)) ** 2
    log = np.log(np.where(known, heights, 1.0))
    shift = np.zeros(len(bodies))
    for _ in range(30):
        prior = STATURE_SPREAD**2 + shift**2 / STATURE_TAIL
        if fixed is not None:
            prior[fixed] = 0.0
        weight = known / (prior + unsure)
        shift = np.where(known, prior / (prior + unsure) * ((weight * log).sum() / weight.sum() - log), 0.0)
    factors = np.exp(shift)
    if np.any(factors > TALLEST) or np.any(factors < SMALLEST):  # nobody is so: they stand on different levels
        return bodies, np.ones(len(bodies)), False
    return [scaled(body, f) for body, f in zip(bodies, factors, strict=True)], factors, True


def _ground(bodies: list[Body], floor: Floor, factors: Array) -> tuple[Ground, bool]:
    """One floor for all; where nobody was seen to stand, the lowest feet over time."""
    heights = floor.heights * factors
    known = np.isfinite(heights)
    if known.any():
        weight = 1 / (floor.height_errors[known] ** 2 + 0.01**2)
        return Ground(floor.up, float((weight * heights[known]).sum() / weight.sum())), False
    under = [height for body in bodies if np.isfinite(height := lowest(body.joints, body.feet, floor.up))]
    return Ground(floor.up, -min(under) if under else 1.5), True


def _quality(bodies: list[Body], camera: Camera, floor: Floor, guessed: bool, fixed: int | None) -> dict[str, Any]:
    return {
        "up": "feet" if floor.stances and floor.tilt_error < np.radians(4) else "prior",
        "tilt_error_deg": round(float(np.degrees(floor.tilt_error)), 2),
        "floor": "guess" if guessed else "feet",
        "stances": floor.stances,
        "stature_m": {b.motion.id: round(float(b.stature), 3) for b in bodies},
        "scale": "mean stature" if fixed is None else f"height given for person {bodies[fixed].motion.id}",
        "reprojection_px": {b.motion.id: _reprojection(b, camera) for b in bodies},
    }


def _reprojection(body: Body, camera: Camera) -> float | None:
    joints = body.joints
    with np.errstate(invalid="ignore"):
        miss = np.linalg.norm(joints[..., :2] / joints[..., 2:] - body.seen.rays, axis=-1)
    miss = miss[(body.seen.weights > 0.3) & np.isfinite(miss)]
    return round(float(np.median(miss) * camera.matrix[0, 0]), 2) if len(miss) else None
