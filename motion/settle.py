"""Which way is up and where the floor is, for people whom several cameras measured.

As in `motion.place`, from standing feet, upright bodies and how people hold cameras, but nothing is scaled or moved to
make it fit: the joints are where the rays meet.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from motion.body import world_axes
from motion.ground import Evidence, fit_floor, gather_evidence, upwards
from motion.stance import feet_of, lowest, standing
from pipeline.results import Array, Motion3D
from pipeline.skeletons import skeleton

SURE = np.radians(4)  # a smaller error of the up direction counts as known


def settle(motions: list[Motion3D], times: Array) -> tuple[Array, dict[str, Any]]:
    """The pose of the first camera above the people's floor.

    Args:
        motions: frame "camera", that of the first view; m.
        times: (T_clip,) s.

    Returns:
        (4,4) camera to world: Z up, the floor at z = 0, the origin under the camera; and what that rests on: `up`
        ("feet" or "prior"), `tilt_error_deg`, `floor` ("feet", "lowest" or "guess"), `stances`.

    Raises:
        ValueError: a motion in another frame.
    """
    for motion in motions:
        if motion.frame != "camera":
            raise ValueError(f"person {motion.id}: expected a motion in the camera's frame, got {motion.frame!r}")
    floor = fit_floor([_evidence(motion, np.asarray(times, float)) for motion in motions])
    sure = np.isfinite(floor.heights)
    if sure.any():
        weight = 1 / (floor.height_errors[sure] ** 2 + 0.01**2)
        height, found = float((weight * floor.heights[sure]).sum() / weight.sum()), "feet"
    else:
        height, found = _lowest(motions, floor.up)
    about = {
        "up": "feet" if floor.stances and floor.tilt_error < SURE else "prior",
        "tilt_error_deg": round(float(np.degrees(floor.tilt_error)), 2),
        "floor": found,
        "stances": floor.stances,
    }
    return world_axes(floor.up, height), about


def _evidence(motion: Motion3D, times: Array) -> Evidence:
    """Stances of feet that are slow, and, where the lifter tells, on the ground."""
    bones = skeleton(motion.skeleton)
    joints, own = motion.joints.astype(float), times[motion.frames]
    feet = feet_of(bones, joints)
    touching = standing(joints[:, feet.joints], upwards(joints, bones), own)
    if motion.contacts is not None and motion.contacts.shape[1] == len(feet.joints):
        touching = np.minimum(touching, np.nan_to_num(motion.contacts))
    return gather_evidence(joints, feet.joints, feet.rest_m, touching, own, bones)


def _lowest(motions: list[Motion3D], up: Array) -> tuple[float, str]:
    """Height of the camera above the lowest feet over time, where nobody was seen to stand."""
    feet = [feet_of(skeleton(motion.skeleton), motion.joints) for motion in motions]
    ground = [lowest(m.joints.astype(float), its, up) for m, its in zip(motions, feet, strict=True)]
    known = [height for height in ground if np.isfinite(height)]
    return (-min(known), "lowest") if known else (1.5, "guess")
