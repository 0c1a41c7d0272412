"""One person followed from frame to frame, and where to look for them in the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.blazepose_decode import CENTRE, TOP
from detectors.blazepose_networks import Pose
from detectors.blazepose_region import Region, wrap

Array = NDArray[Any]


@dataclass
class Chain:
    """The poses of one person by frame index, consecutive, and how often the detection network agreed."""

    id: int
    poses: dict[int, Pose] = field(default_factory=dict)
    appearance: dict[int, Array] = field(default_factory=dict)
    confirmed: list[float] = field(default_factory=list)  # score at each search, 0 where nothing agreed
    alive: bool = True

    @property
    def first(self) -> int:
        return min(self.poses)

    @property
    def last(self) -> int:
        return max(self.poses)


def next_region(pose: Pose) -> Region:
    """Where the person of this pose is to be read next, if they do not move."""
    return Region.from_points(pose.points[CENTRE], pose.points[TOP])


def predict(poses: list[Pose], steps: int) -> Region:
    """The region `steps` frames after the last of these consecutive poses.

    A straight line is fitted to the centres; size and turn are averaged, since their noise would come back as
    noise of the landmarks.
    """
    regions = [next_region(pose) for pose in poses]
    last = regions[-1]
    if len(regions) == 1:
        return last
    time = np.arange(len(regions)) - (len(regions) - 1.0)
    centred = time - time.mean()
    centres = np.array([[r.x, r.y] for r in regions])
    speed = centred @ centres / (centred @ centred)
    x, y = centres.mean(axis=0) + speed * (steps - time.mean())
    side = exp(sum(log(r.side) for r in regions) / len(regions))
    turn = wrap(last.turn + sum(wrap(r.turn - last.turn) for r in regions) / len(regions))
    return Region(float(x), float(y), side, turn)
