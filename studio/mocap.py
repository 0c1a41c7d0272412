"""Recorded motion: joint positions over time become a body of the same bone lengths and a figure that moves alike.

Positions are interpolated at any time (Catmull-Rom), bones keep the clip's median lengths, so the result follows the
recording within its own unsteadiness. Feet and hands that the recording lacks (17 joints) lie flat and straight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.skeletons import skeleton
from studio.body import SEGMENTS, SIDES, Body, Figure, Proportions, assemble
from studio.rotations import Array, about, apply, frame, unit

Put = Callable[[str, Array, Array], None]  # segment, rotation (T,3,3), origin (T,3)
End = Callable[[str, str], Array]  # segment, parent -> origin (T,3) of the segment
SLOW_M_S, LOW_M = 0.25, 0.05  # a foot point below both is on the ground


@dataclass(frozen=True)
class Recording:
    """`joints` (T,17 or 23,3) m, world, Z up, in the order of `h36m-23`; `fps` of its frames. T may be 1."""

    joints: Array
    fps: float

    def __post_init__(self) -> None:
        shape = np.shape(self.joints)
        if len(shape) != 3 or shape[0] < 1 or shape[1] not in (17, 23) or shape[2] != 3:
            raise InputError(f"a recording of shape {shape}", "it must be (frames, 17 or 23, 3)")
        if not np.isfinite(self.joints).all() or not self.fps > 0:
            raise InputError("a recording with missing values or no frame rate", "every joint must be finite, fps > 0")

    @property
    def duration(self) -> float:
        """Seconds from the first to the last frame."""
        return (len(self.joints) - 1) / self.fps

    def body(self) -> Body:
        """A body with the recording's median bone lengths (the two sides' mean)."""
        name = {joint: i for i, joint in enumerate(skeleton("h36m-23").joints)}

        def bone(a: str, b: str) -> float:
            ends = self.joints[:, [name[a], name[b]]]
            return float(np.median(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)))

        def both(a: str, b: str) -> float:
            return (bone("left_" + a, "left_" + b) + bone("right_" + a, "right_" + b)) / 2

        torso = (bone("pelvis", "spine"), bone("spine", "thorax"), bone("thorax", "neck_nose"))
        head, thigh, shank = bone("neck_nose", "head_top"), both("hip", "knee"), both("knee", "ankle")
        height = (thigh + shank + sum(torso) + head) / 0.952  # the rest is below the ankle
        k = height / 1.75
        shoulders, hips = bone("left_shoulder", "right_shoulder") / 2 / k, bone("left_hip", "right_hip") / 2 / k
        looks = Proportions(height, 1, 1, float(np.clip(head / (0.212 * k), 0.88, 1.12)), shoulders, hips)
        return assemble(looks, thigh, shank, both("shoulder", "elbow"), both("elbow", "wrist"), torso)

    def at(self, times: Array) -> Array:
        """(T,K,3) m at any times (s); before the first and after the last frame the pose stands still."""
        x = np.clip(np.asarray(times, dtype=np.float64) * self.fps, 0, len(self.joints) - 1)
        i = np.minimum(x.astype(int), max(len(self.joints) - 2, 0))
        u = (x - i)[:, None, None]
        p = [self.joints[np.clip(i + n, 0, len(self.joints) - 1)].astype(np.float64) for n in (-1, 0, 1, 2)]
        a, b, c = -p[0] + 3 * p[1] - 3 * p[2] + p[3], 2 * p[0] - 5 * p[1] + 4 * p[2] - p[3], p[2] - p[0]
        return 0.5 * (((a * u + b) * u + c) * u) + p[1]


@dataclass(frozen=True)
class Replay:
    """The motion of a recording, moved to `place` (m) and turned by `heading` (rad), its feet on the floor."""

    recording: Recording
    place: tuple[float, float] = (0.0, 0.0)
    heading: float = 0.0
    start: float = 0.0  # s of the recording at time 0

    def __call__(self, body: Body, times: Array) -> Figure:
        step, times = 1 / 60, np.asarray(times, dtype=np.float64) + self.start
        figure = pose(body, self.recording.at(np.concatenate([times, times - step, times + step])))
        figure = self._placed(body, figure)
        feet = np.stack([body.place(figure, s + end) for s in SIDES for end in ("heel", "toe")], axis=1)
        now, before, after = np.split(feet, 3)
        slow = np.linalg.norm(after - before, axis=-1) / (2 * step) < SLOW_M_S
        low = now[..., 2] < LOW_M + 0.028 * body.scale
        return Figure(figure.rotations[: len(times)], figure.origins[: len(times)], slow & low)

    def _placed(self, body: Body, figure: Figure) -> Figure:
        whole = pose(body, self.recording.joints.astype(np.float64))
        feet = np.stack([body.place(whole, s + end)[:, 2] for s in SIDES for end in ("heel", "toe")])
        floor = np.percentile(feet.min(axis=0), 10) - 0.028 * body.scale
        turn, first = about("z", self.heading), self.recording.joints[0, 0].astype(np.float64)
        origins = apply(turn, figure.origins - np.array([*first[:2], floor])) + np.array([*self.place, 0.0])
        return Figure(turn @ figure.rotations, origins, figure.contacts)


def pose(body: Body, joints: Array) -> Figure:
    """The figure whose bones point as in `joints` (T,17 or 23,3) m; contacts are not told (all False)."""
    p = {name: joints[:, i] for i, name in enumerate(skeleton("h36m-23").joints[: joints.shape[1]])}
    count = len(joints)
    turns, origins = np.empty((count, len(SEGMENTS), 3, 3)), np.empty((count, len(SEGMENTS), 3))

    def put(name: str, rotation: Array, origin: Array) -> None:
        turns[:, SEGMENTS.index(name)], origins[:, SEGMENTS.index(name)] = rotation, origin

    def end(name: str, parent: str) -> Array:
        i, j = SEGMENTS.index(name), SEGMENTS.index(parent)
        return origins[:, j] + apply(turns[:, j], body.attach[i])

    across = unit(p["left_hip"] - p["right_hip"])
    root = frame(
        np.cross(np.cross(across, p["spine"] - p["pelvis"]), across), np.cross(across, p["spine"] - p["pelvis"])
    )
    put("pelvis", root, p["pelvis"])
    shoulders = p["left_shoulder"] - p["right_shoulder"]
    for name, parent, low, high in (
        ("chest", "pelvis", "spine", "thorax"),
        ("neck", "chest", "thorax", "neck_nose"),
        ("head", "neck", "neck_nose", "head_top"),
    ):
        up = p[high] - p[low]
        put(name, frame(up, np.cross(shoulders, up)), end(name, parent))
    for side in SIDES:
        _arm(body, p, side, turns, put, end)
        _leg(p, side, root, put, end)
    return Figure(turns, origins, np.zeros((count, 4), dtype=bool))


def _arm(body: Body, p: dict[str, Array], side: str, turns: Array, put: Put, end: End) -> None:
    chest = turns[:, SEGMENTS.index("chest")]
    rest = body.attach[SEGMENTS.index(side + "upper_arm")]
    clavicle = _aligning(apply(chest, rest), p[side + "shoulder"] - p["thorax"]) @ chest
    put(side + "clavicle", clavicle, end(side + "clavicle", "chest"))
    upper, fore = p[side + "shoulder"] - p[side + "elbow"], p[side + "elbow"] - p[side + "wrist"]
    arm = frame(upper, -unit(fore) + 0.12 * chest[:, :, 0])
    put(side + "upper_arm", arm, end(side + "upper_arm", side + "clavicle"))
    forearm = frame(fore, np.cross(arm[:, :, 1], fore))
    put(side + "forearm", forearm, end(side + "forearm", side + "upper_arm"))
    sign = 1 if side == "left_" else -1
    hand = forearm @ about("z", sign * 0.35)
    if side + "hand" in p:
        hand = frame(p[side + "wrist"] - p[side + "hand"], hand[:, :, 0])
    put(side + "hand", hand, end(side + "hand", side + "forearm"))


def _leg(p: dict[str, Array], side: str, root: Array, put: Put, end: End) -> None:
    hip, knee, ankle = (p[side + name] for name in ("hip", "knee", "ankle"))
    pole = (knee - (hip + ankle) / 2) / 0.2 + 0.15 * root[:, :, 0]
    put(side + "thigh", frame(hip - knee, pole), end(side + "thigh", "pelvis"))
    shank = frame(knee - ankle, pole)
    put(side + "shank", shank, end(side + "shank", side + "thigh"))
    if side + "toe" in p:
        forward = unit(p[side + "toe"] - p[side + "heel"])
        up = ankle - (p[side + "heel"] + p[side + "toe"]) / 2
        foot = frame(up - forward * (up * forward).sum(-1, keepdims=True), forward)
    else:
        foot = frame(np.broadcast_to([0, 0, 1.0], ankle.shape), shank[:, :, 0])
    put(side + "foot", foot, end(side + "foot", side + "shank"))


def _aligning(a: Array, b: Array) -> Array:
    """(T,3,3), the smallest rotations that turn the directions `a` (T,3) into `b` (T,3)."""
    a, b = unit(a), unit(b)
    v, c = np.cross(a, b), (a * b).sum(-1)[:, None, None]
    k = np.zeros((len(a), 3, 3))
    k[:, 0, 1], k[:, 0, 2], k[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    k -= np.swapaxes(k, -1, -2)
    return np.eye(3) + k + k @ k / np.maximum(1 + c, 1e-6)


def read_recording(source: str) -> Recording:
    """A recording from `FILE` or `FILE:CLIP`.

    An .npz holds `joints` (T,17 or 23,3) m and `fps`, or many clips packed as `rel`, `root`, `start`, `length`,
    `name` and `fps`, of which CLIP is a name or a number (the first when not given).

    Raises:
        InputError: no such file or clip, or other contents.
    """
    name, clip = (source, "") if Path(source).is_file() else (source.rpartition(":")[0], source.rpartition(":")[2])
    try:
        with np.load(name, allow_pickle=False) as data:
            if "joints" in data.files and data["joints"].dtype.kind == "f":
                return Recording(data["joints"], float(data["fps"]))
            i = _clip_number(list(map(str, data["name"])), clip)
            part = slice(int(data["start"][i]), int(data["start"][i] + data["length"][i]))
            joints = data["rel"][part].astype(np.float32) + data["root"][part, None]
            return Recording(joints, float(data["fps"]))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"cannot read the recording {source}", str(error), "an .npz with joints and fps") from error


def _clip_number(names: list[str], clip: str) -> int:
    if clip in names:
        return names.index(clip)
    number = int(clip) if clip.isdigit() else 0 if not clip else -1
    if not 0 <= number < len(names):
        raise ValueError(f"no clip {clip!r} among its {len(names)}")
    return number
