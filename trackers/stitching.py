"""Which piece goes on as which: a global assignment of ends to beginnings, with evidence from both sides of a gap.

The cost of a continuation is a sum of squared deviations over their spreads (minus twice a log likelihood, up to a
constant): constant velocity across the gap, change of velocity, change of size, pose where the gap is short,
proportions of the limbs in metres and appearance where the detector gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.results import Array
from trackers.cutting import Piece
from trackers.linking import DRIFT
from trackers.pool import Pool
from trackers.similarity import oks

LIMIT = 14.0  # a continuation that costs more is none
MARGINS = (8.0, 4.0, 2.0, 1.0, -np.inf)  # by which a continuation must beat all others, round by round
INSIDE_WORTH = 5.0  # nobody appears or vanishes far inside the picture without a reason, at either end of a gap
FALL = 6.0  # body sizes per s^2 more that up and down may change, for jumps
WINDOW_S = 0.3  # of a piece's end that tells its position and velocity
POSE_GAP_S = 0.2  # up to this gap the pose itself is evidence
POSE_WORTH = 8.0
PROPORTION_SPREAD = 0.12  # of log limb lengths between two views of one person
APPEARANCE_WORTH = 6.0


@dataclass(frozen=True)
class Ends:
    """Where M pieces begin or end and how they move there; the clean frames nearest to the end count."""

    row: Array  # (M,) the outermost row
    time: Array  # (M,) s of the state below
    centre: Array  # (M,2) px
    velocity: Array  # (M,2) px/s
    doubt: Array  # (M,) px/s, spread of that velocity
    size: Array  # (M,) px


def stitch(pool: Pool, pieces: list[Piece], max_gap_s: float, size: tuple[int, int]) -> list[Piece]:
    """Join pieces, the surest continuations first, so that the doubtful ones are decided with long pieces.

    Args:
        size: (w, h) px of the picture.
    """
    for margin in MARGINS:
        while len(pieces) > 1:
            links = _sure_links(_costs(pool, pieces, max_gap_s, size), margin)
            if not links:
                break
            pieces = _join(pieces, links)
    return pieces


def _costs(pool: Pool, pieces: list[Piece], max_gap_s: float, size: tuple[int, int]) -> Array:
    """(M,M) cost of piece b as the continuation of piece a, at most LIMIT."""
    table = np.full((len(pieces), len(pieces)), LIMIT)
    tails, heads = _ends(pool, pieces, -1), _ends(pool, pieces, 0)
    gap = pool.time[heads.row][None] - pool.time[tails.row][:, None]
    before, after = np.nonzero((gap > 0) & (gap <= max_gap_s + 1e-9))
    if len(before):
        cost = _motion_cost(tails, heads, before, after) + _pose_cost(pool, tails, heads, before, after)
        cost += _proportion_cost(pool, pieces, before, after) + _appearance_cost(pool, pieces, before, after)
        cost -= INSIDE_WORTH * (_inside(tails, size)[before] + _inside(heads, size)[after])
        table[before, after] = np.minimum(cost, LIMIT)
    return table


def _inside(ends: Ends, size: tuple[int, int]) -> Array:
    """(M,) 0 at the border of the picture to 1 two body sizes inside."""
    away = np.minimum(ends.centre, np.array(size) - 1.0 - ends.centre).min(1) / ends.size
    return np.clip(away - 1.0, 0, 1)


def _sure_links(table: Array, margin: float) -> dict[int, int]:
    """The links of the best assignment that beat every other choice for either end by the margin."""
    links = {}
    for a, b in zip(*linear_sum_assignment(table), strict=True):
        others = min(np.delete(table[a], b).min(), np.delete(table[:, b], a).min())
        if table[a, b] < LIMIT and others - table[a, b] >= margin:
            links[int(a)] = int(b)
    return links


def _join(pieces: list[Piece], links: dict[int, int]) -> list[Piece]:
    joined = []
    for begin in sorted(set(range(len(pieces))) - set(links.values())):
        chain = [begin]
        while chain[-1] in links:
            chain.append(links[chain[-1]])
        rows = np.concatenate([pieces[k].rows for k in chain])
        joined.append(Piece(rows, np.concatenate([pieces[k].clean for k in chain])))
    return joined


def _ends(pool: Pool, pieces: list[Piece], side: int) -> Ends:
    states = [_end_state(pool, piece, side) for piece in pieces]
    columns = [np.array(column) for column in zip(*states, strict=True)]
    return Ends(np.array([piece.rows[side] for piece in pieces]), *columns)


def _end_state(pool: Pool, piece: Piece, side: int) -> tuple[float, Array, Array, float, float]:
    """Time, position, velocity and its spread, size: a line through the clean frames nearest to one end."""
    rows = piece.rows[piece.clean] if piece.clean.sum() >= 3 else piece.rows
    time = pool.time[rows]
    anchor = time[side]
    near = rows[np.abs(time - anchor) <= WINDOW_S]
    size = float(np.median(pool.size[near]))
    t = pool.time[near] - anchor
    if len(near) < 2:
        return anchor, pool.centre[near[0]], np.zeros(2), 2.0 * size, size
    spread = t - t.mean()
    slope = spread @ pool.centre[near] / (spread @ spread)
    doubt = size * (0.15 / np.sqrt(spread @ spread) * 0.3 + 0.2)
    return anchor, pool.centre[near].mean(0) - slope * t.mean(), slope, doubt, size


def _motion_cost(tails: Ends, heads: Ends, a: Array, b: Array) -> Array:
    dt = np.abs(heads.time[b] - tails.time[a])
    size = (tails.size[a] + heads.size[b]) / 2
    drift = (tails.velocity[a] + heads.velocity[b]) / 2 * (heads.time[b] - tails.time[a])[:, None]
    miss = np.linalg.norm(heads.centre[b] - tails.centre[a] - drift, axis=1)
    unsure = (tails.doubt[a] + heads.doubt[b]) / 2 * dt
    place = miss**2 / ((size * (0.12 + 0.4 * dt)) ** 2 + unsure**2)
    change = (size * (0.5 + 2.0 * dt))[:, None] * [1.0, 1.0] + (size * FALL * dt)[:, None] * [0.0, 1.0]
    unsteady = tails.doubt[a] ** 2 + heads.doubt[b] ** 2
    turn = ((heads.velocity[b] - tails.velocity[a]) ** 2 / (change**2 + unsteady[:, None])).sum(1)
    grow = np.log(heads.size[b] / tails.size[a]) ** 2 / (0.12 + 0.2 * dt) ** 2
    wait = 1.5 * np.maximum(dt, 0.0)
    return place + turn + grow + wait


def _pose_cost(pool: Pool, tails: Ends, heads: Ends, a: Array, b: Array) -> Array:
    """The pose at the end, moved on, against the pose at the beginning; fades to nothing at POSE_GAP_S."""
    cost = np.full(len(a), 0.5 * POSE_WORTH)
    gap = pool.time[heads.row[b]] - pool.time[tails.row[a]]
    for k in np.nonzero(gap < POSE_GAP_S)[0]:
        i, j = tails.row[a[k]], heads.row[b[k]]
        shift = (tails.velocity[a[k]] + heads.velocity[b[k]]) / 2 * gap[k]
        alike = oks(pool.keypoints[i][None] + shift, pool.weights[i][None], pool.keypoints[j][None],
                    pool.weights[j][None], pool.size[i][None], pool.sigmas, DRIFT * gap[k])[0, 0]  # fmt: skip
        fade = gap[k] / POSE_GAP_S
        cost[k] = POSE_WORTH * ((1 - alike) * (1 - fade) + 0.5 * fade)
    return cost


def _proportion_cost(pool: Pool, pieces: list[Piece], a: Array, b: Array) -> Array:
    if pool.proportions is None:
        return np.zeros(len(a))
    typical = np.stack([np.median(pool.proportions[piece.rows], axis=0) for piece in pieces])
    return ((typical[a] - typical[b]) ** 2).mean(1) / PROPORTION_SPREAD**2


def _appearance_cost(pool: Pool, pieces: list[Piece], a: Array, b: Array) -> Array:
    """Distance of the mean appearances, relative to how far apart people seen at the same time are."""
    if pool.appearance is None:
        return np.zeros(len(a))
    look = np.stack([np.median(pool.appearance[p.rows[p.clean] if p.clean.any() else p.rows], axis=0) for p in pieces])
    span = np.array([[p.rows[0], p.rows[-1]] for p in pieces])
    begin, end = pool.time[span[:, 0]], pool.time[span[:, 1]]
    together = np.triu((begin[:, None] <= end[None]) & (begin[None] <= end[:, None]), 1)
    apart = np.linalg.norm(look[:, None] - look[None], axis=-1)
    if not together.any() or np.median(apart[together]) <= 0:
        return np.zeros(len(a))
    return APPEARANCE_WORTH * np.minimum(apart[a, b] / np.median(apart[together]), 1.5) ** 2
