"""The tracker `poseflow`: poses that overlap, and points of the picture that go along with them.

Xiu et al., "Pose Flow: Efficient Online Pose Tracking", BMVC 2018 (arXiv 1802.00977), as its authors' program does it:
everybody seen in the last frames against everybody in this one, in pairs of the largest total similarity. The paper's
suppression of flows that repeat others is in flow_nms.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.boxes import iou
from pipeline.results import Array, Detections, Track2D
from pipeline.skeletons import skeleton
from trackers.boxes import around_joints
from trackers.correspondences import Features, Matches, OrbMatcher, shared, shared_around
from trackers.flow_nms import merged
from trackers.online import Clock, OnlineTracker, assign
from trackers.pool import Pool

# Weights of shared matches in boxes, overlap of boxes, shared matches around joints, overlap of the joints' squares.
FOLLOWED = (1.0, 2.0, 1.0, 2.0)  # of who was seen in the frame before
FOUND_AGAIN = (0.0, 1.0, 0.0, 1.0)  # of who was not: points of pictures are known from frame to frame only
GROWN = 0.1  # of a box on every side
BODY = skeleton("coco-17").joints  # what poses are compared by, where the detector has it


@dataclass(frozen=True)
class Poses:
    """What P people of one frame are compared by."""

    boxes: Array  # (P,4) px, NaN where no joint is known
    squares: Array  # (P,J,4) px around joints, NaN where unknown

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass
class Flow:
    """Somebody, as last seen."""

    id: int
    frame: int
    time: float  # s
    row: int  # of that frame's poses
    poses: Poses


class PoseFlow(OnlineTracker):
    """Similarity of poses and of the picture under them, from each frame to the next.

    Args:
        matching: look for points of the picture that go along; without, only boxes and joints count (as in the
            present default of the authors' program), and no frames are needed.
        match_threshold: similarity that makes somebody the same person; the highest is 6, or 2 without matching.
        reach_px: joints are squares of twice that.
        best: so many joints of the best similarity count.
        link_s: how long somebody unseen may be found again (the paper: 100 frames).
        suppress: `track` makes one of flows that repeat each other.
    """

    name = "poseflow"
    needs = ("frames",)

    def __init__(
        self, matching: bool = True, match_threshold: float = 0.2, reach_px: float = 30.0, best: int = 7,
        link_s: float = 100 / 30, suppress: bool = True,
    ) -> None:  # fmt: skip
        self.matching, self.match_threshold, self.reach_px, self.best = matching, match_threshold, reach_px, best
        self.link_s, self.suppress = link_s, suppress
        self.needs = ("frames",) if matching else ()
        self._matcher = OrbMatcher() if matching else None
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._flows: list[Flow] = []
        self._clock = Clock()
        self._number = self._ids = 0  # frames, and ids that were given
        self._features: Features | None = None  # of the frame before

    def update(self, found: Detections, time_s: float, frame: Array | None = None) -> Array:
        """(P,) int32 ids, -1 of who has no known joint; see `OnlineTracker.update`."""
        self._clock.step(time_s)
        self._number += 1
        if self.matching and frame is None:
            raise ValueError("poseflow matches points of pictures and was given none")
        self._flows = [flow for flow in self._flows if time_s - flow.time <= self.link_s + 1e-6]
        poses = self._poses(found, None if frame is None else frame.shape[1::-1])
        matches = self._matches(frame, poses)
        pairs = assign(-self._similarity(poses, matches), -self.match_threshold) if self._flows and len(poses) else []
        return self._assigned(pairs, poses, time_s)

    def _gathered(self, pool: Pool, given: Array, times: Array) -> list[Track2D]:
        return super()._gathered(*(merged(pool, given) if self.suppress else (pool, given)), times)

    def _assigned(self, pairs: list[tuple[int, int]], poses: Poses, time_s: float) -> Array:
        ids = np.full(len(poses), -1, np.int32)
        for number, row in pairs:
            flow = self._flows[number]
            flow.frame, flow.time, flow.row, flow.poses = self._number, time_s, row, poses
            ids[row] = flow.id
        for row in np.flatnonzero((ids < 0) & np.isfinite(poses.boxes).all(1)):
            self._ids += 1
            self._flows.append(Flow(self._ids, self._number, time_s, int(row), poses))
            ids[row] = self._ids
        return ids

    def _poses(self, found: Detections, size: tuple[int, int] | None) -> Poses:
        """`size`: (w, h) px of the picture, whose rim cuts boxes; None: unknown."""
        boxes = around_joints(found, GROWN)
        if size is not None:
            boxes = np.clip(boxes, 0, np.tile(np.array(size, float) - 1, 2))
        points = np.where((found.scores > 0)[..., None], found.keypoints, np.nan).astype(float)
        if set(BODY) <= set(skeleton(found.skeleton).joints) and len(found):
            points = points[:, skeleton(found.skeleton).index(*BODY)]
        return Poses(boxes, np.concatenate([points - self.reach_px, points + self.reach_px], axis=-1))

    def _matches(self, frame: Array | None, poses: Poses) -> Matches | None:
        """Between the frame before and this one; None where one of them shows nobody."""
        if self._matcher is None:
            return None
        before, self._features = self._features, None
        there = poses.boxes[np.isfinite(poses.boxes).all(1)]
        if not len(there):
            return None
        self._features = self._matcher.features(frame, there + self.reach_px * np.array([-1, -1, 1, 1]))
        return None if before is None else self._matcher.match(before, self._features)

    def _similarity(self, poses: Poses, matches: Matches | None) -> Array:
        """(F,P) of everybody followed with everybody here."""
        boxes = np.stack([flow.poses.boxes[flow.row] for flow in self._flows])
        squares = np.stack([flow.poses.squares[flow.row] for flow in self._flows])
        parts = np.zeros((4, len(boxes), len(poses)))
        parts[1] = np.nan_to_num(iou(boxes, poses.boxes))
        parts[3] = self._mean_of_best(np.nan_to_num(iou(squares, poses.squares)), squares, poses.squares)
        weights = np.tile(np.array(FOUND_AGAIN)[:, None], len(boxes))
        last = np.array([flow.frame == self._number - 1 for flow in self._flows])
        if matches is not None and last.any():
            weights[:, last] = np.array(FOLLOWED)[:, None]
            parts[0, last] = shared(matches, boxes[last], poses.boxes)
            around = shared_around(matches, squares[last], poses.squares)
            parts[2, last] = self._mean_of_best(around, squares[last], poses.squares)
        return np.einsum("kfp,kf->fp", parts, weights)

    def _mean_of_best(self, each: Array, one: Array, other: Array) -> Array:
        """(F,P,J) -> (F,P): mean over the best joints, fewer where neither pose has as many."""
        known = [np.isfinite(squares).all(-1).sum(1) for squares in (one, other)]
        count = np.clip(np.maximum(known[0][:, None], known[1][None]), 1, self.best)
        return -np.sort(-each, axis=-1)[..., : self.best].sum(-1) / count
