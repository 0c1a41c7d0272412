"""The pictures of a view at the scene's times: its own nearest frames, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from pipeline.results import Array, ClipInfo, View


class Frames(Protocol):
    """What a film needs of a clip."""

    info: ClipInfo

    def frames(self, start: int, stop: int | None, size: tuple[int, int]) -> Iterator[Array]: ...


def own_frames(view: View, times: Array) -> tuple[Array, Array]:
    """(T,) the view's frame nearest to each time (T,) s of the scene, and (T,) bool: was it filming then?

    Before it began that is its first frame, after it ended its last.
    """
    own = (np.asarray(times) - view.camera.offset_s) / view.camera.rate
    clock = np.asarray(view.clip.times)
    after = np.clip(np.searchsorted(clock, own), 1, max(1, len(clock) - 1))
    nearest = after - (own - clock[after - 1] <= clock[np.minimum(after, len(clock) - 1)] - own)
    lasting = 1 / view.clip.fps
    return np.minimum(nearest, len(clock) - 1), (own > clock[0] - lasting) & (own < clock[-1] + lasting)


def pictures_at(clip: Frames, wanted: Array, size: tuple[int, int]) -> Iterator[Array]:
    """The clip's frames `wanted` (T,), which never fall, as (H,W,3) uint8 BGR of `size`; one is held at a time."""
    first = int(wanted[0])
    frames = clip.frames(first, int(wanted[-1]) + 1, size)
    try:
        for picture, shown in zip(frames, np.bincount(wanted - first).tolist(), strict=True):
            for _ in range(shown):
                yield picture
    finally:
        if close := getattr(frames, "close", None):
            close()
