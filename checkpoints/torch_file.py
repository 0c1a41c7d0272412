"""Files of PyTorch, in its zip or its older form, opened without running anything in them."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from pipeline.errors import InputError


def restricted(path: Path, hint: str, known: Sequence[tuple[Any, str]] = ()) -> Any:
    """What a file of PyTorch holds, by PyTorch's restricted reader.

    Args:
        hint: which file would do.
        known: what stands for a class or function besides PyTorch's own plain ones, and the name in the file.

    Raises:
        InputError: no such file, damaged, or more than tensors and plain containers (nothing of it is run).
    """
    import torch

    check_torch_file(path, hint)
    try:
        with torch.serialization.safe_globals(list(known)), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        why = f"it asks for {asked[1]}, which is more than weights" if asked else "it is a pickle of more than weights"
        raise InputError(f"refused to open {path}", f"{why}; nothing was run", hint) from error
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"cannot read {path}", f"damaged or not whole: {first_line(error)}", hint) from error


def check_torch_file(path: Path, hint: str) -> None:
    """Tell what is no file of PyTorch before PyTorch stumbles over it. Raises InputError."""
    what = f"{path} is no file of PyTorch"
    try:
        with path.open("rb") as file:
            head = file.read(64)
        members: set[str] = set()
        if head.startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                members = {name.rpartition("/")[2] for name in archive.namelist()}
    except OSError as error:
        raise InputError(f"cannot read {path}", error.strerror or str(error), hint) from error
    except zipfile.BadZipFile as error:
        raise InputError(f"cannot read {path}", "the file was cut short", hint) from error
    if "constants.pkl" in members:
        raise InputError(what, "it is a TorchScript program", hint)
    if members and not {"data.pkl", "version"} <= members:
        raise InputError(what, f"a zip of something else ({', '.join(sorted(members)[:3])})", hint)
    if not members and not head.startswith(b"\x80"):
        begins = (head[:24].decode("utf-8", "replace").splitlines() or [""])[0]
        raise InputError(what, f"it begins with {begins!r}" if head else "the file is empty", hint)


def first_line(error: Exception) -> str:
    """Of what an error says, the beginning."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:160]
