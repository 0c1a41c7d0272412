"""The detectors `alphapose`, `halpe` and `coco`: people of a whole clip in one JSON file. They run no network.

Formats: AlphaPose's documentation of its output (a list with one entry per person; per picture with `bodies` where it
was told `cmu`, with `people` where it was told `open`), COCO's of its results and annotations (which Halpe uses, too).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detectors.files import FileDetector
from detectors.json_files import load_json, numbers
from detectors.plausible import check_numbers
from detectors.records import Entry, entries
from detectors.sightings import Sightings, of_people, short
from pipeline.errors import InputError
from pipeline.results import Array

MOST = 1000.0  # a larger score is damage
LARGEST_ID = 2**31


class AlphaPose(FileDetector):
    """Everybody whom AlphaPose saw in a clip, in any of its three forms, followed by it or not.

    Args:
        keypoints: its file, or a folder of such files, or of folders with one each, called like the clips.
        model: coco-17, coco-18, halpe-26, coco-133 or halpe-136; None: as many joints as there are.
    """

    name = "alphapose"
    skeleton = "coco-17"
    device = "a file of AlphaPose"
    own = "alphapose-results.json"
    layouts = ("coco-17", "halpe-26", "halpe-136", "coco-133", "coco-18")
    hint = "the alphapose-results.json that AlphaPose wrote of this clip"

    def read(self, place: Path) -> Sightings:
        """Everybody in the file.

        Raises:
            InputError: it cannot be read, is cut off, or holds keypoints that cannot be.
        """
        file = self.files(place)[0]
        frames, found, size = entries(load_json(file, self.hint), file, self.hint)
        seen = of_people(
            frames, [entry.frame for entry in found], self._joints(found, file), self._boxes(found, file),
            [_score(entry, file, self.hint) for entry in found], [_id(entry, file, self.hint) for entry in found],
            size=size,
        )  # fmt: skip
        _check_doubles(seen, file, self.hint)
        return seen

    def _joints(self, found: list[Entry], file: Path) -> Array:
        """(N,J,3). Raises InputError."""
        if not found:
            return self.no_one()
        counts = sorted({len(e.keypoints) if isinstance(e.keypoints, (list, np.ndarray)) else 0 for e in found})
        if len(counts) > 1:
            text = f"people with {' and '.join(map(str, counts))} numbers"
            raise InputError(f"cannot use {file}", text, "one run of one model alone")
        rows = numbers([entry.keypoints for entry in found], file, self.hint)
        if rows.ndim != 2 or counts[0] % 3 or counts[0] // 3 not in self.counts():
            text = f"{counts[0]} numbers a person; {self.known()} joints of 3"
            raise InputError(f"cannot use {file}", text, self.hint)
        rows = rows.reshape(len(rows), -1, 3)
        check_numbers(rows, MOST, file, self.hint)
        return rows

    def _boxes(self, found: list[Entry], file: Path) -> Array:
        """(N,4) x1 y1 x2 y2 of x y width height, NaN where there is none. Raises InputError."""
        rows = [[np.nan] * 4 if entry.box is None else entry.box for entry in found]
        boxes = numbers(rows or np.zeros((0, 4)), file, self.hint, "boxes")
        told = np.array([entry.box is not None for entry in found], bool)
        if boxes.shape != (len(found), 4) or not np.isfinite(boxes[told]).all():
            raise InputError(f"cannot use {file}", "boxes that are not four numbers", self.hint)
        check_numbers(np.pad(boxes[told].reshape(-1, 2, 2), ((0, 0), (0, 0), (0, 1))), MOST, file, self.hint)
        return np.concatenate([boxes[:, :2], boxes[:, :2] + np.maximum(boxes[:, 2:], 0)], axis=1)


class Halpe(AlphaPose):
    """As `AlphaPose`, of Halpe's 26 or 136 joints: results in COCO's form too, and the data set's annotations."""

    name = "halpe"
    skeleton = "halpe-26"
    device = "a file of Halpe's form"
    layouts = ("halpe-26", "halpe-136")
    hint = "a list of results, or annotations, of Halpe's 26 or 136 joints"


class Coco(AlphaPose):
    """As `AlphaPose`, of COCO's 17 joints or its whole body's 133: a list of results, or a file of annotations."""

    name = "coco"
    skeleton = "coco-17"
    device = "a file of COCO's form"
    own = "keypoints-coco.json"
    layouts = ("coco-17", "coco-133")
    hint = "a list of COCO's keypoint results, or a file of its annotations"


def _score(entry: Entry, file: Path, hint: str) -> float:
    """Of the whole person, NaN where there is none. Raises InputError."""
    if entry.score is None:
        return float("nan")
    score = numbers(entry.score, file, hint, "scores")
    if score.size != 1 or not np.isfinite(score).all() or np.abs(score).max() > MOST:
        raise InputError(f"cannot use {file}", "a person's score that cannot be", hint)
    return float(score.ravel()[0])


def _id(entry: Entry, file: Path, hint: str) -> int:
    """AlphaPose's own trackers write numbers, or lists of lists of them, of which the first is the person's."""
    told = numbers(entry.id, file, hint, "ids").ravel() if entry.id is not None else np.zeros(0)
    if not len(told):
        return -1
    if not abs(told[0]) < LARGEST_ID or told[0] != round(told[0]):
        raise InputError(f"cannot use {file}", "an id that is no whole number", hint)
    return max(int(told[0]), -1)


def _check_doubles(seen: Sightings, file: Path, hint: str) -> None:
    """Raise InputError where everybody of a frame is there twice, to the last digit."""
    if not len(seen):
        return
    rows = np.concatenate([seen.at[:, None], seen.joints.reshape(len(seen), -1)], axis=1)
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    frames, once = np.unique(kinds[:, 0], return_index=True)
    least = np.minimum.reduceat(counts, once)
    if (least > 1).any():
        name = seen.frames[int(frames[np.argmax(least > 1)])]
        raise InputError(f"cannot use {file}", f"everybody of frame {short(name)} is there {least.max()} times", hint)
