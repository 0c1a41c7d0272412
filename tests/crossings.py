"""Two studio actors who cross, small: what a detector would see of them, and the pictures."""

from functools import cache

import numpy as np

from pipeline.results import Detections
from pipeline.skeletons import skeleton
from studio.scenes import build

SIZE = (320, 180)


@cache
def crossing(seconds=2.6, fps=10):
    """Detections, times, pictures, and per frame the actor of each detection. Not to be changed."""
    scene = build("crossing4_views", actors=2, cameras=1, duration=seconds, fps=fps, size=SIZE)
    truth = scene.truth("coco-17")
    frames = truth.detections(noise_px=2.0)
    return frames, truth.times, tuple(scene.frames()), actors(frames, truth)


def actors(frames, truth):
    """Who each detection is, by the nearest joints."""
    return [
        np.linalg.norm(frame.keypoints[:, None] - truth.keypoints[0, :, t][None], axis=-1).mean(-1).argmin(1)
        for t, frame in enumerate(frames)
    ]


def nobody(name="coco-17"):
    joints = len(skeleton(name))
    return only(Detections(name, np.zeros((1, 4)), np.zeros(1), np.zeros((1, joints, 2)), np.zeros((1, joints))), [])


def only(frame, rows):
    """These people of a frame."""
    rows = np.array(rows, int)
    values = (frame.boxes, frame.box_scores, frame.keypoints, frame.scores)
    return Detections(frame.skeleton, *(value[rows] for value in values))


def switches(tracks, frames, truth):
    """How often an actor's detections pass from one track to another."""
    last, count = {}, 0
    for t, (frame, persons) in enumerate(zip(frames, truth, strict=True)):
        for points, person in zip(frame.keypoints, persons, strict=False):
            for track in tracks:
                k = t - track.frames[0]
                if 0 <= k < len(track) and track.observed[k] and np.allclose(track.keypoints[k], points, atol=1e-3):
                    count += last.setdefault(person, track.id) != track.id
                    last[person] = track.id
    return count


def standing(places, height=160.0, score=0.9):
    """People of coco-17 who stand at these (x, y) px, hip height: one frame."""
    body = np.array([[0, -70], [-4, -74], [4, -74], [-8, -72], [8, -72], [-18, -50], [18, -50], [-24, -20], [24, -20],
                     [-26, 5], [26, 5], [-10, 0], [10, 0], [-12, 40], [12, 40], [-12, 80], [12, 80]])  # fmt: skip
    points = (np.array(places, float).reshape(-1, 1, 2) + body * height / 154).astype(np.float32)
    boxes = np.concatenate([points.min(1), points.max(1)], axis=1)
    untold = np.full(len(points), np.nan, np.float32)
    return Detections("coco-17", boxes, untold, points, np.full(points.shape[:2], score, np.float32))
