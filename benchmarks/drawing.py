"""How much faster is the film's drawing than matplotlib drawing the same two panels?

    python -m benchmarks.drawing outputs/sample.mp4

Nothing is decoded or encoded on either side: one picture of the clip, already at the panel's size, stands for all.
Both sides draw that picture with everyone's 2D skeleton (outlined, left and right in their colours) and, beside it,
the floor's grid, everyone's shadow and outlined figure, names, legend and time, at the same number of pixels.
matplotlib reuses all its artists and draws into memory, without a window or a file, in two ways:

    usual   a line for each bone in 3D axes with their panes and ticks, as most programs in this field draw
    lean    one collection for all bones of a person, nothing of the axes drawn: as fast as it gets

Times are CPU times of the process, so that other work on the machine weighs on neither side.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.clip import open_clip
from pipeline.options import Options
from pipeline.results import Array, ClipInfo, Scene
from pipeline.runner import Runner
from pipeline.skeletons import skeleton
from visualize.draw import LEFT, Color, colors, picture_bones, side
from visualize.film import side_by_side
from visualize.floor import BACKGROUND

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 720


def main() -> None:
    """Run one clip and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    path = parser.parse_args().clip
    with tempfile.TemporaryDirectory(prefix="videopose-drawing-") as scratch:
        scene = Runner(Options(out=Path(scratch), formats=())).run(path)
    with open_clip(path) as clip:
        ours, usual, lean = drawing_times(scene, clip.read(0))
    print(f"ours {1000 * ours:.2f} CPU ms a frame")
    for way, theirs in (("usual", usual), ("lean", lean)):
        print(f"matplotlib, {way}: {1000 * theirs:.1f} CPU ms a frame; ours is {theirs / ours:.1f} times as fast")


def drawing_times(scene: Scene, picture: Array, rounds: int = 5) -> tuple[float, float, float]:
    """Median CPU seconds per film frame, ours and matplotlib's, usual and lean, in alternating rounds."""
    import cv2

    total = len(scene.clip.times)
    width = round(HEIGHT * scene.clip.width / scene.clip.height / 2) * 2
    small = cv2.resize(picture, (width, HEIGHT), interpolation=cv2.INTER_AREA)
    rivals = Matplotlib(scene, small, lean=False), Matplotlib(scene, small, lean=True)
    some = np.linspace(0, total - 1, min(total, 10)).astype(int)
    spent: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        begin = time.process_time()
        for _ in side_by_side(scene, _Held(scene.clip, small), HEIGHT):
            pass
        ours = (time.process_time() - begin) / total
        usual, lean = (_seconds(rival, some) for rival in rivals)
        spent.append((ours, usual, lean))
    return tuple(statistics.median(column) for column in zip(*spent, strict=True))  # type: ignore[return-value]


def _seconds(rival: Matplotlib, frames: Array) -> float:
    begin = time.process_time()
    for frame in frames:
        rival.draw(int(frame))
    return (time.process_time() - begin) / len(frames)


@dataclass(frozen=True)
class _Held:
    """A clip whose frames are all the same picture, already in memory at the size that is asked for."""

    info: ClipInfo
    picture: Array

    def frames(self, start: int, stop: int | None, size: tuple[int, int]) -> Iterator[Array]:
        picture = self.picture
        if picture.shape[1::-1] != size:
            import cv2

            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        for _ in self.info.times[start:stop]:
            yield picture


