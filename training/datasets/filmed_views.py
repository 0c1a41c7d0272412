"""Motion capture as if several people filmed it at once, with cameras in their hands: exact truth, cameras that move.

Everybody walks along beside the person at a slowly changing angle and distance, keeps him in the picture with a little
delay, and cannot hold the camera quite still. Frames are synchronous.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from training.datasets.cameras import Camera
from training.datasets.filmed import FOCAL, SIZE, clips, film
from training.datasets.sequence import Sequence

Array = NDArray[np.floating]

DISTANCE, HEIGHT = (3.5, 6.0), (0.8, 2.2)  # m from the person, m above the floor
DRIFT = (-0.25, 0.25)  # rad/s round the person
SWAY, SWAY_HZ = (0.12, 0.12, 0.05), (0.1, 0.5)  # m in the world's axes
SHAKE_RAD, SHAKE_HZ = 0.03, (0.25, 1.2)  # of a hand, about each axis of the camera
FOLLOWED_S, AIMED_S = 1.5, 0.4  # standard deviations of the smoothing of the path that people walk along, and aim at


def read(
    path: Path,
    cameras: int = 4,
    seed: int = 0,
    wanted: Callable[[str], bool] = lambda subject: True,
    noise: float = 0.0,
) -> Iterator[Sequence]:
    """Every clip of `open_mocap.npz` in front of its own moving cameras, one sequence for each.

    A clip's cameras hang on the seed and the clip's number only. Joints are the 17 of Human3.6M, in metres.

    Args:
        wanted: which subjects; all by default.
        noise: standard deviation px (of 1000) of errors of the 2D, which differ between joints and frames.

    Raises:
        InputError: as `open_mocap.read`.
        UsageError: fewer than one camera.
    """
    for clip in clips(path, cameras, wanted):
        rng = np.random.default_rng([seed, int(clip.action), 1])
        start = rng.uniform(0, 2 * np.pi)
        for number in range(cameras):
            azimuth = start + 2 * np.pi * (number + rng.uniform(-0.3, 0.3)) / cameras
            seen = film(clip, hand_held(rng, clip.world[:, 0], azimuth, clip.fps, f"camera {number}"))
            yield replace(seen, keypoints=seen.keypoints + noise * rng.normal(size=seen.keypoints.shape))


def hand_held(rng: np.random.Generator, path: Array, azimuth: float, fps: float, name: str) -> Camera:
    """A camera, one place per frame, that films a person on a path (T,3) m from a side, at first `azimuth`."""
    clock = np.arange(len(path)) / fps
    along, aim = (gaussian_filter1d(path, seconds * fps, axis=0, mode="nearest") for seconds in (FOLLOWED_S, AIMED_S))
    angle = azimuth + rng.uniform(*DRIFT) * clock
    away = rng.uniform(*DISTANCE) * (1 + 0.1 * _wave(rng, clock, SWAY_HZ))
    floor = path[:, 2].min() - 0.9
    eye = along + away[:, None] * np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
    eye[:, 2] = floor + rng.uniform(*HEIGHT)
    eye += np.stack([amount * _wave(rng, clock, SWAY_HZ) for amount in SWAY], axis=1)
    forward = aim - eye
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    axes = Rotation.from_matrix(np.stack([right, np.cross(forward, right), forward], axis=2))
    shake = Rotation.from_rotvec(np.stack([SHAKE_RAD * _wave(rng, clock, SHAKE_HZ) for _ in range(3)], axis=1))
    quaternions = np.roll((axes * shake).as_quat(), 1, axis=1)  # w first
    centre = np.array(SIZE) / 2
    return Camera(name, SIZE, quaternions, eye, np.full(2, FOCAL), centre, np.zeros(3), np.zeros(2))


def _wave(rng: np.random.Generator, clock: Array, hertz: tuple[float, float]) -> Array:
    """(T,) within -1..1: the mean of three sines of random rates and phases."""
    rates, phases = 2 * np.pi * rng.uniform(*hertz, 3), rng.uniform(0, 2 * np.pi, 3)
    return np.sin(clock[:, None] * rates + phases).mean(axis=1)
