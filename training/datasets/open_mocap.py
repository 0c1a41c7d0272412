"""Our own motion capture, open_mocap.npz: clips of h36m-23 joints in a world with Z up, in metres."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.skeletons import skeleton
from training.datasets.sequence import Sequence

BODY = skeleton("h36m-23")
KEYS = ("rel", "root", "contacts", "start", "length", "subject", "joints", "fps")
SHORT = {name: name.replace("left_", "l_").replace("right_", "r_") for name in BODY.joints}


def read(path: Path) -> Iterator[Sequence]:
    """Every clip; `action` is its number in the file. There is no camera. Raises InputError as `read_arrays`."""
    data = read_arrays(path)
    for number, (start, length) in enumerate(zip(data["start"].tolist(), data["length"].tolist(), strict=True)):
        rows = slice(start, start + length)
        world = data["rel"][rows].astype(np.float64) + data["root"][rows, None]
        subject = str(data["subject"][number])
        yield Sequence(subject, str(number), "", None, None, world, fps=float(data["fps"]), skeleton_3d=BODY.name)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The file's arrays by name. Raises InputError: no such file, not the expected arrays, joints or clips."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if missing := [key for key in KEYS if key not in file.files]:
                raise InputError(f"{path} is no motion capture file", f"it lacks {', '.join(missing)}")
            data = {key: file[key] for key in KEYS}
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"cannot read {path}", str(error), "an .npz as open_mocap.npz is expected") from error
    if [str(name) for name in data["joints"]] != [SHORT[name] for name in BODY.joints]:
        raise InputError(f"{path} holds other joints", "expected h36m-23 in its order", "use open_mocap.npz")
    frames = len(data["root"])
    whole = data["rel"].shape == (frames, len(BODY), 3) and len(data["start"]) == len(data["length"])
    if not whole or (len(data["start"]) and (data["start"] + data["length"]).max() > frames):
        raise InputError(f"{path} is not whole", f"clips reach beyond its {frames} frames, or arrays differ in length")
    return data
