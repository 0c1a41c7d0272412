"""Which piece goes on as which: a global assignment of ends to beginnings, the surest links first."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from pipeline.results import Array
from trackers.cutting import Piece
from trackers.evidence import Strand, costs, known, strand
from trackers.pool import Pool

LIMIT = 18.0  # a continuation that costs more is none
MARGINS = (8.0, 4.0, 2.0, 1.0, -np.inf)  # by which a continuation must beat all others, round by round
REVISIONS = 3
KNOWN_FOR = 2.0  # times as long a gap is bridged where the looks agree


def stitch(pool: Pool, pieces: list[Piece], max_gap_s: float, size: tuple[int, int]) -> list[Piece]:
    """Join pieces, the surest continuations first, so that the doubtful ones are decided with long pieces.

    Args:
        pieces: in the order of their first rows.
        size: (w, h) px of the picture.
    """
    if not pieces:
        return []
    found = _surest_first(pool, pieces, max_gap_s, size)
    for _ in range(REVISIONS):
        revised = _revise(pool, pieces, found, max_gap_s, size)
        if [len(p.rows) for p in revised] == [len(p.rows) for p in found]:
            break
        found = revised
    return found


def _surest_first(pool: Pool, pieces: list[Piece], max_gap_s: float, size: tuple[int, int]) -> list[Piece]:
    strands = [strand(pool, piece) for piece in pieces]
    for margin in MARGINS:
        while len(strands) > 1:
            before, after = _candidates(pool, strands, max_gap_s)
            links = _sure_links(before, after, costs(pool, strands, before, after, size), len(strands), margin)
            if not links:
                break
            strands = _join(pool, strands, links)
    return [s.piece for s in strands]


def _revise(
    pool: Pool, pieces: list[Piece], tracks: list[Piece], max_gap_s: float, size: tuple[int, int]
) -> list[Piece]:
    """All links decided once more and together, each end judged by the whole track that it was found to belong to."""
    of_row = np.empty(len(pool), int)
    for number, track in enumerate(tracks):
        of_row[track.rows] = number
    strands = [strand(pool, piece, tracks[of_row[piece.rows[0]]]) for piece in pieces]
    before, after = _candidates(pool, strands, max_gap_s)
    links = _sure_links(before, after, costs(pool, strands, before, after, size), len(strands), -np.inf)
    return [s.piece for s in _join(pool, strands, links)]


def _candidates(pool: Pool, strands: list[Strand], max_gap_s: float) -> tuple[Array, Array]:
    """(N,), (N,): pairs of a strand that ends and one that begins at most `max_gap_s` later, or longer if known."""
    before, after = _within(pool, strands, max_gap_s if pool.look is None else KNOWN_FOR * max_gap_s)
    gap = pool.time[[s.piece.rows[0] for s in strands]][after] - pool.time[[s.piece.rows[-1] for s in strands]][before]
    fair = gap <= max_gap_s + 1e-9
    if pool.look is not None:
        fair |= known(strands, before, after)
    return before[fair], after[fair]


def _within(pool: Pool, strands: list[Strand], max_gap_s: float) -> tuple[Array, Array]:
    start = pool.time[[s.piece.rows[0] for s in strands]]
    stop = pool.time[[s.piece.rows[-1] for s in strands]]
    first, last = np.searchsorted(start, stop, "right"), np.searchsorted(start, stop + max_gap_s + 1e-9, "right")
    count = np.maximum(last - first, 0)
    before = np.repeat(np.arange(len(strands)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return before, np.repeat(first, count) + within


def _sure_links(before: Array, after: Array, cost: Array, count: int, margin: float) -> dict[int, int]:
    """The links of the best assignment that beat every other choice for either end by the margin."""
    possible = cost < LIMIT
    before, after, cost = before[possible], after[possible], cost[possible]
    if not len(cost):
        return {}
    second = np.minimum(_second_best(before, cost, count)[before], _second_best(after, cost, count)[after])
    chosen = _assign(before, after, cost, count) & (second - cost >= margin)
    return dict(zip(before[chosen].tolist(), after[chosen].tolist(), strict=True))


def _second_best(group: Array, cost: Array, count: int) -> Array:
    """(count,) the second lowest cost of each group, LIMIT where there is none."""
    order = np.lexsort((cost, group))
    begin = np.searchsorted(group[order], np.arange(count))
    second = np.full(count, LIMIT)
    there = begin + 1 < np.searchsorted(group[order], np.arange(count), "right")
    second[there] = cost[order][begin[there] + 1]
    return second


def _assign(before: Array, after: Array, cost: Array, count: int) -> Array:
    """(N,) bool: the links of least total cost, where an end or beginning left alone costs half the limit.

    A sparse full matching: every end may also take its own blank, every beginning its own, and blanks pair up freely.
    """
    own = np.arange(count)
    rows = np.concatenate([before, own, own + count, after + count])
    columns = np.concatenate([after, own + count, own, before + count])
    half = np.full(count, LIMIT / 2)
    weight = np.concatenate([cost, half, half, np.zeros(len(cost))])
    weight = weight - weight.min() + 1.0  # a zero would be no edge; a constant changes nothing
    left, right = min_weight_full_bipartite_matching(coo_array((weight, (rows, columns))).tocsr())
    partner = np.empty(2 * count, int)
    partner[left] = right
    return partner[before] == after


def _join(pool: Pool, strands: list[Strand], links: dict[int, int]) -> list[Strand]:
    joined = []
    for begin in sorted(set(range(len(strands))) - set(links.values())):
        chain = [begin]
        while chain[-1] in links:
            chain.append(links[chain[-1]])
        if len(chain) == 1:
            joined.append(strands[begin])
            continue
        rows = np.concatenate([strands[k].piece.rows for k in chain])
        clean = np.concatenate([strands[k].piece.clean for k in chain])
        joined.append(strand(pool, Piece(rows, clean)))
    return joined
