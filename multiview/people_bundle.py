"""Bundle adjustment over cameras, joints and bones: Levenberg and Marquardt's method on sparse normal equations.

The terms are in `multiview/people_terms.py`. The points of a moment are tied to each other by bones, and to other
moments only through the cameras: the normal equations have the shape of an arrow, and fill little where the unknowns
are eliminated in the order of `Problem.order`. Keypoints and lifted shapes count with Cauchy's weights, renewed in
every round.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csc_array, dia_array
from scipy.sparse.linalg import SuperLU, splu

from multiview.people_terms import (
    NEAR_M,
    Block,
    Sightings,
    State,
    alike,
    bones,
    local,
    prior,
    reprojection,
    reprojection_miss,
    shape,
    smooth_cameras,
    stacked,
)
from pipeline.results import Array

CAUCHY = 2.0  # standard deviations
BONE_M = 0.02  # how constant a bone is between the joints that a detector finds
SHAPE_M = 0.12  # how right the lifted bones are, as a weak prior
BONE_PRIOR = 0.08  # of the logarithm of a bone's length about the lifted one
UNKNOWN_BONE = 0.5
NEIGHBOURS_S = 0.5  # moments of a moving camera further apart than that say nothing about each other
TURN_RATE, MOVE_RATE = 2.0, 2.0  # rad/s^2 and m/s^2 of a camera in a hand
TOLERANCE = 3e-4  # relative fall of the cost that ends the search
RAYLEIGH = np.sqrt(2 * np.log(2))  # the median distance in the plane, in standard deviations of a coordinate
LEAST_PX = 0.3
LEAST_DAMPING, MOST_DAMPING = 1e-6, 1e6
RIDGE = 1e-9  # for unknowns that nothing speaks of


@dataclass(frozen=True)
class Problem:
    """What is known. P people, F moments, V views, B' bones of B kinds, N camera poses."""

    seen: Sightings
    times: Array  # (F,) s
    poses: Array  # (V,F) int: the camera pose of a view at a moment
    moving: Array  # (V,) bool
    pairs: Array  # (B',2) int: joints of a bone
    kinds: Array  # (B',) int: left and right are one kind
    wanted: Array  # (P,F,B',3) m: the lifted bones in the world, NaN where unknown
    log_bones: Array  # (P,B): of the lifted lengths in metres
    bones_known: Array  # (P,B) bool: did a lifter know them?
    focal_sigma: Array  # (V,) of the logarithm
    alike: Array  # (n,) int: the views whose focal lengths are alike
    alike_sigma: float  # of the logarithm of these among each other
    offset_sigma: Array  # (V,) s
    order: Array  # (n,) int: the unknowns that may change, in the order of their elimination


@dataclass(frozen=True)
class Solution:
    """Where the minimisation ended."""

    state: State
    cost: float
    normal: csc_array  # (n,n) the normal equations of `order`, at the solution


def solve(problem: Problem, state: State, rounds: int = 40) -> Solution:
    """Minimise from `state`; deterministic."""
    damping, cost = 1e-3, total_cost(problem, state)
    for _ in range(rounds):
        normal, pull = _normal(problem, state)
        better = None
        while damping < MOST_DAMPING:
            step = np.zeros(state.starts[-1])
            step[problem.order] = factored(normal, damping).solve(pull)
            trial = state.moved(step)
            trial_cost = total_cost(problem, trial)
            if np.isfinite(trial_cost) and trial_cost < cost:
                better = trial
                break
            damping *= 8
        if better is None:
            break
        fall, state, cost = (cost - trial_cost) / cost, better, trial_cost
        damping = max(damping / 6, LEAST_DAMPING)
        if fall < TOLERANCE:
            break
    return Solution(state, cost, _normal(problem, state)[0])


