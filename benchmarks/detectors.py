"""How fast are our detectors against the packages that their networks come from?

    python -m benchmarks.detectors outputs/sample.mp4

Each side reads the same clip (the first frames of the one that is named, encoded anew at 30 frames/s) from its file
and does the whole way to keypoints, with the same network, size and thresholds: ours by `detect`, the package by the
call that its documentation names. Rounds alternate; told are medians, the ratio's median over the rounds, and the
people a frame that ours and theirs saw. What is not installed is left out, with the line that installs it; rows want
environments of their own. Weights are those of the store where they are on this machine, else random ones that see a
few people: the work is the same. rtmlib is installed beside requirements.txt by
`pip install onnx onnxruntime tqdm && pip install --no-deps rtmlib`.

    blazepose    MediaPipe Tasks on the two networks of the store, for as many people and for one; ours reads each
                 frame forwards and backwards. `benchmarks.speed` compares with MediaPipe's older loop for one person
    rtmpose      rtmlib's `Body`, frame by frame, and its `PoseTracker` that looks for boxes as seldom as ours (each
                 4th frame), in ONNX Runtime and in OpenVINO, person by person. Random people stand still
    rtmo         rtmlib's `RTMO`, frame by frame, in ONNX Runtime and in OpenVINO
    yolo         YOLO.predict(clip, stream=True), as it comes (which leaves one core free) and on all cores
    torchvision  the model, called frame by frame
    mmpose       `inference_topdown` of each frame with its boxes, which are given to both
    mediapipe    `detect_for_video` of each frame, the loop of its documentation
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.detectors_rows import ROWS, lacking
from benchmarks.detectors_sides import Row
from pipeline.clip import open_clip


class Told(NamedTuple):
    """What is told of one rival."""

    ours: float  # frames/s
    theirs: float
    ratio: float  # ours by theirs
    people_ours: float  # that were seen, a frame
    people_theirs: float


def main() -> None:
    """Compare on one clip and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--detectors", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    columns = f"{'ours':>7} {'theirs':>7} {'ratio':>6}   people a frame"
    print(f"{'detector':<12} {'network':<31} {'against':<32} {columns}, frames/s")
    for name in asked.detectors:
        if why := lacking(name):
            print(f"{name:<12} left out: {why}")
            continue
        with tempfile.TemporaryDirectory(prefix="videopose-detectors-") as scratch:
            row = ROWS[name](asked.clip, Path(scratch))
            clip = _beginning(asked.clip, row.frames, Path(scratch) / "beginning.mkv")
            for rival, told in compare(row, clip, asked.rounds).items():
                numbers = "{:7.2f} {:7.2f} {:6.2f}   {:.2f} and {:.2f}".format(*told)
                print(f"{name:<12} {row.what:<31} {rival:<32} {numbers}", flush=True)


def compare(row: Row, clip: Path, rounds: int) -> dict[str, Told]:
    """Of each rival, medians over alternating rounds after a warm-up."""
    sides = {"": row.ours} | row.rivals
    spent: dict[str, list[float]] = {name: [] for name in sides}
    people = dict.fromkeys(sides, 0.0)
    with open_clip(clip) as opened:
        frames = len(opened)
    for number in range(rounds + 1):
        for name, side in sides.items():
            begin = time.perf_counter()
            people[name] = side(clip) / frames
            if number:
                spent[name].append(time.perf_counter() - begin)
    return {
        name: Told(
            frames / statistics.median(spent[""]),
            frames / statistics.median(spent[name]),
            statistics.median(theirs / ours for theirs, ours in zip(spent[name], spent[""], strict=True)),
            people[""],
            people[name],
        )
        for name in row.rivals
    }


def _beginning(path: Path, count: int, to: Path) -> Path:
    """The first frames of a clip as a clip that loses little."""
    import av

    with open_clip(path) as clip, av.open(str(to), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"crf": "12", "preset": "veryfast"})
        width, height = clip.info.width // 2 * 2, clip.info.height // 2 * 2  # an odd row or column is cut off
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in clip.frames(0, min(count, len(clip))):
            picture = np.ascontiguousarray(frame[:height, :width])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(stream.encode(None))
    return to


if __name__ == "__main__":
    main()
