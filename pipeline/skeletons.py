"""Every skeleton by name: joints, parents, left/right pairs, and the explicit conversions between them.

Sources: the data sets' own documentation; BlazePose's 33 names from its model card; Human3.6M-17 as VideoPose3D
orders it. `h36m-23` is Human3.6M-17 followed by heels, toes and hands (knuckles), the output of our lifters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.whole_body import FEET, SMALL, face_and_hands

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Skeleton:
    """Named joints and how they hang together; `parents[i]` is -1 for a root."""

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    sigmas: tuple[float, ...] = ()  # COCO's per-joint constants for object keypoint similarity

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, *names: str) -> list[int]:
        """Indices of joints by name. Raises ValueError for an unknown one."""
        if missing := [name for name in names if name not in self.joints]:
            raise ValueError(f"{self.name} has no {', '.join(missing)}")
        return [self.joints.index(name) for name in names]

    @cached_property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) pairs."""
        return tuple((p, c) for c, p in enumerate(self.parents) if p >= 0)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """The permutation that exchanges left and right."""
        return tuple(self.joints.index(_other_side(name)) for name in self.joints)

    @cached_property
    def left(self) -> tuple[int, ...]:
        return tuple(i for i, name in enumerate(self.joints) if name.startswith("left_"))

    @cached_property
    def right(self) -> tuple[int, ...]:
        return tuple(i for i, name in enumerate(self.joints) if name.startswith("right_"))


def _other_side(name: str) -> str:
    if name.startswith("left_"):
        return "right_" + name[5:]
    return "left_" + name[6:] if name.startswith("right_") else name


def _skeleton(name: str, tree: str, sigmas: str = "") -> Skeleton:
    """Build from "joint<parent joint<parent ..." ; L. and R. stand for left_ and right_."""
    words = tree.replace("L.", "left_").replace("R.", "right_").split()
    pairs = [word.partition("<")[::2] for word in words]
    joints = tuple(joint for joint, _ in pairs)
    parents = tuple(joints.index(parent) if parent else -1 for _, parent in pairs)
    return Skeleton(name, joints, parents, tuple(float(s) for s in sigmas.split()))


_COCO = (
    "nose L.eye<nose R.eye<nose L.ear<L.eye R.ear<R.eye L.shoulder<nose R.shoulder<nose L.elbow<L.shoulder "
    "R.elbow<R.shoulder L.wrist<L.elbow R.wrist<R.elbow L.hip<L.shoulder R.hip<R.shoulder L.knee<L.hip "
    "R.knee<R.hip L.ankle<L.knee R.ankle<R.knee"
)
_COCO_SIGMAS = ".026 .025 .025 .035 .035 .079 .079 .072 .072 .062 .062 .107 .107 .087 .087 .089 .089"
_H36M = (
    "pelvis R.hip<pelvis R.knee<R.hip R.ankle<R.knee L.hip<pelvis L.knee<L.hip L.ankle<L.knee spine<pelvis "
    "thorax<spine neck_nose<thorax head_top<neck_nose L.shoulder<thorax L.elbow<L.shoulder L.wrist<L.elbow "
    "R.shoulder<thorax R.elbow<R.shoulder R.wrist<R.elbow"
)
_PANOPTIC15 = (
    "neck<mid_hip nose<neck mid_hip L.shoulder<neck L.elbow<L.shoulder L.wrist<L.elbow L.hip<mid_hip L.knee<L.hip "
    "L.ankle<L.knee R.shoulder<neck R.elbow<R.shoulder R.wrist<R.elbow R.hip<mid_hip R.knee<R.hip R.ankle<R.knee"
)

