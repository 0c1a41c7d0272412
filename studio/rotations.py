"""Small batched rotations. Matrices are (...,3,3) and act on column vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def about(axis: str, angle: ArrayLike) -> Array:
    """Rotations (...,3,3) by `angle` (...) radians about "x", "y" or "z" (right-handed)."""
    angle = np.asarray(angle, dtype=np.float64)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    out = np.zeros((*angle.shape, 3, 3))
    out[..., [0, 1, 2], [0, 1, 2]] = 1.0
    out[..., i, i] = out[..., j, j] = np.cos(angle)
    out[..., j, i] = np.sin(angle)
    out[..., i, j] = -out[..., j, i]
    return out


def apply(rotation: Array, vector: ArrayLike) -> Array:
    """(...,3,3), (...,3) -> (...,3)."""
    return np.einsum("...ij,...j->...i", rotation, np.asarray(vector, dtype=np.float64))


def unit(vector: Array) -> Array:
    """(...,3) scaled to length 1; a zero vector stays zero."""
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    return vector / np.maximum(length, 1e-12)


def frame(up: Array, forward: Array) -> Array:
    """Frames (...,3,3) whose z axis is `up` and whose x axis is `forward` made perpendicular to it."""
    z = unit(up)
    y = unit(np.cross(z, forward))
    return np.stack([np.cross(y, z), y, z], axis=-1)
