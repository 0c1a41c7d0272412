"""2D motion of videos without 3D, from which MotionBERT's pre-training learns (Zhu et al., ICCV 2023).

PoseTrack18: people's annotated tracks, a JSON file per video. InstaVariety: what a detector saw, as MotionBERT's
authors offer it, `motion_all.npy` (N,17,3) of Human3.6M's joints, already in [-1,1], and `id_all.npy` (N,), the video
of every frame. Both give clips (M,T,17,3) of h36m-17: x, y, confidence. PoseTrack's x and y are brought to [-1,1] over
the square around the whole clip, as the authors' reader does; InstaVariety's were by those who made the file.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.skeletons import posetrack_to_h36m
from training.datasets.arrays import mapping, numbers, require
from training.datasets.cameras import crop_scale
from training.datasets.clips import split_clips

Array = NDArray[np.floating]
POSETRACK_HOLDER = "posetrack.net"
INSTAVARIETY_HOLDER = "the authors of MotionBERT (github.com/Walter0807/MotionBERT)"
POSETRACK_FRAMES, POSETRACK_SEEN = 30, 0.6  # of a track, and the share of their joints that must be annotated
INSTAVARIETY_FRAMES, INSTAVARIETY_STRIDE = 81, 27


def posetrack(folder: Path) -> Array:
    """(M,30,17,3) float32: the first frames of every track that is long and complete enough, its root never hidden.

    Args:
        folder: of the annotations of one part, `posetrack_data/annotations/train` as published.

    Raises:
        InputError: no such files, files laid out differently, or no track that will do.
    """
    files = sorted(require(folder, POSETRACK_HOLDER).glob("*.json"))
    clips = [clip for file in files for track in _tracks(file) if (clip := _posetrack_clip(track)) is not None]
    if not clips:
        needs = f"a track needs {POSETRACK_FRAMES} frames, {POSETRACK_SEEN:.0%} of their joints and both hips"
        raise InputError(f"no track of {folder} will do", f"{len(files)} files; {needs}", "PoseTrack18's own files")
    return np.stack(clips).astype(np.float32)


def _tracks(file: Path) -> list[Array]:
    """(T,17,3) px of every person in a video, in the order of the frames; joints that are not annotated are 0."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {file}", str(error)[:120], "PoseTrack18's own file") from error
    tracks: dict[int, list[tuple[int, Array]]] = defaultdict(list)
    annotations = mapping(content, file, "the file").get("annotations", [])
    if not isinstance(annotations, list):
        raise InputError(f"{file} is laid out differently", "annotations should be a list")
    for row in annotations:
        row = mapping(row, file, "an annotation")
        if missing := [key for key in ("track_id", "image_id", "keypoints") if key not in row]:
            raise InputError(f"{file} is laid out differently", f"an annotation lacks {', '.join(missing)}")
        if not (isinstance(row["track_id"], int) and isinstance(row["image_id"], int)):
            raise InputError(f"{file} is laid out differently", "track_id and image_id should be whole numbers")
        joints = numbers(row["keypoints"], file, "keypoints", 51).reshape(17, 3).astype(float)
        tracks[row["track_id"]].append((row["image_id"], joints))
    return [np.stack([joints for _, joints in sorted(rows, key=lambda row: row[0])]) for rows in tracks.values()]


def _posetrack_clip(track: Array) -> Array | None:
    """(T,17,3) px of posetrack-17 -> (30,17,3), or None where it will not do."""
    clip = track[:POSETRACK_FRAMES]
    if len(clip) < POSETRACK_FRAMES or (clip[..., 2] > 0).mean() <= POSETRACK_SEEN:
        return None
    body = posetrack_to_h36m(crop_scale(clip))
    body[body[..., 2] == 0] = 0
    return body if (body[:, 0, 2] > 0).all() else None


def instavariety(folder: Path, frames: int = INSTAVARIETY_FRAMES, stride: int = INSTAVARIETY_STRIDE) -> Array:
    """(M,frames,17,3) float32: windows of the videos whose root is seen in the first frame; each lies in one video.

    Raises:
        InputError: no such files, files laid out differently, or no window.
    """
    motion, video = (_array(require(folder / f"{name}_all.npy", INSTAVARIETY_HOLDER)) for name in ("motion", "id"))
    motion = numbers(motion, folder / "motion_all.npy", "the array", None, 17, 3)
    if video.shape != (len(motion),):
        raise InputError(f"{folder / 'id_all.npy'} is laid out differently", f"{video.shape}, not one for each frame")
    clips = [motion[rows] for rows in split_clips(video, frames, stride) if motion[rows[0], 0, 2] > 0]
    if not clips:
        raise InputError(f"nothing in {folder} will do", f"{len(motion)} frames, a root in none of the windows' first")
    return np.stack(clips).astype(np.float32)


def _array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot read {path}", str(error)[:120], "the file as published") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"cannot read {path}", "it is an archive", "the file as published")
    return array
