"""Errors of 3D poses, as the literature defines them. Arrays or scalars in the unit of the input (metres here).

Sources: MPJPE and its aligned variants as Human3.6M and VideoPose3D use them; similarity alignment: Umeyama (1991).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def mpjpe(predicted: Array, target: Array) -> float:
    """Mean distance of joints; (...,J,3) each, taken as they are (make them root-relative first)."""
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
    """MPJPE after similarity alignment of every frame; (T,J,3) each."""
    return mpjpe(align(predicted, target), target)


def n_mpjpe(predicted: Array, target: Array) -> float:
    """MPJPE after the best scale for every frame; (T,J,3) each."""
    scale = (target * predicted).sum((-2, -1), keepdims=True) / (predicted**2).sum((-2, -1), keepdims=True)
    return mpjpe(scale * predicted, target)


def velocity(predicted: Array, target: Array) -> float:
    """Mean distance of the joints' steps from frame to frame; (T,J,3) each, per frame."""
    return mpjpe(np.diff(predicted, axis=0), np.diff(target, axis=0))


def acceleration(joints: Array) -> float:
    """Jitter: mean length of the second difference over time of (T,J,3), per frame squared."""
    return float(np.linalg.norm(np.diff(joints, n=2, axis=0), axis=-1).mean())
