"""Person-centred 2D: where in the picture, how large and through which lens a person is seen no longer matters.

Keypoints become rays, a virtual camera turns to look at the person (at shoulders and hips, smoothed over a quarter of
a second to either side), and the image is scaled by the person's apparent size (mean distance of the seen joints from
the centre, smoothed over one second to either side). What a lifter says in the axes of the virtual cameras is
turned back with them. Training computes the same with tensors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from pipeline.skeletons import skeleton

Array = NDArray[np.floating]

JOINTS = skeleton("lift-26")
CORE = JOINTS.index("left_shoulder", "right_shoulder", "left_hip", "right_hip")
RATE = 30.0  # frames per second at which the reaches are meant
CENTRE_REACH, SIZE_REACH = 8, 30  # frames to either side
FLOOR = 1e-3  # weight of a joint that is neither shoulder nor hip in the centre


def normalise(rays: Array, scores: Array) -> tuple[Array, Array]:
    """Rays (T,26,2) with z = 1 and scores (T,26) at 30 frames/s -> input (T,26,3) float32, virtual cameras (T,3,3).

    Joints of score 0 may hold anything. A virtual camera's rows are its axes in the real camera's frame.
    """
    seen = scores > 0
    rays = np.where(seen[..., None], rays, 0.0)
    weights = scores * np.full(len(JOINTS), FLOOR)
    weights[:, CORE] = scores[:, CORE]
    middle = np.concatenate([(rays * weights[..., None]).sum(1), weights.sum(1, keepdims=True)], axis=1)
    smooth = _smooth(middle, CENTRE_REACH)
    turn = look_at(smooth[:, :2] / np.maximum(smooth[:, 2:], 1e-9))
    turned = rays @ np.swapaxes(turn[..., :2], 1, 2) + turn[:, None, :, 2]
    points = turned[..., :2] / np.maximum(turned[..., 2:], 1e-2)
    spread = np.stack([(np.linalg.norm(points, axis=-1) * scores).sum(1), scores.sum(1)], axis=1)
    smooth = _smooth(spread, SIZE_REACH)
    size = np.maximum(smooth[:, 0] / np.maximum(smooth[:, 1], 1e-9), 1e-4)
    points = np.where(seen[..., None], points / size[:, None, None], 0.0)
    return np.concatenate([points, scores[..., None]], axis=-1).astype(np.float32), turn


def look_at(centre: Array) -> Array:
    """(T,2) rays -> (T,3,3) rotations whose rows are the axes of cameras that look along them without roll."""
    forward = np.concatenate([centre, np.ones_like(centre[:, :1])], axis=1)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def _smooth(values: Array, reach: int) -> Array:
    """Sums of (T,C) under a Hann window of 2*reach+1 frames; nothing beyond the ends."""
    window = 0.5 + 0.5 * np.cos(np.pi * np.arange(-reach, reach + 1) / (reach + 1))
    return convolve1d(values, window, axis=0, mode="constant")
