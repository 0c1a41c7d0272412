"""A person as the detector `blazepose` reads one."""

from __future__ import annotations

import numpy as np

from detectors.blazepose_networks import Pose
from detectors.blazepose_region import Region
from pipeline.skeletons import skeleton

NAMES = skeleton("blazepose-33").joints
# A person facing the camera, 1.7 m, arms a little out: metres right (of the picture) and down from the hips.
FIGURE = {
    "nose": (0, -0.72), "shoulder": (0.18, -0.5), "elbow": (0.3, -0.25), "wrist": (0.4, -0.02), "pinky": (0.43, 0.05),
    "index": (0.42, 0.06), "thumb": (0.39, 0.04), "hip": (0.1, 0), "knee": (0.13, 0.42), "ankle": (0.14, 0.82),
    "heel": (0.14, 0.87), "toe": (0.18, 0.9), "ear": (0.07, -0.7), "mouth": (0.03, -0.67), "eye": (0.03, -0.75),
    "eye_inner": (0.02, -0.75), "eye_outer": (0.05, -0.75),
}  # fmt: skip


def person(x=500.0, y=500.0, scale=300.0, swing=0.0, flag=0.99):
    """A pose; the person's left is to the right of the picture. `swing` moves the left wrist up, in metres."""
    world = np.zeros((33, 3))
    for i, name in enumerate(NAMES):
        side, _, part = name.partition("_") if name.startswith(("left", "right")) else ("", "", name)
        across, down = FIGURE[part]
        world[i, :2] = across * {"left": 1, "right": -1, "": 1}[side], down
    world[NAMES.index("left_wrist"), 1] -= swing
    points = np.concatenate([world[:, :2], [[0, 0], [0, -0.95]]]) * scale + [x, y]
    region = Region.from_points(points[33], points[34])
    return Pose(region, points, np.full(33, 0.9), np.full(33, 0.95), world, flag)
