"""Per-frame people to one 2D track per person. A tracker is one class in one file, found by name in `TRACKERS`."""

from __future__ import annotations

from importlib import import_module

from pipeline.errors import UsageError

TRACKERS: dict[str, tuple[str, str]] = {"offline": ("trackers.offline", "OfflineTracker")}


def load(name: str) -> type:
    """The tracker class of that name; its module is imported only now. Raises UsageError for an unknown name."""
    if name not in TRACKERS:
        raise UsageError(f"unknown tracker {name!r}", hint=f"one of: {', '.join(TRACKERS)}")
    module, attribute = TRACKERS[name]
    return getattr(import_module(module), attribute)
