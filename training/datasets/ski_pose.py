"""Ski-Pose PTZ: `labels.h5` with rows `3D`, `2D`, `frame`, `seq` and `cam`; six cameras that pan, tilt and zoom.

2D is in [0,1] of square pictures, 3D in metres in the camera's frame. MDVPose takes its 17 joints as Human3.6M's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.errors import InputError, MissingError
from training.datasets.arrays import numbers, require
from training.datasets.sequence import Sequence

HOLDER = "EPFL, https://www.epfl.ch/labs/cvlab/data/ski-poseptz-dataset/ (research use)"
FIELDS = ("3D", "2D", "frame", "seq", "cam")
SIZE = (256, 256)  # pixels of the pictures that the labels belong to


def read(path: Path) -> Iterator[Sequence]:
    """One sequence for each take and camera, in the order of its frames.

    Args:
        path: labels.h5, or the folder that holds it.

    Raises:
        InputError: the file is missing (named, with the licence holder's address), damaged or laid out differently.
        MissingError: h5py is not installed.
    """
    path = require(path / "labels.h5" if path.is_dir() else path, HOLDER)
    rows = _rows(path)
    count = len(rows["seq"])
    joints = numbers(rows["3D"].reshape(count, -1), path, "3D", count, 51).reshape(count, 17, 3)
    points = numbers(rows["2D"].reshape(count, -1), path, "2D", count, 34).reshape(count, 17, 2)
    take, camera, frame = (numbers(np.ravel(rows[key]), path, key, count) for key in ("seq", "cam", "frame"))
    for name in np.unique(np.stack([take, camera], axis=1), axis=0).tolist():
        mine = np.flatnonzero((take == name[0]) & (camera == name[1]))
        mine = mine[np.argsort(frame[mine], kind="stable")]
        yield Sequence(
            path.parent.name, f"{name[0]:g}", f"{name[1]:g}", points[mine] * np.array(SIZE),
            joints[mine].astype(np.float64), size=SIZE,
        )  # fmt: skip


def _rows(path: Path) -> dict[str, np.ndarray]:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingError("Ski-Pose files need h5py", str(error), "pip install -r requirements-train.txt") from error
    try:
        with h5py.File(path) as file:
            if missing := [key for key in FIELDS if key not in file]:
                raise InputError(f"{path} lacks {', '.join(missing)}", f"it has {', '.join(file) or 'nothing'}")
            return {key: np.asarray(file[key]) for key in FIELDS}
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"cannot read {path}", str(error), "fetch the file again") from error
