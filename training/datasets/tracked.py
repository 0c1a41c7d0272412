"""Who is where in each frame of a clip, with ids: truth and predictions of tracks in one form, from files of the field.

Read are our own (`poses.npz`, the truth beside a studio clip), PoseTrack's and COCO's JSON with track ids, AlphaPose's
results with `idx`, MOTChallenge's text.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Array = NDArray[np.generic]
KNOWN = (
    "known: poses.npz, the truth of a studio clip (.npz), PoseTrack's or COCO's JSON with track_id, "
    "AlphaPose's JSON with idx, MOTChallenge's .txt"
)
TOO_FAR = 1e7  # px; no picture is that large


@dataclass(frozen=True)
class Tracked:
    """N sightings of people in a clip, in the order of their frames. NaN is what a file does not tell."""

    frames: Array  # (F,) int: frames that were looked at, people or not; the clip's first is 0
    frame: Array  # (N,) int, each one of `frames`
    ids: Array  # (N,) int
    boxes: Array  # (N,4) px, x1 y1 x2 y2
    scores: Array  # (N,) how sure
    ignored: Array  # (N,) bool: of truth, counts neither as missed nor, if found, as false
    areas: Array  # (N,) px^2
    heads: Array  # (N,) px, size of the head as PoseTrack and MPII have it: 0.6 of its box's diagonal
    skeleton: str | None = None
    keypoints: Array | None = None  # (N,J,2) px
    joint_scores: Array | None = None  # (N,J); of truth 1 where the joint is seen, less where it is hidden
    numbers: Array | None = None  # (F,) int: the pictures' own numbers, where the frames are named pictures
    regions: dict[int, list[Array]] = field(default_factory=dict)  # frame -> polygons (P,2) px nobody looked into

    def __len__(self) -> int:
        return len(self.frame)

    def rows(self, keep: Array) -> Tracked:
        """Some of the sightings, by index or mask."""
        per_row = [f.name for f in fields(self) if f.name not in ("frames", "skeleton", "numbers", "regions")]
        return replace(self, **{n: getattr(self, n)[keep] for n in per_row if getattr(self, n) is not None})


def people(frames: Array, frame: Array, ids: Array, **known: object) -> Tracked:
    """Sightings in any order; what is not `known` is NaN, nobody is ignored.

    Raises:
        ValueError: one id twice in a frame, or places that are no numbers or beyond any picture.
    """
    count = len(frame)
    blank = {
        "boxes": np.full((count, 4), np.nan), "scores": np.full(count, np.nan), "ignored": np.zeros(count, bool),
        "areas": np.full(count, np.nan), "heads": np.full(count, np.nan),
    }  # fmt: skip
    order = np.lexsort((ids, frame))
    tracked = Tracked(np.asarray(frames), np.asarray(frame), np.asarray(ids), **{**blank, **known}).rows(order)
    twice = (np.diff(tracked.frame) == 0) & (np.diff(tracked.ids) == 0)
    if twice.any():
        k = int(np.flatnonzero(twice)[0])
        raise ValueError(f"id {tracked.ids[k]} is there twice in frame {tracked.frame[k]}")
    for name in ("boxes", "keypoints"):
        values = getattr(tracked, name)
        if values is not None and (np.isinf(values) | (np.abs(np.nan_to_num(values)) > TOO_FAR)).any():
            raise ValueError(f"{name} that lie in no picture")
    return tracked


def read(path: Path, view: int = 1) -> Tracked:
    """Tracks, told by the file's ending and what is in it.

    Args:
        view: of files of several cameras, which one, from 1.

    Raises:
        InputError: no such file, damaged, of no known kind, without ids, or without that view.
    """
    from training.datasets import tracked_arrays, tracked_json, tracked_mot

    readers = {".npz": tracked_arrays.read, ".json": tracked_json.read, ".txt": tracked_mot.read}
    if not path.is_file():
        raise InputError(f"no file {path}")
    if path.suffix.lower() not in readers:
        raise InputError(f"cannot read tracks from {path}", KNOWN)
    try:
        return readers[path.suffix.lower()](path, view)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, OSError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise InputError(f"cannot read tracks from {path}", why, KNOWN) from error
