"""The detector `npz`: keypoints in a NumPy archive. It runs no network.

Forms: `kpts` (T,J,2) or (T,J,3) px as video-to-pose3D's `--input-npz` reads it, or (P,T,J,2..3) of several people; or
a `poses.npz` of this program (`keypoints_px`, `keypoint_scores`, `keypoint_names`, `person_ids`, `frame_size`).
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from detectors.files import FileDetector
from detectors.plausible import check_numbers
from detectors.sightings import Sightings, of_people
from pipeline.errors import InputError
from pipeline.results import Array
from pipeline.skeletons import SKELETONS

LARGEST = 1 << 32  # bytes of an array; more is damage
MOST = 1000.0  # a larger score is damage
LARGEST_ID = 2**31
NAMES = ("kpts", "keypoints_px", "keypoint_scores", "keypoint_names", "person_ids", "frame_size", "view_names")
Arrays = dict[str, Array]


class Npz(FileDetector):
    """The people of a clip, one row each; where there are several, rows are identities.

    A point is missing where it is NaN or has the score 0; without scores also where it is 0 0, and all others have 1.

    Args:
        keypoints: the archive, or a folder of such archives, or of folders with one each, called like the clips.
        model: the skeleton of `kpts`; None: judged by the number and the places of the joints.
    """

    name = "npz"
    skeleton = "coco-17"
    device = "a NumPy archive"
    own = "poses.npz"
    ending = ".npz"
    layouts = (
        "coco-17", "h36m-17", "coco-18", "body-25", "body-25b", "halpe-26", "blazepose-33", "coco-133", "halpe-136",
    )  # fmt: skip
    hint = "kpts as (T,17,2) or (T,17,3) px, a row for each frame of the clip"

    def read(self, place: Path) -> Sightings:
        """Everybody in the archive.

        Raises:
            InputError: it cannot be read, holds pickles or other arrays, or numbers that cannot be.
        """
        file = self.files(place)[0]
        arrays = _arrays(file, self.hint)
        if "view_names" in arrays:
            raise InputError(f"cannot use {file}", "it is of several cameras on one clock", "the file of one clip")
        if "keypoints_px" in arrays:
            rows = _of_a_run(arrays, file, self.hint)
        elif "kpts" in arrays:
            rows = _bare(arrays["kpts"], file, self.hint)
        else:
            raise InputError(f"cannot use {file}", "it has neither `kpts` nor `keypoints_px`", self.hint)
        check_numbers(rows, MOST, file, self.hint)
        people, frames = rows.shape[:2]
        return of_people(
            [str(frame) for frame in range(frames)],
            np.tile(np.arange(frames), people),
            rows.reshape(people * frames, -1, 3) if rows.size else self.no_one(),
            ids=np.repeat(_ids(arrays, people, file, self.hint), frames),
            skeleton=_skeleton(arrays, rows.shape[2], file, self.hint),
            size=_size(arrays, file, self.hint),
            every_frame=True,
        )


def _arrays(file: Path, hint: str) -> Arrays:
    """Those that are read, where they are there. Raises InputError."""
    try:
        with zipfile.ZipFile(file) as archive:
            if any(entry.file_size > LARGEST for entry in archive.infolist()):
                raise InputError(f"cannot use {file}", f"an array of more than {LARGEST >> 30} GB", hint)
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in NAMES if name in stored.files}
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, MemoryError, SyntaxError, zipfile.BadZipFile,
            zlib.error) as error:  # fmt: skip
        pickled = "Object arrays" in str(error)
        why = "it holds pickles, which are programs" if pickled else f"no NumPy archive, or cut off: {error}"
        raise InputError(f"cannot read {file}", " ".join(why.split()), hint) from None


def _numbers(array: Array, dimensions: int, file: Path, hint: str) -> Array:
    """float64. Raises InputError."""
    if array.dtype.kind not in "iuf" or array.ndim != dimensions:
        what = f"an array of {array.dtype} and shape {array.shape}"
        raise InputError(f"cannot use {file}", what, hint)
    return array.astype(np.float64)


def _bare(kpts: Array, file: Path, hint: str) -> Array:
    """`kpts` as (P,T,J,3), score 0 where missing. Raises InputError."""
    rows = _numbers(kpts, 4 if kpts.ndim == 4 else 3, file, hint)
    rows = rows if rows.ndim == 4 else rows[None]
    if rows.shape[3] not in (2, 3) or not rows.size:
        raise InputError(f"cannot use {file}", f"an array of shape {kpts.shape}", hint)
    known = ~np.isnan(rows).any(axis=-1)
    if rows.shape[3] == 2:
        known &= (rows != 0).any(axis=-1)
        rows = np.concatenate([rows, np.ones((*rows.shape[:3], 1))], axis=-1)
    return np.where(known[..., None], rows, 0.0)


def _of_a_run(arrays: Arrays, file: Path, hint: str) -> Array:
    """`keypoints_px` and `keypoint_scores` as (P,T,J,3), score 0 where missing. Raises InputError."""
    points = _numbers(arrays["keypoints_px"], 4, file, hint)
    scores = _numbers(arrays.get("keypoint_scores", np.ones(points.shape[:3])), 3, file, hint)
    if points.shape != (*scores.shape, 2):
        raise InputError(f"cannot use {file}", f"points {points.shape} and scores {scores.shape}", hint)
    rows = np.concatenate([points, scores[..., None]], axis=-1)
    return np.where(np.isnan(rows).any(axis=-1, keepdims=True), 0.0, rows)


def _ids(arrays: Arrays, people: int, file: Path, hint: str) -> Array:
    """(P,). Raises InputError."""
    ids = arrays.get("person_ids", np.arange(people) if people > 1 else np.full(people, -1))
    if ids.dtype.kind not in "iu" or ids.shape != (people,) or (len(ids) and not abs(ids).max() < LARGEST_ID):
        raise InputError(f"cannot use {file}", f"person_ids of {people} people that cannot be", hint)
    return np.maximum(ids.astype(np.int64), -1)


def _skeleton(arrays: Arrays, joints: int, file: Path, hint: str) -> str | None:
    """That which has the joints' names; None where none are told. Raises InputError."""
    names = tuple(map(str, np.atleast_1d(arrays.get("keypoint_names", np.zeros(0))).tolist()))
    if not names:
        return None
    fits = [skeleton.name for skeleton in SKELETONS.values() if skeleton.joints == names]
    if not fits or len(names) != joints:
        raise InputError(f"cannot use {file}", f"{joints} joints whose names are of no skeleton that is known", hint)
    return fits[0]


def _size(arrays: Arrays, file: Path, hint: str) -> tuple[int, int] | None:
    if "frame_size" not in arrays:
        return None
    size = _numbers(arrays["frame_size"], 1, file, hint)
    if len(size) != 2 or not np.isfinite(size).all():
        raise InputError(f"cannot use {file}", f"a frame_size of {size.tolist()}", hint)
    return int(size[0]), int(size[1])
