"""Rigs as JSON: CMU Panoptic's calibration and FreeMoCap's with quaternions.

Panoptic: `K`, `distCoef`, `R`, `t` world to camera in centimetres, y down; we turn its world so that Z is up.
FreeMoCap: `intrinsics` fx fy cx cy k1 k2 p1 p2 and `extrinsics` with a quaternion w x y z, millimetres.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from multiview.rig_camera import UNKNOWN_SIZE, Fault, clock, clock_told, extrinsics, make, need, numbers, refuse
from pipeline.files import atomic
from pipeline.results import Array, Camera

Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # Panoptic's points, as rows, times this are ours


def read(text: str) -> tuple[list[Camera], str | None]:
    """Cameras in the file's units, and the unit. Raises Fault."""
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise Fault(f"no JSON, or cut off: {error}", "another copy of the file") from None
    cameras = data.get("cameras") if isinstance(data, dict) else None
    if isinstance(cameras, dict):
        cameras = [{"name": name} | table for name, table in cameras.items() if isinstance(table, dict)]
    if not isinstance(cameras, list) or not all(isinstance(camera, dict) for camera in cameras):
        raise Fault("it has no list of `cameras`", "Panoptic's calibration_*.json, or FreeMoCap's calibration")
    if cameras and all("extrinsics" in camera for camera in cameras):
        return [_freemocap(camera) for camera in cameras], "mm"
    return [_panoptic(number, camera) for number, camera in enumerate(cameras)], "cm"


def _panoptic(number: int, table: dict[str, Any]) -> Camera:
    name = str(table.get("name", f"cam_{number}"))
    where = f"camera {name}"
    turn = numbers(need(table, "R", camera=where), (3, 3), what=f"R of {where}") @ Z_UP
    matrix, shift = need(table, "K", camera=where), need(table, "t", camera=where)
    size = table.get("resolution", UNKNOWN_SIZE)
    return make(name, matrix, table.get("distCoef"), turn, shift, size, **clock(table))


def write_panoptic(path: Path, cameras: Sequence[Camera]) -> None:
    """Centimetres, y down. Raises UsageError, OutputError."""
    refuse(cameras, "Panoptic's JSON")
    rows = []
    for camera in cameras:
        turn, shift = extrinsics(camera)
        rows.append(
            {
                "name": camera.name,
                "type": "hd",
                "resolution": list(camera.size),
                "panel": 0,
                "node": len(rows),
                "K": camera.matrix.tolist(),
                "distCoef": camera.distortion[:5].tolist(),
                "R": (turn @ Z_UP.T).tolist(),
                "t": (100 * shift)[:, None].tolist(),
            }
            | clock_told(camera)
        )
    _write(path, {"cameras": rows})


def _freemocap(table: dict[str, Any]) -> Camera:
    name = str(need(table, "name", "id", camera="a camera"))
    where = f"camera {name}"
    inside, outside = need(table, "intrinsics", camera=where), need(table, "extrinsics", camera=where)
    if not isinstance(inside, dict) or not isinstance(outside, dict):
        raise Fault(f"{where}: intrinsics and extrinsics must be tables")
    fx, fy, cx, cy = (numbers(need(inside, key, camera=where), (), what=f"{key} of {where}") for key in _FOCAL)
    bend = [inside.get(key, 0.0) for key in ("k1", "k2", "p1", "p2", "k3")]
    turn = _turn(need(outside, "quaternion_wxyz", camera=where), where)
    shift, size = need(outside, "translation", camera=where), table.get("image_size", UNKNOWN_SIZE)
    matrix = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
    return make(name, matrix, bend, turn, shift, size, **clock(table))


_FOCAL = ("fx", "fy", "cx", "cy")


def _turn(value: Any, where: str) -> Array:
    quaternion = np.ravel(numbers(value, what=f"the quaternion of {where}"))
    if quaternion.shape != (4,) or abs(np.linalg.norm(quaternion) - 1) > 1e-2:
        raise Fault(f"the quaternion of {where} is no unit quaternion w x y z: {quaternion.tolist()}")
    return Rotation.from_quat(quaternion[[1, 2, 3, 0]]).as_matrix()


def write_freemocap(path: Path, cameras: Sequence[Camera]) -> None:
    """Millimetres, quaternions. Raises UsageError, OutputError."""
    refuse(cameras, "FreeMoCap's JSON", skew=False)
    rows = []
    for camera in cameras:
        turn, shift = extrinsics(camera)
        (fx, _, cx), (_, fy, cy) = camera.matrix[:2].tolist()
        inside = {"fx": fx, "fy": fy, "cx": cx, "cy": cy}
        inside |= dict(zip(("k1", "k2", "p1", "p2", "k3"), camera.distortion[:5].tolist(), strict=True))
        outside = {
            "quaternion_wxyz": Rotation.from_matrix(turn).as_quat()[[3, 0, 1, 2]].tolist(),
            "translation": (1000 * shift).tolist(),
        }
        row = {"name": camera.name, "image_size": list(camera.size), "intrinsics": inside, "extrinsics": outside}
        rows.append(row | clock_told(camera))
    _write(path, {"cameras": rows})


def _write(path: Path, data: dict[str, Any]) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
