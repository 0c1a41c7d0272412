"""Checks that readers share: what a file holds must be what its layout says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Array = NDArray[np.floating]


def require(path: Path, holder: str, dataset: str = "") -> Path:
    """The path itself, when something is there.

    Args:
        dataset: the name by which `prepare` makes this file; none: it does not.

    Raises:
        InputError: nothing there; names the file and where its licence holder offers the data.
    """
    if not path.exists():
        made = f"run prepare {dataset}" if dataset else "convert what you get to this file's layout"
        hint = f"ask the holder for access, then {made} (docs/datasets.md)"
        raise InputError(f"no {path.name} in {path.parent}", f"the data set is offered by {holder}", hint)
    return path


def mapping(value: Any, path: Path, place: str) -> dict:
    """The value, when it is a dictionary that holds something. Raises InputError."""
    if not isinstance(value, dict) or not value:
        raise InputError(f"{path} is laid out differently", f"{place} should be a dictionary, not {_kind(value)}")
    return value


def numbers(value: Any, path: Path, place: str, *shape: int | None) -> Array:
    """The value as an array of real numbers; None in `shape` stands for any length.

    Raises:
        InputError: something else, or another shape.
    """
    array = np.asarray(value)
    fits = array.ndim == len(shape) and all(n is None or n == m for n, m in zip(shape, array.shape, strict=True))
    if array.dtype.kind not in "biuf" or not fits:
        expected = "(" + ",".join("frames" if n is None else str(n) for n in shape) + ")"
        raise InputError(f"{path} is laid out differently", f"{place} should be {expected} numbers, not {_kind(value)}")
    return array


def _kind(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
