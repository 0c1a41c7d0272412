"""From fused motion to a first state of the bundle adjustment, and what the adjustment is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiview.fuse import Fused
from multiview.layout import camera_centres, middle_known, pelvis_paths
from multiview.people_bundle import Problem
from multiview.people_evidence import Evidence
from multiview.people_terms import Sightings, State
from pipeline.results import Array
from pipeline.skeletons import skeleton

LIFT, BODY = skeleton("lift-26"), skeleton("h36m-23")
PAIRS = np.array(LIFT.bones)
_SIDELESS = [LIFT.joints[child].removeprefix("left_").removeprefix("right_") for _, child in LIFT.bones]
KINDS = np.array([sorted(set(_SIDELESS)).index(name) for name in _SIDELESS])
IN_BODY = [BODY.joints.index(name) if name in BODY.joints else -1 for name in LIFT.joints]
FACE_M = 0.12  # from the nose to an ear and to the neck, where lifted poses have none
OFFSET_SIGMA_S = 0.05
MOVING_STEP_S = 0.06  # a moving camera's poses are found at moments no closer than that
MOST_MOVING = 240  # moments with moving cameras: what they share fills a dense matrix; 14 s at the full rate
TOGETHER = 4  # joints that two views must know of a person at a moment that counts


@dataclass(frozen=True)
class Guess:
    """The rig as lifted poses and keypoints show it; axes of the reference view, its centre at the origin."""

    reference: int
    moving: Array  # (V,) bool
    turns: Array  # (V,T,3,3) from the reference's axes
    centres: Array  # (V,T,3) m
    points: Array  # (P,T,26,3) m of lift-26, NaN where unknown
    bodies: Array  # (P,T,26,3) m relative to the pelvis, the same


def guess(evidence: Evidence, fused: Fused, moving: Array) -> Guess:
    """The world is the axes of the first view that stands still; of the first view where all move.

    Raises:
        ValueError: a view that shares no moment with the others.
    """
    views, times = len(moving), len(evidence.times)
    still = np.flatnonzero(~moving)
    reference = int(still[0]) if len(still) else 0
    turns = fused.rotations if fused.rotations.ndim == 4 else fused.rotations[:, None]
    turns = np.broadcast_to(turns, (views, times, 3, 3))
    base = turns[reference]
    bodies = _in_lift(np.einsum("tij,ptkj->ptki", base, fused.joints))
    turns = turns @ np.swapaxes(base, -1, -2)
    inside = np.einsum("vtij,ptkj->pvtki", turns, bodies)
    paths = pelvis_paths(evidence.flat, evidence.scores, inside)
    centres = camera_centres(paths, turns, moving, reference)
    pelvis = middle_known(centres[None] + np.einsum("vtji,pvtj->pvti", turns, paths), 1)
    return Guess(reference, moving, turns, centres, pelvis[:, :, None] + bodies, bodies)


def _in_lift(joints: Array) -> Array:
    """(...,23,3) -> (...,26,3), NaN for the face."""
    out = joints[..., np.maximum(IN_BODY, 0), :]
    return np.where((np.array(IN_BODY) >= 0)[:, None], out, np.nan)


def choose_moments(evidence: Evidence, moving: Array, most: int) -> Array:
    """(F,) indices into the times, even over those in which two views see somebody together.

    With moving cameras all of them, thinned to MOVING_STEP_S, and further where the clip is long.

    Raises:
        ValueError: there are none.
    """
    together = ((evidence.scores > 0).sum(-1) >= TOGETHER).sum(1).max(0) >= 2
    good = np.flatnonzero(together)
    if not len(good):
        raise ValueError("at no moment two views see the same person")
    if moving.any():
        span = float(evidence.times[good[-1]] - evidence.times[good[0]])
        return _apart(good, evidence.times, max(MOVING_STEP_S, span / MOST_MOVING))
    return good[np.unique(np.linspace(0, len(good) - 1, min(most, len(good))).round().astype(int))]


def _apart(moments: Array, times: Array, step: float) -> Array:
    """Moments at least about `step` seconds apart, the first of every step."""
    slots = np.floor((times[moments] - times[moments[0]]) / step + 1e-6)
    return moments[np.unique(slots, return_index=True)[1]]


def pose_numbers(moving: Array, count: int) -> Array:
    """(V,F) int: one camera pose for a still view, one per moment for a moving one."""
    sizes = np.where(moving, count, 1)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return first[:, None] + np.where(moving[:, None], np.arange(count), 0)


def start(rig: Guess, moments: Array) -> State:
    """The first state at the chosen moments."""
    turns, centres = [], []
    for view, moves in enumerate(rig.moving):
        chosen = moments if moves else moments[:1]
        turns.append(rig.turns[view, chosen])
        centres.append(rig.centres[view, chosen])
    views = len(rig.moving)
    return State(
        completed(rig.points)[:, moments], np.concatenate(turns), np.concatenate(centres),
        np.zeros(views), np.zeros(views), bone_prior(rig.bodies)[0],
    )  # fmt: skip


def completed(points: Array) -> Array:
    """(P,T,26,3) without NaN: a face at the neck, gaps over time interpolated, a joint never known at the pelvis."""
    out = points.copy()
    for name in ("nose", "left_ear", "right_ear"):
        joint, neck = LIFT.index(name, "neck_nose")
        out[:, :, joint] = np.where(np.isfinite(out[:, :, joint]), out[:, :, joint], out[:, :, neck] + FACE_M / 2)
    moments = np.arange(out.shape[1])
    for joint in (LIFT.joints.index("pelvis"), *range(len(LIFT))):
        for person in range(len(out)):
            track = out[person, :, joint]
            known = np.isfinite(track).all(-1)
            if known.all():
                continue
            if not known.any():
                track[:] = np.nan_to_num(out[person, :, LIFT.joints.index("pelvis")])
                continue
            for axis in range(3):
                track[:, axis] = np.interp(moments, moments[known], track[known, axis])
    return out


def bone_prior(bodies: Array) -> tuple[Array, Array]:
    """(P,B) logarithms of the lifted bones' lengths in metres, and (P,B) bool: are they known?"""
    length = np.linalg.norm(bodies[:, :, PAIRS[:, 1]] - bodies[:, :, PAIRS[:, 0]], axis=-1)
    people, kinds = len(bodies), KINDS.max() + 1
    out, known = np.full((people, kinds), np.log(FACE_M)), np.zeros((people, kinds), bool)
    for person in range(people):
        for kind in range(kinds):
            values = length[person][:, kind == KINDS]
            if np.isfinite(values).any():
                out[person, kind], known[person, kind] = np.log(max(np.nanmedian(values), 1e-3)), True
    return out, known


