"""Pose flow NMS: of tracks that are on the same person in the same frames, one is made (Xiu et al., BMVC 2018).

Two poses are as similar as their joints coincide, each weighted by how sure the detector is of it in both; two flows as
the median of that over the frames that they share. The surest flow takes in those that repeat it, and with them what
they know of other frames: so flows are joined, too, that share no frame with each other. Where several have a pose,
joints are means, weighted by their scores.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import combinations

import numpy as np

from pipeline.results import Array
from trackers.pool import Pool

NEAR = 0.1  # side of the square around a joint in which it is the same, in longer sides of the person's box
SAME = 0.5  # similarity of flows that are of one person

Pair = tuple[int, int]  # ids, the smaller first


def merged(pool: Pool, given: Array) -> tuple[Pool, Array]:
    """Rows of a pool with their ids (N,), -1 nobody -> the same with flows that repeat others made one.

    Of the rows of a frame that become one, one gets the mean and the others are nobody.
    """
    owner = _owners(_sureness(pool, given), _shared(pool, given))
    ids = np.array([owner.get(int(number), -1) for number in given], given.dtype)
    keypoints, scores = pool.keypoints.copy(), pool.scores.copy()
    for begin, end in _crowded(pool):
        for number in np.unique(ids[begin:end]):
            rows = begin + np.flatnonzero(ids[begin:end] == number)
            if number >= 0 and len(rows) > 1:
                rows = rows[np.argsort(given[rows] != number, kind="stable")]  # the owner's own first
                keypoints[rows[0]], scores[rows[0]] = _mean(pool, rows)
                ids[rows[1:]] = -1
    return replace(pool, keypoints=keypoints, scores=scores), ids


def similarity(keypoints: Array, scores: Array) -> Array:
    """(P,J,2) px, (P,J) -> (P,P) in [0,1]: share of the joints of two poses that coincide, by tanh of their scores."""
    known = np.isfinite(keypoints) & (scores > 0)[..., None]
    side = np.where(known, keypoints, -np.inf).max(1) - np.where(known, keypoints, np.inf).min(1)
    reach = NEAR / 2 * np.nan_to_num(side, neginf=0).max(-1)
    off = np.abs(keypoints[:, None] - keypoints[None]).max(-1)  # (P,P,J)
    near = off <= np.minimum(reach[:, None], reach[None])[..., None]
    weight = np.tanh(scores[:, None]) * np.tanh(scores[None])
    return (weight * near).sum(-1) / np.maximum(weight.sum(-1), 1e-9)


def _crowded(pool: Pool) -> list[Pair]:
    """First row and the one behind the last of every frame with several people."""
    return [(int(b), int(e)) for b, e in zip(pool.first[:-1], pool.first[1:], strict=True) if e - b > 1]


def _sureness(pool: Pool, given: Array) -> dict[int, float]:
    """Of each id: the mean scores of its poses, summed."""
    numbers, inverse = np.unique(given, return_inverse=True)
    total = np.bincount(inverse, pool.scores.mean(1))
    return {int(n): float(t) for n, t in zip(numbers, total, strict=True) if n >= 0}


def _shared(pool: Pool, given: Array) -> dict[Pair, float]:
    """Of ids that are in the same frames: the median similarity there."""
    found: dict[Pair, list[float]] = defaultdict(list)
    for begin, end in _crowded(pool):
        table = similarity(pool.keypoints[begin:end], pool.scores[begin:end])
        for one, other in combinations(range(end - begin), 2):
            low, high = sorted((int(given[begin + one]), int(given[begin + other])))
            if low >= 0:
                found[low, high].append(float(table[one, other]))
    return {pair: float(np.median(values)) for pair, values in found.items()}


def _owners(sure: dict[int, float], alike: dict[Pair, float]) -> dict[int, int]:
    """Each id -> the id that it becomes: the surest first, with all that repeat it and contradict none it has taken."""
    owner: dict[int, int] = {}
    order = sorted(sure, key=lambda number: (-sure[number], number))
    for reference in order:
        if reference in owner:
            continue
        taken = [reference]
        for other in order:
            near = [alike.get((min(one, other), max(one, other))) for one in taken]
            if other not in owner and near[0] is not None and all(a is None or a > SAME for a in near):
                taken.append(other)
        owner |= dict.fromkeys(taken, reference)
    return owner


def _mean(pool: Pool, rows: Array) -> tuple[Array, Array]:
    """(J,2) px and (J,): of the rows that know a joint, weighted by scores."""
    weights = pool.scores[rows]
    total, count = weights.sum(0), (weights > 0).sum(0)
    place = np.einsum("rj,rjc->jc", weights, np.nan_to_num(pool.keypoints[rows]))
    known = np.where((total > 0)[:, None], place / np.maximum(total, 1e-9)[:, None], np.nan)
    return known, total / np.maximum(count, 1)
