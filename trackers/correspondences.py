"""Which points of one picture are which of the next: ORB features (Rublee et al., ICCV 2011), for PoseFlow.

The authors' program matches all features of two pictures and counts those in boxes and around joints. Points outside
of these count nowhere, so here features are looked for where people are, as densely as in the whole picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.boxes import iou
from pipeline.results import Array

FEATURES = 10_000  # of a whole picture
FEWEST = 500  # of a part of it
RATIO = 0.8  # Lowe's: of the distances to the best match and to the second best
TEXTURE = 400  # product of the numbers of features below which pictures tell nothing


@dataclass(frozen=True)
class Features:
    """Of one picture."""

    points: Array  # (N,2) px
    descriptors: Array  # (N,32) uint8


@dataclass(frozen=True)
class Matches:
    """M pairs of points; `textured` is False where the pictures have too few features to tell anything."""

    before: Array  # (M,2) px
    now: Array  # (M,2) px
    textured: bool = True


class OrbMatcher:
    """Finds the features of pictures, and which are the same."""

    def __init__(self) -> None:
        import cv2

        self._cv2: Any = cv2
        self._orb = cv2.ORB_create(nfeatures=FEATURES, scoreType=cv2.ORB_FAST_SCORE)
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING)

    def features(self, frame: Array, boxes: Array) -> Features:
        """Of a picture (H,W,3) uint8 BGR, within boxes (P,4) px."""
        mask = np.zeros(frame.shape[:2], np.uint8)
        height, width = mask.shape
        for x0, y0, x1, y1 in np.clip(np.rint(boxes), 0, [width, height, width, height]).astype(int):
            mask[y0 : y1 + 1, x0 : x1 + 1] = 255
        self._orb.setMaxFeatures(max(FEWEST, round(FEATURES * float(np.count_nonzero(mask)) / mask.size)))
        grey = self._cv2.cvtColor(frame, self._cv2.COLOR_BGR2GRAY)
        points, descriptors = self._orb.detectAndCompute(grey, mask)
        places = np.array([point.pt for point in points], float).reshape(-1, 2)
        return Features(places, np.zeros((0, 32), np.uint8) if descriptors is None else descriptors)

    def match(self, before: Features, now: Features) -> Matches:
        """Each feature's best match, where it is clearly better than the second best."""
        if len(before.points) * len(now.points) < TEXTURE or len(now.points) < 2:
            return Matches(np.zeros((0, 2)), np.zeros((0, 2)), textured=False)
        pairs = self._matcher.knnMatch(before.descriptors, now.descriptors, k=2)
        clear = [best for best, second in pairs if best.distance < RATIO * second.distance]
        ends = np.array([(match.queryIdx, match.trainIdx) for match in clear], int).reshape(-1, 2)
        return Matches(before.points[ends[:, 0]], now.points[ends[:, 1]])


def shared(matches: Matches, before: Array, now: Array) -> Array:
    """How many of the matches that touch a box of (A,4) or one of (B,4) px lie in both: (A,B) in [0,1].

    Without texture the pictures count as the same, every pixel its own match: then it is the boxes' overlap.
    """
    return shared_around(matches, before[:, None], now[:, None])[..., 0]


def shared_around(matches: Matches, before: Array, now: Array) -> Array:
    """The same for J boxes of each, (A,J,4) and (B,J,4) px -> (A,B,J); a box that is NaN holds nothing."""
    if not matches.textured:
        return np.nan_to_num(iou(before, now))
    one = _inside(matches.before, before)
    other = _inside(matches.now, now)
    both = np.einsum("ajm,bjm->abj", one, other, optimize=True)
    either = one.sum(-1)[:, None] + other.sum(-1)[None] - both
    return both / np.maximum(either, 1)


def _inside(points: Array, boxes: Array) -> Array:
    """(A,J,M) 0 or 1."""
    low, high = boxes[..., None, :2], boxes[..., None, 2:]
    return ((points >= low) & (points <= high)).all(-1).astype(np.float32)
