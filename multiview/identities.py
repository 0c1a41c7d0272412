"""Groups of tracks of several views, frame by frame, and whose they are over time.

A group goes on as long as its tracks do not go over to another group; tracks that begin or end do not matter. What goes
on without a break is a segment. Segments are linked into people in turn: by the tracks that they share, and by the way
people go, for where two cross, the trackers of several views may exchange them at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby, pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.results import Array

REACH_M = 0.5  # from where somebody was to where somebody is, for the same person
AHEAD_S = 0.3  # a difference in velocity counts as what it makes in this time
SPEED = 1.5  # m/s: by which the reach grows while nobody sees the person
PLACE = 1.9  # what going the same way counts, in tracks; going another way as much against
MEET_M = 0.1  # rays through one torso that are farther from its middle are of several people
MEMORY_S = 2.0  # so long a way is remembered
LONG_S = 0.25  # shorter segments belong to what is before and after them
WAY_S = 0.5  # of a segment's begin and end that tells the way
EDGE_S = 0.15  # of that the outermost, which may still be another's


@dataclass
class _Rows:
    """N rows of tracks over T frames."""

    nodes: Array  # (N,T) int: the track in each row, -1 none
    view: Array  # (N,) int
    eyes: Array  # (N,T,3) m
    middles: Array  # (N,T,3) unit: the ray through each row's torso
    times: Array  # (T,) s

    def names(self, group: Array, frame: int) -> set[tuple[int, int]]:
        """(view, track) of rows in a frame."""
        return {(int(self.view[n]), int(self.nodes[n, frame])) for n in group}


@dataclass
class _Segment:
    parts: list[tuple[int, int, Array]] = field(default_factory=list)  # begin, end, rows

    @property
    def begin(self) -> int:
        return self.parts[0][0]

    @property
    def end(self) -> int:
        return self.parts[-1][1]


@dataclass
class _Person:
    way: Array | None = None  # (2,3) m and m/s: the torso's place at `at`, and velocity
    at: float = -np.inf  # s
    end: int = 0  # frame up to which the person is somewhere


def follow(odds: Array, nodes: Array, view: Array, eyes: Array, middles: Array, times: Array) -> Array:
    """(N,T) int: the person of every row of tracks, -1 where it holds none or nobody known.

    Args:
        odds: (T,N,N) log-odds that two rows are one person.
        nodes: (N,T) int: the track in each row, -1 none.
        view: (N,) int: the rows' views.
        eyes, middles: (N,T,3) m and unit: the ray through each row's torso.
        times: (T,) s.
    """
    rows = _Rows(nodes, view, eyes, middles, times)
    persons = np.full(nodes.shape, -1)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    least = min(LONG_S, 0.5 * len(times) * step)
    segments = _segments(rows, odds)
    long = [s for s in segments if (s.end - s.begin) * step >= least]
    _link(rows, persons, long)
    for segment in (s for s in segments if (s.end - s.begin) * step < least):
        _between(rows, persons, segment)
    _without_strays(rows, persons)
    return persons


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


def _segments(rows: _Rows, odds: Array) -> list[_Segment]:
    """In the order of their beginnings."""
    out: list[_Segment] = []
    before: list[tuple[set[tuple[int, int]], _Segment]] = []
    for begin, end in _stretches(odds, rows.nodes):
        there = np.flatnonzero(rows.nodes[:, begin] >= 0)
        mean = odds[begin:end].mean(axis=0)[np.ix_(there, there)]
        groups = [there[g] for g in grouped(mean, rows.view[there])]
        names = [rows.names(g, begin) for g in groups]
        everybody = set().union(*names)
        now = []
        for group, mine in zip(groups, names, strict=True):
            touched = [(theirs, segment) for theirs, segment in before if theirs & mine]
            if len(touched) == 1 and touched[0][0] & everybody <= mine:
                segment = touched[0][1]
            else:
                segment = _Segment()
                out.append(segment)
            segment.parts.append((begin, end, group))
            now.append((mine, segment))
        before = now
    return out


def _stretches(odds: Array, nodes: Array) -> list[tuple[int, int]]:
    """[begin, end) of frames with the same tracks that agree and disagree in the same way."""
    same = (nodes[:, 1:] == nodes[:, :-1]).all(axis=0) & ((odds[1:] > 0) == (odds[:-1] > 0)).all(axis=(1, 2))
    edges = [0, *(np.flatnonzero(~same) + 1).tolist(), nodes.shape[1]]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _link(rows: _Rows, persons: Array, segments: list[_Segment]) -> None:
    """Segments go to the people who are nowhere else when they begin, or to new ones."""
    known: list[_Person] = []
    owner: dict[tuple[int, int], int] = {}
    for begin, here in groupby(segments, key=lambda s: s.begin):
        starting = list(here)
        ways = [_ways(rows, segment) for segment in starting]
        wanted = np.full((len(starting), len(known)), -np.inf)
        for g, (segment, way) in enumerate(zip(starting, ways, strict=True)):
            names = set().union(*(rows.names(group, at) for at, _, group in segment.parts))
            for k, person in enumerate(known):
                if person.end <= begin:
                    wanted[g, k] = sum(owner.get(name) == k for name in names) + _same_way(person, way[0])
        for g, k in enumerate(_assigned(wanted, len(known))):
            if k == len(known):
                known.append(_Person())
            known[k].end = starting[g].end
            if (way := ways[g][1]) is not None:
                known[k].way, known[k].at = way
            for at, end, group in starting[g].parts:
                persons[group, at:end] = k
                owner |= dict.fromkeys(rows.names(group, at), k)


def _between(rows: _Rows, persons: Array, segment: _Segment) -> None:
    """A short segment is whose its tracks are before and after, the nearer the more; or nobody's."""
    votes: dict[int, float] = {}
    begin, end, group = segment.parts[0]
    for n in group:
        own = np.flatnonzero((rows.nodes[n] == rows.nodes[n, begin]) & (persons[n] >= 0))
        at = int(np.searchsorted(own, begin))
        near = [*((t, begin - t) for t in own[:at][-1:]), *((t, t - end + 2) for t in own[at:][:1])]
        for t, gap in near:
            votes[int(persons[n, t])] = votes.get(int(persons[n, t]), 0.0) + 1 / max(gap, 1)
    for k in sorted(votes, key=lambda k: -votes[k]):
        taken = (
            np.isin(rows.view, rows.view[rest]) & (persons[:, a:b] == k).any(axis=1) for a, b, rest in segment.parts
        )
        if not any(t.any() for t in taken):
            for a, b, rest in segment.parts:
                persons[rest, a:b] = k
            return