class Matplotlib:
    """Both panels as matplotlib draws them."""

    def __init__(self, scene: Scene, picture: Array, lean: bool) -> None:
        """`picture` is (H,W,3) uint8 BGR at the panel's size."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._scene = scene
        height, width = picture.shape[:2]
        figure = Figure(figsize=((width + height) / 100, height / 100), dpi=100, facecolor=_rgb(BACKGROUND))
        self._canvas = FigureCanvasAgg(figure)
        share = width / (width + height)
        self._flat = figure.add_axes((0, 0, share, 1))
        self._solid = figure.add_axes((share, 0, 1 - share, 1), projection="3d", facecolor=_rgb(BACKGROUND))
        self._flat.imshow(picture[..., ::-1], aspect="auto", interpolation="nearest")
        self._flat.set_axis_off()
        if lean:
            self._solid.set_axis_off()
        self._bones = _Collection if lean else _Lines
        self._stage(lean)
        self._words(figure, share)
        self._scale = width / scene.clip.width, height / scene.clip.height
        self._people = [self._person(number) for number in range(len(scene.people))]

    def draw(self, frame: int) -> Array:
        """(H,W,4) uint8 RGBA, both panels."""
        seconds = self._scene.clip.times[frame]
        self._stamp.set_text(f"{int(seconds // 60)}:{seconds % 60:06.3f}")
        self._solid.view_init(13, -60 + 20 * np.sin(2 * np.pi * seconds / 14))
        for artists, person, track in zip(self._people, self._scene.people, self._scene.tracks, strict=True):
            row = frame - int(person.frames[0])
            if 0 <= row < len(person):
                artists.move(track.keypoints[row] * self._scale, person.joints[row])
            else:
                nowhere = np.full((len(skeleton(track.skeleton).joints), 2), np.nan)
                artists.move(nowhere, np.full_like(person.joints[0], np.nan))
        self._canvas.draw()
        return np.asarray(self._canvas.buffer_rgba())

    def _stage(self, lean: bool) -> None:
        joints = np.concatenate([person.joints.reshape(-1, 3) for person in self._scene.people] or [np.zeros((1, 3))])
        low, high = np.nanquantile(joints, 0.01, axis=0), np.nanquantile(joints, 0.99, axis=0)
        middle, reach = (low + high) / 2, max(1.0, float((high - low).max()) / 2)
        self._solid.set(**{f"{axis}lim": (m - reach, m + reach) for axis, m in zip("xyz", middle, strict=True)})
        self._solid.set_box_aspect((1, 1, 1))
        whole = np.arange(-5, 6)
        ends = [((x, -5, 0), (x, 5, 0)) for x in whole] + [((-5, y, 0), (5, y, 0)) for y in whole]
        grid = np.array(ends, float) + np.append(np.round(middle[:2]), 0)
        self._bones(self._solid, [_rgb((98, 84, 74))] * len(grid), 0.7).move(grid)

    def _words(self, figure: Figure, share: float) -> None:
        style = {"color": "0.85", "fontsize": 13}
        self._stamp = figure.text(share + 0.02, 0.95, "", **style)
        figure.text(share + 0.02, 0.03, "grid 1 m", **style)
        figure.text(0.9, 0.03, "left right", **style)

    def _person(self, number: int) -> _Artists:
        track, person = self._scene.tracks[number], self._scene.people[number]
        flat, solid = skeleton(track.skeleton), skeleton(person.skeleton)
        pairs = np.array(picture_bones(flat)), np.array(solid.bones)
        tones = [
            [_rgb(colors(number)[side(bones, *p)]) for p in ps] for bones, ps in zip((flat, solid), pairs, strict=True)
        ]
        black = [["black"] * len(p) for p in pairs]
        make, name = self._bones, {"s": str(person.id), "color": _rgb(colors(number)[LEFT])}
        return _Artists(
            *pairs,
            shadow=make(self._solid, black[1], 8),
            flat=[make(self._flat, black[0], 5), make(self._flat, tones[0], 3)],
            solid=[make(self._solid, black[1], 11), make(self._solid, tones[1], 8)],
            names=(self._flat.text(0, 0, **name), self._solid.text(0, 0, 0, **name)),
        )


@dataclass(frozen=True)
class _Artists:
    """What is drawn of one person: shadow, outlines and bodies of the bones, names."""

    flat_pairs: Array
    solid_pairs: Array
    shadow: _Lines | _Collection
    flat: list[_Lines | _Collection]
    solid: list[_Lines | _Collection]
    names: tuple

    def move(self, points: Array, joints: Array) -> None:
        for lines in self.flat:
            lines.move(points[self.flat_pairs])
        self.shadow.move(joints[self.solid_pairs] * [1, 1, 0])
        for lines in self.solid:
            lines.move(joints[self.solid_pairs])
        self.names[0].set_position(np.fmin.reduce(points, axis=0))
        self.names[1].set_position_3d(np.fmax.reduce(joints, axis=0))
        for name in self.names:
            name.set_visible(bool(np.isfinite(points).any()))


class _Lines:
    """Segments as an artist each."""

    def __init__(self, axes: Axes, tones: list, width: float) -> None:
        nothing = [[np.nan, np.nan]] * (3 if axes.name == "3d" else 2)
        self._lines = [axes.plot(*nothing, lw=width, color=tone, solid_capstyle="round")[0] for tone in tones]

    def move(self, segments: Array) -> None:
        """To (N,2,2) px or (N,2,3) m."""
        for line, ends in zip(self._lines, segments, strict=True):
            line.set_data_3d(*ends.T) if ends.shape[1] == 3 else line.set_data(*ends.T)


class _Collection:
    """Segments as one artist."""

    def __init__(self, axes: Axes, tones: list, width: float) -> None:
        from matplotlib.collections import LineCollection
        from mpl_toolkits.mplot3d.art3d import Line3DCollection

        solid = axes.name == "3d"
        kind, add = (Line3DCollection, axes.add_collection3d) if solid else (LineCollection, axes.add_collection)
        self._lines = kind(np.zeros((1, 2, 3 if solid else 2)), colors=tones, linewidths=width, capstyle="round")
        add(self._lines, autolim=False)

    def move(self, segments: Array) -> None:
        """To (N,2,2) px or (N,2,3) m."""
        self._lines.set_segments(segments)


def _rgb(color: Color) -> tuple[float, ...]:
    return tuple(value / 255 for value in color[::-1])


if __name__ == "__main__":
    main()
