"""Ski-Pose PTZ as its holder offers it -> `train/labels.h5` and `test/labels.h5` with what readers take.

Pictures and cameras stay behind; rows are checked and put in the order of takes, cameras and frames.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pipeline.errors import UsageError
from pipeline.files import atomic
from training.datasets.prepare import chosen, no_cameras, require
from training.datasets.ski_pose import HOLDER, read_rows

PARTS = ("train", "test")


def prepare(raw: Path, out: Path, subjects: Collection[str] | None = None, cameras: Path | None = None) -> list[str]:
    """Convert both parts; returns a line for each file written.

    Args:
        raw: holds train/labels.h5 and test/labels.h5.
        subjects: train or test; none: both.
        cameras: no table is needed.

    Raises:
        InputError: a file that is missing (named, with the licence holder's address), damaged or laid out differently.
        MissingError: h5py is not installed.
        UsageError: an unknown part, a camera table, or `out` is `raw`.
        OutputError: no permission, no space.
    """
    no_cameras(cameras, "Ski-Pose PTZ")
    if out.resolve() == raw.resolve():
        raise UsageError(f"{out} is where the raw files lie", "they would be overwritten", "--out DIR, another folder")
    parts = chosen(subjects, PARTS)
    made = {name: read_rows(require(raw, f"{name}/labels.h5", HOLDER)) for name in parts}
    with ExitStack() as files:
        for name, rows in made.items():
            _write(files.enter_context(atomic(out / name / "labels.h5")), rows)
    return [f"{out / name / 'labels.h5'}: {len(rows['seq'])} rows" for name, rows in made.items()]


def _write(path: Path, rows: dict[str, np.ndarray]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for key, column in rows.items():
            file.create_dataset(key, data=column, compression="gzip")
