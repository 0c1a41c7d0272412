"""Who is who in the views of unknown cameras, from the lifted poses alone.

The same person's poses in two views differ by one turn, that of the cameras, and by nothing else. So for every pair of
views a turn is sought that brings as many people as possible onto each other at once: people in similar poses look
alike by themselves, but a turn that is right for one pair of people is right for all pairs of the same two views.
Similarity is `exp(-miss / 50 mm)`, the miss the mean distance of joints under the common turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from multiview.procrustes import common_turn
from pipeline.results import Array

WIDTH_M = 0.05  # of the similarity
LEAST_SIMILARITY = 0.025  # a miss of 184 mm: lifts of one person from opposite sides may differ by that
LEAST_TOGETHER = 8  # moments
CLEAR = 1.15  # the best turn's sum of similarities over that of the best one with other pairs
BELIEVED_M = 0.15  # a joint that misses by more counts less and less
WINDOW_S = 0.35  # of a moving camera's turn


@dataclass(frozen=True)
class Identity:
    """Who is who: the people of a scene, those of several views and of one, by how alike they move."""

    groups: list[dict[int, int]]  # per person of the scene: view -> index of the track in that view
    similarity: list[float]  # per person: mean over its pairs of views; 0 where only one view has it
    doubtful: list[tuple[int, int]]  # pairs of views in which another matching fits nearly as well


@dataclass(frozen=True)
class _Match:
    views: tuple[int, int]
    similarity: Array  # (A,B) under the best turn; 0 where two tracks never meet
    total: float
    clear: bool


def identify(poses: list[Array], times: Array, moving: Array | None = None) -> Identity:
    """Match people across views.

    Args:
        poses: per view (N,T,K,3) m: its N tracks on the common clock, relative to the pelvis, camera axes; NaN where a
            track is absent. N may be 0.
        times: (T,) s.
        moving: (V,) bool; all still without it.

    Returns:
        Every track in exactly one group, no group with two tracks of one view; larger groups first.
    """
    moving = np.zeros(len(poses), bool) if moving is None else np.asarray(moving, bool)
    matches = [
        _match((a, b), poses[a], poses[b], times, bool(moving[a] or moving[b]))
        for a, b in combinations(range(len(poses)), 2)
        if len(poses[a]) and len(poses[b])
    ]
    groups, similarity = _merge([len(tracks) for tracks in poses], matches)
    return Identity(groups, similarity, [match.views for match in matches if not match.clear])


def _match(views: tuple[int, int], first: Array, second: Array, times: Array, moves: bool) -> _Match:
    """Try the turn of every pair of tracks, and refine it by all pairs that it brings together."""
    tried: dict[tuple[tuple[int, int], ...], tuple[float, Array]] = {}
    for a in range(len(first)):
        for b in range(len(second)):
            pairs, total, table = _consistent([(a, b)], first, second, times, moves)
            if pairs and total > tried.get(pairs, (0.0, table))[0]:
                tried[pairs] = total, table
    if not tried:
        return _Match(views, np.zeros((len(first), len(second))), 0.0, True)
    ranked = sorted(tried.items(), key=lambda item: (-item[1][0], item[0]))
    total, table = ranked[0][1]
    clear = len(ranked) < 2 or total > CLEAR * ranked[1][1][0]
    return _Match(views, table, total, clear)


def _consistent(
    pairs: list[tuple[int, int]], first: Array, second: Array, times: Array, moves: bool, rounds: int = 4
) -> tuple[tuple[tuple[int, int], ...], float, Array]:
    """Turn by the pairs, pair by the turn, until they stay: the pairs, their similarity, the table (A,B)."""
    table = np.zeros((len(first), len(second)))
    for _ in range(rounds):
        a, b = (np.array(side) for side in zip(*pairs, strict=True))
        turn = _common_turn(first[a], second[b], times, moves)
        if turn is None:
            return (), 0.0, table
        table = similarities(first, second, turn)
        rows, columns = linear_sum_assignment(-table)
        kept = [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if table[r, c] >= LEAST_SIMILARITY]
        if not kept or kept == pairs:
            break
        pairs = kept
    return tuple(kept), float(sum(table[pair] for pair in kept)), table


def _common_turn(first: Array, second: Array, times: Array, moves: bool) -> Array | None:
    """(T,3,3) from the first view's axes to the second's by all pairs (M,T,K,3); None where they never meet."""
    known = np.isfinite(first).all(-1) & np.isfinite(second).all(-1)
    if known.any(-1).sum() < LEAST_TOGETHER:
        return None
    x, y = np.nan_to_num(first), np.nan_to_num(second)
    return common_turn(x, y, known.astype(np.float64), times, WINDOW_S if moves else np.inf, BELIEVED_M)


def similarities(first: Array, second: Array, turn: Array) -> Array:
    """(A,B) in [0,1] of tracks (A,T,K,3) and (B,T,K,3) under the turn (T,3,3); 0 where two tracks never meet."""
    turned = np.einsum("tij,atkj->atki", turn, first)
    table = np.zeros((len(first), len(second)))
    for a in range(len(first)):
        miss = np.linalg.norm(second - turned[a], axis=-1).reshape(len(second), -1)
        known = np.isfinite(miss)
        together = np.isfinite(second - turned[a]).all(-1).any(-1).sum(-1) >= LEAST_TOGETHER
        mean = np.where(known, miss, 0.0).sum(-1) / np.maximum(known.sum(-1), 1)
        table[a] = np.where(together, np.exp(-mean / WIDTH_M), 0.0)
    return table


def _merge(counts: list[int], matches: list[_Match]) -> tuple[list[dict[int, int]], list[float]]:
    """Groups by average similarity, the most similar first, never two tracks of one view in one."""
    table = {}
    for match in matches:
        a, b = match.views
        for i, j in np.ndindex(match.similarity.shape):
            table[(a, i), (b, j)] = table[(b, j), (a, i)] = float(match.similarity[i, j])
    groups = [[(view, track)] for view, count in enumerate(counts) for track in range(count)]
    while True:
        best, pair = LEAST_SIMILARITY, None
        for i, j in combinations(range(len(groups)), 2):
            if {view for view, _ in groups[i]} & {view for view, _ in groups[j]}:
                continue
            value = float(np.mean([table.get((m, n), 0.0) for m in groups[i] for n in groups[j]]))
            if value > best:
                best, pair = value, (i, j)
        if pair is None:
            break
        groups[pair[0]] += groups.pop(pair[1])
    groups.sort(key=lambda group: (-len(group), sorted(group)))
    values = [[table.get(pair, 0.0) for pair in combinations(group, 2)] for group in groups]
    return [dict(sorted(group)) for group in groups], [float(np.mean(row)) if row else 0.0 for row in values]
