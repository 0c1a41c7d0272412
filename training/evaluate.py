"""Predictions beside a data set -> the paper's table, ours and the published numbers.

What predictions look like: `training.predictions`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError, UsageError
from training import protocols
from training.datasets import egobody, human36m, humaneva, motionbert, mpi_inf_3dhp, ski_pose
from training.datasets.sequence import Sequence
from training.datasets.unpickle import load_npz
from training.predictions import motionbert_clips, root_relative, scored, windows, write_mat
from training.protocols import Scored, Table

Array = NDArray[np.floating]
PUBLISHED = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class Choice:
    """What of a data set is evaluated; None: what the papers take."""

    detector: str | None = None
    subjects: Collection[str] | None = None
    actions: Collection[str] | None = None  # beginnings of their names
    cameras: Path | None = None


@dataclass(frozen=True)
class Protocol:
    """How a data set is read and scored, and what of it papers take."""

    footing: str  # the key of the published numbers; {} stands for where the 2D comes from
    read: Callable[[Path, Choice], Iterator[Sequence]]
    pair: Callable[[Iterator[Sequence], Mapping[str, Array]], Iterator[Any]]  # with the stored predictions
    average: Callable[[Iterator[Any]], Table]
    detector: str = ""  # none: there is one kind of 2D and no camera table
    subjects: Collection[str] | None = None
    actions: Collection[str] = ("",)  # beginnings of their names


@dataclass(frozen=True)
class Result:
    """A table with what it is of; `published` are the papers' means on the same footing, of all its test set."""

    protocol: str
    footing: str
    table: Table
    published: tuple[dict[str, Any], ...]
    published_frames: int | None

    def as_json(self) -> str:
        """Everything; what sequences are too short for is null."""
        return json.dumps(_nulls(asdict(self)), indent=1, allow_nan=False)


def _nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nulls(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_nulls(inner) for inner in value]
    return None if isinstance(value, float) and isnan(value) else value


def evaluate(protocol: str, data: Path, predictions: Path, choice: Choice) -> Result:
    """Score stored predictions.

    Raises:
        UsageError: no such protocol, or choices that it does not have.
        InputError: data or predictions that are missing, damaged or do not fit each other.
    """
    found, stored = sequences(protocol, data, choice), load_npz(predictions)
    chosen = PROTOCOLS[protocol]
    try:
        table = chosen.average(chosen.pair(found, stored))
    except ValueError as error:
        raise InputError(f"cannot score {predictions}", str(error)) from error
    name = chosen.footing.format(choice.detector or chosen.detector)
    known = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    entry = known.get(name, {}) if choice.subjects is None and choice.actions is None else {}
    return Result(protocol, name, table, tuple(entry.get("results", ())), entry.get("frames"))


def sequences(protocol: str, data: Path, choice: Choice) -> Iterator[Sequence]:
    """The sequences that a protocol scores, or those chosen.

    Raises:
        UsageError: no such protocol, or choices that it does not have.
        InputError: data that are missing, damaged or laid out differently.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"no protocol called {protocol!r}", f"known: {', '.join(PROTOCOLS)}")
    chosen = PROTOCOLS[protocol]
    if not chosen.detector and (choice.detector is not None or choice.cameras is not None):
        raise UsageError(f"{protocol} has one kind of 2D and no camera table", "leave --keypoints and --cameras away")
    if not data.exists():
        raise InputError(f"no file or folder {data}")
    subjects = chosen.subjects if choice.subjects is None else choice.subjects
    full = replace(choice, detector=choice.detector or chosen.detector, subjects=subjects)
    return _wanted(chosen.read(data, full), choice.subjects, choice.actions or chosen.actions)


def _wanted(
    found: Iterator[Sequence], subjects: Collection[str] | None, actions: Collection[str]
) -> Iterator[Sequence]:
    for sequence in found:
        if sequence.action.startswith(tuple(actions)) and (subjects is None or sequence.subject in subjects):
            yield sequence


def _videopose3d(read: Callable[..., Iterator[Sequence]], data: Path, choice: Choice) -> Iterator[Sequence]:
    return read(_folder(data), choice.detector, choice.subjects, choice.cameras)


def _motionbert(data: Path, choice: Choice) -> Iterator[Sequence]:
    return motionbert.read(data / motionbert.FILE if data.is_dir() else data, "test")


def _mpi_inf_3dhp(data: Path, choice: Choice) -> Iterator[Sequence]:
    return mpi_inf_3dhp.read_test(_folder(data))


def _ski_pose(data: Path, choice: Choice) -> Iterator[Sequence]:
    return ski_pose.read(data)


def _egobody(data: Path, choice: Choice) -> Iterator[Sequence]:
    return egobody.read(data / "test" if (data / "test").is_dir() else data)


def _folder(data: Path) -> Path:
    """Of a data set that is named by one of its files."""
    return data if data.is_dir() else data.parent


def _relative(found: Iterator[Sequence], stored: Mapping[str, Array]) -> Iterator[Scored]:
    return root_relative(scored(found, stored))


def _windowed(found: Iterator[Sequence], stored: Mapping[str, Array]) -> Iterator[Scored]:
    return windows(scored(found, stored))


PROTOCOLS = {
    "human36m": Protocol(
        "human36m, 2D {}", partial(_videopose3d, human36m.read), _relative, protocols.human36m_videopose3d,
        "cpn_ft_h36m_dbb", ("S9", "S11"),
    ),
    "human36m-motionbert": Protocol(
        "human36m-motionbert", _motionbert, motionbert_clips, protocols.human36m_motionbert
    ),
    "humaneva": Protocol(
        "humaneva, 2D {}", partial(_videopose3d, humaneva.read), _relative, protocols.humaneva,
        "detectron_pt_coco", ("Validate/S1", "Validate/S2", "Validate/S3"), ("Walk", "Jog", "Box"),
    ),
    "mpi-inf-3dhp": Protocol("mpi-inf-3dhp", _mpi_inf_3dhp, scored, protocols.mpi_inf_3dhp),
    "ski-pose": Protocol("ski-pose", _ski_pose, _windowed, protocols.mdvpose),
    "egobody": Protocol("egobody", _egobody, _windowed, protocols.mdvpose),
}  # fmt: skip


def export_mat(path: Path, data: Path, predictions: Path) -> None:
    """MPI-INF-3DHP's `inference_data.mat` of stored predictions. Raises InputError."""
    try:
        write_mat(path, mpi_inf_3dhp.read_test(_folder(data)), load_npz(predictions))
    except ValueError as error:
        raise InputError(f"cannot use {predictions}", str(error)) from error


def text(result: Result) -> str:
    """The table for people to read: rows, mean, and what papers printed."""
    table, keys = result.table, list(result.table.mean)
    papers = "" if result.published_frames is None else f" (the papers' test set: {result.published_frames})"
    lines = [f"{result.footing}: {table.frames} frames{papers}"]
    rows = [*table.rows.items(), ("mean", table.mean)]
    rows += [(f"{row['method']} ({row['from']})", row) for row in result.published]
    wide = max(len(name) for name, _ in rows)
    lines.append(" " * wide + "".join(f"  {key}" for key in keys))
    for name, row in rows:
        cells = [f"{row[key]:.2f}" if key in row else "-" for key in keys]
        lines.append(
            f"{name:<{wide}}" + "".join(f"  {cell:>{len(key)}}" for key, cell in zip(keys, cells, strict=True))
        )
    return "\n".join(lines)
