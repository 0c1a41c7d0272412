"""Rigs as TOML: Pose2Sim, Anipose, FreeMoCap and, to read, Caliscope. A table with `matrix` is a camera.

World to camera, `rotation` as a vector in rad or a matrix. Pose2Sim writes metres, FreeMoCap millimetres; Anipose has
the units of its board, and ours say them (`metadata.unit`). `time_offset_s` and `clock_rate` are additions that others
skip.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from multiview.rig_camera import UNKNOWN_SIZE, Fault, clock, clock_told, extrinsics, make, need, short_distortion
from pipeline.files import atomic
from pipeline.results import Camera

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read(text: str) -> tuple[list[Camera], str | None]:
    """Cameras in the file's units, and the unit if the file tells. Raises Fault."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Fault(f"no TOML, or cut off: {error}", "another copy of the file") from None
    numbered = data.get("cameras")
    tables: dict[str, Any] = data
    if isinstance(numbered, dict) and any(_is_camera(table) for table in numbered.values()):
        tables = {f"cam_{key}": table for key, table in numbered.items()}
    found = {key: table for key, table in tables.items() if _is_camera(table) and not table.get("ignore", False)}
    if not found:
        raise Fault("no camera in it: no table has a `matrix`", "the calibration's TOML, not its settings")
    return [_camera(key, table) for key, table in found.items()], _unit(data, list(found.values()))


def _is_camera(table: Any) -> bool:
    return isinstance(table, dict) and "matrix" in table


def _camera(key: str, table: dict[str, Any]) -> Camera:
    name = str(table.get("name", key))
    where = f"camera {name}"
    size = next((table[k] for k in ("size", "image_size") if k in table), UNKNOWN_SIZE)
    fisheye = table.get("fisheye", False)
    if not isinstance(fisheye, bool):
        raise Fault(f"`fisheye` of {where} is {fisheye!r} instead of true or false")
    turn, shift = need(table, "rotation", camera=where), need(table, "translation", camera=where)
    bend = need(table, "distortions", "distortion", camera=where)
    return make(name, table["matrix"], bend, turn, shift, size, fisheye, **clock(table))


def _unit(data: dict[str, Any], tables: Sequence[dict[str, Any]]) -> str | None:
    metadata = data.get("metadata")
    if isinstance(metadata, dict) and metadata.get("unit") in ("m", "cm", "mm"):
        return metadata["unit"]
    return "mm" if all("world_position" in table for table in tables) else None  # FreeMoCap's own addition


def write_pose2sim(path: Path, cameras: Sequence[Camera], error_px: float | None = None) -> None:
    """Metres, tables named as the cameras; the reprojection error where it is known. Raises UsageError, OutputError."""
    tables = {camera.name: _table(camera, short_distortion(camera), 1.0) for camera in cameras}
    _write(path, tables, {"adjusted": False} | ({} if error_px is None else {"error": float(error_px)}))


def write_anipose(path: Path, cameras: Sequence[Camera]) -> None:
    """Millimetres, tables cam_0, cam_1 ... Raises UsageError, OutputError."""
    tables = {f"cam_{i}": _table(c, list(c.distortion), 1000.0) for i, c in enumerate(cameras)}
    _write(path, tables, {"adjusted": False, "unit": "mm"})


def write_freemocap(path: Path, cameras: Sequence[Camera]) -> None:
    """Anipose's, tables named as the cameras, with each camera's place and axes. Raises UsageError, OutputError."""
    tables = {}
    for camera in cameras:
        turn, _ = extrinsics(camera)
        place = camera.camera_to_world[:3, 3] * 1000
        more = {"world_orientation": turn.T.tolist(), "world_position": place.tolist()}
        tables[camera.name] = _table(camera, list(camera.distortion), 1000.0) | more
    _write(path, tables, {"adjusted": False, "unit": "mm"})


def _table(camera: Camera, bend: Sequence[float], scale: float) -> dict[str, Any]:
    turn, shift = extrinsics(camera)
    return {
        "name": camera.name,
        "size": [float(side) for side in camera.size],
        "matrix": camera.matrix.tolist(),
        "distortions": [float(value) for value in bend],
        "rotation": cv2.Rodrigues(turn)[0].ravel().tolist(),
        "translation": (shift * scale).tolist(),
        "fisheye": camera.fisheye,
    } | clock_told(camera)


def _write(path: Path, tables: dict[str, dict[str, Any]], metadata: dict[str, Any]) -> None:
    lines = []
    for key, table in [*tables.items(), ("metadata", metadata)]:
        lines.append(f"[{key if re.fullmatch('[A-Za-z0-9_-]+', key) else _text(key)}]")
        lines += [f"{name} = {_text(value)}" for name, value in table.items()]
        lines.append("")
    with atomic(path) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")


def _text(value: Any) -> str:
    """Strings, booleans, numbers and lists are written in TOML as in JSON."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
