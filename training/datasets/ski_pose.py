"""Ski-Pose PTZ: `labels.h5` with rows `3D`, `2D`, `frame`, `seq` and `cam`; six cameras that pan, tilt and zoom.

2D is in [0,1] of square pictures, 3D in metres in the camera's frame. MDVPose takes its 17 joints as Human3.6M's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.datasets.arrays import numbers, require
from training.datasets.raw_files import load_hdf5
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
    path = require(path / "labels.h5" if path.is_dir() else path, HOLDER, "ski-pose")
    rows = read_rows(path)
    takes = np.stack([rows["seq"], rows["cam"]], axis=1)
    for name in np.unique(takes, axis=0).tolist():
        mine = np.flatnonzero((takes == name).all(axis=1))
        joints = rows["3D"][mine].reshape(-1, 17, 3).astype(np.float64)
        points = rows["2D"][mine].reshape(-1, 17, 2) * np.array(SIZE)
        frames = rows["frame"][mine].astype(np.int64)
        yield Sequence(path.parent.name, f"{name[0]:g}", f"{name[1]:g}", points, joints, size=SIZE, frames=frames)


def read_rows(path: Path) -> dict[str, np.ndarray]:
    """The columns of `FIELDS`: (N,51) m, (N,34) of the picture and three times (N,), in the order of seq, cam, frame.

    Raises:
        InputError, MissingError: as `read`.
    """
    rows = load_hdf5(path, FIELDS)
    count = len(np.ravel(rows["seq"]))
    columns = {key: numbers(_flat(rows[key]), path, key, count, wide) for key, wide in (("3D", 51), ("2D", 34))}
    columns |= {key: numbers(np.ravel(rows[key]), path, key, count) for key in FIELDS[2:]}
    order = np.lexsort([columns["frame"], columns["cam"], columns["seq"]])
    return {key: column[order] for key, column in columns.items()}


def _flat(values: np.ndarray) -> np.ndarray:
    """Rows of numbers, whatever the axes within a row."""
    return values.reshape(len(values), math.prod(values.shape[1:])) if values.ndim else values
