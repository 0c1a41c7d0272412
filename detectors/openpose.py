"""The detector `openpose`: runs no network, but reads what OpenPose wrote, one JSON file per frame.

Format: OpenPose's own documentation of its output (`people[].pose_keypoints_2d`: x y score per joint, in pixels, zeros
where a joint is not seen). Its models: BODY_25, BODY_25B and COCO's 18; the first two have 25 joints each in another
order, which only where the joints lie can tell. Other programs write other skeletons in the same form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from detectors.files import FileDetector
from detectors.json_files import load_json, numbers
from detectors.plausible import check_numbers
from detectors.sightings import Sightings, of_people, stem
from pipeline.errors import InputError
from pipeline.results import Array

HINT = "OpenPose's --write_json anew, or without this file"
MOST = 2.0  # a larger score is damage


class OpenPose(FileDetector):
    """Everybody whom OpenPose saw in a clip.

    Args:
        keypoints: a folder with one JSON file per frame (the last number in its name is the frame's, counted from 0,
            or from 1 when there is one for each), or a folder of such folders called like the clips.
        model: body-25, body-25b, coco-18, or halpe-26, coco-17, coco-133 and halpe-136 as Pose2Sim writes them; None:
            judged by the number and the places of the joints.
    """

    name = "openpose"
    skeleton = "body-25"
    device = "files of OpenPose"
    own = "openpose"
    per_frame = True
    layouts = ("body-25", "body-25b", "coco-18", "halpe-26", "coco-17", "coco-133", "halpe-136")
    least = 3  # it tells of pieces of people, too
    hint = "the folder that OpenPose's --write_json named"
    pixels = f"{FileDetector.pixels}: OpenPose's --keypoint_scale 0"

    def read(self, place: Path) -> Sightings:
        """The people of every frame that has a file.

        Raises:
            InputError: no files, damaged ones, or not OpenPose's joints.
        """
        files = self.files(place)
        people = [_people(file) for file in files]
        rows = [row for of_frame in people for row, _ in of_frame]
        if len(counts := {len(row) for row in rows}) > 1:
            raise InputError(
                f"files of several models in {place}", f"people with {sorted(counts)} joints", "one run's files"
            )
        return of_people(
            [stem(file.name) for file in files],
            np.repeat(np.arange(len(files)), [len(of_frame) for of_frame in people]),
            np.stack(rows) if rows else self.no_one(),
            ids=[id for of_frame in people for _, id in of_frame],
        )


def _people(file: Path) -> list[tuple[Array, int]]:
    """(J,3) and the id of everybody of whom a joint is seen. Raises InputError."""
    data = load_json(file, HINT)
    people = data.get("people") if isinstance(data, dict) else None
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise InputError(f"cannot read {file}", "it has no list of `people`", HINT)
    found = [(person_joints(person, file), person.get("person_id")) for person in people]
    return [(row, _id(id)) for row, id in found if (row[:, 2] > 0).any()]


def person_joints(person: dict[str, Any], file: Path) -> Array:
    """(J,3) of one of `people`, scores at most 1; (0,3) of a person without a body. Raises InputError."""
    row = numbers(person.get("pose_keypoints_2d", person.get("pose_keypoints")), file, HINT)
    if row.size == 0:
        return row.reshape(0, 3)
    if row.ndim != 1 or len(row) % 3 or len(row) // 3 not in OpenPose.counts():
        text = f"{row.size} numbers a person; {OpenPose.known()} joints of 3"
        raise InputError(f"cannot use {file}", text, HINT)
    row = row.reshape(-1, 3)
    check_numbers(row, MOST, file, HINT)
    if row[:, 2].min() < 0:
        raise InputError(f"cannot use {file}", "scores below 0", HINT)
    row[:, 2] = np.minimum(row[:, 2], 1)
    return row


def _id(told: Any) -> int:
    """OpenPose tells [-1] where it follows nobody."""
    first = told[0] if isinstance(told, list) and told else told
    return first if type(first) is int and 0 <= first < 2**31 else -1
