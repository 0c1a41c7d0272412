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
from visualize.draw import LEFT, RIGHT, Color, Patch, colors, fill, label, letters, put_digits
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
    inner, left = _video_panel(scene.clip, height)
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


def _video_panel(info: ClipInfo, height: int) -> tuple[tuple[int, int], int]:
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
        self._still = [(label(f"grid {grid_m} m", small, _QUIET), self._margin, bottom)]
        if scene.people:
            sides = _sides(min(len(scene.people), 4), small)
            self._still.append((sides, height - self._margin - sides.size[0], bottom))
        else:
            nobody = label("nobody was found", self._size, _QUIET)
            self._still.append((nobody, (height - nobody.size[0]) // 2, height // 3))

    def draw(self, panel: Array, time: float) -> None:
        put_digits(panel, f"{int(time // 60)}:{time % 60:06.3f}", self._margin, self._margin, self._size, _TEXT)
        for patch, x, y in self._still:
            patch.put(panel, x, y)


def _sides(people: int, size: int) -> Patch:
    """Dots in everyone's colours with the words left and right."""
    words = [(letters(text, size), side) for text, side in (("left", LEFT), ("right", RIGHT))]
    step = round(size * 0.8)
    width = sum(word.shape[1] for word, _ in words) + 2 * people * step + size
    mask, tint = np.zeros((*words[0][0].shape[:1], width, 1), np.float32), np.full((1, width, 3), _QUIET, np.float32)
    dots = np.zeros((mask.shape[0], width, 3), np.uint8)
    x = 0
    for word, side in words:
        for person in range(people):
            _dot(dots, (x + size * 0.3, size * 0.75), size * 0.3, (255, 255, 255))
            tint[:, x : x + step] = colors(person)[side]
            x += step
        mask[:, x : x + word.shape[1]] = word
        x += word.shape[1] + size
    return Patch(np.maximum(mask, dots[..., :1] / np.float32(255)), tint)


def _dot(canvas: Array, center: tuple[float, float], radius: float, color: Color) -> None:
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.array(center) + radius * np.stack([np.cos(angle), np.sin(angle)], -1)
    fill(canvas, (ring * 16).round().astype(np.int32), color)


def _write_still(picture: Array, path: Path) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
