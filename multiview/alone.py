"""Where a person is while one view alone sees them: there where the lifted pose fits its keypoints.

A lifted pose is a few per cent too large or small, and so is the distance at which it fits. By how much is told by the
moments before and after, at which other views see the person, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multiview.layout import pelvis_paths
from multiview.procrustes import blurred
from multiview.triangulate import Triangulated
from pipeline.projection import centre, rays
from pipeline.results import Array, Camera

ACROSS_M, ALONG = 0.03, 0.05  # standard deviations across the line of sight, and along it as a share of the distance
WINDOW_S = 0.35  # over which the share by which distances are wrong is averaged


def pelvis_alone(
    found: Triangulated, times: Array, cameras: Sequence[Camera], keypoints: Array, lifted: Array
) -> tuple[Array, Array]:
    """The pelvis at times at which no joint was triangulated: (T,3) m in the world and its covariance (T,3,3) m^2.

    Args:
        found: triangulated joints, the pelvis first.
        times: (T,) s.
        keypoints: (V,T,K,2) px of the same joints, NaN where unseen.
        lifted: (V,T,K,3) m relative to the pelvis in the axes of `cameras`, NaN where a view has no pose.

    Returns:
        NaN at all other times, and where no view sees enough of the person.
    """
    alone = ~np.isfinite(found.points).all(-1).any(1)
    total, pull = np.zeros((len(alone), 3, 3)), np.zeros((len(alone), 3))
    if not alone.any():
        return np.full_like(pull, np.nan), np.full_like(total, np.nan)
    for camera, pixels, pose in zip(cameras, keypoints, lifted, strict=True):
        flat = rays(camera, pixels)
        path = pelvis_paths(flat, np.isfinite(flat).all(-1), pose)
        eye, turn = centre(camera), np.asarray(camera.camera_to_world, float)[..., :3, :3]
        far = np.linalg.norm(path, axis=-1)
        ahead = (turn @ path[..., None])[..., 0] / far[:, None]
        far = far * _wrong(np.linalg.norm(found.points[:, 0] - eye, axis=-1) / far, times)
        along = ahead[:, :, None] * ahead[:, None]
        told = (np.eye(3) - along) / ACROSS_M**2 + along / (ALONG * far[:, None, None]) ** 2
        there = alone & np.isfinite(far)
        total[there] += told[there]
        pull[there] += (told @ (eye + far[:, None] * ahead)[..., None])[there, :, 0]
    some = total.any((1, 2))
    covariance = np.where(some[:, None, None], np.linalg.inv(np.where(some[:, None, None], total, np.eye(3))), np.nan)
    return (covariance @ pull[..., None])[..., 0], covariance


def _wrong(ratio: Array, times: Array) -> Array:
    """(T,) from the known of the ratios (T,): averaged, and interpolated where they are NaN; 1 where none is known."""
    known = np.isfinite(ratio)
    if not known.any():
        return np.ones(len(ratio))
    mean, weight = (blurred(values, times[known], WINDOW_S) for values in (ratio[known], known[known].astype(float)))
    return np.interp(times, times[known], mean / weight)
