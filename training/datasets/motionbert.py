"""Human3.6M as MotionBERT stores it: one pickle of frames, or a folder of clips.

Pickle: `train` and `test`, each with arrays over frames: joint_2d px, confidence, joint3d_image (x, y and depth in px),
joints_2.5d_image (mm), 2.5d_factor (mm per px), camera_name, action, source. A clip is a pickle of its own: data_input
(T,17,3) x, y, confidence, or None, and data_label (T,17,3), both in halves of the picture's width.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from training.datasets.arrays import mapping, numbers, require
from training.datasets.cameras import denormalise_screen, normalise_screen
from training.datasets.human36m import FPS, HOLDER
from training.datasets.sequence import Sequence
from training.datasets.unpickle import load_pickle

Array = NDArray[np.floating]
FILE = "h36m_sh_conf_cam_source_final.pkl"
SIZES = {"54138969": (1000, 1002), "55011271": (1000, 1000), "58860488": (1000, 1000), "60457274": (1000, 1002)}
SHAPES = {
    "joint_2d": (17, 2),
    "joint3d_image": (17, 3),
    "joints_2.5d_image": (17, 3),
    "2.5d_factor": (),
}
TEXTS = ("camera_name", "action", "source")


def read(path: Path, part: Literal["train", "test"]) -> Iterator[Sequence]:
    """One sequence for each source (video), in the file's order.

    `joints` are the 2.5D ones in metres: meant root-relative, where they are in the picture means nothing.

    Raises:
        InputError: the file is missing (named, with the licence holder's address), damaged or laid out differently.
    """
    data = mapping(load_pickle(require(path, HOLDER)), path, "the file")
    table = _columns(mapping(data.get(part), path, part), path)
    sources = table["source"]
    starts = np.flatnonzero(np.append(True, sources[1:] != sources[:-1]))
    for start, end in zip(starts, np.append(starts[1:], len(sources)), strict=True):
        yield _sequence({key: column[start:end] for key, column in table.items()}, path)


def _columns(table: dict, path: Path) -> dict[str, np.ndarray]:
    """The arrays, all as long as the first, and the confidence as (N,17)."""
    if missing := [key for key in (*SHAPES, "confidence", *TEXTS) if key not in table]:
        raise InputError(f"{path} lacks {', '.join(missing)}", f"it has {', '.join(map(str, table))}")
    frames = len(table["joint_2d"])
    flat = dict(table, joint_2d=np.asarray(table["joint_2d"])[..., :2])
    flat["2.5d_factor"] = np.ravel(flat["2.5d_factor"])
    columns = {key: numbers(flat[key], path, key, frames, *shape) for key, shape in SHAPES.items()}
    confidence = np.asarray(table["confidence"])
    columns["confidence"] = numbers(confidence.reshape(len(confidence), -1), path, "confidence", frames, 17)
    for key in TEXTS:
        columns[key] = np.asarray(table[key], dtype=str)
        if columns[key].shape != (frames,):
            raise InputError(f"{path} is laid out differently", f"{key} should be {frames} texts")
    return columns


def _sequence(rows: dict[str, np.ndarray], path: Path) -> Sequence:
    source, camera, action = (str(rows[key][0]) for key in ("source", "camera_name", "action"))
    if camera not in SIZES:
        raise InputError(f"{path}: {source} is of an unknown camera {camera}", f"known: {', '.join(SIZES)}")
    words = source.split("_")  # s_09_act_02_subact_01_ca_01
    subject = f"S{int(words[1])}" if words[0] == "s" and words[1:2] and words[1].isdigit() else source
    take = f" {int(words[5])}" if len(words) > 5 and words[5].isdigit() else ""
    return Sequence(
        subject, action + take, camera, np.concatenate([rows["joint_2d"], rows["confidence"][..., None]], axis=-1),
        rows["joints_2.5d_image"].astype(np.float64) / 1000, size=SIZES[camera], fps=FPS,
        image_joints=rows["joint3d_image"], factor=rows["2.5d_factor"], source=source,
    )  # fmt: skip


def screen(sequence: Sequence) -> tuple[Array, Array]:
    """What the network reads and is taught, in halves of the width: x, y, confidence and x, y, depth, (T,17,3) each."""
    width, height = sequence.size
    points, truth = sequence.keypoints, sequence.image_joints
    return (
        np.concatenate([normalise_screen(points[..., :2], width, height), points[..., 2:]], axis=-1),
        np.concatenate([normalise_screen(truth[..., :2], width, height), truth[..., 2:] * (2 / width)], axis=-1),
    )


def pixels(joints: Array, size: tuple[int, int]) -> Array:
    """(...,3) of the network -> x, y and depth in pixels: the inverse of `screen`, before the frame's factor."""
    width, height = size
    return np.concatenate([denormalise_screen(joints[..., :2], width, height), joints[..., 2:] * (width / 2)], axis=-1)


def read_clips(folder: Path) -> Iterator[Sequence]:
    """The clips (*.pkl) of a folder in the order of their names; `action` is the file's name.

    Raises:
        InputError: no clip there, or one that is damaged or laid out differently.
    """
    paths = sorted(require(folder, HOLDER).glob("*.pkl"))
    if not paths:
        raise InputError(f"no clips in {folder}", "expected files like 00000000.pkl")
    for path in paths:
        clip = mapping(load_pickle(path), path, "the file")
        if missing := [key for key in ("data_input", "data_label") if key not in clip]:
            raise InputError(f"{path} lacks {', '.join(missing)}", f"it has {', '.join(map(str, clip))}")
        label = numbers(clip["data_label"], path, "data_label", None, 17, 3)
        given = clip["data_input"]
        points = None if given is None else numbers(given, path, "data_input", len(label), 17, 3)
        yield Sequence(folder.name, path.stem, "", points, None, units="normalised", image_joints=label)
