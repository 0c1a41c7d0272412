"""What people look like, as distances that mean the same in every clip, and where one look passes into another.

The detector's appearance is a vector of non-negative parts, such as colour histograms. Square roots of the parts make
its Euclidean distance that of Hellinger. Then the clip itself tells the scale: how far apart people are who are seen
at the same time, and how far one person is from themselves a while later. A frame counts only where nobody else who
was detected covers or is covered by the person.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.results import Array
from pipeline.skeletons import skeleton
from trackers.linking import Tracklet
from trackers.pool import TORSO, Pool

OVERLAP = 0.15  # share of a trunk that another one's box may cover in a frame that shows the person alone
TELLING = 1.5  # times as far apart as one person from themselves two people must be
LATER_S = 0.5  # how much later a person is compared with themselves
WINDOW_S = 0.4  # before and after a change of look
CLEAR = 1.75  # times the scatter within both windows that a change must be
FEWEST = 3  # frames alone that show how somebody looks


def with_looks(pool: Pool, tracklets: list[Tracklet]) -> Pool:
    """The pool with `look` set, where the detector gives appearances that tell this clip's people apart.

    `look` is scaled so that two people are about 1 apart, less where one person varies almost as much as two differ.
    """
    if pool.appearance is None:
        return pool
    look = np.where(_alone(pool)[:, None], np.sqrt(np.maximum(pool.appearance, 0, dtype=float)), np.nan)
    between, within = _usual(_of_different_people(pool, look)), _usual(_of_one_person(pool, look, tracklets))
    if not between > TELLING * within:
        return pool
    return replace(pool, look=look * np.sqrt(1 - (within / between) ** 2) / between)


def jumps(pool: Pool, rows: Array) -> Array:
    """(n,) how far the look before each row of a tracklet is from that of the row and after it; 0 where unclear."""
    far = np.zeros(len(rows))
    if pool.look is None:
        return far
    seen = np.flatnonzero(np.isfinite(pool.look[rows]).all(1))
    look, time = pool.look[rows[seen]], pool.time[rows[seen]]
    since, until = np.searchsorted(time, time - WINDOW_S), np.searchsorted(time, time + WINDOW_S, "right")
    for k in range(FEWEST, len(seen) - FEWEST + 1):
        before, after = look[min(since[k - 1], k - FEWEST) : k], look[k : max(until[k], k + FEWEST)]
        gap = float(np.linalg.norm(before.mean(0) - after.mean(0)))
        scatter = np.sqrt((before.var(0).sum() + after.var(0).sum()) / 2)
        if gap > CLEAR * scatter:
            at = _most_abrupt(pool, rows[seen[k - 1] : seen[k] + 1])
            far[seen[k - 1] + at] = max(gap, far[seen[k - 1] + at])
    return far


def _most_abrupt(pool: Pool, rows: Array) -> int:
    """Which link of rows that do not show the person alone changes the raw appearance most: 1 is the first."""
    raw = np.sqrt(np.maximum(pool.appearance[rows], 0, dtype=float))
    return 1 + int(np.argmax(np.linalg.norm(np.diff(raw, axis=0), axis=1)))


def typical(pool: Pool, rows: Array) -> Array | None:
    """(D,) the median look of these rows, NaN where too few of them show the person alone."""
    if pool.look is None:
        return None
    seen = pool.look[rows]
    seen = seen[np.isfinite(seen).all(1)]
    return np.median(seen, axis=0) if len(seen) >= FEWEST else np.full(pool.look.shape[1], np.nan)


def _alone(pool: Pool) -> Array:
    """(N,) bool: no other body of the frame lies over more than a small part of the trunk, or under it."""
    trunk = _box(pool, skeleton(pool.skeleton).index(*TORSO))
    body = _box(pool, skeleton(pool.skeleton).index(*TORSO, "left_knee", "right_knee"))
    alone = np.ones(len(pool), bool)
    for begin, end in zip(pool.first[:-1], pool.first[1:], strict=True):
        for row in range(begin, end):
            others = np.delete(np.arange(begin, end), row - begin)
            corner = np.minimum(trunk[row, 2:], body[others, 2:]) - np.maximum(trunk[row, :2], body[others, :2])
            area = np.prod(np.maximum(corner, 0), axis=1)
            alone[row] = area.max(initial=0) <= OVERLAP * max(np.prod(trunk[row, 2:] - trunk[row, :2]), 1.0)
    return alone


def _box(pool: Pool, joints: list[int]) -> Array:
    """(N,4) px round some joints, a little wider than the bones since flesh is."""
    points = pool.keypoints[:, joints]
    known = np.isfinite(points)
    low = np.where(known, points, np.inf).min(1) - 0.1 * pool.size[:, None]
    high = np.where(known, points, -np.inf).max(1) + 0.1 * pool.size[:, None]
    return np.concatenate([low, high], axis=1)


def _of_different_people(pool: Pool, look: Array) -> Array:
    """Distances between all who are seen in the same frame."""
    found = []
    for begin, end in zip(pool.first[:-1], pool.first[1:], strict=True):
        i, j = np.triu_indices(end - begin, 1)
        found.append(np.linalg.norm(look[begin + i] - look[begin + j], axis=1))
    return np.concatenate(found)


def _of_one_person(pool: Pool, look: Array, tracklets: list[Tracklet]) -> Array:
    """Distances within tracklets, between frames that are LATER_S apart."""
    found = [np.zeros(0)]
    for tracklet in tracklets:
        rows = np.array(tracklet.rows)
        later = np.searchsorted(pool.time[rows], pool.time[rows] + LATER_S)
        there = later < len(rows)
        found.append(np.linalg.norm(look[rows[there]] - look[rows[later[there]]], axis=1))
    return np.concatenate(found)


def _usual(distances: Array) -> float:
    distances = distances[np.isfinite(distances)]
    return float(np.median(distances)) if len(distances) else 0.0
