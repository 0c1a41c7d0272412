"""People before several cameras, as lifters and detectors would have them: exact, or with errors of chosen kinds."""

import numpy as np
from people import observe, slow_noise, to_camera, walker

from motion.camera import default_camera
from multiview.people import PersonViews
from studio.cameras import look_at

SIZE = (1280, 720)


def circling(seconds=4.0, fps=15.0, start=0.0, radius=1.0, centre=(0.0, 0.0)):
    """Somebody walks a round: times (T,), joints (T,23,3) m, Z up."""
    times = np.arange(round(seconds * fps)) / fps
    way = lambda t: np.stack([centre[0] + radius * np.cos(start + t), centre[1] + radius * np.sin(start + t)], -1)  # noqa: E731
    return times, walker(way, times)[0]


def ring(angles, distance=4.5, fov=60.0):
    """Cameras at these degrees round the origin; heights differ."""
    out = []
    for number, angle in enumerate(np.radians(angles)):
        eye = (distance * np.cos(angle), distance * np.sin(angle), 1.3 + 0.4 * (number % 3))
        out.append(look_at(eye, (0, 0, 0.95), SIZE, fov))
    return out


def lifted(joints, camera, times, rng, across=0.02, along=0.06):
    """(T,K,3) relative to the pelvis in camera axes, off by slow errors that are larger along the line of sight."""
    local = to_camera(joints, camera)
    error = slow_noise(rng, local.shape, times) * (across, across, along) * (np.arange(joints.shape[1]) > 0)[:, None]
    return local - local[:, :1] + error


def seen_by(joints, cameras, times, noise_px=2.0, seed=0, shifts=None):
    """One person as `self_calibrate` takes them; view v shows the moments times + shifts[v] of `joints`, a function."""
    rng, tracks, poses = np.random.default_rng(seed), [], []
    for number, camera in enumerate(cameras):
        there = joints(times + (0 if shifts is None else shifts[number])) if callable(joints) else joints
        tracks.append(observe(there, camera, times, noise_px=noise_px, rng=rng)[1])
        poses.append(lifted(there, camera, times, rng))
    return PersonViews(
        np.stack([t.keypoints for t in tracks]), np.stack([t.scores for t in tracks]), "blazepose-33", np.stack(poses),
        np.full((len(cameras), *poses[0].shape[:2]), 0.9),
    )  # fmt: skip


def guessed(count):
    return [default_camera(SIZE) for _ in range(count)]
