"""Triangulation with known cameras, robust to wrong detections: the largest set of views that agree.

Every set of views gives a point by least squares, linear first, then on the reprojection error in pixels. Where all
views that see a joint agree within a threshold, they are used; where not, all smaller sets are tried, the largest
first. For many views that takes too long: there all pairs of views propose a point (the minimal sets of RANSAC,
Fischler and Bolles 1981, but all of them, so without chance), and to the one with the least truncated error the views
are added in the order of their errors as long as they agree. At last Gauss-Newton steps with Huber's weights refine the
point (Huber 1964; Hartley and Zisserman, chapter 12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from multiview.sights import Sights, sights
from pipeline.projection import during
from pipeline.results import Array, Camera

THRESHOLD_PX = 15.0  # mean error of views that agree, in a picture whose shorter side is 1080 px
FARTHEST = 2.0  # thresholds: no view that agrees is farther off
HUBER = 0.33  # of the threshold: from there on an error counts linearly
NOISE = 0.2  # of the threshold: the standard deviation of a good keypoint that the covariance assumes
LEAST_ANGLE = np.radians(2.0)
STEPS = 3
MOST_VIEWS = 6  # up to which all sets of views are tried: 57
AT_ONCE = 128  # frames: what fits the processor's cache


@dataclass(frozen=True)
class Triangulated:
    """Points of T times and J joints from V views; NaN with score 0 where no two views agree."""

    points: Array  # (T,J,3) m, world
    scores: Array  # (T,J) in [0,1]: mean score of the views used, less where views disagree
    views: Array  # (T,J) int: how many views were used
    used: Array  # (V,T,J) bool
    error_px: Array  # (T,J) mean reprojection error of the views used
    angle_rad: Array  # (T,J) largest angle between two rays used
    covariance: Array  # (T,J,3,3) m^2, for keypoints with a standard deviation of NOISE * threshold


def triangulate(
    cameras: Sequence[Camera],
    keypoints: Array,
    scores: Array,
    threshold_px: float = THRESHOLD_PX,
    least_angle_rad: float = LEAST_ANGLE,
    near: Array | None = None,
) -> Triangulated:
    """Keypoints (V,T,J,2) px with scores (V,T,J) of one person in V views -> points in the world.

    Args:
        cameras: one per view, still or with one pose per time.
        threshold_px: in a picture whose shorter side is 1080 px; it grows with the picture.
        least_angle_rad: rays that all meet under a smaller angle give no depth, so no point.
        near: (T,J,3) m about where the points are, NaN where that is unknown: of views that contradict each other those
            are used that see the joint there, even where others agree better.

    Raises:
        ValueError: shapes that do not belong together.
    """
    scores = np.asarray(scores)
    parts = []
    for begin in range(0, max(scores.shape[1], 1), AT_ONCE):
        here = slice(begin, begin + AT_ONCE)
        seen = sights([during(c, here) for c in cameras], np.asarray(keypoints)[:, here], scores[:, here])
        about = None if near is None else np.asarray(near, float)[here].reshape(-1, 3).T
        parts.append(_triangulate(seen, scores[:, here].shape, threshold_px, least_angle_rad, about))
    axis = {"used": 1}
    return Triangulated(
        **{n: np.concatenate([p[n] for p in parts], axis=axis.get(n, 0)) for n in Triangulated.__dataclass_fields__}
    )


def _triangulate(
    seen: Sights, shape: tuple[int, ...], threshold_px: float, least_angle: float, near: Array | None
) -> dict[str, Array]:
    limit = threshold_px * seen.unit
    places, used = agreeing(seen, limit) if near is None else _seen_near(seen, near, limit)
    places = places + sum_of_steps(seen, places, used, limit)
    off, depth = seen.errors(places)
    size = np.sqrt((off**2).sum(1))
    count = used.sum(axis=0)
    wide = widest_angle(seen, places, used)
    depth = np.where(used, depth, 1.0)  # unseen joints have none
    known = (count >= 2) & (wide >= least_angle) & (depth > 0).all(axis=0)
    used &= known
    normal = _normal(seen, np.where(used, seen.weights / (NOISE * limit * depth) ** 2, 0.0))
    error = np.where(used, size, 0.0).sum(axis=0) / np.maximum(count, 1)
    flat = {
        "points": np.where(known, places, np.nan).T,
        "scores": _scores(seen, used, size / limit),
        "views": np.where(known, count, 0),
        "error_px": np.where(known, error, np.nan),
        "angle_rad": np.where(known, wide, np.nan),
        "covariance": np.where(known[:, None, None], _inverse(normal), np.nan),
    }
    return {n: a.reshape(*shape[1:], *a.shape[1:]) for n, a in flat.items()} | {"used": used.reshape(shape)}


def agreeing(seen: Sights, limit: Array) -> tuple[Array, Array]:
    """Points (3,N) m and the views (V,N) bool that agree on each: the largest set of them."""
    used = seen.weights > 0
    places = _fit(seen, used)
    unsure = np.flatnonzero(_misfit(seen, places, used, limit) >= 1)
    if len(unsure):
        part = seen.some(unsure)
        found = _every_set(part, limit) if len(used) <= MOST_VIEWS else _grown(part, _best_pair(part, limit), limit)
        places[:, unsure], used[:, unsure] = found
    return places, used


def _seen_near(seen: Sights, near: Array, limit: Array) -> tuple[Array, Array]:
    """As `agreeing`, of the views (V,N) that see the points about where they are, (3,N) m."""
    off, depth = seen.errors(np.nan_to_num(near))
    close = ((off**2).sum(1) < (FARTHEST * limit) ** 2) & (depth > 0)
    used = np.where(np.isfinite(near).all(axis=0), close, True) & (seen.weights > 0)
    return agreeing(Sights(seen.rows, seen.axis, np.where(used, seen.weights, 0.0), seen.centres, seen.unit), limit)


def _every_set(seen: Sights, limit: Array) -> tuple[Array, Array]:
    """Of all sets of views that agree the largest; of several the one with the least mean error."""
    there = seen.weights > 0
    best = np.full(there.shape[1], 1.0)
    places, used = np.zeros((3, len(best))), np.zeros(there.shape, bool)
    for count in range(len(there), 1, -1):
        left = best >= 1
        for chosen in combinations(range(len(there)), count):
            here = np.flatnonzero(left & there[list(chosen)].all(axis=0))
            if len(here):
                part, tried = seen.some(here), np.zeros((len(there), len(here)), bool)
                tried[list(chosen)] = True
                fitted = _fit(part, tried)
                misfit = _misfit(part, fitted, tried, limit)
                better = misfit < best[here]
                at = here[better]
                best[at], places[:, at], used[:, at] = misfit[better], fitted[:, better], tried[:, better]
    return places, used


def _grown(seen: Sights, start: Array, limit: Array) -> tuple[Array, Array]:
    """From a pair's point (3,N): the most of the views, taken in order of their errors there, that agree."""
    off, depth = seen.errors(start)
    size = np.where((seen.weights > 0) & (depth > 0), (off**2).sum(1) / limit**2, np.inf)
    rank = np.argsort(np.argsort(size, axis=0, kind="stable"), axis=0, kind="stable")
    places, used = start.copy(), np.zeros(size.shape, bool)
    left = np.arange(size.shape[1])
    for count in range(len(size), 1, -1):
        here = seen.some(left)
        tried = (rank[:, left] < count) & np.isfinite(size[:, left])
        fitted = _fit(here, tried)
        good = _misfit(here, fitted, tried, limit) < 1
        places[:, left[good]], used[:, left[good]] = fitted[:, good], tried[:, good]
        left = left[~good]
        if not len(left):
            break
    return places, used


