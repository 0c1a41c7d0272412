"""Standing feet stand: no sliding, no sinking, bones kept, and the pose moved as little as that allows.

Where the body is has been decided with the feet in mind (`motion.trajectory`); here each standing point gets one exact
place, and the nearest pose with constant bones reaches it. Jumps stay jumps.
"""

from __future__ import annotations

import numpy as np

from motion.bones import fit_bones
from motion.stance import Feet, stances
from pipeline.results import Array
from pipeline.skeletons import Skeleton

BLEND_S = 0.12  # a correction fades in before a stance and out after it
FLATTEN_M, KEEP_M = 0.08, 0.20  # a stance nearer to the floor is put on it; one further away (a step, a box) is not
SINK_M = 0.10  # a moving foot that is deeper in the floor is lifted less, and from `KEEP_M` on (a stair) not at all
PAUSE_S, STRAY_M = 0.25, 0.06  # so short a doubt, in which a point strays no further, ends no stance; nor does a tap
SURE = 0.004  # variance of a standing point's place, as share of a free joint's


def hold_feet(joints: Array, contact: Array, times: Array, lengths: Array, skeleton: Skeleton, feet: Feet) -> Array:
    """Joints (T,K,3) in the world, contact (T,F) of the F `feet` in [0,1] -> joints with bones of `lengths` (K,) m.

    Each standing point of a foot gets one place, the mean of the stance; a point that is unknown (NaN) ends its stance,
    a moment of doubt does not.
    """
    contact = np.where(np.isfinite(joints[:, feet.joints]).all(-1), contact, 0.0)
    wanted = _out_of_the_floor(joints, feet)
    shift, weight = _corrections(wanted[:, feet.joints], contact, times, feet.rest_m)
    wanted[:, feet.joints] += weight[..., None] * shift
    spread = np.ones(wanted.shape[:2])
    spread[:, feet.joints] = np.maximum(1 - weight, SURE)
    return fit_bones(wanted, lengths, skeleton, spread)


def _corrections(points: Array, contact: Array, times: Array, rest: float) -> tuple[Array, Array]:
    """(T,F,3) m to each point's place, held outside its stances, and (T,F) how much of it counts."""
    shift, weight = np.zeros_like(points), np.zeros(points.shape[:2])
    for f in range(points.shape[1]):
        for begin, end in _unbroken(stances(contact[:, f], times), points[:, f], times):
            place = points[begin:end, f].mean(0)
            place[2] += (rest - place[2]) * _ease((KEEP_M - abs(place[2] - rest)) / (KEEP_M - FLATTEN_M))
            first, last = np.searchsorted(times, [times[begin] - BLEND_S, times[end - 1] + BLEND_S])
            rows = np.arange(first, last)
            fade = _ease(1 - np.maximum(times[begin] - times[rows], times[rows] - times[end - 1]) / BLEND_S)
            rows, fade = rows[fade > weight[rows, f]], fade[fade > weight[rows, f]]
            shift[rows, f] = place - points[np.clip(rows, begin, end - 1), f]
            weight[rows, f] = fade
    return shift, weight


def _unbroken(spans: list[tuple[int, int]], points: Array, times: Array) -> list[tuple[int, int]]:
    """Spans [begin, end) of (T,) frames, those joined between which the point (T,3) has not moved away."""
    joined: list[tuple[int, int]] = []
    for begin, end in spans:
        if joined and times[begin] - times[joined[-1][1] - 1] <= PAUSE_S:
            first, last = joined[-1]
            place = points[first:last].mean(0)
            between = np.concatenate([points[last:begin], points[begin:end].mean(0, keepdims=True)])
            if np.linalg.norm(between - place, axis=-1).max() <= STRAY_M:
                joined[-1] = first, end
                continue
        joined.append((begin, end))
    return joined


def _ease(share: Array | float) -> Array:
    s = np.clip(share, 0, 1)
    return s * s * (3 - 2 * s)


def _out_of_the_floor(joints: Array, feet: Feet) -> Array:
    """Whole feet raised by what their lower end is in the floor."""
    out = joints.copy()
    for ankle in dict.fromkeys(feet.ankles):
        points = [joint for joint, its in zip(feet.joints, feet.ankles, strict=True) if its == ankle]
        height = joints[:, points, 2]
        sunk = np.maximum(feet.rest_m - 0.02 - np.where(np.isnan(height), np.inf, height).min(1), 0)
        out[:, sorted({ankle, *points}), 2] += (sunk * _ease((KEEP_M - sunk) / (KEEP_M - SINK_M)))[:, None]
    return out
