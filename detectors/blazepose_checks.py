"""Is this a person, is it the same person: tests on single poses and pairs of poses.

All lengths are compared with the person's own size in the picture, so no test knows the picture's resolution.
"""

from __future__ import annotations

from math import hypot, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.blazepose_networks import Pose
from detectors.blazepose_region import Region
from pipeline.skeletons import skeleton

Array = NDArray[Any]
BLAZEPOSE = skeleton("blazepose-33")
SHOULDERS = BLAZEPOSE.index("left_shoulder", "right_shoulder")
HIPS = BLAZEPOSE.index("left_hip", "right_hip")
LIMBS = BLAZEPOSE.index(
    *(
        f"{side}_{joint}"
        for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in ("left", "right")
    )
)
FACE = list(range(BLAZEPOSE.joints.index("right_mouth") + 1))
MIRROR = np.array(BLAZEPOSE.mirror)


def torso(pose: Pose) -> tuple[Array, float]:
    """Middle of shoulders and hips (2,) px and the distance between shoulder and hip middle in px."""
    upper, lower = pose.points[SHOULDERS].mean(axis=0), pose.points[HIPS].mean(axis=0)
    return (upper + lower) / 2, float(np.linalg.norm(upper - lower))


def extent(pose: Pose) -> float:
    """The longer side of the box round the twelve limb joints, px."""
    return float(np.ptp(pose.points[LIMBS], axis=0).max())


def inside(pose: Pose, width: int, height: int) -> Array:
    """(33,) bool: which body points lie in the picture."""
    points = pose.points[: len(BLAZEPOSE)]
    return ((points >= 0) & (points <= [width - 1, height - 1])).all(axis=1)


def plausible(pose: Pose, width: int, height: int, least_flag: float) -> bool:
    """A body of human proportions, of which a fair part lies in the picture."""
    if not pose.flag > least_flag or pose.presence.mean() < 0.2 or not np.isfinite(pose.points).all():
        return False
    size = extent(pose)
    if size < 24 or not 0.15 < size / pose.region.side < 1.3:
        return False
    _, trunk = torso(pose)
    limbs = pose.world[LIMBS]
    span = float(np.ptp(limbs, axis=0).max())
    return trunk > 0.04 * size and 0.5 < span < 2.6 and inside(pose, width, height)[LIMBS].sum() >= 3


def distance(one: Region, other: Region) -> float:
    """How unlike two regions are: distance of the centres in sides, plus the logarithm of the ratio of sides."""
    gap = hypot(one.x - other.x, one.y - other.y) / min(one.side, other.side)
    return gap + abs(log(one.side / other.side))


def agree(one: Region, other: Region, reach: float = 0.25) -> bool:
    """Two regions that hold the same person: near each other and of like size."""
    side = min(one.side, other.side)
    near = hypot(one.x - other.x, one.y - other.y) < reach * side
    return near and max(one.side, other.side) < 1.7 * side


def same_body(one: Pose, other: Pose) -> bool:
    """Two poses that are one person read twice: head on head, or torso on torso and limbs on limbs (of any side)."""
    size, least = sorted((extent(one), extent(other)), reverse=True)
    heads = one.points[FACE].mean(axis=0) - other.points[FACE].mean(axis=0)
    if np.linalg.norm(heads) < 0.05 * least:
        return True
    (centre, _), (middle, _) = torso(one), torso(other)
    if np.linalg.norm(centre - middle) > 0.15 * size or least < 0.5 * size:
        return False
    straight = np.linalg.norm(one.points[LIMBS] - other.points[LIMBS], axis=1)
    crossed = np.linalg.norm(one.points[MIRROR[LIMBS]] - other.points[LIMBS], axis=1)
    return bool(np.median(np.minimum(straight, crossed)) < 0.12 * size)


def quality(pose: Pose) -> float:
    """How well a pose is seen, in [0,1]: the flag times the mean visibility of the limbs."""
    return float(pose.flag * pose.visibility[LIMBS].mean())
