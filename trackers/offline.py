"""The default tracker: the whole clip is known, so identities are decided with evidence from before and after.

1. frame to frame: keypoint similarity and constant velocity, optimal assignment (linking.py);
2. tracklets are cut where two people were too close for the link to be sure, or where the look changes to another
   person's, where the frames of the change are of nobody (cutting.py, appearance.py);
3. the pieces are joined again by a global assignment over gaps of up to `max_gap_s` (stitching.py), and cuts that
   were none are healed;
4. a track that runs on top of a stronger one ends there; ghosts are dropped.
Ids count from 1 in order of prominence (size in the picture times certainty, summed over the frames).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.results import Array, Detections, Track2D
from trackers.appearance import with_looks
from trackers.cutting import Piece, cut, healed, rejoined
from trackers.ends import trim
from trackers.linking import link
from trackers.pool import Pool, gather
from trackers.similarity import oks
from trackers.stature import with_ground
from trackers.stitching import stitch
from trackers.tracks import LEAST_S, as_track, is_long, prominence


class OfflineTracker:
    """Association by object keypoint similarity, motion, proportions, height and appearance, both ways in time.

    Args:
        max_gap_s: longest time a person may be unseen and still be the same track; twice that where the look is the
            same.
        min_duration_s: shorter tracks are ghosts, unless the clip itself is hardly longer.
        min_score: tracks whose mean certainty (box score times mean score of the surer half of the joints) is lower
            are ghosts.
    """

    name = "offline"
    packages = ()
    needs = ()

    def __init__(self, max_gap_s: float = 2.5, min_duration_s: float = LEAST_S, min_score: float = 0.25) -> None:
        self.max_gap_s, self.min_duration_s, self.min_score = max_gap_s, min_duration_s, min_score

    def track(self, detections: Sequence[Detections], times: Array, size: tuple[int, int]) -> list[Track2D]:
        """One track per person.

        Args:
            detections: one per frame of the clip.
            times: (T,) s of these frames.
            size: (w, h) px of the frames.

        Raises:
            ValueError: not one time per frame, or several skeletons.
        """
        pool = gather(detections, times)
        if pool is None:
            return []
        times = np.asarray(times, float)
        tracklets = link(pool, times)
        pool = with_ground(with_looks(pool, tracklets), tracklets, size)
        pieces = stitch(pool, cut(pool, tracklets), self.max_gap_s, size)
        pieces = self._people(pool, rejoined(pool, pieces, tracklets, size), times)
        pieces = self._people(pool, _without_coinciding(pool, healed(pool, pieces, tracklets)), times)
        pieces.sort(key=lambda piece: -prominence(pool, piece.rows))
        return [trim(as_track(pool, piece.rows, number), size) for number, piece in enumerate(pieces, 1)]

    def _people(self, pool: Pool, pieces: list[Piece], times: Array) -> list[Piece]:
        """Without ghosts."""
        return [piece for piece in pieces if self._is_person(pool, piece, times)]

    def _is_person(self, pool: Pool, piece: Piece, times: Array) -> bool:
        sure = float(pool.strength[piece.rows].mean()) >= self.min_score
        return sure and is_long(len(piece.rows), times, self.min_duration_s)


def _without_coinciding(pool: Pool, pieces: list[Piece], threshold: float = 0.6) -> list[Piece]:
    """Frames in which a track repeats a stronger one are taken from it."""
    owner = {}  # frame -> rows already given away, strongest track first
    kept = []
    for piece in sorted(pieces, key=lambda p: -prominence(pool, p.rows)):
        free = np.array([not _repeats(pool, row, owner.get(int(pool.frame[row]), []), threshold) for row in piece.rows])
        alone = _settled(free)
        for row in piece.rows[alone]:
            owner.setdefault(int(pool.frame[row]), []).append(int(row))
        if alone.any():
            kept.append(Piece(piece.rows[alone], piece.clean[alone]))
    return kept


def _settled(free: Array) -> Array:
    """A track that is mostly a copy is one altogether."""
    return free if free.mean() > 0.3 else np.zeros_like(free)


def _repeats(pool: Pool, row: int, rows: list[int], threshold: float) -> bool:
    if not rows:
        return False
    alike = oks(pool.keypoints[rows], pool.weights[rows], pool.keypoints[row][None], pool.weights[row][None],
                pool.size[rows], pool.sigmas)  # fmt: skip
    return bool(alike.max() > threshold)
