"""The clocks of several views against the first's, from the motion of the people they see, and from sound.

Every two views are compared (`sync_relate`): people's motion tells the lag and who is who, the geometry of still
cameras refines it. All lags together must agree: they are solved by least squares, and a pair that contradicts the
others is left out. A view that no trusted chain of pairs joins to the first is refused, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.sparse.csgraph import connected_components

from multiview.sync_relate import Relation, Side, relate
from multiview.sync_signals import PEOPLE, signals
from multiview.sync_sound import delay
from pipeline.results import Array, Camera, Motion3D, Track2D

CONTRADICTS_S = 0.1  # a pair that is farther than this from what the others say
Sound = tuple[Array, float, float]  # samples (N,), Hz, the view's own time of the first sample in s


@dataclass(frozen=True)
class Clocks:
    """V views: scene time = offset + rate * own time; the scene's clock is the first view's."""

    offset_s: Array  # (V,), NaN where nothing is known
    rate: Array  # (V,)
    confidence: Array  # (V,) in [0,1]; the first's is 1
    reliable: Array  # (V,) bool
    reasons: tuple[str, ...]  # (V,) why a view is not reliable; empty where it is
    methods: tuple[str, ...]  # (V,) what the offset rests on
    relations: tuple[Relation, ...]  # of every two views
    sound_s: Array  # (V,) the offset by sound alone, NaN where there is none


def synchronise(
    motions: Sequence[Sequence[Motion3D]],
    tracks: Sequence[Sequence[Track2D]],
    times: Sequence[Array],
    cameras: Sequence[Camera] | None = None,
    sound: Sequence[Sound | None] | None = None,
) -> Clocks:
    """Offsets and rates of V views of one scene.

    Args:
        motions: of each view its people as lifted, frame "root", any order.
        tracks: the same people's keypoints in px.
        times: of each view the times of its frames in s, even or not.
        cameras: with poses, where they are known; those that move are treated as unknown.
        sound: of each view its sound, or None. A witness: where motion tells nothing it stands in for it.

    Returns:
        Clocks; nothing is raised for views that do not fit, see `reliable` and `reasons`.
    """
    known = [None] * len(times) if cameras is None else [_still(camera) for camera in cameras]
    sides = [_side(*view) for view in zip(motions, tracks, times, known, strict=True)]
    pairs = list(combinations(range(len(sides)), 2))
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda pair: relate(*pair, *(sides[v] for v in pair)), pairs))
    heard = _heard(sound or [None] * len(sides))
    relations = _consistent([_with_sound(one, heard.get((one.first, one.second))) for one in found], len(sides))
    offset, rate = _solve(relations, len(sides))
    joined = _joined(relations, len(sides))
    reasons = tuple("" if ok else _reason(v, relations) for v, ok in enumerate(joined))
    return Clocks(
        np.where(joined, offset, np.nan), np.where(joined, rate, np.nan), _confidence(relations, joined), joined,
        reasons, tuple(_method(v, relations) for v in range(len(sides))), tuple(relations),
        np.array([0.0] + [-heard.get((0, v), (np.nan,))[0] for v in range(1, len(sides))]),
    )  # fmt: skip


def _still(camera: Camera) -> Camera | None:
    return camera if np.ndim(camera.camera_to_world) == 2 else None


def _side(motions: Sequence[Motion3D], tracks: Sequence[Track2D], times: Array, camera: Camera | None) -> Side:
    """The people who are seen longest have signals."""
    ranks = np.argsort(np.argsort([-len(motion) for motion in motions], kind="stable"), kind="stable")
    people = zip(motions, tracks, ranks, strict=True)
    return Side([signals(m, t, times) if rank < PEOPLE else None for m, t, rank in people], tracks, times, camera)


def _heard(sound: Sequence[Sound | None]) -> dict[tuple[int, int], tuple[float, float, float]]:
    """(first, second) -> lag in s of the second's clock, how far it stands out, and the middle on the first's."""
    out = {}
    for (i, one), (j, other) in combinations(enumerate(sound), 2):
        if one is not None and other is not None and (found := delay(one, other)) is not None:
            out[i, j] = (*found, _middle(one, other, found[0]))
    return out


def _middle(one: Sound, other: Sound, lag: float) -> float:
    """Of what both heard, in s on the first's clock."""
    (a, b), (c, d) = ((begin, begin + len(samples) / rate) for samples, rate, begin in (one, other))
    return (max(a, c - lag) + min(b, d - lag)) / 2


