"""Has every view its own camera? Where cameras of a rig are exchanged, rays meet better in another order.

What two views see is tried under every two cameras of the rig, and the order is sought in which most meets. A rig that
looks alike from several sides leaves nothing to tell, and its order stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations, permutations

import numpy as np

from multiview.associate import Slots, evidence, slots
from pipeline.results import Camera, Track2D

MOMENTS = 60  # of the scene that are looked at
BETTER = 1.5  # times as much must meet in another order,
MOSTLY = 0.3  # and so large a share of all that could meet at best
MOST_CAMERAS = 6  # of which all orders are tried: 720


def better_order(cameras: Sequence[Camera], tracks: Sequence[Sequence[Track2D]], times: int) -> list[int] | None:
    """(V,) the index of the camera that each view fits; None where nothing speaks against the given order.

    Args:
        cameras: one per view; of moving ones nothing is said.
        tracks: of each view, their `frames` count the scene's `times`.
    """
    views = range(len(cameras))
    if any(np.ndim(camera.camera_to_world) != 2 for camera in cameras):
        return None
    seen = [_moments(view, times) for view in tracks]
    under = cache(lambda view, camera: _under(cameras[camera], cameras[view], seen[view]))
    meeting = cache(lambda a, b, i, j: _meeting(under(a, i), under(b, j)))

    def total(order: Sequence[int]) -> float:
        return sum(meeting(a, b, order[a], order[b]) for a, b in combinations(views, 2))

    count = [(under(v, v).track >= 0).sum(axis=0) for v in views]
    most = sum(int(np.minimum(count[a], count[b]).sum()) for a, b in combinations(views, 2))
    bound = sum(int(count[a].sum()) for a, b in combinations(views, 2))  # evidence is 1 at most
    least = max(BETTER * total(views), MOSTLY * most)
    if least >= bound:
        return None
    found = max(_orders(len(cameras)), key=total)
    return list(found) if total(found) > least else None


def _moments(tracks: Sequence[Track2D], times: int) -> list[Track2D]:
    """The tracks at MOMENTS of the times, which their frames count then."""
    at, few = np.unique(np.linspace(0, times - 1, MOMENTS).astype(int)), []
    for track in tracks:
        rows = np.isin(track.frames, at)
        frames = np.searchsorted(at, track.frames[rows])
        few.append(replace(track, frames=frames, keypoints=track.keypoints[rows], scores=track.scores[rows]))
    return few


def _under(camera: Camera, own: Camera, tracks: Sequence[Track2D]) -> Slots:
    """What a view saw, seen with another camera of the rig; its picture may have another size."""
    ratio = np.array(camera.size) / np.array(own.size)
    return slots(camera, [replace(track, keypoints=track.keypoints * ratio) for track in tracks], MOMENTS)


def _meeting(a: Slots, b: Slots) -> float:
    """Sum over time of what speaks for somebody in the one view being somebody in the other."""
    if not len(a.track) or not len(b.track):
        return 0.0
    return float(np.maximum(evidence(a, b).max(axis=2), 0).sum())


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    """All orders of so many cameras; of many cameras those in which two are exchanged."""
    if count <= MOST_CAMERAS:
        yield from permutations(range(count))
        return
    for a, b in combinations(range(count), 2):
        yield tuple({a: b, b: a}.get(v, v) for v in range(count))
