"""Rigs in OpenCV's file format (YAML or XML): EasyMocap's intri.yml and extri.yml, one file per camera, stereo pairs.

All are world to camera. EasyMocap: `names`, and per name `K_`, `dist_` (or `D_`), `Rot_` (or the vector `R_`), `T_`,
`H_`, `W_`. Of OpenCV's own programs come `camera_matrix`, `distortion_coefficients` and, of a stereo pair, M1 D1 M2 D2
with R T from the first camera to the second, whose world is the first camera.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from multiview.rig_camera import UNKNOWN_SIZE, Fault, clock, clock_told, extrinsics, make, need, refuse
from pipeline.errors import UsageError
from pipeline.files import atomic
from pipeline.results import Camera

SUFFIXES = (".yml", ".yaml", ".xml")
_MATRIX = ("camera_matrix", "cameraMatrix", "Camera_Matrix", "K", "M")
_BEND = ("distortion_coefficients", "dist_coeffs", "distCoeffs", "Distortion_Coefficients", "dist", "D")


def read(texts: dict[str, str]) -> tuple[list[Camera], str | None]:
    """Cameras of one or several files {stem: text}; the unit is known if one tells. Raises Fault."""
    nodes = {stem: _plain(text) for stem, text in texts.items()}
    together: dict[str, Any] = {key: value for node in nodes.values() for key, value in node.items()}
    unit = together.get("unit") if together.get("unit") in ("m", "cm", "mm") else None
    if any(key.startswith("K_") for key in together):
        return _easymocap(together), unit
    if any(key in together for key in ("M1", "cameraMatrix1", "K1", "camera_matrix_1")):
        return _stereo(together), unit
    cameras = [(stem, node) for stem, node in nodes.items() if any(key in node for key in _MATRIX)]
    if not cameras:
        raise Fault("no camera matrix in it", "keys as OpenCV's or EasyMocap's programs write them")
    return [_camera(str(node.get("name", stem)), node) for stem, node in cameras], unit


def _plain(text: str) -> dict[str, Any]:
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        return {key: _value(storage.getNode(key)) for key in storage.root().keys()}  # noqa: SIM118
    except (cv2.error, SystemError) as error:
        raise Fault("OpenCV cannot read it: of another format, or cut off", "another copy of the file") from error


def _value(node: Any) -> Any:
    if node.isString():
        return node.string()
    if node.isInt() or node.isReal():
        return node.real()
    if node.isSeq():
        return [_value(node.at(i)) for i in range(node.size())]
    return node.mat()


def _easymocap(data: dict[str, Any]) -> list[Camera]:
    names = data.get("names")
    if not isinstance(names, list):
        names = [key[2:] for key in data if key.startswith("K_")]
    if not any(key.startswith(("R_", "Rot_")) for key in data):
        raise Fault("no rotations in it", "intri.yml and extri.yml side by side in one folder")
    cameras = []
    for name in map(str, names):
        where = f"camera {name}"
        size = data.get(f"W_{name}", 0), data.get(f"H_{name}", 0)
        turn, shift = need(data, f"Rot_{name}", f"R_{name}", camera=where), need(data, f"T_{name}", camera=where)
        matrix, bend = need(data, f"K_{name}", camera=where), need(data, f"dist_{name}", f"D_{name}", camera=where)
        cameras.append(make(name, matrix, bend, turn, shift, size, **clock(data, f"_{name}")))
    return cameras


def _camera(name: str, node: dict[str, Any]) -> Camera:
    where = f"camera {name}"
    turn = need(node, "R", "rvec", "rotation", "rotation_matrix", camera=where)
    shift = need(node, "T", "t", "tvec", "translation", "translation_vector", camera=where)
    bend = next((node[key] for key in _BEND if key in node), None)
    fisheye = bool(node.get("fisheye", 0))
    return make(name, need(node, *_MATRIX, camera=where), bend, turn, shift, _size(node), fisheye, **clock(node))


def _size(node: dict[str, Any]) -> Any:
    for size in ("image_size", "imageSize", "size"):
        if size in node:
            return np.ravel(node[size])
    wide = next((node[key] for key in ("image_width", "image_Width", "width") if key in node), 0)
    high = next((node[key] for key in ("image_height", "image_Height", "height") if key in node), 0)
    return (wide, high) if wide and high else UNKNOWN_SIZE


def _stereo(data: dict[str, Any]) -> list[Camera]:
    """The first camera is the world."""
    turn, shift = need(data, "R", camera="the stereo pair"), need(data, "T", camera="the stereo pair")
    poses = ((np.eye(3), np.zeros(3)), (turn, shift))
    cameras = []
    for number, pose in enumerate(poses, start=1):
        where = f"camera {number}"
        matrix = need(data, *(f"{key}{number}" for key in _MATRIX), f"camera_matrix_{number}", camera=where)
        bend = next((data[f"{key}{number}"] for key in _BEND if f"{key}{number}" in data), None)
        cameras.append(make(f"cam_{number}", matrix, bend, *pose, _size(data)))
    return cameras


def write_easymocap(folder: Path, cameras: Sequence[Camera]) -> None:
    """intri.yml and extri.yml. Raises UsageError (fisheye, moving, a colon in a name) and OutputError."""
    refuse(cameras, "EasyMocap's YAML", longest=8)
    names = "names:\n" + "".join(f"   - {_string(camera.name)}\n" for camera in cameras)
    inside, outside = [names], [names]
    for camera in cameras:
        name, (turn, shift) = camera.name, extrinsics(camera)
        if not name or set(name) & set(':"\\\n\r\t'):
            raise UsageError(f"camera {name!r} cannot be named in EasyMocap's YAML", hint="letters, digits, _ and -")
        inside += [_matrix(f"K_{name}", camera.matrix), _matrix(f"dist_{name}", camera.distortion[None])]
        inside += [f"W_{name}: {camera.size[0]}\n", f"H_{name}: {camera.size[1]}\n"] if camera.size[0] else []
        outside += [_matrix(f"R_{name}", cv2.Rodrigues(turn)[0]), _matrix(f"Rot_{name}", turn)]
        outside += [_matrix(f"T_{name}", shift[:, None])]
        outside += [f"{key}_{name}: {value!r}\n" for key, value in clock_told(camera).items()]
    _write(folder / "intri.yml", inside)
    _write(folder / "extri.yml", [*outside, 'unit: "m"\n'])


def write_opencv(folder: Path, cameras: Sequence[Camera]) -> None:
    """NAME.yml per camera. Raises UsageError (moving, names that are no file names) and OutputError."""
    for camera in cameras:
        if not camera.name or camera.name.startswith(".") or set(camera.name) & set('/\\:*?"<>|\n\r\t\0'):
            raise UsageError(f"camera {camera.name!r} cannot name a file", hint="letters, digits, _ and -")
    for camera in cameras:
        turn, shift = extrinsics(camera)
        parts = [f"name: {_string(camera.name)}\n", f"image_width: {camera.size[0]}\nimage_height: {camera.size[1]}\n"]
        parts += [_matrix("camera_matrix", camera.matrix), _matrix("distortion_coefficients", camera.distortion[None])]
        parts += [f"fisheye: {int(camera.fisheye)}\n", _matrix("R", turn), _matrix("T", shift[:, None]), 'unit: "m"\n']
        parts += [f"{key}: {value!r}\n" for key, value in clock_told(camera).items()]
        _write(folder / f"{camera.name}.yml", parts)


def _matrix(key: str, values: Any) -> str:
    rows, columns = values.shape
    cells = ", ".join(repr(float(value)) for value in np.ravel(values))
    return f"{key}: !!opencv-matrix\n   rows: {rows}\n   cols: {columns}\n   dt: d\n   data: [ {cells} ]\n"


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _write(path: Path, parts: Sequence[str]) -> None:
    with atomic(path) as temporary:
        temporary.write_text("%YAML:1.0\n---\n" + "".join(parts), encoding="utf-8")
