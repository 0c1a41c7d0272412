"""Cameras round a walking body, and what they see of it: small data for the tests of several views."""

from dataclasses import replace

import numpy as np

from pipeline.projection import project
from pipeline.results import Track2D
from studio.cameras import look_at
from studio.gait import walk
from studio.paths import circle
from studio.stage import Actor

BEND = (-0.12, 0.03, 0.0005, -0.0004, 0.0)
SKELETON = "blazepose-33"


def ring(count, radius=4.0, bend=BEND, size=(1280, 720), fov=55, target=(0, 0, 0.9)):
    """Cameras all round, at different heights."""
    angles = 0.4 + 2 * np.pi * np.arange(count) / count
    return [
        look_at((radius * np.cos(a), radius * np.sin(a), 1.4 + 0.5 * (i % 3)), target, size, fov, distortion=bend)
        for i, a in enumerate(angles)
    ]


def drifting(camera, times, amount=0.3):
    """The same camera, carried sideways and turned a little: one pose per time."""
    poses = np.repeat(camera.camera_to_world[None], times, axis=0)
    poses[:, 0, 3] += amount * np.sin(np.linspace(0, 3, times))
    return replace(camera, camera_to_world=poses)


def walker(times=30, number=1, place=(0.0, 0.0), phase=0.0):
    """(T,33,3) m: somebody walks a small round about `place`, 30 times a second."""
    actor = Actor.cast(number, walk(circle(place, 0.8, phase), speed=1.1), seed=number)
    return actor.body.joints(actor.motion(actor.body, np.arange(times) / 30), SKELETON)


def seen(cameras, points, noise=0.0, seed=0):
    """Keypoints (V,T,J,2) px and scores (V,T,J)."""
    exact = np.stack([project(c, points)[0] for c in cameras])
    return exact + noise * np.random.default_rng(seed).standard_normal(exact.shape), np.full(exact.shape[:-1], 0.9)


def as_track(number, keypoints, scores, frames):
    """The track of one person in one view: (T,J,2) px, (T,J) and the frames (T,)."""
    boxes = np.concatenate([np.nanmin(keypoints, axis=1), np.nanmax(keypoints, axis=1)], axis=1)
    return Track2D(number, SKELETON, np.asarray(frames, np.int32), keypoints.astype(np.float32),
                   scores.astype(np.float32), scores.max(axis=1) > 0, boxes.astype(np.float32))  # fmt: skip
