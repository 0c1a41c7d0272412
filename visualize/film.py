"""side_by_side.mp4: the video with its 2D skeletons on the left, a moving 3D view on the right."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from pipeline.files import atomic
from pipeline.memory import give_back
from pipeline.results import Array, ClipInfo, Scene
from visualize.draw import label, put_digits
from visualize.encode import Film
from visualize.figure import Figures
from visualize.legend import QUIET, TEXT, clock, sides
from visualize.overlay import Overlay
from visualize.view import view_of

_WIDEST = 1.9  # of the video panel, in panel heights


class Frames(Protocol):
    """What a film needs of a clip."""

    info: ClipInfo

    def frames(self, start: int, stop: int | None, size: tuple[int, int]) -> Iterator[Array]: ...


def write_film(
    scene: Scene,
    clip: Frames,
    path: str | Path,
    progress: Callable[[int], None] | None = None,
    panel_height: int = 720,
) -> None:
    """Write the film with the clip's own frame times; of a single picture also `<name>.png` beside it.

    Args:
        progress: called with the number of frames done.
        panel_height: px.

    Raises:
        OutputError: no permission, no space.
        InputError: the clip can no longer be read.
    """
    path, info = Path(path), clip.info
    pictures = side_by_side(scene, clip, panel_height)
    first = next(pictures)
    height, width = first.shape[:2]
    still = first.copy()
    try:
        with atomic(path) as temporary, Film(temporary, (width, height), info.times, info.fps) as film:
            for done, picture in enumerate(itertools.chain([first], pictures), 1):
                film.add(picture)
                if progress:
                    progress(done)
    finally:
        pictures.close()
    if len(info.times) == 1:
        _write_still(still, path.with_suffix(".png"))


def side_by_side(scene: Scene, clip: Frames, panel_height: int = 720) -> Iterator[Array]:
    """The film's frames, (H,W,3) uint8 BGR; each is drawn over when the next is asked for."""
    height = panel_height // 2 * 2
    inner, left = video_panel(scene.clip, height)
    figures = Figures(scene, view_of(scene, (height, height)))
    overlay, legend = Overlay(scene, inner), _Legend(scene, height, figures.grid_m)
    give_back()  # what the view was found with; the threads that follow could not use it
    canvas = np.zeros((height, left + height, 3), np.uint8)
    y = (height - inner[1]) // 2
    video, panel = canvas[y : y + inner[1], :left], canvas[:, left:]
    frames = clip.frames(0, None, inner)
    try:
        for index, (picture, time) in enumerate(zip(frames, scene.clip.times, strict=True)):
            video[:] = picture
            overlay.draw(video, index)
            figures.draw(panel, index)
            legend.draw(panel, time)
            yield canvas
    finally:
        close = getattr(frames, "close", None)
        if close:
            close()


def video_panel(info: ClipInfo, height: int) -> tuple[tuple[int, int], int]:
    """Even size of the video's picture, and the width of its panel."""
    scale = min(height / info.height, _WIDEST * height / info.width)
    width, height = (max(2, 2 * round(side * scale / 2)) for side in (info.width, info.height))
    return (width, height), width


class _Legend:
    """Time, what the colours mean, and the size of the grid."""

    def __init__(self, scene: Scene, height: int, grid_m: int) -> None:
        self._size = max(9, round(height / 36))
        self._margin = round(height / 30)
        small = max(8, round(self._size * 0.8))
        bottom = height - self._margin - small
        self._still = [(label(f"grid {grid_m} m", small, QUIET), self._margin, bottom)]
        if scene.people:
            colours = sides(min(len(scene.people), 4), small)
            self._still.append((colours, height - self._margin - colours.size[0], bottom))
        else:
            nobody = label("nobody was found", self._size, QUIET)
            self._still.append((nobody, (height - nobody.size[0]) // 2, height // 3))

    def draw(self, panel: Array, time: float) -> None:
        put_digits(panel, clock(time), self._margin, self._margin, self._size, TEXT)
        for patch, x, y in self._still:
            patch.put(panel, x, y)


def _write_still(picture: Array, path: Path) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
