"""One person in all views: which rows of which tracks are theirs, and those rows as arrays on the scene's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.results import Array, Motion3D, Track2D
from pipeline.skeletons import CONVERSIONS, pick, skeleton, to_lift

BODY = "h36m-23"  # of the lifted poses


class Apart(ValueError):
    """Views, by their numbers from 0, that share no moment with the others."""

    def __init__(self, *views: int) -> None:
        names = ", ".join(str(v + 1) for v in views)
        super().__init__(f"view{'s' * (len(views) > 1)} {names}: nobody seen in common with the other views")
        self.views = views


# [view][track] (T of the track,) int: whose each of its frames is, -1 nobody's
Owners = Sequence[Sequence[Array]]


@dataclass(frozen=True)
class PersonViews:
    """One person in V views on the scene's clock of T times; NaN and 0 where a view does not see them: what moves."""

    keypoints: Array  # (V,T,J,2) px
    scores: Array  # (V,T,J) in [0,1]
    skeleton: str  # of the keypoints
    poses: Array  # (V,T,23,3) m of h36m-23 relative to the pelvis, each in its camera's axes
    pose_scores: Array  # (V,T,23)

    @property
    def seen(self) -> Array:
        """(V,T) bool: at least one keypoint is there."""
        return (self.scores > 0).any(axis=-1)


@dataclass(frozen=True)
class SeenPerson(PersonViews):
    """The same with all that the views tell."""

    contacts: Array  # (V,T,4) in [0,1]: left heel, left toe, right heel, right toe on the ground; NaN where not told
    observed: Array  # (V,T) bool: the detector saw them
    boxes: Array  # (V,T,4) px


def gather(
    owners: Owners,
    person: int,
    tracks: Sequence[Sequence[Track2D]],
    motions: Sequence[Sequence[Motion3D]] | None,
    times: int,
) -> SeenPerson:
    """What belongs to one person, put together.

    Args:
        tracks: of each view, their `frames` on the scene's clock.
        motions: lifted from these tracks, frame "root", of the same frames; of h36m-17 or h36m-23. None: nothing was
            lifted, and there are no poses.
        times: of the scene's clock.

    Raises:
        ValueError: nothing belongs to the person, or keypoints of several skeletons.
    """
    theirs = [
        (view, track, motion, owner == person)
        for view, row in enumerate(owners)
        for owner, track, motion in zip(row, tracks[view], motions[view] if motions else [None] * len(row), strict=True)
        if (owner == person).any()
    ]
    names = {track.skeleton for _, track, _, _ in theirs}
    if len(names) != 1:
        raise ValueError(f"a person of {len(names)} skeletons: {', '.join(sorted(names)) or 'none'}")
    name, views = names.pop(), len(tracks)
    joints, body = len(skeleton(name)), len(skeleton(BODY))
    out = SeenPerson(
        np.full((views, times, joints, 2), np.nan, np.float32), np.zeros((views, times, joints), np.float32), name,
        np.full((views, times, body, 3), np.nan, np.float32), np.zeros((views, times, body), np.float32),
        np.full((views, times, 4), np.nan, np.float32), np.zeros((views, times), bool),
        np.full((views, times, 4), np.nan, np.float32),
    )  # fmt: skip
    for view, track, motion, rows in theirs:
        _put(out, view, track, motion, rows)
    return out


def _put(out: SeenPerson, view: int, track: Track2D, motion: Motion3D | None, rows: Array) -> None:
    """The rows (T of the track,) bool into the arrays, in place."""
    at = track.frames[rows]
    out.keypoints[view, at], out.scores[view, at] = track.keypoints[rows], track.scores[rows]
    out.observed[view, at], out.boxes[view, at] = track.observed[rows], track.boxes[rows]
    if motion is None:
        return
    joints = motion.joints.shape[1]
    out.poses[view, at, :joints], out.pose_scores[view, at, :joints] = motion.joints[rows], motion.scores[rows]
    if motion.contacts is not None:
        out.contacts[view, at] = motion.contacts[rows]


def to_body(points: Array, source: str) -> Array:
    """Joints (...,J,C) of a detector's skeleton -> (...,23,C) of h36m-23, NaN where it has nothing for a joint.

    Linear, so that it may be done in the pictures or in space.

    Raises:
        ValueError: `source` lacks joints of Human3.6M.
    """
    if (source, BODY) in CONVERSIONS:
        return CONVERSIONS[source, BODY](points)
    if set(skeleton("h36m-17").joints) <= set(skeleton(source).joints):
        first = pick(points, source, "h36m-17")
    elif (source, "h36m-17") in CONVERSIONS:
        first = CONVERSIONS[source, "h36m-17"](points)
    else:
        first = CONVERSIONS["coco-17", "h36m-17"](pick(points, source, "coco-17"))
    rest = skeleton("lift-26").index(*skeleton(BODY).joints[17:])
    return np.concatenate([first, to_lift(points, source)[..., rest, :]], axis=-2)


def as_track(person: SeenPerson, view: int, number: int) -> Track2D:
    """What a view saw of the person, from first to last sight; of length 0 where it saw nothing."""
    seen = np.flatnonzero(person.seen[view])
    frames = np.arange(seen[0], seen[-1] + 1, dtype=np.int32) if len(seen) else np.zeros(0, np.int32)
    parts = (part[view, frames] for part in (person.keypoints, person.scores, person.observed, person.boxes))
    return Track2D(number, person.skeleton, frames, *parts)


def as_motion(person: SeenPerson, view: int, number: int) -> Motion3D:
    """What a view's lift makes of the person, of the same frames as `as_track`; frame "root"."""
    track = as_track(person, view, number)
    joints, contacts = person.poses[view, track.frames], person.contacts[view, track.frames]
    told = contacts if np.isfinite(contacts).any() else None
    nowhere = np.full((len(track), 3), np.nan, np.float32)
    scores = person.pose_scores[view, track.frames]
    return Motion3D(number, BODY, "root", track.frames, joints, scores, nowhere, track.observed, told)


def touching(person: SeenPerson) -> Array | None:
    """(T,4): contacts as the views that see the feet tell them together; None where no view tells any."""
    ankles = skeleton(BODY).index("left_ankle", "left_ankle", "right_ankle", "right_ankle")
    weight = np.where(np.isfinite(person.contacts), np.maximum(person.pose_scores[..., ankles], 1e-3), 0.0)
    if not weight.any():
        return None
    total = weight.sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean = (np.nan_to_num(person.contacts) * weight).sum(axis=0) / total
    return mean.astype(np.float32)
