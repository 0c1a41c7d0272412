"""Camera tables of Human3.6M and HumanEva-I, from a file that the user gives.

The numbers come with data sets of restricted licences, so this project does not carry them. Two files are understood:
`h36m_dataset.py` or `humaneva_dataset.py` of a VideoPose3D checkout (read, never run), and `cameras.json` with the same
tables under `h36m_intrinsics`, `h36m_extrinsics`, `humaneva_intrinsics`, `humaneva_extrinsics`.
Lengths there are pixels and millimetres; an orientation is the camera's in the world, (w,x,y,z).
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError
from training.datasets.cameras import Camera

HINT = "give cameras.json, or common/{0}_dataset.py of a VideoPose3D checkout, beside the data"


def find(dataset: str, *folders: Path) -> Path:
    """The camera table in the first of the folders that has one. Raises InputError that names what is looked for."""
    for folder in folders:
        for name in names(dataset):
            if (folder / name).exists():
                return folder / name
    where = " or ".join(map(str, folders))
    raise InputError(f"no camera table in {where}", f"expected {' or '.join(names(dataset))}", HINT.format(dataset))


def names(dataset: str) -> tuple[str, str]:
    """What a camera table is called: as JSON, as Python."""
    return "cameras.json", f"{dataset}_dataset.py"


def load_cameras(path: Path, dataset: str) -> dict[str, list[Camera]]:
    """Cameras of every subject that has some, in the data set's order; `dataset` is h36m or humaneva.

    Raises:
        InputError: no such file, or tables that are not there or not whole.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = _python_tables(text, dataset) if path.suffix == ".py" else json.loads(text)
        lenses, places = tables[f"{dataset}_intrinsics"], tables[f"{dataset}_extrinsics"]
        return {
            subject: [_camera(lens, place) for lens, place in zip(lenses, of_subject, strict=False)]
            for subject, of_subject in places.items()
            if of_subject and all(of_subject)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"cannot read the cameras in {path}", why, HINT.format(dataset)) from error


def _python_tables(text: str, dataset: str) -> dict[str, Any]:
    """Literals that a Python file assigns; nothing of it is run."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.startswith(f"{dataset}_cameras_") and name.endswith("_params"):
                kind = name.removeprefix(f"{dataset}_cameras_").removesuffix("_params")
                found[f"{dataset}_{kind}s"] = ast.literal_eval(node.value)
    return found


def _camera(lens: Mapping[str, Any], place: Mapping[str, Any]) -> Camera:
    def numbers(table: Mapping[str, Any], key: str, count: int) -> np.ndarray | None:
        if key not in table:
            return None
        values = np.array(table[key], float)
        if values.shape != (count,) or not np.isfinite(values).all():
            raise ValueError(f"{key} of camera {lens['id']} is not {count} numbers")
        return values

    if "orientation" not in place or "translation" not in place:
        raise ValueError(f"camera {lens['id']} has no place in the world")
    orientation, position = numbers(place, "orientation", 4), numbers(place, "translation", 3)
    if abs(np.linalg.norm(orientation) - 1) > 1e-3:
        raise ValueError(f"the orientation of camera {lens['id']} is no unit quaternion")
    return Camera(
        str(lens["id"]), (int(lens["res_w"]), int(lens["res_h"])), orientation, position / 1000,
        numbers(lens, "focal_length", 2), numbers(lens, "center", 2),
        numbers(lens, "radial_distortion", 3), numbers(lens, "tangential_distortion", 2),
    )  # fmt: skip
