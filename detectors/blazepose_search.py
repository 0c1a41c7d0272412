"""Finding people nobody follows yet: candidates of the detection network, proved by the landmark network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from detectors.blazepose_chain import next_region
from detectors.blazepose_checks import agree, plausible, quality, same_body
from detectors.blazepose_networks import Candidate, Networks, Pose
from detectors.blazepose_picture import Picture
from detectors.blazepose_region import Region


@dataclass(frozen=True)
class Proof:
    """What is asked of a candidate before it counts as a person."""

    score: float  # of the detection network
    flag: float  # of the landmark network


WHOLE = (Proof(0.7, 0.5), Proof(0.5, 0.9))  # either is enough
TILE = (Proof(0.7, 0.9),)


def new_people(
    networks: Networks, picture: Picture, found: Sequence[tuple[Candidate, bool]], known: Sequence[Pose]
) -> list[tuple[Pose, float]]:
    """The people among `found` who are none of `known`, with the detection network's score.

    Args:
        found: candidates, and whether their window was a tile.
        known: poses of the people already followed in this picture.
    """
    fresh = [(c, tile) for c, tile in found if c.score >= _least(tile) and not _covered(c.region, known)]
    fresh = _distinct(fresh)
    poses = networks.poses(picture, [candidate.region for candidate, _ in fresh])
    again = networks.poses(picture, [next_region(pose) for pose in poses])
    people = []
    for (candidate, tile), pose in zip(fresh, again, strict=True):
        if _proved(candidate.score, pose, tile) and plausible(pose, picture.width, picture.height, 0.5):
            people.append((pose, candidate.score))
    return _without_doubles(people, known)


def confirmation(pose: Pose, found: Iterable[tuple[Candidate, bool]]) -> float:
    """The best score of the candidates that agree with this pose, 0 when none does."""
    region = next_region(pose)
    return max((c.score for c, _ in found if agree(c.region, region)), default=0.0)


def _least(tile: bool) -> float:
    return min(proof.score for proof in (TILE if tile else WHOLE))


def _proved(score: float, pose: Pose, tile: bool) -> bool:
    return any(score >= p.score and pose.flag > p.flag for p in (TILE if tile else WHOLE))


def _covered(region: Region, known: Iterable[Pose]) -> bool:
    return any(agree(region, next_region(pose), reach=0.12) for pose in known)


def _distinct(found: Sequence[tuple[Candidate, bool]]) -> list[tuple[Candidate, bool]]:
    kept: list[tuple[Candidate, bool]] = []
    for candidate, tile in sorted(found, key=lambda item: -item[0].score):
        if not any(agree(candidate.region, other.region, reach=0.12) for other, _ in kept):
            kept.append((candidate, tile))
    return kept


def _without_doubles(people: Sequence[tuple[Pose, float]], known: Sequence[Pose]) -> list[tuple[Pose, float]]:
    kept: list[tuple[Pose, float]] = []
    for pose, score in sorted(people, key=lambda item: -quality(item[0])):
        if not any(same_body(pose, other) for other in [*known, *(p for p, _ in kept)]):
            kept.append((pose, score))
    return kept
