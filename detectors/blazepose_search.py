"""Finding people nobody follows yet: candidates of the detection network, proved by the landmark network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import hypot, radians

import numpy as np

from detectors.blazepose_chain import next_region
from detectors.blazepose_checks import agree, distance, plausible, quality, same_body
from detectors.blazepose_decode import BODY
from detectors.blazepose_networks import Candidate, Networks, Pose
from detectors.blazepose_picture import Picture
from detectors.blazepose_region import Region, wrap
from detectors.blazepose_windows import SCALES, around

LOWEST, SUSPECTED, SURE, CLEAR = 0.4, 0.5, 0.7, 0.85  # scores of the detection network
SURE_IN_TILE = 0.75  # tiles cut people, and posts and cables fill them like somebody
HOPEFUL, LIKELY, CERTAIN = 0.3, 0.5, 0.9  # flags of the landmark network


def new_people(
    networks: Networks, picture: Picture, found: Sequence[tuple[Candidate, bool]], known: Sequence[Pose]
) -> list[tuple[Pose, float]]:
    """The people among `found` who are none of `known`, with the detection network's score.

    Each suspect is looked at once more by the detection network, in the middle of a window of fitting size, and
    only candidates that fit nobody else better speak for them. Tiles cut people and see them in posts and cables:
    there both networks have to be surer.

    Args:
        found: candidates, and whether their window was a tile.
        known: poses of the people already followed in this picture.
    """
    fresh = [(c, tile) for c, tile in found if c.score >= SUSPECTED and not _covered(c.region, known)]
    fresh = _promising(networks, picture, _distinct(fresh))
    first = networks.poses(picture, [candidate.region for candidate, _ in fresh])
    hopeful = [(item, next_region(pose)) for item, pose in zip(fresh, first, strict=True) if pose.flag > HOPEFUL]
    again = networks.poses(picture, [region for _, region in hopeful])
    likely = [
        (candidate, tile, pose)
        for ((candidate, tile), _), pose in zip(hopeful, again, strict=True)
        if plausible(pose, picture.width, picture.height, LIKELY)
    ]
    closer = networks.detect(picture, [around(next_region(pose)) for *_, pose in likely], SUSPECTED)
    scores = confirmations([*(pose for *_, pose in likely), *known], [c for result in closer for c in result])
    people = []
    for (candidate, tile, pose), score in zip(likely, scores[: len(likely)], strict=True):
        certain = pose.flag > (CERTAIN if tile else LIKELY)
        score = max(score, candidate.score if certain else 0)
        if score >= _needed(tile):
            people.append((pose, score))
    return _without_doubles(people, known)


def _promising(
    networks: Networks, picture: Picture, fresh: Sequence[tuple[Candidate, bool]]
) -> list[tuple[Candidate, bool]]:
    """Without the unsure ones that the detection network does not see in a window of their own: nothing that costs less
    than reading a person tells so many of them apart.
    """
    doubtful = [candidate.region for candidate, tile in fresh if candidate.score < _needed(tile)]
    results = iter(networks.detect(picture, [around(region) for region in doubtful], SUSPECTED))
    return [
        (candidate, tile)
        for candidate, tile in fresh
        if candidate.score >= _needed(tile) or any(agree(candidate.region, c.region) for c in next(results))
    ]


def _needed(tile: bool) -> float:
    """The score from which the detection network is believed."""
    return SURE_IN_TILE if tile else SURE


def confirmations(poses: Sequence[Pose], found: Iterable[Candidate]) -> list[float]:
    """For each pose the best score of the candidates that are nearest to it and agree with it, 0 when none is."""
    regions = [next_region(pose) for pose in poses]
    best = [0.0] * len(poses)
    for candidate in found:
        near = [i for i, r in enumerate(regions) if agree(candidate.region, r) and _upright(candidate.region, r)]
        if near:
            owner = min(near, key=lambda i: distance(candidate.region, regions[i]))
            best[owner] = max(best[owner], candidate.score)
    return best


def alone(networks: Networks, picture: Picture, pose: Pose, others: Sequence[Pose]) -> float:
    """The score of somebody not seen at first: in windows of other sizes, and with the neighbours painted over.

    A neighbour who stands clearer takes all the attention of the detection network.
    """
    region = next_region(pose)
    near = [o for o in others if hypot(o.region.x - region.x, o.region.y - region.y) < region.side]
    hidden = [np.concatenate([ends(o.points[:BODY], axis=0) for ends in (np.min, np.max)]) for o in near]
    windows = [around(region, scale) for scale in SCALES]
    results = networks.detect(picture, windows, LOWEST, hidden)
    return confirmations([pose], [candidate for result in results for candidate in result])[0]


def _upright(one: Region, other: Region) -> bool:
    """The two see the person the same way up; poses that are nonsense often do not."""
    return abs(wrap(one.turn - other.turn)) < radians(60)


def _covered(region: Region, known: Iterable[Pose]) -> bool:
    return any(agree(region, next_region(pose), reach=0.2) for pose in known)


def _distinct(found: Sequence[tuple[Candidate, bool]]) -> list[tuple[Candidate, bool]]:
    kept: list[tuple[Candidate, bool]] = []
    for candidate, tile in sorted(found, key=lambda item: -item[0].score):
        if not any(agree(candidate.region, other.region, reach=0.12) for other, _ in kept):
            kept.append((candidate, tile))
    return kept


def _without_doubles(people: Sequence[tuple[Pose, float]], known: Sequence[Pose]) -> list[tuple[Pose, float]]:
    kept: list[tuple[Pose, float]] = []
    for pose, score in sorted(people, key=lambda item: -item[1] * quality(item[0])):
        region = next_region(pose)
        new = not any(agree(region, next_region(other)) for other, _ in kept)
        if new and not any(same_body(pose, other) for other in [*known, *(p for p, _ in kept)]):
            kept.append((pose, score))
    return kept
