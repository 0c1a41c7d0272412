"""What two views of the same people share, whatever they look at them from: signals of motion, and their correlation.

From the lifted pose come the velocities of limbs relative to the pelvis, in camera axes, and the speeds of joint
angles, which know no axes; from the picture comes how fast the whole person rises. Velocities of two cameras differ by
a rotation that nobody knows: at every lag the one that fits best is taken (Procrustes; Kabsch 1976), in closed form
from nine cross-correlations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import binary_erosion, gaussian_filter1d

from multiview.clock import motion_on_clock, on_clock
from pipeline.results import Array, Motion3D, Track2D
from pipeline.skeletons import skeleton

RATE = 50.0  # Hz; after the filter nothing is left above a third of it
SIGMA_S = 0.05
FASTEST = 6.0  # m/s relative to the pelvis: above it the detector has jumped
LEAST_S = 0.4  # common time below which nothing is said
PEOPLE = 8  # of a view, those seen longest

_LIMBS = [f"{side}_{part}" for side in ("left", "right") for part in ("elbow", "wrist", "knee", "ankle", "shoulder")]
_ANGLES = (("hip", "knee", "ankle"), ("shoulder", "hip", "knee"), ("shoulder", "elbow", "wrist"),
           ("hip", "shoulder", "elbow"))  # fmt: skip


@dataclass(frozen=True)
class Signals:
    """One person's motion at N times, even at RATE from `start`; 0 where unknown."""

    start: int  # samples from the zero of the view's own clock
    velocity: Array  # (N,J,3) m/s, camera axes, relative to the pelvis
    turning: Array  # (N,9): eight joint angles' speeds and how fast the picture of the person rises, each with rms 1
    known: Array  # (N,) bool
    speed: float  # m/s, rms of `velocity` where known


@dataclass(frozen=True)
class Curve:
    """How well two people agree when the second's clock reads `lag` more than the first's."""

    lags: Array  # (L,) s
    agreement: Array  # (L,) in [-1,1], -1 where they have too little time in common
    evidence: Array  # (L,) s: common time times the logarithm of the variance left unexplained, negative


def signals(motion: Motion3D, track: Track2D, times: Array) -> Signals | None:
    """The signals of one person; None where there are too few of his frames.

    Args:
        motion: frame "root", of a skeleton that begins with Human3.6M's 17.
        track: the same person's keypoints, same frames.
        times: (T_clip,) s of the clip.
    """
    own = np.asarray(times, np.float64)[motion.frames]
    if len(own) < 8 or own[-1] - own[0] < LEAST_S:
        return None
    start = int(np.ceil(own[0] * RATE - 1e-6))
    even = np.arange(start, int(np.floor(own[-1] * RATE + 1e-6)) + 1) / RATE
    joints = motion_on_clock(motion, times, even, 0.0).joints[:, :17].astype(np.float64)
    seen = np.isfinite(joints).all((1, 2))
    known = binary_erosion(seen, iterations=int(2 * SIGMA_S * RATE), border_value=1)
    if known.sum() < LEAST_S * RATE:
        return None
    joints = _filled(joints.reshape(len(even), -1), seen).reshape(joints.shape)
    velocity = _speeds(joints[:, skeleton("h36m-17").index(*_LIMBS)])
    size = np.linalg.norm(velocity, axis=-1, keepdims=True)
    velocity *= np.minimum(1.0, FASTEST / np.maximum(size, 1e-9)) * known[:, None, None]
    turning = np.concatenate([_speeds(_angles(joints)), _rising(track, times, even)[:, None]], axis=1)
    turning = np.where(known[:, None], np.nan_to_num(turning), 0.0)
    rms = np.sqrt((turning**2).sum(axis=0) / known.sum())
    turning = np.clip(turning / np.maximum(rms, 1e-6), -4, 4)
    return Signals(start, velocity, turning, known, float(np.sqrt((velocity[known] ** 2).sum(-1).mean())))


def _filled(values: Array, seen: Array) -> Array:
    """(N,C): rows that are not seen on the line between those that are."""
    if seen.all():
        return values
    rows = np.arange(len(values))
    return np.stack([np.interp(rows, rows[seen], column[seen]) for column in values.T], axis=1)


def _speeds(values: Array) -> Array:
    """Per second, smoothed."""
    return gaussian_filter1d(values, SIGMA_S * RATE, axis=0, order=1, mode="nearest") * RATE


