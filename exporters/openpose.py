"""openpose/: a folder with a JSON file for each frame of the clip, in OpenPose's own form.

BODY_25, BODY_25B and COCO's 18 keep their joints, all others become BODY_25; faces and hands of whole bodies go where
OpenPose has them. `person_id` is the person's number in the scene. Of several cameras: a folder for each in it, on the
scene's clock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exporters.keypoints import OneView, Person, by_frame, stem, views
from pipeline.files import atomic_folder
from pipeline.results import Scene
from pipeline.skeletons import skeleton

KEPT = ("body-25", "body-25b", "coco-18")
SIDES, FINGERS = ("left", "right"), "(thumb|index|middle|ring|pinky)"


def write(scene: Scene, path: str | Path) -> None:
    """Write the 2D of a scene as a folder.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_folder(path) as folder:
        for view in views(scene):
            _write(folder / view.name if scene.views else folder, view)


def _write(folder: Path, view: OneView) -> None:
    folder.mkdir(exist_ok=True)
    parts = {track.skeleton: _parts(track.skeleton) for track in view.tracks}
    for frame, people in enumerate(by_frame(view, lambda source: [n for part in parts[source].values() for n in part])):
        told = {"version": 1.3, "people": [_person(person, parts[person.skeleton]) for person in people]}
        (folder / f"{stem(view, frame)}_keypoints.json").write_text(json.dumps(told), encoding="utf-8")


def _parts(source: str) -> dict[str, Sequence[str]]:
    """Which joints of a skeleton go where; of faces and hands none where it has none."""
    names = skeleton(source).joints
    face = [name for name in names if "_face" in name or name.startswith("face")]
    hands = {side: [n for n in names if re.fullmatch(rf"{side}_(hand_root|{FINGERS}[1-4])", n)] for side in SIDES}
    return {
        "pose_keypoints_2d": skeleton(source if source in KEPT else "body-25").joints,
        "face_keypoints_2d": [*face, "right_pupil", "left_pupil"] if face else [],  # nobody has the last two
        "hand_left_keypoints_2d": hands["left"],
        "hand_right_keypoints_2d": hands["right"],
    }


def _person(person: Person, parts: dict[str, Sequence[str]]) -> dict[str, Any]:
    told: dict[str, Any] = {"person_id": [person.id]}
    begin = 0
    for name, joints in parts.items():
        told[name] = person.joints[begin : begin + 3 * len(joints)]
        begin += 3 * len(joints)
    return told | {name.replace("2d", "3d"): [] for name in parts}
