"""What detectors on PyTorch share: where they run, and state dicts that are opened without running anything in them."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from pipeline.errors import InputError, MissingError


def torch_device(wish: str) -> Any:
    """The `torch.device` for auto, cpu or cuda; auto takes a graphics card where there is one.

    Raises:
        MissingError: cuda, and PyTorch finds no graphics card.
    """
    import torch

    there = torch.cuda.is_available()
    if wish == "cuda" and not there:
        why = "PyTorch was built without CUDA" if torch.version.cuda is None else "PyTorch finds no graphics card"
        raise MissingError("--device cuda cannot be had", why, "--device cpu, or NVIDIA's driver")
    return torch.device("cuda" if there and wish != "cpu" else "cpu")


def check_device(device: str) -> None:
    """Raise MissingError where cuda is asked for and PyTorch has none; PyTorch is imported for that alone."""
    if device == "cuda":
        torch_device(device)


def described(device: Any) -> str:
    """For the user: what a `torch.device` is."""
    import torch

    if device.type == "cuda":
        return f"PyTorch {torch.cuda.get_device_name(device)}, f32"
    return f"PyTorch CPU, f32, {torch.get_num_threads()} threads"


def state_dict(path: Path, hint: str) -> dict[str, Any]:
    """The tensors by name of a file that `torch.save` wrote, in its zip or its older form.

    Args:
        hint: which file would do.

    Raises:
        InputError: no such file, damaged, more than tensors (nothing of it is run), or none.
    """
    import torch

    held = restricted(path, hint)
    held = held.get("model", held.get("state_dict", held)) if isinstance(held, dict) else held
    if not isinstance(held, dict) or not held or not all(isinstance(part, torch.Tensor) for part in held.values()):
        raise InputError(f"no weights in {path}", "it holds something else than tensors by name", hint)
    return held


def restricted(path: Path, hint: str) -> Any:
    """What a file of PyTorch holds, by PyTorch's restricted reader.

    Raises:
        InputError: no such file, damaged, or more than tensors and plain containers (nothing of it is run).
    """
    import torch

    check_torch_file(path, hint)
    try:
        with warnings.catch_warnings():
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
            head = file.read(4)
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
    if members and "data.pkl" not in members:
        raise InputError(what, f"a zip of something else ({', '.join(sorted(members)[:3])})", hint)
    if not members and not head.startswith(b"\x80"):
        raise InputError(what, "the file is empty" if not head else f"it begins with {head!r}", hint)


def first_line(error: Exception) -> str:
    """Of what an error says, the beginning."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:160]
