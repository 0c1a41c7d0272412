"""HOTA: Higher Order Tracking Accuracy (Luiten et al., IJCV 2021), of tracks and truth with any similarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from training.datasets.tracked import Array

ALPHAS = np.arange(1, 20) * 0.05  # similarities from which a match counts


def hota(true_ids: Array, ids: Array, frames: Sequence[tuple[Array, Array, Array]]) -> dict[str, float]:
    """`hota`, `deta`, `assa` and `loca` in [0,1]: means over the thresholds. NaN without truth and tracks.

    In each frame one matching serves all thresholds: the one of greatest similarity weighted by how well the two
    tracks agree over the whole clip (the paper's equation 11 and what follows it).

    Args:
        true_ids, ids: (N,), (M,) of the sightings.
        frames: of each, the rows in it (A,) of the N and (B,) of the M, and their similarity (A,B).
    """
    if not len(true_ids) + len(ids):
        return dict.fromkeys(("hota", "deta", "assa", "loca"), np.nan)
    true_names, true = np.unique(true_ids, return_inverse=True)
    names, predicted = np.unique(ids, return_inverse=True)
    together = np.bincount(true, minlength=len(true_names))[:, None] + np.bincount(predicted, minlength=len(names))
    agreement = _agreement(true, predicted, frames, together)
    matches = np.zeros((len(ALPHAS), *together.shape))
    located = np.zeros(len(ALPHAS))
    for rows, columns, alike in frames:
        a, b = true[rows], predicted[columns]
        r, c = linear_sum_assignment(-agreement[np.ix_(a, b)] * alike)
        good = alike[r, c] >= ALPHAS[:, None] - np.finfo(float).eps
        for k, hit in enumerate(good):
            matches[k, a[r[hit]], b[c[hit]]] += 1  # an id is in a frame once, so no pair is twice
        located += (alike[r, c] * good).sum(1)
    found = matches.sum((1, 2))
    deta = found / (len(true_ids) + len(ids) - found)
    assa = (matches**2 / np.maximum(together - matches, 1)).sum((1, 2)) / np.maximum(found, 1)
    loca = np.where(found > 0, located / np.maximum(found, 1), 1.0)
    parts = {"hota": np.sqrt(deta * assa), "deta": deta, "assa": assa, "loca": loca}
    return {name: float(values.mean()) for name, values in parts.items()}


def _agreement(true: Array, predicted: Array, frames: Sequence[tuple[Array, Array, Array]], together: Array) -> Array:
    """(I,K) Jaccard index of each pair of tracks, where a frame counts by the share that the pair has of it."""
    shared = np.zeros(together.shape)
    for rows, columns, alike in frames:
        every = alike.sum(0)[None] + alike.sum(1)[:, None] - alike
        share = np.divide(alike, every, out=np.zeros_like(alike), where=every > np.finfo(float).eps)
        shared[np.ix_(true[rows], predicted[columns])] += share
    return shared / np.maximum(together - shared, np.finfo(float).eps)
