"""Everybody in a clip, followed from frame to frame in one pass, and backwards from where they were found.

Frames come in order. People already known are read by the landmark network where they are expected; every so often
the detection network looks for new ones, who are then followed backwards through the frames still in memory.
What happens depends on the frames alone, never on how fast a thread was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from detectors.blazepose_chain import Chain, next_region, predict, real
from detectors.blazepose_checks import same_body
from detectors.blazepose_networks import Candidate, Networks, PoseJob
from detectors.blazepose_pace import Pace
from detectors.blazepose_picture import Picture
from detectors.blazepose_reading import Reader
from detectors.blazepose_search import CLEAR, LOWEST, SURE, alone, confirmations, new_people
from detectors.blazepose_windows import Sweep, around

MEMORY = 192 << 20  # bytes of frames kept for following backwards


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
        self._networks, self._pace, self._reader = networks, pace, Reader(networks, pace, (width, height))
        self._sweep = Sweep(width, height, pace.sweep)
        self._young: list[Chain] = []
        self._recent: deque[tuple[int, Picture]] = deque()
        self._under_way: deque[tuple[int, Picture, list[tuple[Chain, PoseJob]]]] = deque()

    @property
    def live(self) -> list[Chain]:
        """Who is followed now."""
        return [chain for chain in self.chains if chain.alive]

    def step(self, index: int, picture: Picture) -> None:
        """Take the next frame."""
        self._remember(index, picture)
        while len(self._under_way) >= self._pace.ahead:
            self._collect()
        self._under_way.append((index, picture, self._start(index, picture)))
        if self._young and self._young[0].born + self._pace.probation <= index:
            self._wait()
            self._prove(index, picture)
        if index % self._pace.period == 0:
            self._wait()
            self._search(index, picture)
        for chain in self.chains:
            if not chain.alive:  # nobody else would wait for its second look, which holds on to memory
                self._reader.settle(chain)

    def finish(self) -> None:
        """After the last frame: wait for everything under way; who was found just now counts without further proof."""
        self._wait()
        self._accept(self._young)
        self._young = []
        for chain in self.chains:
            self._reader.settle(chain)

    def resume(self, people: Sequence[Chain], frames: Sequence[tuple[int, Picture]]) -> None:
        """Follow people further backwards; who is still there at the beginning of `frames` is `unfinished`."""
        still = self._reader.back(people, frames, self.chains)
        if frames and frames[0][0] > 0:
            self.unfinished += [(chain, frames[0][0]) for chain in still]

    def _wait(self) -> None:
        while self._under_way:
            self._collect()

    def _remember(self, index: int, picture: Picture) -> None:
        self._recent.append((index, picture))
        self.memory = max(self._pace.ahead + 1, MEMORY // picture.nbytes)
        while len(self._recent) > min(self._pace.period + self._pace.probation + 1, self.memory):
            self._recent.popleft()

    def _start(self, index: int, picture: Picture) -> list[tuple[Chain, PoseJob]]:
        jobs = []
        for chain in self.live:
            last = chain.poses.last
            region = predict(chain.poses.until(last, self._pace.history), index - last)
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
            if not self._reader.good(pose):
                others = [other.poses[index] for other in self.chains if index in other.poses]
                young = chain in self._young  # nobody runs after what may be a phantom
                pose = None if young else self._reader.rescue(picture, job.region, others)
            if pose is None:
                chain.alive = False
            else:
                self._reader.add(chain, index, picture, pose, index - 1, doubt=chain not in self._young)
        self._part(index)

    def _part(self, index: int) -> None:
        """Where two chains fell on one body, end the one that leapt there."""
        here = [chain for chain in self.live if index in chain.poses]
        for i, one in enumerate(here):
            for other in here[i + 1 :]:
                if one.alive and other.alive and same_body(one.poses[index], other.poses[index]):
                    loser = max((one, other), key=lambda chain: self._reader.leap(chain, index))
                    loser.end_at(index - 1)

    def _search(self, index: int, picture: Picture) -> None:
        for chain in self.live:
            if not chain.pending:  # about this very frame
                self._reader.look_again(chain, index, picture)
        results = self._networks.detect(picture, self._sweep.due(), LOWEST)
        found = [(candidate, i > 0) for i, result in enumerate(results) for candidate in result]
        found += self._confirm(index, picture, [c for c, _ in found])
        known = [chain.poses[index] for chain in self.live]
        for pose, score in new_people(self._networks, picture, found, known):
            chain = Chain(len(self.chains), born=index, confirmed={index: score})
            self._reader.add(chain, index, picture, pose, index - 1, doubt=False)
            self.chains.append(chain)
            self._young.append(chain)

    def _prove(self, index: int, picture: Picture) -> None:
        """Some frames after people were found: those whom the detection network sees again are followed backwards."""
        due = [chain for chain in self._young if chain.born + self._pace.probation <= index]
        self._young = [chain for chain in self._young if chain not in due]
        here = [chain for chain in due if chain.alive]
        windows = [around(next_region(chain.poses[index])) for chain in here]
        found = [c for result in self._networks.detect(picture, windows, LOWEST) for c in result]
        for chain, score in self._scores(index, picture, found):
            if chain in here:
                chain.confirmed[index] = score
        for chain in due:
            chain.calm = 0
            if not chain.confirmed.get(index) and max(chain.confirmed.values()) < CLEAR:
                chain.end_at(-1)
        self._accept(due)

    def _scores(self, index: int, picture: Picture, found: Sequence[Candidate]) -> list[tuple[Chain, float]]:
        """How well the detection network sees everybody, given its candidates in this picture."""
        live = self.live
        poses = [chain.poses[index] for chain in live]
        scores = confirmations(poses, found)
        for i, pose in enumerate(poses):
            scores[i] = scores[i] or alone(self._networks, picture, pose, poses[:i] + poses[i + 1 :])
        return list(zip(live, scores, strict=True))

    def _accept(self, people: Sequence[Chain]) -> None:
        people = [chain for chain in people if chain.poses]
        for first in sorted({chain.poses.first for chain in people}, reverse=True):
            frames = [item for item in self._recent if item[0] < first]
            self.resume([chain for chain in people if chain.poses.first == first], frames)

    def _confirm(self, index: int, picture: Picture, found: Sequence[Candidate]) -> list[tuple[Candidate, bool]]:
        """Ask the detection network about everybody for whom `found` does not speak already.

        Returns the candidates in the windows round them, as of tiles.
        """
        poses = [chain.poses[index] for chain in self.live]
        unsure = [pose for pose, score in zip(poses, confirmations(poses, found), strict=True) if score < SURE]
        results = self._networks.detect(picture, [around(next_region(pose)) for pose in unsure], LOWEST)
        closer = [candidate for result in results for candidate in result]
        for chain, score in self._scores(index, picture, [*found, *closer]):
            chain.confirmed[index] = score
            if chain.doubted():
                chain.end_at(max(i for i, score in chain.confirmed.items() if score > 0))
        return [(candidate, True) for candidate in closer]


def follow(networks: Networks, clip: Any, progress: Callable[[int], None] | None = None) -> list[Chain]:
    """Everybody in the clip, in the order in which they were found.

    Args:
        clip: what `pipeline.clip.open_clip` gives.
        progress: called with the number of frames done.
    """
    info = clip.info
    following = Following(networks, info.width, info.height, Pace.of(info.fps, len(info.times)))
    for index, pixels in enumerate(clip.frames(planes=True)):
        following.step(index, Picture(pixels))
        if progress:
            progress(index + 1)
    following.finish()
    while following.unfinished:
        stop = max(index for _, index in following.unfinished)
        people = [chain for chain, index in following.unfinished if index == stop]
        following.unfinished = [item for item in following.unfinished if item[1] != stop]
        start = max(0, stop - following.memory)
        frames = [(start + i, Picture(pixels)) for i, pixels in enumerate(clip.frames(start, stop, planes=True))]
        following.resume(people, frames)
    return [chain for chain in following.chains if real(chain, info.fps, len(info.times))]
