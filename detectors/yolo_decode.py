"""From the raw outputs of a YOLO-pose head to people, in pixels of the network's picture.

Method: YOLOv8's anchor-free head (Jocher et al., Ultralytics 2023) with distances as distributions (Li et al. 2020,
"Generalized Focal Loss"); YOLO26's head for one box a person, which needs no suppression.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from detectors.suppression import suppress_boxes
from pipeline.results import Array

JOINTS = 17
Raw = tuple[Array, Array, Array]  # (4*bins,N) distances, (C,N) logits of the classes, (51,N) keypoints; N anchors
People = tuple[Array, Array, Array, Array]  # boxes (P,4) x1 y1 x2 y2, their scores (P,), keypoints (P,17,2), (P,17)


@dataclass(frozen=True)
class Head:
    """What of a network tells how its outputs are read."""

    strides: tuple[int, ...]  # px between anchors, one a level, in the order of the outputs
    bins: int  # of each distance's distribution; 1: the distance itself
    person: int  # index of the class
    classes: int
    size: int  # px of the longer side that it was trained for
    single: bool  # one box a person: nothing to suppress
    doubled: bool  # keypoints are half their distance from the anchor's cell, as up to YOLO12


def decode(raw: Raw, head: Head, size: tuple[int, int], threshold: float, overlap: float, most: int) -> People:
    """The people in one picture, surest first.

    Args:
        size: width, height px of the picture, multiples of the strides.
        threshold: lowest score of a person.
        overlap: intersection over union above which the less sure of two boxes is left out.
        most: people at most.
    """
    distances, logits, points = raw
    at = np.flatnonzero(_persons(logits, head, threshold))
    scores = _sigmoid(logits[head.person, at])
    centres, strides = (part[at] for part in anchors(size, head.strides))
    boxes = _boxes(distances[:, at], head.bins, centres, strides)
    best = np.argsort(-scores, kind="stable")[:most] if head.single else suppress_boxes(boxes, scores, overlap)[:most]
    rows = points[:, at[best]].T.reshape(-1, JOINTS, 3)
    shift, scale = (centres[best] - 0.5, 2) if head.doubled else (centres[best], 1)
    places = (rows[..., :2] * scale + shift[:, None]) * strides[best, None, None]
    return boxes[best], scores[best], places, _sigmoid(rows[..., 2])


@lru_cache(maxsize=8)
def anchors(size: tuple[int, int], strides: tuple[int, ...]) -> tuple[Array, Array]:
    """Centres (N,2) of all cells, in cells from the picture's corner, and their strides (N,) px; by level, then row."""
    centres, of = [], []
    for stride in strides:
        width, height = size[0] // stride, size[1] // stride
        y, x = np.mgrid[:height, :width]
        centres.append(np.stack([x.ravel(), y.ravel()], axis=1) + 0.5)
        of.append(np.full(width * height, stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(of).astype(np.float32)


def _persons(logits: Array, head: Head, threshold: float) -> Array:
    """(N,) bool: anchors whose likeliest class is a person, and likely enough."""
    persons = logits[head.person] > np.log(threshold / (1 - threshold))
    return persons & (logits.argmax(axis=0) == head.person) if head.classes > 1 else persons


def _boxes(distances: Array, bins: int, centres: Array, strides: Array) -> Array:
    """(P,4) px from (4*bins,P): to the left, top, right, bottom, in cells."""
    if bins > 1:
        values = distances.reshape(4, bins, -1)
        shares = np.exp(values - values.max(axis=1, keepdims=True))
        means = np.einsum("dbp,b->dp", shares, np.arange(bins, dtype=np.float32))
        distances = means / shares.sum(axis=1)
    sides = distances.T
    return np.concatenate([centres - sides[:, :2], centres + sides[:, 2:]], axis=1) * strides[:, None]


def _sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-np.clip(values, -60, 60)))