def _misfit(seen: Sights, places: Array, used: Array, limit: Array) -> Array:
    """(N,) mean error of the views used in thresholds; infinite where they cannot agree.

    That is fewer than two views, a place behind one of them, or one that is too far off for itself.
    """
    off, depth = seen.errors(places)
    size = np.where(used, np.sqrt((off**2).sum(1)) / limit, 0.0)
    weights = np.where(used, seen.weights, 0.0)
    mean = (weights * size).sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-12)
    front = (np.where(used, depth, 1.0) > 0).all(axis=0)
    return np.where((used.sum(axis=0) >= 2) & front & (size.max(axis=0) < FARTHEST), mean, np.inf)


def _best_pair(seen: Sights, limit: Array) -> Array:
    """(3,N) m: of the points of all pairs of views the one with the least truncated error over all views."""
    best = np.full(seen.weights.shape[1], np.inf)
    places = np.zeros((3, len(best)))
    for pair in combinations(range(len(seen.weights)), 2):
        used = np.zeros(seen.weights.shape, bool)
        used[list(pair)] = seen.weights[list(pair)] > 0
        tried = _fit(seen, used)
        off, depth = seen.errors(tried)
        cost = (seen.weights * np.minimum((off**2).sum(1) / limit**2, 1.0)).sum(axis=0)
        cost[(~used[list(pair)] | (depth[list(pair)] <= 0)).any(axis=0)] = np.inf
        better = cost < best
        best[better], places[:, better] = cost[better], tried[:, better]
    return places


