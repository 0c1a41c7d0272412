"""The empty stage of the 3D view: sky, a soft disc of floor around the people, and a grid of metres on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.results import Array
from visualize.draw import SHIFT, Color, mixed
from visualize.view import View

BACKGROUND: Color = (30, 24, 20)
_GLOW: Color = (40, 33, 28)
_STAGE: Color = (52, 43, 37)
_LINE: Color = (98, 84, 74)

_RADIUS = 5.0  # m at least
_WIDE = 8.0  # m; a disc of that radius or more gets a grid of 2 m: a finer one would be a web of lines
_RINGS, _INNERMOST = 5, 0.3  # and the radius of the smallest over that of the disc
_CORNERS = 40  # of a ring
_STILL = 2  # decimals of a metre by which the eye may move before the disc is drawn anew: less is not seen
_LEVELS = 6  # of the grid's brightness
_PIECES = 8  # of a line of the grid, each of one brightness
_CHUNK = 32  # poses of the eye whose grid is projected at once
_FAR = 2e4  # px; OpenCV's fixed point overflows somewhere beyond


@dataclass(frozen=True)
class _Grid:
    """The grid in pose `first` of the eye and the following ones."""

    first: int
    lines: Array  # (P,N,2,2) int32, 1/16 px
    level: Array  # (P,N) 1 faintest to _LEVELS, 0 not to be drawn


class Floor:
    """Paints the stage as the eye of a view sees it.

    The disc looks the same from all sides, so it is drawn anew only when the eye comes nearer or goes away; the grid is
    drawn for each pose of the eye.

    Attributes:
        step: m between the lines of the grid.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._radius = max(_RADIUS, 0.75 * float(view.distance.max()))
        self.step = 2 if self._radius >= _WIDE else 1
        self._sky = _sky(view.size)
        self._disc: tuple[tuple[float, float], Array] | None = None  # what it depends on, and the picture
        self._pose, self._held = -1, np.empty_like(self._sky)  # with its grid, of a pose that several frames share
        self._grid: _Grid | None = None
        self._tones = [mixed(_STAGE, _LINE, level / _LEVELS) for level in range(_LEVELS + 1)]
        self._thickness = max(1, round(view.size[1] / 720))

    def paint(self, canvas: Array, frame: int) -> None:
        """Cover the whole canvas, (H,W,3) uint8 BGR, with the stage as seen in that frame."""
        if self._view.hold == 1:
            canvas[:] = self._stage(frame)
            self._lines(canvas, frame)
            return
        if self._pose != frame // self._view.hold:
            self._pose = frame // self._view.hold
            self._held[:] = self._stage(frame)
            self._lines(self._held, frame)
        canvas[:] = self._held

    def _stage(self, frame: int) -> Array:
        """(H,W,3) sky and disc, to be read only."""
        places = self._view.distance[frame], self._view.target[frame, 2]
        needs = round(float(places[0]), _STILL), round(float(places[1]), _STILL)
        if self._disc is None or self._disc[0] != needs:
            picture = self._sky.copy()
            self._rings(picture, frame)
            self._disc = needs, picture
        return self._disc[1]

    def _rings(self, canvas: Array, frame: int) -> None:
        angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
        circle = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], -1)
        radii = self._radius * np.linspace(1, _INNERMOST, _RINGS)
        center = self._view.target[frame] * [1, 1, 0]
        pixels, _ = self._view.project((center + radii[:, None, None] * circle)[None], np.array([frame]))
        for ring, outline in enumerate(pixels[0]):
            if np.isfinite(outline).all():
                tone = mixed(BACKGROUND, _STAGE, (ring + 1) / _RINGS)  # steps too small to need soft edges
                cv2.fillConvexPoly(canvas, (outline * (1 << SHIFT)).round().astype(np.int32), tone, cv2.LINE_8, SHIFT)

    def _lines(self, canvas: Array, frame: int) -> None:
        """The grid's lines, fading towards the rim."""
        pose = frame // self._view.hold
        if self._grid is None or not 0 <= pose - self._grid.first < len(self._grid.lines):
            self._grid = self._project(pose // _CHUNK * _CHUNK)
        lines, level = self._grid.lines[pose - self._grid.first], self._grid.level[pose - self._grid.first]
        for strength in range(1, _LEVELS + 1):
            cv2.polylines(
                canvas, lines[level == strength], False, self._tones[strength], self._thickness, cv2.LINE_AA, SHIFT
            )

    def _project(self, first: int) -> _Grid:
        frames = np.arange(len(self._view.target))[:: self._view.hold][first : first + _CHUNK]
        ends, fade = _segments(self._view.target[frames, :2], self._radius, self.step)
        pixels, _ = self._view.project(ends, frames)
        low, high = np.minimum(pixels[:, :, 0], pixels[:, :, 1]), np.maximum(pixels[:, :, 0], pixels[:, :, 1])
        visible = ((high > 0) & (low < self._view.size) & (low > -_FAR) & (high < _FAR)).all(axis=2)
        lines = np.where(visible[..., None, None], pixels * (1 << SHIFT), 0).round().astype(np.int32)
        return _Grid(first, lines, np.where(visible, np.ceil(fade * _LEVELS), 0).astype(np.int8))


def _sky(size: tuple[int, int]) -> Array:
    """(H,W,3) uint8: the background, a little lighter where floor and wall would meet."""
    width, height = size
    glow = np.exp(-(((np.linspace(0, 1, height) - 0.42) / 0.3) ** 2))[:, None]
    column = np.array(BACKGROUND) + glow * (np.array(_GLOW) - BACKGROUND)
    return np.tile(column.round().astype(np.uint8)[:, None], (1, width, 1))


def _segments(centers: Array, radius: float, step: int) -> tuple[Array, Array]:
    """Pieces of lines `step` m apart inside discs around (F,2) m: ends (F,N,2,3) m and strength (F,N) in [0,1].

    N is the same for all frames; pieces outside their disc have strength 0.
    """
    whole = step * np.arange(np.floor(-radius / step), np.ceil(radius / step) + 1)
    borders = np.linspace(-radius, radius, _PIECES + 1)
    across, along = np.meshgrid(whole, borders[:-1], indexing="ij")
    fixed, start = np.concatenate([across.ravel()] * 2), np.concatenate([along.ravel()] * 2)
    axis = np.repeat([0, 1], across.size)  # the coordinate that is whole
    places = step * np.round(centers / step)[:, axis] + fixed, centers[:, 1 - axis] + start
    ends = np.zeros((len(centers), len(axis), 2, 3))
    rows = np.arange(len(axis))
    for end in (0, 1):
        ends[:, rows, end, axis] = places[0]
        ends[:, rows, end, 1 - axis] = places[1] + end * (borders[1] - borders[0])
    away = np.linalg.norm(ends[..., :2].mean(axis=2) - centers[:, None], axis=-1) / radius
    return ends, np.maximum(1 - away**2, 0)
