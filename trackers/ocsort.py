"""The tracker `ocsort`: what was seen counts for more than what a filter made of it.

Cao et al., "Observation-Centric SORT: Rethinking SORT for Robust Multi-Object Tracking", CVPR 2023 (arXiv 2203.14360):
SORT with three additions, momentum (OCM), recovery (OCR) and re-update (ORU).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.boxes import iou
from pipeline.results import Array, Detections
from trackers.boxes import boxes_and_scores
from trackers.kalman import AreaRatio
from trackers.online import FPS, JUST, Clock, OnlineTracker, pair


@dataclass(eq=False)
class Target:
    """Somebody who is followed."""

    mean: Array  # (7,) state of the filter, now
    covariance: Array  # (7,7)
    then: tuple[Array, Array]  # state and covariance when they were last seen
    seen: list[tuple[float, Array]]  # s, (4,) px boxes of late, the last one at the end
    missed: list[float] = field(default_factory=list)  # s of the frames since then
    heading: Array = field(default_factory=lambda: np.zeros(2))  # of unit length; 0 until they are seen again
    hits: int = 1
    id: int | None = None

    def reference(self, now: float, delta_s: float) -> Array:
        """(4,) px: the box about `delta_s` ago, or else the last one."""
        return next((box for time, box in self.seen if now - time <= delta_s + JUST), self.seen[-1][1])


class OCSort(OnlineTracker):
    """Overlap with the expected box and direction of movement, then overlap with the last box that was seen.

    Args:
        threshold: boxes of less score are not looked at, but for `use_byte`.
        match_threshold: least overlap.
        min_hits: how often somebody is seen before they get an id, but in the first frames of all.
        buffer_s: how long somebody who is lost is waited for (the paper: 30 frames at 30 frames/s).
        delta_s: over which time a direction is taken (the paper: 3 frames).
        inertia: what the direction is worth against the overlap.
        use_byte: a further round for boxes of low score, as ByteTrack has one.
        low_threshold: least score in that round.
    """

    name = "ocsort"

    def __init__(
        self, threshold: float = 0.6, match_threshold: float = 0.3, min_hits: int = 3, buffer_s: float = 1.0,
        delta_s: float = 3 / FPS, inertia: float = 0.2, use_byte: bool = False, low_threshold: float = 0.1,
    ) -> None:  # fmt: skip
        self.threshold, self.match_threshold, self.min_hits = threshold, match_threshold, min_hits
        self.buffer_s, self.delta_s, self.inertia = buffer_s, delta_s, inertia
        self.use_byte, self.low_threshold = use_byte, low_threshold
        self.filter = AreaRatio()
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._targets: list[Target] = []
        self._clock = Clock()
        self._frames = 0
        self._ids = 0  # that were given

    def update(self, found: Detections, time_s: float, frame: Array | None = None) -> Array:
        """(P,) int32 ids, -1 for none; see `OnlineTracker.update`."""
        boxes, scores = boxes_and_scores(found)
        self._frames += 1
        self._expect(self._clock.step(time_s), time_s)
        pairs, left, rest = self._match(boxes, scores, time_s)
        for target, row in pairs:
            self._reupdate(target, boxes[row], time_s)
        self._observe(pairs, boxes, time_s)
        for target in left:
            target.missed.append(time_s)
        pairs += self._begin(boxes, rest, time_s)
        ids = np.full(len(found), -1, np.int32)
        for target, row in pairs:
            if target.id is None and (target.hits >= self.min_hits or self._frames <= self.min_hits):
                self._ids += 1
                target.id = self._ids
            ids[row] = -1 if target.id is None else target.id
        return ids

    def _expect(self, step: float, now: float) -> None:
        """Everybody to where the filter expects them in this frame; who is lost for too long is given up."""
        self._targets = [t for t in self._targets if now - t.seen[-1][0] <= self.buffer_s + JUST]
        if self._targets:
            self.filter.put(self._targets, *self.filter.predict(*self.filter.stacked(self._targets), step))

    def _match(self, boxes: Array, scores: Array, now: float) -> tuple[list[tuple[Target, int]], list[Target], Array]:
        """Who is seen in which row, who is not seen, and the rows that are nobody's."""
        rows, targets = np.flatnonzero(scores >= self.threshold), self._targets
        shared = iou(self.filter.boxes(self.filter.stacked(targets)[0]), boxes[rows])
        bonus = self._momentum(targets, boxes[rows], now) * scores[rows]
        pairs, left, rows = pair(targets, rows, self._cost(shared, bonus), 0.0)
        if self.use_byte:
            low = np.flatnonzero((scores > self.low_threshold) & (scores < self.threshold))
            expected = iou(self.filter.boxes(self.filter.stacked(left)[0]), boxes[low])
            more, left, _ = pair(left, low, self._cost(expected), 0.0)
            pairs += more
        last = np.array([t.seen[-1][1] for t in left]).reshape(-1, 4)
        again, left, rows = pair(left, rows, self._cost(iou(last, boxes[rows])), 0.0)  # OCR
        return pairs + again, left, rows

    def _cost(self, shared: Array, bonus: Array | float = 0.0) -> Array:
        """What is paired for the largest sum of overlap and bonus: none of those that share too little."""
        return np.where(shared >= self.match_threshold, -(shared + bonus), 1.0)

    def _momentum(self, targets: Sequence[Target], boxes: Array, now: float) -> Array:
        """(targets, boxes) OCM: between -inertia / 2 back where they came from and inertia / 2 straight on."""
        before = np.array([t.reference(now, self.delta_s) for t in targets]).reshape(-1, 4)
        heading = np.array([t.heading for t in targets]).reshape(-1, 2)
        cosine = np.einsum("tc,tbc->tb", heading, _direction(before[:, None], boxes[None]))
        return self.inertia * (np.pi / 2 - np.arccos(cosine.clip(-1, 1))) / np.pi

    def _reupdate(self, target: Target, box: Array, now: float) -> None:
        """ORU: the filter goes once more through the time in which they were lost, on a straight line of boxes."""
        if not target.missed:
            return
        start, last = target.seen[-1]
        mean, covariance = (value[None] for value in target.then)
        for time in target.missed:
            mean, covariance = self.filter.predict(mean, covariance, (time - start) * FPS)
            share = (time - target.seen[-1][0]) / (now - target.seen[-1][0])
            mean, covariance = self.filter.update(mean, covariance, (last + share * (box - last))[None])
            start = time
        self.filter.put([target], *self.filter.predict(mean, covariance, (now - start) * FPS))

    def _observe(self, pairs: list[tuple[Target, int]], boxes: Array, now: float) -> None:
        if not pairs:
            return
        targets = [target for target, _ in pairs]
        self.filter.put(targets, *self.filter.update(*self.filter.stacked(targets), boxes[[row for _, row in pairs]]))
        for target, row in pairs:
            target.heading = _direction(target.reference(now, self.delta_s), boxes[row])
            target.seen = [one for one in target.seen if now - one[0] <= self.delta_s + JUST]
            target.seen.append((now, boxes[row]))
            target.then, target.missed, target.hits = (target.mean, target.covariance), [], target.hits + 1

    def _begin(self, boxes: Array, rows: Array, now: float) -> list[tuple[Target, int]]:
        states = zip(*self.filter.start(boxes[rows]), strict=True)
        fresh = [Target(m, c, (m, c), [(now, boxes[row])]) for (m, c), row in zip(states, rows, strict=True)]
        self._targets = self._targets + fresh
        return [(target, int(row)) for target, row in zip(fresh, rows, strict=True)]


def _direction(one: Array, other: Array) -> Array:
    """(...,4), (...,4) px boxes -> (...,2) of unit length, from centre to centre; 0 where they are in one place."""
    way = (other[..., :2] + other[..., 2:] - one[..., :2] - one[..., 2:]) / 2
    return way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1e-6)
