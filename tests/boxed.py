"""People as boxes, made by hand, with COCO's keypoints somewhere inside."""

import numpy as np

from pipeline.results import Detections

SIZE = (1280, 720)
WIDE = 0.4  # of a box's height
_SPOTS = np.random.default_rng(0).uniform(0.1, 0.9, (17, 2))


def box(centre, high):
    """x1 y1 x2 y2 of somebody that high."""
    x, y = centre
    return np.array([x - WIDE * high / 2, y - high / 2, x + WIDE * high / 2, y + high / 2])


def walker(start, velocity, frames, high=160.0):
    """(T,4) boxes of somebody who walks straight on, px and px per frame."""
    return np.array([box(np.add(start, np.multiply(k, velocity)), high) for k in range(frames)])


def detections(boxes, scores, following=None, appearance=None):
    """One frame: (P,4), (P,)."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    points = boxes[:, None, :2] + _SPOTS * (boxes[:, None, 2:] - boxes[:, None, :2])
    scores = np.broadcast_to(np.asarray(scores, np.float32), len(boxes)).copy()
    joints = np.repeat(scores[:, None], 17, axis=1)
    return Detections("coco-17", boxes, scores, points.astype(np.float32), joints, following=following,
                      appearance=appearance)  # fmt: skip


def frames_of(people, scores=0.9, noise=0.0, rng=None):
    """One frame after the other of people (P,T,4), NaN where somebody is not there.

    Args:
        scores: one, or (P,T).
        noise: px, of the boxes.
    """
    people = np.array(people, float)
    scores = np.broadcast_to(scores, people.shape[:2])
    if noise:
        people = people + noise * rng.normal(size=people.shape)
    there = np.isfinite(people).all(-1)
    return [detections(people[there[:, t], t], scores[there[:, t], t]) for t in range(people.shape[1])]


def ids_of(tracker, frames, fps=30.0, pictures=None):
    """Per frame, the ids that an online tracker gives."""
    pictures = [None] * len(frames) if pictures is None else pictures
    each = enumerate(zip(frames, pictures, strict=True))
    return [tracker.update(found, k / fps, picture) for k, (found, picture) in each]