def _with_sound(relation: Relation, heard: tuple[float, float, float] | None) -> Relation:
    """Sound takes the place of what is not believed; where both speak and differ, nobody is believed."""
    if heard is None:
        return relation
    lag, ratio, middle = heard
    if relation.reason:
        return replace(
            relation, lag=lag, drift=0.0, middle=middle, agreement=0.7, ratio=ratio, sigma=0.01, method="sound",
            reason="", people=(),
        )  # fmt: skip
    moved = relation.lag + relation.drift * (middle - relation.middle)  # a sound has one lag, that of its middle
    if abs(lag - moved) > CONTRADICTS_S:
        return replace(relation, reason=f"sound says {-lag:+.2f} s, motion {-moved:+.2f} s")
    return relation


def _consistent(relations: list[Relation], count: int) -> list[Relation]:
    """As long as a pair contradicts the rest of its cycle, the least believed of the contradicting is left out."""
    while True:
        offset, rate = _solve(relations, count)
        off = {k: abs(_residual(one, offset, rate)) for k, one in enumerate(relations) if not one.reason}
        if not off or max(off.values()) <= CONTRADICTS_S:
            return relations
        doubtful = [k for k, value in off.items() if value > 0.5 * max(off.values())]
        worst = min(doubtful, key=lambda k: relations[k].confidence)
        relations = list(relations)
        relations[worst] = replace(relations[worst], reason="it contradicts the other pairs of views")


def _residual(one: Relation, offset: Array, rate: Array) -> float:
    """In s, by how much the scene's times of `middle` and `middle + lag` differ (see `_solve`)."""
    return float(offset[one.first] - offset[one.second] - _met(one, rate))


def _met(one: Relation, rate: Array) -> float:
    """The difference of offsets with which `middle` and `middle + lag` are one time of the scene."""
    return float(rate[one.second] * (one.middle + one.lag) - rate[one.first] * one.middle)


def _solve(relations: Sequence[Relation], count: int) -> tuple[Array, Array]:
    """(V,) offsets and rates by weighted least squares over all believed pairs; the first view's are 0 and 1.

    With scene = offset + rate * own and t_b - middle = lag + (1 + drift)(t_a - middle):
    log rate_a - log rate_b = log(1 + drift), and the scene's times of `middle` and `middle + lag` are one.
    """
    used = [one for one in relations if not one.reason]
    incidence = np.zeros((len(used), count))
    for row, one in zip(incidence, used, strict=True):
        row[one.first], row[one.second] = 1, -1
    weight = np.array([1 / one.sigma for one in used])
    drift = np.log1p([one.drift for one in used])
    log_rate = _anchored(incidence, drift, weight)
    rate = np.exp(log_rate)
    met = np.array([_met(one, rate) for one in used])
    return _anchored(incidence, met, weight), rate


def _anchored(incidence: Array, wanted: Array, weight: Array) -> Array:
    """Least squares with 0 for the first; 0 too for who hangs on nothing."""
    out = np.zeros(incidence.shape[1])
    if len(wanted):
        out[1:] = np.linalg.lstsq(incidence[:, 1:] * weight[:, None], wanted * weight, rcond=None)[0]
    return out


def _joined(relations: Sequence[Relation], count: int) -> Array:
    """(V,) bool: believed pairs lead to the first view."""
    graph = np.zeros((count, count), bool)
    for one in relations:
        graph[one.first, one.second] = not one.reason
    label = connected_components(graph, directed=False)[1]
    return label == label[0]


def _of(view: int, relations: Sequence[Relation]) -> list[Relation]:
    return [one for one in relations if view in (one.first, one.second)]


def _reason(view: int, relations: Sequence[Relation]) -> str:
    """What speaks against most of a view's pairs."""
    reasons = [one.reason for one in _of(view, relations) if one.reason]
    return max(reasons, key=reasons.count) if reasons else "only views that are not joined to the first agree with it"


def _method(view: int, relations: Sequence[Relation]) -> str:
    """Of the pair that tells most."""
    believed = [one for one in _of(view, relations) if not one.reason]
    return min(believed, key=lambda one: one.sigma).method if believed else "none"


def _confidence(relations: Sequence[Relation], joined: Array) -> Array:
    """(V,) of the best pair, less where only a part of the pairs is believed."""
    out = joined.astype(float)
    for view in range(1, len(joined)):
        pairs = _of(view, relations)
        values = [one.confidence for one in pairs]
        out[view] *= max(values) * (0.5 + 0.5 * np.mean([value > 0 for value in values]))
    return out
