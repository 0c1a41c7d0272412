"""Variants by name: a room's table maps "blazepose" to "detectors.blazepose:BlazePose"; nothing is imported before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from pipeline.errors import MissingError, UsageError


def choose(kind: str, name: str, table: Mapping[str, str]) -> Any:
    """Import what the table names: `module:attribute`, or a whole module.

    Raises:
        UsageError: there is no such variant; the nearest name is suggested.
    """
    check(kind, name, table)
    module, _, attribute = table[name].partition(":")
    loaded = import_module(module)
    return getattr(loaded, attribute) if attribute else loaded


def check(kind: str, name: str, table: Mapping[str, str]) -> None:
    """Raise UsageError when there is no such variant."""
    if name not in table:
        near = get_close_matches(name, table, n=1, cutoff=0.6)
        raise UsageError(f"no {kind} called {name!r}", f"known: {', '.join(table)}", near[0] if near else "")


def variants(kind: str) -> Mapping[str, str]:
    """The table of a room: of detectors, trackers or lifters."""
    return getattr(import_module(f"{kind}s"), f"{kind}s".upper())


def chosen_class(kind: str, name: str) -> Any:
    """The class of a detector, tracker or lifter. Raises UsageError for an unknown name."""
    return choose(kind, name, variants(kind))


def require(kind: str, chosen: Any) -> None:
    """Raise MissingError when packages are not installed that a detector or tracker needs beside the base install."""
    for package in chosen.packages:
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError as error:
            text = f"the {kind} {chosen.name} needs {package}, which is not installed"
            raise MissingError(text, hint=chosen.install) from error


def versions(packages: Sequence[str]) -> dict[str, str | None]:
    """Of installed distributions; None: not installed under that name, as where another build takes its place."""
    found: dict[str, str | None] = dict.fromkeys(packages)
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def lifter_class(name: str, weights: Path | None) -> Any:
    """The class of a lifter for its own weights or for a file, to be made as `lifter_class(...)(weights=...)`.

    Raises UsageError for an unknown name.
    """
    released = import_module("lifters").RELEASED
    if weights is not None and weights.suffix.lower() != ".onnx" and name in released:
        return choose("lifter", name, released)
    return chosen_class("lifter", name)
