"""The lag between two recordings of the same sound, by generalised cross-correlation with phase transform.

GCC-PHAT (Knapp and Carter 1976) on the loudness in bands: microphones differ in phase and colour, but claps, steps and
words begin at the same time in all.
"""

from __future__ import annotations

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfilt

from pipeline.results import Array

RATE = 1000.0  # Hz, of the loudness
BANDS = ((150.0, 600.0), (600.0, 2000.0), (2000.0, 3600.0))  # Hz
LEAST_RATIO = 1.5  # to the best other lag
_APART_S = 0.1
_LEAST_S = 0.5


def delay(one: tuple[Array, float, float], other: tuple[Array, float, float]) -> tuple[float, float] | None:
    """How much more the second's clock reads at the same moment, in s, and how far the peak stands out.

    Args:
        one, other: samples (N,), their rate in Hz, and the own time of the first in s.

    Returns:
        None where there is no sound, or no lag stands out by LEAST_RATIO.
    """
    onsets = [_onsets(*part[:2]) for part in (one, other)]
    if any(len(part) < _LEAST_S * RATE or not part.any() for part in onsets):
        return None
    first, second = onsets
    size = fft.next_fast_len(len(first) + len(second), real=True)
    cross = np.conj(fft.rfft(first, size, axis=0)) * fft.rfft(second, size, axis=0)
    frequency = fft.rfftfreq(size, 1 / RATE)[:, None]
    kept = (frequency > 0.5) & (frequency < 100)
    whitened = np.where(kept, cross / np.maximum(np.abs(cross), 1e-9 * np.abs(cross).max()), 0)
    curve = np.roll(fft.irfft(whitened.sum(axis=1), size), len(first) - 1)[: len(first) + len(second) - 1]
    best = int(np.argmax(curve))
    far = np.abs(np.arange(len(curve)) - best) > _APART_S * RATE
    ratio = float(curve[best] / max(curve[far].max(initial=0.0), 1e-12))
    if ratio < LEAST_RATIO or not 0 < best < len(curve) - 1:
        return None
    left, top, right = curve[best - 1 : best + 2]
    vertex = best + (left - right) / (2 * (left - 2 * top + right))
    return float((vertex - len(first) + 1) / RATE + other[2] - one[2]), min(ratio, 10.0)


def _onsets(samples: Array, rate: float) -> Array:
    """(N,) samples -> (M,bands) how fast the loudness rises, at RATE."""
    samples = np.asarray(samples, np.float64)
    if not len(samples) or not samples.any():
        return np.zeros((len(samples), len(BANDS)))
    times = np.arange(0, len(samples) / rate, 1 / RATE)
    rows = []
    for low, high in BANDS:
        band = sosfilt(butter(2, (low, min(high, 0.45 * rate)), "bandpass", fs=rate, output="sos"), samples)
        power = gaussian_filter1d(band**2, 0.004 * rate)
        loud = np.log(power + 1e-4 * power.max() + 1e-30)
        rows.append(np.gradient(np.interp(times, np.arange(len(loud)) / rate, loud)))
    return np.stack(rows, axis=1)
