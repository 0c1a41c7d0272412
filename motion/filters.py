"""Zero-phase low-pass filter in Hz, for even and uneven frame times."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.signal import butter, sosfiltfilt

from pipeline.results import Array

ORDER = 2  # of one pass; forwards and backwards make it 4
UNEVEN = 0.02  # frame distances that differ by more than this share are brought to even ones first
SHORTEST = 4  # frames; shorter pieces stay as they are
AT_ONCE = 4  # joints; all of a long clip would fill the memory


def lowpass(values: Array, times: Array, cutoff_hz: float) -> Array:
    """Values (T,...) without NaN, filtered along time by a Butterworth filter run both ways.

    `cutoff_hz` is where both passes together halve the power (the single pass is designed that much higher). Above
    about the half frame rate there is nothing to filter and the values come back unchanged.
    """
    if len(values) < SHORTEST:
        return values
    step = float(np.median(np.diff(times)))
    single = cutoff_hz / (np.sqrt(2) - 1) ** (1 / (2 * ORDER))
    if single >= 0.95 * 0.5 / step:
        return values
    flat = np.asarray(values, float).reshape(len(values), -1)
    uneven = np.ptp(np.diff(times)) > UNEVEN * step
    even_times = np.linspace(times[0], times[-1], round((times[-1] - times[0]) / step) + 1) if uneven else times
    even = PchipInterpolator(times, flat)(even_times) if uneven else flat
    if len(even) >= SHORTEST:
        sections = butter(ORDER, single, fs=1 / step, output="sos")
        reach = min(len(even) - 1, round(1.5 / (cutoff_hz * step)) + 3)
        even = sosfiltfilt(sections, even, axis=0, padlen=reach)
    out = PchipInterpolator(even_times, even)(times) if uneven else even
    return out.reshape(values.shape)


def lowpass_known(values: Array, times: Array, cutoff_hz: float) -> Array:
    """(T,K,C) with NaN: every unbroken run of each joint is filtered for itself."""
    out = np.array(values, float)
    for pattern, joints in alike(np.isfinite(out).all(-1)):
        for begin, end in runs(pattern):
            for some in np.split(joints, range(AT_ONCE, len(joints), AT_ONCE)):
                out[begin:end, some] = lowpass(out[begin:end, some], times[begin:end], cutoff_hz)
    return out


def alike(known: Array) -> list[tuple[Array, Array]]:
    """(T,K) bool -> every different column (T,) with the joints that have it: mostly one with all."""
    if (known == known[:, :1]).all():
        return [(column, np.arange(known.shape[1])) for column in known.T[:1]]
    patterns, which = np.unique(known, axis=1, return_inverse=True)
    return [(pattern, np.nonzero(np.ravel(which) == k)[0]) for k, pattern in enumerate(patterns.T)]


def runs(on: Array) -> list[tuple[int, int]]:
    """(T,) bool -> [begin, end) of every unbroken run of True."""
    edges = np.diff(np.concatenate([[False], on, [False]]).astype(int))
    return list(zip(np.nonzero(edges > 0)[0].tolist(), np.nonzero(edges < 0)[0].tolist(), strict=True))
