"""The detector `openpose`: runs no network, but reads what OpenPose wrote, one JSON file per frame.

Format: OpenPose's own documentation of its output (`people[].pose_keypoints_2d`: x y score per joint, in pixels, zeros
where a joint is not seen). Its models: BODY_25, BODY_25B and COCO's 18; the first two have 25 joints each in another
order, which only where the joints lie can tell.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError, UsageError
from pipeline.results import Array, Detections
from pipeline.skeletons import skeleton

LAYOUTS = {25: ("body-25", "body-25b"), 18: ("coco-18",)}  # joints: skeletons that have as many
FARTHEST = 1e5  # px; larger numbers are damage
LEAST_JOINTS = 3  # fewer make no person
OUTSIDE, MARGIN = 0.2, 0.05  # share of joints that may lie outside the picture, by how much of its size
SURELY = 0.8  # ratio of the two layouts' bones below which the shorter ones are the right ones

People = list[Array]  # (J,3): x px, y px, score; a joint that is not seen is 0 0 0


class OpenPose:
    """Everybody whom OpenPose saw in a clip.

    Args:
        keypoints: a folder with one JSON file per frame (the last number in its name is the frame's, counted from 0,
            or from 1 when there is one for each), or a folder of such folders called like the clips.
        layout: body-25, body-25b or coco-18; None: judged by the number and the places of the joints.

    Attributes:
        skeleton: of the last clip.

    Raises:
        UsageError: no such layout.
    """

    name = "openpose"
    skeleton = "body-25"
    packages = ()
    device = "files of OpenPose"

    def __init__(self, keypoints: Path, layout: str | None = None) -> None:
        known = [name for names in LAYOUTS.values() for name in names]
        if layout not in (None, *known):
            raise UsageError(f"OpenPose has no layout {layout!r}", f"known: {', '.join(known)}")
        self._path, self._layout = Path(keypoints), layout
        self._clip: Path | None = None  # the one whose files `keypoints` itself holds

    @classmethod
    def uses(cls, **choices: Any) -> tuple[str, ...]:
        """No weights."""
        return ()

    def digest(self, clip: Path) -> str:
        """A hash of the names and contents of the clip's files.

        Raises:
            InputError: files that are missing, or of another clip: also where a cache keeps `detect` from being asked.
        """
        digest = hashlib.sha256(str(self._layout).encode())
        for file in _files(self._folder(Path(clip))):
            digest.update(f"{file.name} ".encode())
            digest.update(_bytes(file))
        return digest.hexdigest()

    def detect(self, clip: Any, progress: Callable[[int], None] | None = None) -> list[Detections]:
        """One `Detections` per frame of the clip (what `pipeline.clip.open_clip` gives), empty where there is no file.

        Raises:
            InputError: files that are missing, damaged, or of another clip.
        """
        info = clip.info
        folder = self._folder(Path(info.path))
        frames = _numbered(read_folder(folder), len(info.times), folder)
        self.skeleton = self._layout or layout_of([p for people in frames.values() for p in people], folder)
        _check_places(frames, (info.width, info.height), folder)
        found = [self._gather(frames.get(number, [])) for number in range(len(info.times))]
        if progress is not None:
            progress(len(found))
        return found

    def _folder(self, clip: Path) -> Path:
        """Where the clip's files are. Raises InputError."""
        folder = folder_of(self._path, clip.stem)
        if folder == self._path:
            if self._clip not in (None, clip.absolute()):
                text = f"{folder} holds the keypoints of one clip, and there are several"
                raise InputError(text, hint="a folder of folders called like the clips")
            self._clip = clip.absolute()
        return folder

    def _gather(self, people: People) -> Detections:
        joints = len(skeleton(self.skeleton))
        rows = np.array(people, dtype=np.float32).reshape(-1, joints, 3)
        known = rows[..., 2] > 0
        points = np.where(known[..., None], rows[..., :2], np.nan)
        boxes = np.zeros((0, 4), np.float32)
        if len(rows):
            boxes = np.concatenate([np.nanmin(points, axis=1), np.nanmax(points, axis=1)], axis=1)
        scores = np.where(known, np.clip(rows[..., 2], 0, 1), 0)
        untold = np.full(len(rows), np.nan, np.float32)  # no score of a whole person is in the files
        return Detections(self.skeleton, boxes, untold, points, scores)


def folder_of(path: Path, clip: str) -> Path:
    """`path` itself if it holds JSON files, else its one folder whose name is the clip's or begins so.

    Args:
        clip: the clip's name without its ending.

    Raises:
        InputError: there is none, or there are several.
    """
    if path.is_file() or (path.is_dir() and any(path.glob("*.json"))):
        return path
    folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir()] if path.is_dir() else []
    for fits in (
        [folder for folder in folders if folder.name == clip],
        [folder for folder in folders if re.fullmatch(re.escape(clip) + r"([^0-9A-Za-z].*)?", folder.name)],
    ):
        if len(fits) == 1:
            return fits[0]
    why = "no JSON files in it, and no folder or several called like the clip" if path.is_dir() else "it does not exist"
    raise InputError(f"no keypoints of {clip} in {path}", why, "the folder that OpenPose's --write_json named")


