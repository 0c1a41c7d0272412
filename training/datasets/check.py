"""What a file or folder of training data holds, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.skeletons import skeleton
from training.datasets import egobody, human36m, humaneva, motionbert, mpi_inf_3dhp, open_mocap, ski_pose
from training.datasets.sequence import Sequence
from training.datasets.unpickle import npz_keys
from training.metrics import bone_lengths

KNOWN = (
    "data_3d_h36m.npz, data_3d_humaneva15.npz, data_train_3dhp.npz, data_test_3dhp.npz, "
    f"{motionbert.FILE}, folders of clips (*.pkl), labels.h5, folders of EgoBody (*.npz), open_mocap.npz"
)
LONGEST_BONE = 1.0  # m; the longest bone of a person, thigh or trunk, is half of it
FITS_EXACT, FITS_DETECTED = 2.0, 50.0  # px, median distance of 2D from the projection of the 3D


@dataclass(frozen=True)
class Part:
    """One thing that can be read: its data set, which part of it, and how."""

    dataset: str
    part: str
    read: Callable[[], Iterator[Sequence]]
    exact: bool = False  # its 2D was made from its 3D


@dataclass
class Found:
    """What a part holds."""

    dataset: str
    part: str
    sequences: int = 0
    frames: int = 0
    subjects: dict[str, int] = field(default_factory=dict)  # frames of each
    actions: set[str] = field(default_factory=set)
    cameras: set[str] = field(default_factory=set)
    fps: set[float | None] = field(default_factory=set)
    joints: set[str] = field(default_factory=set)
    views: dict[str, int] = field(default_factory=dict)  # cameras of each scene
    faults: list[str] = field(default_factory=list)


def check(path: Path) -> list[Found]:
    """Read all of it and say what it is.

    Raises:
        InputError: nothing there, or nothing that any reader knows.
    """
    return [_look(part) for part in parts(path)]


def parts(path: Path) -> list[Part]:
    """What in a file or folder can be read. Raises InputError."""
    if not path.exists():
        raise InputError(f"no file or folder {path}")
    folder, only = (path, None) if path.is_dir() else (path.parent, path.name)
    found = [part for names, part in _by_name(folder) if only is None or only in names]
    if not found and path.suffix == ".npz" and not set(open_mocap.KEYS) - set(npz_keys(path)):
        found = [Part("motion capture", path.name, partial(open_mocap.read, path))]
    if not found:
        raise InputError(f"nothing known in {path}", f"known are {KNOWN}")
    return found


def _by_name(folder: Path) -> Iterator[tuple[tuple[str, ...], Part]]:
    """Names of files in a folder and what they stand for."""
    for reader in (human36m, humaneva):
        name, title = reader.LAYOUT.name, reader.LAYOUT.title
        motions = f"data_3d_{name}.npz"
        flat = sorted(folder.glob(f"data_2d_{name}_*.npz"))
        for file in flat or [None] * (folder / motions).exists():
            detector = file.stem.removeprefix(f"data_2d_{name}_") if file else "gt"
            part = Part(title, f"2D: {detector}", partial(reader.read, folder, detector), exact=detector == "gt")
            yield (motions, file.name if file else ""), part
    for name, read in (("train", mpi_inf_3dhp.read_train), ("test", mpi_inf_3dhp.read_test)):
        if (folder / f"data_{name}_3dhp.npz").exists():
            yield (f"data_{name}_3dhp.npz",), Part("MPI-INF-3DHP", name, partial(read, folder))
    if (folder / motionbert.FILE).exists():
        for name in ("train", "test"):
            read = partial(motionbert.read, folder / motionbert.FILE, name)
            yield (motionbert.FILE,), Part("Human3.6M of MotionBERT", name, read)
    for inner in (folder, folder / "train", folder / "test"):
        if any(file.name != motionbert.FILE for file in inner.glob("*.pkl")):
            yield (), Part("clips of MotionBERT", inner.name, partial(motionbert.read_clips, inner))
        if (inner / "labels.h5").exists():
            yield (
                ("labels.h5",) if inner == folder else (),
                Part("Ski-Pose PTZ", inner.name, partial(ski_pose.read, inner)),
            )
        if any(not set(egobody.KEYS) - set(npz_keys(file)) for file in sorted(inner.glob("*.npz"))):
            yield (), Part("EgoBody", inner.name, partial(egobody.read, inner))
    for file in sorted(folder.glob("*.npz")):
        if not set(open_mocap.KEYS) - set(npz_keys(file)):
            yield (file.name,), Part("motion capture", file.name, partial(open_mocap.read, file))


def _look(part: Part) -> Found:
    found = Found(part.dataset, part.part)
    names: set[str] = set()
    try:
        for sequence in part.read():
            if sequence.name in names:
                found.faults.append(f"{sequence.name} is there twice")
            names.add(sequence.name)
            _count(found, sequence)
            found.faults += [f"{sequence.name}: {fault}" for fault in faults(sequence, part.exact)]
    except InputError as error:  # what could be read before it is told all the same
        found.faults.insert(0, str(error).replace("\n ", ";"))
    if not found.sequences and not found.faults:
        found.faults.append("it holds no sequence")
    return found


def _count(found: Found, sequence: Sequence) -> None:
    found.sequences += 1
    found.frames += len(sequence)
    found.subjects[sequence.subject] = found.subjects.get(sequence.subject, 0) + len(sequence)
    found.actions.add(sequence.action)
    found.cameras.add(sequence.camera)
    found.views[sequence.scene] = found.views.get(sequence.scene, 0) + 1
    found.fps.add(sequence.fps)
    where = f"px of {sequence.size[0]}x{sequence.size[1]}" if sequence.size else sequence.units
    if sequence.keypoints is not None:
        found.joints.add(f"2D {sequence.skeleton_2d}, {where}")
    if sequence.joints is not None or sequence.world is not None:
        found.joints.add(f"3D {sequence.skeleton_3d}, metres")


def faults(sequence: Sequence, exact: bool = False) -> list[str]:
    """What is wrong with one sequence, in words; `exact`: its 2D was made from its 3D."""
    if not len(sequence):
        return ["no frames"]
    found = []
    for name in ("keypoints", "joints", "world", "image_joints"):
        values = getattr(sequence, name)
        if values is not None and (bad := int((~np.isfinite(values)).any((-2, -1)).sum())):
            found.append(f"{bad} of {len(values)} frames of {name} hold what is no number")
    space = sequence.joints if sequence.joints is not None else sequence.world
    if space is not None and not found:
        longest = float(np.median(bone_lengths(space, skeleton(sequence.skeleton_3d).bones).max(-1)))
        if longest > LONGEST_BONE:
            found.append(f"bones of {longest:.0f} m: is this in metres?")
        if longest == 0:
            found.append("all joints in one place")
    apart = None if found else _misfit(sequence)
    if apart is not None and apart > (FITS_EXACT if exact else FITS_DETECTED):
        found.append(f"2D lies {apart:.0f} px from where the cameras see the 3D: other cameras or joints?")
    return found


def _misfit(sequence: Sequence) -> float | None:
    """Median distance in pixels of the 2D from the projection of the 3D; None where it cannot be told."""
    lens, points = sequence.lens, sequence.keypoints
    same = sequence.skeleton_2d == sequence.skeleton_3d
    if lens is None or lens.focal is None or points is None or sequence.joints is None or not same:
        return None
    apart: NDArray[np.floating] = np.linalg.norm(lens.to_pixels(sequence.joints) - points[..., :2], axis=-1)
    return float(np.median(apart))


def text(all_found: Iterable[Found], most_faults: int = 5) -> str:
    """For people to read."""
    lines = []
    for found in all_found:
        subjects = [f"{name} ({count} frames)" for name, count in found.subjects.items()]
        lines += [f"{found.dataset}, {found.part}"]
        rows = {
            "subjects": _listed(subjects),
            "actions": _listed(sorted(found.actions)),
            "cameras": _listed(sorted(found.cameras - {""})),
            "views": _several(found.views),
            "frames": f"{found.frames} in {found.sequences} sequences",
            "fps": ", ".join("not told" if fps is None else f"{fps:g}" for fps in sorted(found.fps, key=str)),
            "joints": "; ".join(sorted(found.joints)),
        }
        lines += [f"  {key:<9} {value}" for key, value in rows.items() if value]
        shown = found.faults[:most_faults] or ["none"]
        lines += [f"  {'faults' if i == 0 else '':<9} {fault}" for i, fault in enumerate(shown)]
        if len(found.faults) > most_faults:
            lines.append(f"  {'':<9} and {len(found.faults) - most_faults} more")
    return "\n".join(lines)


def _several(views: dict[str, int]) -> str:
    """How many cameras saw the same; nothing where none did."""
    if max(views.values(), default=0) < 2:
        return ""
    counts = sorted(set(views.values()))
    return f"{' or '.join(map(str, counts))} of each of {len(views)} scenes"


def _listed(names: list[str], most: int = 20) -> str:
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join(names[:most] + more)
