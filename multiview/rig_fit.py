"""A rig put to videos: which camera filmed which, and its lens as it is in pictures of another size, cut or turned."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from multiview.rig_camera import UNKNOWN_SIZE, Fault
from multiview.rig_checks import lens
from pipeline.errors import InputError, UsageError
from pipeline.results import Array, Camera

Size = tuple[int, int]  # width, height px
CROPS = {"right": 0.0, "symmetric": 0.5, "left": 1.0}  # share of the missing pixels that lay left (or above)
TURNS = ("clockwise", "anticlockwise")
PADDING = 16  # px: encoders pad and crop to multiples of 8 or 16
CLEARLY = 0.5  # of the vertical: how much more upright one turn must be than the other


def fit_rig(
    cameras: Sequence[Camera],
    sizes: Sequence[Size],
    names: Sequence[str],
    crop: str = "right",
    turn: str | None = None,
) -> tuple[list[Camera], list[str]]:
    """One camera per video, in the videos' order and at their picture sizes, and warnings of what was assumed.

    Cameras are found by their name in the video's (cam_01 in take2_cam01.mp4, numbers compared as numbers), else taken
    in order when there are as many. A picture of the same shape is a scaled one. One up to 16 px narrower or lower is
    cut; one turned by 90 degrees has its camera turned, the way that holds it upright in a world with Z up.

    Args:
        cameras: still, in metres, as `read_rig` gives them.
        sizes: of the videos' pictures, after their rotation.
        names: the videos' file names or paths.
        crop: the side at which pixels are missing: right (and below), left (and above), or symmetric.
        turn: clockwise or anticlockwise, from the calibration's picture to the video's; None: judged.

    Raises:
        InputError: videos and cameras, or a picture and its camera, do not go together.
        UsageError: no such crop or turn.
    """
    if crop not in CROPS or turn not in (None, *TURNS):
        raise UsageError(f"unknown crop {crop!r} or turn {turn!r}", f"known: {', '.join((*CROPS, *TURNS))}")
    chosen, warnings = _assigned(cameras, names)
    fitted = []
    for camera, size, name in zip(chosen, sizes, names, strict=True):
        result, text = _sized(camera, (int(size[0]), int(size[1])), name, crop, turn)
        try:
            warnings += [text] * bool(text) + [t for t in lens(result) if result is not camera and not lens(camera)]
        except Fault as fault:
            raise InputError(f"camera {camera.name} does not fit {name}", fault.why, fault.hint) from None
        fitted.append(result)
    return fitted, warnings


# ---- who filmed what ------------------------------------------------------------------------------------------------


def _assigned(cameras: Sequence[Camera], names: Sequence[str]) -> tuple[list[Camera], list[str]]:
    found = [_by_name(cameras, name) for name in names]
    known = [camera for camera in found if camera is not None]
    twice = len({id(camera) for camera in known}) < len(known)
    if len(known) == len(names) and not twice:
        unused = [camera.name for camera in cameras if all(camera is not other for other in known)]
        return known, [f"no video of camera {', '.join(unused)}"] if unused else []
    ours, theirs = ", ".join(camera.name for camera in cameras), ", ".join(names)
    if len(cameras) != len(names):
        text = f"{len(names)} videos ({theirs}) and {len(cameras)} cameras ({ours}) do not go together by name"
        raise InputError(text, hint="videos called like their cameras, or one for every camera in the rig's order")
    if twice or any(f is not None and f is not camera for f, camera in zip(found, cameras, strict=True)):
        text = f"the videos' names ({theirs}) contradict the rig's order ({ours})"
        hint = "videos called like their cameras; or is the rig another's?"
        raise InputError("cannot tell which camera filmed which video", text, hint)
    return list(cameras), [f"cameras are taken in the rig's order: {ours} filmed {theirs}"]


def _by_name(cameras: Sequence[Camera], name: str) -> Camera | None:
    """The camera whose name is in the file's, or else in its folder's; the longest of several; None: none, or a tie."""
    path = Path(name)
    for words in (_words(path.stem), _words(path.parent.name)):
        lengths = [_length(_words(camera.name), words) for camera in cameras]
        best = max(lengths, default=0)
        if best and lengths.count(best) == 1:
            return cameras[lengths.index(best)]
    return None


def _words(text: str) -> list[str]:
    """Words and numbers: cam_01 and cam1 are both cam, 1."""
    found = re.findall(r"[^\W\d_]+|\d+", text.lower())
    return [str(int(word)) if word.isdecimal() else word for word in found]


def _length(part: Sequence[str], whole: Sequence[str]) -> int:
    """Number of words of `part` if they follow each other in `whole`, else 0."""
    places = range(len(whole) - len(part) + 1)
    return len(part) if any(whole[i : i + len(part)] == part for i in places) else 0


# ---- how it was filmed ----------------------------------------------------------------------------------------------


def _sized(camera: Camera, size: Size, name: str, crop: str, turn: str | None) -> tuple[Camera, str]:
    """The camera at the video's size and what was assumed, empty when nothing. Raises InputError."""
    if camera.size == size:
        return camera, ""
    here = f"{Path(name).name} ({size[0]}x{size[1]})"
    if camera.size == UNKNOWN_SIZE:
        return replace(camera, size=size), f"{camera.name}: the rig does not tell the picture size: that of {here}"
    there = f"camera {camera.name} ({camera.size[0]}x{camera.size[1]})"
    for fit in (_scaled, _cropped):
        result, text = fit(camera, size, crop)
        if result is not None:
            return result, f"{camera.name}: {here} against the rig's {camera.size[0]}x{camera.size[1]}: {text}"
    flat = (size[1], size[0])
    if _shape_fits(camera.size, flat):
        way = turn or _upright_turn(camera, here)
        result, _ = _sized(turned(camera, way), size, name, crop, turn)
        text = f"{here} is taken for the rig's {camera.size[0]}x{camera.size[1]} turned {way} by 90 degrees"
        return result, f"{camera.name}: {text}"
    text = f"{here} and {there} are pictures of different shapes"
    raise InputError("the rig does not fit a video", text, "the size at which the rig was calibrated, or its own rig")


