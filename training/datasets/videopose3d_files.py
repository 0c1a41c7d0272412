"""VideoPose3D's two files, `data_3d_NAME.npz` and `data_2d_NAME_DETECTOR.npz`, side by side with a camera table.

3D: key `positions_3d`, an object array with subject -> action -> (T,J,3) metres in the world. 2D: key `positions_2d`,
subject -> action -> list over cameras of (T,J,2..3) pixels, and `metadata` with `num_joints` and `keypoints_symmetry`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.skeletons import Skeleton, skeleton
from training.datasets import calibration
from training.datasets.arrays import mapping, numbers, require
from training.datasets.cameras import Camera
from training.datasets.sequence import Sequence
from training.datasets.unpickle import load_npz

Array = NDArray[np.floating]
Views = tuple[str, str, Array, list[Array]]  # subject, action, (T,J,3) m in the world, 2D of each camera


@dataclass(frozen=True)
class Layout:
    """What is peculiar to one data set."""

    title: str
    name: str  # in the names of its two files
    table: str  # in the names of its camera tables
    holder: str
    fps: float
    skeleton: str  # of the 3D
    stored: int  # joints in the file
    kept: tuple[int, ...]  # those of the skeleton, in its order
    detectors: Mapping[str, str]  # where 2D comes from -> its skeleton
    prepared: str = ""  # the name by which `prepare` makes the files; none: it does not


def read(
    layout: Layout, folder: Path, detector: str, subjects: Collection[str] | None, cameras: Path | None
) -> Iterator[Sequence]:
    """Every motion in front of each of its cameras, one after another; see the data sets' own `read`.

    Raises:
        InputError: a file that is missing (named, with the licence holder's address), damaged or laid out differently.
    """
    if detector not in layout.detectors:
        raise InputError(f"{layout.title} has no 2D called {detector}", f"known: {', '.join(layout.detectors)}")
    motions = require(folder / f"data_3d_{layout.name}.npz", layout.holder, layout.prepared)
    made = layout.prepared if detector == "gt" else ""
    keypoints = require(folder / f"data_2d_{layout.name}_{detector}.npz", layout.holder, made)
    table = cameras or calibration.find(layout.table, folder)
    places = calibration.load_cameras(table, layout.table)
    flat = layout.detectors[detector]
    for subject, action, joints, views in _walk(motions, keypoints, layout.stored, skeleton(flat), subjects):
        lenses = _lenses(places, table, keypoints, subject, len(views))
        world = joints[:, layout.kept].astype(np.float64)
        for lens, view in zip(lenses, views, strict=True):
            yield Sequence(
                subject, action, lens.name, view, lens.to_camera(world), world, lens, lens.size, layout.fps,
                skeleton_2d=flat, skeleton_3d=layout.skeleton,
            )  # fmt: skip


def _lenses(places: Mapping[str, list[Camera]], table: Path, keypoints: Path, subject: str, views: int) -> list[Camera]:
    """The cameras that a person (the last part of the subject's name) stood before, as many as there are views."""
    person = subject.rpartition("/")[2]
    lenses = places.get(person, [])
    if len(lenses) != views:
        raise InputError(f"{table} has {len(lenses)} cameras of {person}, {keypoints.name} {views}")
    return lenses


def _walk(
    path_3d: Path, path_2d: Path, joints: int, skeleton_2d: Skeleton, subjects: Collection[str] | None
) -> Iterator[Views]:
    """What both files hold of every motion, the 2D cut to the motion's length. Raises InputError."""
    positions = mapping(load_npz(path_3d, ["positions_3d"])["positions_3d"], path_3d, "positions_3d")
    flat = load_npz(path_2d, ["positions_2d", "metadata"])
    keypoints = mapping(flat["positions_2d"], path_2d, "positions_2d")
    _check_order(mapping(flat["metadata"], path_2d, "metadata"), path_2d, skeleton_2d)
    if missing := [subject for subject in subjects or () if subject not in positions]:
        raise InputError(f"{path_3d} has no subject {', '.join(missing)}", f"it has {', '.join(positions)}")
    for subject, actions in positions.items():
        if subjects is not None and subject not in subjects:
            continue
        for action, world in mapping(actions, path_3d, subject).items():
            place = f"{subject}/{action}"
            motion = numbers(world, path_3d, place, None, joints, 3)
            views = keypoints.get(subject, {}).get(action)
            if not isinstance(views, list | tuple) or not views:
                raise InputError(f"{path_2d} has no cameras of {place}", f"{path_3d.name} has its motion")
            yield subject, action, motion, [_view(v, path_2d, place, skeleton_2d, len(motion)) for v in views]


def _view(value: object, path: Path, place: str, skeleton_2d: Skeleton, frames: int) -> Array:
    channels = 3 if np.shape(value)[-1:] == (3,) else 2
    view = numbers(value, path, place, None, len(skeleton_2d), channels)
    if len(view) < frames:
        raise InputError(f"{path}: {place} has fewer frames than the motion", f"{len(view)} and {frames}")
    return view[:frames]  # videos go on for some frames after the motion capture ended


def _check_order(metadata: dict, path: Path, skeleton_2d: Skeleton) -> None:
    """The joint order that the file tells of must be the one its name stands for."""
    left, right = metadata.get("keypoints_symmetry", ((), ()))
    told = metadata.get("num_joints"), {*map(int, left)}, {*map(int, right)}
    if told != (len(skeleton_2d), {*skeleton_2d.left}, {*skeleton_2d.right}):
        why = f"its metadata tells of {told[0]} joints, left {sorted(told[1])}, right {sorted(told[2])}"
        raise InputError(f"{path} has other joints than {skeleton_2d.name}", why)