def read_folder(path: Path) -> dict[int, People]:
    """The people of every frame that has a file, by the number in its name.

    Args:
        path: a folder of JSON files, or one file.

    Returns:
        Frame number to (J,3) arrays: x px, y px, score; 0 0 0 where a joint is not seen. People of fewer than 3
        joints are left out. J is the same in all files.

    Raises:
        InputError: no files, damaged ones, two of one frame, or not OpenPose's joints.
    """
    frames: dict[int, People] = {}
    sources: dict[int, Path] = {}
    for file in _files(path):
        numbers = re.findall(r"\d+", file.stem)
        number = int(numbers[-1]) if numbers else 0
        if number in frames:
            text = f"{sources[number].name} and {file.name} in {file.parent} are of the same frame {number}"
            raise InputError(text, "the last number in a name is the frame's", "one clip's files in a folder")
        frames[number], sources[number] = _people(file), file
    counts = {len(person) for people in frames.values() for person in people}
    if len(counts) > 1:
        raise InputError(
            f"files of several models in {path}", f"people with {sorted(counts)} joints", "one run's files"
        )
    return frames


def _files(path: Path) -> list[Path]:
    """Raises InputError."""
    files = [path] if path.is_file() else sorted(path.glob("*.json")) if path.is_dir() else []
    if not files:
        why = "no JSON files in it" if path.is_dir() else "it does not exist"
        raise InputError(f"cannot read keypoints from {path}", why, "the folder that OpenPose's --write_json named")
    return files


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}", str(error)) from error


def _people(file: Path) -> People:
    """Raises InputError."""
    hint = "OpenPose's --write_json anew, or without this file"
    try:
        data = json.loads(_bytes(file))
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {file}", f"no JSON, or cut off: {error}", hint) from None
    people = data.get("people") if isinstance(data, dict) else None
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise InputError(f"cannot read {file}", "it has no list of `people`", hint)
    rows = [_person(person.get("pose_keypoints_2d", person.get("pose_keypoints")), file, hint) for person in people]
    return [row for row in rows if (row[:, 2] > 0).sum() >= LEAST_JOINTS]


def _person(values: Any, file: Path, hint: str) -> Array:
    """(J,3); (0,3) of a person without a body."""
    try:
        row = np.array([] if values is None else values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"cannot read {file}", "keypoints that are no numbers", hint) from None
    if row.size == 0:
        return row.reshape(0, 3)
    if row.ndim != 1 or len(row) % 3 or len(row) // 3 not in LAYOUTS:
        known = ", ".join(str(count) for count in LAYOUTS)
        raise InputError(f"cannot use {file}", f"{row.size} numbers a person; read are {known} joints of 3", hint)
    row = row.reshape(-1, 3)
    if not np.isfinite(row).all() or np.abs(row).max() > FARTHEST or row[:, 2].min() < 0 or row[:, 2].max() > 2:
        raise InputError(f"cannot use {file}", "keypoints or scores that cannot be: not finite, or far too large", hint)
    return row


def layout_of(people: Sequence[Array], where: Path) -> str:
    """The skeleton whose order makes the shorter bones, over all people (J,3); body-25 of nobody.

    Raises:
        InputError: too little is seen to tell.
    """
    if not people:
        return LAYOUTS[25][0]
    names = LAYOUTS[len(people[0])]
    if len(names) == 1:
        return names[0]
    rows = np.stack(people)
    lengths = [_bone_length(rows, np.array(skeleton(name).bones)) for name in names]
    if not min(lengths) < SURELY * max(lengths):  # NaN too
        text = f"cannot tell the order of the joints in {where}"
        raise InputError(text, f"25 joints may be {' or '.join(names)}", "layout= names it, in Python")
    return names[int(np.argmin(lengths))]


def _bone_length(rows: Array, bones: Array) -> float:
    """Mean length of the bones of (P,J,3), in sizes of the people; NaN where none is seen."""
    points = np.where(rows[..., 2:] > 0, rows[..., :2], np.nan)
    size = np.linalg.norm(np.nanmax(points, axis=1) - np.nanmin(points, axis=1), axis=-1)
    lengths = np.linalg.norm(points[:, bones[:, 0]] - points[:, bones[:, 1]], axis=-1) / np.maximum(size, 1)[:, None]
    return float(np.nanmean(lengths)) if np.isfinite(lengths).any() else float("nan")


def _numbered(frames: dict[int, People], count: int, where: Path) -> dict[int, People]:
    """By index into the clip. Raises InputError when there are frames that the clip does not have."""
    last = max(frames)
    if last == count and 0 not in frames:  # counted from one
        return {number - 1: people for number, people in frames.items()}
    if last >= count:
        text = f"the keypoints in {where} are of another clip"
        raise InputError(text, f"there is one of frame {last}, and the clip has {count} frames", "the clip they are of")
    return frames


def _check_places(frames: dict[int, People], size: tuple[int, int], where: Path) -> None:
    """Raises InputError when the joints are those of a picture of another size."""
    rows = [person[person[:, 2] > 0, :2] for people in frames.values() for person in people]
    if not rows:
        return
    points = np.concatenate(rows)
    hint = "the keypoints of this very video; OpenPose's --keypoint_scale 0"
    if np.abs(points).max() <= 1:
        raise InputError(f"the keypoints in {where} are no pixels", "all lie between -1 and 1", hint)
    outside = ((points < -MARGIN * np.array(size)) | (points > (1 + MARGIN) * np.array(size))).any(axis=1).mean()
    if outside > OUTSIDE:
        text = f"{outside:.0%} of the joints lie outside its {size[0]}x{size[1]} picture"
        raise InputError(f"the keypoints in {where} are of another video", text, hint)
