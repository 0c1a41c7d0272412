"""Which of the tracks to go on with."""

from __future__ import annotations

import numpy as np

from pipeline.errors import UsageError
from pipeline.results import Array, Track2D
from pipeline.skeletons import skeleton

SEEN = 0.3  # score from which a joint counts as seen
BODY = ("nose", *(f"{side}_{joint}" for joint in ("shoulder", "hip", "knee", "ankle") for side in ("left", "right")))
SETTLED = 5  # frames of which more than half must show somebody whole, so that one lucky frame decides nothing


def select(tracks: list[Track2D], rule: str, size: tuple[int, int]) -> list[Track2D]:
    """The tracks that a rule names, with whole tracks compared, so that the choice never changes on the way.

    `all`; `largest`: highest in the picture, median over time; `longest`: seen in most frames; `central`: nearest to
    the picture's middle, absent frames counting as its corner; `complete`: most of the body in view, summed over the
    frames; `first`: of those whole at the first moment that shows anybody whole, the one who covers the largest area;
    or an id.

    Args:
        size: (w, h) px of the picture.

    Raises:
        UsageError: an unknown rule, an id that no track has, or `first` where nobody is ever seen whole.
    """
    if rule == "all":
        return list(tracks)
    if rule == "first":
        return _first_whole(tracks, size)
    values = {
        "largest": _height,
        "longest": lambda track: float(track.observed.sum()),
        "central": lambda track: _nearness(track, size),
        "complete": lambda track: float(_in_view(track, size).mean(axis=1).sum()),
    }
    if rule in values:
        return sorted(tracks, key=lambda track: (-values[rule](track), track.id))[:1]
    if not rule.isdecimal():
        raise UsageError(
            f"unknown choice of person {rule!r}",
            hint="all, largest, longest, central, complete, first or a person's number",
        )
    chosen = [track for track in tracks if track.id == int(rule)]
    if not chosen:
        there = ", ".join(str(track.id) for track in tracks) or "nobody"
        raise UsageError(f"no person {rule} in this clip", f"people found: {there}", "--person all shows everyone")
    return chosen


def _height(track: Track2D) -> float:
    """px: the median extent of the visible keypoints along the larger side."""
    extent = _extent(track)
    extent = extent[np.isfinite(extent).all(axis=1)]
    return float(np.median(extent.max(axis=1))) if len(extent) else 0.0


def _extent(track: Track2D) -> Array:
    """(T,2) px: width and height of the visible keypoints; NaN where none is seen."""
    seen = (track.scores > SEEN) & np.isfinite(track.keypoints).all(axis=-1) & track.observed[:, None]
    low = np.where(seen[..., None], track.keypoints, np.inf).min(axis=1)
    high = np.where(seen[..., None], track.keypoints, -np.inf).max(axis=1)
    return np.where(seen.any(axis=1)[:, None], high - low, np.nan)


def _nearness(track: Track2D, size: tuple[int, int]) -> float:
    """Sum over the frames of how much nearer to the middle than a corner the box is, in [0,1] each."""
    middle = (track.boxes[track.observed, :2] + track.boxes[track.observed, 2:]) / 2
    away = np.linalg.norm(middle - np.array(size) / 2, axis=1) / np.hypot(*size) * 2
    return float(np.clip(1 - away, 0, 1).sum())


def _in_view(track: Track2D, size: tuple[int, int]) -> Array:
    """(T,B) bool: the joints of `BODY` that are seen and inside the picture."""
    joints = [index for index, name in enumerate(skeleton(track.skeleton).joints) if name in BODY]
    points = track.keypoints[:, joints]
    inside = (points >= 0).all(axis=-1) & (points <= np.array(size) - 1).all(axis=-1)  # NaN is not
    return inside & (track.scores[:, joints] > SEEN) & track.observed[:, None]


def _first_whole(tracks: list[Track2D], size: tuple[int, int]) -> list[Track2D]:
    """Raises UsageError."""
    if not tracks:
        return []
    began = [_whole_from(track, size) for track in tracks]
    if all(frame is None for frame in began):
        why = "nose, shoulders, hips, knees and ankles are never all in view"
        raise UsageError("nobody in this clip is seen whole", why, "--person complete, or largest")
    moment = min(frame for frame in began if frame is not None)

    def area(track: Track2D) -> float:
        at = moment - int(track.frames[0])
        return float(np.nan_to_num(_extent(track)[at].prod())) if 0 <= at < len(track) else 0.0

    whole = [track for track, frame in zip(tracks, began, strict=True) if frame is not None and frame <= moment]
    return sorted(whole, key=lambda track: (-area(track), track.id))[:1]


def _whole_from(track: Track2D, size: tuple[int, int]) -> int | None:
    """The first frame of the clip that shows the body whole, as most of the frames after it do; None: there is none."""
    whole = _in_view(track, size).all(axis=1)
    for at in np.flatnonzero(whole):
        if 2 * whole[at : at + SETTLED].sum() > min(SETTLED, len(whole) - at):
            return int(track.frames[at])
    return None
