"""What a choice of `--model` or `--detector-weights` leads to."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from pipeline.errors import InputError, MissingError, UsageError

SKELETONS = {17: "coco-17", 26: "halpe-26", 133: "coco-133", 136: "halpe-136"}
T = TypeVar("T")


def model_of(detector: str, models: Mapping[str, T], model: str) -> T:
    """What the table has for a model. Raises UsageError that suggests the nearest."""
    if model not in models:
        near = [*get_close_matches(model, models, n=1, cutoff=0.4), ""][0]
        raise UsageError(f"--detector {detector} has no --model {model}", f"known: {', '.join(models)}", near)
    return models[model]


def existing(file: Path, hint: str) -> Path:
    """The file. Raises MissingError where there is none; `hint` tells which would do."""
    if not file.is_file():
        raise MissingError(f"no weights at {file}", "there is no such file", hint)
    return file


def found(weights: str | Path) -> Path:
    """The file itself, or the one that a card names. Raises MissingError."""
    from checkpoints.store import find

    return find(weights) if isinstance(weights, str) else weights


def named(joints: int, path: Path) -> str:
    """The skeleton of a network with that many joints. Raises InputError."""
    if joints not in SKELETONS:
        known = ", ".join(f"{count} ({name})" for count, name in SKELETONS.items())
        raise InputError(f"{path} has {joints} joints", f"known: {known}", "a network for bodies")
    return SKELETONS[joints]
