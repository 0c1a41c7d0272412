"""Everybody in a clip, followed from frame to frame in one pass, and backwards from where they were found.

Frames come in order. People already known are read by the landmark network where they are expected; every so often
the detection network looks for new ones, who are then followed backwards through the frames still in memory.
What happens depends on the frames alone, never on how fast a thread was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import radians
from typing import Any

from detectors.blazepose_chain import Chain, next_region, predict, real
from detectors.blazepose_checks import agree, plausible, quality, same_body
from detectors.blazepose_networks import Candidate, Networks, Pose, PoseJob
from detectors.blazepose_picture import Picture
from detectors.blazepose_region import Region, wrap
from detectors.blazepose_search import confirmations, new_people
from detectors.blazepose_sides import SecondLook, second_square, swapped
from detectors.blazepose_windows import Sweep, around

RESCUE_TURNS = (-60, -30, 30, 60)  # degrees, for people who turn in the air
MEMORY = 192 << 20  # bytes of frames kept for following backwards


@dataclass(frozen=True)
class Pace:
    """How often what happens, in frames."""

    period: int  # frames between two searches
    sweep: int  # searches until every tile was looked at
    probation: int  # frames after which somebody new is looked at again
    calm: int  # frames without doubt about left and right after which they are trusted
    ahead: int  # frames under way at once: 1 reads a frame only when the one before is known
    history: int  # poses that the prediction of the next region is fitted to

    @classmethod
    def of(cls, fps: float) -> Pace:
        """For a clip of that frame rate: a search each 0.4 s, all tiles in 2 s, predictions no further than 0.1 s."""
        return cls(
            period=max(1, round(0.4 * fps)),
            sweep=5,
            probation=max(1, round(0.15 * fps)),
            calm=max(2, round(0.1 * fps)),
            ahead=2 if fps >= 20 else 1,
            history=max(2, round(0.1 * fps) + 1),
        )


class Following:
    """Follows everybody. Feed it with `step`, end with `finish`; `chains` holds the result.

    Args:
        networks: the two networks.
        width, height: of the pictures, px.
        pace: how often what happens.
    """

    def __init__(self, networks: Networks, width: int, height: int, pace: Pace) -> None:
        self.chains: list[Chain] = []
        self.unfinished: list[tuple[Chain, int]] = []  # people still seen in the oldest frame that was in memory
        self.memory = 1  # frames that may be kept
        self._networks, self._width, self._height, self._pace = networks, width, height, pace
        self._sweep = Sweep(width, height, pace.sweep)
        self._recent: deque[tuple[int, Picture]] = deque()
        self._under_way: deque[tuple[int, Picture, list[tuple[Chain, PoseJob]]]] = deque()

    @property
    def live(self) -> list[Chain]:
        return [chain for chain in self.chains if chain.alive]

    def step(self, index: int, picture: Picture) -> None:
        """Take the next frame."""
        self._remember(index, picture)
        while len(self._under_way) >= self._pace.ahead:
            self._collect()
        self._under_way.append((index, picture, self._start(index, picture)))
        if index % self._pace.period == 0:
            self.finish()
            self._search(index, picture, self._sweep.all() if index == 0 else self._sweep.due())
        elif young := [chain for chain in self.live if chain.born + self._pace.probation == index]:
            self.finish()
            self._confirm(index, picture, [chain for chain in young if chain.alive])

    def finish(self) -> None:
        """Wait for everything under way."""
        while self._under_way:
            self._collect()

    def _remember(self, index: int, picture: Picture) -> None:
        self._recent.append((index, picture))
        self.memory = max(self._pace.ahead + 1, MEMORY // picture.pixels.nbytes)
        while len(self._recent) > min(self._pace.period + 1, self.memory):
            self._recent.popleft()

    def _start(self, index: int, picture: Picture) -> list[tuple[Chain, PoseJob]]:
        jobs = []
        for chain in self.live:
            poses = tail(chain, self._pace.history)
            region = predict(poses, index - chain.last)
            if region.finite():
                jobs.append((chain, self._networks.start_pose(picture, region)))
            else:
                chain.alive = False
        return jobs

    def _collect(self) -> None:
        index, picture, jobs = self._under_way.popleft()
        for chain, job in jobs:
            pose = job.result()
            if not chain.alive:
                continue
            if not self._good(pose):
                pose = self._rescue(index, picture, chain, job.region)
            if pose is None:
                chain.alive = False
            else:
                self._add(chain, index, picture, pose, index - 1)
        self._part(index)

    def _add(self, chain: Chain, index: int, picture: Picture, pose: Pose, neighbour: int) -> None:
        """Keep a pose; look a second time while left and right are in doubt against the frame beside it."""
        chain.poses[index] = pose
        chain.calm += 1
        if neighbour in chain.poses and swapped(chain.poses[neighbour], pose):
            chain.calm = 0
        if chain.calm < self._pace.calm:
            self._look_again(chain, index, picture)

    def _look_again(self, chain: Chain, index: int, picture: Picture) -> None:
        pose = chain.poses[index]
        square, weight = second_square(pose.region, index)
        other = self._networks.poses(picture, [square])[0]
        if self._good(other):
            chain.looks[index] = SecondLook(other, weight)
            if swapped(pose, other):
                chain.calm = 0

    def _good(self, pose: Pose) -> bool:
        return plausible(pose, self._width, self._height, 0.5)

    def _rescue(self, index: int, picture: Picture, chain: Chain, region: Region) -> Pose | None:
        """Look again for somebody who was lost, with the detection network round where they should be."""
        candidates = self._networks.detect(picture, [around(region)], 0.5)[0]
        regions = [c.region for c in candidates if agree(c.region, region, reach=0.35)][:1]
        turned = [region.turned(wrap(region.turn + radians(turn))) for turn in RESCUE_TURNS]
        others = [other.poses[index] for other in self.chains if other is not chain and index in other.poses]
        poses = self._networks.poses(picture, [*regions, *turned])
        poses = [pose for pose in poses if self._good(pose) and not any(same_body(pose, other) for other in others)]
        return max(poses, key=quality, default=None)

    def _part(self, index: int) -> None:
        """Where two chains fell on one body, end the one that leapt there."""
        here = [chain for chain in self.live if index in chain.poses]
        for i, one in enumerate(here):
            for other in here[i + 1 :]:
                if one.alive and other.alive and same_body(one.poses[index], other.poses[index]):
                    loser = max((one, other), key=lambda chain: self._leap(chain, index))
                    loser.alive = False
                    del loser.poses[index]

    def _leap(self, chain: Chain, index: int) -> tuple[float, float]:
        """How far this pose lies from where its own past expects it, in sides; the worse seen one breaks ties."""
        past = [chain.poses[i] for i in sorted(chain.poses) if i < index][-self._pace.history - 2 : -2]
        now = next_region(chain.poses[index])
        if not past:
            return 9.0, -quality(chain.poses[index])
        expected = predict(past, 3)
        leap = ((expected.x - now.x) ** 2 + (expected.y - now.y) ** 2) ** 0.5 / expected.side
        return round(leap + abs(expected.side / now.side - 1), 2), -quality(chain.poses[index])

    def _search(self, index: int, picture: Picture, windows: Sequence[Region]) -> None:
        results = self._networks.detect(picture, windows, 0.4)
        found = [(c, i > 0) for i, result in enumerate(results) for c in result]
        found += self._confirm(index, picture, self.live, [c for c, _ in found])
        born = []
        for pose, score in new_people(self._networks, picture, found, [chain.poses[index] for chain in self.live]):
            chain = Chain(len(self.chains), {index: pose}, confirmed={index: score}, born=index)
            self.chains.append(chain)
            born.append(chain)
        self.back(born, [item for item in self._recent if item[0] < index])

    def _confirm(
        self, index: int, picture: Picture, chains: Sequence[Chain], found: Sequence[Candidate] = ()
    ) -> list[tuple[Candidate, bool]]:
        """Ask the detection network about people who are followed; the candidates in their windows, as of tiles."""
        windows = [around(next_region(chain.poses[index])) for chain in chains]
        closer = [c for result in self._networks.detect(picture, windows, 0.4) for c in result]
        live = self.live
        scores = confirmations([chain.poses[index] for chain in live], [*found, *closer])
        for chain, score in zip(live, scores, strict=True):
            if chain in chains:
                chain.confirmed[index] = score
                if chain.doubted():
                    chain.end_at(max(i for i, score in chain.confirmed.items() if score > 0))
        for chain in chains:
            if chain.alive and index not in chain.looks:
                self._look_again(chain, index, picture)
        return [(c, True) for c in closer]

    def back(self, people: Sequence[Chain], frames: Sequence[tuple[int, Picture]]) -> None:
        """Follow people backwards through `frames` (ascending); who is still seen at the end is `unfinished`."""
        for index, picture in reversed(frames):
            people = [chain for chain in people if self._back_one(chain, index, picture)]
        if frames and frames[0][0] > 0:
            self.unfinished += [(chain, frames[0][0]) for chain in people]

    def _back_one(self, chain: Chain, index: int, picture: Picture) -> bool:
        region = predict(head(chain, self._pace.history), 1)
        if not region.finite():
            return False
        pose = self._networks.poses(picture, [region])[0]
        if not self._good(pose):
            return False
        if any(same_body(pose, other.poses[index]) for other in self.chains if index in other.poses):
            return False
        self._add(chain, index, picture, pose, index + 1)
        return True


def tail(chain: Chain, count: int) -> list[Pose]:
    """The last poses, the latest last."""
    last = chain.last
    return [chain.poses[i] for i in range(last - count + 1, last + 1) if i in chain.poses]


def head(chain: Chain, count: int) -> list[Pose]:
    """The first poses, the earliest last."""
    first = chain.first
    return [chain.poses[i] for i in range(first + count - 1, first - 1, -1) if i in chain.poses]


def follow(networks: Networks, clip: Any, progress: Callable[[int], None] | None = None) -> list[Chain]:
    """Everybody in the clip, in the order in which they were found.

    Args:
        clip: what `pipeline.clip.open_clip` gives.
        progress: called with the number of frames done.
    """
    info = clip.info
    following = Following(networks, info.width, info.height, Pace.of(info.fps))
    for index, pixels in enumerate(clip.frames()):
        following.step(index, Picture(pixels))
        if progress:
            progress(index + 1)
    following.finish()
    while following.unfinished:
        stop = max(index for _, index in following.unfinished)
        people = [chain for chain, index in following.unfinished if index == stop]
        following.unfinished = [item for item in following.unfinished if item[1] != stop]
        start = max(0, stop - following.memory)
        frames = [(start + i, Picture(pixels)) for i, pixels in enumerate(clip.frames(start, stop))]
        following.back(people, frames)
    return [chain for chain in following.chains if real(chain, info.fps, len(info.times))]
