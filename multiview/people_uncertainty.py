"""How sure a self-calibration is, what is left over in the pictures, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multiview.people_bundle import Problem, Solution, factored
from multiview.people_terms import State, reprojection_miss
from pipeline.results import Array

UNSURE_FOCAL = 0.08  # of the focal length
UNSURE_PLACE = 0.10  # of the rig's size
NARROW_DEG = 10.0  # between the lines of sight of the two views that differ most
STILL_M = 0.25  # a path that stays within that, tells little of the cameras
FLAT = 0.08  # of the path's longest extent


@dataclass(frozen=True)
class Uncertainty:
    """Standard deviations of what was found, were the model right; the keypoints' persistence in time is counted in."""

    focal: Array  # (V,) of the focal length, relative
    turn_deg: Array  # (V,) to the reference view
    centre_m: Array  # (V,)
    offset_s: Array  # (V,)
    persistence: float  # by what the independent standard deviations were multiplied


def measure(problem: Problem, solution: Solution) -> Uncertainty:
    """From the inverse of the normal equations at the solution."""
    starts, factor = solution.state.starts, persistence(problem, solution)
    triples = 3 * problem.poses[:, problem.poses.shape[1] // 2, None] + np.arange(3)
    view = np.arange(len(problem.poses))[:, None]
    wanted = np.concatenate([starts[3] + view, starts[1] + triples, starts[2] + triples, starts[4] + view], axis=1)
    place = np.full(starts[-1], -1)
    place[problem.order] = np.arange(len(problem.order))
    at = place[wanted]  # (V,8)
    units = np.zeros((len(problem.order), (at >= 0).sum()))
    units[at[at >= 0], np.arange(units.shape[1])] = 1.0
    variances = np.zeros(at.shape)  # what is given is known
    variances[at >= 0] = np.maximum((units * factored(solution.normal).solve(units)).sum(0), 0.0)
    focal, turn, centre, offset = np.split(variances, [1, 4, 7], axis=1)
    sigma = [factor * np.sqrt(part.sum(1)) for part in (focal, turn, centre, offset)]
    return Uncertainty(sigma[0], np.degrees(sigma[1]), sigma[2], sigma[3], factor)


def persistence(problem: Problem, solution: Solution) -> float:
    """Detectors err alike in neighbouring frames: with correlation r, a frame is worth (1 - r) / (1 + r) of one."""
    seen, state = problem.seen, solution.state
    people, moments, joints, _ = state.points.shape
    grid = np.full((people, len(problem.poses), joints, moments, 2), np.nan)
    miss = reprojection_miss(state, seen) / seen.sigma[:, None]
    grid[seen.person, seen.view, seen.joint, seen.moment] = np.clip(miss, -3, 3)
    first, second = grid[..., :-1, :], grid[..., 1:, :]
    both = np.isfinite(first) & np.isfinite(second)
    if not both.any():
        return 1.0
    a, b = first[both], second[both]
    r = float(np.clip((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-12), 0.0, 0.98))
    return float(np.sqrt((1 + r) / (1 - r)))


def reprojection_px(problem: Problem, state: State) -> Array:
    """(V,) px: the median distance of keypoints from the projected joints; NaN for a view without any."""
    miss = np.linalg.norm(reprojection_miss(state, problem.seen), axis=-1)
    there = [miss[problem.seen.view == v] for v in range(len(problem.poses))]
    return np.array([np.median(values) if len(values) else np.nan for values in there])


def warnings_of(uncertainty: Uncertainty, names: Sequence[str], centres: Array, paths: Array) -> tuple[str, ...]:
    """What the user should know.

    Args:
        names: (V,) of the views.
        centres: (V,3) m of the cameras.
        paths: (P,T,3) m of the people's pelvises, NaN where unknown.
    """
    out = []
    size = float(np.linalg.norm(centres - centres.mean(0), axis=-1).max())
    paths = paths.reshape(-1, 3)[np.isfinite(paths).all(-1).ravel()]
    angle = _widest(centres, paths)
    if angle < NARROW_DEG:
        out.append(
            f"the views see the people from nearly the same side ({angle:.0f} degrees apart): depth is unsure; "
            "move the cameras apart"
        )
    vague = uncertainty.focal > UNSURE_FOCAL
    if vague.any():
        out.append(
            f"focal lengths of {_listed(names, vague)} are known to {100 * uncertainty.focal[vague].max():.0f} % only "
            f"({_motion(paths)}); give them, or let people walk about, near and far"
        )
    places = uncertainty.centre_m / max(size, 1e-6)
    lost = places > UNSURE_PLACE
    if lost.any():
        out.append(
            f"places of {_listed(names, lost)} are known to {100 * places[lost].max():.0f} % of the rig's size only "
            f"({_motion(paths)})"
        )
    return tuple(out)


def _listed(names: Sequence[str], which: Array) -> str:
    return ", ".join(name for name, one in zip(names, which, strict=True) if one)


def _widest(centres: Array, paths: Array) -> float:
    """Degrees between the two lines of sight to the middle of the people that differ most."""
    way = centres - paths.mean(0)
    way = way / np.linalg.norm(way, axis=-1, keepdims=True)
    return float(np.degrees(np.arccos(np.clip((way @ way.T).min(), -1, 1))))


def _motion(paths: Array) -> str:
    """What kind of path it is, in words."""
    extent = 2 * np.linalg.svd(paths - paths.mean(0), compute_uv=False) / np.sqrt(len(paths))
    if extent[0] < STILL_M:
        return "the people stay on one spot"
    if extent[1] < max(FLAT * extent[0], 0.05):
        return "the people move along one straight line"
    return "the motion says no more"
