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
DOUBT = 0.5  # a link whose margin is smaller is cut
APART_S = 0.5  # at most one cut in that time


@dataclass(frozen=True)
class Piece:
    """Rows of a Pool that are surely one person; `clean` marks those without anybody near."""

    rows: Array  # (n,) int, one per frame, increasing
    clean: Array  # (n,) bool


def cut(pool: Pool, tracklets: list[Tracklet]) -> list[Piece]:
    """Every tracklet split at its most doubtful links."""
    pieces = []
    for tracklet in tracklets:
        rows = np.array(tracklet.rows)
        clean = np.array(tracklet.rival) < NEAR
        margin = np.minimum(tracklet.margin, 1 - jumps(pool, rows))
        for part in np.split(np.arange(len(rows)), _doubtful(pool.time[rows], margin)):
            pieces.append(Piece(rows[part], clean[part]))
    return sorted(pieces, key=lambda p: int(p.rows[0]))


def _doubtful(time: Array, margin: Array) -> list[int]:
    """Positions of the least sure links, the worst first chosen, none within APART_S of another."""
    chosen: list[int] = []
    for k in np.argsort(margin, kind="stable"):
        if margin[k] >= DOUBT:
            break
        if all(abs(time[k] - time[c]) > APART_S for c in chosen):
            chosen.append(int(k))
    return sorted(chosen)
