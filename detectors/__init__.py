"""Image to people with 2D keypoints. One class a detector, found by name, imported when it is chosen.

A detector has `name`, `skeleton`, `weights` (names of cards), `device` (what it really runs on) and
`detect(clip, progress) -> list[Detections]`, one per frame.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from typing import Any

from pipeline.errors import UsageError

DETECTORS = {"blazepose": "detectors.blazepose:BlazePose"}


def load(name: str, **options: Any) -> Any:
    """The detector of that name, built with `options` (the parameters of its constructor).

    Raises:
        UsageError: there is no such detector, or it has no such option.
    """
    if name not in DETECTORS:
        near = get_close_matches(name, DETECTORS, n=1, cutoff=0.4)
        raise UsageError(f"no detector called {name!r}", f"known: {', '.join(DETECTORS)}", near[0] if near else "")
    module, _, attribute = DETECTORS[name].partition(":")
    kind = getattr(import_module(module), attribute)
    known = signature(kind).parameters
    if unknown := [option for option in options if option not in known]:
        raise UsageError(f"the detector {name} has no option {unknown[0]!r}", f"known: {', '.join(known)}")
    return kind(**options)
