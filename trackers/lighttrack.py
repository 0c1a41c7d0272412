"""The tracker `lighttrack`: people are followed by their own pose, and recognised by it when they were lost.

Ning and Huang, "LightTrack: A Generic Framework for Online Top-Down Human Pose Tracking", CVPRW 2020 (arXiv
1905.02822). In key frames everybody is detected. Between them each person is looked for in the box of their last
pose, a little enlarged; where somebody is lost, the frame becomes a key frame. In a key frame who overlaps with the
frame before is the same; the others are told by how alike their poses are (pose_similarity.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from pipeline.boxes import iou
from pipeline.results import Array, Detections, Track2D
from trackers.boxes import around_joints
from trackers.online import Clock, Frames, OnlineTracker, assign, gathered
from trackers.pool import flatten
from trackers.pose_similarity import SAME_PERSON, WEIGHTS, apart, load, nodes

Poses = Callable[[list[Array], list[Array]], list[Detections]]  # pictures, (P,4) px boxes in each -> P poses in each
BEST = 4  # joints that tell whether somebody is lost
TWICE = 0.8  # overlap of two people who were looked for separately and found to be one
USUAL = 200  # poses of key frames that tell how sure the detector usually is


@dataclass
class Target:
    """Somebody, as last seen."""

    id: int
    time: float  # s
    box: Array  # (4,) px, enlarged
    look: Array  # (E,) embedding of the pose


class LightTrack(OnlineTracker):
    """Key frames, poses in boxes of poses, and a network that recognises poses.

    Args:
        every: frames from one key frame to the next.
        lost_below: somebody is lost whose four best joints have a mean score below this part of what the detector's
            own people have in key frames, in the median and at most 1.
        same_overlap: overlap with the frame before from which on somebody in a key frame is the same.
        same_pose: distance of poses up to which they may be one person's; see `pose_similarity`.
        memory_s: how long somebody who is lost is looked for, in every frame, by detection and pose. (The paper looks
            at the last frame alone; the network was taught on poses up to a second apart.)
    """

    name = "lighttrack"
    weights = (WEIGHTS,)
    needs = ("frames", "poses")

    def __init__(
        self, every: int = 10, lost_below: float = 0.6, same_overlap: float = 0.3, same_pose: float = SAME_PERSON,
        memory_s: float = 1.0,
    ) -> None:  # fmt: skip
        self.every, self.lost_below, self.same_overlap = every, lost_below, same_overlap
        self.same_pose, self.memory_s = same_pose, memory_s
        self._network = load()
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._targets: list[Target] = []
        self._lost: list[Target] = []
        self._clock = Clock()
        self._since = 0  # frames since the last key frame
        self._ids = 0  # that were given
        self._usual: deque[float] = deque(maxlen=USUAL)
        self.key_frames = 0

    def update(self, found: Detections, time_s: float, frame: Array | None = None) -> Array:
        """(P,) int32 ids, see `OnlineTracker.update`; the frame is not looked at, see `follow`."""
        return self.follow(found, time_s)[1]

    def follow(
        self, found: Detections, time_s: float, frame: Array | None = None, poses: Poses | None = None
    ) -> tuple[Detections, Array]:
        """The people of the next frame, and their ids (P,) int32, -1 of who is nobody.

        Args:
            found: whom a detector sees in this frame. In key frames these are the people.
            time_s: later than the last frame's.
            frame: (H,W,3) uint8 BGR, where `poses` is given.
            poses: the detector's look into boxes, which finds the people of all other frames; None: who of `found`
                fits a box best is the person in it.

        Raises:
            ValueError: no time has passed since the last frame, or the frame is missing.
        """
        self._clock.step(time_s)
        if poses is not None and frame is None:
            raise ValueError("lighttrack looks into boxes of pictures and was given none")
        self._since += 1
        self._lost = [target for target in self._lost if time_s - target.time <= self.memory_s + 1e-6]
        if self._targets and not self._lost and self._since < self.every:
            people, rows = self._look(found, frame, poses)
            if not self._is_lost(people, rows):
                return self._followed(people, rows, time_s)
        return self._key_frame(found, time_s)

    def track(
        self, detections: Sequence[Detections], times: Array, size: tuple[int, int], frames: Frames | None = None,
        poses: Poses | None = None,
    ) -> list[Track2D]:  # fmt: skip
        """See `OnlineTracker.track`; `poses` as for `follow`."""
        if flatten(detections, times) is None:
            return []
        self.reset()
        pictures = repeat(None, len(detections)) if poses is None or frames is None else frames(0, len(detections))
        each = zip(detections, times, pictures, strict=True)
        told = [self.follow(found, float(time), frame, poses) for found, time, frame in each]
        pool = flatten([people for people, _ in told], times)
        return gathered(pool, np.concatenate([ids for _, ids in told]), times)

    def _look(self, found: Detections, frame: Array | None, poses: Poses | None) -> tuple[Detections, Array]:
        """People, and for each target the row of the one in its box, -1 none."""
        boxes = np.stack([target.box for target in self._targets])
        if poses is not None:
            people = poses([frame], [boxes.astype(np.float32)])[0]
            if len(people) != len(boxes):
                raise ValueError(f"the detector found {len(people)} poses in {len(boxes)} boxes")
            return people, np.arange(len(boxes))
        rows = np.full(len(boxes), -1)
        if len(found):
            for target, row in assign(-_overlap(boxes, around_joints(found)), -self.same_overlap):
                rows[target] = row
        return found, rows

    def _is_lost(self, people: Detections, rows: Array) -> bool:
        """Is somebody not there, hardly seen, or found where somebody else was found, too?"""
        if (rows < 0).any():
            return True
        limit = self.lost_below * min(1.0, float(np.median(self._usual)))
        boxes = around_joints(people)[rows]
        twice = np.triu(_overlap(boxes, boxes), 1).max() > TWICE
        return bool((best_joints(people)[rows] < limit).any() or not np.isfinite(boxes).all() or twice)

    def _followed(self, people: Detections, rows: Array, time_s: float) -> tuple[Detections, Array]:
        ids = np.full(len(people), -1, np.int32)
        for target, row in zip(self._targets, rows, strict=True):
            ids[row] = target.id
        self._see(people, list(zip(self._targets, rows.tolist(), strict=True)), time_s)
        return people, ids

    def _key_frame(self, found: Detections, time_s: float) -> tuple[Detections, Array]:
        self._since, self.key_frames = 0, self.key_frames + 1
        self._usual.extend(best_joints(found).tolist())
        rows = np.flatnonzero(np.isfinite(around_joints(found)).all(1)) if len(found) else np.zeros(0, int)
        pairs = self._overlapping(found, rows)
        there = {id(target) for target, _ in pairs}
        self._lost += [target for target in self._targets if id(target) not in there]
        pairs += self._recognised(found, np.setdiff1d(rows, [row for _, row in pairs]))
        there = {id(target) for target, _ in pairs}
        self._lost = [target for target in self._lost if id(target) not in there]
        for row in np.setdiff1d(rows, [row for _, row in pairs]):
            self._ids += 1
            pairs.append((Target(self._ids, time_s, np.zeros(4), np.zeros(0)), int(row)))
        self._targets = [target for target, _ in pairs]
        self._see(found, pairs, time_s)
        ids = np.full(len(found), -1, np.int32)
        for target, row in pairs:
            ids[row] = target.id
        return found, ids

    def _overlapping(self, found: Detections, rows: Array) -> list[tuple[Target, int]]:
        """Who of the last frame overlaps with whom."""
        if not self._targets or not len(rows):
            return []
        alike = _overlap(np.stack([target.box for target in self._targets]), around_joints(found)[rows])
        return [(self._targets[t], int(rows[r])) for t, r in assign(-alike, -self.same_overlap)]

    def _recognised(self, found: Detections, rows: Array) -> list[tuple[Target, int]]:
        """Who of the lost has a pose like whose."""
        if not self._lost or not len(rows):
            return []
        far = apart(np.stack([target.look for target in self._lost]), self._looks(found)[rows])
        return [(self._lost[t], int(rows[r])) for t, r in assign(np.minimum(far, 2 * self.same_pose), self.same_pose)]

    def _see(self, people: Detections, pairs: list[tuple[Target, int]], time_s: float) -> None:
        if pairs:
            boxes, looks = around_joints(people), self._looks(people)
            for target, row in pairs:
                target.time, target.box, target.look = time_s, boxes[row], looks[row]

    def _looks(self, people: Detections) -> Array:
        return self._network.embed(nodes(people.keypoints, people.scores, people.skeleton))


def best_joints(people: Detections) -> Array:
    """(P,) mean score of the best joints."""
    return np.sort(people.scores, axis=1)[:, -BEST:].mean(1)


def _overlap(a: Array, b: Array) -> Array:
    """(A,B); none where a box is unknown."""
    return np.nan_to_num(iou(a, b))
