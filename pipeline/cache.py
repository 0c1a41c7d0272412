"""Results of stages on disk: `cache/<stage>-<key>.npz`, whole or absent, keyed by all that the stage depends on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pipeline.files import atomic
from pipeline.results import Detections, Motion3D, Track2D

ROOT = Path(__file__).parent.parent
T = TypeVar("T", Track2D, Motion3D)
KEPT = 3  # files per stage, for who tries options to and fro


def key(*parts: Any) -> str:
    """16 hex digits that change when one of the parts does."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


@cache
def code_version(*paths: str) -> str:
    """A hash of the source text of rooms or files, so that changed code never meets an old result."""
    digest = hashlib.sha256()
    for name in paths:
        path = ROOT / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


class StageCache:
    """The stage files of one clip."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, stage: str, stage_key: str) -> Path:
        return self.folder / f"{stage}-{stage_key}.npz"

    def load(self, stage: str, stage_key: str) -> dict[str, np.ndarray] | None:
        """The arrays of a finished stage, or None. A damaged file counts as absent and is removed."""
        path = self.path(stage, stage_key)
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except FileNotFoundError:
            return None
        except (ValueError, OSError, zipfile.BadZipFile, EOFError):
            path.unlink(missing_ok=True)
            return None

    def save(self, stage: str, stage_key: str, arrays: dict[str, Any]) -> None:
        """Write a stage's arrays under its key, and forget all but its newest other files.

        Raises:
            OutputError: the disk is full or the folder cannot be written.
        """
        path = self.path(stage, stage_key)
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
        others = [other for other in self.folder.glob(f"{stage}-*.npz") if other != path]
        for old in sorted(others, key=lambda other: other.stat().st_mtime_ns)[: 1 - KEPT]:
            old.unlink(missing_ok=True)

    def marked(self, stage: str, stage_key: str) -> dict[str, Any] | None:
        """What `mark` was told when this stage, whose result lies elsewhere, was finished with that key, or None."""
        try:
            noted = json.loads((self.folder / f"{stage}.done").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return noted if isinstance(noted, dict) and noted.get("key") == stage_key else None

    def mark(self, stage: str, stage_key: str, seconds: float) -> None:
        """Note that a stage is finished. Raises OutputError."""
        with atomic(self.folder / f"{stage}.done") as temporary:
            temporary.write_text(json.dumps({"key": stage_key, "seconds": seconds}), encoding="utf-8")

    def unmark(self, stage: str) -> None:
        """Before its result changes: a killed run must not leave a result under another's key."""
        (self.folder / f"{stage}.done").unlink(missing_ok=True)


def pack_detections(detections: Sequence[Detections], skeleton: str) -> dict[str, Any]:
    """All frames' people in one row of arrays, with the number of people per frame."""
    arrays: dict[str, Any] = {"skeleton": skeleton, "people": np.array([len(d) for d in detections], np.int32)}
    some = [d for d in detections if len(d)]
    for field in dataclasses.fields(Detections):
        values = [getattr(d, field.name) for d in some]
        if field.name != "skeleton" and values and values[0] is not None:
            arrays[field.name] = np.concatenate(values)
    return arrays


def unpack_detections(arrays: dict[str, np.ndarray]) -> list[Detections]:
    """The inverse of `pack_detections`."""
    ends = np.cumsum(arrays["people"])
    starts = ends - arrays["people"]
    columns = {name: value for name, value in arrays.items() if name not in ("people", "skeleton")}
    name = str(arrays["skeleton"])
    if not columns:
        return [_nobody(name) for _ in ends]
    return [
        Detections(skeleton=name, **{k: v[start:end] for k, v in columns.items()})
        for start, end in zip(starts, ends, strict=True)
    ]


def _nobody(skeleton: str) -> Detections:
    return Detections(
        skeleton,
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.float32),
        np.zeros((0, 0, 2), np.float32),
        np.zeros((0, 0), np.float32),
    )


def pack_people(people: Sequence[Track2D] | Sequence[Motion3D], prefix: str = "") -> dict[str, Any]:
    """Each person's fields under `<prefix><number>.<field>`."""
    arrays: dict[str, Any] = {f"{prefix}count": len(people)}
    for number, person in enumerate(people):
        for field in dataclasses.fields(person):
            value = getattr(person, field.name)
            if value is not None:
                arrays[f"{prefix}{number}.{field.name}"] = value
    return arrays


def unpack_people(arrays: dict[str, np.ndarray], of: type[T], prefix: str = "") -> list[T]:
    """The inverse of `pack_people` for `Track2D` or `Motion3D`."""
    hints = typing.get_type_hints(of)
    people = []
    for number in range(int(arrays[f"{prefix}count"])):
        start = f"{prefix}{number}."
        values = {name[len(start) :]: value for name, value in arrays.items() if name.startswith(start)}
        people.append(of(**{name: _restored(value, hints[name]) for name, value in values.items()}))
    return people


def _restored(value: np.ndarray, hint: Any) -> Any:
    """Scalars come back as what they were; arrays stay arrays."""
    is_array = isinstance(hint, types.UnionType) or typing.get_origin(hint) is np.ndarray
    return value if is_array else value.item()
