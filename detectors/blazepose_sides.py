"""Left and right, which the landmark network sometimes exchanges for a while: decided over time and put right.

For every frame there is one bit, exchanged or not. Bodies do not swap sides from one frame to the next, so the bits
of a person are chosen together (Viterbi 1967): cheapest in jumps of the joints, in both directions of time at once,
and in contradictions to second looks. A second look reads the same person in an upright square when they lean, since
leaning squares are what the exchange comes with, and in a square of another size otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from math import pi, radians
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.blazepose_checks import LIMBS, MIRROR
from detectors.blazepose_networks import Pose
from detectors.blazepose_region import Region

Array = NDArray[Any]
BODY_METRES = 1.8  # puts differences in metres beside differences in body heights
MIRRORED = [LIMBS.index(joint) for joint in MIRROR[LIMBS]]  # the limb joints of the other side
CHUNK = 1024  # frames compared at once
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


def limbs(pose: Pose) -> Array:
    """(12,5) float32: place of the limb joints in the picture, px, and in space, m."""
    return np.concatenate([pose.points[LIMBS], pose.world[LIMBS]], axis=1, dtype=np.float32)


def difference(one: Array, other: Array) -> Array:
    """Mean distances of limb joints (...,12,5), in the picture and in space, in body heights.

    Returns:
        (...,2): as they are, and with the sides of one exchanged.
    """
    size = np.maximum(_extent(one), _extent(other))[..., None]
    gaps = one[..., None, :, :] - np.stack([other, other[..., MIRRORED, :]], axis=-3)  # (...,2,12,5)
    gaps *= gaps
    pixels, metres = (np.sqrt(part.sum(-1)).mean(-1) for part in (gaps[..., :2], gaps[..., 2:]))
    return pixels / size + metres / BODY_METRES


def _extent(limbs: Array) -> Array:
    return np.ptp(limbs[..., :2], axis=-2).max(-1)


def swapped(one: Pose, other: Pose) -> bool:
    """The two fit clearly better with the sides of one exchanged."""
    same, crossed = difference(limbs(one), limbs(other))
    return bool(crossed < same - 0.03)


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
    bodies, stays = [], []
    for pose, look in zip(poses, looks, strict=True):
        bodies.append(limbs(pose))
        stays.append((0.0, PRIOR) if look is None else _contradiction(bodies[-1], look))
    if not bodies:
        return []
    return _cheapest(stays, _steps(np.array(bodies)))


def _steps(bodies: Array) -> list[list[float]]:
    """(T,12,5) -> differences of each body to the next one, T-1 pairs; a few at a time, since clips are long."""
    steps = []
    for begin in range(0, len(bodies) - 1, CHUNK):
        end = min(begin + CHUNK, len(bodies) - 1)
        steps += difference(bodies[begin:end], bodies[begin + 1 : end + 1]).tolist()
    return steps


def _cheapest(stays: Sequence[tuple[float, float]], steps: Sequence[Sequence[float]]) -> list[bool]:
    """The bits of least total cost: of each bit in its frame, and of the bits of neighbours being alike or not."""
    kept, swap = stays[0]  # what it costs to end with this bit and with the other
    origins = []
    for (alike, unlike), (keep, turn) in zip(steps, stays[1:], strict=True):
        origins.append((kept + alike > swap + unlike, swap + alike <= kept + unlike))
        kept, swap = min(kept + alike, swap + unlike) + keep, min(swap + alike, kept + unlike) + turn
    bits = [swap < kept]
    for origin in reversed(origins):
        bits.append(origin[bits[-1]])
    return bits[::-1]


def _contradiction(body: Array, look: SecondLook) -> tuple[float, float]:
    """What it costs to leave the sides of this body, and to exchange them."""
    same, crossed = difference(body, limbs(look.pose)).tolist()
    word = look.weight * (crossed - same) / max(crossed + same, 1e-9)
    return max(-word, 0.0), max(word, 0.0) + PRIOR
