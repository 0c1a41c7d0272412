"""The camera model with its derivatives, OpenCV's, for least squares; the same as `pipeline.projection`, as tests say.

The numbers of a lens are one vector: fx fy cx cy and then the distortion, k1 k2 p1 p2 k3 [k4 k5 k6] or a fisheye's
k1 k2 k3 k4. Skew is taken as 0.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.results import Array

_NEAREST = 1e-3  # m; points nearer or behind are taken to be there, so that a bad step has a finite price


def lens_pixels(lens: Array, fisheye: bool, local: Array) -> tuple[Array, Array, Array]:
    """Points (N,3) m in the camera's axes to pixels, with the derivatives by point and lens.

    Returns:
        pixels (N,2), by point (N,2,3) px/m, by lens (N,2,L) px per unit.
    """
    if not len(local):
        return np.zeros((0, 2)), np.zeros((0, 2, 3)), np.zeros((0, 2, len(lens)))
    before = np.concatenate([local[:, :2], np.maximum(local[:, 2:], _NEAREST)], axis=1)
    matrix, still = np.array([[lens[0], 0, lens[2]], [0, lens[1], lens[3]], [0, 0, 1.0]]), np.zeros(3)
    pixels, by = (cv2.fisheye if fisheye else cv2).projectPoints(before[:, None], still, still, matrix, lens[4:])
    by = by.reshape(len(local), 2, -1)  # columns: rotation, shift, lens; of a fisheye lens, rotation, shift, skew
    shift, first = (len(lens) + 3, 0) if fisheye else (3, 6)
    by_point, by_lens = by[..., shift : shift + 3], by[..., first : first + len(lens)]
    by_point[local[:, 2] <= _NEAREST, :, 2] = 0
    return pixels[:, 0], by_point, by_lens


def rotation_derivative(turns: Array) -> Array:
    """Rotation vectors (N,3) rad to their right Jacobians J (N,3,3): d(R x)/dr = -R [x] J.

    Sola, Deray and Atchuthan, A micro Lie theory for state estimation in robotics, 2018, appendix B.
    """
    angle = np.linalg.norm(turns, axis=1)[:, None, None]
    cross = skew(turns)
    small = angle < 1e-4
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 0.5 - angle**2 / 24, (1 - np.cos(safe)) / safe**2)
    second = np.where(small, 1 / 6 - angle**2 / 120, (safe - np.sin(safe)) / safe**3)
    return np.eye(3) - first * cross + second * (cross @ cross)


def skew(vectors: Array) -> Array:
    """(N,3) to the matrices (N,3,3) of their cross products."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