def _without_strays(rows: _Rows, persons: Array) -> None:
    """Who is seen by one view alone, by tracks that are mostly somebody else's, is nobody."""
    for k in range(persons.max(initial=-1) + 1):
        mine = persons == k
        at = np.flatnonzero(mine.any(axis=1))
        if len(np.unique(rows.view[at])) != 1:
            continue
        for n in at:
            for track in np.unique(rows.nodes[n, mine[n]]):
                whole = rows.nodes[n] == track
                if 2 * (mine[n] & whole).sum() < (whole & (persons[n] >= 0)).sum():
                    persons[n, mine[n] & whole] = -1


def _same_way(person: _Person, way: tuple[Array, float] | None) -> float:
    """From -PLACE, somewhere else or another way, to PLACE; 0 where one of them is unknown or it is too long ago."""
    if person.way is None or way is None or way[1] - person.at > MEMORY_S:
        return 0.0
    gap = max(way[1] - person.at, 0.0)
    (place, pace), (there, other) = person.way, way[0]
    off = np.linalg.norm(place + gap * (pace + other) / 2 - there) + AHEAD_S * np.linalg.norm(pace - other)
    return PLACE * float(np.clip(1 - off / (REACH_M + SPEED * gap), -1, 1))


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


def _ways(rows: _Rows, segment: _Segment) -> list[tuple[Array, float] | None]:
    """The way soon after the segment's begin and short of its end: ((2,3) m and m/s, s); None if unknown.

    The moments of change themselves are not sure to a few frames.
    """
    places = np.concatenate([_places(rows.eyes[g, a:b], rows.middles[g, a:b]) for a, b, g in segment.parts])
    times = rows.times[segment.begin : segment.end]
    known = np.isfinite(places[:, 0])
    inner = known & (times >= times[0] + EDGE_S) & (times <= times[-1] - EDGE_S)
    known = inner if inner.any() else known
    if not known.any():
        return [None, None]
    out: list[tuple[Array, float] | None] = []
    for at in (times[known][0], times[known][-1]):
        near = known & (np.abs(times - at) <= WAY_S)
        if np.ptp(times[near]) < LONG_S / 2:
            out.append((np.stack([np.median(places[near], axis=0), np.zeros(3)]), float(at)))
        else:
            out.append((np.polyfit(times[near] - at, places[near], 1)[::-1], float(at)))
    return out


def _places(eyes: Array, middles: Array) -> Array:
    """(T,3) m: where rays (N,T,3) meet, NaN where fewer than two are known or they do not meet."""
    known = np.isfinite(middles[..., 0])
    along = np.where(known[..., None], middles, 0.0)
    across = known[..., None, None] * np.eye(3) - along[..., :, None] * along[..., None, :]
    enough = known.sum(axis=0) >= 2
    normal = np.where(enough[:, None, None], across.sum(axis=0) + 1e-9 * np.eye(3), np.eye(3))
    right = (across @ eyes[..., None]).sum(axis=0)
    places = np.linalg.solve(normal, right)[..., 0]
    off = np.linalg.norm((across @ (places - eyes)[..., None])[..., 0], axis=-1).max(axis=0)
    return np.where((enough & (off < MEET_M))[:, None], places, np.nan)
