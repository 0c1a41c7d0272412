"""How sure a self-calibration is, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multiview.people_bundle import Problem, Solution
from multiview.people_terms import reprojection_miss
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
    state, views = solution.state, len(problem.poses)
    factor = persistence(problem, solution)
    starts, inner = state.starts, len(problem.order) - problem.border
    place = np.full(starts[-1], -1)
    place[problem.order[inner:]] = np.arange(problem.border)
    variances = np.maximum(np.diag(solution.factor.shared_covariance()), 0.0)

    def sigma(columns: Array) -> float:
        inside = place[columns]
        return factor * float(np.sqrt(variances[inside[inside >= 0]].sum()))

    middle = problem.poses[:, problem.poses.shape[1] // 2]
    triple = np.arange(3)
    return Uncertainty(
        np.array([sigma(np.array([starts[3] + v])) for v in range(views)]),
        np.degrees([sigma(starts[1] + 3 * n + triple) for n in middle]),
        np.array([sigma(starts[2] + 3 * n + triple) for n in middle]),
        np.array([sigma(np.array([starts[4] + v])) for v in range(views)]),
        factor,
    )


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
    lost = uncertainty.centre_m > UNSURE_PLACE * max(size, 1e-6)
    if lost.any():
        out.append(
            f"places of {_listed(names, lost)} are known to {100 * uncertainty.centre_m[lost].max():.0f} cm only "
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
