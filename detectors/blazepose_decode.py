"""What the two networks' numbers mean: anchors, boxes, weighted suppression, landmarks and their refinement.

Layouts as published for BlazePose: SSD anchors (Liu et al. 2016) with boxes in units of the 224 px input, weighted
non-maximum suppression (BlazeFace, 2019), landmark heads with heatmaps on a grid of 64 x 64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import iou

Array = NDArray[Any]
DETECTION_SIZE, LANDMARK_SIZE, GRID = 224, 256, 64
LANDMARKS, BODY = 39, 33  # the network's points; of these the body's
CENTRE, TOP = 33, 34  # the points that give the next region
ANCHOR_ROWS = ((28, 2), (14, 2), (7, 6))  # cells per side, anchors per cell


def anchors() -> Array:
    """(2254, 2) float32: centres in [0,1], finest grid first, row by row; a cell's anchors are alike."""
    levels = []
    for cells, copies in ANCHOR_ROWS:
        y, x = np.divmod(np.arange(cells * cells), cells)
        centres = (np.stack([x, y], axis=1) + 0.5) / cells
        levels.append(np.repeat(centres, copies, axis=0))
    return np.concatenate(levels).astype(np.float32)


def sigmoid(logits: Array) -> Array:
    """Logistic function without overflow, same shape."""
    return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))


def decode_boxes(raw: Array, logits: Array, centres: Array, threshold: float) -> tuple[Array, Array]:
    """People the detection network reports.

    Args:
        raw: (N,12) box x y w h and four points, in px of the network's input, relative to their anchor.
        logits: (N,) scores before the logistic function.
        centres: (N,2) anchors.
        threshold: lowest score kept.

    Returns:
        (M,6,2): lower corner, upper corner, four points, all in [0,1] of the input; (M,) scores.
    """
    scores = sigmoid(logits)
    rows = np.flatnonzero((scores >= threshold) & (raw[:, 2] >= 0) & (raw[:, 3] >= 0))  # NaN compares false
    pairs = raw[rows].reshape(-1, 6, 2) / DETECTION_SIZE
    middle, size = pairs[:, 0] + centres[rows], pairs[:, 1]
    points = pairs[:, 2:] + centres[rows, None]
    corners = np.stack([middle - size / 2, middle + size / 2], axis=1)
    return np.concatenate([corners, points], axis=1), scores[rows]


def weighted_suppression(rows: Array, scores: Array, limit: float = 0.3) -> tuple[Array, Array]:
    """Average each group of boxes that overlap its best by more than `limit`, weighted by score.

    Args:
        rows: (M,6,2), the first two points are the box.
        scores: (M,).

    Returns:
        (G,6,2) and (G,) best scores, highest first.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = rows[:, :2].reshape(-1, 4)
    kept, best = [], []
    while len(order):
        near = iou(boxes[order[:1]], boxes[order])[0] > limit
        near[0] = True  # a box without area does not overlap itself
        group = order[near]
        kept.append(np.average(rows[group], axis=0, weights=scores[group]))
        best.append(scores[order[0]])
        order = order[~near]
    return np.array(kept, dtype=np.float32).reshape(-1, 6, 2), np.array(best, dtype=np.float32)


def refine(points: Array, heatmaps: Array, window: int = 9, least: float = 0.5) -> Array:
    """Move landmarks to the centre of mass of their heatmap nearby, where it is sure of itself.

    Args:
        points: (L,2) in [0,1] of the crop.
        heatmaps: (64,64,L) logits.
        window: side of the neighbourhood in cells.
        least: lowest peak, after the logistic function, that is believed.

    Returns:
        (L,2), in cells over 64 without a half-cell shift (the convention the network was trained with).
    """
    reach = np.arange(window) - window // 2
    cells = np.trunc(points * GRID).astype(np.int64)
    x, y = cells[:, 0, None] + reach, cells[:, 1, None] + reach  # (L,window)
    inside = ((x >= 0) & (x < GRID))[:, None, :] & ((y >= 0) & (y < GRID))[:, :, None]
    index = np.arange(len(points))[:, None, None]
    logits = heatmaps[y.clip(0, GRID - 1)[:, :, None], x.clip(0, GRID - 1)[:, None, :], index]
    weights = np.where(inside, sigmoid(logits.astype(np.float64)), 0)
    total = np.maximum(weights.sum(axis=(1, 2)), 1e-12)
    mass = np.stack([(weights.sum(axis=1) * x).sum(axis=1), (weights.sum(axis=2) * y).sum(axis=1)], axis=1)
    sure = (weights.max(axis=(1, 2)) >= least) & ((cells >= 0) & (cells < GRID)).all(axis=1)
    return np.where(sure[:, None], mass / total[:, None] / GRID, points)


def decode_landmarks(raw: Array, heatmaps: Array) -> tuple[Array, Array, Array]:
    """Of one crop: (39,2) refined places in [0,1], (33,) visibility, (33,) presence.

    Args:
        raw: (195,) five numbers a landmark, in px of the crop and logits.
        heatmaps: (64,64,39) logits.
    """
    values = raw.reshape(LANDMARKS, 5).astype(np.float64)
    places = refine(values[:, :2] / LANDMARK_SIZE, heatmaps)
    marks = sigmoid(values[:BODY, 3:])
    return places, marks[:, 0], marks[:, 1]
