"""Self-calibration from the people: cameras, focal lengths, clocks and 3D from the motion that several views share.

No board, no markers: the lifted poses give the cameras' turns (`multiview/fuse.py`), turns and keypoints their places
(`multiview/layout.py`), and a bundle adjustment (`multiview/people_bundle.py`) over cameras, joints, bones and time
offsets makes everything agree with the keypoints. The world is the axes of the first view that stands still (of the
first view, where all move: a moving world). Its size is that of the lifted poses, a person of average height.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multiview.fuse import Fused, fuse
from multiview.people import PersonViews
from multiview.people_bundle import Problem, Solution, pixels_per_metre, solve, with_noise
from multiview.people_evidence import Evidence, keypoints_at, put_sides_right, sightings, straightened
from multiview.people_finish import place_people, refined, reprojection_px
from multiview.people_start import Guess, choose_moments, guess, pose_numbers, problem, start
from multiview.people_uncertainty import Uncertainty, measure, warnings_of
from pipeline.results import Array, Camera
from pipeline.skeletons import skeleton

LIFT, BODY = skeleton("lift-26"), skeleton("h36m-23")
# Standard deviations of a focal length's logarithm: calibrated, noted in the file, and a guess (phones see 55 to 75
# degrees); and by how much cameras of one place differ.
GIVEN_SIGMA, NOTED_SIGMA, FOCAL_SIGMA, ALIKE_SIGMA = 0.01, 0.05, 0.12, 0.10
FIRST_SIGMA_M = 0.015  # of a keypoint, on the body, before it is measured
AT_ONCE = 60  # people times moments of the adjustment


@dataclass(frozen=True)
class SelfCalibrated:
    """Cameras and people as they agree best, V views, P people, T times; metres, world of the reference view."""

    cameras: list[Camera]  # moving ones with T poses; `offset_s` corrected, `source` tells how
    joints: Array  # (P,T,23,3) m of h36m-23 in the world
    spread: Array  # (P,T,23) m: standard error of each joint's place, were the cameras right
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
    """Find the cameras and the motion of people whom several views see.

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
    return _result(cameras, rig, fused, found)


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


def _result(cameras: Sequence[Camera], rig: Guess, fused: Fused, found: _Found) -> SelfCalibrated:
    """Everybody placed in every frame."""
    uncertainty = measure(found.problem, found.solution)
    rig = refined(rig, found.solution.state, found.problem.poses, found.moments)
    points, spread = place_people(found.evidence, rig, found.solution.state, found.problem)
    pelvis = points[:, :, LIFT.joints.index("pelvis")]
    centres = found.solution.state.centres[found.problem.poses[:, len(found.moments) // 2]]
    order = LIFT.index(*BODY.joints)
    names = [camera.name or f"view {v}" for v, camera in enumerate(cameras, 1)]
    return SelfCalibrated(
        [_camera(camera, v, rig, found) for v, camera in enumerate(cameras)],
        points[:, :, order], spread[:, :, order], fused, found.offsets,
        reprojection_px(found.problem, found.solution.state), found.swapped,
        uncertainty, warnings_of(uncertainty, names, centres, pelvis),
    )  # fmt: skip


def _camera(camera: Camera, view: int, rig: Guess, found: _Found) -> Camera:
    matrix = np.array(camera.matrix, np.float64)
    matrix[:2, :2] *= np.exp(found.solution.state.log_focal[view])
    pose = np.broadcast_to(np.eye(4), (rig.turns.shape[1], 4, 4)).copy()
    pose[:, :3, :3] = np.swapaxes(rig.turns[view], -1, -2)
    pose[:, :3, 3] = rig.centres[view]
    return replace(
        camera, matrix=matrix, camera_to_world=pose if rig.moving[view] else pose[0], source="self-calibrated",
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
    evidence: Evidence  # on the clocks that were found
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
    return _Found(told, solution, moments, here, offsets, swapped)
