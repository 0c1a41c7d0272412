"""Which way is up and where the floor is, from standing feet, upright bodies and how people hold cameras.

Unknown are the up direction (two angles) and, per person, the camera's height above the floor measured with that
person's scale. Residuals, each over its expected error: every stance of a foot against the plane; every person's mean
axis against up; the camera's pitch and roll against level. A stance is far less sure along its viewing ray than
across, so its error is taken along the plane's normal. Each heel and toe may also be lifted too high or low throughout:
who stands or squats on one spot then says little about the tilt, however long; a walk in depth or a turn says much;
and without feet the prior remains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from motion.stance import stances
from pipeline.results import Array
from pipeline.skeletons import Skeleton

PITCH, ROLL = np.radians(18.0), np.radians(10.0)
BODY = np.radians(9.0)  # how far a person's mean axis leans, lifting included
STANCE_M, STANCE_SHARE = 0.04, 0.03  # error of a stance: in any direction, and along the ray as share of the distance
FOOT_M = 0.015  # how far a lifter sees one heel or toe too high or low throughout a clip
STANCE_S = 1.0  # a longer stance is several
OUTLIER = 2.0  # expected errors from which a stance counts less and less (Cauchy): steps, roofs, wrong contacts
MOST = 600  # stances per person that are used
INDEPENDENT = 14.0  # stances per person that count: a lifted body's errors stay, however long it is watched
UPWARDS = np.array([0.0, -1.0, 0.0])


@dataclass(frozen=True)
class Evidence:
    """One person's part: stances in camera axes with the foot's own height taken as `rest`, and the mean body axis."""

    points: Array  # (N,3) m
    weights: Array  # (N,) in [0,1]
    foot: Array  # (N,) which heel or toe
    rest: float  # m above the floor
    axis: Array  # (3,) unit, or NaN


@dataclass(frozen=True)
class Floor:
    """The result, in camera axes."""

    up: Array  # (3,) unit
    heights: Array  # (P,) m of the camera above each person's floor, NaN without stances
    height_errors: Array  # (P,) m, were the tilt known
    tilt_error: float  # rad, standard error of the up direction
    stances: int


def gather_evidence(
    joints: Array, feet: list[int], rest: float, contact: Array, times: Array, skeleton: Skeleton
) -> Evidence:
    """From joints (T,K,3) m in camera axes and contact (T,F) in [0,1], visibility included."""
    points, weights, foot = [], [], []
    for column, joint in enumerate(feet):
        for begin, end in stances(contact[:, column], times, STANCE_S):
            share = contact[begin:end, column]
            points.append(np.average(joints[begin:end, joint], axis=0, weights=share))
            weights.append(share.mean())
            foot.append(column)
    every = max(1, -(-len(points) // MOST))
    picked = np.array(points).reshape(-1, 3)[::every]
    which, share = np.array(foot, int)[::every], np.array(weights, float)[::every]
    share = share * min(1.0, INDEPENDENT / max(share.sum(), 1e-9))
    return Evidence(picked, share, which, rest, body_axis(joints, skeleton))


def body_axis(joints: Array, skeleton: Skeleton) -> Array:
    """(3,) unit mean direction of the body: ankles to head where it is stretched, else pelvis to thorax; or NaN."""
    left, right, top = skeleton.index("left_ankle", "right_ankle", "head_top")
    whole = joints[:, top] - (joints[:, left] + joints[:, right]) / 2
    length = np.linalg.norm(whole, axis=-1)
    known = np.isfinite(length)
    stretched = length > (0.93 * np.percentile(length[known], 95) if known.any() else np.inf)
    axes = np.where(stretched[:, None], whole, _trunk(joints, skeleton))
    axes = axes[np.isfinite(axes).all(-1)]
    if not len(axes):
        return np.full(3, np.nan)
    mean = (axes / np.linalg.norm(axes, axis=-1, keepdims=True)).mean(0)
    return mean / np.linalg.norm(mean)


def upwards(joints: Array, skeleton: Skeleton) -> Array:
    """(3,) unit: mean of the trunk of (T,K,3) in camera axes; the camera's own up where no frame tells."""
    trunk = _trunk(joints, skeleton)
    trunk = trunk[np.isfinite(trunk).all(-1)]
    mean = trunk.mean(axis=0) if len(trunk) else UPWARDS
    return mean / np.linalg.norm(mean)


def _trunk(joints: Array, skeleton: Skeleton) -> Array:
    """(T,3) m, pelvis to thorax."""
    pelvis, thorax = skeleton.index("pelvis", "thorax")
    return joints[:, thorax] - joints[:, pelvis]


def fit_floor(people: list[Evidence]) -> Floor:
    """The most likely floor; started from level and from the bodies' axis, the better end is taken."""
    axes = [p.axis for p in people if np.isfinite(p.axis).all()]
    starts = [UPWARDS] + ([np.mean(axes, axis=0)] if axes else [])
    fits = [_fit_from(start / np.linalg.norm(start), people, axes) for start in starts]
    return min(fits, key=lambda fit: fit[0])[1]


def _fit_from(start: Array, people: list[Evidence], axes: list[Array]) -> tuple[float, Floor]:
    basis = np.linalg.svd(start[None])[2][1:]  # (2,3) directions of tilt
    standing = [k for k, person in enumerate(people) if len(person.points)]
    first = [float(np.median(people[k].rest - people[k].points @ start)) for k in standing]
    points = sum(int(people[k].foot.max()) + 1 for k in standing)

    def up_of(x: Array) -> Array:
        tilted = start + x[:2] @ basis
        return tilted / np.linalg.norm(tilted)

    def residuals(x: Array) -> Array:
        up = up_of(x)
        parts = [[np.arcsin(np.clip(up[2], -1, 1)) / PITCH, np.arctan2(up[0], -up[1]) / ROLL]]
        parts += [(up - axis) / (BODY * max(1.0, np.sqrt(len(axes) / 3))) for axis in axes]
        biases = x[2 + len(standing) :]
        parts.append(biases / FOOT_M)
        for k, h in zip(standing, x[2:], strict=False):
            count = int(people[k].foot.max()) + 1
            parts.append(_plane_residuals(people[k], up, h, biases[:count]))
            biases = biases[count:]
        return np.concatenate(parts)

    found = least_squares(residuals, np.array([0.0, 0.0, *first, *np.zeros(points)]), x_scale="jac")
    normal = found.jac.T @ found.jac
    tilt = float(np.sqrt(np.trace(np.linalg.pinv(normal)[:2, :2])))
    sure = 1 / np.sqrt(np.diag(normal)[2:][: len(standing)])
    heights, errors = np.full(len(people), np.nan), np.full(len(people), np.nan)
    scatter = [float(np.std(people[k].points @ up_of(found.x))) for k in standing]  # large where the ground has steps
    heights[standing], errors[standing] = found.x[2:][: len(standing)], np.hypot(sure, scatter)
    return float(found.cost), Floor(up_of(found.x), heights, errors, tilt, sum(len(p.points) for p in people))


def _plane_residuals(person: Evidence, up: Array, height: float, bias: Array) -> Array:
    above = person.points @ up + height - person.rest - bias[person.foot]
    spread = np.sqrt(STANCE_M**2 + (STANCE_SHARE * (person.points @ up)) ** 2)
    off = above / spread
    return np.sqrt(person.weights) * OUTLIER * np.sqrt(np.log1p((off / OUTLIER) ** 2)) * np.sign(off)