def _fit(seen: Sights, used: Array) -> Array:
    """(3,N) m: weighted linear least squares, then again with the depths known, which makes it one of pixels."""
    weights = np.where(used, seen.weights, 0.0)
    places = _solve(_normal(seen, weights), -_right(seen, weights))
    depth = np.maximum(seen.errors(places)[1], 0.1)
    weights = weights / depth**2
    return _solve(_normal(seen, weights), -_right(seen, weights))


def sum_of_steps(seen: Sights, places: Array, used: Array, limit: Array) -> Array:
    """(3,N) m: what Gauss-Newton steps on Huber's error of the pixels move the places by."""
    start = places
    for _ in range(STEPS):
        off, depth = seen.errors(places)
        size = np.sqrt((off**2).sum(1))
        weights = np.where(used, seen.weights / np.maximum(size / (HUBER * limit), 1.0), 0.0)
        depth = np.where(used, depth, 1.0)  # unseen joints have none
        by = (seen.rows[:, :, :3] - off[:, :, None] * seen.axis[:, None, :3]) / depth[:, None, None]
        turned = weights[:, None, None] * by
        normal = np.stack([(turned[:, :, i] * by[:, :, j]).sum((0, 1)) for i, j in _UPPER])
        places = places - _solve(normal, (turned * off[:, :, None]).sum((0, 1)))
    return places - start


_UPPER = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # of a symmetric 3 x 3 matrix


def _normal(seen: Sights, weights: Array) -> Array:
    """(6,N): the upper half of the normal matrices of the linear equations with weights (V,N)."""
    r = seen.rows
    return np.stack([(weights * (r[:, 0, i] * r[:, 0, j] + r[:, 1, i] * r[:, 1, j])).sum(0) for i, j in _UPPER])


def _right(seen: Sights, weights: Array) -> Array:
    r = seen.rows
    return np.stack([(weights * (r[:, 0, i] * r[:, 0, 3] + r[:, 1, i] * r[:, 1, 3])).sum(0) for i in range(3)])


def _cofactors(normal: Array) -> tuple[Array, Array]:
    """(6,N) upper half of the adjugates, and the determinants (N,), never 0."""
    a, b, c, d, e, f = normal
    adjugate = np.stack([d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b])
    determinant = a * adjugate[0] + b * adjugate[1] + c * adjugate[2]
    return adjugate, np.where(np.abs(determinant) < 1e-300, np.inf, determinant)


def _solve(normal: Array, right: Array) -> Array:
    """(3,N): the solutions of symmetric 3 x 3 equations, 0 where there is none."""
    m, determinant = _cofactors(normal)
    x, y, z = right
    return np.stack([m[0] * x + m[1] * y + m[2] * z, m[1] * x + m[3] * y + m[4] * z,
                     m[2] * x + m[4] * y + m[5] * z]) / determinant  # fmt: skip


def _inverse(normal: Array) -> Array:
    """(N,3,3)"""
    m, determinant = _cofactors(normal)
    return (m[[0, 1, 2, 1, 3, 4, 2, 4, 5]] / determinant).T.reshape(-1, 3, 3)


def widest_angle(seen: Sights, places: Array, used: Array) -> Array:
    """(N,) rad: the largest angle between the rays of two views used; beyond a right angle what pi has left."""
    out = np.zeros(used.shape[1])
    ray = places - seen.centres
    ray = ray / np.maximum(np.sqrt((ray**2).sum(1, keepdims=True)), 1e-9)
    for a, b in combinations(range(len(used)), 2):
        sine = np.sqrt(np.maximum(1 - (ray[a] * ray[b]).sum(0) ** 2, 0.0))
        out = np.maximum(out, np.where(used[a] & used[b], sine, 0.0))
    return np.arcsin(np.minimum(out, 1.0))


def _scores(seen: Sights, used: Array, size: Array) -> Array:
    """Mean score of the views used, times the share of all views' scores that agrees, less by what they are off."""
    weights = np.where(used, seen.weights, 0.0)
    total, count = weights.sum(axis=0), used.sum(axis=0)
    agreed = total / np.maximum(seen.weights.sum(axis=0), 1e-12)
    off = (weights * size**2).sum(axis=0) / np.maximum(total, 1e-12)
    return np.where(count > 0, total / np.maximum(count, 1) * agreed * np.exp(-0.5 * off), 0.0)
