"""Who is who across views with known cameras: the tracks of every view -> the people of the scene.

1. In every frame two tracks of different views speak for or against being one person by how far the rays of their
   joints pass each other.
2. Over time that is a chain of two states, same or not, which seldom changes (a tracker's mistake): forwards and
   backwards (Rabiner 1989) give each frame's log-odds with evidence from both sides.
3. In every stretch of frames where these signs stay, tracks are grouped: the two groups that most speak for each other
   are joined first, a group holds at most one track of a view, and all of its pairs count (correlation clustering), so
   groups are consistent in cycles.
4. Groups are followed over time by the tracks that they share and by their place (identities.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from multiview.identities import follow
from multiview.sides import ray_distance, world_rays
from pipeline.projection import centre
from pipeline.results import Array, Camera, Track2D
from pipeline.skeletons import skeleton

CORE = tuple(f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
             for side in ("left", "right"))  # fmt: skip
NEAR_M = 0.12  # rays of one joint that pass each other at this distance speak neither for nor against
RATE = 20.0  # log-odds per second of rays that meet
CHANGE = 0.02  # per second: chance that a tracker exchanges people
PRIOR = -1.0  # log-odds that two tracks are one person before anything is seen
LEAST_JOINTS = 3.0  # evidence of fewer joints counts less
AT_ONCE = 256  # frames


@dataclass(frozen=True)
class People:
    """P people of a scene, those seen most first. A person seen by one view alone is a person too."""

    owners: tuple[tuple[Array, ...], ...]  # [view][track] (T of the track,) int: whose it is in each of its frames
    seen: Array  # (P,V) int: frames in which the person has a track

    def __len__(self) -> int:
        return len(self.seen)


@dataclass(frozen=True)
class Slots:
    """The tracks of one view in M rows without overlap, M as many as there are at one time."""

    track: Array  # (M,T) int: index of the track, -1 none
    directions: Array  # (M,T,J,3) unit, world; NaN where unseen
    scores: Array  # (M,T,J)
    eye: Array  # (1,1,3) or (T,1,3) m


def associate(cameras: Sequence[Camera], tracks: Sequence[Sequence[Track2D]], times: Array) -> People:
    """Tracks of V views, whose `frames` count the scene's `times` (T,) s -> people.

    A track may be part of a person's, and change its owner in the middle.

    Raises:
        ValueError: not one camera per view, or a track beyond the times.
    """
    if len(cameras) != len(tracks):
        raise ValueError(f"{len(cameras)} cameras for tracks of {len(tracks)} views")
    if any(len(track) and track.frames[-1] >= len(times) for view in tracks for track in view):
        raise ValueError(f"a track goes beyond the {len(times)} times of the scene")
    rows = [slots(c, t, len(times)) for c, t in zip(cameras, tracks, strict=True)]
    first = np.cumsum([0, *(len(r.track) for r in rows)])
    nodes = np.concatenate([r.track for r in rows])  # (N,T)
    view = np.repeat(np.arange(len(rows)), np.diff(first))
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1 / 30
    odds = np.zeros((len(times), len(nodes), len(nodes)), np.float32)
    for a, b in combinations(range(len(rows)), 2):
        here = smoothed(evidence(rows[a], rows[b]) * RATE * step, _starts(rows[a].track, rows[b].track), step)
        odds[:, first[a] : first[a + 1], first[b] : first[b + 1]] = here
        odds[:, first[b] : first[b + 1], first[a] : first[a + 1]] = np.swapaxes(here, 1, 2)
    centres = np.concatenate([_middle(r) for r in rows])
    eyes = np.concatenate([np.broadcast_to(r.eye[:, 0], (len(r.track), len(times), 3)) for r in rows])
    persons = follow(odds, nodes, view, eyes, centres, np.asarray(times, float))
    return _people(persons, nodes, view, tracks)


def slots(camera: Camera, tracks: Sequence[Track2D], times: int) -> Slots:
    """The tracks of one view, whose `frames` count a scene's times, of which there are `times`."""
    rows: list[int] = []  # the frame from which on each row is free
    row_of = {}
    for k in sorted(range(len(tracks)), key=lambda k: int(tracks[k].frames[0]) if len(tracks[k]) else 0):
        if not len(tracks[k]):
            continue
        row = next((r for r, free in enumerate(rows) if free <= tracks[k].frames[0]), len(rows))
        rows[row:] = [int(tracks[k].frames[-1]) + 1, *rows[row + 1 :]]
        row_of[k] = row
    joints = len(CORE)
    track = np.full((len(rows), times), -1)
    keypoints = np.full((len(rows), times, joints, 2), np.nan)
    scores = np.zeros((len(rows), times, joints))
    for k, row in row_of.items():
        core = skeleton(tracks[k].skeleton).index(*CORE)
        track[row, tracks[k].frames] = k
        keypoints[row, tracks[k].frames] = tracks[k].keypoints[:, core]
        scores[row, tracks[k].frames] = tracks[k].scores[:, core]
    directions = np.stack([world_rays(camera, k) for k in keypoints]) if rows else np.zeros((0, times, joints, 3))
    return Slots(track, directions, np.where(np.isfinite(directions[..., 0]), scores, 0.0),
                 centre(camera).reshape(-1, 1, 3))  # fmt: skip


