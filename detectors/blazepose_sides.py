"""Left and right, which the landmark network sometimes exchanges for a while: decided over time and put right.

For every frame there is one bit, exchanged or not. Bodies do not swap sides from one frame to the next, so the bits
of a person are chosen together (Viterbi 1967): cheapest in jumps of the joints, in both directions of time at once,
and in contradictions to second looks. A second look reads the same person in an upright square when they lean, since
leaning squares are what the exchange comes with, and in a square of another size otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from math import pi, radians
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.blazepose_checks import LIMBS, MIRROR, extent
from detectors.blazepose_networks import Pose
from detectors.blazepose_region import Region

Array = NDArray[Any]
BODY_METRES = 1.8  # puts differences in metres beside differences in body heights
UPRIGHT, RESIZED, PRIOR = 0.15, 0.03, 0.003  # what contradicting a second look costs, and any exchange


@dataclass(frozen=True)
class SecondLook:
    """The same person in the same frame, read in another square."""

    pose: Pose
    weight: float


def second_square(region: Region, index: int) -> tuple[Region, float]:
    """The square of the second look at that frame, and how much its word counts."""
    if radians(12) < abs(region.turn) < pi / 2:
        return region.turned(0.0), UPRIGHT
    return region.turned(region.turn, 1.15 if index % 2 else 0.87), RESIZED


def difference(one: Pose, other: Pose) -> tuple[float, float]:
    """Mean distance of the limb joints, in the picture and in space, in body heights: as they are, and exchanged."""
    return _distance(one, other, LIMBS), _distance(one, other, MIRROR[LIMBS])


def _distance(one: Pose, other: Pose, order: Array) -> float:
    size = max(extent(one), extent(other))
    pixels = np.linalg.norm(one.points[LIMBS] - other.points[order], axis=1).mean()
    metres = np.linalg.norm(one.world[LIMBS] - other.world[order], axis=1).mean()
    return float(pixels / size + metres / BODY_METRES)


def swapped(one: Pose, other: Pose) -> bool:
    """The two fit clearly better with the sides of one exchanged."""
    same, crossed = difference(one, other)
    return crossed < same - 0.03


def exchange(pose: Pose) -> Pose:
    """The same pose with left and right exchanged."""
    order = np.concatenate([MIRROR, np.arange(len(MIRROR), len(pose.points))])
    return replace(
        pose,
        points=pose.points[order],
        visibility=pose.visibility[MIRROR],
        presence=pose.presence[MIRROR],
        world=pose.world[MIRROR],
    )


def put_right(poses: MutableMapping[int, Pose], looks: Mapping[int, SecondLook]) -> list[int]:
    """Exchange left and right, in place, where they most likely are exchanged; returns these frames.

    There the 3D landmarks become those of the second look, if it has the sides right: the first took the person's
    back for the front.

    Args:
        poses: of one person, by frame, consecutive.
        looks: second looks by frame.
    """
    frames = sorted(poses)
    wrong = decide((poses[i] for i in frames), (looks.get(i) for i in frames))
    exchanged = [index for index, bit in zip(frames, wrong, strict=True) if bit]
    for index in exchanged:
        fixed = exchange(poses[index])
        look = looks.get(index)
        sound = look is not None and not swapped(fixed, look.pose)
        poses[index] = replace(fixed, world=look.pose.world) if sound else fixed
    return exchanged


def decide(poses: Iterable[Pose], looks: Iterable[SecondLook | None]) -> list[bool]:
    """For consecutive poses of one person: are left and right exchanged?"""
    total, choices, previous = np.zeros(2), [], None
    for pose, look in zip(poses, looks, strict=True):
        if previous is not None:
            same, crossed = difference(previous, pose)
            ways = total[:, None] + np.array([[same, crossed], [crossed, same]])  # from bit, to bit
            choices.append(ways.argmin(axis=0))
            total = ways.min(axis=0)
        total = total + _contradiction(pose, look)
        previous = pose
    if previous is None:
        return []
    bits = [int(total.argmin())]
    for choice in reversed(choices):
        bits.append(int(choice[bits[-1]]))
    return [bool(bit) for bit in reversed(bits)]


def _contradiction(pose: Pose, look: SecondLook | None) -> tuple[float, float]:
    """What it costs to leave the sides of this pose, and to exchange them."""
    if look is None:
        return 0.0, PRIOR
    same, crossed = difference(pose, look.pose)
    word = look.weight * (crossed - same) / max(crossed + same, 1e-9)
    return max(-word, 0.0), max(word, 0.0) + PRIOR
