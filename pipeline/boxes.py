"""Boxes in a picture, as x1 y1 x2 y2: how large they are and how much they share."""

from __future__ import annotations

import numpy as np

from pipeline.results import Array


def area(boxes: Array) -> Array:
    """(...,4) -> (...,) in the square of their unit."""
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)


def iou(some: Array, others: Array) -> Array:
    """Intersection over union of each with each: (A,...,4), (B,...,4) -> (A,B,...); NaN where a box is NaN."""
    low = np.maximum(some[:, None, ..., :2], others[None, ..., :2])
    high = np.minimum(some[:, None, ..., 2:], others[None, ..., 2:])
    shared = np.maximum(high - low, 0).prod(-1)
    return shared / np.maximum(area(some)[:, None] + area(others)[None] - shared, 1e-12)
