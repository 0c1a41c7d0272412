"""Which foot stands on the ground when."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.ndimage import minimum_filter1d

from motion.filters import lowpass_known
from pipeline.results import Array
from pipeline.skeletons import Skeleton

SLOW, FAST = 0.25, 0.6  # m/s: a foot surely still, surely moving
LOW, HIGH = 0.05, 0.12  # m above the lowest foot of the last and next second
FALLBACK_PERCENTILE = 5  # of all lowest feet over time is the ground when nobody is seen to stand
CALM_HZ = 4.0  # a lifter's jitter is taken out first
SPEED_S = 0.1  # speed is measured over that time
CONTACT_JOINTS = ("left_heel", "left_toe", "right_heel", "right_toe")
SOLE_M = 0.02  # heel and toe joints of a standing foot lie that far above the ground
ANKLE_M = 0.085  # and ankles, for skeletons without feet


@dataclass(frozen=True)
class Feet:
    """The joints that can stand, and their height above the ground then."""

    joints: list[int]
    ankles: list[int]  # the ankle of each
    rest_m: float


def feet_of(skeleton: Skeleton, joints: Array) -> Feet:
    """Heels and toes in the order of `Motion3D.contacts`, or the ankles where (T,K,3) has those twice as often."""
    ankle_names = ("left_ankle", "right_ankle")

    def frames(names: tuple[str, ...]) -> int:
        return int(np.isfinite(joints[:, skeleton.index(*names)]).all(-1).any(-1).sum())

    whole = all(name in skeleton.joints for name in CONTACT_JOINTS) and 2 * frames(CONTACT_JOINTS) > frames(ankle_names)
    names = CONTACT_JOINTS if whole else ankle_names
    ankles = [f"{name.split('_')[0]}_ankle" for name in names]
    return Feet(skeleton.index(*names), skeleton.index(*ankles), SOLE_M if whole else ANKLE_M)


def lowest(joints: Array, feet: Feet, up: Array) -> float:
    """m along `up` of the ground under (T,K,3), were nobody seen to stand; NaN where no foot is ever known."""
    above = joints[:, feet.joints] @ up - feet.rest_m
    above = above[np.isfinite(above).any(axis=1)]
    return float(np.percentile(np.nanmin(above, axis=1), FALLBACK_PERCENTILE)) if len(above) else np.nan


def standing(feet: Array, up: Array, times: Array) -> Array:
    """(T,F,3) m in a still frame, (3,) -> (T,F) in [0,1]: slow and low. NaN counts as not standing."""
    calm = lowpass_known(feet, times, CALM_HZ)
    speed = np.linalg.norm(velocity(calm, times), axis=-1)
    height = calm @ up
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    reach = 2 * max(1, round(1.0 / step)) + 1
    lowest = minimum_filter1d(np.where(np.isfinite(height), height, np.inf).min(1), reach, mode="nearest")
    return np.nan_to_num(_falling(speed, SLOW, FAST) * _falling(height - lowest[:, None], LOW, HIGH))


def still(rays: Array, depth: Array, times: Array) -> Array:
    """Rays (T,F,2) of feet in a camera that stands, depth (T,F) m -> (T,F) in [0,1]: slow across the view.

    The picture is far surer of that than a lifted pose, whose feet slide along the view. NaN counts as still.
    """
    speed = np.linalg.norm(velocity(lowpass_known(rays, times, CALM_HZ), times), axis=-1) * depth
    return np.where(np.isfinite(speed), _falling(np.nan_to_num(speed), SLOW, FAST), 1.0)


def velocity(points: Array, times: Array) -> Array:
    """(T,...,3) m/s, central differences over about SPEED_S."""
    if len(times) < 2:
        return np.zeros_like(points)
    reach = max(1, round(0.5 * SPEED_S / float(np.median(np.diff(times)))))
    after = np.minimum(np.arange(len(times)) + reach, len(times) - 1)
    before = np.maximum(np.arange(len(times)) - reach, 0)
    span = (times[after] - times[before]).reshape(-1, *[1] * (points.ndim - 1))
    return (points[after] - points[before]) / span


def _falling(values: Array, full: float, none: float) -> Array:
    return np.clip((none - values) / (none - full), 0, 1)


def stances(contact: Array, times: Array, longest_s: float = np.inf) -> list[tuple[int, int]]:
    """(T,) in [0,1] -> [begin, end) of every unbroken time above one half, cut into parts of at most `longest_s`."""
    on = np.concatenate([[False], contact > 0.5, [False]])
    begins, ends = np.nonzero(on[1:] & ~on[:-1])[0], np.nonzero(~on[1:] & on[:-1])[0]
    spans = []
    for begin, end in zip(begins, ends, strict=True):
        parts = max(1, int(np.ceil((times[end - 1] - times[begin]) / longest_s))) if np.isfinite(longest_s) else 1
        edges = np.linspace(begin, end, parts + 1).round().astype(int)
        spans += [(int(a), int(b)) for a, b in pairwise(edges) if b > a]
    return spans
