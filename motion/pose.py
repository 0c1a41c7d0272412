"""The lifted pose made that of one body: nearer to the picture, bones constant, in metres, and where it is.

A lifter has seen the picture, but does not put its joints exactly there. Where pose and picture disagree by little, the
joint moves across the view towards its ray; a large gap is more likely a wrong keypoint.
"""

from __future__ import annotations

import numpy as np

from motion.bones import bone_lengths, fit_bones, stature
from motion.filters import lowpass_known
from motion.trajectory import Sight, solve_path
from pipeline.results import Array, Motion3D
from pipeline.skeletons import Skeleton, skeleton

PICTURE = 0.5  # share of the way to the ray of a surely seen joint: the lift has used the same keypoints already
PICTURE_HZ = 3.0  # a detector's jitter stays out
MISS_M = 0.1  # the farther off its ray beyond that, the less a joint moves (Geman and McClure's weights)


def refine(motion: Motion3D, seen: Sight, times: Array, stature_m: float) -> tuple[Array, Array]:
    """Pose (T,K,3) m relative to the pelvis, bones constant, `stature_m` tall; path (T,3) m of the pelvis, camera axes.

    Args:
        motion: frame "root". Where legs, trunk and head cannot all be measured, it is taken to be `stature_m` tall.
        times: (T,) s of its frames.
    """
    bones = skeleton(motion.skeleton)
    joints = motion.joints - motion.joints[:, :1].astype(float)
    joints *= _factor(stature_m, bone_lengths(joints, motion.scores, bones), bones)
    path = solve_path(joints, seen, times)
    joints += path[:, None]
    _pull_to_rays(joints, seen, times)
    lengths = bone_lengths(joints, motion.scores, bones)
    joints = fit_bones(joints, lengths, bones)
    factor = _factor(stature_m, lengths, bones)
    joints *= factor
    path = np.where(np.isfinite(joints[:, 0]), joints[:, 0], path * factor)
    return joints - joints[:, :1], path


def _factor(stature_m: float, lengths: Array, bones: Skeleton) -> float:
    tall = stature(lengths, bones)
    return stature_m / tall if np.isfinite(tall) else 1.0


def _pull_to_rays(joints: Array, seen: Sight, times: Array) -> None:
    """Move joints (T,K,3) m in camera axes across the view, in place."""
    named = np.nonzero(seen.weights.any(axis=0))[0]
    miss = seen.rays[:, named] * joints[:, named, 2:] - joints[:, named, :2]
    trust = PICTURE * seen.weights[:, named] / (1 + (miss**2).sum(-1) / MISS_M**2) ** 2
    joints[:, named, :2] += lowpass_known(trust[..., None] * miss, times, PICTURE_HZ)
