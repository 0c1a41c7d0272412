"""Image to people with 2D keypoints. One class a detector, found by name, imported when it is chosen."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

from pipeline.errors import UsageError

DETECTORS = {"blazepose": ("detectors.blazepose", "BlazePose")}


def load(name: str, **options: Any) -> Any:
    """The detector of that name, built with `options` (the parameters of its constructor).

    Raises:
        UsageError: there is no such detector, or it has no such option.
    """
    if name not in DETECTORS:
        near = get_close_matches(name, DETECTORS, n=1, cutoff=0.4)
        hint = f"--detector {near[0]}" if near else ""
        raise UsageError(f"no detector called {name!r}", f"known: {', '.join(DETECTORS)}", hint)
    module, kind = DETECTORS[name]
    try:
        return getattr(import_module(module), kind)(**options)
    except TypeError as error:
        raise UsageError(f"the detector {name} cannot be built with {options}", str(error)) from error
