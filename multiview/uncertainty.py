"""How far joints may be from where they were put: by what the views disagree about, and how they stand to each other.

A view's keypoints differ from where it would see the joints by the noise of the detector. That is measured after a mean
over the time that a joint needs to move (refine.py smooths over about as long), so that what is averaged away does not
count and what stays does, as a detector's slow errors. From pixels to metres leads the normal matrix of the views that
see the joint; what the joints' places follow of the noise is no longer seen in the differences (the leverage, Cook and
Weisberg 1982). Errors of the cameras, and those that all views share, are in it only as far as views disagree.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import uniform_filter1d

from multiview.refine import ACCELERATION
from multiview.triangulate import FARTHEST, THRESHOLD_PX
from pipeline.projection import project
from pipeline.results import Array, Camera

UNSEEN_M = 0.15  # standard deviation in every direction of a joint that bones alone hold (complete.ALONG_M)
SETTLES = 3.0  # times sqrt(error / ACCELERATION) is the time of the mean
ROUNDS, SETTLED = 10, 1e-3  # of the noise, at most; less does not change
_STEP = 1e-3  # m, of the finite difference


def expected_errors(cameras: Sequence[Camera], keypoints: Array, scores: Array, points: Array, times: Array) -> Array:
    """(T,J) m: the mean distance from the truth to be expected of joints; NaN where they are unknown.

    Args:
        cameras: V, still or with T poses.
        keypoints, scores: (V,T,J,2) px and (V,T,J), NaN and 0 where unseen.
        points: (T,J,3) m, world, made from them.
        times: (T,) s.
    """
    off, weights, by = zip(*(_seen(c, k, s, points) for c, k, s in zip(cameras, keypoints, scores, strict=True)),
                           strict=True)  # fmt: skip
    off, weights, by = np.array(off), np.array(weights), np.array(by)
    normal = np.einsum("vtj,vtjpa,vtjpb->tjab", weights, by, by)
    raw = _errors(_covariance(off, weights, normal))
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    seen = (weights > 0).sum(axis=0) >= 2
    error = float(np.median(raw[seen])) if seen.any() else UNSEEN_M
    over = max(1, round(SETTLES * np.sqrt(error / ACCELERATION) / step))
    calm = _errors(_covariance(_averaged(off, weights, over), weights, normal))
    return np.where(np.isfinite(points).all(-1), calm, np.nan)


def _seen(camera: Camera, keypoints: Array, scores: Array, points: Array) -> tuple[Array, Array, Array]:
    """How far off (T,J,2) px a view sees joints, weights (T,J), and pixels by place (T,J,2,3) px/m."""
    points = np.asarray(points, np.float64)
    pixels = project(camera, points)[0]
    by = np.stack([(project(camera, points + step)[0] - pixels) / _STEP for step in _STEP * np.eye(3)], axis=-1)
    off, far = keypoints - pixels, FARTHEST * THRESHOLD_PX * min(camera.size) / 1080
    with np.errstate(invalid="ignore"):
        used = np.isfinite(by).all((-1, -2)) & (np.linalg.norm(off, axis=-1) < far)
    return np.where(used[..., None], off, 0), np.where(used, scores, 0), np.where(used[..., None, None], by, 0)


def _averaged(off: Array, weights: Array, over: int) -> Array:
    """(V,T,J,2) over so many times, by their weights."""
    total = uniform_filter1d(weights, over, axis=1, mode="constant")[..., None]
    mean = uniform_filter1d(weights[..., None] * off, over, axis=1, mode="constant")
    return mean / np.maximum(total, 1e-9)


def _covariance(off: Array, weights: Array, normal: Array) -> Array:
    """(T,J,3,3) m^2 with the noise that leaves such differences: px^2 of a keypoint of score 1."""
    held = np.eye(3) / UNSEEN_M**2
    total, noise = (weights[..., None] * off**2).sum(), 1.0
    covariance = np.linalg.inv(normal + held)
    for _ in range(ROUNDS if total > 0 else 0):
        followed = np.einsum("tjab,tjba->", covariance, normal) / noise
        before, noise = noise, max(total / (2 * (weights > 0).sum() - followed), 1e-6)
        covariance = np.linalg.inv(normal / noise + held)
        if abs(noise - before) < SETTLED * noise:
            break
    return covariance


def _errors(covariance: Array) -> Array:
    """(T,J) m: the mean length of such errors, to second order."""
    square = np.trace(covariance, axis1=-2, axis2=-1)
    return np.sqrt(square) * (1 - (covariance**2).sum((-1, -2)) / (4 * square**2))
