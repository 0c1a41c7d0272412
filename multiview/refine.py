"""Triangulated points over time: smooth, with bones of constant length, and bones' directions from elsewhere.

What is minimised over the whole track is the sum of
    the points' Mahalanobis distances from where they were triangulated (robust: Geman and McClure 1985),
    accelerations, so that what is faster than some hertz needs many witnesses,
    bones that are longer or shorter than theirs, and bones that differ from given vectors.
Every round minimises a quadratic bound of that (majorise-minimise: a bone's term is split between its two ends by the
inequality of means), in which joints are independent and coupled only over time: one banded system for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import solveh_banded

from pipeline.results import Array

ROUNDS = 8
MODEL_M = 0.007  # standard deviation of joints' places that no pixel noise explains: cameras, what a joint is
ACCELERATION = 20.0  # m/s^2, standard deviation; with 1.5 cm of a point that smooths from about 6 Hz
BONE_M = 0.025  # standard deviation of a bone's length
OUTLIER = 3.0  # standard deviations from where on a point loses its weight


def refine(
    points: Array, covariance: Array, times: Array, bones: Sequence[tuple[int, int]], lengths: Array,
    vectors: Array | None = None, information: Array | None = None, rounds: int = ROUNDS,
) -> Array:  # fmt: skip
    """Points (T,J,3) m, NaN where unknown, with covariance (T,J,3,3) -> places (T,J,3) m, none unknown.

    Args:
        times: (T,) s.
        bones: B pairs of joints.
        lengths: (B,) m, NaN where unknown.
        vectors: (T,B,3) m from the first to the second joint as something else saw them, NaN where it did not.
        information: (T,B,3,3) 1/m^2 of `vectors`.
        rounds: of the minimisation; fewer are faster and leave the bones less constant.

    Raises:
        ValueError: no point is known.
    """
    known = np.isfinite(points).all(-1)
    if not known.any():
        raise ValueError("no point is known")
    given = np.where(known[..., None], points, 0.0)
    weight = _weights(known, covariance)
    ends = np.array(bones, int).reshape(-1, 2)
    if vectors is None or information is None:
        vectors, information = np.full((len(points), len(ends), 3), np.nan), np.zeros((len(points), len(ends), 3, 3))
    told = np.isfinite(vectors).all(-1)
    vectors, pull = np.where(told[..., None], vectors, 0.0), np.where(told[..., None, None], information, 0.0)
    places = _start(points, known, times, ends, vectors, told)
    smooth = _smoothness(len(points), float(np.median(np.diff(times))) if len(times) > 1 else 1.0)
    stiff = np.where(np.isfinite(lengths), 1 / BONE_M**2, 0.0)
    for _ in range(rounds):
        off = places - given
        distance = np.einsum("tji,tjik,tjk->tj", off, weight, off)
        trust = 1 / (1 + distance / OUTLIER**2) ** 2
        hessian = weight * trust[..., None, None]
        wanted = (hessian @ given[..., None])[..., 0]
        _add_bones(hessian, wanted, places, ends, np.nan_to_num(lengths), stiff, vectors, pull)
        places = _solved(hessian, wanted, smooth, places)
    return places


def _weights(known: Array, covariance: Array) -> Array:
    """(T,J,3,3) 1/m^2"""
    safe = np.where(known[..., None, None], covariance, np.eye(3)) + MODEL_M**2 * np.eye(3)
    return np.where(known[..., None, None], np.linalg.inv(safe), 0.0)


def _start(points: Array, known: Array, times: Array, ends: Array, vectors: Array, told: Array) -> Array:
    """Between known times linear; where a joint is unknown and a bone to it told, at the end of that bone.

    Where no joint is known, the bones hang from the one that is known most often.
    """
    filled = points.copy()
    for j in range(points.shape[1]):
        on = known[:, j]
        if on.any():
            for axis in range(3):
                filled[:, j, axis] = np.interp(times, times[on], points[on, j, axis])
    unsure = ~known
    unsure[~known.any(1), known.sum(0).argmax()] = False
    for _ in range(len(ends)):
        before = unsure.copy()
        for b, (one, other) in enumerate(ends):
            for here, there, sign in ((one, other, 1.0), (other, one, -1.0)):
                reach = told[:, b] & unsure[:, there] & ~unsure[:, here]
                filled[reach, there] = filled[reach, here] + sign * vectors[reach, b]
                unsure[reach, there] = False
        if (before == unsure).all():
            break
    middle = np.nanmean(np.where(known[..., None], points, np.nan).reshape(-1, 3), axis=0)
    return np.where(np.isfinite(filled), filled, middle)


def _smoothness(times: int, step: float) -> Array:
    """(3,T): the main diagonal and the two below of the normal matrix of second differences."""
    out = np.zeros((3, times))
    for offset in range(3):
        for a, b in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)):
            if b - a == offset:
                out[offset, a : times - 2 + a] += (1, -2, 1)[a] * (1, -2, 1)[b]
    return out / (ACCELERATION * step**2) ** 2


def _add_bones(hessian: Array, wanted: Array, places: Array, ends: Array, lengths: Array, stiff: Array,
               vectors: Array, pull: Array) -> None:  # fmt: skip
    """Each end of a bone takes half of what is wrong with it, with twice its weight."""
    told = pull.any()
    for b, (one, other) in enumerate(ends):
        bone = places[:, other] - places[:, one]
        size = np.linalg.norm(bone, axis=-1, keepdims=True)
        unit = bone / np.maximum(size, 1e-9)
        along = stiff[b] * unit[:, :, None] * unit[:, None, :]
        strain = stiff[b] * unit * (size - lengths[b])
        if told:
            strain = strain + np.einsum("tik,tk->ti", pull[:, b], bone - vectors[:, b])
            along = along + pull[:, b]
        for end, sign in ((one, 1.0), (other, -1.0)):
            hessian[:, end] += 2 * along
            wanted[:, end] += 2 * np.einsum("tik,tk->ti", along, places[:, end]) + sign * strain


def _solved(hessian: Array, wanted: Array, smooth: Array, places: Array) -> Array:
    """(T,J,3): the minimum, joint by joint in one banded system (half bandwidth 6)."""
    times, joints = wanted.shape[:2]
    band = np.zeros((7, joints, times, 3))
    blocks = np.moveaxis(hessian, 1, 0)  # (J,T,3,3)
    ridge = 1e-6
    for offset in range(3):  # below the diagonal within a block: row i + offset, column i
        for i in range(3 - offset):
            band[offset, :, :, i] = blocks[:, :, i + offset, i]
    band[0] += smooth[0][:, None] + ridge
    band[3] += smooth[1][:, None]
    band[6] += smooth[2][:, None]
    right = np.moveaxis(wanted, 1, 0) + ridge * np.moveaxis(places, 1, 0)
    found = solveh_banded(band.reshape(7, -1), right.reshape(-1), lower=True, check_finite=False)
    return np.moveaxis(found.reshape(joints, times, 3), 0, 1)
