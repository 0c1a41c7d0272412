"""Does a camera stand still? From what lies behind the people in pictures taken shortly after one another."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from pipeline.results import Array

LEAST_POINTS = 12  # fewer tell nothing: a blank wall
MOVED = 0.0015  # of the picture's diagonal between two pictures: noise, compression and leaves move less
SHARE = 0.5  # of the pairs that tell, above which a camera moves


def moves(pairs: Iterable[tuple[Array, Array, Array]]) -> bool | None:
    """Whether the camera moves; None where the background tells nothing.

    Args:
        pairs: two pictures (H,W) uint8 a fraction of a second apart, and the people's boxes (N,4) px in the first.
    """
    steps = [step for first, second, boxes in pairs if (step := displacement(first, second, boxes)) is not None]
    return bool(np.mean(np.array(steps) > MOVED) > SHARE) if steps else None


def displacement(first: Array, second: Array, boxes: Array) -> float | None:
    """How far the background moves between two pictures, as a share of the diagonal; None where nobody can tell.

    Corners outside of the boxes are followed (Lucas and Kanade 1981); the similarity on which most of them agree is
    what the camera did.
    """
    behind = np.full(first.shape, 255, np.uint8)
    for x1, y1, x2, y2 in np.asarray(boxes).round().astype(int):
        behind[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = 0
    corners = cv2.goodFeaturesToTrack(first, 200, 0.01, 8, mask=behind)
    if corners is None or len(corners) < LEAST_POINTS:
        return None
    found, known, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, None)
    start, end = corners[known[:, 0] == 1][:, 0], found[known[:, 0] == 1][:, 0]
    if len(start) < LEAST_POINTS:
        return None
    change, agree = cv2.estimateAffinePartial2D(start, end, ransacReprojThreshold=1.5)
    if change is None or agree.sum() < LEAST_POINTS:
        return None
    height, width = first.shape
    rim = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float)
    return float(np.linalg.norm(rim @ change.T - rim[:, :2], axis=1).mean() / np.hypot(width, height))