def _angles(joints: Array) -> Array:
    """(N,17,3) -> (N,8) rad."""
    body, out = skeleton("h36m-17"), []
    for side in ("left", "right"):
        for names in _ANGLES:
            a, b, c = (joints[:, i] for i in body.index(*(f"{side}_{name}" for name in names)))
            out.append(np.arctan2(np.linalg.norm(np.cross(a - b, c - b), axis=-1), ((a - b) * (c - b)).sum(-1)))
    return np.stack(out, axis=1)


def _rising(track: Track2D, times: Array, even: Array) -> Array:
    """(N,) body heights per second upwards in the picture; NaN where unknown."""
    moved, out = on_clock(track, times, even, 0.0), np.full(len(even), np.nan)
    names = skeleton(track.skeleton).joints
    trunk = [i for i, name in enumerate(names) if name.endswith(("hip", "shoulder"))]
    height, seen = moved.keypoints[:, trunk, 1].mean(axis=1), np.isfinite(moved.keypoints[:, trunk]).all((1, 2))
    there = np.isfinite(track.keypoints).all((1, 2))
    tall = float(np.median(np.ptp(track.keypoints[there, :, 1], axis=1))) if there.any() else 0.0
    if seen.sum() > 4 and tall > 0:
        out[moved.frames] = -_speeds(_filled(height[:, None].astype(np.float64), seen))[:, 0] / tall
        out[moved.frames[~seen]] = np.nan
    return out


def correlate(a: Signals, b: Signals, rotation: Array | None = None) -> Curve:
    """The agreement of two people at every lag at which they have LEAST_S in common.

    Args:
        rotation: (3,3) from the first camera's axes to the second's, where it is known.
    """
    size = fft.next_fast_len(len(a.known) + len(b.known), real=True)

    def spectrum(values: Array) -> Array:
        return fft.rfft(values, size, axis=0)

    def common(one: Array, other: Array) -> Array:
        """(N,...) spectra: at every lag the sum over times of one(t) * other(t + lag), summed over joints."""
        return np.roll(fft.irfft(np.conj(one) * other, size, axis=0), len(a.known) - 1, axis=0)[:count]

    count = len(a.known) + len(b.known) - 1
    mask_a, mask_b = spectrum(a.known.astype(float)), spectrum(b.known.astype(float))
    shared = common(mask_a, mask_b)
    va, vb = spectrum(a.velocity), spectrum(b.velocity)
    cross = np.einsum("fji,fjk->fik", np.conj(va), vb)
    cross = np.roll(fft.irfft(cross, size, axis=0), len(a.known) - 1, axis=0)[:count]
    fit = _best_rotation(cross) if rotation is None else np.einsum("lik,ki->l", cross, rotation)
    turned = fit / _energy(a.velocity, b.velocity, mask_a, mask_b, spectrum, common)
    ta, tb = spectrum(a.turning), spectrum(b.turning)
    straight = common(ta, tb).sum(axis=1) / _energy(a.turning, b.turning, mask_a, mask_b, spectrum, common)
    enough = shared > LEAST_S * RATE
    agreement = np.where(enough, np.clip((turned + straight) / 2, -1, 0.999), -1.0)
    lags = (np.arange(count) - len(a.known) + 1 + b.start - a.start) / RATE
    evidence = -np.log1p(-(np.maximum(agreement, 0) ** 2)) * np.maximum(shared, 0) / RATE
    return Curve(lags, agreement, evidence)


def _best_rotation(cross: Array) -> Array:
    """(L,3,3) sums of outer products -> (L,) the largest sum of products that a proper rotation can give."""
    values = np.linalg.svd(cross, compute_uv=False)
    return values[:, 0] + values[:, 1] + values[:, 2] * np.sign(np.linalg.det(cross))


def _energy(a: Array, b: Array, mask_a: Array, mask_b: Array, spectrum, common) -> Array:  # noqa: ANN001
    """(L,) the geometric mean of both energies in the time they have in common."""
    power_a, power_b = (spectrum((x**2).reshape(len(x), -1).sum(axis=1)) for x in (a, b))
    product = np.maximum(common(power_a, mask_b), 0) * np.maximum(common(mask_a, power_b), 0)
    return np.sqrt(np.maximum(product, 1e-12))
