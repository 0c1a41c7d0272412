"""Boxes of people, made fit for a filter."""

from __future__ import annotations

import numpy as np

from pipeline.results import Array, Detections
from trackers.pool import surer_half

LEAST = 1.0  # px, width and height of a box around a single keypoint


def boxes_and_scores(found: Detections) -> tuple[Array, Array]:
    """(P,4) px boxes x1 y1 x2 y2 at least a pixel wide and high, and (P,) scores.

    A box that is not finite is taken around the known keypoints. A score that the detector does not give is the mean
    of the surer half of the joints'. Of who has neither box nor keypoints the box is NaN and the score -1.
    """
    boxes, scores = found.boxes.astype(float).reshape(-1, 4), found.box_scores.astype(float)
    points = found.keypoints.astype(float)
    known = np.isfinite(points).all(-1)
    scores = np.where(np.isfinite(scores), scores, surer_half(found.scores.astype(float), known))
    for row in np.flatnonzero(~np.isfinite(boxes).all(1)):
        there = points[row, known[row]]
        boxes[row] = [*there.min(0), *there.max(0)] if len(there) else np.nan
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, np.abs(boxes[:, 2:] - boxes[:, :2]) / 2
    half = np.maximum(half, LEAST / 2)
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    return boxes, np.where(np.isfinite(boxes).all(1), scores, -1.0)


def around_joints(found: Detections, grown: float = 0.1) -> Array:
    """(P,4) px around the known joints, by a share of its size larger on every side; NaN where no joint is known."""
    known = np.isfinite(found.keypoints).all(-1) & (found.scores > 0)
    points, some = found.keypoints.astype(float), known.any(1)[:, None]
    low = np.where(known[..., None], points, np.inf).min(1, initial=np.inf)
    high = np.where(known[..., None], points, -np.inf).max(1, initial=-np.inf)
    low, high = np.where(some, low, np.nan), np.where(some, high, np.nan)
    return np.concatenate([low - grown * (high - low), high + grown * (high - low)], axis=1)
