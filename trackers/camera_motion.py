"""How the camera moved from one frame to the next, seen in what stands still."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.results import Array

LONGEST = 640  # px, longer side of the picture that is looked at
CORNERS, QUALITY, APART = 400, 0.01, 7  # how many at most, against the best one's, px
RANSAC_PX = 3.0
LEAST, SHARE = 10, 0.3  # corners that have to agree, and which share of all


class CameraMotion:
    """Sparse optical flow of corners beside people, and the similarity that most of them agree with.

    BoT-SORT's global motion compensation (Aharon et al. 2022, section 3.2): corners by Shi and Tomasi (1994), flow by
    Lucas and Kanade in pyramids (Bouguet 2000), rotation, scale and shift by RANSAC. The frame before is kept, small.

    Attributes:
        unknown: in how many frames the motion could not be told (a cut, a blank wall); the camera counts as still.
    """

    def __init__(self) -> None:
        self.unknown = 0
        self._grey: Array | None = None  # the frame before
        self._corners = np.zeros((0, 1, 2), np.float32)  # in it

    def step(self, frame: Array, people: Array) -> Array:
        """(2,3) that maps px of the frame before to px of this one.

        Args:
            frame: (H,W,3) uint8 BGR.
            people: (P,4) px boxes; what is in them moves by itself.
        """
        scale = min(1.0, LONGEST / max(frame.shape[:2]))
        small = frame if scale == 1 else cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        found = None
        if self._grey is not None and self._grey.shape == grey.shape:
            found = self._similarity(grey, scale)
            self.unknown += found is None
        self._grey, self._corners = grey, _corners(grey, (people + 0.5) * scale - 0.5)
        return np.eye(2, 3) if found is None else found

    def _similarity(self, grey: Array, scale: float) -> Array | None:
        if len(self._corners) < LEAST:
            return None
        moved, status, _ = cv2.calcOpticalFlowPyrLK(self._grey, grey, self._corners, None)
        there = status.ravel() == 1
        before, after = ((points[there, 0] + 0.5) / scale - 0.5 for points in (self._corners, moved))
        if len(before) < LEAST:
            return None
        found, agree = cv2.estimateAffinePartial2D(before, after, ransacReprojThreshold=RANSAC_PX / scale)
        return None if found is None or agree.sum() < max(LEAST, SHARE * len(before)) else found


def _corners(grey: Array, people: Array) -> Array:
    """(N,1,2) float32 px outside of the boxes (P,4)."""
    free = np.full(grey.shape, 255, np.uint8)
    for x0, y0, x1, y1 in np.nan_to_num(people).clip(0, max(grey.shape)).astype(int):
        free[y0 : y1 + 1, x0 : x1 + 1] = 0
    found = cv2.goodFeaturesToTrack(grey, CORNERS, QUALITY, APART, mask=free)
    return np.zeros((0, 1, 2), np.float32) if found is None else found
