"""Who is who in the views of unknown cameras, from the lifted poses alone.

The same person's poses in two views differ by one turn, that of the cameras, and by nothing else. So for every pair of
views a turn is sought that brings as many people as possible onto each other at once: people in similar poses look
alike by themselves, but a turn that is right for one pair of people is right for all pairs of the same two views.
Similarity is `exp(-miss / 50 mm)`, the miss the mean distance of joints under the common turn. Of long clips evenly
spread moments are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from multiview.procrustes import common_turn
from pipeline.results import Array, Motion3D

WIDTH_M = 0.05  # of the similarity
LEAST_SIMILARITY = 0.025  # a miss of 184 mm: lifts of one person from opposite sides may differ by that
LEAST_TOGETHER = 8  # moments
CLEAR = 1.15  # the best turn's sum of similarities over that of the best one with other pairs
BELIEVED_M = 0.15  # a joint that misses by more counts less and less
WINDOW_S = 0.35  # of a moving camera's turn
MOST = 6000  # moments that are compared, over all pairs of two views' tracks: 7 MB
FEW = 32  # of one pair of tracks are compared at least, where it has so many
GRAIN_S, RUN_S = 0.1, 1.0  # moving cameras: moments that far apart, in runs of that length, to lean on their neighbours


@dataclass(frozen=True)
class Identity:
    """Who is who: the people of a scene, those of several views and of one, by how alike they move."""

    groups: list[dict[int, int]]  # per person of the scene: view -> index of the track in that view
    similarity: list[float]  # per person: mean over its pairs of views that meet; 0 where only one view has it
    doubtful: list[tuple[int, int]]  # pairs of views in which another matching fits nearly as well


@dataclass(frozen=True)
class _Met:
    """Two views of A and B tracks: N times two of them were there together, in the order of time."""

    count: tuple[int, int]
    pair: Array  # (N,) int: a * B + b
    times: Array  # (N,) s
    first: Array  # (N,K,3) m, 0 where either is unknown
    second: Array  # (N,K,3)
    known: Array  # (N,K) bool
    window: float  # s, of the turn


@dataclass(frozen=True)
class _Match:
    views: tuple[int, int]
    similarity: Array  # (A,B) under the best turn; NaN where two tracks never meet
    clear: bool


def identify(motions: Sequence[Sequence[Motion3D]], times: Array, moving: Array | None = None) -> Identity:
    """Match people across views.

    Args:
        motions: per view its tracks, if any, lifted, frame "root", of one skeleton; `frames` count the scene's times.
        times: (T,) s.
        moving: (V,) bool; all still without it.

    Returns:
        Every track in exactly one group, no group with two tracks of one view; larger groups first.
    """
    moving = np.zeros(len(motions), bool) if moving is None else np.asarray(moving, bool)
    matches = [
        _match((a, b), _met(motions[a], motions[b], np.asarray(times, float), bool(moving[a] or moving[b])))
        for a, b in combinations(range(len(motions)), 2)
    ]
    groups, similarity = _merge([len(view) for view in motions], matches)
    return Identity(groups, similarity, [match.views for match in matches if not match.clear])


def _met(first: Sequence[Motion3D], second: Sequence[Motion3D], times: Array, moves: bool) -> _Met:
    """Every pair of tracks that meet, at moments that are spread over the clip and over the shortest meetings."""
    rate = 1 / np.median(np.diff(times)) if len(times) > 1 else 1.0
    grain, run = (max(1, round(seconds * rate)) for seconds in ((GRAIN_S, RUN_S) if moves else (0, 0)))
    shared = {}
    for a, one in enumerate(first):
        for b, other in enumerate(second):
            frames = np.intersect1d(_there(one), _there(other), assume_unique=True)
            if len(frames) >= LEAST_TOGETHER:
                shared[a, b] = frames
    step, clock = max(1, -(-sum(map(len, shared.values())) // (grain * MOST))), np.arange(len(times))
    chosen = (clock % grain == 0) & (clock // run % step == 0)
    for frames in shared.values():
        if chosen[frames].sum() < FEW:
            chosen[frames[np.linspace(0, len(frames) - 1, FEW).round().astype(int)]] = True
    pairs, at, poses = [], [], []
    for (a, b), frames in shared.items():
        some = frames[chosen[frames]]
        pairs.append(np.full(len(some), a * len(second) + b))
        at.append(some)
        poses.append([m.joints[some - m.frames[0]] for m in (first[a], second[b])])
    count, window = (len(first), len(second)), WINDOW_S if moves else np.inf
    if not shared:
        nothing = np.zeros((0, 1, 3))
        return _Met(count, np.zeros(0, int), np.zeros(0), nothing, nothing, np.zeros((0, 1), bool), window)
    order = np.argsort(np.concatenate(at), kind="stable")
    x, y = (np.concatenate(side)[order] for side in zip(*poses, strict=True))
    known = np.isfinite(x).all(-1) & np.isfinite(y).all(-1)
    x, y = (np.where(known[..., None], side, 0.0) for side in (x, y))
    return _Met(count, np.concatenate(pairs)[order], times[np.concatenate(at)[order]], x, y, known, window)


def _there(motion: Motion3D) -> Array:
    """The frames in which some joint is known."""
    return motion.frames[np.isfinite(motion.joints).all(-1).any(-1)]


def _match(views: tuple[int, int], met: _Met) -> _Match:
    """Try the turn of every pair of tracks, and refine it by all pairs that it brings together."""
    meet = np.unique(met.pair)
    best = np.full(met.count, np.nan)
    best.flat[meet] = 0.0
    tried: dict[tuple[int, ...], tuple[float, Array]] = {}
    for pair in meet.tolist():
        pairs, total, table = _consistent([pair], met)
        if pairs and total > tried.get(pairs, (0.0, table))[0]:
            tried[pairs] = total, table
    if not tried:
        return _Match(views, best, True)
    ranked = sorted(tried.items(), key=lambda item: (-item[1][0], item[0]))
    best.flat[meet] = ranked[0][1][1].flat[meet]
    return _Match(views, best, len(ranked) < 2 or ranked[0][1][0] > CLEAR * ranked[1][1][0])


def _consistent(pairs: list[int], met: _Met, rounds: int = 4) -> tuple[tuple[int, ...], float, Array]:
    """Turn by the pairs, pair by the turn, until they stay: the pairs, their similarity, the table (A,B)."""
    for _ in range(rounds):
        table = _similarities(met, pairs)
        rows, columns = linear_sum_assignment(-table)
        good = table[rows, columns] >= LEAST_SIMILARITY
        kept = (rows[good] * met.count[1] + columns[good]).tolist()
        if not kept or kept == pairs:
            break
        pairs = kept
    return tuple(kept), float(table.flat[kept].sum()), table


def _similarities(met: _Met, pairs: list[int]) -> Array:
    """(A,B) in [0,1] of all pairs of tracks under the turn that fits the given ones; 0 where two tracks never meet."""
    chosen = np.isin(met.pair, pairs)
    first, second, known, times = (part[chosen] for part in (met.first, met.second, met.known, met.times))
    turn = common_turn(first[None], second[None], known[None].astype(float), times, met.window, BELIEVED_M)
    near = np.ones(len(met.times), bool)
    if len(turn) > 1:  # of a moving camera, that of the nearest moment
        after = np.searchsorted(times, met.times).clip(1, len(times) - 1)
        nearest = after - (met.times - times[after - 1] < times[after] - met.times)
        near = np.abs(times[nearest] - met.times) <= 4 * met.window
        turn = turn[nearest]
    miss = np.linalg.norm(met.first @ np.swapaxes(turn, -1, -2) - met.second, axis=-1)
    counts = met.known & near[:, None]
    size = met.count[0] * met.count[1]
    total = np.bincount(met.pair, (miss * counts).sum(-1), minlength=size)
    number = np.bincount(met.pair, counts.sum(-1), minlength=size)
    table = np.where(number > 0, np.exp(-total / np.maximum(number, 1) / WIDTH_M), 0.0)
    return table.reshape(met.count)


def _merge(counts: list[int], matches: list[_Match]) -> tuple[list[dict[int, int]], list[float]]:
    """Groups by the mean similarity of their tracks that meet, the most similar first, no two tracks of one view."""
    starts = np.concatenate([[0], np.cumsum(counts)])
    total, met = np.zeros((2, starts[-1], starts[-1]))  # of groups, each a single track first
    for match in matches:
        (a, b), told = match.views, np.isfinite(match.similarity)
        rows, columns = slice(starts[a], starts[a + 1]), slice(starts[b], starts[b + 1])
        total[rows, columns], met[rows, columns] = np.where(told, match.similarity, 0.0), told
    total, met = total + total.T, met + met.T
    view = np.repeat(np.arange(len(counts)), counts)
    apart, groups = view[:, None] != view, [[(v, t)] for v, count in enumerate(counts) for t in range(count)]
    inside = np.zeros((2, len(groups)))  # sum and count of the similarities within each group
    while len(groups) > 1:
        mean = np.where(apart & (met > 0), total / np.maximum(met, 1), 0.0)
        i, j = sorted(map(int, np.unravel_index(np.argmax(mean), mean.shape)))
        if mean[i, j] <= LEAST_SIMILARITY:
            break
        groups[i] += groups.pop(j)
        inside[:, i] += inside[:, j] + (total[i, j], met[i, j])
        total[i], met[i], apart[i] = total[i] + total[j], met[i] + met[j], apart[i] & apart[j]
        total[:, i], met[:, i], apart[:, i] = total[i], met[i], apart[i]
        total, met, apart = (np.delete(np.delete(table, j, 0), j, 1) for table in (total, met, apart))
        inside = np.delete(inside, j, 1)
    similar = (inside[0] / np.maximum(inside[1], 1)).tolist()
    order = sorted(range(len(groups)), key=lambda g: (-len(groups[g]), sorted(groups[g])))
    return [dict(sorted(groups[g])) for g in order], [similar[g] for g in order]
