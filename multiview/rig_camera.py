"""From a rig file's numbers to cameras and back, with what can be wrong in them named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from pipeline.errors import UsageError
from pipeline.results import Array, Camera

UNKNOWN_SIZE = (0, 0)  # the file does not tell; `fit_rig` takes the video's
_LENGTHS = (1, 2, 4, 5, 8)  # of OpenCV's radial and tangential distortion that we know; 1 and 2 are k1 and k1 k2


class Fault(ValueError):
    """What is wrong in a rig file; `read_rig` makes an InputError of it that names the file."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.why, self.hint = why, hint


def numbers(value: Any, *shapes: tuple[int, ...], what: str) -> Array:
    """A float64 array of one of the shapes (any without shapes). Raises Fault."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise Fault(f"{what} is not a block of numbers") from None
    if not np.isfinite(array).all():
        raise Fault(f"{what} holds a number that is not finite", "calibrate this camera again")
    if shapes and array.shape not in shapes:
        wanted = " or ".join("x".join(map(str, shape)) for shape in shapes)
        raise Fault(f"{what} is {'x'.join(map(str, array.shape)) or 'one number'} instead of {wanted}")
    return array


def need(table: Any, *keys: str, camera: str) -> Any:
    """The value of the first key that is there. Raises Fault."""
    for key in keys:
        if key in table and table[key] is not None:
            return table[key]
    raise Fault(f"{camera} has no {' or '.join(keys)}", "a calibration with intrinsics and extrinsics of every camera")


def rotation_matrix(value: Any, camera: str) -> Array:
    """(3,3) of a matrix or a rotation vector in rad. Raises Fault."""
    array = np.squeeze(numbers(value, what=f"the rotation of {camera}"))
    if array.shape == (3,):
        if np.linalg.norm(array) > 2 * np.pi + 1e-6:
            text = f"the rotation vector of {camera} is {np.linalg.norm(array):.3g} long, more than a whole turn"
            raise Fault(text, "radians instead of degrees")
        return cv2.Rodrigues(array)[0]
    if array.shape != (3, 3):
        raise Fault(f"the rotation of {camera} is {array.shape} instead of 3x3 or a vector of 3")
    if np.abs(array @ array.T - np.eye(3)).max() > 5e-3:
        raise Fault(f"the rotation of {camera} is no rotation: its rows are not perpendicular unit vectors")
    if np.linalg.det(array) < 0:
        raise Fault(f"the rotation of {camera} is a mirror (determinant -1)", "an axis of its frame is reversed")
    if np.abs(array @ array.T - np.eye(3)).max() > 1e-9:  # printed with few digits
        u, _, vt = np.linalg.svd(array)
        return u @ vt
    return array


def make(
    name: str,
    matrix: Any,
    distortion: Any,
    rotation: Any,
    translation: Any,
    size: Any = UNKNOWN_SIZE,
    fisheye: bool = False,
    offset_s: Any = 0.0,
    rate: Any = 1.0,
) -> Camera:
    """A camera from world-to-camera extrinsics.

    Args:
        rotation: (3,3), or (3,) rad.
        translation: (3,) in the file's units.
        size: width, height px.
        offset_s, rate: scene time = offset + rate * time of the camera's own clock.

    Raises:
        Fault: numbers of another shape, not finite, or no rotation.
    """
    camera = f"camera {name}"
    pose = np.eye(4)
    turn = rotation_matrix(rotation, camera)
    shift = numbers(np.ravel(numbers(translation, what=f"the translation of {camera}")), (3,), what=f"t of {camera}")
    pose[:3, :3], pose[:3, 3] = turn.T, -turn.T @ shift
    width, height = numbers(size, (2,), what=f"the size of {camera}")
    return Camera(
        _intrinsics(matrix, camera),
        (round(float(width)), round(float(height))),
        _distortion(distortion, fisheye, camera),
        pose,
        "calibration",
        name,
        fisheye,
        float(numbers(offset_s, (), what=f"the time offset of {camera}")),
        _rate(rate, camera),
    )


def _rate(value: Any, camera: str) -> float:
    rate = float(numbers(value, (), what=f"the clock rate of {camera}"))
    if rate <= 0:
        raise Fault(f"the clock rate of {camera} is {rate:g}", "seconds of the scene per second of its clock, about 1")
    return rate


def clock(table: Mapping[str, Any], ending: str = "") -> dict[str, Any]:
    """What `make` takes of a camera's clock: `time_offset_s` and `clock_rate`, by default the scene's own."""
    return {"offset_s": table.get(f"time_offset_s{ending}", 0.0), "rate": table.get(f"clock_rate{ending}", 1.0)}


def clock_told(camera: Camera) -> dict[str, float]:
    """The same to be written, only what differs from the scene's clock."""
    told = {"time_offset_s": (float(camera.offset_s), 0.0), "clock_rate": (float(camera.rate), 1.0)}
    return {key: value for key, (value, usual) in told.items() if value != usual}


