"""People whom files tell of, as plain arrays, and how they become those of a clip's frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from detectors.looking import detections
from pipeline.errors import InputError
from pipeline.results import Array, ClipInfo, Detections

USUAL_MOST = 99.5  # percentile of scores that becomes 1 where they go beyond


@dataclass(frozen=True)
class Sightings:
    """N people, J joints each, in F frames."""

    frames: list[str]  # (F,) what the files call each frame that they tell of, with or without people
    at: Array  # (N,) int: index into `frames`
    joints: Array  # (N,J,3) float64: x px, y px, score; score 0 where a joint is not seen
    boxes: Array  # (N,4) px x1 y1 x2 y2, NaN where untold
    sure: Array  # (N,) of the whole person, in the files' own measure, NaN where untold
    ids: Array  # (N,) int, -1 none
    skeleton: str | None = None  # where the files tell it
    size: tuple[int, int] | None = None  # of the picture, where they tell it
    every_frame: bool = False  # `frames` must be all of the clip's

    def __len__(self) -> int:
        return len(self.joints)

    def only(self, kept: Array) -> Sightings:
        """Those of whom `kept` (N,) is true; all frames."""
        return replace(self, **{name: getattr(self, name)[kept] for name in ("at", "joints", "boxes", "sure", "ids")})


def of_people(frames: Sequence[str], at: Any, joints: Any, boxes: Any = None, sure: Any = None,
              ids: Any = None, **told: Any) -> Sightings:  # fmt: skip
    """Sightings of which not everything is told."""
    rows = np.asarray(joints, np.float64)
    count = len(rows)
    return Sightings(
        list(frames),
        np.asarray(at, np.int64),
        rows,
        np.full((count, 4), np.nan) if boxes is None else np.asarray(boxes, np.float64),
        np.full(count, np.nan) if sure is None else np.asarray(sure, np.float64),
        np.full(count, -1) if ids is None else np.asarray(ids, np.int64),
        **told,
    )


def as_detections(seen: Sightings, name: str, info: ClipInfo, where: Path) -> list[Detections]:
    """One `Detections` per frame of the clip, of the skeleton `name`; scores in [0,1], boxes around joints if untold.

    Raises:
        InputError: frames that the clip does not have, or one twice.
    """
    frame = frame_indices(seen.frames, info, where)[seen.at] if seen.frames else seen.at
    scores = unit(seen.joints[..., 2]).astype(np.float32)
    order = np.argsort(frame, kind="stable")
    order = order[(scores[order] > 0).any(axis=1)]  # one of hardly any certainty has none as float32
    scores, rows, ids = scores[order], seen.joints[order], unique_ids(seen.ids, frame)[order]
    points = np.where(scores[..., None] > 0, rows[..., :2], np.nan).astype(np.float32)
    around = np.concatenate([np.nanmin(points, axis=1), np.nanmax(points, axis=1)], axis=1) if len(rows) else points
    boxes = np.where(np.isfinite(seen.boxes[order]).all(1, keepdims=True), seen.boxes[order], around.reshape(-1, 4))
    sure = unit(seen.sure)[order]
    ends = np.searchsorted(frame[order], np.arange(len(info.times) + 1))
    return [
        detections(name, points[a:b], scores[a:b], boxes[a:b], sure[a:b], ids[a:b] if (ids >= 0).any() else None)
        for a, b in pairwise(ends)
    ]


def unit(scores: Array) -> Array:
    """Scores of any measure in [0,1], their order kept: those that go beyond 1 are divided by their usual maximum.

    NaN stays NaN, what is below 0 becomes 0. The usual maximum is a high percentile of those above 0, so that one
    wild value does not make all others small; so COCO's flags 1 and 2 become 0.5 and 1, too.
    """
    counted = scores[scores > 0]
    most = float(np.percentile(counted, USUAL_MOST)) if counted.size else 1.0
    return np.clip(scores / max(most, 1.0), 0, 1)


def unique_ids(ids: Array, frame: Array) -> Array:
    """(N,): ids that two people of one frame share are nobody's and become -1, as where a program gave all the same."""
    pairs, counts = np.unique(np.stack([frame, ids]), axis=1, return_counts=True)
    return np.where(np.isin(ids, pairs[1, counts > 1]), -1, ids)


# ---- frames ---------------------------------------------------------------------------------------------------------


def stem(name: str) -> str:
    """A picture's or file's name without its ending and without what OpenPose adds to it."""
    return re.sub(r"(\.[A-Za-z]+[0-9]?)?$", "", name, count=1).removesuffix("_keypoints")


def short(name: str) -> str:
    """A name from a file as a message may quote it: one line, not too long."""
    return " ".join(name.encode("utf-8", "replace").decode().split())[:60]


def number(name: str) -> int:
    """The last number in a name, its ending aside; 0 where there is none."""
    numbers = re.findall(r"[0-9]+", stem(name))
    return int(numbers[-1][:18]) if numbers else 0


def frame_indices(names: Sequence[str], info: ClipInfo, where: Path) -> Array:
    """(F,) index into the clip of each frame that files name.

    Pictures of a folder are found by their names, or by the numbers in these; frames of a video by number, counted
    from 0, or from 1 where there is one of as many as the clip has frames.

    Raises:
        InputError: frames that the clip does not have, or one twice.
    """
    found = _of_pictures(names, info) or [number(name) for name in names]
    first: dict[int, str] = {}
    for name, index in zip(names, found, strict=True):
        if index in first:
            text = f"{short(first[index])} and {short(name)} in {where} are of the same frame {index}"
            raise InputError(text, "the last number in a name is the frame's", "one clip's files in a folder")
        first[index] = name
    count, last = len(info.times), max(found)
    if last == count and min(found) > 0:  # counted from one
        return np.array(found) - 1
    if last >= count:
        text = f"there is one of frame {last}, and the clip has {count} frames"
        raise InputError(f"the keypoints in {where} are of another clip", text, "the clip they are of")
    return np.array(found)


def _of_pictures(names: Sequence[str], info: ClipInfo) -> list[int] | None:
    """None where the clip is a video, or its pictures are called otherwise."""
    of: Callable[[str], Any]
    for of in (stem, number):
        table = {of(picture): index for index, picture in enumerate(info.names)}
        found = [table.get(of(name)) for name in names]
        if len(table) == len(info.names) and None not in found:
            return found
    return None
