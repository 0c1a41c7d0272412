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
from detectors.blazepose_sides import SecondLook

Array = NDArray[Any]


@dataclass(eq=False)
class Chain:
    """The poses of one person by frame index, consecutive, and how often the detection network agreed."""

    id: int
    poses: dict[int, Pose] = field(default_factory=dict)
    appearance: dict[int, Array] = field(default_factory=dict)
    confirmed: dict[int, float] = field(default_factory=dict)  # frame -> score, 0 where nothing agreed
    born: int = 0  # frame in which the person was found
    looks: dict[int, SecondLook] = field(default_factory=dict)  # second looks, for left and right
    calm: int = 0  # frames since left and right were last in doubt
    alive: bool = True

    @property
    def first(self) -> int:
        return min(self.poses)

    @property
    def last(self) -> int:
        return max(self.poses)

    def doubted(self) -> bool:
        """The detection network saw nobody there three times running."""
        scores = list(self.confirmed.values())[-3:]
        return len(scores) == 3 and not any(scores)

    def end_at(self, index: int) -> None:
        """Forget everything after that frame; the chain is followed no more."""
        self.poses = {i: pose for i, pose in self.poses.items() if i <= index}
        self.alive = False


def real(chain: Chain, fps: float, frames: int) -> bool:
    """Not a phantom: it was there for more than a moment, and the detection network agreed often enough.

    People half hidden by others are seen by it only now and then, but again and again.
    """
    if len(chain.poses) < min(max(3, 0.2 * fps), frames):
        return False
    scores = list(chain.confirmed.values())
    mean = sum(scores) / len(scores)
    return mean >= 0.45 or (mean >= 0.3 and sum(score >= 0.5 for score in scores) >= 4)


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
    places = np.array([[r.x, r.y, wrap(r.turn - last.turn)] for r in regions])
    speed = centred @ places / (centred @ centred)
    x, y, turn = places.mean(axis=0) + speed * (steps - time.mean())
    side = exp(sum(log(r.side) for r in regions) / len(regions))
    return Region(float(x), float(y), side, wrap(last.turn + float(turn)))
