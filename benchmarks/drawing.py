"""How much faster is the film's drawing than matplotlib drawing the same two panels?

    python -m benchmarks.drawing outputs/sample.mp4

Nothing is decoded or encoded on either side: one picture of the clip stands for all. matplotlib reuses its artists
(the fast way) and draws the same skeletons, floor grid and time stamp at the same size.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.clip import open_clip
from pipeline.options import Options
from pipeline.results import Array, ClipInfo, Scene
from pipeline.runner import Runner
from pipeline.skeletons import skeleton
from visualize.film import side_by_side

HEIGHT = 720


def main() -> None:
    """Run one clip and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    path = parser.parse_args().clip
    with tempfile.TemporaryDirectory(prefix="videopose-drawing-") as scratch:
        scene = Runner(Options(out=Path(scratch), formats=())).run(path)
    with open_clip(path) as clip:
        ours, theirs = drawing_times(scene, clip.read(0))
    print(f"ours {1000 * ours:.2f} ms, matplotlib {1000 * theirs:.1f} ms a frame: {theirs / ours:.0f} times as fast")


def drawing_times(scene: Scene, picture: Array, rounds: int = 5) -> tuple[float, float]:
    """Median seconds per film frame, ours and matplotlib's, in alternating rounds."""
    count = min(len(scene.clip.times), 100)
    ours, theirs = [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        for _ in side_by_side(scene, _Held(scene.clip, picture), HEIGHT):
            pass
        ours.append((time.perf_counter() - begin) / len(scene.clip.times))
        theirs.append(
            _matplotlib(scene, picture, np.linspace(0, len(scene.clip.times) - 1, min(count, 10)).astype(int))
        )
    return statistics.median(ours), statistics.median(theirs)


@dataclass(frozen=True)
class _Held:
    """A clip whose frames are all the same picture, already in memory."""

    info: ClipInfo
    picture: Array

    def frames(self, start: int, stop: int | None, size: tuple[int, int]) -> Iterator[Array]:
        import cv2

        small = cv2.resize(self.picture, size, interpolation=cv2.INTER_AREA)
        for _ in self.info.times[start:stop]:
            yield small


def _matplotlib(scene: Scene, picture: Array, frames: Array) -> float:
    """Seconds per frame to draw both panels and get the pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = HEIGHT * scene.clip.width / scene.clip.height + HEIGHT
    canvas = FigureCanvasAgg(Figure(figsize=(width / 100, HEIGHT / 100), dpi=100))
    flat = canvas.figure.add_subplot(1, 2, 1)
    solid = canvas.figure.add_subplot(1, 2, 2, projection="3d")
    flat.imshow(picture[..., ::-1])
    flat.set_axis_off()
    solid.set(xlim=(-2, 2), ylim=(0, 4), zlim=(0, 2))
    stamp = solid.set_title("")
    lines = [_person_lines(flat, solid, person.skeleton, track.skeleton) for person, track in _pairs(scene)]
    begin = time.perf_counter()
    for frame in frames:
        stamp.set_text(f"{scene.clip.times[frame]:.3f}")
        for (person, track), (flat_lines, solid_lines) in zip(_pairs(scene), lines, strict=True):
            if person.frames[0] <= frame <= person.frames[-1]:
                row = frame - person.frames[0]
                _move(flat_lines, track.keypoints[row], track.skeleton)
                _move(solid_lines, person.joints[row], person.skeleton)
        canvas.draw()
        np.asarray(canvas.buffer_rgba())
    return (time.perf_counter() - begin) / len(frames)


def _pairs(scene: Scene) -> list[tuple]:
    return list(zip(scene.people, scene.tracks, strict=True))


def _person_lines(flat: object, solid: object, body: str, keypoints: str) -> tuple[list, list]:
    nothing = [np.nan, np.nan]
    flat_lines = [flat.plot(nothing, nothing, lw=2)[0] for _ in skeleton(keypoints).bones]
    return flat_lines, [solid.plot(nothing, nothing, nothing, lw=2)[0] for _ in skeleton(body).bones]


def _move(lines: list, points: Array, name: str) -> None:
    for line, bone in zip(lines, skeleton(name).bones, strict=True):
        ends = points[list(bone)].T
        line.set_data_3d(*ends) if len(ends) == 3 else line.set_data(*ends)


if __name__ == "__main__":
    main()
