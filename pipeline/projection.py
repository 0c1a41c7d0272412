"""Through a camera: points of the world to pixels, and pixels back to rays, with lens distortion, still or moving.

The one camera model of the program, that of `pipeline.results.Camera`: OpenCV's axes, metres, all points at once.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from pipeline.results import Array, Camera

_NOWHERE = 1e5  # OpenCV marks fisheye pixels that no ray reaches by -1e6


def centre(camera: Camera) -> Array:
    """(3,), or (T,3) where it moves, m in the world."""
    return np.asarray(camera.camera_to_world, np.float64)[..., :3, 3]


def during(camera: Camera, frames: slice | Array) -> Camera:
    """The camera at some of the times."""
    pose = np.asarray(camera.camera_to_world)
    return camera if pose.ndim == 2 or len(pose) == 1 else replace(camera, camera_to_world=pose[frames])


def to_camera(camera: Camera, points: Array) -> Array:
    """World points (...,3) m to the camera's axes; of a moving camera the first axis is its T times."""
    pose = np.asarray(camera.world_to_camera, np.float64)
    points = np.asarray(points, np.float64)
    if pose.ndim == 2:
        return points @ pose[:3, :3].T + pose[:3, 3]
    flat = points.reshape(len(points), prod(points.shape[1:-1]), 3)
    return (flat @ np.swapaxes(pose[:, :3, :3], 1, 2) + pose[:, None, :3, 3]).reshape(points.shape)


def project(camera: Camera, points: Array) -> tuple[Array, Array]:
    """World points (...,3) m to pixels (...,2) and depths (...,) m; pixels are NaN behind the camera.

    Of a moving camera the first axis of `points` is its T times.
    """
    local = to_camera(camera, points)
    depth = local[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = np.where(depth[..., None] > 1e-6, local[..., :2] / depth[..., None], np.nan)
    return to_pixels(camera, flat), depth


def to_pixels(camera: Camera, flat: Array) -> Array:
    """Directions (...,2) = (x/z, y/z) in the camera's axes to pixels (...,2)."""
    bend = np.asarray(camera.distortion, np.float64)
    if camera.fisheye:
        flat = _fisheye(bend, flat)
    elif bend.any():
        flat = _bent(bend, flat)
    (fx, skew, cx), (_, fy, cy) = np.asarray(camera.matrix, np.float64)[:2]
    return np.stack([fx * flat[..., 0] + skew * flat[..., 1] + cx, fy * flat[..., 1] + cy], axis=-1)


def rays(camera: Camera, pixels: Array) -> Array:
    """Pixels (...,2) to directions (...,2) = (x/z, y/z) in the camera's axes, distortion taken out.

    NaN stays NaN, and pixels that no ray of a fisheye reaches become NaN.
    """
    import cv2  # only here: the doctor, who reads this file, does without

    rule = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
    flat = np.ascontiguousarray(np.asarray(pixels, np.float64).reshape(-1, 1, 2))
    known, out = np.isfinite(flat).all(axis=(1, 2)), np.full(flat.shape, np.nan)
    if known.any():
        matrix, bend = np.asarray(camera.matrix, np.float64), np.asarray(camera.distortion, np.float64)
        if camera.fisheye:
            out[known] = cv2.fisheye.undistortPoints(flat[known], matrix, bend, criteria=rule)
            out[(np.abs(out) >= _NOWHERE).any(axis=(1, 2))] = np.nan
        elif bend.any():
            out[known] = cv2.undistortPoints(flat[known], matrix, bend, criteria=rule)
        else:
            out[known] = cv2.undistortPoints(flat[known], matrix, None)
    return out.reshape(np.shape(pixels))


def _bent(bend: Array, flat: Array) -> Array:
    """Radial and tangential distortion, rational where there are 8 numbers (OpenCV's model)."""
    k1, k2, p1, p2, k3 = bend[:5]
    x, y = flat[..., 0], flat[..., 1]
    r = x * x + y * y
    radial = 1 + r * (k1 + r * (k2 + r * k3))
    if len(bend) > 5:
        k4, k5, k6 = bend[5:]
        radial = radial / (1 + r * (k4 + r * (k5 + r * k6)))
    return np.stack(
        [x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x), y * radial + p1 * (r + 2 * y * y) + 2 * p2 * x * y], -1
    )


def _fisheye(bend: Array, flat: Array) -> Array:
    """Equidistant with four coefficients (OpenCV's fisheye model; Kannala and Brandt 2006)."""
    radius = np.linalg.norm(flat, axis=-1, keepdims=True)
    angle = np.arctan(radius)
    square = angle * angle
    k1, k2, k3, k4 = bend
    bent = angle * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
    with np.errstate(divide="ignore", invalid="ignore"):
        return flat * np.where(radius > 1e-12, bent / radius, 1.0)
