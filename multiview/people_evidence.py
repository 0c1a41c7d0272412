"""The people's keypoints as the bundle adjustment takes them: on straight rays, as lift-26, on shifted clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multiview.people_terms import Sightings, State, local
from pipeline.projection import rays
from pipeline.results import Array, Camera
from pipeline.skeletons import skeleton, to_lift

LIFT = skeleton("lift-26")
LEAST_SCORE = 0.1
REACH = 0.5  # frames
_SIDES = [
    [i for i, name in enumerate(LIFT.joints) if name.partition("_")[2] in parts]
    for parts in (("ear",), ("shoulder", "elbow", "wrist", "hand"), ("hip", "knee", "ankle", "heel", "toe"))
]
SWAP_GAIN = 4.0  # how much better the exchanged sides must fit, in mean robust cost


@dataclass(frozen=True)
class Evidence:
    """P people, V views, T times, 26 joints of lift-26."""

    pixels: Array  # (P,V,T,26,2) px from the principal point, distortion taken out; NaN where missing
    scores: Array  # (P,V,T,26), 0 where missing
    focal: Array  # (V,) px, the guesses
    times: Array  # (T,) s

    @property
    def flat(self) -> Array:
        """(P,V,T,26,2) directions x/z, y/z by the guessed focal lengths."""
        return self.pixels / self.focal[:, None, None, None]


def straightened(keypoints: Array, scores: Array, name: str, cameras: Sequence[Camera], times: Array) -> Evidence:
    """From (P,V,T,J,2) px and (P,V,T,J) of the skeleton `name`; cameras give distortion and guessed focal lengths."""
    keypoints, scores = np.asarray(keypoints, np.float64), np.nan_to_num(np.asarray(scores, np.float64))
    scores = np.where(np.isfinite(keypoints).all(-1), np.clip(scores, 0, 1), 0.0)
    both = to_lift(np.concatenate([keypoints, scores[..., None]], -1), name)
    points, marks = both[..., :2], np.nan_to_num(both[..., 2])
    focal = np.array([float(np.sqrt(c.matrix[0, 0] * c.matrix[1, 1])) for c in cameras])
    flat = np.stack([rays(camera, points[:, v]) for v, camera in enumerate(cameras)], axis=1)
    marks = np.where(np.isfinite(flat).all(-1) & (marks >= LEAST_SCORE), marks, 0.0)
    pixels = np.where(marks[..., None] > 0, flat * focal[:, None, None, None], np.nan)
    return Evidence(pixels, marks, focal, np.asarray(times, np.float64))


def keypoints_at(evidence: Evidence, offsets: Array) -> Evidence:
    """The evidence with every view's clock moved: at time t the keypoints of t + offset, interpolated.

    At the ends it reaches half a frame beyond them, so that a small offset costs no frame.
    """
    times, pixels, scores = evidence.times, evidence.pixels.copy(), evidence.scores.copy()
    for view, offset in enumerate(offsets):
        if abs(offset) < 1e-6 or len(times) < 2:
            continue
        low = np.clip(np.searchsorted(times, times + offset, side="right") - 1, 0, len(times) - 2)
        part = (times + offset - times[low]) / (times[low + 1] - times[low])
        inside = ((part >= -REACH) & (part <= 1 + REACH))[:, None]
        a, b = evidence.pixels[:, view, low], evidence.pixels[:, view, low + 1]
        pixels[:, view] = a + part[:, None, None] * (b - a)
        ends = np.minimum(evidence.scores[:, view, low], evidence.scores[:, view, low + 1])
        scores[:, view] = np.where(inside & np.isfinite(pixels[:, view]).all(-1), ends, 0.0)
    return replace(evidence, pixels=np.where(scores[..., None] > 0, pixels, np.nan), scores=scores)


def velocities(evidence: Evidence) -> Array:
    """(P,V,T,26,2) px/s by central differences over two frames; 0 where unknown."""
    if len(evidence.times) < 3:
        return np.zeros_like(evidence.pixels)
    speed = np.gradient(evidence.pixels, evidence.times, axis=2)
    return np.nan_to_num(speed)


def sightings(evidence: Evidence, moments: Array, poses: Array) -> Sightings:
    """The keypoints at the chosen moments (F,).

    Args:
        poses: (V,F) int: the camera pose of each view and moment.

    Returns:
        With standard deviations of 1 px.
    """
    scores = evidence.scores[:, :, moments]
    p, v, f, j = np.nonzero(scores > 0)
    speed = velocities(evidence)[:, :, moments]
    return Sightings(
        p, v, f, j, poses[v, f], evidence.pixels[:, :, moments][p, v, f, j], speed[p, v, f, j],
        evidence.focal[v], scores[p, v, f, j], np.ones(len(p)),
    )  # fmt: skip


def put_sides_right(seen: Sightings, state: State) -> tuple[Sightings, Array]:
    """Where a view took left for right: the keypoints of such limbs exchanged, if the 3D says so clearly.

    The 3D is held up by the other views. Arms, legs and head of each person, view and moment are judged apart.

    Returns:
        The sightings, and (V,F) bool: which were changed.
    """
    people, moments = state.points.shape[:2]
    views = len(state.log_focal)
    mirror = np.array(LIFT.mirror)
    focal = seen.focal * np.exp(state.log_focal[seen.view])
    straight = _miss(state, seen, seen.joint, focal)
    crossed = _miss(state, seen, mirror[seen.joint], focal)
    cost = np.log1p(np.stack([straight, crossed]) ** 2)
    joint, changed = seen.joint.copy(), np.zeros((views, moments), bool)
    for group in _SIDES:
        inside = np.isin(seen.joint, group)
        place = np.ravel_multi_index(
            (seen.person[inside], seen.view[inside], seen.moment[inside]), (people, views, moments)
        )
        size = people * views * moments
        number = np.maximum(np.bincount(place, minlength=size), 1)
        now, then = (np.bincount(place, row[inside], minlength=size) / number for row in cost)
        wrong = now - then > np.log(SWAP_GAIN)
        swap = np.zeros(len(joint), bool)
        swap[inside] = wrong[place]
        joint[swap] = mirror[seen.joint[swap]]
        changed |= wrong.reshape(people, views, moments).any(0)
    return replace(seen, joint=joint), changed


def _miss(state: State, seen: Sightings, joint: Array, focal: Array) -> Array:
    """(M,) reprojection errors in standard deviations, were the keypoint of that joint."""
    inside = local(state, replace(seen, joint=joint))
    flat = focal[:, None] * inside[:, :2] / np.maximum(inside[:, 2:], 0.1)
    miss = flat - seen.pixels - state.offsets[seen.view][:, None] * seen.velocity
    return np.linalg.norm(miss, axis=-1) / seen.sigma