def _shape_fits(calibrated: Size, size: Size) -> bool:
    blank = Camera(np.eye(3), calibrated)
    return calibrated == size or any(fit(blank, size, "right")[0] is not None for fit in (_scaled, _cropped))


def _scaled(camera: Camera, size: Size, _: str) -> tuple[Camera | None, str]:
    """Another size of the same shape, but for the rounding of one side to a whole or even pixel."""
    factors = np.divide(size, camera.size)
    uneven = np.abs(np.multiply(camera.size, factors[::-1]) - size)
    if uneven.min() > 1.0 or (np.abs(np.subtract(size, camera.size)) <= PADDING).all():
        return None, ""
    matrix = np.array(camera.matrix, np.float64)
    matrix[:2] *= factors[:, None]
    matrix[:2, 2] += (factors - 1) / 2  # whole numbers are the middles of pixels
    return replace(camera, matrix=matrix, size=size), f"its lens is scaled by {factors.mean():.4g}"


def _cropped(camera: Camera, size: Size, crop: str) -> tuple[Camera | None, str]:
    """Some pixels cut, or padded at right and below."""
    missing = np.subtract(camera.size, size)
    if np.abs(missing).max() > PADDING:
        return None, ""
    matrix = np.array(camera.matrix, np.float64)
    matrix[:2, 2] -= CROPS[crop] * np.maximum(missing, 0)
    side = {"right": "at right or below", "left": "at left or above", "symmetric": "half at either side"}[crop]
    parts = [f"{count} px of {axis}" for count, axis in zip(missing, ("width", "height"), strict=True) if count > 0]
    cut = f"{' and '.join(parts)} are taken to be cut {side}" if parts else ""
    pad = "some px are taken to be padded at right and below" if missing.min() < 0 else ""
    return replace(camera, matrix=matrix, size=size), ", ".join(text for text in (cut, pad) if text)


def turned(camera: Camera, way: str) -> Camera:
    """The camera whose picture is this one's turned by 90 degrees; it sees the same rays.

    Raises:
        InputError: pixels with a skew, which cannot be turned.
    """
    (fx, skew, cx), (_, fy, cy) = np.asarray(camera.matrix, np.float64)[:2]
    if skew:
        raise InputError(f"camera {camera.name} has a skew and another orientation than its video")
    (width, height), right = camera.size, way == "clockwise"
    middle = (height - 1 - cy, cx) if right else (cy, width - 1 - cx)
    turn = np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]])
    pose = np.array(camera.camera_to_world, np.float64)
    pose[..., :3, :3] = pose[..., :3, :3] @ (turn.T if right else turn)
    bend = np.array(camera.distortion, np.float64)
    if not camera.fisheye:  # the tangential part turns along
        bend[2], bend[3] = (bend[3], -bend[2]) if right else (-bend[3], bend[2])
    matrix: Array = np.array([[fy, 0, middle[0]], [0, fx, middle[1]], [0, 0, 1]])
    return replace(camera, matrix=matrix, size=(height, width), distortion=bend, camera_to_world=pose)


def _upright_turn(camera: Camera, where: str) -> str:
    """The turn after which the camera stands upright in a world with Z up. Raises InputError."""
    ups = [-turned(camera, way).camera_to_world[2, 1] for way in TURNS]
    if abs(ups[0] - ups[1]) < CLEARLY:
        hint = "turn the video back to the calibration's orientation, or give a calibration of its own"
        raise InputError(f"{where} is turned against camera {camera.name}", "which way is not to be seen", hint)
    return TURNS[int(np.argmax(ups))]
