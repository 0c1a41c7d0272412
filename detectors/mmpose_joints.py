"""MMPose's data sets and our skeletons: joints are matched by name, so that no order is taken for granted."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import InputError
from pipeline.skeletons import SKELETONS, skeleton

ALIKE = {"head": "head_top", "top_head": "head_top", "head_bottom": "neck", "hip": "pelvis", "root": "pelvis",
         "neck_base": "neck_nose", "left_foot": "left_ankle", "right_foot": "right_ankle"}  # fmt: skip
FINGERS = {"forefinger": "index", "middle_finger": "middle", "ring_finger": "ring", "pinky_finger": "pinky"}


def match(names: list[str], config: Path) -> tuple[str, list[int]]:
    """The skeleton that has joints of these names, and for each of its joints the place in `names`.

    Raises:
        InputError: there is none.
    """
    ours = [_ours(name) for name in names]
    for known in SKELETONS.values():
        if len(known) == len(ours) and set(known.joints) == set(ours):
            return known.name, [ours.index(joint) for joint in known.joints]
    why = f"its {len(names)} joints ({', '.join(names[:3])}, ...) are of no skeleton that is known here"
    raise InputError(f"cannot use {config}", why, "one for COCO, COCO-WholeBody, Halpe, PoseTrack18 or Human3.6M")


def _ours(name: str) -> str:
    if name.startswith("face-"):
        return [joint for joint in skeleton("coco-133").joints if "face" in joint][int(name[5:])]
    for theirs, finger in FINGERS.items():
        name = name.replace(theirs, finger)
    return ALIKE.get(name, name)
