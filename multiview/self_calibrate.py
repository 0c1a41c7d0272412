"""Self-calibration from the people: cameras, focal lengths and clocks from the motion that several views share.

No board, no markers: the lifted poses give the cameras' turns (`multiview/fuse.py`), turns and keypoints their places
(`multiview/layout.py`), and a bundle adjustment (`multiview/people_bundle.py`) over cameras, joints, bones and time
offsets makes everything agree with the keypoints. The world is the axes of the first view that stands still (of the
first view, where all move: a moving world). Its size is that of the lifted poses, a person of average height. The
people themselves are then triangulated as with any other cameras (`multiview/known.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from multiview.fuse import Fused, fuse
from multiview.people import PersonViews
from multiview.people_bundle import Problem, Solution, pixels_per_metre, solve, with_noise
from multiview.people_evidence import Evidence, keypoints_at, put_sides_right, sightings, straightened
from multiview.people_start import Guess, choose_moments, guess, pose_numbers, problem, start
from multiview.people_uncertainty import Uncertainty, measure, reprojection_px, warnings_of
from pipeline.results import Array, Camera
from pipeline.skeletons import skeleton

PELVIS = skeleton("lift-26").index("pelvis")[0]
# Standard deviations of a focal length's logarithm: calibrated, noted in the file, and a guess (phones see 55 to 75
# degrees); and by how much cameras of one place differ.
GIVEN_SIGMA, NOTED_SIGMA, FOCAL_SIGMA, ALIKE_SIGMA = 0.01, 0.05, 0.12, 0.10
FIRST_SIGMA_M = 0.015  # of a keypoint, on the body, before it is measured
AT_ONCE = 60  # people times moments of the adjustment


@dataclass(frozen=True)
class SelfCalibrated:
    """V cameras as they agree best with the people, T times; metres, world of the reference view."""

    cameras: list[Camera]  # moving ones with T poses; `offset_s` corrected, `source` tells how
    fused: Fused  # what the lifted poses alone say
    offsets: Array  # (V,) s: the picture of scene time t was found at t + offset
    reprojection_px: Array  # (V,) median
    swapped: Array  # (V,) share of moments in which left and right of some limbs were exchanged
    uncertainty: Uncertainty
    warnings: tuple[str, ...]


def self_calibrate(
    people: Sequence[PersonViews],
    cameras: Sequence[Camera],
    times: Array,
    moving: Array | None = None,
    focal_sigma: Array | None = None,
) -> SelfCalibrated:
    """Find the cameras from people whom several views see.

    Args:
        people: the same people in the same views; keypoints of one skeleton.
        cameras: (V,) name, focal length (a guess will do), picture size and distortion; their poses are not read.
        times: (T,) s of the scene's clock.
        moving: (V,) bool; all stand still without it.
        focal_sigma: (V,) standard deviation of the logarithm of each camera's focal length, as GIVEN_SIGMA and
            NOTED_SIGMA; all are guesses (FOCAL_SIGMA) without it.

    Raises:
        Apart: a view that shares no moment with others.
        ValueError: fewer than two views, nobody, skeletons that differ, or `focal_sigma` not positive or not one per
            view.
    """
    _check(people, len(cameras), focal_sigma)
    moving = np.zeros(len(cameras), bool) if moving is None else np.asarray(moving, bool)
    sigma = np.full(len(cameras), FOCAL_SIGMA) if focal_sigma is None else np.asarray(focal_sigma, float)
    evidence = _evidence(people, cameras, times)
    poses, sure = (np.stack([getattr(person, name) for person in people]) for name in ("poses", "pose_scores"))
    fused = fuse(poses, sure, evidence.times, moving, sight(evidence))
    rig = guess(evidence, fused, moving)
    found = _search(evidence, rig, sigma)
    return _result(cameras, moving, evidence.times, fused, found)


def _check(people: Sequence[PersonViews], views: int, focal_sigma: Array | None) -> None:
    """Raises ValueError."""
    if views < 2 or not people:
        raise ValueError("self-calibration needs at least two views and a person whom they see")
    if len({person.skeleton for person in people}) > 1:
        raise ValueError("keypoints of several skeletons cannot be mixed")
    if focal_sigma is not None and (np.shape(focal_sigma) != (views,) or not (np.asarray(focal_sigma) > 0).all()):
        raise ValueError(f"focal_sigma must hold {views} positive numbers, one per view")


def _evidence(people: Sequence[PersonViews], cameras: Sequence[Camera], times: Array) -> Evidence:
    keypoints, scores = (np.stack([getattr(person, name) for person in people]) for name in ("keypoints", "scores"))
    return straightened(keypoints, scores, people[0].skeleton, cameras, times)


def _result(cameras: Sequence[Camera], moving: Array, times: Array, fused: Fused, found: _Found) -> SelfCalibrated:
    problem, state = found.problem, found.solution.state
    uncertainty = measure(problem, found.solution)
    there = np.zeros(state.points.shape[:2], bool)
    there[problem.seen.person, problem.seen.moment] = True
    paths = np.where(there[..., None], state.points[:, :, PELVIS], np.nan)
    centres = state.centres[problem.poses[:, len(found.moments) // 2]]
    names = [camera.name or f"view {v}" for v, camera in enumerate(cameras, 1)]
    return SelfCalibrated(
        [_camera(camera, v, moving[v], times, found) for v, camera in enumerate(cameras)], fused, found.offsets,
        reprojection_px(problem, state), found.swapped, uncertainty, warnings_of(uncertainty, names, centres, paths),
    )  # fmt: skip


def _camera(camera: Camera, view: int, moves: bool, times: Array, found: _Found) -> Camera:
    """A moving one's poses between the moments are interpolated."""
    state, poses = found.solution.state, found.problem.poses[view]
    pose = np.broadcast_to(np.eye(4), (len(times) if moves else 1, 4, 4)).copy()
    if moves and len(found.moments) > 1:
        known = times[found.moments]
        within = np.clip(times, known[0], known[-1])
        pose[:, :3, :3] = Slerp(known, Rotation.from_matrix(state.turns[poses]).inv())(within).as_matrix()
        pose[:, :3, 3] = np.stack([np.interp(within, known, axis) for axis in state.centres[poses].T], axis=-1)
    else:
        pose[:, :3, :3], pose[:, :3, 3] = state.turns[poses[0]].T, state.centres[poses[0]]
    matrix = np.array(camera.matrix, np.float64)
    matrix[:2, :2] *= np.exp(state.log_focal[view])
    return replace(
        camera, matrix=matrix, camera_to_world=pose if moves else pose[0], source="self-calibrated",
        offset_s=camera.offset_s - float(found.offsets[view]),
    )  # fmt: skip


