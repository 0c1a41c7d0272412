"""People before several cameras, as lifters and detectors would have them: exact, or with errors of chosen kinds."""

from functools import partial

import numpy as np
from people import H36M, observe, slow_noise, to_camera, walker

from motion.camera import default_camera
from multiview.known import reconstruct
from multiview.people import PersonViews, to_body
from pipeline.skeletons import skeleton
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


def along(seconds=9.0, fps=15.0, speed=1.3):
    """Somebody walks along a corridor, from side to side: as `circling`."""
    times = np.arange(round(seconds * fps)) / fps
    way = lambda t: np.stack([speed * (t - seconds / 2), 0.5 * np.sin(1.1 * t)], -1)  # noqa: E731
    return times, walker(way, times)[0]


def corridor():
    """Four cameras along it; each sees a stretch that overlaps its neighbours'."""
    eyes = [(2.6 * k - 3.9, -3.6, (1.6, 2.1)[k % 2]) for k in range(4)]
    return [look_at(eye, (eye[0] + (0.3, -0.3)[k % 2], 0, 0.95), SIZE, 70) for k, eye in enumerate(eyes)]


def lifted(joints, camera, times, rng, across=0.02, along=0.06):
    """(T,K,3) relative to the pelvis in camera axes, off by slow errors that are larger along the line of sight."""
    local = to_camera(joints, camera)
    error = slow_noise(rng, local.shape, times) * (across, across, along) * (np.arange(joints.shape[1]) > 0)[:, None]
    return local - local[:, :1] + error


def seen_by(joints, cameras, times, noise_px=2.0, seed=0, shifts=None, within=False):
    """One person as `self_calibrate` takes them; view v shows the moments times + shifts[v] of `joints`, a function.

    `within`: only while all of them is in the picture.
    """
    rng, tracks, poses = np.random.default_rng(seed), [], []
    for number, camera in enumerate(cameras):
        there = joints(times + (0 if shifts is None else shifts[number])) if callable(joints) else joints
        tracks.append(observe(there, camera, times, noise_px=noise_px, rng=rng)[1])
        poses.append(lifted(there, camera, times, rng))
    keypoints, scores, poses = (
        np.stack([t.keypoints for t in tracks]),
        np.stack([t.scores for t in tracks]),
        np.stack(poses),
    )
    sure = np.full(poses.shape[:-1], 0.9)
    if within:
        away = ~((keypoints >= 0) & (keypoints < SIZE)).all((2, 3))
        keypoints[away] = poses[away] = np.nan
        scores[away] = sure[away] = 0
    return PersonViews(keypoints, scores, "blazepose-33", poses, sure)


def triangulated(found, person, times):
    """(T,23,3) m with the cameras that self-calibration found."""
    source = skeleton(person.skeleton)
    return reconstruct(
        found.cameras, person.keypoints, person.scores, times, source, H36M, partial(to_body, source=person.skeleton),
        person.poses, person.pose_scores,
    ).motion.points  # fmt: skip


def guessed(count):
    return [default_camera(SIZE) for _ in range(count)]
