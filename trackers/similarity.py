"""How alike two 2D poses are: object keypoint similarity (COCO), and the size of a body in pixels."""

from __future__ import annotations

import numpy as np

from pipeline.results import Array
from pipeline.skeletons import skeleton

DEFAULT_SIGMA = 0.079  # a shoulder's, for skeletons without published constants


def keypoint_sigmas(name: str) -> Array:
    """(J,) COCO's per-joint constants of a skeleton."""
    known = skeleton(name).sigmas
    return np.array(known) if known else np.full(len(skeleton(name)), DEFAULT_SIGMA)


def body_size(keypoints: Array, weights: Array) -> Array:
    """(N,J,2) px, (N,J) -> (N,) px: about half the height of a standing person, from the joints' spread.

    The spread changes far less than a box when an arm goes up or a leg is hidden. NaN without two known joints.
    """
    total = weights.sum(1)
    points = np.nan_to_num(keypoints)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.einsum("nj,njc->nc", weights, points) / total[:, None]
        spread = np.einsum("nj,njc->n", weights, (points - mean[:, None]) ** 2) / total
    return np.where((weights > 0).sum(1) >= 2, 1.8 * np.sqrt(spread), np.nan)


def oks(
    a: Array, a_weights: Array, b: Array, b_weights: Array, size: Array, sigmas: Array, drift: Array | float = 0.0
) -> Array:
    """Similarity in [0,1] of every pose of a with every pose of b: (A,J,2), (B,J,2) px -> (A,B).

    Args:
        a_weights, b_weights: (A,J), (B,J), 0 where a joint is missing; joints missing in either do not count.
        size: (A,) px, the scale of the poses of a.
        sigmas: (J,) relative to the size.
        drift: (A,) relative to the size, by how much joints may have moved besides; it softens the comparison.
    """
    weights = np.sqrt(a_weights[:, None] * b_weights[None])  # (A,B,J)
    gap = np.nan_to_num(a[:, None] - b[None])
    tolerance = (2 * sigmas) ** 2 + np.broadcast_to(drift, size.shape)[:, None] ** 2  # (A,J)
    near = np.exp(-(gap**2).sum(-1) / (2 * (size[:, None] ** 2 * tolerance)[:, None]))
    total = weights.sum(-1)
    return np.where(total > 0, (near * weights).sum(-1) / np.maximum(total, 1e-9), 0.0)


def oks_of_pairs(
    a: Array, a_weights: Array, b: Array, b_weights: Array, size: Array, sigmas: Array, drift: Array
) -> Array:
    """(N,) similarity of pose a[k] with pose b[k], (N,J,2) px each; the other arguments as for `oks`."""
    weights = np.sqrt(a_weights * b_weights)
    tolerance = (2 * sigmas) ** 2 + drift[:, None] ** 2
    near = np.exp(-(np.nan_to_num(a - b) ** 2).sum(-1) / (2 * size[:, None] ** 2 * tolerance))
    return (near * weights).sum(-1) / np.maximum(weights.sum(-1), 1e-9)
