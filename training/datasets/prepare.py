"""What the conversions of raw distributions share: finding files, choosing subjects, writing NumPy files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError, UsageError


def require(raw: Path, name: str, holder: str) -> Path:
    """A file of a raw distribution by its path below `raw`.

    Raises:
        InputError: nothing there; names the file and where its licence holder offers it.
    """
    if not (raw / name).exists():
        hint = "get it there, or name the folder that holds it"
        raise InputError(f"no {name} in {raw}", f"the data set is offered by {holder}", hint)
    return raw / name


def chosen(wanted: Collection[str] | None, known: Sequence[str]) -> list[str]:
    """The known subjects, or those that are wanted of them. Raises UsageError."""
    if unknown := [name for name in wanted or () if name not in known]:
        raise UsageError(f"no subject {', '.join(unknown)}", f"known: {', '.join(known)}")
    return [name for name in known if wanted is None or name in wanted]


def no_cameras(cameras: Path | None, title: str) -> None:
    """Raise UsageError when a camera table is given for a data set that needs none."""
    if cameras is not None:
        raise UsageError(f"{title} needs no camera table", hint="leave --cameras away")


def save_npz(path: Path, **values: Any) -> None:
    """Write dictionaries as 0-d object arrays, as the papers' files hold them."""
    np.savez_compressed(path, **{key: np.array(value, dtype=object) for key, value in values.items()})
