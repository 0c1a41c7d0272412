"""Rigs as Qualisys writes them: .qca.txt, an XML of millimetres and 64ths of a pixel.

Its camera looks along -z with y up, and its matrix, read by rows, turns the world into that frame; ours is turned by
half a turn about x. Its distortion counts 64ths too, as Pose2Sim reads it. Where a picture is binned, the numbers are
those of the whole sensor: `fit_rig` scales them. It has no place for a time offset, and none for fisheye lenses.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as tree
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from multiview.rig_camera import Fault, extrinsics, make, numbers, refuse
from pipeline.files import atomic
from pipeline.results import Array, Camera

STEP = 64.0
FLIP = np.diag([1.0, -1.0, -1.0])
_BEND = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2", "radialDistortion3")
_FOV = ("fov_marker", "fov_marker_max", "fov_video", "fov_video_max")


def read(text: str) -> tuple[list[Camera], str | None]:
    """Cameras in millimetres, which is Qualisys' unit; inactive ones are left out. Raises Fault."""
    try:
        root = tree.fromstring(text)
    except tree.ParseError as error:
        raise Fault(f"no XML, or cut off: {error}", "another copy of the file") from None
    if root.tag != "calibration":
        raise Fault(f"an XML of another kind: <{root.tag}>", "Qualisys' .qca.txt")
    found = [c for c in root.iter("camera") if c.get("active", "1") not in ("0", "false")]
    return [_camera(element, number) for number, element in enumerate(found)], "mm"


def _camera(element: tree.Element, number: int) -> Camera:
    name = element.get("serial") or f"cam_{number}"
    inside, pose = element.find("intrinsic"), element.find("transform")
    if inside is None or pose is None:
        raise Fault(f"camera {name} is not calibrated: no intrinsic or no transform", "calibrate in QTM, or disable it")
    left, top, width, height = _picture(element, inside, name)
    fx, fy, skew = (_value(inside, key, name) / STEP for key in ("focalLengthU", "focalLengthV", "skew"))
    cx, cy = (_value(inside, f"centerPoint{key}", name) / STEP for key in "UV")
    turn = FLIP @ np.array([[_value(pose, f"r{row}{column}", name) for column in (1, 2, 3)] for row in (1, 2, 3)])
    place = np.array([_value(pose, key, name) for key in "xyz"])
    matrix = [[fx, skew, cx - left], [0, fy, cy - top], [0, 0, 1]]
    bend = [_value(inside, key, name) / STEP for key in _BEND]
    return make(name, matrix, bend, turn, -turn @ place, (width, height))


def _picture(element: tree.Element, inside: tree.Element, name: str) -> Array:
    """Left, top, width, height px of the video's part of the sensor, or else of the sensor."""
    window = element.find("fov_video")
    if window is None:
        width, height = (math.ceil((_value(inside, f"sensorMax{key}", name) + 1) / STEP) for key in "UV")
        return np.array([0, 0, width, height])
    left, top, right, bottom = (_value(window, key, name) for key in ("left", "top", "right", "bottom"))
    return np.array([left, top, right - left + 1, bottom - top + 1])


def _value(element: tree.Element, key: str, name: str) -> float:
    given = element.get(key)
    if given is None:
        raise Fault(f"camera {name} has no {key} in <{element.tag}>")
    try:
        return float(numbers(float(given), (), what=f"{key} of camera {name}"))
    except ValueError as error:
        raise error if isinstance(error, Fault) else Fault(f"{key} of camera {name} is no number: {given!r}") from None


def write(path: Path, cameras: Sequence[Camera]) -> None:
    """Raises UsageError (fisheye, more than five distortion coefficients, moving) and OutputError."""
    refuse(cameras, "Qualisys' .qca.txt")
    root = tree.Element("calibration", {"type": "regular", "source": path.name})
    group = tree.SubElement(root, "cameras")
    for camera in cameras:
        element = tree.SubElement(group, "camera", {"active": "1", "serial": camera.name, "viewrotation": "0"})
        right, bottom = (str(side - 1) for side in camera.size)
        for tag in _FOV:
            tree.SubElement(element, tag, {"left": "0", "top": "0", "right": right, "bottom": bottom})
        tree.SubElement(element, "transform", _transform(camera))
        tree.SubElement(element, "intrinsic", _intrinsic(camera))
    tree.indent(root)
    with atomic(path) as temporary:
        tree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def _transform(camera: Camera) -> dict[str, str]:
    turn, place = FLIP @ extrinsics(camera)[0], 1000 * np.asarray(camera.camera_to_world, np.float64)[:3, 3]
    cells = {f"r{i + 1}{j + 1}": repr(float(turn[i, j])) for i in range(3) for j in range(3)}
    return cells | {key: repr(float(value)) for key, value in zip("xyz", place, strict=True)}


def _intrinsic(camera: Camera) -> dict[str, str]:
    (fx, skew, cx), (_, fy, cy) = camera.matrix[:2]
    values = {"focalLengthU": fx, "focalLengthV": fy, "centerPointU": cx, "centerPointV": cy, "skew": skew}
    values |= dict(zip(_BEND, camera.distortion[:5], strict=True))
    values |= {"sensorMinU": 0, "sensorMinV": 0, "sensorMaxU": camera.size[0] - 1, "sensorMaxV": camera.size[1] - 1}
    return {key: repr(float(value) * STEP) for key, value in values.items()}
