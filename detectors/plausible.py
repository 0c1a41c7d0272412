"""Can keypoints in files be a clip's? What must be true of numbers, places, and the order of the joints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detectors.sightings import Sightings
from pipeline.errors import InputError
from pipeline.results import Array, ClipInfo
from pipeline.skeletons import Skeleton, skeleton

FARTHEST = 1e5  # px; larger numbers are damage
OUTSIDE, MARGIN = 0.2, 0.05  # share of joints that may lie outside the picture, by how much of its size
SURE = 0.3  # score of a joint that is no guess: below the picture of somebody cut off at the waist there are guesses
NO_PIXEL = 2.0  # where no coordinate is larger they are no pixels
SURELY = 0.8  # ratio of two layouts' strains below which the lower one is the right one
ENOUGH_BONES = 8  # of somebody who tells one layout from another; with 6 the wrong one was found now and then
LOST_AT_THE_END = 2  # frames that one decoder has and another has not


def check_numbers(joints: Array, most: float, where: Path, hint: str) -> None:
    """Raise InputError where (...,J,3) holds what is not finite or cannot be; `most` is the largest score."""
    if not joints.size:
        return
    if not np.isfinite(joints).all() or np.abs(joints[..., :2]).max() > FARTHEST or joints[..., 2].max() > most:
        why = "keypoints or scores that cannot be: not finite, or far too large"
        raise InputError(f"cannot use {where}", why, hint)


def check_told(seen: Sightings, info: ClipInfo, where: Path) -> None:
    """Raise InputError when files themselves tell that they are of another video."""
    frames, count = len(seen.frames), len(info.times)
    if seen.every_frame and not count - LOST_AT_THE_END <= frames <= count:
        text = f"the clip has {count} frames and they have {frames}: which are missing is not known"
        hint = "as many frames, NaN where nobody is seen"
        raise InputError(f"the keypoints in {where} are of another clip", text, hint)
    if seen.size not in (None, (info.width, info.height)):
        text = f"of {seen.size[0]}x{seen.size[1]}, and this one has {info.width}x{info.height}"
        raise InputError(f"the keypoints in {where} are of another video", text, "the keypoints of this very video")


def check_places(joints: Array, size: tuple[int, int], where: Path, hint: str) -> None:
    """Raise InputError when (N,J,3) are those of a picture of another size, or no pixels."""
    points = joints[joints[..., 2] > 0][:, :2]
    if not len(points):
        return
    if np.abs(points).max() <= NO_PIXEL:
        text = f"all lie between {points.min():.2g} and {points.max():.2g}, shares of the picture as it seems"
        raise InputError(f"the keypoints in {where} are no pixels", text, hint)
    points = joints[joints[..., 2] > SURE][:, :2]
    outside = ((points < -MARGIN * np.array(size)) | (points > (1 + MARGIN) * np.array(size))).any(axis=1)
    if outside.sum() > OUTSIDE * len(points):
        text = f"{outside.mean():.0%} of the joints lie outside its {size[0]}x{size[1]} picture"
        raise InputError(f"the keypoints in {where} are of another video", text, hint)


def layout_of(joints: Array, names: Sequence[str], where: Path) -> str:
    """The skeleton whose order makes shorter bones, and sides more alike, of all people (N,J,3); of nobody the first.

    People of whom few bones are seen, in one of the orders, do not count.

    Raises:
        InputError: too little is seen to tell.
    """
    if len(names) == 1 or not len(joints):
        return names[0]
    trees = [skeleton(name) for name in names]
    seen = np.min([(joints[:, tree.bones, 2] > 0).all(axis=-1).sum(axis=-1) for tree in trees], axis=0)
    strains = [_strain(joints[seen >= ENOUGH_BONES], tree) for tree in trees]
    best, other = np.sort(strains)[:2]
    if not best < SURELY * other:  # NaN too
        text = f"{joints.shape[1]} joints may be {' or '.join(names)}"
        hint = f"--model {' or --model '.join(names)}"
        raise InputError(f"cannot tell the order of the joints in {where}", text, hint)
    return names[int(np.argmin(strains))]


def _strain(joints: Array, tree: Skeleton) -> float:
    """Of (N,J,3), in sizes of the people: mean length of the bones, and mean difference of those of both sides.

    NaN where no bone is seen. Lengths alone do not tell COCO's face, of many short bones, from Human3.6M's hips.
    """
    points = np.where(joints[..., 2:] > 0, joints[..., :2], np.nan)
    size = np.linalg.norm(np.nanmax(points, axis=1) - np.nanmin(points, axis=1), axis=-1)
    bones = np.array(tree.bones)
    lengths = np.linalg.norm(points[:, bones[:, 0]] - points[:, bones[:, 1]], axis=-1) / np.maximum(size, 1)[:, None]
    pairs = np.array(_pairs(tree)).reshape(-1, 2)
    unlike = _mean(np.abs(lengths[:, pairs[:, 0]] - lengths[:, pairs[:, 1]]))
    return _mean(lengths) + (unlike if np.isfinite(unlike) else 0.0)


def _pairs(tree: Skeleton) -> list[tuple[int, int]]:
    """The bones of the left, each with its like on the right, as indices into the skeleton's bones."""
    names = [(tree.joints[a], tree.joints[b]) for a, b in tree.bones]
    like = [(a.replace("left_", "right_"), b.replace("left_", "right_")) for a, b in names]
    return [(k, names.index(other)) for k, other in enumerate(like) if other != names[k] and other in names]


def _mean(values: Array) -> float:
    """NaN where there are none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