_HALPE = (
    " head_top<neck neck<pelvis pelvis L.big_toe<L.heel R.big_toe<R.heel L.small_toe<L.heel R.small_toe<R.heel "
    "L.heel<L.ankle R.heel<R.ankle"
)
_HALPE_SIGMAS = " .026 .026 .066 .079 .079 .079 .079 .079 .079"
SKELETONS: dict[str, Skeleton] = {
    s.name: s
    for s in (
        _skeleton("coco-17", _COCO, _COCO_SIGMAS),
        _skeleton("h36m-17", _H36M),
        _skeleton(
            "h36m-23",
            _H36M + " L.heel<L.ankle L.toe<L.heel R.heel<R.ankle R.toe<R.heel L.hand<L.wrist R.hand<R.wrist",
        ),
        _skeleton(
            "blazepose-33",
            "nose L.eye_inner<nose L.eye<L.eye_inner L.eye_outer<L.eye R.eye_inner<nose R.eye<R.eye_inner "
            "R.eye_outer<R.eye L.ear<L.eye_outer R.ear<R.eye_outer L.mouth<nose R.mouth<nose L.shoulder<nose "
            "R.shoulder<nose L.elbow<L.shoulder R.elbow<R.shoulder L.wrist<L.elbow R.wrist<R.elbow L.pinky<L.wrist "
            "R.pinky<R.wrist L.index<L.wrist R.index<R.wrist L.thumb<L.wrist R.thumb<R.wrist L.hip<L.shoulder "
            "R.hip<R.shoulder L.knee<L.hip R.knee<R.hip L.ankle<L.knee R.ankle<R.knee L.heel<L.ankle R.heel<R.ankle "
            "L.toe<L.heel R.toe<R.heel",
            ".026 .025 .025 .025 .025 .025 .025 .035 .035 .026 .026 .079 .079 .072 .072 .062 .062 .08 .08 .08 .08 "
            ".08 .08 .107 .107 .087 .087 .089 .089 .089 .089 .089 .089",
        ),
        _skeleton(
            "halpe-26",
            _COCO + _HALPE,
            _COCO_SIGMAS + _HALPE_SIGMAS,
        ),
        _skeleton(
            "halpe-136",
            _COCO + _HALPE + face_and_hands(),
            _COCO_SIGMAS + _HALPE_SIGMAS + SMALL,
        ),
        _skeleton(
            "coco-133",
            _COCO + FEET + face_and_hands(),
            _COCO_SIGMAS + " .068 .066 .066 .092 .094 .094" + SMALL,
        ),
        _skeleton(
            "body-25",
            "nose<neck neck<mid_hip R.shoulder<neck R.elbow<R.shoulder R.wrist<R.elbow L.shoulder<neck "
            "L.elbow<L.shoulder L.wrist<L.elbow mid_hip R.hip<mid_hip R.knee<R.hip R.ankle<R.knee L.hip<mid_hip "
            "L.knee<L.hip L.ankle<L.knee R.eye<nose L.eye<nose R.ear<R.eye L.ear<L.eye L.big_toe<L.ankle "
            "L.small_toe<L.ankle L.heel<L.ankle R.big_toe<R.ankle R.small_toe<R.ankle R.heel<R.ankle",
        ),
        _skeleton(
            "body-25b",
            _COCO + " neck<nose head_top<neck L.big_toe<L.ankle L.small_toe<L.ankle L.heel<L.ankle R.big_toe<R.ankle "
            "R.small_toe<R.ankle R.heel<R.ankle",
            _COCO_SIGMAS + " .079 .026 .079 .079 .079 .079 .079 .079",
        ),
        _skeleton(
            "coco-18",  # OpenPose's
            "nose<neck neck R.shoulder<neck R.elbow<R.shoulder R.wrist<R.elbow L.shoulder<neck L.elbow<L.shoulder "
            "L.wrist<L.elbow R.hip<neck R.knee<R.hip R.ankle<R.knee L.hip<neck L.knee<L.hip L.ankle<L.knee R.eye<nose "
            "L.eye<nose R.ear<R.eye L.ear<L.eye",
        ),
        _skeleton(
            "mpi-inf-3dhp-17",
            "head_top<head neck<spine R.shoulder<neck R.elbow<R.shoulder R.wrist<R.elbow L.shoulder<neck "
            "L.elbow<L.shoulder L.wrist<L.elbow R.hip<pelvis R.knee<R.hip R.ankle<R.knee L.hip<pelvis L.knee<L.hip "
            "L.ankle<L.knee pelvis spine<pelvis head<neck",
        ),
        _skeleton(
            "humaneva-15",
            "pelvis thorax<pelvis L.shoulder<thorax L.elbow<L.shoulder L.wrist<L.elbow R.shoulder<thorax "
            "R.elbow<R.shoulder R.wrist<R.elbow L.hip<pelvis L.knee<L.hip L.ankle<L.knee R.hip<pelvis R.knee<R.hip "
            "R.ankle<R.knee head<thorax",
        ),
        _skeleton(
            "lift-26",  # what our lifters read; a source lacks some of them
            "nose<neck_nose L.ear<nose R.ear<nose L.shoulder<thorax R.shoulder<thorax L.elbow<L.shoulder "
            "R.elbow<R.shoulder L.wrist<L.elbow R.wrist<R.elbow L.hand<L.wrist R.hand<R.wrist L.hip<pelvis "
            "R.hip<pelvis L.knee<L.hip R.knee<R.hip L.ankle<L.knee R.ankle<R.knee L.heel<L.ankle R.heel<R.ankle "
            "L.toe<L.heel R.toe<R.heel pelvis spine<pelvis thorax<spine neck_nose<thorax head_top<neck_nose",
        ),
        _skeleton(
            "posetrack-17",
            "nose<neck neck head_top<nose L.ear<nose R.ear<nose L.shoulder<neck R.shoulder<neck L.elbow<L.shoulder "
            "R.elbow<R.shoulder L.wrist<L.elbow R.wrist<R.elbow L.hip<neck R.hip<neck L.knee<L.hip R.knee<R.hip "
            "L.ankle<L.knee R.ankle<R.knee",
        ),
        _skeleton("panoptic-15", _PANOPTIC15),
        _skeleton("panoptic-19", _PANOPTIC15 + " L.eye<nose L.ear<L.eye R.eye<nose R.ear<R.eye"),
    )
}


