"""What online trackers share: they see one frame after the other and never look back.

Such a tracker has `update`, which tells who is who in one frame and can be fed from a camera, and `track`, which
updates through a clip and gathers the tracks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import TypeVar

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.results import Array, Detections, Track2D
from trackers.pool import Pool, flatten
from trackers.tracks import as_track, is_long, prominence

FPS = 30.0  # of the clips that the papers' figures per frame are meant for
JUST = 0.005  # s, as containers round the times of frames
T = TypeVar("T")
Frames = Callable[[int, int], Iterator[Array]]


class OnlineTracker(ABC):
    """Base of the trackers that work frame by frame."""

    name: str
    packages: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    keeps_ids = False  # tracks have the ids that `update` gave; else they count from 1 in order of prominence

    @abstractmethod
    def reset(self) -> None:
        """Forget everybody: the next frame is the first of another clip."""

    @abstractmethod
    def update(self, found: Detections, time_s: float, frame: Array | None = None) -> Array:
        """Who is who in the next frame.

        Args:
            found: the people of this frame.
            time_s: of this frame, later than the last one's.
            frame: (H,W,3) uint8 BGR, for trackers that need "frames".

        Returns:
            (P,) int32 from 1 (`given`: as the detector gave them), -1 for who is nobody, or nobody yet. Frames to
            come never change what is returned.

        Raises:
            ValueError: no time has passed since the last frame, or the frame is missing.
        """

    def track(
        self, detections: Sequence[Detections], times: Array, size: tuple[int, int], frames: Frames | None = None
    ) -> list[Track2D]:
        """One track per id that `update` gives over the whole clip, most prominent first, but for ids of a few frames.

        Args:
            detections: one per frame of the clip.
            times: (T,) s of these frames.
            size: (w, h) px of the frames.
            frames: `frames(start, stop)` yields the clip's pictures, (H,W,3) uint8 BGR; read once, one at a time.

        Raises:
            ValueError: not one time per frame, several skeletons, times that do not grow, or frames are missing.
        """
        pool = flatten(detections, times)
        self.reset()
        if pool is None:
            return []
        wanted = frames is not None and "frames" in self.needs
        pictures = frames(0, len(detections)) if wanted else repeat(None, len(detections))
        each = zip(detections, times, pictures, strict=True)
        given = np.concatenate([self.update(found, float(time), frame) for found, time, frame in each])
        return self._gathered(pool, given, times)

    def _gathered(self, pool: Pool, given: Array, times: Array) -> list[Track2D]:
        """The tracks of a whole clip, see `gathered`."""
        return gathered(pool, given, times, self.keeps_ids)


def gathered(pool: Pool, given: Array, times: Array, keep_ids: bool = False) -> list[Track2D]:
    """Rows of a pool with the ids that they were given (N,), -1 none -> a track per id, most prominent first.

    Ids of a few frames are ghosts and left out, unless ids are kept as they are.
    """
    people = [(number, np.flatnonzero(given == number)) for number in np.unique(given[given >= 0])]
    people = [(number, rows) for number, rows in people if keep_ids or is_long(len(rows), times)]
    people.sort(key=lambda person: -prominence(pool, person[1]))
    ids = [int(number) for number, _ in people] if keep_ids else range(1, len(people) + 1)
    return [as_track(pool, rows, number) for number, (_, rows) in zip(ids, people, strict=True)]


class Clock:
    """Time between frames in the papers' unit, a frame of 1/30 s."""

    def __init__(self) -> None:
        self._last: float | None = None

    def step(self, time_s: float) -> float:
        """Since the last frame; 0 for the first one. Raises ValueError when no time has passed."""
        last, self._last = self._last, time_s
        if last is not None and not time_s > last:
            raise ValueError(f"a frame at {time_s:g} s cannot follow one at {last:g} s")
        return 0.0 if last is None else (time_s - last) * FPS


def assign(cost: Array, limit: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of the least total cost, where to leave a row and a column alone costs `limit` together.

    So no pair costs as much as the limit. It is the assignment of a cost matrix that is extended by partners at half
    the limit (Jonker and Volgenant 1987), solved without making the larger matrix.
    """
    gain = np.minimum(cost - limit, 0.0)
    return [(int(r), int(c)) for r, c in zip(*linear_sum_assignment(gain), strict=True) if gain[r, c] < 0]


def pair(targets: Sequence[T], rows: Array, cost: Array, limit: float) -> tuple[list[tuple[T, int]], list[T], Array]:
    """Who is in which of the rows, which (targets, rows) cost that much; the targets and the rows that are left."""
    chosen = assign(cost, limit)
    taken, used = {t for t, _ in chosen}, [r for _, r in chosen]
    left = [target for t, target in enumerate(targets) if t not in taken]
    return [(targets[t], int(rows[r])) for t, r in chosen], left, np.delete(rows, used)
