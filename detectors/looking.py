"""What detectors that look at each frame by itself share: the way through a clip, and the form of what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pipeline.results import Array, ClipInfo, Detections
from pipeline.skeletons import skeleton

HELD_BYTES = 128_000_000
Look = Callable[[list[Array]], list[Detections]]  # frames (H,W,3) uint8 BGR -> one `Detections` each


def look_through(look: Look, clip: Any, batch: int, progress: Callable[[int], None] | None = None) -> list[Detections]:
    """One `Detections` per frame of a clip (what `pipeline.clip.open_clip` gives), at most `batch` frames at a time.

    Args:
        progress: called with the number of frames done.
    """
    found: list[Detections] = []
    for frames in batches(clip.frames(), min(batch, held(clip.info))):
        found += look(frames)
        if progress is not None:
            progress(len(found))
    return found


def held(info: ClipInfo) -> int:
    """How many frames of a clip may be held at once: at least one, however large they are."""
    return max(1, HELD_BYTES // (3 * info.width * info.height))


def batches(frames: Iterator[Array], size: int) -> Iterator[list[Array]]:
    """Lists of `size` frames, the last one may be shorter."""
    waiting: list[Array] = []
    for frame in frames:
        waiting.append(frame)
        if len(waiting) == size:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def detections(name: str, keypoints: Any, scores: Any, boxes: Any = None, box_scores: Any = None,
               following: Any = None) -> Detections:  # fmt: skip
    """People of one frame as the house keeps them.

    Args:
        name: of the skeleton, J joints.
        keypoints: (P,J,2) px, NaN where missing.
        scores: (P,J) in [0,1]; 0 is put where the keypoint is missing.
        boxes: (P,4) px x1 y1 x2 y2; None: around the keypoints.
        box_scores: (P,) in [0,1]; None: unknown (NaN).
        following: (P,) ids, -1 none.
    """
    joints = len(skeleton(name))
    points = np.asarray(keypoints, np.float32).reshape(-1, joints, 2)
    known = np.isfinite(points).all(-1)
    if box_scores is None:
        box_scores = np.full(len(points), np.nan)
    if boxes is None:
        far = np.where(known[..., None], points, -np.inf).max(1), np.where(known[..., None], points, np.inf).min(1)
        boxes = np.concatenate([far[1], far[0]], axis=1)
    return Detections(
        skeleton=name,
        boxes=np.asarray(boxes, np.float32).reshape(-1, 4),
        box_scores=np.asarray(box_scores, np.float32),
        keypoints=points,
        scores=np.where(known, np.clip(np.asarray(scores, np.float32).reshape(-1, joints), 0, 1), 0),
        following=None if following is None else np.asarray(following, np.int32),
    )
