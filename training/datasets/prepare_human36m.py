"""Human3.6M as its holder offers it -> `data_3d_h36m.npz` and `data_2d_h36m_gt.npz`, the form of VideoPose3D.

3D is as recorded, 32 joints in the world. 2D is what the cameras of the user's table see of it, distortion included.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.files import atomic
from pipeline.skeletons import skeleton
from training.datasets import calibration
from training.datasets.arrays import numbers
from training.datasets.cameras import Camera
from training.datasets.human36m import CORRUPT, HOLDER, LAYOUT
from training.datasets.prepare import chosen, require, save_npz
from training.datasets.raw_files import load_cdf, load_hdf5, load_mat

Array = NDArray[np.floating]
Motions = dict[str, dict[str, Array]]  # subject -> action -> (T,32,3) float32 m in the world

SUBJECTS = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
MOTIONS = 30  # of each subject: 15 actions, twice
RENAMED = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}  # as papers call them


def prepare(raw: Path, out: Path, subjects: Collection[str] | None = None, cameras: Path | None = None) -> list[str]:
    """Convert what lies below `raw`; returns a line for each file written.

    Args:
        raw: holds S1/MyPoseFeatures/D3_Positions/*.cdf, or the *.cdf.mat made of them, or S1/MyPoses/3D_positions/*.h5,
            and so on.
        subjects: like S9; none: the seven with public poses.
        cameras: the camera table (see `calibration`); none: the one in `out` or `raw`. A copy of it ends in `out`.

    Raises:
        InputError: a file that is missing (named, with the licence holder's address), damaged or laid out differently.
        MissingError: h5py or cdflib is needed and not installed.
        UsageError: an unknown subject.
        OutputError: no permission, no space.
    """
    table = cameras or calibration.find(LAYOUT.table, out, raw)
    places = calibration.load_cameras(table, LAYOUT.table)
    motions = {subject: _motions(raw, subject) for subject in chosen(subjects, SUBJECTS)}
    views = {subject: _views(actions, places, table, subject) for subject, actions in motions.items()}
    body = skeleton(LAYOUT.skeleton)
    metadata = {"num_joints": len(body), "keypoints_symmetry": [list(body.left), list(body.right)]}
    space, flat = out / f"data_3d_{LAYOUT.name}.npz", out / f"data_2d_{LAYOUT.name}_gt.npz"
    copy = out / calibration.names(LAYOUT.table)[table.suffix == ".py"]
    with atomic(space) as first, atomic(flat) as second, atomic(copy) as third:
        save_npz(first, positions_3d=motions)
        save_npz(second, positions_2d=views, metadata=metadata)
        shutil.copyfile(table, third)
    count = sum(map(len, motions.values()))
    frames = sum(len(motion) for actions in motions.values() for motion in actions.values())
    return [f"{path}: {len(motions)} subjects, {count} motions, {frames} frames" for path in (space, flat)]


def _motions(raw: Path, subject: str) -> dict[str, Array]:
    """Motions of a subject by action. Raises InputError."""
    found = {}
    for path, read in _files(raw, subject):
        action = path.name.partition(".")[0]
        for name, papers in RENAMED.items():
            action = action.replace(name, papers)
        if (subject, action) != CORRUPT:
            found[action] = (read(path).astype(np.float64) / 1000).astype(np.float32)
    return found


def _files(raw: Path, subject: str) -> Iterator[tuple[Path, Callable[[Path], Array]]]:
    """The files of a subject's motions and how they are read: the first form of which there is any."""
    for pattern, read in FORMS.items():
        if paths := sorted(raw.glob(f"{subject}/{pattern}")):
            if len(paths) != MOTIONS:
                hint = f"get the rest from {HOLDER}, or choose others by --subjects"
                raise InputError(f"{paths[0].parent} holds {len(paths)} motions", f"expected are {MOTIONS}", hint)
            yield from ((path, read) for path in paths)
            return
    require(raw, f"{subject}/{next(reversed(FORMS))}", HOLDER)


def _from_cdf(path: Path) -> Array:
    pose = load_cdf(path, "Pose")
    return numbers(pose[0] if pose.ndim == 3 and len(pose) == 1 else pose, path, "Pose", None, 96).reshape(-1, 32, 3)


def _from_mat(path: Path) -> Array:
    """What MATLAB's reader of CDF gives: a cell `data` with the pose."""
    cell = load_mat(path, ["data"])["data"]
    pose = cell.flat[0] if cell.dtype == object and cell.size == 1 else cell
    return numbers(pose, path, "data", None, 96).reshape(-1, 32, 3)


def _from_hdf5(path: Path) -> Array:
    """Frames are the last axis."""
    positions = numbers(load_hdf5(path, ["3D_positions"])["3D_positions"], path, "3D_positions", 96, None)
    return positions.reshape(32, 3, -1).transpose(2, 0, 1)


FORMS: Mapping[str, Callable[[Path], Array]] = {  # what needs least to be installed comes first
    "MyPoseFeatures/D3_Positions/*.cdf.mat": _from_mat,
    "MyPoses/3D_positions/*.h5": _from_hdf5,
    "MyPoseFeatures/D3_Positions/*.cdf": _from_cdf,
}


def _views(
    actions: Mapping[str, Array], places: Mapping[str, list[Camera]], table: Path, subject: str
) -> dict[str, list[Array]]:
    """By action, one (T,17,2) float32 px for each camera. Raises InputError: cameras or lenses that are not known."""
    if not places.get(subject):
        raise InputError(f"{table} has no cameras of {subject}", f"it has those of {', '.join(places) or 'nobody'}")
    try:
        return {
            action: [_seen(camera, motion[:, LAYOUT.kept].astype(np.float64)) for camera in places[subject]]
            for action, motion in actions.items()
        }
    except ValueError as error:
        raise InputError(f"cannot project by the cameras in {table}", str(error)) from error


def _seen(camera: Camera, world: Array) -> Array:
    return camera.to_pixels(camera.to_camera(world)).astype(np.float32)
