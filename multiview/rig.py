"""Rig files: the cameras of a scene, read and written in the formats of the field. `FORMATS` is the table of them.

Always kept: names, intrinsics, five distortion coefficients, poses. What else a format holds, and where it lies:

| format | size | fisheye | 8 coefficients | skew | clock | units, axes |
|---|---|---|---|---|---|---|
| pose2sim | yes | yes | yes | yes | yes (ours) | m |
| anipose | yes | yes | yes | yes | yes (ours) | mm as ours are written; told, else judged |
| freemocap | yes | yes | yes | yes | yes (ours) | mm |
| freemocap-json | yes | refused | refused | refused | yes (ours) | mm |
| qualisys | yes | refused | refused | yes | lost | mm; looks along -z |
| easymocap | yes | refused | yes | yes | yes (ours) | m |
| panoptic | yes | refused | refused | yes | yes (ours) | cm; its world is y down, turned to Z up |
| opencv | yes | yes (ours) | yes | yes | yes (ours) | m |

"Ours": an addition that other programs skip. A moving camera fits none of them. Caliscope's camera_array.toml and
OpenCV's stereo pairs are read, too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from multiview import rig_json, rig_opencv, rig_qca, rig_toml
from multiview.rig_camera import Fault, clock_told, extrinsics
from multiview.rig_checks import UNITS, check
from pipeline.errors import InputError, UsageError
from pipeline.results import Camera

log = logging.getLogger("videopose")
LARGEST = 16 << 20  # bytes; a rig of a thousand cameras has one


@dataclass(frozen=True)
class Format:
    """How a rig is written: `name` is what the file or folder is called beside others."""

    name: str
    write: Callable[[Path, Sequence[Camera]], None]
    clocks: bool = True  # has it a place for them?


FORMATS: dict[str, Format] = {
    "pose2sim": Format("cameras.toml", rig_toml.write_pose2sim),
    "anipose": Format("anipose.toml", rig_toml.write_anipose),
    "freemocap": Format("freemocap.toml", rig_toml.write_freemocap),
    "freemocap-json": Format("freemocap.json", rig_json.write_freemocap),
    "qualisys": Format("cameras.qca.txt", rig_qca.write, clocks=False),
    "easymocap": Format("easymocap", rig_opencv.write_easymocap),
    "panoptic": Format("panoptic.json", rig_json.write_panoptic),
    "opencv": Format("opencv", rig_opencv.write_opencv),
}


def read_rig(path: Path, unit: str | None = None) -> list[Camera]:
    """The cameras of a rig file or folder in metres; what was put right is logged as a warning. See `load_rig`."""
    cameras, warnings = load_rig(path, unit)
    for text in warnings:
        log.warning("%s: %s", path, text)
    return cameras


def load_rig(path: Path, unit: str | None = None) -> tuple[list[Camera], list[str]]:
    """The cameras of a rig file or folder in metres, names kept, and what was put right or looks wrong.

    The format is told by the content. A size of (0, 0) means that the file has none; `fit_rig` takes the video's.

    Args:
        path: a file; for EasyMocap its folder, intri.yml or extri.yml; for OpenCV also a folder of one file per camera.
        unit: m, cm or mm of the translations; None: what the file or its format says, else judged by the rig's size.

    Raises:
        InputError: it is missing, of no known format, cut off, or its cameras cannot be.
        UsageError: no such unit.
    """
    if unit is not None and unit not in UNITS:
        raise UsageError(f"unknown unit {unit!r}", f"known: {', '.join(UNITS)}")
    path = Path(path)
    try:
        cameras, told = _read(path)
        return check(cameras, unit or told)
    except Fault as fault:
        raise InputError(f"cannot use the cameras in {path}", fault.why, fault.hint) from None
    except OSError as error:
        raise InputError(f"cannot use the cameras in {path}", str(error), "check the name and permissions") from None


def _read(path: Path) -> tuple[list[Camera], str | None]:
    """By content: JSON begins with a brace, XML with an angle, OpenCV's YAML with %YAML; the rest is TOML."""
    if path.is_dir():
        return rig_opencv.read(_folder(path))
    text = _text(path)
    start = text.lstrip()[:4096]
    if start.startswith("<"):
        return rig_opencv.read({path.stem: text}) if "<opencv_storage" in start else rig_qca.read(text)
    if start.startswith(("%YAML", "---")) or path.suffix.lower() in (".yml", ".yaml"):
        pair = [path.with_name(name) for name in ("intri.yml", "extri.yml")]
        files = pair if path in pair and all(file.is_file() for file in pair) else [path]
        return rig_opencv.read({file.stem: _text(file) for file in files})
    return rig_json.read(text) if start.startswith("{") else rig_toml.read(text)


def _folder(folder: Path) -> dict[str, str]:
    pair = [folder / name for name in ("intri.yml", "extri.yml")]
    suffixes = rig_opencv.SUFFIXES
    some = sorted(file for file in folder.iterdir() if file.suffix.lower() in suffixes and file.is_file())
    files = pair if all(file.is_file() for file in pair) else some
    if not files:
        raise Fault("a folder without YAML or XML files", "the rig's file, or EasyMocap's folder with intri.yml")
    return {file.stem: _text(file) for file in files}


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise Fault("far too large for a rig", "the calibration's file")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise Fault("there is no such file", "check the name") from None
    except UnicodeDecodeError:
        raise Fault("it is no text", "the calibration's file: TOML, JSON, YAML, XML or .qca.txt") from None
    if not text.strip():
        raise Fault("the file is empty", "another copy of the file")
    return text


def write_rig(path: Path, cameras: Sequence[Camera], format: str) -> None:
    """Write a rig; `path` is a file, or for easymocap and opencv a folder.

    Raises:
        UsageError: no such format, a moving camera, a name twice, or what the format cannot hold.
        OutputError: it cannot be written.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown rig format {format!r}", f"known: {', '.join(FORMATS)}")
    for camera in cameras:
        extrinsics(camera)
    if not cameras or len({camera.name for camera in cameras}) < len(cameras):
        raise UsageError("cannot write the rig", "it needs cameras, each with a name of its own")
    FORMATS[format].write(Path(path), cameras)


def write_all(folder: Path, cameras: Sequence[Camera]) -> tuple[list[Path], list[str]]:
    """The rig in every format that can hold it, under the names of FORMATS; and what was left out, and why.

    Raises:
        UsageError: no format can hold it (a moving camera, a name twice).
        OutputError: it cannot be written.
    """
    written, left = [], []
    for format, about in FORMATS.items():
        try:
            write_rig(folder / about.name, cameras, format)
            written.append(folder / about.name)
            if not about.clocks and any(clock_told(camera) for camera in cameras):
                left.append(f"{about.name} has no place for the clocks' offsets and rates")
        except UsageError as error:
            if not written:
                raise
            left.append(f"not written as {format}: {error.what}")
    return written, left
