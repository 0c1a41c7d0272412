"""side_by_side.mp4: the video with its 2D skeletons on the left, a moving 3D view on the right."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from pipeline.files import atomic
from pipeline.results import Array, ClipInfo, Scene
from visualize.draw import LEFT, RIGHT, Color, colors, fill, label, put_digits
from visualize.encode import Film
from visualize.figure import Figures
from visualize.overlay import Overlay
from visualize.view import view_of

_TEXT: Color = (225, 220, 214)
_QUIET: Color = (150, 140, 132)
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
    still = next(pictures)
    height, width = still.shape[:2]
    try:
        with atomic(path) as temporary, Film(temporary, (width, height), info.times, info.fps) as film:
            for done, picture in enumerate(itertools.chain([still], pictures), 1):
                film.add(picture)
                if progress:
                    progress(done)
    finally:
        pictures.close()
    if len(info.times) == 1:
        _write_still(still, path.with_suffix(".png"))


def side_by_side(scene: Scene, clip: Frames, panel_height: int = 720) -> Iterator[Array]:
    """The film's frames, (H,W,3) uint8 BGR, each an array of its own."""
    height = panel_height // 2 * 2
    inner, left = _video_panel(scene.clip, height)
    canvas_size = (left + height, height)
    figures = Figures(scene, view_of(scene, (height, height)))
    overlay, legend = Overlay(scene, inner), _Legend(scene, height)
    x, y = (left - inner[0]) // 2, (height - inner[1]) // 2
    frames = clip.frames(0, None, inner)
    try:
        for index, (picture, panel) in enumerate(zip(frames, figures.panels(), strict=True)):
            canvas = np.empty((canvas_size[1], canvas_size[0], 3), np.uint8)
            if inner != (left, height):
                canvas[:, :left] = 0
            canvas[y : y + inner[1], x : x + inner[0]] = picture
            overlay.draw(canvas[y : y + inner[1], x : x + inner[0]], index)
            legend.draw(panel, scene.clip.times[index])
            canvas[:, left:] = panel
            yield canvas
    finally:
        close = getattr(frames, "close", None)
        if close:
            close()


def _video_panel(info: ClipInfo, height: int) -> tuple[tuple[int, int], int]:
    """Even size of the video's picture, and the width of its panel."""
    scale = min(height / info.height, _WIDEST * height / info.width)
    width, height = (max(2, 2 * round(side * scale / 2)) for side in (info.width, info.height))
    return (width, height), width


class _Legend:
    """Time, what the colours mean, and the size of the grid."""

    def __init__(self, scene: Scene, height: int) -> None:
        self._size = max(9, round(height / 36))
        self._margin = round(height / 30)
        self._people = len(scene.people)
        self._texts = [label("left", self._small, 400), label("right", self._small, 400)]

    @property
    def _small(self) -> int:
        return max(8, round(self._size * 0.8))

    def draw(self, panel: Array, time: float) -> None:
        margin, size = self._margin, self._size
        put_digits(panel, f"{int(time // 60)}:{time % 60:06.3f}", margin, margin, size, _TEXT)
        bottom = panel.shape[0] - margin - self._small
        label("grid 1 m", self._small).put(panel, margin, bottom, _QUIET)
        if not self._people:
            nobody = label("nobody was found", size)
            nobody.put(panel, (panel.shape[1] - nobody.mask.shape[1]) // 2, panel.shape[0] // 3, _QUIET)
            return
        x = panel.shape[1] - margin
        for text, side in ((self._texts[1], RIGHT), (self._texts[0], LEFT)):
            x -= text.mask.shape[1]
            text.put(panel, x, bottom, _QUIET)
            for person in reversed(range(min(self._people, 4))):
                x -= round(self._small * 0.8)
                center = x + self._small * 0.3, bottom + self._small * 0.75
                _dot(panel, center, self._small * 0.3, colors(person)[side])
            x -= self._small


def _dot(canvas: Array, center: tuple[float, float], radius: float, color: Color) -> None:
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.array(center) + radius * np.stack([np.cos(angle), np.sin(angle)], -1)
    fill(canvas, (ring * 16).round().astype(np.int32), color)


def _write_still(picture: Array, path: Path) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
