"""MPI-INF-3DHP as its holder offers it -> `data_train_3dhp.npz` and `data_test_3dhp.npz`, the form of P-STMO.

Both take the annotation that is scaled to one height for everybody (`univ_annot3`), which the official script scores.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.files import atomic
from training.datasets.arrays import numbers
from training.datasets.mpi_inf_3dhp import HOLDER
from training.datasets.prepare import chosen, no_cameras, require, save_npz
from training.datasets.raw_files import AGAIN, load_hdf5, load_mat

JOINTS = [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]  # of 28, in the order of the test set
CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)  # of 14
TAKES = {  # frames of Seq1 and Seq2, and their rate per second
    "S1": ((6416, 25), (12430, 50)),
    "S2": ((6502, 25), (6081, 25)),
    "S3": ((12488, 50), (12283, 50)),
    "S4": ((6171, 25), (6675, 25)),
    "S5": ((12820, 50), (12312, 50)),
    "S6": ((6188, 25), (6145, 25)),
    "S7": ((6239, 25), (6320, 25)),
    "S8": ((6468, 25), (6054, 25)),
}
TESTS = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
TEST_FOLDER = "mpi_inf_3dhp_test_set"  # as the archive calls it


def prepare(raw: Path, out: Path, subjects: Collection[str] | None = None, cameras: Path | None = None) -> list[str]:
    """Convert the training set, the test set, or both; returns a line for each file written.

    Args:
        raw: holds S1/Seq1/annot.mat to S8/Seq2/annot.mat, or TS1/annot_data.mat to TS6/annot_data.mat (there or in
            mpi_inf_3dhp_test_set/), or both.
        subjects: like S1 or TS2; none: the whole of each set of which there is something.
        cameras: no table is needed.

    Raises:
        InputError: a file that is missing (named, with the licence holder's address), damaged or laid out differently.
        MissingError: h5py is needed and not installed.
        UsageError: an unknown subject, or a camera table.
        OutputError: no permission, no space.
    """
    no_cameras(cameras, "MPI-INF-3DHP")
    tests = raw / TEST_FOLDER if (raw / TEST_FOLDER).is_dir() else raw
    wanted = chosen(subjects, (*TAKES, *TESTS)) if subjects is not None else _there(raw, TAKES) + _there(tests, TESTS)
    if not wanted:
        why = f"the data set is offered by {HOLDER}"
        raise InputError(f"neither S1/Seq1/annot.mat nor TS1/annot_data.mat in {raw}", why)
    made = {
        "data_train_3dhp.npz": _train(raw, [name for name in wanted if name in TAKES]),
        "data_test_3dhp.npz": {name: _test(tests, name) for name in wanted if name in TESTS},
    }
    made = {name: data for name, data in made.items() if data}
    with ExitStack() as files:
        for name, data in made.items():
            save_npz(files.enter_context(atomic(out / name)), data=data)
    return [f"{out / name}: {len(data)} sequences" for name, data in made.items()]


def _there(folder: Path, names: Collection[str]) -> list[str]:
    """All names, when there is a folder of one of them."""
    return list(names) if any((folder / name).is_dir() for name in names) else []


def _train(raw: Path, subjects: Sequence[str]) -> dict[str, list[Any]]:
    """By sequence, its cameras and its frame rate."""
    made = {}
    for subject in subjects:
        for number, (frames, rate) in enumerate(TAKES[subject], 1):
            path = require(raw, f"{subject}/Seq{number}/annot.mat", HOLDER)
            made[f"{subject} Seq{number}"] = [_views(path, frames), rate]
    return made


def _views(path: Path, frames: int) -> dict[str, dict[str, np.ndarray]]:
    """By camera, the first `frames` frames in px and, in the camera's frame, mm."""
    cells = {key: np.ravel(value) for key, value in load_mat(path, ["annot2", "univ_annot3"]).items()}
    for key, cell in cells.items():
        if cell.dtype != object or len(cell) <= max(CAMERAS):
            raise InputError(f"{path} is laid out differently", f"{key} should be a cell for each of 14 cameras")
    views = {}
    for camera in CAMERAS:
        flat = numbers(cells["annot2"][camera], path, f"annot2 of camera {camera}", None, 56)
        if len(flat) < frames:
            why = f"annot2 of camera {camera} has {len(flat)} frames, this take {frames}"
            raise InputError(f"{path} is cut short", why, AGAIN)
        space = numbers(cells["univ_annot3"][camera], path, f"univ_annot3 of camera {camera}", len(flat), 84)
        views[str(camera)] = {
            "data_2d": flat[:frames].reshape(-1, 28, 2)[:, JOINTS].astype(np.float32),
            "data_3d": space[:frames].reshape(-1, 28, 3)[:, JOINTS].astype(np.float32),
        }
    return views


def _test(tests: Path, name: str) -> dict[str, np.ndarray]:
    path = require(tests, f"{name}/annot_data.mat", HOLDER)
    data = load_hdf5(path, ["annot2", "univ_annot3", "valid_frame"])
    flat = numbers(data["annot2"], path, "annot2", None, 1, 17, 2)
    space = numbers(data["univ_annot3"], path, "univ_annot3", len(flat), 1, 17, 3)
    valid = numbers(np.ravel(data["valid_frame"]), path, "valid_frame", len(flat))
    return {
        "data_2d": flat[:, 0].astype(np.float32),
        "data_3d": space[:, 0].astype(np.float32),
        "valid": (valid != 0).astype(np.uint8)[:, None],
    }