def skeleton(name: str) -> Skeleton:
    """The skeleton of that name. Raises KeyError that lists the known names."""
    if name not in SKELETONS:
        raise KeyError(f"unknown skeleton {name!r}; known: {', '.join(SKELETONS)}")
    return SKELETONS[name]


def pick(values: Array, source: str, target: str) -> Array:
    """Take the joints of `target` out of (..., J, C) values of `source` by name.

    Raises:
        ValueError: `source` does not have one of them; nothing is guessed.
    """
    return values[..., skeleton(source).index(*skeleton(target).joints), :]


OPENPOSE = ("body-25", "body-25b", "coco-18")


def body25_to_coco(keypoints: Array, scores: Array, source: str = "body-25") -> tuple[Array, Array]:
    """(...,J,2), (...,J) of `OPENPOSE` -> (...,17,2), (...,17). Eyes and ears below 0.2 take the nose's place."""
    order = skeleton(source).index(*skeleton("coco-17").joints)
    points, marks = keypoints[..., order, :].copy(), scores[..., order].copy()
    for face in range(1, 5):
        weak = marks[..., face] < 0.2
        points[..., face, :] = np.where(weak[..., None], points[..., 0, :], points[..., face, :])
    return points, marks


def coco_to_h36m(points: Array) -> Array:
    """(...,17,C) -> (...,17,C) as MotionBERT builds them; the score channel may ride along as one more coordinate."""
    p = {name: points[..., i, :] for i, name in enumerate(skeleton("coco-17").joints)}
    p["pelvis"] = (p["left_hip"] + p["right_hip"]) / 2
    p["thorax"] = (p["left_shoulder"] + p["right_shoulder"]) / 2
    p["spine"] = (p["pelvis"] + p["thorax"]) / 2
    p["neck_nose"] = p["nose"]
    p["head_top"] = (p["left_eye"] + p["right_eye"]) / 2
    return np.stack([p[name] for name in skeleton("h36m-17").joints], axis=-2)


