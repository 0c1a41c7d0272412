"""Where detectors on PyTorch run."""

from __future__ import annotations

from typing import Any

from pipeline.errors import MissingError


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
