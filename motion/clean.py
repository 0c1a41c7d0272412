"""Clean 3D motion in the world: gaps, filter, constant bones, standing feet. Spans are in seconds, never in frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from motion.bones import bone_lengths, fit_bones
from motion.feet import hold_feet
from motion.filters import lowpass_known, runs
from motion.gaps import fill
from motion.stance import feet_of, standing
from pipeline.errors import UsageError
from pipeline.results import Array, Motion3D
from pipeline.skeletons import skeleton

CUTOFF_HZ = 6.0
MAX_GAP_S = 0.5


def clean(
    motions: list[Motion3D],
    times: Array,
    cutoff_hz: float = CUTOFF_HZ,
    max_gap_s: float = MAX_GAP_S,
    feet: bool = True,
    bones: bool = True,
) -> list[Motion3D]:
    """Everyone cleaned; ids, frames, contacts and `observed` stay, and so do joints that are known in no frame (NaN).

    Args:
        motions: frame "world".
        times: (T_clip,) s.
        cutoff_hz: of the zero-phase low-pass filter on pose and path; 0 turns it off.
        max_gap_s: longer gaps stay NaN.
        feet: hold standing feet in place; moves whole legs, so only with constant bones.
        bones: make them constant. Joints that several cameras measured are nearer to the truth without: a shoulder goes
            up with the arm, a back bends.

    Raises:
        UsageError: a negative cut-off or gap.
        ValueError: a motion in another frame.
    """
    if cutoff_hz < 0 or max_gap_s < 0:
        raise UsageError("the filter's cut-off and the longest gap cannot be negative")
    return [_clean_one(motion, np.asarray(times, float), cutoff_hz, max_gap_s, feet, bones) for motion in motions]


def _clean_one(
    motion: Motion3D, clip_times: Array, cutoff_hz: float, max_gap_s: float, feet: bool, constant: bool
) -> Motion3D:
    if motion.frame != "world":
        raise ValueError(f"person {motion.id}: cleaning works in the world, got {motion.frame!r}")
    times, bones = clip_times[motion.frames], skeleton(motion.skeleton)
    root = motion.joints[:, :1].astype(float)
    if not np.isfinite(root).any():  # then there is no path to tell from the pose
        root = np.zeros_like(root)
    parts = np.concatenate([root, motion.joints - root], axis=1)  # the path, then the pose about it
    parts, scores = fill(parts, np.concatenate([motion.scores[:, :1], motion.scores], 1), times, max_gap_s)
    if cutoff_hz > 0:
        parts = lowpass_known(parts, times, cutoff_hz)
    joints = parts[:, 1:] + parts[:, :1]
    del parts  # the longest clips fill the memory
    if constant:
        lengths = bone_lengths(motion.joints, motion.scores, bones)
        if feet:
            _stand(motion, joints, times, lengths)
        else:
            joints = fit_bones(joints, lengths, bones)
    known = np.isfinite(joints).all(-1)
    joints = np.where(known[..., None], joints, np.nan).astype(np.float32)
    return replace(
        motion, joints=joints, root=joints[:, 0], scores=np.where(known, scores[:, 1:], 0).astype(np.float32)
    )


def _stand(motion: Motion3D, joints: Array, times: Array, lengths: Array) -> None:
    """Bones constant, and feet held where they are known, in every unbroken run of frames with a pose, in place."""
    bones = skeleton(motion.skeleton)
    feet = feet_of(bones, motion.joints)
    for begin, end in runs(np.isfinite(joints).all(-1).any(axis=1)):
        rows = slice(begin, end)
        if motion.contacts is not None and motion.contacts.shape[1] == len(feet.joints):
            contact = np.nan_to_num(motion.contacts[rows])
        else:
            contact = standing(joints[rows][:, feet.joints], np.array([0.0, 0, 1]), times[rows])
        joints[rows] = hold_feet(joints[rows], contact, times[rows], lengths, bones, feet)