def sight(evidence: Evidence) -> Array:
    """(P,V,T,3): towards the middle of the known joints, NaN where there are none."""
    known = evidence.scores > 0
    count = known.sum(-1)[..., None]
    middle = np.nan_to_num(evidence.flat).sum(-2) / np.maximum(count, 1)
    middle = np.where(count > 0, middle, np.nan)
    return np.concatenate([middle, np.ones_like(middle[..., :1])], axis=-1)


@dataclass(frozen=True)
class _Found:
    problem: Problem
    solution: Solution
    moments: Array  # (F,)
    offsets: Array  # (V,) s
    swapped: Array  # (V,)


def _search(evidence: Evidence, rig: Guess, focal_sigma: Array, rounds: int = 3) -> _Found:
    """Adjust; then with the noise that was found, sides put right and clocks moved, adjust again."""
    people, views = evidence.scores.shape[:2]
    moments = choose_moments(evidence, rig.moving, max(AT_ONCE // people, 30))
    poses, state = pose_numbers(rig.moving, len(moments)), start(rig, moments)
    alike = np.flatnonzero(focal_sigma >= FOCAL_SIGMA)  # what is known of one tells nothing of the others
    here, offsets, swapped = evidence, np.zeros(views), np.zeros(views)
    for turn in range(rounds):
        seen = sightings(here, moments, poses)
        seen = replace(seen, sigma=FIRST_SIGMA_M * pixels_per_metre(state, seen))
        told = problem(seen, state, rig, here, moments, focal_sigma, alike, ALIKE_SIGMA)
        if turn:
            told = with_noise(told, state)
            seen, changed = put_sides_right(told.seen, state)
            told, swapped = replace(told, seen=seen), changed.mean(1)
        solution = solve(told, state)
        offsets = offsets + solution.state.offsets
        state = replace(solution.state, offsets=np.zeros(views))
        here = keypoints_at(evidence, offsets)
    return _Found(told, solution, moments, offsets, swapped)
