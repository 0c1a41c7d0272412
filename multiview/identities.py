"""Groups of tracks of several views, frame by frame, and whose they are over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.results import Array

REACH_M = 0.4  # from where somebody was to where somebody is, for the same person
SPEED = 2.0  # m/s: by which that grows while nobody sees the person
PLACE = 1.5  # what being at the same place counts, in tracks
MEMORY_S = 2.0  # so long a place is remembered


@dataclass
class _Person:
    tracks: set[tuple[int, int]] = field(default_factory=set)  # (view, track) that were the person's last
    place: Array | None = None  # (3,) m: the torso's middle
    at: float = -np.inf  # s


def follow(odds: Array, nodes: Array, view: Array, eyes: Array, middles: Array, times: Array) -> Array:
    """(N,T) int: the person of every row of tracks, -1 where it holds none.

    Args:
        odds: (T,N,N) log-odds that two rows are one person.
        nodes: (N,T) int: the track in each row, -1 none.
        view: (N,) int: the rows' views.
        eyes, middles: (N,T,3) m and unit: the ray through each row's torso.
        times: (T,) s.
    """
    persons, known = np.full(nodes.shape, -1), []
    owner: dict[tuple[int, int], int] = {}
    for begin, end in _stretches(odds, nodes):
        there = np.flatnonzero(nodes[:, begin] >= 0)
        groups = [there[g] for g in grouped(odds[begin:end].mean(axis=0)[np.ix_(there, there)], view[there])]
        names = [{(int(view[n]), int(nodes[n, begin])) for n in group} for group in groups]
        wanted = np.array([[_fits(p, name, owner, k, _distance(p, g, eyes, middles, begin, end), times[begin])
                            for k, p in enumerate(known)] for g, name in zip(groups, names, strict=True)])  # fmt: skip
        for g, k in enumerate(_assigned(wanted.reshape(len(groups), len(known)), len(known))):
            if k == len(known):
                known.append(_Person())
            persons[groups[g], begin:end] = k
            owner |= dict.fromkeys(names[g], k)
            place = _place(eyes[groups[g], begin:end], middles[groups[g], begin:end])
            if place is not None:
                known[k].place, known[k].at = place, float(times[end - 1])
    return persons


def _stretches(odds: Array, nodes: Array) -> Iterator[tuple[int, int]]:
    """[begin, end) of frames with the same tracks that agree and disagree in the same way."""
    same = (nodes[:, 1:] == nodes[:, :-1]).all(axis=0) & ((odds[1:] > 0) == (odds[:-1] > 0)).all(axis=(1, 2))
    edges = [0, *(np.flatnonzero(~same) + 1).tolist(), nodes.shape[1]]
    yield from ((a, b) for a, b in pairwise(edges) if b > a)


def grouped(odds: Array, view: Array) -> list[Array]:
    """Log-odds (N,N) and views (N,) -> groups of indices, each with at most one of a view.

    The two groups with the largest sum of log-odds between them are joined, as long as one is positive.
    """
    between = np.array(odds, float)
    between[view[:, None] == view[None]] = -np.inf
    groups = [[i] for i in range(len(view))]
    while len(groups) > 1:
        a, b = divmod(int(np.argmax(between)), len(groups))
        if between[a, b] <= 0:
            break
        a, b = min(a, b), max(a, b)
        groups[a] += groups.pop(b)
        between[a] += between[b]
        between[:, a] = between[a]
        between = np.delete(np.delete(between, b, 0), b, 1)
        between[a, a] = -np.inf
    return [np.array(group) for group in groups]


def _fits(person: _Person, tracks: set[tuple[int, int]], owner: dict[tuple[int, int], int], number: int,
          distance: float | None, now: float) -> float:  # fmt: skip
    """How much a group speaks for being this person: the tracks that were the person's, and the place."""
    votes = float(sum(owner.get(track) == number for track in tracks))
    gap = now - person.at
    if distance is None or gap > MEMORY_S:
        return votes
    return votes + PLACE * float(np.clip(2 - 2 * distance / (REACH_M + SPEED * max(gap, 0.0)), -1, 1))


def _distance(person: _Person, group: Array, eyes: Array, middles: Array, begin: int, end: int) -> float | None:
    """m from the person's last place to the rays of the group where the stretch begins; None if one is unknown."""
    if person.place is None:
        return None
    away = []
    for n in group:
        seen = begin + np.flatnonzero(np.isfinite(middles[n, begin:end, 0]))[:1]
        if len(seen):
            to = person.place - eyes[n, seen[0]]
            away.append(float(np.linalg.norm(to - (to @ middles[n, seen[0]]) * middles[n, seen[0]])))
    return float(np.mean(away)) if away else None


def _assigned(wanted: Array, known: int) -> list[int]:
    """(G,P) -> the person of every group; those that fit none get new numbers from `known` on."""
    out = [-1] * len(wanted)
    for g, k in zip(*linear_sum_assignment(-np.maximum(wanted, 0.0)), strict=True):
        if wanted[g, k] > 0.25:
            out[g] = int(k)
    for g, k in enumerate(out):
        if k < 0:
            out[g] = known
            known += 1
    return out


def _place(eyes: Array, middles: Array) -> Array | None:
    """(3,) m: where rays (N,T,3) meet in the last frame in which two are known, None if never."""
    known = np.isfinite(middles[..., 0])
    enough = np.flatnonzero(known.sum(axis=0) >= 2)
    if not len(enough):
        return None
    rows = known[:, enough[-1]]
    eye, along = eyes[rows, enough[-1]], middles[rows, enough[-1]]
    across = np.eye(3) - along[:, :, None] * along[:, None, :]
    return np.linalg.lstsq(across.sum(axis=0), (across @ eye[..., None]).sum(axis=0)[:, 0], rcond=None)[0]
