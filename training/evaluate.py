"""Predictions beside a data set -> the paper's table, ours and the published numbers.

What predictions look like: `training.predictions`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError, UsageError
from training import protocols
from training.datasets import human36m, humaneva, motionbert, mpi_inf_3dhp, ski_pose
from training.datasets.sequence import Sequence
from training.datasets.unpickle import load_npz
from training.predictions import motionbert_clips, root_relative, scored, windows, write_mat
from training.protocols import Table

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
    if protocol not in PROTOCOLS:
        raise UsageError(f"no protocol called {protocol!r}", f"known: {', '.join(PROTOCOLS)}")
    if protocol not in DETECTORS and (choice.detector is not None or choice.cameras is not None):
        raise UsageError(f"{protocol} has one kind of 2D and no camera table", "leave --keypoints and --cameras away")
    if not data.exists():
        raise InputError(f"no file or folder {data}")
    stored = load_npz(predictions)
    footing, score = PROTOCOLS[protocol]
    detector = choice.detector or DETECTORS.get(protocol, "")
    try:
        table = score(data, stored, choice)
    except ValueError as error:
        raise InputError(f"cannot score {predictions}", str(error)) from error
    name = footing.format(detector)
    known = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    entry = known.get(name, {}) if choice.subjects is None and choice.actions is None else {}
    return Result(protocol, name, table, tuple(entry.get("results", ())), entry.get("frames"))


def _human36m(data: Path, stored: Mapping[str, Array], choice: Choice) -> Table:
    detector, subjects = choice.detector or DETECTORS["human36m"], choice.subjects or ("S9", "S11")
    sequences = human36m.read(_folder(data), detector, subjects, choice.cameras)
    return protocols.human36m_videopose3d(root_relative(scored(_wanted(sequences, choice), stored)))


def _humaneva(data: Path, stored: Mapping[str, Array], choice: Choice) -> Table:
    detector = choice.detector or DETECTORS["humaneva"]
    subjects = choice.subjects or ("Validate/S1", "Validate/S2", "Validate/S3")
    sequences = humaneva.read(_folder(data), detector, subjects, choice.cameras)
    return protocols.humaneva(root_relative(scored(_wanted(sequences, choice, ("Walk", "Jog", "Box")), stored)))


def _mpi_inf_3dhp(data: Path, stored: Mapping[str, Array], choice: Choice) -> Table:
    return protocols.mpi_inf_3dhp(scored(_wanted(mpi_inf_3dhp.read_test(_folder(data)), choice), stored))


def _ski_pose(data: Path, stored: Mapping[str, Array], choice: Choice) -> Table:
    return protocols.mdvpose(windows(scored(_wanted(ski_pose.read(data), choice), stored)))


def _motionbert(data: Path, stored: Mapping[str, Array], choice: Choice) -> Table:
    path = data / motionbert.FILE if data.is_dir() else data
    return protocols.human36m_motionbert(motionbert_clips(_wanted(motionbert.read(path, "test"), choice), stored))


PROTOCOLS: dict[str, tuple[str, Callable[[Path, Mapping[str, Array], Choice], Table]]] = {
    "human36m": ("human36m, 2D {}", _human36m),
    "human36m-motionbert": ("human36m-motionbert", _motionbert),
    "humaneva": ("humaneva, 2D {}", _humaneva),
    "mpi-inf-3dhp": ("mpi-inf-3dhp", _mpi_inf_3dhp),
    "ski-pose": ("ski-pose", _ski_pose),
}
DETECTORS = {"human36m": "cpn_ft_h36m_dbb", "humaneva": "detectron_pt_coco"}


def _folder(data: Path) -> Path:
    """Of a data set that is named by one of its files."""
    return data if data.is_dir() else data.parent


def _wanted(sequences: Iterator[Sequence], choice: Choice, usual: Collection[str] = ("",)) -> Iterator[Sequence]:
    actions = tuple(choice.actions or usual)
    for sequence in sequences:
        if sequence.action.startswith(actions) and (choice.subjects is None or sequence.subject in choice.subjects):
            yield sequence


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