def evidence(a: Slots, b: Slots) -> Array:
    """(T,Ma,Mb) in [-1,1]: 1 where all rays meet, -1 where none do, 0 where nothing is known."""
    times = a.track.shape[1]
    out = np.zeros((times, len(a.track), len(b.track)), np.float32)
    for begin in range(0, times, AT_ONCE):
        t = slice(begin, begin + AT_ONCE)
        eyes = [s.eye if len(s.eye) == 1 else s.eye[t] for s in (a, b)]
        apart = ray_distance(eyes[0], a.directions[:, None, t], eyes[1], b.directions[None, :, t])
        weights = np.sqrt(a.scores[:, None, t] * b.scores[None, :, t])
        speaks = (weights * (1 - np.fmin(apart / NEAR_M, 2.0))).sum(-1)
        out[t] = np.moveaxis(speaks / np.maximum(weights.sum(-1), LEAST_JOINTS), -1, 0)
    return out


def _starts(a: Array, b: Array) -> Array:
    """(T,Ma,Mb) bool: another pair of tracks than in the frame before."""
    other = [np.concatenate([np.ones((len(s), 1), bool), s[:, 1:] != s[:, :-1]], axis=1).T for s in (a, b)]
    return other[0][:, :, None] | other[1][:, None, :]


def smoothed(evidence: Array, starts: Array, step: float) -> Array:
    """Log-odds (T,...) of `same` from each frame's own, by the frames before and after it up to where it `starts`.

    Args:
        step: s between frames.
    """
    chance = min(CHANGE * step, 0.5)

    def passed(odds: Array) -> Array:
        odds = np.clip(odds, -50, 50)
        return np.logaddexp(odds + np.log1p(-chance), np.log(chance)) - np.logaddexp(
            odds + np.log(chance), np.log1p(-chance)
        )

    forwards, backwards = np.empty_like(evidence), np.zeros_like(evidence)
    last = np.zeros(evidence.shape[1:])
    for t in range(len(evidence)):
        last = evidence[t] + np.where(starts[t], PRIOR, passed(last))
        forwards[t] = last
    for t in range(len(evidence) - 2, -1, -1):
        backwards[t] = np.where(starts[t + 1], 0.0, passed(evidence[t + 1] + backwards[t + 1]))
    return forwards + backwards


def _middle(slots: Slots) -> Array:
    """(M,T,3) unit: the ray through the middle of what is seen of shoulders and hips, NaN where nothing is."""
    torso = [i for i, name in enumerate(CORE) if name.endswith(("shoulder", "hip"))]
    weights = slots.scores[..., torso, None]
    total = np.where(weights > 0, weights * slots.directions[..., torso, :], 0.0).sum(-2)
    length = np.linalg.norm(total, axis=-1, keepdims=True)
    return np.where(length > 0, total / np.maximum(length, 1e-12), np.nan)


def _people(persons: Array, nodes: Array, view: Array, tracks: Sequence[Sequence[Track2D]]) -> People:
    """Renumber the persons (N,T) of the rows by how much is seen of them, and hand them to the tracks."""
    count = int(persons.max(initial=-1)) + 1
    seen = np.zeros((count, len(tracks)), int)
    for person, v in zip(persons, view, strict=True):
        seen[:, v] += np.bincount(person[person >= 0], minlength=count)
    order = np.lexsort((np.arange(count), -seen.sum(axis=1)))
    order = order[seen[order].sum(axis=1) > 0]
    rank = np.full(count + 1, -1)
    rank[order] = np.arange(len(order))
    owners = [[np.full(len(track), -1) for track in view] for view in tracks]
    for row, person, v in zip(nodes, persons, view, strict=True):
        for k in np.unique(row[row >= 0]):
            at = np.flatnonzero(row == k)
            owners[v][k][at - tracks[v][k].frames[0]] = rank[person[at]]
    return People(tuple(map(tuple, owners)), seen[order])