def coco_to_h36m_demo(points: Array) -> Array:
    """(...,17,2) -> (...,17,2) as the demos of MHFormer and MotionAGFormer build them, nearer to Human3.6M's joints.

    The face places the head's top and the neck, so x and y are treated differently: for pictures with y down only.
    """
    p = {name: points[..., i, :].copy() for i, name in enumerate(skeleton("coco-17").joints)}
    nose, eyes = p["nose"].copy(), p["left_eye"] + p["right_eye"]
    shoulders, hips = p["left_shoulder"] + p["right_shoulder"], p["left_hip"] + p["right_hip"]
    p["head_top"] = (eyes + p["left_ear"] + p["right_ear"]) / 4
    p["head_top"][..., 1] = (eyes - nose)[..., 1]
    p["pelvis"], p["spine"] = hips / 2, (shoulders + hips) / 4
    p["thorax"] = shoulders / 2 + (nose - shoulders / 2) / 3
    p["neck_nose"] = nose - (nose - shoulders / 2) / 4
    p["spine"][..., 0] += 2 * (p["spine"] - (p["pelvis"] + p["thorax"]) / 2)[..., 0]
    p["thorax"][..., 1] -= (eyes / 2 - nose)[..., 1] * 2 / 3
    return np.stack([p[name] for name in skeleton("h36m-17").joints], axis=-2)


def posetrack_to_h36m(points: Array) -> Array:
    """(...,17,C) -> (...,17,C) as MotionBERT builds them; C is 2, or 3 with a score that the weakest part decides."""
    p = {name: points[..., i, :] for i, name in enumerate(skeleton("posetrack-17").joints)}
    p["pelvis"] = (p["left_hip"] + p["right_hip"]) / 2
    p["thorax"] = p["neck"]
    p["spine"] = (p["pelvis"] + p["thorax"]) / 2
    p["neck_nose"] = p["nose"]
    if points.shape[-1] == 3:
        p["pelvis"][..., 2] = np.minimum(p["left_hip"], p["right_hip"])[..., 2]
        p["spine"][..., 2] = np.minimum(p["pelvis"], p["thorax"])[..., 2]
    return np.stack([p[name] for name in skeleton("h36m-17").joints], axis=-2)


def halpe_to_h36m(points: Array) -> Array:
    """(...,26,C) -> (...,17,C) as MotionBERT builds them."""
    p = {name: points[..., i, :] for i, name in enumerate(skeleton("halpe-26").joints)}
    p["thorax"] = p["neck"]
    p["spine"] = (p["neck"] + p["pelvis"]) / 2
    p["neck_nose"] = p["nose"]
    return np.stack([p[name] for name in skeleton("h36m-17").joints], axis=-2)


def body25b_to_h36m(points: Array) -> Array:
    """(...,25,C) -> (...,17,C): COCO's joints as `coco_to_h36m`, the head's own top.

    Its neck is the upper one, about a quarter of the way to the head's top, so the thorax is between the shoulders.
    """
    out = coco_to_h36m(points[..., :17, :])
    head = skeleton("h36m-17").index("head_top")[0]
    out[..., head, :] = points[..., skeleton("body-25b").index("head_top")[0], :]
    return out


_MPI = [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4]


def mpi_to_h36m(points: Array) -> Array:
    """(...,17,C) -> (...,17,C); head and thorax differ from Human3.6M's by some cm."""
    return points[..., _MPI, :]


def h36m_to_mpi(points: Array) -> Array:
    """(...,17,C) -> (...,17,C), the inverse of `mpi_to_h36m`."""
    return points[..., np.argsort(_MPI), :]


def humaneva_to_h36m(points: Array) -> Array:
    """(...,15,C) -> (...,17,C); for want of them the spine is half way to the thorax, the neck half way to the head."""
    p = {name: points[..., i, :] for i, name in enumerate(skeleton("humaneva-15").joints)}
    p["spine"] = (p["pelvis"] + p["thorax"]) / 2
    p["neck_nose"] = (p["thorax"] + p["head"]) / 2
    p["head_top"] = p["head"]
    return np.stack([p[name] for name in skeleton("h36m-17").joints], axis=-2)


def to_coco(points: Array, source: str) -> Array:
    """Keypoints with scores (...,J,3) of a detector's skeleton -> (...,17,3) of coco-17.

    Raises:
        ValueError: `source` lacks one of them; nothing is guessed.
    """
    if source in OPENPOSE:
        xy, scores = body25_to_coco(points[..., :2], points[..., 2], source)
        return np.concatenate([xy, scores[..., None]], axis=-1)
    return pick(points, source, "coco-17")


_BY_FACE = ("halpe-26", "body-25b")  # their heads, too, come from the face in `coco_to_h36m_demo`


