"""Films of evaluated sequences: the 2D that was lifted, what came of it, and the truth, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.files import atomic
from pipeline.results import Array, Camera, ClipInfo, Motion3D, Scene, Track2D
from visualize.draw import Color, Patch, label, put_digits
from visualize.encode import Film
from visualize.figure import Figures
from visualize.film import WIDEST
from visualize.gif import write_pictures
from visualize.legend import QUIET, TEXT, clock, sides
from visualize.overlay import Overlay
from visualize.tiles import arranged
from visualize.view import view_of

Footage = Callable[[tuple[int, int]], Iterator[Array]]  # size px -> the frames' pictures, (H,W,3) uint8 BGR
_GROUND: Color = (44, 36, 31)  # of the 2D where there is no video
_BORDER: Color = (20, 16, 13)  # between the panels


@dataclass(frozen=True)
class Comparison:
    """One person: T frames of 2D and as many of each 3D, in the world."""

    name: str
    clip: ClipInfo  # size of the picture that the 2D lies in; times and rate of the film
    camera: Camera
    track: Track2D
    motions: dict[str, Motion3D]  # by title; what was lifted comes first
    errors: Array  # (T,) mm of what was lifted, NaN where unknown or where no frame counts


def write_comparison(shown: Comparison, path: Path, size: int = 540, footage: Footage | None = None) -> None:
    """Write an MP4, or, where `path` ends so, a GIF of at most 15 frames per second.

    Args:
        size: px, height of the film and width of each 3D view.
        footage: the video; none: the 2D is drawn on a plain ground.

    Raises:
        OutputError: no permission, no space.
    """
    panels = _Panels(shown, size // 2 * 2, footage)
    times = np.asarray(shown.clip.times)
    if path.suffix.lower() == ".gif":
        write_pictures(panels.draw, times, path, len(shown.motions))
        return
    with atomic(path) as temporary, Film(temporary, panels.size, times, shown.clip.fps) as film:
        for picture in panels.draw(np.arange(len(times))):
            film.add(picture)


def _close_up(clip: ClipInfo, track: Track2D) -> tuple[ClipInfo, Track2D]:
    """A square of the picture around all of the 2D, where nothing else is to be seen in it."""
    points = track.keypoints.reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return clip, track
    low, high = points.min(axis=0), points.max(axis=0)
    side = max(16, round(1.25 * float((high - low).max())))
    corner = (low + high - side) / 2
    return replace(clip, width=side, height=side), replace(track, keypoints=track.keypoints - corner)


def _plain(frames: int) -> Footage:
    return lambda size: (ground for ground in [np.full((size[1], size[0], 3), _GROUND, np.uint8)] * frames)


class _Panels:
    """Draws frames of the film; `size` is its width and height in px."""

    def __init__(self, shown: Comparison, height: int, footage: Footage | None) -> None:
        clip, track = (shown.clip, shown.track) if footage else _close_up(shown.clip, shown.track)
        (place,), self._left = arranged([(clip.width, clip.height)], height, WIDEST)
        self._inner = place.size
        self.size = self._left + height * len(shown.motions), height
        self._shown, self._footage = shown, footage or _plain(len(clip.times))
        self._overlay = Overlay(Scene(clip, shown.camera, [track], []), self._inner, named=False)
        people = Scene(clip, shown.camera, [], list(shown.motions.values()))
        view = view_of(people, (height, height))
        self._figures = [
            Figures(replace(people, people=[motion]), view, first=number, named=False)
            for number, motion in enumerate(shown.motions.values())
        ]
        self._text, self._margin = max(10, round(height / 32)), round(height / 30)
        self._below = self._margin + round(1.6 * self._text)
        self._words = list(self._still())

    def _still(self) -> Iterator[tuple[Patch, int, int]]:
        """The words that stay, and where: titles above, below whose it is and what lines and colours mean."""
        height, small = self.size[1], max(9, round(self._text * 0.75))
        bottom = height - self._margin - small
        yield label("2D", self._text, TEXT, 600, _BORDER), self._margin, self._margin
        yield label(self._shown.name, small, TEXT, 400, _BORDER), self._margin, bottom
        for number, title in enumerate(self._shown.motions):
            left = self._left + height * number
            yield label(title, self._text, TEXT, 600), left + self._margin, self._margin
            yield label(f"grid {self._figures[number].grid_m} m", small, QUIET), left + self._margin, bottom
            colours = sides(1, small, number)
            yield colours, left + height - self._margin - colours.size[0], bottom

    def draw(self, frames: Array) -> Iterator[Array]:
        """Pictures of the frames, rising; each is drawn over when the next is asked for."""
        canvas = np.full((self.size[1], self.size[0], 3), _GROUND, np.uint8)
        wanted = {int(frame) for frame in frames}
        with closing(self._footage(self._inner)) as pictures:
            for frame, picture in enumerate(pictures):
                if frame in wanted:
                    self._frame(canvas, frame, picture)
                    yield canvas
                if frame >= frames[-1]:
                    return

    def _frame(self, canvas: Array, frame: int, picture: Array) -> None:
        height, (wide, high) = self.size[1], self._inner
        top = (height - high) // 2
        given = canvas[top : top + high, :wide]
        given[:] = picture
        self._overlay.draw(given, frame)
        for number, figures in enumerate(self._figures):
            left = self._left + number * height
            figures.draw(canvas[:, left : left + height], frame)
            canvas[:, left - 1 : left + 1] = _BORDER
        for patch, x, y in self._words:
            patch.put(canvas, x, y)
        put_digits(canvas, self._figure(frame), self._left + self._margin, self._below, self._text, QUIET)

    def _figure(self, frame: int) -> str:
        """The time and, where it is known, how wrong that frame is."""
        time, error = clock(self._shown.clip.times[frame]), self._shown.errors[frame]
        return f"{time}   {error:.0f} mm" if np.isfinite(error) else time
