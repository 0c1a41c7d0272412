"""Reading one person who is followed: keep a pose, look again when in doubt, find them again, go backwards."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, radians

from detectors.blazepose_chain import Chain, PendingLook, next_region, predict
from detectors.blazepose_checks import agree, plausible, quality, same_body
from detectors.blazepose_networks import Networks, Pose
from detectors.blazepose_pace import Pace
from detectors.blazepose_picture import Picture
from detectors.blazepose_region import Region, wrap
from detectors.blazepose_sides import SecondLook, second_square, swapped
from detectors.blazepose_windows import around

RESCUE_TURNS = (-60, -30, 30, 60)  # degrees, for people who turn in the air


class Reader:
    """Reads people with the landmark network.

    Args:
        networks: the two networks.
        pace: how often what happens.
        size: width, height of the pictures, px.
    """

    def __init__(self, networks: Networks, pace: Pace, size: tuple[int, int]) -> None:
        self._networks, self._pace, self._size = networks, pace, size

    def good(self, pose: Pose) -> bool:
        """Enough of a person to go on with."""
        return plausible(pose, *self._size, 0.5)

    def add(self, chain: Chain, index: int, picture: Picture, pose: Pose, neighbour: int, doubt: bool = True) -> None:
        """Keep a pose; look a second time while left and right are in doubt against the frame beside it.

        Args:
            doubt: whether to look a second time at all.
        """
        self.settle(chain)
        chain.poses[index] = pose
        chain.calm += 1
        if neighbour in chain.poses and swapped(chain.poses[neighbour], pose):
            chain.calm = 0
        if doubt and chain.calm < self._pace.calm:
            self.look_again(chain, index, picture)

    def look_again(self, chain: Chain, index: int, picture: Picture) -> None:
        """Ask for a second opinion about left and right in that frame; `settle` hears it."""
        square, weight = second_square(chain.poses[index].region, index)
        chain.pending.append(PendingLook(index, self._networks.start_pose(picture, square), weight))

    def settle(self, chain: Chain) -> None:
        """Wait for the second looks under way."""
        for look in chain.pending:
            other = look.job.result()
            if look.index in chain.poses and self.good(other):
                chain.looks[look.index] = SecondLook(other, look.weight)
                if swapped(chain.poses[look.index], other):
                    chain.calm = 0
        chain.pending.clear()

    def rescue(self, picture: Picture, region: Region, others: Sequence[Pose]) -> Pose | None:
        """Look for somebody who was lost near `region`: with the detection network, and turned.

        Args:
            others: poses of the other people in this picture; none of them is taken.
        """
        candidates = self._networks.detect(picture, [around(region)], 0.5)[0]
        regions = [c.region for c in candidates if agree(c.region, region, reach=0.35)][:1]
        turned = [region.turned(wrap(region.turn + radians(turn))) for turn in RESCUE_TURNS]
        poses = self._networks.poses(picture, [*regions, *turned])
        fit = [p for p in poses if self.good(p) and not any(same_body(p, other) for other in others)]
        return max(fit, key=quality, default=None)

    def back(
        self, people: Sequence[Chain], frames: Sequence[tuple[int, Picture]], known: Sequence[Chain]
    ) -> list[Chain]:
        """Follow people backwards from their first frame through `frames` (ascending).

        Args:
            known: everybody found so far; nobody is followed onto one of them.

        Returns:
            Those who are still there in the first of the frames.
        """
        still = people
        for index, picture in reversed(frames):
            still = [chain for chain in still if self._back_one(chain, index, picture, known)]
        for chain in people:
            self.settle(chain)
        return list(still)

    def _back_one(self, chain: Chain, index: int, picture: Picture, known: Sequence[Chain]) -> bool:
        region = predict(chain.poses.opening(self._pace.history), 1)
        if not region.finite():
            return False
        pose = self._networks.poses(picture, [region])[0]
        others = [other.poses[index] for other in known if other is not chain and index in other.poses]
        if not self.good(pose) or any(same_body(pose, other) for other in others):
            return False
        self.add(chain, index, picture, pose, index + 1)
        return True

    def leap(self, chain: Chain, index: int) -> tuple[float, float]:
        """How far this pose lies from where its own past expects it, in sides; the worse seen one breaks ties."""
        now = next_region(chain.poses[index])
        past = chain.poses.until(index - 3, self._pace.history)
        if not past:
            return 9.0, -quality(chain.poses[index])
        expected = predict(past, 3)
        away = hypot(expected.x - now.x, expected.y - now.y) / expected.side
        return round(away + abs(expected.side / now.side - 1), 2), -quality(chain.poses[index])
