"""Errors of 3D poses, as the literature defines them. Arrays or scalars in the unit of the input (metres here).

Sources: MPJPE (protocol 1), P-MPJPE (protocol 2), N-MPJPE (protocol 3) and MPJVE as Human3.6M and VideoPose3D (Pavllo
et al. 2019) use them; similarity alignment: Umeyama (1991); PCK and AUC: MPI-INF-3DHP (Mehta et al. 2017).
What needs more frames than there are is NaN. How papers average over sequences: `training.protocols`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

PCK_THRESHOLD = 0.15  # m
AUC_THRESHOLDS = np.arange(31) * 5 / 1000  # m: 0, 5, ..., 150 mm


def mpjpe(predicted: Array, target: Array) -> float:
    """Protocol 1: mean distance of joints; (...,J,3) each, taken as they are (make them root-relative first)."""
    return float(np.linalg.norm(predicted - target, axis=-1).mean())


def weighted(predicted: Array, target: Array, weights: Array) -> float:
    """Mean of weight times distance; weights (...,J), not divided by their sum."""
    return float((weights * np.linalg.norm(predicted - target, axis=-1)).mean())


def align(predicted: Array, target: Array) -> Array:
    """Move, turn and scale every frame of (T,J,3) so that it lies closest to the target (no reflection)."""
    mean_p, mean_t = predicted.mean(1, keepdims=True), target.mean(1, keepdims=True)
    p, t = predicted - mean_p, target - mean_t
    norm_p = np.sqrt((p**2).sum((1, 2), keepdims=True))
    norm_t = np.sqrt((t**2).sum((1, 2), keepdims=True))
    u, s, vt = np.linalg.svd(np.swapaxes(t / norm_t, 1, 2) @ (p / norm_p))
    sign = np.ones_like(s)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = np.swapaxes((u * sign[:, None]) @ vt, 1, 2)
    scale = (s * sign).sum(1)[:, None, None] * norm_t / norm_p
    return scale * (p @ rotation) + mean_t


def p_mpjpe(predicted: Array, target: Array) -> float:
    """Protocol 2: MPJPE after similarity alignment of every frame; (T,J,3) each."""
    return mpjpe(align(predicted, target), target)


def n_mpjpe(predicted: Array, target: Array) -> float:
    """Protocol 3: MPJPE after the best scale for every frame; (T,J,3) each."""
    scale = (target * predicted).sum((-2, -1), keepdims=True) / (predicted**2).sum((-2, -1), keepdims=True)
    return mpjpe(scale * predicted, target)


def velocity(predicted: Array, target: Array) -> float:
    """MPJVE: mean distance of the joints' steps from frame to frame; (T,J,3) each, per frame."""
    return _mean_length(np.diff(predicted, axis=0) - np.diff(target, axis=0))


def acceleration(joints: Array) -> float:
    """Mean length of the second difference over time of (T,J,3), per frame squared; needs no truth."""
    return _mean_length(np.diff(joints, n=2, axis=0))


def acceleration_error(predicted: Array, target: Array) -> float:
    """Mean distance of the second differences over time of (T,J,3) each, per frame squared (Kanazawa et al. 2019)."""
    return _mean_length(np.diff(predicted, n=2, axis=0) - np.diff(target, n=2, axis=0))


def jitter(joints: Array, fps: float = 1.0) -> float:
    """Mean length of the jerk, the third derivative over time, of (T,J,3), per second cubed (Yi et al. 2021).

    Without `fps` it is per frame cubed. Needs no truth; real motion has some.
    """
    return _mean_length(np.diff(joints, n=3, axis=0)) * fps**3


def pck(predicted: Array, target: Array, threshold: float = PCK_THRESHOLD) -> float:
    """Share of joints of (...,J,3) that lie closer to the truth than the threshold, 0 to 1."""
    return float((np.linalg.norm(predicted - target, axis=-1) < threshold).mean())


def auc(predicted: Array, target: Array, thresholds: Array = AUC_THRESHOLDS) -> float:
    """Mean of the PCK over thresholds, 0 to 1. The first of MPI-INF-3DHP's is 0, below which nothing lies."""
    return float(np.mean([pck(predicted, target, threshold) for threshold in thresholds]))


def bone_length_error(predicted: Array, target: Array, bones: Sequence[tuple[int, int]]) -> float:
    """Mean difference, without its sign, of the lengths of (parent, child) bones; (...,J,3) each."""
    return float(np.abs(bone_lengths(predicted, bones) - bone_lengths(target, bones)).mean())


def bone_lengths(joints: Array, bones: Sequence[tuple[int, int]]) -> Array:
    """(...,J,3) -> (...,B) lengths of (parent, child) bones."""
    parents, children = np.asarray(bones).T
    return np.linalg.norm(joints[..., children, :] - joints[..., parents, :], axis=-1)


def _mean_length(vectors: Array) -> float:
    """Of (...,3); NaN of none."""
    return float(np.linalg.norm(vectors, axis=-1).mean()) if vectors.size else float("nan")
