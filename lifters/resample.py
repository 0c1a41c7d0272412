"""Between the clip's own times and the even rate at which a lifter was trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import convolve1d

Array = NDArray[np.floating]

EVEN = 0.1  # frame distances that differ by less than this share from the wanted one are left as they are


def grid(times: Array, rate: float) -> Array:
    """Even times that cover `times` (T,) seconds; `times` themselves when they have nearly that rate already."""
    steps = np.diff(times)
    if len(times) < 2 or (np.abs(steps * rate - 1) < EVEN).all():
        return times
    count = int(np.ceil((times[-1] - times[0]) * rate - 1e-6)) + 1
    return times[0] + np.arange(count) / rate


def to_grid(points: Array, scores: Array, times: Array, even: Array, rate: float) -> tuple[Array, Array]:
    """Keypoints (T,J,2) with scores (T,J) at `times` -> the same at the times `even`.

    Faster clips are averaged over a step of the new rate, slower ones interpolated. A joint is missing where one of
    the two frames around lacks it, unless one of them has the very time.
    """
    if even is times:
        return points, scores
    points, scores = _thin(np.where(scores[..., None] > 0, points, 0.0), scores, times, rate)
    after = np.clip(np.searchsorted(times, even), 1, len(times) - 1)
    before = after - 1
    part = np.clip((even - times[before]) / (times[after] - times[before]), 0.0, 1.0)[:, None]
    left, right = np.where(part < 1 - 1e-6, 1.0, 0.0), np.where(part > 1e-6, 1.0, 0.0)
    lost = ((scores[before] <= 0) & (left > 0)) | ((scores[after] <= 0) & (right > 0))
    mixed = points[before] * (1 - part[..., None]) + points[after] * part[..., None]
    return mixed, np.where(lost, 0.0, scores[before] * (1 - part) + scores[after] * part)


def _thin(points: Array, scores: Array, times: Array, rate: float) -> tuple[Array, Array]:
    """A triangular mean, one step of `rate` to either side, over the frames of a clip that is faster."""
    reach = 1 / rate / float(np.median(np.diff(times)))
    if reach < 1.3:
        return points, scores
    whole = int(np.ceil(reach))
    window = np.clip(1 - np.abs(np.arange(-whole, whole + 1)) / reach, 0.0, None)
    total = convolve1d(scores, window, axis=0, mode="constant")
    mean = convolve1d(points * scores[..., None], window, axis=0, mode="constant")
    seen = scores > 0
    counted = convolve1d(seen.astype(float), window, axis=0, mode="constant")
    points = np.where(seen[..., None], mean / np.maximum(total, 1e-9)[..., None], 0.0)
    return points, np.where(seen, total / np.maximum(counted, 1e-9), 0.0)


def from_grid(values: Array, even: Array, times: Array) -> Array:
    """(N,...) smooth values at the times `even` -> at `times`, by a cubic spline."""
    if even is times:
        return values
    return CubicSpline(even, values, axis=0)(times)
