"""Short gaps in 3D motion are bridged, long ones stay."""

from __future__ import annotations

import numpy as np

from motion.filters import alike, runs
from pipeline.results import Array

FADE_S = 0.25  # scores fall by a factor e in that time from the nearest known frame


def fill(values: Array, scores: Array, times: Array, max_gap_s: float) -> tuple[Array, Array]:
    """(T,K,3), (T,K): gaps between known frames at most `max_gap_s` apart, bridged by cubic curves.

    The curve leaves and arrives with the motion's own velocity (Hermite), limited so that it cannot swing out.
    """
    values, scores = np.array(values, float), np.array(scores, float)
    known = np.isfinite(values).all(-1)
    for pattern, joints in alike(known):
        for begin, end in runs(~pattern):
            if begin == 0 or end == len(times) or times[end] - times[begin - 1] > max_gap_s + 1e-9:
                continue
            rows = np.arange(begin, end)
            values[np.ix_(rows, joints)] = _bridge(values[:, joints], times, begin - 1, end, pattern)
            away = np.minimum(times[rows] - times[begin - 1], times[end] - times[rows])
            ends = np.minimum(scores[begin - 1, joints], scores[end, joints])
            scores[np.ix_(rows, joints)] = ends * np.exp(-away / FADE_S)[:, None]
    return values, scores


def _bridge(values: Array, times: Array, left: int, right: int, known: Array) -> Array:
    """(right-left-1,K,3) between two known frames."""
    span = times[right] - times[left]
    leaving = _speed(values, times, left, left - 1, known)
    arriving = _speed(values, times, right, right + 1, known)
    mean = (values[right] - values[left]) / span
    limit = 2 * np.linalg.norm(mean, axis=-1, keepdims=True) + 0.1
    leaving, arriving = _limited(leaving, limit), _limited(arriving, limit)
    s = ((times[left + 1 : right] - times[left]) / span)[:, None, None]
    return (
        (2 * s**3 - 3 * s**2 + 1) * values[left]
        + (s**3 - 2 * s**2 + s) * span * leaving
        + (3 * s**2 - 2 * s**3) * values[right]
        + (s**3 - s**2) * span * arriving
    )


def _speed(values: Array, times: Array, at: int, beside: int, known: Array) -> Array:
    if not (0 <= beside < len(times) and known[beside]):
        return np.zeros_like(values[at])
    return (values[at] - values[beside]) / (times[at] - times[beside])


def _limited(velocity: Array, limit: Array) -> Array:
    speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
    return velocity * np.minimum(1.0, limit / np.maximum(speed, 1e-9))