def _intrinsics(value: Any, camera: str) -> Array:
    matrix = numbers(value, (3, 3), what=f"the matrix of {camera}")
    if matrix[2, 2] == 0 or matrix[1, 0] != 0 or (matrix[2, :2] != 0).any():
        turned = np.allclose(np.tril(matrix), matrix) and (matrix[2, :2] != 0).all()
        why = "transposed" if turned else f"no camera matrix: {matrix.tolist()}"
        raise Fault(f"the matrix of {camera} is {why}", "fx 0 cx, 0 fy cy, 0 0 1")
    return matrix / matrix[2, 2]


def _distortion(value: Any, fisheye: bool, camera: str) -> Array:
    bend = np.ravel(numbers([] if value is None else value, what=f"the distortion of {camera}"))
    if fisheye:
        return numbers(bend, (4,), what=f"the fisheye distortion of {camera}")
    bend = bend[:8] if len(bend) in (12, 14) and not bend[8:].any() else bend  # thin prism and tilt, unused
    if len(bend) and len(bend) not in _LENGTHS:
        known = ", ".join(map(str, _LENGTHS))
        raise Fault(f"the distortion of {camera} has {len(bend)} numbers; known are {known} (k1 k2 p1 p2 k3 k4 k5 k6)")
    return np.pad(bend, (0, max(5 - len(bend), 0)))


def extrinsics(camera: Camera) -> tuple[Array, Array]:
    """(3,3) and (3,) m, world to camera.

    Raises:
        UsageError: a camera that moves, which no rig file can hold.
    """
    if np.ndim(camera.camera_to_world) != 2:
        raise UsageError(f"camera {camera.name} moves: a rig file holds one pose per camera", hint="poses.npz holds it")
    turn = np.asarray(camera.camera_to_world, np.float64)[:3, :3].T
    return turn, -turn @ np.asarray(camera.camera_to_world, np.float64)[:3, 3]


def short_distortion(camera: Camera) -> list[float]:
    """The distortion without the zeros at its end that OpenCV does not need: 4, 5 or 8 numbers."""
    bend = [float(value) for value in camera.distortion]
    return bend[:4] if not any(bend[4:]) else bend[:5] if not any(bend[5:]) else bend


def refuse(cameras: Sequence[Camera], format: str, longest: int = 5, skew: bool = True) -> None:
    """Raise UsageError when a camera has what the format cannot say: fisheye, rational distortion, skew."""
    for camera in cameras:
        reason = ""
        if camera.fisheye:
            reason = "is a fisheye"
        elif len(short_distortion(camera)) > longest:
            reason = f"has more than {longest} distortion coefficients"
        elif not skew and camera.matrix[0, 1]:
            reason = "has a skew"
        if reason:
            raise UsageError(f"camera {camera.name} {reason}, which {format} cannot hold", hint="the format pose2sim")
