"""What the formats of 2D keypoints share: people frame by frame, in another program's order of joints, as exact text.

A joint that a detector's skeleton does not have, or that is missing, is 0 0 with score 0, as OpenPose has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from pipeline.results import Array, ClipInfo, Scene, Track2D
from pipeline.skeletons import skeleton

_CHUNK = 1024  # frames turned to text at a time, so that long clips need little memory
_HIPS = ("left_hip", "right_hip")
_INSTEAD = {  # joints: those whose place theirs is, or between whom it is
    "mid_hip": (("pelvis",), _HIPS),
    "pelvis": (("mid_hip",), _HIPS),
    "neck": (("left_shoulder", "right_shoulder"),),  # as OpenPose's models have it
    "left_big_toe": (("left_toe",),),
    "right_big_toe": (("right_toe",),),
}


@dataclass(frozen=True)
class Person:
    """One person in one frame."""

    id: int
    skeleton: str  # the detector's
    joints: list[float]  # x y score of each joint in turn
    box: list[float]  # px: x, y, width, height


@dataclass(frozen=True)
class OneView:
    """What one camera saw, and how its frames are called."""

    name: str
    tracks: list[Track2D]
    pictures: tuple[str, ...]  # names of the frames where they are pictures that names tell apart
    frames: int


def views(scene: Scene) -> list[OneView]:
    """One per camera, all on the scene's clock. What a clip is called is unique."""
    frames = len(scene.clip.times)
    if not scene.views:
        return [OneView(_called(scene.clip), scene.tracks, _pictures(scene.clip), frames)]
    made: list[OneView] = []
    for view in scene.views:
        own = view.camera.offset_s == 0 and view.camera.rate == 1 and len(view.clip.names) == frames
        name = _called(view.clip)
        while name in {other.name for other in made}:
            name += "_2"
        made.append(OneView(name, view.tracks, _pictures(view.clip) if own else (), frames))
    return made


def _called(clip: ClipInfo) -> str:
    path = Path(clip.path)
    return path.name if path.is_dir() else path.stem


def _pictures(clip: ClipInfo) -> tuple[str, ...]:
    """The names of a clip's pictures where each has one of its own, whatever its ending."""
    return clip.names if len({PurePath(name).stem for name in clip.names}) == len(clip.names) else ()


def by_frame(view: OneView, target: Callable[[str], Sequence[str]]) -> Iterator[list[Person]]:
    """Of each frame the people of whom a joint is known, in the scene's order.

    Args:
        target: names of the joints to be written for a skeleton's name.
    """
    for start in range(0, view.frames, _CHUNK):
        people: list[list[Person]] = [[] for _ in range(start, min(start + _CHUNK, view.frames))]
        for track in view.tracks:
            part = slice(*np.searchsorted(track.frames, (start, start + _CHUNK)))
            rows = ordered(track.keypoints[part], track.scores[part], track.skeleton, target(track.skeleton))
            boxes = _boxes(track.boxes[part], rows)
            seen = (rows[..., 2] > 0).any(axis=1)
            values = exact(rows[seen]).reshape(seen.sum(), 3 * rows.shape[1]).tolist()
            for frame, joints, box in zip(track.frames[part][seen].tolist(), values, boxes[seen].tolist(), strict=True):
                people[frame - start].append(Person(track.id, track.skeleton, joints, box))
        yield from people


def ordered(points: Array, scores: Array, source: str, joints: Sequence[str]) -> Array:
    """(T,J,2), (T,J) of the skeleton `source` -> (T,K,3) float32: x, y, score of the joints that are named.

    Middles are as sure as the less sure end. What `source` does not have, and what is missing, is 0 0 0.
    """
    known = np.isfinite(points).all(axis=-1) & (scores > 0)
    rows = np.concatenate([points, scores[..., None]], axis=-1).astype(np.float32)
    rows = np.where(known[..., None], rows, np.float32(0))
    columns = [_joint(rows, skeleton(source).joints, name) for name in joints]
    return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0, 3), np.float32)


def _joint(rows: Array, names: Sequence[str], name: str) -> Array:
    """(T,3)."""
    for instead in ((name,), *_INSTEAD.get(name, ())):
        if set(instead) <= set(names):
            parts = rows[:, [names.index(part) for part in instead]]
            score = parts[..., 2].min(axis=1)
            middle = np.column_stack([parts[..., :2].mean(axis=1), score])
            return np.where(score[:, None] > 0, middle, np.float32(0))
    return np.zeros((len(rows), 3), np.float32)


def exact(values: Array) -> Array:
    """float32 -> float64 whose shortest decimals, which JSON writes, are the float32's: 0.1, not 0.10000000149."""
    short = values.astype("U32").astype(np.float64)
    return np.where(short.astype(np.float32) == values, short, values.astype(np.float64))


def _boxes(boxes: Array, rows: Array) -> Array:
    """(T,4) x y width height: the detector's, or around the joints where it did not see the person."""
    known = rows[..., 2:] > 0
    low, high = np.where(known, rows[..., :2], np.inf).min(axis=1), np.where(known, rows[..., :2], -np.inf).max(axis=1)
    told = np.isfinite(boxes).all(axis=1, keepdims=True)
    corners = exact(np.where(told, boxes, np.concatenate([low, high], axis=1)).astype(np.float32))
    with np.errstate(invalid="ignore"):  # of whom no joint is known
        return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def picture(view: OneView, frame: int) -> str:
    """The name of a frame: the picture's, or its number as AlphaPose calls frames of videos."""
    return view.pictures[frame] if view.pictures else f"{frame}.jpg"


def stem(view: OneView, frame: int) -> str:
    """The same as OpenPose names files after it."""
    return PurePath(view.pictures[frame]).stem if view.pictures else f"{view.name}_{frame:012d}"