def to_h36m(points: Array, source: str, demo: bool = False) -> Array:
    """Keypoints with scores (...,J,3), y down, of a detector's skeleton -> (...,17,3) of h36m-17.

    What has Human3.6M's joints keeps them. Halpe and PoseTrack are converted as MotionBERT does, BODY_25B likewise;
    anything with COCO's joints as MotionBERT does or, with `demo`, as the demos of MHFormer and MotionAGFormer do.
    NaN stays NaN.

    Raises:
        ValueError: `source` has too few joints for that.
    """
    if set(skeleton("h36m-17").joints) <= set(skeleton(source).joints):
        return pick(points, source, "h36m-17")
    if (source, "h36m-17") in CONVERSIONS and source != "coco-17" and not (demo and source in _BY_FACE):
        return CONVERSIONS[source, "h36m-17"](points)
    coco = to_coco(points, source)
    if not demo:
        return coco_to_h36m(coco)
    return np.concatenate([coco_to_h36m_demo(coco[..., :2]), _demo_scores(coco[..., 2:])], axis=-1)


def _demo_scores(scores: Array) -> Array:
    """(...,17,1) -> (...,17,1): as MotionBERT's, but the head is as sure as eyes and ears together."""
    out, names = coco_to_h36m(scores), skeleton("coco-17")
    face = names.index("left_eye", "right_eye", "left_ear", "right_ear")
    out[..., skeleton("h36m-17").joints.index("head_top"), :] = scores[..., face, :].mean(axis=-2)
    return out


def blazepose_to_h36m(points: Array) -> Array:
    """(...,33,C) -> (...,23,C): torso points from hips and shoulders, head top from nose and ears, hand from knuckles.

    The head top lies beyond the ears' middle, as far above it as 0.6 of the shoulders-to-ears distance.
    """
    p = {name: points[..., i, :] for i, name in enumerate(skeleton("blazepose-33").joints)}
    p["pelvis"] = (p["left_hip"] + p["right_hip"]) / 2
    p["thorax"] = (p["left_shoulder"] + p["right_shoulder"]) / 2
    p["spine"] = (p["pelvis"] + p["thorax"]) / 2
    ears = (p["left_ear"] + p["right_ear"]) / 2
    p["neck_nose"] = (p["nose"] + p["thorax"] + ears) / 3
    p["head_top"] = ears + 0.6 * (ears - p["thorax"])
    for side in ("left_", "right_"):
        p[side + "hand"] = (p[side + "index"] + p[side + "pinky"]) / 2
    return np.stack([p[name] for name in skeleton("h36m-23").joints], axis=-2)


def to_lift(points: Array, source: str) -> Array:
    """(...,J,C) of any skeleton -> (...,26,C) of lift-26; joints that the source does not have are NaN, never guessed.

    A hand is the middle of the knuckles, a toe the foot index or the big toe.
    """
    names = skeleton(source).joints
    missing = np.full_like(points[..., 0, :], np.nan)

    def joint(name: str) -> Array:
        if name in names:
            return points[..., names.index(name), :]
        side = name.partition("_")[0]
        for end in ("", "1"):  # BlazePose's knuckles, or those of a whole hand
            if name == f"{side}_hand" and f"{side}_pinky{end}" in names:
                return points[..., skeleton(source).index(f"{side}_pinky{end}", f"{side}_index{end}"), :].mean(axis=-2)
        if name == f"{side}_toe" and f"{side}_big_toe" in names:
            return points[..., names.index(f"{side}_big_toe"), :]
        return missing

    return np.stack([joint(name) for name in skeleton("lift-26").joints], axis=-2)


CONVERSIONS: dict[tuple[str, str], Callable[[Array], Array]] = {
    ("coco-17", "h36m-17"): coco_to_h36m,
    ("halpe-26", "h36m-17"): halpe_to_h36m,
    ("posetrack-17", "h36m-17"): posetrack_to_h36m,
    ("body-25b", "h36m-17"): body25b_to_h36m,
    ("mpi-inf-3dhp-17", "h36m-17"): mpi_to_h36m,
    ("h36m-17", "mpi-inf-3dhp-17"): h36m_to_mpi,
    ("humaneva-15", "h36m-17"): humaneva_to_h36m,
    ("blazepose-33", "h36m-23"): blazepose_to_h36m,
}
