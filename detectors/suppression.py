"""One person found twice becomes one: by boxes, and by poses."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.boxes import area
from pipeline.results import Array

AREA = 0.53  # of a person, as a share of the box: what COCO's tools take where no outline is known
LEAST_JOINTS = 4  # seen in both poses, without which they are not compared
SEEN = 0.3


def suppress_boxes(boxes: Array, scores: Array, overlap: float) -> Array:
    """Indices of the boxes (P,4) x1 y1 x2 y2 that no better one overlaps by more than that IoU, best first."""
    if not len(boxes):
        return np.zeros(0, int)
    sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(sizes.astype(float).tolist(), scores.astype(float).tolist(), 0.0, overlap)
    return np.asarray(kept, int).reshape(-1)


def similarity(keypoints: Array, scores: Array, areas: Array, sigmas: Array) -> Array:
    """Object keypoint similarity of each pose with each other, (P,P) in [0,1], as COCO defines it.

    The mean is over the joints that both show; 0 where these are fewer than 4.

    Args:
        keypoints: (P,J,2) px.
        scores: (P,J) in [0,1].
        areas: (P,) px^2 of the people; a pair is measured by the mean of both.
        sigmas: (J,) COCO's constants.
    """
    squared = np.nansum((keypoints[:, None] - keypoints[None]) ** 2, axis=-1)  # (P,P,J)
    scale = (areas[:, None] + areas[None]) / 2
    near = np.exp(-squared / (2 * (2 * sigmas) ** 2 * np.maximum(scale, 1)[..., None]))
    both = (scores > SEEN)[:, None] & (scores > SEEN)[None]
    count = both.sum(-1)
    return np.where(count >= LEAST_JOINTS, (near * both).sum(-1) / np.maximum(count, 1), 0.0)


def suppress_poses(keypoints: Array, scores: Array, boxes: Array, sigmas: Array, limit: float) -> Array:
    """Indices, ascending, of the poses that are no worse double of another one.

    Args:
        boxes: (P,4) px, from which the people's areas are taken.
        limit: object keypoint similarity above which two poses are one person's.
    """
    alike = similarity(keypoints, scores, AREA * area(boxes), sigmas) > limit
    kept: list[int] = []
    for index in np.argsort(-scores.mean(axis=1), kind="stable"):
        if not alike[index, kept].any():
            kept.append(int(index))
    return np.array(sorted(kept), int)
