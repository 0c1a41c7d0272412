"""After the cameras are found: everybody at every moment, and what is left over in the pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from multiview.people_bundle import Problem, pixels_per_metre, solve
from multiview.people_evidence import Evidence, put_sides_right, sightings
from multiview.people_start import Guess, completed, lifted_bones
from multiview.people_terms import State, reprojection_miss
from pipeline.results import Array

AT_ONCE = 256  # people times moments: 12 MB of normal equations
ROUNDS = 8
LOOSE_M = 0.04  # how far the lifted pose may be off where it judges sides


def refined(rig: Guess, state: State, poses: Array, moments: Array) -> Guess:
    """The rig with the cameras of `state` at every time: a moving one's poses between the moments are interpolated."""
    times = np.arange(rig.turns.shape[1])
    turns, centres = np.array(rig.turns), np.array(rig.centres)
    for view, moves in enumerate(rig.moving):
        mine = poses[view]
        if not moves or len(moments) == 1:
            turns[view], centres[view] = state.turns[mine[0]], state.centres[mine[0]]
            continue
        within = np.clip(times, moments[0], moments[-1])
        turns[view] = Slerp(moments, Rotation.from_matrix(state.turns[mine]))(within).as_matrix()
        centres[view] = np.stack([np.interp(within, moments, state.centres[mine, axis]) for axis in range(3)], -1)
    return replace(rig, turns=turns, centres=centres)


def place_people(evidence: Evidence, rig: Guess, found: State, problem: Problem) -> tuple[Array, Array]:
    """Points at all times from the cameras and bones that were found.

    Returns:
        (P,T,26,3) m, NaN where nobody sees the person, and standard errors (P,T,26) m.
    """
    people, _, count = evidence.scores.shape[:3]
    begun = completed(rig.points)
    relative = float(np.median(problem.seen.sigma / pixels_per_metre(found, problem.seen)))
    step = max(AT_ONCE // people, 1)
    pieces = [
        _piece(evidence, rig, begun, found, problem, np.arange(first, min(first + step, count)), relative)
        for first in range(0, count, step)
    ]
    points, spread = (np.concatenate(part, axis=1) for part in zip(*pieces, strict=True))
    there = (evidence.scores > 0).any((1, 3))[:, :, None]
    return np.where(there[..., None], points, np.nan), np.where(there, spread, np.nan)


def _piece(
    evidence: Evidence, rig: Guess, begun: Array, found: State, problem: Problem, moments: Array, relative: float
) -> tuple[Array, Array]:
    views, count = len(rig.moving), len(moments)
    poses = np.arange(views)[:, None] * count + np.arange(count)
    turns, centres = rig.turns[:, moments].reshape(-1, 3, 3), rig.centres[:, moments].reshape(-1, 3)
    state = replace(found, points=begun[:, moments], turns=turns, centres=centres, offsets=np.zeros(views))
    seen = sightings(evidence, moments, poses)
    told = replace(
        problem, seen=seen, times=evidence.times[moments], poses=poses, moving=np.zeros(views, bool),
        wanted=lifted_bones(rig.bodies[:, moments]), order=np.arange(state.points.size), border=0,
    )  # fmt: skip
    for coarse in (True, False):  # sides first against the lifted pose: keypoints that are wrong pull the points along
        size = pixels_per_metre(state, told.seen)
        loose = replace(told.seen, sigma=max(relative, LOOSE_M) * size if coarse else relative * size)
        told = replace(told, seen=replace(put_sides_right(loose, state)[0], sigma=relative * size))
        done = solve(told, state, ROUNDS)
        state = done.state
    variances = done.factor.block_variances().reshape(*state.points.shape)
    return state.points, np.sqrt(variances.sum(-1))


def reprojection_px(problem: Problem, state: State) -> Array:
    """(V,) px: the median distance of keypoints from the projected joints; NaN for a view without any."""
    miss = np.linalg.norm(reprojection_miss(state, problem.seen), axis=-1)
    views = range(len(problem.poses))
    there = [miss[problem.seen.view == v] for v in views]
    return np.array([np.median(values) if len(values) else np.nan for values in there])
