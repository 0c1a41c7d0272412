"""Tracks in JSON: PoseTrack's and COCO's (images, annotations with `track_id`), AlphaPose's list (with `idx`).

PoseTrack18's regions that nobody labelled (`ignore_regions_x`, `_y`) are kept; pictures that are not labelled
(`is_labeled` false) are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.datasets.tracked import Array, Tracked, people
from training.datasets.tracked_arrays import HIDDEN, named

OTHER_NAMES = {"head_bottom": "neck", "upper_neck": "neck", "left_hand": "left_wrist", "right_hand": "right_wrist"}
ALPHAPOSE = {17: "coco-17", 26: "halpe-26", 136: "halpe-136"}
HEAD = 0.6  # of the diagonal of a head's box (MPII)
SEEN = 2  # COCO's mark of a joint that is labelled and visible


def read(path: Path, view: int = 1) -> Tracked:
    """See `tracked.read`. Raises ValueError, KeyError, TypeError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if isinstance(content, list):
        return _results(content)
    if not isinstance(content, dict) or "annotations" not in content or "images" not in content:
        raise ValueError("neither a list of people nor images with annotations")
    return _annotated(content)


def _annotated(content: Mapping[str, Any]) -> Tracked:
    images = content["images"]
    if len({image["id"] for image in images}) < len(images):
        raise ValueError("two images have the same id")
    index = {image["id"]: k for k, image in enumerate(images)}
    labelled = [k for k, image in enumerate(images) if image.get("is_labeled", True)]
    rows = [a for a in content["annotations"] if index[a["image_id"]] in set(labelled)]
    if lost := [a for a in rows if "track_id" not in a]:
        raise ValueError(f"{len(lost)} of {len(rows)} annotations have no track_id")
    frame = np.array([index[a["image_id"]] for a in rows], int)
    known: dict[str, Any] = {
        "boxes": _boxes([a.get("bbox") for a in rows]),
        "scores": np.array([_score(a) for a in rows], float),
        "ignored": np.array([bool(a.get("iscrowd", 0) or a.get("ignore", 0)) for a in rows], bool),
        "areas": np.array([a.get("area", np.nan) for a in rows], float),
        "heads": _head_sizes([a.get("bbox_head") for a in rows]),
        "numbers": _numbers(images, labelled),
        "regions": {k: _regions(image) for k, image in enumerate(images) if image.get("ignore_regions_x")},
    }
    if rows and all("keypoints" in a for a in rows):
        known |= _keypoints(rows, _category(content, len(rows[0]["keypoints"]) // 3))
    return people(np.array(labelled, int), frame, np.array([a["track_id"] for a in rows], int), **known)


def _results(content: Sequence[Mapping[str, Any]]) -> Tracked:
    """AlphaPose's list, or COCO's result list with `track_id`."""
    if not content:
        raise ValueError("nobody is in it")
    ids = [_single(row.get("idx", row.get("track_id"))) for row in content]
    if any(number is None for number in ids):
        raise ValueError("people without idx: AlphaPose writes it with --pose_track or --pose_flow")
    joints = len(content[0]["keypoints"]) // 3
    if joints not in ALPHAPOSE:
        raise ValueError(f"{joints} joints; known: {', '.join(map(str, ALPHAPOSE))}")
    frame = np.array([_number(row["image_id"]) for row in content], int)
    known = {
        "boxes": _boxes([row.get("box", row.get("bbox")) for row in content]),
        "scores": np.array([row.get("score", np.nan) for row in content], float),
        "numbers": np.unique(frame),
    } | _keypoints(content, ALPHAPOSE[joints])
    return people(np.unique(frame), frame, np.array(ids, int), **known)


def _category(content: Mapping[str, Any], joints: int) -> str:
    """The skeleton that the file names. Raises ValueError: it names none."""
    names = next((c["keypoints"] for c in content.get("categories", ()) if "keypoints" in c), None)
    if names is None:
        raise ValueError(f"no category names the {joints} keypoints")
    return named(tuple(OTHER_NAMES.get(name, name) for name in names))


def _keypoints(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """What of the joints is known; a third number is COCO's mark 0, 1 or 2, or the detector's certainty."""
    if len({len(row["keypoints"]) for row in rows}) > 1:
        raise ValueError("people with different numbers of joints")
    values = np.array([row["keypoints"] for row in rows], float).reshape(len(rows), -1, 3)
    if not np.isfinite(values).all():
        raise ValueError("joints that are no numbers")
    points, marks = values[..., :2], values[..., 2]
    if all("scores" in row for row in rows):  # PoseTrack's predictions
        scores = np.array([row["scores"] for row in rows], float)
    else:
        scores = np.where(marks == SEEN, 1.0, np.where(marks == 1, HIDDEN, 0.0)) if _are_marks(rows, marks) else marks
    known = (marks > 0) & (scores > 0)
    return {
        "skeleton": name, "keypoints": np.where(known[..., None], points, np.nan),
        "joint_scores": np.where(known, scores, 0.0),
    }  # fmt: skip


def _are_marks(rows: Sequence[Mapping[str, Any]], marks: Array) -> bool:
    return bool(np.isin(marks, (0, 1, SEEN)).all()) and not any("score" in row for row in rows)


def _score(row: Mapping[str, Any]) -> float:
    return float(row["score"] if "score" in row else np.mean(row["scores"]) if "scores" in row else np.nan)


def _boxes(given: Sequence[Sequence[float] | None]) -> Array:
    """(N,4) px corners of boxes x, y, width, height."""
    boxes = np.array([box if box is not None else [np.nan] * 4 for box in given], float).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _head_sizes(given: Sequence[Sequence[float] | None]) -> Array:
    sides = np.array([box[2:4] if box else [np.nan] * 2 for box in given], float).reshape(-1, 2)
    return HEAD * np.hypot(sides[:, 0], sides[:, 1])


def _regions(image: Mapping[str, Any]) -> list[Array]:
    x, y = image["ignore_regions_x"], image["ignore_regions_y"]
    if not isinstance(x[0], list):
        x, y = [x], [y]
    return [np.stack([a, b], axis=1).astype(np.float32) for a, b in zip(x, y, strict=True) if a]


def _numbers(images: Sequence[Mapping[str, Any]], labelled: Sequence[int]) -> Array | None:
    """(F,) of the labelled pictures' names, None where some have none or one is there twice, as in several clips."""
    names = [re.findall(r"\d+", Path(str(image.get("file_name", ""))).stem) for image in images]
    if not all(names):
        return None
    numbers = np.array([int(found[-1]) for found in names])
    return numbers[np.array(labelled, int)] if len(np.unique(numbers)) == len(numbers) else None


def _number(image: object) -> int:
    found = re.findall(r"\d+", Path(str(image)).stem)
    if not found or len(found[-1]) > 18:
        raise ValueError(f"no frame's number in image_id {image!r}")
    return int(found[-1])


def _single(number: Any) -> int | None:
    while isinstance(number, list):
        number = number[0] if len(number) == 1 else None
    return None if number is None else int(number)
