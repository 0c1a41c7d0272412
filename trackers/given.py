"""The tracker `given`: everybody keeps the id that the detector, or the file it read, gave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.errors import UsageError
from pipeline.results import Array, Detections, Track2D
from trackers.boxes import boxes_and_scores
from trackers.online import Frames, OnlineTracker


class Given(OnlineTracker):
    """No association of its own. Of two in a frame with one id the surer is taken; who has no id is left out."""

    name = "given"
    keeps_ids = True

    def reset(self) -> None:
        """There is nothing to forget."""

    def update(self, found: Detections, time_s: float, frame: Array | None = None) -> Array:
        """(P,) int32: the detector's own ids.

        Raises:
            UsageError: the detector gives none.
        """
        if not len(found):
            return np.zeros(0, np.int32)
        if found.following is None:
            raise _no_ids()
        ids = found.following.astype(np.int32)
        order = np.argsort(-boxes_and_scores(found)[1], kind="stable")
        _, first = np.unique(ids[order], return_index=True)
        return np.where(np.isin(np.arange(len(ids)), order[first]), np.maximum(ids, -1), -1).astype(np.int32)

    def track(
        self, detections: Sequence[Detections], times: Array, size: tuple[int, int], frames: Frames | None = None
    ) -> list[Track2D]:
        """One track per id, most prominent first, with the ids that the detector gave.

        Raises:
            UsageError: the detector gives none.
            ValueError: not one time per frame, or several skeletons.
        """
        tracks = super().track(detections, times, size)
        if not tracks and any(len(found) for found in detections):
            raise _no_ids()
        return tracks


def _no_ids() -> UsageError:
    why = "it keeps the ids that a detector gives, as blazepose, yolo and AlphaPose files with idx do"
    return UsageError("--tracker given finds no ids in the detections", why, "--tracker offline")
