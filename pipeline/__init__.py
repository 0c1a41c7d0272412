"""Video in, 3D human motion out: `from pipeline import run; scene = run("clip.mp4")`."""

from __future__ import annotations

from typing import Any

VERSION = "0.1.0"  # the same as in pyproject.toml


def __getattr__(name: str) -> Any:
    """Import the run only when it is asked for: the data classes stay free of every heavy package."""
    if name in ("run", "run_views"):
        from pipeline import runner

        return getattr(runner, name)
    raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
