"""What a user can choose for a run, in one place: the same names on the command line and in Python."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from pipeline.choices import check, chosen_class, variants
from pipeline.errors import UsageError
from pipeline.sources import RESULTS

FORMATS = tuple(RESULTS)
PEOPLE = ("all", "largest", "longest", "central", "complete", "first")  # trackers/select.py
SYNC = ("auto", "none")
MOVING = ("auto", "all", "none")
OF_VIEWS = ("cameras", "sync", "moving", "name")
OF_DETECTOR = ("keypoints", "model", "detector_weights", "device")
DEVICES = ("auto", "cpu", "cuda")
_LIKELY = {".npz": "npz", ".json": "alphapose"}  # whose file it is likely to be; a folder OpenPose's


@dataclass(frozen=True)
class Options:
    """Choices of one run; `formats` is what is written beside report.json."""

    out: Path = Path("outputs")
    detector: str = "blazepose"
    model: str | None = None  # which of the detector's models; None: its own choice
    detector_weights: Path | None = None  # of the detector: a file in the place of its own
    device: str = "auto"  # of the detector: auto, cpu or cuda
    keypoints: Path | None = None  # a file or folder, or a folder of these, for a detector that reads its people
    tracker: str = "offline"
    lifter: str = "videopose3d"
    weights: Path | None = None  # of the lifter: a file in the place of its own
    person: str = "all"  # one of `PEOPLE`, or an id
    height_m: float | None = None  # standing height of the first person; None: a population mean
    fov_deg: float | None = None  # field of view across the longer side
    focal_px: float | None = None
    cutoff_hz: float = 6.0  # of the zero-phase filter; 0 switches it off
    formats: tuple[str, ...] = ("mp4", "npz", "csv")
    overwrite: bool = False  # do every stage again
    strict: bool = False  # nobody found is an error
    cameras: Path | None = None  # of several views: a rig that is known
    sync: str = "auto"  # of several views: none takes the clips for synchronous, or as the rig says
    moving: str = "auto"  # which of several unknown cameras move: auto looks, all, none
    name: str | None = None  # of the folder of several views; None: after the first view

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown:
            raise UsageError(f"unknown format {unknown[0]!r}", f"known: {', '.join(FORMATS)}")
        for kind in ("detector", "tracker", "lifter"):
            check(kind, getattr(self, kind), variants(kind))
        self._check_detector()
        if self.person not in PEOPLE and not re.fullmatch("0|[1-9][0-9]{0,9}", self.person):
            raise UsageError(f"unknown choice of person {self.person!r}", hint=f"{', '.join(PEOPLE)} or a number")
        for option, known in (("sync", SYNC), ("moving", MOVING)):
            if getattr(self, option) not in known:
                raise UsageError(f"--{option} {getattr(self, option)}", f"known: {', '.join(known)}")
        if self.name is not None and not re.fullmatch(r"[^/\\\0]*[^/\\\0.][^/\\\0]*", self.name):
            raise UsageError(f"--name {self.name!r} cannot be a folder's name")
        if self.cameras is not None and self.moving == "all":
            raise UsageError("--moving is of cameras that are unknown", "those of a rig stand still", "no --cameras")
        if self.fov_deg is not None and self.focal_px is not None:
            raise UsageError("--fov and --focal say the same thing twice", hint="give one of them")
        _within("--height", self.height_m, 0.3, 3.0, "metres")
        _within("--fov", self.fov_deg, 5, 170, "degrees")
        _within("--focal", self.focal_px, 1, 1e6, "pixels")
        _within("--cutoff", self.cutoff_hz, 0, 1000, "Hz")

    @property
    def detector_choices(self) -> dict[str, Any]:
        """What of the options the detector is made with."""
        given = {name: getattr(self, name) for name in OF_DETECTOR}
        return {name: value for name, value in given.items() if value != getattr(Options, name)}

    def _check_detector(self) -> None:
        from_files = import_module("detectors").FROM_FILES
        if self.detector in from_files and self.keypoints is None:
            raise UsageError(f"--detector {self.detector} reads keypoints from files", hint="--keypoints PATH")
        if self.detector not in from_files and self.keypoints is not None:
            likely = _LIKELY.get(self.keypoints.suffix.lower(), "openpose")
            why = f"those that read them are {', '.join(from_files)}"
            raise UsageError(f"--detector {self.detector} finds keypoints itself", why, f"--detector {likely}")
        if self.device not in DEVICES:
            raise UsageError(f"--device {self.device}", f"known: {', '.join(DEVICES)}")
        if choices := self.detector_choices:
            has = signature(chosen_class("detector", self.detector)).parameters
            for name in choices:
                if name not in has:
                    raise _not_of(self.detector, name)


def _not_of(detector: str, choice: str) -> UsageError:
    option = f"--{choice.replace('_', '-')}"
    with_it = [name for name in variants("detector") if choice in signature(chosen_class("detector", name)).parameters]
    return UsageError(f"--detector {detector} has no {option}", f"those that have it are {', '.join(with_it)}")


def of_one_clip(options: Options) -> None:
    """Raise UsageError where something is chosen that only several views of a scene have."""
    given = [f"--{name}" for name in OF_VIEWS if getattr(options, name) != getattr(Options, name)]
    if given:
        text = f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} of several cameras"
        raise UsageError(text, hint="--views, if the clips show one scene")


def _within(name: str, value: float | None, low: float, high: float, unit: str) -> None:
    if value is not None and not low <= value <= high:
        raise UsageError(f"{name} {value:g} is not between {low:g} and {high:g} {unit}")
