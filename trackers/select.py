"""Which of the tracks to go on with."""

from __future__ import annotations

import numpy as np

from pipeline.errors import UsageError
from pipeline.results import Track2D


def select(tracks: list[Track2D], rule: str) -> list[Track2D]:
    """`all`, `largest` (highest in the picture, median over time), `longest` (most frames seen) or an id.

    Raises:
        UsageError: an unknown rule, or an id that no track has.
    """
    if rule == "all":
        return list(tracks)
    if rule == "largest":
        return sorted(tracks, key=lambda t: (-_height(t), t.id))[:1]
    if rule == "longest":
        return sorted(tracks, key=lambda t: (-int(t.observed.sum()), t.id))[:1]
    if not rule.isdecimal():
        raise UsageError(f"unknown choice of person {rule!r}", hint="all, largest, longest or a person's number")
    chosen = [track for track in tracks if track.id == int(rule)]
    if not chosen:
        there = ", ".join(str(track.id) for track in tracks) or "nobody"
        raise UsageError(f"no person {rule} in this clip", f"people found: {there}", "--person all shows everyone")
    return chosen


def _height(track: Track2D) -> float:
    """px: the median extent of the visible keypoints along the larger side."""
    points = np.where((track.scores > 0.3)[..., None], track.keypoints, np.nan)[track.observed]
    seen = np.isfinite(points).any(axis=(1, 2)) if len(points) else np.zeros(0, bool)
    if not seen.any():
        return 0.0
    extent = np.nanmax(points[seen], axis=1) - np.nanmin(points[seen], axis=1)
    return float(np.median(extent.max(axis=1)))
