"""The tracker `botsort`: ByteTrack with the camera's motion compensated, and people's look where that is wanted.

Aharon, Orfaig and Bobrovsky, "BoT-SORT: Robust Associations Multi-Pedestrian Tracking", 2022 (arXiv 2206.14651).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from pipeline.errors import UsageError
from pipeline.results import Array, Detections, Track2D
from trackers.boxes import boxes_and_scores
from trackers.bytetrack import ByteTrack, Pair, Seen, Target
from trackers.camera_motion import CameraMotion
from trackers.kalman import WidthHeight
from trackers.online import Frames

log = logging.getLogger("videopose")


class BotSort(ByteTrack):
    """ByteTrack's rounds of matching in the camera's moving picture.

    Args:
        high_threshold, low_threshold, new_threshold, match_threshold, buffer_s: as ByteTrack's.
        camera_motion: look at the frames for the camera's motion; False does without frames.
        reidentify: compare looks too, which the detector has to give.
        proximity_threshold: least overlap at which looks count.
        appearance_threshold: greatest distance of looks, half of one minus their cosine, at which they count.
        memory: share of the old look that stays with each new one.
    """

    name = "botsort"
    needs = ("frames",)
    filter = WidthHeight()

    def __init__(
        self, high_threshold: float = 0.6, low_threshold: float = 0.1, new_threshold: float = 0.7,
        match_threshold: float = 0.8, buffer_s: float = 1.0, camera_motion: bool = True, reidentify: bool = False,
        proximity_threshold: float = 0.5, appearance_threshold: float = 0.25, memory: float = 0.9,
    ) -> None:  # fmt: skip
        self.camera_motion, self.reidentify, self.memory = camera_motion, reidentify, memory
        self.proximity_threshold, self.appearance_threshold = proximity_threshold, appearance_threshold
        super().__init__(high_threshold, low_threshold, new_threshold, match_threshold, buffer_s)

    def reset(self) -> None:
        """Forget everybody, and the frame before."""
        super().reset()
        self._camera = CameraMotion()

    def track(
        self, detections: Sequence[Detections], times: Array, size: tuple[int, int], frames: Frames | None = None
    ) -> list[Track2D]:
        """As every online tracker's.

        Raises:
            UsageError: looks are to be compared and the detector gives none.
            ValueError: not one time per frame, several skeletons, times that do not grow, or frames are missing.
        """
        tracks = super().track(detections, times, size, frames)
        if self._camera.unknown:
            told = "the camera's motion could not be told in %d of %d frames, in which it counts as still"
            log.warning(told, self._camera.unknown, len(detections))
        return tracks

    def _see(self, found: Detections) -> Seen:
        boxes, scores = boxes_and_scores(found)
        if not self.reidentify:
            return Seen(boxes, scores)
        if found.appearance is None and len(found):
            raise UsageError("botsort cannot compare looks", "this detector does not tell them", "reidentify=False")
        return Seen(boxes, scores, None if found.appearance is None else _unit(found.appearance.astype(float)))

    def _follow_camera(self, frame: Array | None, seen: Seen) -> None:
        """Everybody's expected place and its doubt are moved as the picture moved (the paper's equations 5 to 8)."""
        if not self.camera_motion:
            return
        if frame is None:
            raise ValueError("botsort looks for the camera's motion and needs frames, or camera_motion=False")
        motion = self._camera.step(frame, seen.boxes[seen.scores >= self.high_threshold])
        turn = np.kron(np.eye(4), motion[:, :2])
        for target in self._targets:
            target.mean = turn @ target.mean
            target.mean[:2] += motion[:, 2]
            target.covariance = turn @ target.covariance @ turn.T

    def _cost(self, targets: Sequence[Target], seen: Seen, rows: Array) -> Array:
        """(targets, rows): the lower of the costs of overlap and of looks (the paper's equations 12 and 13)."""
        shared = self._overlap(targets, seen, rows)
        cost = 1 - shared * seen.scores[rows]
        if not self.reidentify or seen.looks is None or not targets:
            return cost
        unlike = (1 - np.stack([t.look for t in targets]) @ seen.looks[rows].T) / 2
        counts = (unlike <= self.appearance_threshold) & (1 - shared <= self.proximity_threshold)
        return np.minimum(cost, np.where(counts, unlike, 1.0))

    def _observe(self, pairs: list[Pair], seen: Seen, now: float) -> None:
        super()._observe(pairs, seen, now)
        for target, row in pairs if seen.looks is not None else ():
            target.look = _unit(self.memory * target.look + (1 - self.memory) * seen.looks[row])

    def _begin(self, seen: Seen, rows: list[int], now: float) -> list[Pair]:
        fresh = super()._begin(seen, rows, now)
        for target, row in fresh if seen.looks is not None else ():
            target.look = seen.looks[row]
        return fresh


def _unit(looks: Array) -> Array:
    """Of unit length; 0, which is like nothing, where a look is not known."""
    looks = np.where(np.isfinite(looks).all(-1, keepdims=True), looks, 0.0)
    return looks / np.maximum(np.linalg.norm(looks, axis=-1, keepdims=True), 1e-12)
