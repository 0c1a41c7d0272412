"""What trackers are compared on: studio scenes and real clips, each with detections, times, pictures and truth.

Detections by a network are kept in benchmarks/results/trackers, so that every tracker gets the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cache import code_version, key, pack_detections, unpack_detections
from pipeline.clip import open_clip
from pipeline.clip_stages import detector_version
from pipeline.errors import InputError
from pipeline.files import atomic
from pipeline.options import Options
from pipeline.results import Array, Detections
from studio.scenes import build
from studio.write import write
from training.datasets.tracked import Tracked, people
from training.datasets.tracked_arrays import of_truth

SCENES = ("crossing4", "occluded3", "passers_by", "uniforms", "moving_camera3", "crowd10")
NOISE_PX, DROP = 4.0, 0.05  # for a person 400 px tall; chance to be missed in a frame
LABELS = Path(__file__).with_name("labels")
KEPT = Path(__file__).with_name("results") / "trackers"


@dataclass(frozen=True)
class Case:
    """One clip as a tracker gets it, and who is really where."""

    name: str
    truth: Tracked
    detections: list[Detections]
    times: Array  # (T,) s
    size: tuple[int, int]
    film: Callable[[], Path]  # its pictures, made when they are asked for
    poses: Callable[..., Any] | None


def ideal(seed: int) -> Iterator[Case]:
    """Every studio scene as a good detector sees it: exact joints with noise, 1 of 20 people missed, order shuffled.

    Who is hardly visible is not seen. Association alone is asked for.
    """
    for name in SCENES:
        scene, truth = build(name, seed=seed), build(name, seed=seed).truth()
        found = truth.detections(NOISE_PX, DROP, seed)
        yield Case(name, of_truth(truth), found, truth.times, scene.size, partial(_film, name, seed), None)


def rendered(seed: int, detector: Any) -> Iterator[Case]:
    """Every studio scene as `detector` sees its pictures."""
    for name in SCENES:
        scene, film = build(name, seed=seed), partial(_film, name, seed)
        truth, found = scene.truth(), _detections(film, detector, f"{name}-{seed}-{code_version('studio')}")
        yield Case(name, of_truth(truth), found, truth.times, scene.size, film, getattr(detector, "poses", None))


def real(data: Path, detector: Any) -> Iterator[Case]:
    """Every labelled clip as `detector` sees it. Raises SystemExit: a clip is not there."""
    for path in sorted(LABELS.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        video = data / "clips" / content["clip"]
        if not video.is_file():
            raise SystemExit(f"error: {video} is not here; --data names the folder that has clips/")
        with open_clip(video) as clip:
            size, times = (clip.info.width, clip.info.height), clip.info.times
        film, truth = partial(Path, video), labelled(content, size, len(times))
        found = _detections(film, detector, path.stem)
        yield Case(path.stem, truth, found, times, size, film, getattr(detector, "poses", None))


def labelled(content: Mapping[str, Any], size: tuple[int, int], frames: int) -> Tracked:
    """Boxes drawn by hand in some frames of a clip, as the files in benchmarks/labels hold them.

    Raises:
        InputError: labels of a clip of another size or length.
    """
    if tuple(content["size"]) != size or max(map(int, content["frames"])) >= frames:
        raise InputError(f"the labels of {content['clip']} are not of this clip of {frames} frames, {size} px")
    rows = [(int(frame), row) for frame, here in content["frames"].items() for row in here]
    return people(
        np.array(sorted(map(int, content["frames"]))), np.array([frame for frame, _ in rows], int),
        np.array([row["id"] for _, row in rows], int), scores=np.ones(len(rows)),
        boxes=np.array([row["box"] for _, row in rows], float).reshape(-1, 4),
        ignored=np.array([row["difficult"] for _, row in rows], bool),
    )  # fmt: skip


def _film(name: str, seed: int) -> Path:
    """The scene as a clip, rendered once for each state of the studio's code."""
    path = KEPT / f"{name}-{seed}-{code_version('studio')}.mp4"
    if not path.is_file():
        write(build(name, seed=seed), path)
    return path


def _detections(film: Callable[[], Path], detector: Any, name: str) -> list[Detections]:
    path = KEPT / f"{name}-{key(detector_version(Options()))}.npz"
    if not path.is_file():
        with open_clip(film()) as clip:
            found = pack_detections(detector.detect(clip), detector.skeleton)
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **found)
    with np.load(path, allow_pickle=False) as stored:
        return unpack_detections({field: stored[field] for field in stored.files})
