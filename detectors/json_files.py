"""Reading JSON that somebody else wrote: what is no JSON, and what are no numbers, is told."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.results import Array

LONG = 20  # numbers in a list


def content(file: Path) -> bytes:
    """Raises InputError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}", str(error)) from error


def load_json(file: Path, hint: str) -> Any:
    """What the file holds. Raises InputError: it cannot be read, is cut off, or names something twice."""
    try:
        return json.loads(content(file), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {file}", f"no JSON, or cut off: {error}", hint) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; its long lists of numbers as arrays, which take a quarter of the memory."""
    made = {name: _compact(value) for name, value in pairs}
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{ascii(twice)[:60]} is there twice")
    return made


def _compact(value: Any) -> Any:
    if type(value) is list and len(value) >= LONG and type(value[0]) in (int, float):
        with suppress(ValueError, TypeError, OverflowError):
            array = np.array(value)
            return array if array.dtype.kind in "iuf" and array.ndim == 1 else value
    return value


def numbers(values: Any, file: Path, hint: str, what: str = "keypoints") -> Array:
    """JSON's lists of numbers as float64. Raises InputError for anything else, and for lists of different lengths."""
    try:
        made = np.array([] if values is None else values)
        if made.dtype.kind not in "iuf":
            raise ValueError
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise InputError(f"cannot read {file}", f"{what} that are no numbers", hint) from None
    return made.astype(np.float64)
