"""One person followed from frame to frame, and where to look for them in the next."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.blazepose_appearance import SIZE
from detectors.blazepose_decode import BODY, CENTRE, TOP
from detectors.blazepose_networks import Pose, PoseJob
from detectors.blazepose_region import Region, wrap
from detectors.blazepose_sides import SecondLook

Array = NDArray[Any]
POINTS = TOP + 1  # the body's points, then the two that give the next region
FRESH = 16
_ENDS = np.cumsum([5, 2 * POINTS, BODY, BODY, 3 * BODY, SIZE])


class Poses(MutableMapping[int, Pose]):
    """Poses of consecutive frames, each kept as one row of float32, a kilobyte, since clips are long."""

    def __init__(self) -> None:
        self._rows: dict[int, Array] = {}
        self._fresh: dict[int, Pose] = {}  # the latest ones as they came
        self.first = self.last = -1

    def __setitem__(self, index: int, pose: Pose) -> None:
        self._fresh[index] = pose
        if len(self._fresh) > FRESH:
            del self._fresh[next(iter(self._fresh))]
        r = pose.region
        head = np.array([r.x, r.y, r.side, r.turn, pose.flag])
        parts = head, pose.points[:POINTS], pose.visibility, pose.presence, pose.world, pose.looks
        self.first = min(self.first, index) if self._rows else index
        self.last = max(self.last, index)
        self._rows[index] = np.concatenate([part.ravel() for part in parts]).astype(np.float32)

    def __getitem__(self, index: int) -> Pose:
        if index in self._fresh:
            return self._fresh[index]
        head, points, visibility, presence, world, looks = np.split(self._rows[index].astype(np.float64), _ENDS[:-1])
        region = Region(*(float(v) for v in head[:4]))
        return Pose(region, points.reshape(-1, 2), visibility, presence, world.reshape(-1, 3), float(head[4]), looks)

    def __delitem__(self, index: int) -> None:
        """Only the last or the first frame can go: there are no gaps."""
        del self._rows[index]
        self._fresh.pop(index, None)
        self.last -= index == self.last
        self.first += index == self.first

    def __contains__(self, index: object) -> bool:
        return index in self._rows

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last + 1) if self._rows else ())

    def __len__(self) -> int:
        return len(self._rows)

    def end_at(self, index: int) -> None:
        """Forget what comes after that frame."""
        for late in range(self.last, max(index, self.first - 1), -1):
            del self[late]

    def until(self, index: int, count: int) -> list[Pose]:
        """At most `count` poses up to that frame, the latest last."""
        return [self[i] for i in range(max(self.first, index - count + 1), min(index, self.last) + 1)]

    def opening(self, count: int) -> list[Pose]:
        """At most `count` of the first poses, the earliest last."""
        return [self[i] for i in range(min(self.last, self.first + count - 1), self.first - 1, -1)]


@dataclass(frozen=True)
class PendingLook:
    """A second look under way."""

    index: int  # of the frame
    job: PoseJob
    weight: float  # how much its word will count


@dataclass(eq=False)
class Chain:
    """A person: their poses, and how often the detection network agreed."""

    id: int
    born: int = 0  # frame in which the person was found
    poses: Poses = field(default_factory=Poses)
    confirmed: dict[int, float] = field(default_factory=dict)  # frame -> score, 0 where nothing agreed
    looks: dict[int, SecondLook] = field(default_factory=dict)  # second looks, for left and right
    pending: list[PendingLook] = field(default_factory=list)  # of the latest frame
    calm: int = 0  # frames since left and right were last in doubt
    alive: bool = True

    def doubted(self) -> bool:
        """The detection network saw nobody there three times running."""
        scores = list(self.confirmed.values())[-3:]
        return len(scores) == 3 and not any(scores)

    def end_at(self, index: int) -> None:
        """Forget everything after that frame; the chain is followed no more."""
        self.poses.end_at(index)
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

    A straight line is fitted to centres and turns; sizes are averaged, since their noise would come back as noise
    of the landmarks.
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
    side = exp(sum(log(max(r.side, 1e-6)) for r in regions) / len(regions))
    return Region(float(x), float(y), side, wrap(last.turn + float(turn)))
