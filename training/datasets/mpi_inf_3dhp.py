"""MPI-INF-3DHP as P-STMO stores it: `data_train_3dhp.npz` and `data_test_3dhp.npz`, each with one object array, `data`.

Train: "S1 Seq1" -> [camera -> {data_2d (T,17,2) px, data_3d (T,17,3) mm}, frames per second]. Test: "TS1" -> {data_2d,
data_3d, valid (T,)}. 3D is in the camera's frame; joints are the 17 of the test set.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from training.datasets.arrays import mapping, numbers, require
from training.datasets.sequence import Sequence
from training.datasets.unpickle import load_npz

HOLDER = "the Max Planck Institute for Informatics, https://vcai.mpi-inf.mpg.de/3dhp-dataset/ (non-commercial use)"
LAYOUT = "mpi-inf-3dhp-17"
SQUARE, WIDE = (2048, 2048), (1920, 1080)
OUTDOORS = ("TS5", "TS6")  # the test sequences of the wide cameras


def read_train(folder: Path, subjects: Collection[str] | None = None) -> Iterator[Sequence]:
    """Every training sequence of each camera; subjects like S1.

    Raises:
        InputError: the file is missing (named, with the licence holder's address), damaged or laid out differently.
    """
    path = require(folder / "data_train_3dhp.npz", HOLDER, "mpi-inf-3dhp")
    for name, entry in mapping(load_npz(path, ["data"])["data"], path, "data").items():
        subject, _, action = str(name).partition(" ")
        if subjects is not None and subject not in subjects:
            continue
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            raise InputError(f"{path} is laid out differently", f"{name} should be a pair of cameras and frame rate")
        fps = float(np.asarray(entry[1]).reshape(()))
        for camera, arrays in mapping(entry[0], path, str(name)).items():
            yield _sequence(path, (subject, action, str(camera)), arrays, SQUARE, fps)


def read_test(folder: Path) -> Iterator[Sequence]:
    """The six test sequences; frames that are not `valid` are in them, and are not to be scored.

    Raises:
        InputError: as `read_train`.
    """
    path = require(folder / "data_test_3dhp.npz", HOLDER, "mpi-inf-3dhp")
    for name, arrays in mapping(load_npz(path, ["data"])["data"], path, "data").items():
        size = WIDE if name in OUTDOORS else SQUARE
        yield _sequence(path, (str(name), "test", "0"), arrays, size, None)


def _sequence(
    path: Path, name: tuple[str, str, str], arrays: object, size: tuple[int, int], fps: float | None
) -> Sequence:
    place, valid = "/".join(name), None
    entry = mapping(arrays, path, place)
    needed = ("data_2d", "data_3d") if fps is not None else ("data_2d", "data_3d", "valid")
    if missing := [key for key in needed if key not in entry]:
        raise InputError(f"{path}: {place} lacks {', '.join(missing)}", f"it has {', '.join(map(str, entry))}")
    keypoints = numbers(entry["data_2d"], path, f"{place}/data_2d", None, 17, 2)
    joints = numbers(entry["data_3d"], path, f"{place}/data_3d", len(keypoints), 17, 3)
    if "valid" in needed:
        valid = numbers(np.ravel(entry["valid"]), path, f"{place}/valid", len(keypoints)).astype(bool)
    metres = joints.astype(np.float64) / 1000
    return Sequence(*name, keypoints, metres, size=size, fps=fps, skeleton_2d=LAYOUT, skeleton_3d=LAYOUT, valid=valid)
