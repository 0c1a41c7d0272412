"""Cut tracklets where the link may be wrong; the stitching decides there again.

That is where two people were very close, and where the look changes as much as between two people: a detector that
follows somebody may slide onto another one who passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.results import Array
from trackers.appearance import jumps
from trackers.linking import Tracklet
from trackers.pool import Pool

NEAR = 0.15  # similarity to a rival from which a frame is no clean evidence of where the person was going
DOUBT = 0.3  # a link whose margin is smaller is cut
ODD = 0.7  # and one whose similarity is a smaller share of what is usual
COMPANY_S = 1.0  # where nobody else has been or will be, nobody else can have been taken for them
ELSEWHERE = 2.0  # nor who is seen in the frames of the link that many body sizes away
WINDOW = ((-COMPANY_S, "left"), (COMPANY_S, "right"))
USUAL_S = 0.3  # before and after
MOVEMENT_S = 0.1  # odd links that go on for longer are a movement
ODD_APART_S = 0.05  # at most one cut at an odd link in that time: who slides onto somebody soon slides back
APART_S = 0.5  # at most one cut at a doubtful link in that time
CHANGES_APART_S = 0.25  # and at most one at a change of look
TRANSIT_S = 0.08  # before and after a change of look the pose is of neither person
RIM = 0.7  # body sizes from the rim of the picture at which people come and leave
HEALED_S = 0.24  # longest gap at a change of look that is filled again
BRIEF_S = 0.08  # part of a cut tracklet that is no evidence of anybody, where looks tell people apart


@dataclass(frozen=True)
class Piece:
    """Rows of a Pool that are surely one person; `clean` marks those without anybody near."""

    rows: Array  # (n,) int, one per frame, increasing
    clean: Array  # (n,) bool


def cut(pool: Pool, tracklets: list[Tracklet]) -> list[Piece]:
    """Every tracklet split at its most doubtful links, without the frames in which it slid from one to another."""
    pieces = []
    seen = np.unique(pool.time)
    step = float(np.median(np.diff(seen))) if len(seen) > 1 else BRIEF_S
    for tracklet in tracklets:
        rows = np.array(tracklet.rows)
        clean = np.array(tracklet.rival) < NEAR
        leap = jumps(pool, rows)
        changes = _doubtful(pool.time[rows], 1 - leap, CHANGES_APART_S)
        settled = _settled(pool.time[rows], changes)
        doubtful = _doubtful(pool.time[rows], np.array(tracklet.margin), APART_S)
        odd = np.where(_company(pool, tracklet, tracklets), _oddness(pool.time[rows], np.array(tracklet.alike)), 1.0)
        doubtful += _doubtful(pool.time[rows], DOUBT / ODD * odd, ODD_APART_S)
        if pool.look is not None:  # what would be dropped below is the person's first or last frames
            lasting = [_lasts(pool.time[rows[:k]], step) and _lasts(pool.time[rows[k:]], step) for k in doubtful]
            doubtful = [k for k, kept in zip(doubtful, lasting, strict=True) if kept]
        doubtful = sorted({*changes, *doubtful})
        parts = [part[settled[part]] for part in np.split(np.arange(len(rows)), doubtful)]
        if pool.look is not None:
            parts = [part for part in parts if _lasts(pool.time[rows[part]], step)] or parts
        pieces += [Piece(rows[part], clean[part]) for part in parts if len(part)]
    return sorted(pieces, key=lambda p: int(p.rows[0]))


def _company(pool: Pool, tracklet: Tracklet, tracklets: list[Tracklet]) -> Array:
    """(n,) bool: somebody else is seen within COMPANY_S, and not the whole time in another place."""
    rows = np.array(tracklet.rows)
    time, company = pool.time[rows], np.zeros(len(rows), bool)
    for other in tracklets:
        theirs = np.array(other.rows)
        if other is tracklet or not _overlap(time, pool.time[theirs]):
            continue
        begin, end = (np.searchsorted(pool.time[theirs], time + of, side) for of, side in WINDOW)
        at = np.minimum(np.searchsorted(pool.frame[theirs], pool.frame[rows]), len(theirs) - 1)
        way = np.linalg.norm(pool.centre[theirs[at]] - pool.centre[rows], axis=1)
        away = (pool.frame[theirs[at]] == pool.frame[rows]) & (way > ELSEWHERE * pool.size[rows])
        company |= (end > begin) & ~(away & np.concatenate([[True], away[:-1]]))
    return company


def _overlap(a: Array, b: Array) -> bool:
    """Are two times (n,) and (m,) within COMPANY_S of each other?"""
    return bool(a[0] - COMPANY_S <= b[-1] and b[0] <= a[-1] + COMPANY_S)


def _oddness(time: Array, alike: Array) -> Array:
    """(n,) the similarity of each link as a share of what is usual at that time; 1 where it is low for a while.

    Who jumps or falls is unlike for some frames; who passes to somebody else is so once or twice.
    """
    since, until = np.searchsorted(time, time - USUAL_S), np.searchsorted(time, time + USUAL_S, "right")
    share = alike / np.maximum([np.median(alike[a:b]) for a, b in zip(since, until, strict=True)], 1e-9)
    edges = np.flatnonzero(np.diff(share < ODD, prepend=False, append=False))
    for first, stop in edges.reshape(-1, 2):
        if time[stop - 1] - time[first] > MOVEMENT_S:
            share[first:stop] = 1.0
    return share


def _lasts(time: Array, step: float) -> bool:
    """Is that more than a moment? Each frame is shown for `step` s."""
    return len(time) > 0 and float(np.ptp(time)) + step > BRIEF_S


def rejoined(pool: Pool, pieces: list[Piece], tracklets: list[Tracklet], size: tuple[int, int]) -> list[Piece]:
    """With the sides of a cut as one where the detector went straight on and no other piece took either.

    Something that hides part of a person changes how they look, too. Not so where somebody was near, or at the rim of
    the picture (w, h) px, where one may have left and another come.
    """
    rim = np.minimum(pool.centre, np.array(size) - 1.0 - pool.centre).min(axis=1) < RIM * pool.size
    ends, begins = ({int(piece.rows[k]): n for n, piece in enumerate(pieces)} for k in (-1, 0))
    onward: dict[int, int] = {}
    for tracklet in tracklets:
        last = None  # the row that ends a piece, while the rows after it are in none
        alone = dict(zip(tracklet.rows, (np.array(tracklet.rival) < NEAR) & ~rim[tracklet.rows], strict=True))
        for row in tracklet.rows:
            if last is not None and row in begins and pool.time[row] - pool.time[last] <= HEALED_S:
                if all(alone[between] for between in tracklet.rows if last <= between <= row):
                    onward[ends[last]] = begins[row]
                last = None
            last = row if row in ends else last
    return _chained(pieces, onward)


def _chained(pieces: list[Piece], onward: dict[int, int]) -> list[Piece]:
    """Each piece with those that it leads to, piece by piece."""
    out = []
    for first in sorted(set(range(len(pieces))) - set(onward.values())):
        chain = [first]
        while chain[-1] in onward:
            chain.append(onward[chain[-1]])
        parts = [pieces[n] for n in chain]
        out.append(Piece(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "clean"))))
    return out


def healed(pool: Pool, pieces: list[Piece], tracklets: list[Tracklet]) -> list[Piece]:
    """With the frames at cuts that turned out to be none, since both sides went to the same piece."""
    number, free = np.full(len(pool), -1), np.ones(len(pool), bool)
    for k, tracklet in enumerate(tracklets):
        number[tracklet.rows] = k
    for piece in pieces:
        free[piece.rows] = False
    spare = [rows[free[rows]] for rows in (np.array(tracklet.rows) for tracklet in tracklets)]
    return [_heal(pool, piece, number, spare) for piece in pieces]


def _heal(pool: Pool, piece: Piece, number: Array, spare: list[Array]) -> Piece:
    """`spare`: the rows of each tracklet that belong to no piece."""
    before, after = piece.rows[:-1], piece.rows[1:]
    gap = (pool.frame[after] - pool.frame[before] > 1) & (pool.time[after] - pool.time[before] <= HEALED_S)
    rows, clean = piece.rows, piece.clean
    for k in np.flatnonzero(gap & (number[before] == number[after]))[::-1]:
        rest = spare[number[before[k]]]
        missing = rest[(rest > before[k]) & (rest < after[k])]
        rows, clean = np.insert(rows, k + 1, missing), np.insert(clean, k + 1, np.zeros(len(missing), bool))
    return Piece(rows, clean)


def _settled(time: Array, changes: list[int]) -> Array:
    """(n,) bool: not within TRANSIT_S of a change of look."""
    settled = np.ones(len(time), bool)
    for k in changes:
        settled &= np.abs(time - (time[k - 1] + time[k]) / 2) > TRANSIT_S
    return settled


def _doubtful(time: Array, margin: Array, apart: float) -> list[int]:
    """Positions of the least sure links, the worst first chosen, none within `apart` s of another."""
    chosen: list[int] = []
    for k in np.argsort(margin, kind="stable"):
        if margin[k] >= DOUBT:
            break
        if all(abs(time[k] - time[c]) > apart for c in chosen):
            chosen.append(int(k))
    return sorted(chosen)
