"""The tracker `bytetrack`: every box counts, those of low score for people who would be lost otherwise.

Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022 (arXiv 2110.06864),
with the thresholds and the order of matching that its authors publish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.boxes import iou
from pipeline.results import Array, Detections
from trackers.boxes import boxes_and_scores
from trackers.kalman import AspectHeight, BoxFilter
from trackers.online import JUST, Clock, OnlineTracker, pair

LOW_LIMIT = 0.5  # cost up to which a box of low score is somebody's
FRESH_LIMIT = 0.7  # and one of high score somebody's who has been seen once
SAME = 0.15  # one minus overlap below which two are one


@dataclass(eq=False)
class Target:
    """Somebody who is followed."""

    mean: Array  # (D,) state of the filter
    covariance: Array  # (D,D)
    born: float  # s
    seen: float  # s, last time
    id: int | None = None  # None: seen once, which may be an error of the detector's
    look: Array | None = None  # (E,) of unit length

    @property
    def age(self) -> float:
        return self.seen - self.born


@dataclass(frozen=True)
class Seen:
    """What is seen in a frame, as the matching wants it."""

    boxes: Array  # (P,4) px
    scores: Array  # (P,)
    looks: Array | None = None  # (P,E) of unit length, NaN where unknown


Pair = tuple[Target, int]  # somebody, and the row of a frame's boxes where they are


class ByteTrack(OnlineTracker):
    """Two rounds of matching by overlap with where a Kalman filter expects everybody.

    Args:
        high_threshold: boxes of this score or more are matched first, with everybody.
        low_threshold: boxes of less are not looked at; those between are for who is not found in the first round.
        new_threshold: the score with which somebody new begins.
        match_threshold: highest cost of the first round, 1 - overlap x score.
        buffer_s: how long somebody who is lost is waited for (the paper: 30 frames at 30 frames/s).
    """

    name = "bytetrack"
    filter: BoxFilter = AspectHeight()

    def __init__(
        self, high_threshold: float = 0.5, low_threshold: float = 0.1, new_threshold: float = 0.6,
        match_threshold: float = 0.8, buffer_s: float = 1.0,
    ) -> None:  # fmt: skip
        self.high_threshold, self.low_threshold, self.new_threshold = high_threshold, low_threshold, new_threshold
        self.match_threshold, self.buffer_s = match_threshold, buffer_s
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._targets: list[Target] = []
        self._clock = Clock()
        self._before: float | None = None  # s, the frame before
        self._ids = 0  # that were given

    def update(self, found: Detections, time_s: float, frame: Array | None = None) -> Array:
        """(P,) int32 ids, -1 for none; see `OnlineTracker.update`."""
        seen = self._see(found)
        self._expect(self._clock.step(time_s), time_s)
        self._follow_camera(frame, seen)
        pairs, rest = self._match(seen)
        self._observe(pairs, seen, time_s)
        pairs += self._begin(seen, [row for row in rest if seen.scores[row] >= self.new_threshold], time_s)
        self._merge(time_s)
        self._before = time_s
        ids = np.full(len(found), -1, np.int32)
        for target, row in pairs:
            ids[row] = -1 if target.id is None else target.id
        return ids

    def _see(self, found: Detections) -> Seen:
        return Seen(*boxes_and_scores(found))

    def _follow_camera(self, frame: Array | None, seen: Seen) -> None:
        """The camera is taken to stand still."""

    def _cost(self, targets: Sequence[Target], seen: Seen, rows: Array) -> Array:
        """(targets, rows): one minus overlap times score."""
        return 1 - self._overlap(targets, seen, rows) * seen.scores[rows]

    def _overlap(self, targets: Sequence[Target], seen: Seen, rows: Array) -> Array:
        return iou(self.filter.boxes(self.filter.stacked(targets)[0]), seen.boxes[rows])

    def _expect(self, step: float, now: float) -> None:
        """Everybody to where the filter expects them in this frame; who is lost for too long is given up."""
        self._targets = [t for t in self._targets if now - t.seen <= self.buffer_s + JUST]
        if not self._targets:
            return
        mean, covariance = self.filter.stacked(self._targets)
        lost = np.array([t.seen != self._before for t in self._targets])
        mean[np.ix_(lost, self.filter.sizes)] = 0  # what its size did last is soon wrong
        self.filter.put(self._targets, *self.filter.predict(mean, covariance, step))

    def _match(self, seen: Seen) -> tuple[list[Pair], list[int]]:
        """Who is seen in which row, and the rows of high score that are nobody's; section 3 of the paper."""
        high = np.flatnonzero(seen.scores >= self.high_threshold)
        low = np.flatnonzero((seen.scores > self.low_threshold) & (seen.scores < self.high_threshold))
        sure = [t for t in self._targets if t.id is not None]
        fresh = [t for t in self._targets if t.id is None]
        pairs, left, high = pair(sure, high, self._cost(sure, seen, high), self.match_threshold)
        left = [t for t in left if t.seen == self._before]
        more, _, _ = pair(left, low, 1 - self._overlap(left, seen, low), LOW_LIMIT)
        again, errors, high = pair(fresh, high, self._cost(fresh, seen, high), FRESH_LIMIT)
        self._targets = [t for t in self._targets if not any(t is error for error in errors)]
        return pairs + more + again, high.tolist()

    def _observe(self, pairs: list[Pair], seen: Seen, now: float) -> None:
        if not pairs:
            return
        targets, rows = [target for target, _ in pairs], [row for _, row in pairs]
        self.filter.put(targets, *self.filter.update(*self.filter.stacked(targets), seen.boxes[rows]))
        for target in targets:
            target.seen = now
            target.id = self._new_id() if target.id is None else target.id

    def _begin(self, seen: Seen, rows: list[int], now: float) -> list[Pair]:
        """Somebody new for each of the rows, with an id at once in the first frame of all."""
        mean, covariance = self.filter.start(seen.boxes[rows])
        fresh = [Target(m, c, now, now) for m, c in zip(mean, covariance, strict=True)]
        for target in fresh if self._before is None else ():
            target.id = self._new_id()
        self._targets += fresh
        return list(zip(fresh, rows, strict=True))

    def _merge(self, now: float) -> None:
        """Of two in one place, one seen and one lost, the one that has been followed for longer stays."""
        here, lost = ([t for t in self._targets if (t.seen == now) == seen] for seen in (True, False))
        if not here or not lost:
            return
        shared = iou(*(self.filter.boxes(self.filter.stacked(group)[0]) for group in (here, lost)))
        twice = [(here[h], lost[k]) for h, k in np.argwhere(1 - shared < SAME)]
        dropped = {id(gone if one.age > gone.age else one) for one, gone in twice}
        self._targets = [t for t in self._targets if id(t) not in dropped]

    def _new_id(self) -> int:
        self._ids += 1
        return self._ids
