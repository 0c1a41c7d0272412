"""Where the cameras stand, to begin with: every camera's path of every person, brought together.

With the fused pose and a camera's rotation known, the pelvis' place in the camera's axes follows from its keypoints
linearly; two such paths of one person differ by the cameras' places.
"""

from __future__ import annotations

import numpy as np

from multiview.people import Apart
from pipeline.results import Array


def pelvis_paths(flat: Array, weights: Array, pose: Array) -> Array:
    """The pelvis' places from poses of known size and turn: `min_p sum w |(q + p)_xy - n (q + p)_z|^2`.

    Args:
        flat: (...,J,2) directions n = (x/z, y/z) of the keypoints.
        weights: (...,J), 0 where a keypoint is missing.
        pose: (...,J,3) m, q: relative to the pelvis, in the camera's axes; NaN where unknown.

    Returns:
        (...,3) m in the camera's axes; NaN where fewer than 4 joints are known or the place is behind the camera.
    """
    known = np.isfinite(flat).all(-1) & np.isfinite(pose).all(-1) & (weights > 0)
    w = np.where(known, weights, 0.0)
    n, q = np.where(known[..., None], flat, 0.0), np.where(known[..., None], pose, 0.0)
    rows = np.zeros((*n.shape, 3))
    rows[..., 0, 0] = rows[..., 1, 1] = 1.0
    rows[..., 2] = -n
    right = n * q[..., 2:] - q[..., :2]
    place = _solved(rows, right, w)
    for _ in range(3):  # robust: a wrong arm must not pull the body
        miss = np.linalg.norm((rows @ place[..., None, :, None])[..., 0] - right, axis=-1)
        middle = np.median(np.where(w > 0, miss, 0.0), axis=-1, keepdims=True)
        place = _solved(rows, right, w / (1 + (miss / np.maximum(2 * middle, 1e-4)) ** 2))
    good = (known.sum(-1) >= 4) & (place[..., 2] > 0)
    return np.where(good[..., None], place, np.nan)


def _solved(rows: Array, right: Array, weights: Array) -> Array:
    normal = np.einsum("...jka,...j,...jkb->...ab", rows, weights, rows) + 1e-9 * np.eye(3)
    pull = np.einsum("...jka,...j,...jk->...a", rows, weights, right)
    return np.linalg.solve(normal, pull[..., None])[..., 0]


def camera_centres(paths: Array, rotations: Array, moving: Array, reference: int = 0) -> Array:
    """Camera centres in the axes of the reference, its centre at the origin.

    Args:
        paths: (P,V,T,3) m: each person's pelvis in each camera's axes, NaN where not seen.
        rotations: (V,T,3,3) from the reference's axes to each camera's.
        moving: (V,) bool.

    Returns:
        (V,T,3) m; a moving camera's are interpolated where it has nothing in common with the rest.

    Raises:
        Apart: a view that shares no moment with the views that are linked to the reference.
    """
    away = np.einsum("vtji,pvtj->pvti", rotations, paths)  # from the camera to the person, the reference's axes
    centres = np.full((*rotations.shape[:2], 3), np.nan)
    centres[reference] = 0.0
    left = set(range(len(moving))) - {reference}
    while left:
        person = middle_known(centres[None] + away, 1)
        offers = {v: person - away[:, v] for v in left}
        view = max(sorted(left), key=lambda v: int(np.isfinite(offers[v]).all(-1).sum()))
        offer = offers[view]
        if not np.isfinite(offer).any():
            raise Apart(view)
        left.remove(view)
        if moving[view]:
            centres[view] = _filled(mean_known(offer, 0))
        else:
            centres[view] = np.nanmedian(offer.reshape(-1, 3), axis=0)
    return centres


def middle_known(values: Array, axis: int) -> Array:
    """The median of what is known: one view that takes left for right places a person wrongly."""
    filled = np.sort(np.where(np.isfinite(values), values, np.inf), axis=axis)
    count = np.isfinite(values).sum(axis, keepdims=True)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    high = np.minimum(high, np.maximum(count - 1, 0))
    both = np.take_along_axis(filled, low, axis) + np.take_along_axis(filled, high, axis)
    return np.where(count > 0, both / 2, np.nan).squeeze(axis)


def mean_known(values: Array, axis: int) -> Array:
    """The mean of what is known, NaN without a warning where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis) / np.maximum(count, 1), np.nan)


def _filled(path: Array) -> Array:
    """(T,3) with gaps interpolated, ends repeated."""
    known = np.isfinite(path).all(-1)
    moments = np.arange(len(path))
    return np.stack([np.interp(moments, moments[known], path[known, axis]) for axis in range(3)], axis=-1)
