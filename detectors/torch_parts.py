"""What detectors on PyTorch share: where they run, and state dicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from checkpoints.torch_file import restricted
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
