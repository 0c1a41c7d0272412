"""Files that other programs open. One module a format, found by name, with `write(scene, path)`."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from pipeline.errors import UsageError

EXPORTERS: dict[str, str] = {"npz": "exporters.npz", "csv": "exporters.csv"}


def load(name: str) -> ModuleType:
    """The module that writes that format; imported only now. Raises UsageError for an unknown name."""
    if name not in EXPORTERS:
        raise UsageError(f"unknown export format {name!r}", hint=f"one of: {', '.join(EXPORTERS)}")
    return import_module(EXPORTERS[name])
