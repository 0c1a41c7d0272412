"""side_by_side.mp4: the video with its 2D skeletons on the left, a moving 3D view on the right.

Of several cameras the left side holds all their pictures, each with the 3D skeletons projected back into it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import cv2
import numpy as np

from pipeline.files import atomic
from pipeline.memory import give_back
from pipeline.results import Array, Scene, View
from visualize.draw import label, put_digits
from visualize.encode import Film
from visualize.figure import Figures
from visualize.footage import Frames, own_frames, pictures_at
from visualize.legend import QUIET, TEXT, clock, sides, skeletons
from visualize.overlay import Overlay
from visualize.reprojection import INK, Reprojection
from visualize.tiles import SCREEN, Place, arranged
from visualize.view import view_of

WIDEST = 1.9  # of the video's panel, in panel heights
_WIDEST_RIG = 1.6  # the same of several videos' panel
_NARROW_VIEW, _WIDE_VIEW = 1.0, 1.4  # of the 3D view beside them, which takes what they leave of the screen
_LOWEST, _HIGHEST, _WIDTH = 720, 1080, 1920  # px of a film of several: as high as this width allows, within limits
_BORDER = (20, 16, 13)  # between pictures
_BOLD = 1.5  # of the 2D skeletons in small pictures
_DIMMED = 0.3  # of the light of a picture whose camera is not filming


def write_film(
    scene: Scene,
    clips: Frames | Sequence[Frames],
    path: str | Path,
    progress: Callable[[int], None] | None = None,
    panel_height: int | None = None,
) -> None:
    """Write the film with the scene's own frame times; of a single picture also `<name>.png` beside it.

    Args:
        clips: the scene's clip; of several views one for each, in their order.
        progress: called with the number of frames done.
        panel_height: px; None: 720, or what suits several views.

    Raises:
        OutputError: no permission, no space.
        InputError: a clip can no longer be read.
    """
    path, times = Path(path), scene.clip.times
    pictures = side_by_side(scene, clips, panel_height)
    first = next(pictures)
    height, width = first.shape[:2]
    still = first.copy()
    try:
        with atomic(path) as temporary, Film(temporary, (width, height), times, scene.clip.fps) as film:
            for done, picture in enumerate(itertools.chain([first], pictures), 1):
                film.add(picture)
                if progress:
                    progress(done)
    finally:
        pictures.close()
    if len(times) == 1:
        _write_still(still, path.with_suffix(".png"))


def side_by_side(scene: Scene, clips: Frames | Sequence[Frames], panel_height: int | None = None) -> Iterator[Array]:
    """The film's frames, (H,W,3) uint8 BGR; each is drawn over when the next is asked for."""
    views = scene.views or (View(scene.clip, scene.camera, scene.tracks),)
    clips = clips if isinstance(clips, Sequence) else (clips,)
    height, places, left, wide = _panels(views, panel_height)
    figures = Figures(scene, view_of(scene, (wide, height)))
    legend = _Legend(scene, (wide, height), figures.grid_m)
    tiles = [_Tile(scene, view, place, height) for view, place in zip(views, places, strict=True)]
    give_back()  # what the view was found with; the threads that follow could not use it
    canvas = np.empty((height, left + wide, 3), np.uint8)
    canvas[:] = _BORDER if scene.views else 0
    panel = canvas[:, left:]
    with ExitStack() as opened:
        pictures = [
            opened.enter_context(closing(pictures_at(clip, tile.frames, tile.place.size)))
            for clip, tile in zip(clips, tiles, strict=True)
        ]
        for index, (time, *shown) in enumerate(zip(scene.clip.times, *pictures, strict=True)):
            for tile, picture in zip(tiles, shown, strict=True):
                tile.draw(canvas, index, picture)
            figures.draw(panel, index)
            legend.draw(panel, time)
            yield canvas


def _panels(views: Sequence[View], height: int | None) -> tuple[int, list[Place], int, int]:
    """The film's height, where the pictures go, and the widths of their panel and of the 3D view, all in px."""
    sizes = [(view.clip.width, view.clip.height) for view in views]
    if len(views) == 1:
        height = (height or _LOWEST) // 2 * 2
        return height, *arranged(sizes, height, WIDEST), height
    left = arranged(sizes, 1000, _WIDEST_RIG, _NARROW_VIEW)[1] / 1000
    beside = float(np.clip(SCREEN - left, _NARROW_VIEW, _WIDE_VIEW))
    if height is None:
        height = int(np.clip(_WIDTH / (left + beside), _LOWEST, _HIGHEST))
    height = height // 2 * 2
    return height, *arranged(sizes, height, _WIDEST_RIG, _NARROW_VIEW), 2 * round(height * beside / 2)


class _Tile:
    """One view's picture at its place in the film: what was found in it and, beside other views, what came of it."""

    def __init__(self, scene: Scene, view: View, place: Place, height: int) -> None:
        """`height`: of the film, px."""
        self.place = place
        self.frames, self._filming = own_frames(view, scene.clip.times)
        self._overlay = Overlay(view, place.size, bold=_BOLD if scene.views else 1.0)
        self._again = Reprojection(scene.people, view, place.size) if scene.views else None
        size = max(11, round(height / 48))
        self._name = label(view.name, size, TEXT, 600, INK) if scene.views else None
        self._margin = round(0.6 * size)

    def draw(self, canvas: Array, index: int, picture: Array) -> None:
        """Put the view's picture at the scene's frame `index`, dimmed and without people when it was not filming."""
        part = self.place.of(canvas)
        if self._filming[index]:
            part[:] = picture
            if self._again:
                self._again.draw(part, index, under=True)
            self._overlay.draw(part, index)
            if self._again:
                self._again.draw(part, index)
        else:
            cv2.convertScaleAbs(picture, part, _DIMMED)
        if self._name:
            self._name.put(part, self._margin, self._margin)


class _Legend:
    """Time, what the colours mean, and the size of the grid."""

    def __init__(self, scene: Scene, size: tuple[int, int], grid_m: int) -> None:
        width, height = size
        self._size = max(9, round(height / 36))
        self._margin = round(height / 30)
        small = max(8, round(self._size * 0.8))
        bottom = height - self._margin - small
        self._still = [(label(f"grid {grid_m} m", small, QUIET), self._margin, bottom)]
        if scene.people:
            colours = sides(min(len(scene.people), 4), small)
            self._still.append((colours, width - self._margin - colours.size[0], bottom))
            if scene.views:
                self._still.append((skeletons(small), self._margin, bottom - 2 * small))
        else:
            nobody = label("nobody was found", self._size, QUIET)
            self._still.append((nobody, (width - nobody.size[0]) // 2, height // 3))

    def draw(self, panel: Array, time: float) -> None:
        put_digits(panel, clock(time), self._margin, self._margin, self._size, TEXT)
        for patch, x, y in self._still:
            patch.put(panel, x, y)


def _write_still(picture: Array, path: Path) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