def factored(normal: csc_array, damping: float = 0.0) -> SuperLU:
    """`normal + damping diag(normal)`, positive definite, so that the diagonal may be its pivots in the given order.

    Raises:
        LinAlgError: it is singular.
    """
    diagonal = damping * normal.diagonal() + RIDGE
    damped = (normal + dia_array((diagonal[None], [0]), normal.shape)).tocsc()
    try:
        return splu(damped, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError as error:
        raise np.linalg.LinAlgError(str(error)) from error


def _normal(problem: Problem, state: State) -> tuple[csc_array, Array]:
    """The weighted normal equations of the unknowns that may change."""
    blocks, weights = zip(*_blocks(problem, state), strict=True)
    jacobian, values = stacked(blocks, np.sqrt(np.concatenate(weights)), state.starts[-1], problem.order)
    return (jacobian.T @ jacobian).T.tocsc(), -(jacobian.T @ values)  # symmetric: the transpose costs nothing


def _blocks(problem: Problem, state: State) -> list[tuple[Block, Array]]:
    seen = reprojection(state, problem.seen)
    formed = shape(state, problem.pairs, problem.wanted, np.full(len(problem.pairs), SHAPE_M))
    out = [
        (seen, np.repeat(problem.seen.score * _cauchy(seen.values.reshape(-1, 2)), 2)),
        (formed, np.repeat(_cauchy(formed.values.reshape(-1, 3)), 3)),
    ]
    return out + [(block, np.ones(len(block.values))) for block in _plain(problem, state)]


def _plain(problem: Problem, state: State) -> list[Block]:
    """The terms without outliers."""
    starts = state.starts
    blocks = [
        bones(state, problem.pairs, problem.kinds, BONE_M),
        prior(state.log_bones.ravel(), problem.log_bones.ravel(), _bone_sigma(problem), starts[5]),
        prior(state.log_focal, np.zeros(len(state.log_focal)), problem.focal_sigma, starts[3]),
        prior(state.offsets, np.zeros(len(state.offsets)), problem.offset_sigma, starts[4]),
    ]
    if len(problem.alike) > 1:
        blocks.append(alike(state.log_focal[problem.alike], problem.alike_sigma, starts[3] + problem.alike))
    for view in np.flatnonzero(problem.moving):
        blocks += smooth_cameras(state, problem.poses[view], problem.times, TURN_RATE, MOVE_RATE, NEIGHBOURS_S)
    return blocks


def _bone_sigma(problem: Problem) -> Array:
    return np.where(problem.bones_known.ravel(), BONE_PRIOR, UNKNOWN_BONE)


def _cauchy(residuals: Array) -> Array:
    """(M,r) -> (M,): weights of residuals in standard deviations."""
    return 1 / (1 + (residuals**2).sum(-1) / CAUCHY**2)


def total_cost(problem: Problem, state: State) -> float:
    """Half the robust sum of squares."""
    miss = reprojection_miss(state, problem.seen) / problem.seen.sigma[:, None]
    formed = shape(state, problem.pairs, problem.wanted, np.full(len(problem.pairs), SHAPE_M)).values.reshape(-1, 3)
    robust = (problem.seen.score * np.log1p((miss**2).sum(-1) / CAUCHY**2)).sum()
    robust += np.log1p((formed**2).sum(-1) / CAUCHY**2).sum()
    return 0.5 * float(CAUCHY**2 * robust + sum((block.values**2).sum() for block in _plain(problem, state)))


def with_noise(problem: Problem, state: State) -> Problem:
    """The keypoints' standard deviations as the state shows them: one length on the body for all views.

    The median of what is left over, set right for what the points have swallowed: of two views' four coordinates only
    one is left. A standard deviation for each view would run away there, one view taking all belief.
    """
    seen = problem.seen
    scale = pixels_per_metre(state, seen)
    miss = np.linalg.norm(reprojection_miss(state, seen), axis=-1) / scale
    places = np.ravel_multi_index((seen.person, seen.moment, seen.joint), state.points.shape[:3])
    views = np.bincount(places)
    free = 2 * views[views > 1].sum() - 3 * (views > 1).sum()
    paired = views[places] > 1
    if not paired.any():
        return problem
    sigma = np.median(miss[paired]) / RAYLEIGH * np.sqrt(2 * paired.sum() / max(free, 1))
    return replace(problem, seen=replace(seen, sigma=np.maximum(sigma * scale, LEAST_PX)))


def pixels_per_metre(state: State, seen: Sightings) -> Array:
    """(M,) at the sightings."""
    depth = np.maximum(local(state, seen)[:, 2], NEAR_M)
    return seen.focal * np.exp(state.log_focal[seen.view]) / depth
