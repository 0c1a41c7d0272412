"""Figures that tell how far a 3D motion may be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motion.stance import SOLE_M, feet_of
from pipeline.projection import during, project
from pipeline.results import Array, Camera, Motion3D, Track2D
from pipeline.skeletons import skeleton

SURE = 0.5  # score of a keypoint that counts as seen
SUNK_SHARE = 0.02  # share of the frames in which somebody must be below the floor
_LIMBS = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))


def shared_joints(motion: Motion3D, track: Track2D) -> list[str]:
    """Joints that both have under the same name."""
    return [name for name in skeleton(motion.skeleton).joints if name in skeleton(track.skeleton).joints]


def seen_as(motion: Motion3D, track: Track2D) -> tuple[Array, Array]:
    """(T,S,2) px and scores (T,S): shared joints as the track has them in the motion's frames; NaN and 0 elsewhere."""
    names = shared_joints(motion, track)
    keypoints = np.full((len(motion), len(names), 2), np.nan)
    scores = np.zeros((len(motion), len(names)))
    _, rows, of_track = np.intersect1d(motion.frames, track.frames, assume_unique=True, return_indices=True)
    here = skeleton(track.skeleton).index(*names)
    keypoints[rows], scores[rows] = track.keypoints[of_track][:, here], track.scores[of_track][:, here]
    return keypoints, scores


def sure(motion: Motion3D, track: Track2D) -> Array:
    """(T,S) bool: which of the shared joints the track has seen for sure in each of the motion's frames."""
    return seen_as(motion, track)[1] > SURE


def position_uncertainty(motion: Motion3D, views: Sequence[tuple[Track2D, Camera]], times: Array) -> Array:
    """(T,S) m: the distances from the truth to be expected of the shared joints, of tracks of several views.

    Args:
        views: the person's track and the camera of each.
        times: (T_scene,) s.
    """
    from multiview.uncertainty import expected_errors

    keypoints, scores = (np.stack(part) for part in zip(*(seen_as(motion, t) for t, _ in views), strict=True))
    cameras = [during(camera, motion.frames) for _, camera in views]
    points = motion.joints[:, skeleton(motion.skeleton).index(*shared_joints(motion, views[0][0]))]
    return expected_errors(cameras, keypoints, scores, points, times[motion.frames])


def reprojection_offsets(motion: Motion3D, track: Track2D, camera: Camera) -> Array:
    """(F,S,2) px from where the camera sees the shared 3D joints to where they were found, in the frames of both.

    NaN where a joint was not found for sure, or is behind the camera.
    """
    names = shared_joints(motion, track)
    frames, rows, of_track = np.intersect1d(motion.frames, track.frames, assume_unique=True, return_indices=True)
    there, here = skeleton(motion.skeleton).index(*names), skeleton(track.skeleton).index(*names)
    pixels, _ = project(during(camera, frames), motion.joints[rows][:, there])
    off = track.keypoints[of_track][:, here] - pixels
    return np.where((track.scores[of_track][:, here] > SURE)[..., None], off, np.nan)


def reprojection_errors(motion: Motion3D, track: Track2D, camera: Camera) -> Array:
    """(F,S) px: the lengths of `reprojection_offsets`."""
    return np.linalg.norm(reprojection_offsets(motion, track, camera), axis=-1)


def jitter(joints: Array, times: Array) -> float:
    """Mean acceleration in m/s^2 of (T,K,3) joints in metres over (T,) seconds."""
    if len(joints) < 3:
        return float("nan")
    step = np.diff(times)[:, None, None]
    velocity = np.diff(joints, axis=0) / step
    acceleration = np.diff(velocity, axis=0) / ((step[1:] + step[:-1]) / 2)
    size = np.linalg.norm(acceleration, axis=-1)
    return mean(size)


def lowest(motion: Motion3D) -> float:
    """Height in m that a person's lowest joint is under in SUNK_SHARE of the frames; Z is up.

    Where ankles stand for heels and toes, that of the sole below them.
    """
    feet, joints = feet_of(skeleton(motion.skeleton), motion.joints), motion.joints.astype(np.float64)
    joints[:, feet.joints, 2] -= feet.rest_m - SOLE_M
    known = np.isfinite(joints[..., 2]).any(axis=1)
    heights = np.nanmin(joints[known, :, 2], axis=1)
    return float(np.quantile(heights, SUNK_SHARE)) if len(heights) else float("nan")


def bone_variation(motion: Motion3D) -> float:
    """Standard deviation of a limb's length over its mean, averaged over the upper and lower arms and legs."""
    bones = skeleton(motion.skeleton)
    pairs = np.array([bones.index(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in _LIMBS])
    ends = motion.joints[:, pairs].astype(np.float64)
    lengths = np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=-1)
    lengths = lengths[:, np.isfinite(lengths).any(axis=0)]  # of limbs that are ever known
    lengths = lengths[np.isfinite(lengths).all(axis=1)]
    if len(lengths) < 2 or not lengths.size:
        return float("nan")
    return float((lengths.std(axis=0) / lengths.mean(axis=0)).mean())


def mean(values: Array) -> float:
    """Of the finite ones, NaN where there is none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def median(values: Array) -> float:
    """Of the finite ones, NaN where there is none."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def rounded(value: float, digits: int) -> float | None:
    """None for NaN."""
    return round(float(value), digits) if np.isfinite(value) else None
