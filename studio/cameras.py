"""Cameras: how they are built, aimed and moved. A moving camera is a function of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from pipeline.projection import rays, to_pixels
from pipeline.results import Camera
from studio.rotations import Array

CameraPath = Callable[[float], Camera]  # time s -> the camera at that moment
_ASTRAY_PX = 0.1  # a ray that comes back so far from its pixel is none


def look_at(
    eye: tuple[float, float, float],
    target: tuple[float, float, float],
    size: tuple[int, int] = (1280, 720),
    fov: float = 50.0,
    roll: float = 0.0,
    distortion: tuple[float, float, float, float, float] = (0, 0, 0, 0, 0),
) -> Camera:
    """A camera at `eye` (m, world) that sees `target` in the middle of its picture.

    Args:
        size: width, height px.
        fov: horizontal field of view in degrees (of the picture without distortion).
        roll: rad, positive turns the picture's content to the left.
        distortion: k1 k2 p1 p2 k3.

    Raises:
        ValueError: the eye is at the target, or looks straight up or down.
    """
    forward = np.subtract(target, eye).astype(np.float64)
    right = np.cross(forward, [0, 0, 1.0])
    if np.linalg.norm(right) < 1e-9:
        raise ValueError("a camera needs a target that is not straight above, below or at its place")
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([c * right + s * down, c * down - s * right, forward], axis=1)
    pose[:3, 3] = eye
    focal = size[0] / 2 / np.tan(np.radians(fov) / 2)
    matrix = np.array([[focal, 0, (size[0] - 1) / 2], [0, focal, (size[1] - 1) / 2], [0, 0, 1.0]])
    return Camera(matrix, tuple(size), np.array(distortion, dtype=np.float64), pose, "studio")


def still(camera: Camera) -> CameraPath:
    """A camera on a tripod."""
    return lambda time: camera


def orbit(centre: tuple[float, float, float], radius: float, height: float, rate: float, start: float = 0.0,
          size: tuple[int, int] = (1280, 720), fov: float = 50.0) -> CameraPath:  # fmt: skip
    """Round `centre` (m) at `radius` and `height` by `rate` rad/s, always looking at it."""

    def at(time: float) -> Camera:
        angle = start + rate * time
        eye = (centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle), height)
        return look_at(eye, centre, size, fov)

    return at


def moving(
    eye: Callable[[float], tuple[float, float, float]],
    target: Callable[[float], tuple[float, float, float]],
    size: tuple[int, int] = (1280, 720),
    fov: float = 50.0,
) -> CameraPath:
    """Pan (moving target), dolly (moving eye) or both."""
    return lambda time: look_at(eye(time), target(time), size, fov)


def shaken(path: CameraPath, amount: float = 0.006, seed: int = 0) -> CameraPath:
    """The same camera in a hand: slow smooth turns of about `amount` rad."""
    rng = np.random.default_rng([seed, 7])
    rates, phases = rng.uniform(1.5, 7.0, (3, 3)), rng.uniform(0, 2 * np.pi, (3, 3))

    def at(time: float) -> Camera:
        camera = path(time)
        turn = amount * np.sin(rates * time + phases).mean(axis=1)
        pose = camera.camera_to_world.copy()
        pose[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(turn)[0]
        return replace(camera, camera_to_world=pose)

    return at


def ray_grid(camera: Camera) -> tuple[Array, Array]:
    """(H,W) float32 each, not to be written to: x/z and y/z of the ray through every pixel's centre.

    Raises:
        ValueError: a distortion so strong that some pixel has no ray.
    """
    return _ray_grid(camera.matrix.tobytes(), np.asarray(camera.distortion, np.float64).tobytes(), tuple(camera.size))


@lru_cache(maxsize=4)
def _ray_grid(matrix: bytes, distortion: bytes, size: tuple[int, int]) -> tuple[Array, Array]:
    camera = Camera(np.frombuffer(matrix).reshape(3, 3), size, np.frombuffer(distortion))
    pixels = np.stack(np.meshgrid(*map(np.arange, size)), axis=-1)
    found = rays(camera, pixels)
    if not np.abs(to_pixels(camera, found) - pixels).max() < _ASTRAY_PX:
        raise ValueError(f"the distortion {camera.distortion.tolist()} cannot be undone over the whole picture")
    u, v = np.moveaxis(found.astype(np.float32), -1, 0).copy()
    return u, v