def lifted_bones(bodies: Array) -> Array:
    """(P,F,26,3) -> (P,F,B',3) m."""
    return bodies[:, :, PAIRS[:, 1]] - bodies[:, :, PAIRS[:, 0]]


def problem(
    seen: Sightings, state: State, rig: Guess, evidence: Evidence, moments: Array, focal_sigma: Array,
    alike: Array, alike_sigma: float
) -> Problem:  # fmt: skip
    """What the adjustment is told; the reference's pose and the first view's clock stay as they are."""
    poses = pose_numbers(rig.moving, len(moments))
    lengths, known = bone_prior(rig.bodies)
    views = len(rig.moving)
    return Problem(
        seen, evidence.times[moments], poses, rig.moving, PAIRS, KINDS, lifted_bones(rig.bodies[:, moments]), lengths,
        known, np.broadcast_to(focal_sigma, (views,)), alike, alike_sigma, np.full(views, OFFSET_SIGMA_S),
        unknowns(state, poses, rig.reference),
    )  # fmt: skip


def unknowns(state: State, poses: Array, reference: int) -> Array:
    """(n,) int: the unknowns, points first, then camera poses from moment to moment, then what all moments share.

    Without the reference's pose, which is the world, and the first view's offset, whose clock is the scene's.
    """
    starts = state.starts
    late_first, found = np.unique(poses.T[::-1], return_index=True)
    by_last_use = late_first[np.argsort(-found, kind="stable")]
    others = by_last_use[~np.isin(by_last_use, poses[reference])]
    offsets = np.arange(starts[4] + 1, starts[5])
    return np.concatenate([np.arange(starts[1]), _six(starts, others[:, None]).ravel(), np.arange(starts[3], starts[4]),
                           offsets, np.arange(starts[5], starts[6])]).astype(int)  # fmt: skip


def _six(starts: list[int], numbers: Array) -> Array:
    """(N,1) poses -> (N,6): their turns and centres."""
    three = 3 * numbers + np.arange(3)
    return np.concatenate([starts[1] + three, starts[2] + three], axis=1)
