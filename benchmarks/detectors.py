"""How fast are the optional detectors against the packages that their networks come from?

    python -m benchmarks.detectors outputs/sample.mp4

Each side reads the same clip from its file and does the whole way to keypoints, with the same network, size and
thresholds: ours by `detect`, the package by the call that its documentation names. Rounds alternate; told are medians,
and the ratio's median over the rounds. A detector that is not installed is left out. Weights are those of the store
where they are on this machine, else random ones that see a few people: the work is the same.

    yolo         YOLO.predict(clip, stream=True), as it comes (which leaves one core free) and on all cores
    torchvision  the model, called frame by frame
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import detectors_networks as networks
from pipeline.choices import chosen_class, require
from pipeline.clip import open_clip
from pipeline.errors import MissingError
from pipeline.results import Array

Run = Callable[[Path], Any]  # looks at every frame of a clip


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str  # the network and its size
    ours: Run
    rivals: dict[str, Run]
    frames: int  # of the clip that are looked at


def main() -> None:
    """Compare on one clip and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--detectors", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(f"{'detector':<12} {'network':<28} {'against':<30} {'ours':>7} {'theirs':>7} {'ratio':>6}   frames/s")
    for name in asked.detectors:
        try:
            require("detector", chosen_class("detector", name))
        except MissingError as error:
            print(f"{name:<12} left out: {error.what}; {error.hint}")
            continue
        with tempfile.TemporaryDirectory(prefix="videopose-detectors-") as scratch:
            os.environ |= {"YOLO_CONFIG_DIR": scratch, "YOLO_VERBOSE": "false", "YOLO_OFFLINE": "true"}
            row = ROWS[name](asked.clip, Path(scratch))
            clip = _beginning(asked.clip, row.frames, Path(scratch) / "beginning.mkv")
            for rival, (ours, theirs, ratio) in compare(row, clip, asked.rounds).items():
                print(f"{name:<12} {row.what:<28} {rival:<30} {ours:7.2f} {theirs:7.2f} {ratio:6.2f}", flush=True)


def compare(row: Row, clip: Path, rounds: int) -> dict[str, tuple[float, float, float]]:
    """For each rival: our frames/s, theirs, ours by theirs; medians over alternating rounds after a warm-up."""
    sides = {"": row.ours} | row.rivals
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            begin = time.perf_counter()
            side(clip)
            if number:
                spent[name].append(time.perf_counter() - begin)
    return {
        name: (
            row.frames / statistics.median(spent[""]),
            row.frames / statistics.median(spent[name]),
            statistics.median(theirs / ours for theirs, ours in zip(spent[name], spent[""], strict=True)),
        )
        for name in row.rivals
    }


def yolo(clip: Path, scratch: Path) -> Row:
    """YOLO11n-pose at 640 px, on the CPU."""
    import torch
    from ultralytics import YOLO

    from detectors.yolo import MODEL
    from detectors.yolo_picture import Letterbox

    weights = _local(MODEL)
    if weights is None:
        frames = _some(clip, 4)
        box = Letterbox.of((frames[0].shape[1], frames[0].shape[0]), 640, 32)
        weights = networks.yolo(scratch / f"{MODEL}.pt", MODEL, [box(frame) for frame in frames], people=3)
    ours = chosen_class("detector", "yolo")(detector_weights=weights, device="cpu", threshold=0.5)
    model = YOLO(weights, task="pose")

    def predict(path: Path, threads: int | None) -> None:
        told = {"conf": 0.5, "iou": 0.7, "imgsz": 640, "device": "cpu", "verbose": False}
        for number, result in enumerate(model.predict(path, stream=True, **told)):
            if number == 0 and threads:
                torch.set_num_threads(threads)  # Ultralytics has chosen its own by now
            _ = result.keypoints
        if threads:
            torch.set_num_threads(1)

    rivals = {
        "Ultralytics, as it comes": lambda path: predict(path, None),
        "Ultralytics, all cores": lambda path: predict(path, os.cpu_count()),
    }
    return Row(f"{MODEL}, 640, {_trained(MODEL)}", lambda path: _detect(ours, path), rivals, 60)


def torchvision(clip: Path, scratch: Path) -> Row:
    """Keypoint R-CNN at its own size, on the CPU."""
    import cv2
    import torch

    weights = _local("keypointrcnn")
    if weights is None:
        weights = networks.keypoint_rcnn(scratch / "random.pth", _some(clip, 2), people=3)
    ours = chosen_class("detector", "torchvision")(detector_weights=weights, device="cpu")
    network = ours._network  # the package's own

    def frame_by_frame(path: Path) -> None:
        film = cv2.VideoCapture(str(path))
        while (read := film.read())[0]:
            picture = torch.from_numpy(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)).permute(2, 0, 1) / 255
            with torch.inference_mode():
                network([picture])

    rivals = {"the model, frame by frame": frame_by_frame}
    return Row(f"Keypoint R-CNN, {_trained('keypointrcnn')}", lambda path: _detect(ours, path), rivals, 6)


ROWS: dict[str, Callable[[Path, Path], Row]] = {"yolo": yolo, "torchvision": torchvision}


def _detect(detector: Any, path: Path) -> None:
    with open_clip(path) as clip:
        detector.detect(clip)


def _local(card: str) -> Path | None:
    from checkpoints.card import names
    from checkpoints.store import local

    return local(card) if card in names() else None


def _trained(card: str) -> str:
    return "random" if _local(card) is None else "trained"


def _some(path: Path, count: int) -> list[Array]:
    """Frames (H,W,3) uint8 BGR from all over the clip."""
    with open_clip(path) as clip:
        return [clip.read(int(index)) for index in np.linspace(0, len(clip) - 1, count)]


def _beginning(path: Path, count: int, to: Path) -> Path:
    """The first frames of a clip as a clip that loses little."""
    import av

    with open_clip(path) as clip, av.open(str(to), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"crf": "12", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = clip.info.width, clip.info.height, "yuv420p"
        for frame in clip.frames(0, min(count, len(clip))):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        out.mux(stream.encode(None))
    return to


if __name__ == "__main__":
    main()
