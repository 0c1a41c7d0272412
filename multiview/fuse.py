"""Procrustes fusion: one person's lifted motions from several unknown cameras become one motion.

Every lifted pose is right up to the turn of its camera, and less sure along the line of sight than across it. One
rotation per camera for the whole clip (per moment where it moves) brings them together; where the lines of sight
differ, what one view knows badly another knows well, so the poses are averaged by their information, not plainly.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from multiview.people import Apart
from multiview.procrustes import believed, blurred, common_turn, cross_matrix, exponential
from pipeline.results import Array

ACROSS_M, ALONG_M = 0.032, 0.095
"""Standard deviations of a lifted joint across and along the line of sight: three times as far off along it with
studio actors (`python -m benchmarks.self_calibration lifting`); with real detections everything is twice as far off."""
WIDTH = 3.0  # standard deviations from which on a view's joint loses belief
BELIEVED_M = 0.2  # a joint that misses by more counts less in the first turns
WINDOW_S = 0.35  # of a moving camera's rotation
ROUNDS = 12
CROSS = -cross_matrix(np.eye(3))  # of Levi-Civita: (x cross y)_a = CROSS_aij x_i y_j
ENOUGH = 1500  # moments for the turns of cameras that stand still; all would fill the memory of a long clip


@dataclass(frozen=True)
class Fused:
    """P people seen by V views over T times, K joints."""

    joints: Array  # (P,T,K,3) m relative to the pelvis, axes of view 0; NaN where no view knows the joint
    spread: Array  # (P,T,K) m: standard error (of the distance from the truth) of each joint
    rotations: Array  # (V,3,3), or (V,T,3,3) where a view moves: from view 0's axes to each view's
    scales: Array  # (V,): what each view's poses were multiplied with
    belief: Array  # (P,V,T,K) in [0,1]: how far a view's joint was believed; 0 where missing
    fit_m: Array  # (V,): root mean square distance of each view's joints from the fused ones


def fuse(poses: Array, scores: Array, times: Array, moving: Array | None = None, sight: Array | None = None) -> Fused:
    """Fuse lifted motions; all people turn with the same cameras.

    Args:
        poses: (P,V,T,K,3) m relative to the pelvis (joint 0), each in its camera's axes; NaN where missing.
        scores: (P,V,T,K) in [0,1].
        times: (T,) s of the common clock.
        moving: (V,) bool; all still without it.
        sight: (P,V,T,3) directions in camera axes in which the cameras see each person; straight ahead without it.

    Raises:
        Apart: a view that no pairs of views with people in common join to view 0.
    """
    poses = np.asarray(poses, np.float64)
    known = np.isfinite(poses).all(-1)
    weights = np.where(known, np.clip(np.nan_to_num(scores), 0.0, 1.0), 0.0)
    weights[..., 0] = 0.0  # the pelvis is 0 in every view: no information
    poses = np.where(known[..., None], poses, 0.0)
    moving = np.zeros(poses.shape[1], bool) if moving is None else np.asarray(moving, bool)
    information = _information(poses, sight)
    times = np.asarray(times, np.float64)
    chosen = np.arange(len(times))
    if not moving.any():  # one turn for all moments needs not all of them
        chosen = np.unique(np.linspace(0, len(times) - 1, min(len(times), ENOUGH)).round().astype(int))
    turns, scales = _agree(poses[:, :, chosen], weights[:, :, chosen], information[:, :, chosen], times[chosen], moving)
    if not moving.any():
        turns = np.broadcast_to(turns[:, :1], (len(moving), len(times), 3, 3))
    return _result(poses, scales, turns, information, weights, known, moving)


def _agree(poses: Array, weights: Array, information: Array, times: Array, moving: Array) -> tuple[Array, Array]:
    """Turns (V,T,3,3) to view 0's axes and scales (V,): by turns the average of all views, and each view onto it."""
    turns, scales, belief = _first_turns(poses, weights, times, moving), np.ones(len(moving)), weights
    for _ in range(ROUNDS):
        turned = _turned(turns, poses) * scales[:, None, None, None]
        inverse = _in_common(turns, information)
        fused, _ = _average(turned, inverse, belief)
        belief = weights * _beliefs(turned - fused[:, None], inverse)
        turns = _better(turns, turned, fused, inverse, belief, times, moving)
        scales = _scales(turned, fused, belief) * scales
    return np.swapaxes(turns[:1], -1, -2) @ turns, scales


def _information(poses: Array, sight: Array | None) -> Array:
    """(P,V,T,3,3) 1/m^2 in camera axes."""
    if sight is None:
        sight = np.broadcast_to([0.0, 0, 1], (*poses.shape[:3], 3))
    sight = np.where(np.isfinite(sight).all(-1, keepdims=True), sight, [0.0, 0, 1])
    ahead = sight / np.linalg.norm(sight, axis=-1, keepdims=True)
    along = ahead[..., :, None] * ahead[..., None, :]
    return (np.eye(3) - along) / ACROSS_M**2 + along / ALONG_M**2


def _first_turns(poses: Array, weights: Array, times: Array, moving: Array) -> Array:
    """(V,T,3,3) from each view's axes to those of view 0, along the tree of pairs of views that agree on most.

    Two views at the ends of a corridor need not see the same people, if the views between them do.

    Raises:
        Apart: a view that no pairs join to view 0.
    """
    agreed, turns = np.zeros((len(moving), len(moving))), {}
    for pair in combinations(range(len(moving)), 2):
        (a, b), common = pair, weights[:, pair[0]] * weights[:, pair[1]]
        if common.any():
            turns[pair] = _turn(poses[:, b], poses[:, a], common, times, WINDOW_S if moving[[a, b]].any() else np.inf)
            miss = np.linalg.norm(_turned(turns[pair], poses[:, b]) - poses[:, a], axis=-1)
            agreed[pair] = (common * believed(miss, BELIEVED_M)).sum()
    tree = minimum_spanning_tree(np.where(agreed > 0, 1 / np.where(agreed > 0, agreed, 1.0), 0.0))
    order, before = breadth_first_order(tree, 0, directed=False)
    if missing := sorted(set(range(len(moving))) - set(order.tolist())):
        raise Apart(*missing)
    out = np.broadcast_to(np.eye(3), (len(moving), len(times), 3, 3)).copy()
    for view in order[1:].tolist():
        parent = int(before[view])
        turn = turns[parent, view] if parent < view else np.swapaxes(turns[view, parent], -1, -2)
        out[view] = out[parent] @ turn
    return out


def _turn(source: Array, target: Array, common: Array, times: Array, window: float) -> Array:
    """See `common_turn`; of moments with nothing in common near them that of the nearest that has."""
    turn = common_turn(source, target, common, times, window, BELIEVED_M)
    told = blurred(common.sum((0, 2)), times, window) > 0
    return turn[distance_transform_edt(~told, return_distances=False, return_indices=True)[0]]


def _turned(turns: Array, poses: Array) -> Array:
    """Poses (...,T,K,3) by turns (...,T,3,3)."""
    return poses @ np.swapaxes(turns, -1, -2)


def _in_common(turns: Array, information: Array) -> Array:
    """Information in camera axes -> in the common axes, (P,V,T,3,3)."""
    return turns @ information @ np.swapaxes(turns, -1, -2)


def _average(turned: Array, inverse: Array, belief: Array) -> tuple[Array, Array]:
    """(P,T,K,3) m, and its covariance (P,T,K,3,3); NaN where no view knows the joint."""
    total = np.einsum("pvtk,pvtij->ptkij", belief, inverse)
    pull = (belief[..., None] * (turned @ inverse)).sum(1)
    known = belief.sum(1) > 1e-6
    covariance = np.linalg.inv(np.where(known[..., None, None], total, np.eye(3)))
    mean = (covariance @ pull[..., None])[..., 0]
    mean[..., 0, :] = 0.0
    known[..., 0] = known[..., 1:].any(-1)
    return np.where(known[..., None], mean, np.nan), covariance


def _beliefs(miss: Array, inverse: Array) -> Array:
    """(P,V,T,K): from the distance in standard deviations, of the joint and of its whole pose.

    A view that takes left for right is wrong in most joints at once; joint by joint it would look half right.
    """
    miss = np.nan_to_num(miss)
    far = np.sqrt((miss @ inverse * miss).sum(-1) / 3)
    whole = np.sqrt((far**2).mean(-1, keepdims=True))
    return believed(far, WIDTH) * believed(whole, WIDTH)


def _better(
    turns: Array, turned: Array, fused: Array, inverse: Array, belief: Array, times: Array, moving: Array
) -> Array:
    """One step of Gauss and Newton for the rotations: `min sum |exp(d) R x - y|^2` in the norm of the information."""
    miss = np.nan_to_num(fused[:, None] - turned)
    weighted = np.swapaxes(belief[..., None] * turned, -1, -2)
    spread, off = weighted @ turned, weighted @ miss @ inverse  # (P,V,T,3,3): sums of x x^T and of x (M miss)^T
    normal = np.einsum("aij,bkl,pvtik,pvtjl->vtab", CROSS, CROSS, spread, inverse, optimize=True)
    pull = np.einsum("aij,pvtij->vta", CROSS, off)
    out = turns.copy()
    for view, moves in enumerate(moving):
        window = WINDOW_S if moves else np.inf
        matrix, vector = blurred(normal[view], times, window), blurred(pull[view], times, window)
        ridge = 1e-6 * np.trace(matrix, axis1=-2, axis2=-1)[:, None, None] + 1e-9
        step = np.linalg.solve(matrix + ridge * np.eye(3), vector[..., None])[..., 0]
        out[view] = exponential(step) @ turns[view]
    return out


def _scales(turned: Array, fused: Array, belief: Array) -> Array:
    """(V,) corrections, their geometric mean 1."""
    weighted = belief[..., None] * turned
    size, fit = ((weighted * other).sum((0, 2, 3, 4)) for other in (turned, np.nan_to_num(fused)[:, None]))
    factors = np.where(size > 0, fit / np.where(size > 0, size, 1), 1.0)
    factors = np.clip(factors, 0.9, 1.1)
    return factors / np.exp(np.log(factors).mean())


def _result(
    poses: Array, scales: Array, turns: Array, information: Array, weights: Array, known: Array, moving: Array
) -> Fused:
    turned = _turned(turns, poses) * scales[:, None, None, None]
    inverse = _in_common(turns, information)
    belief = weights
    for _ in range(5):
        fused, covariance = _average(turned, inverse, belief)
        belief = weights * _beliefs(turned - fused[:, None], inverse)
    miss = np.where(weights > 0, np.linalg.norm(turned - fused[:, None], axis=-1), np.nan)
    fit = np.sqrt(np.nanmean(miss**2, axis=(0, 2, 3)))
    spread = np.sqrt(np.trace(covariance, axis1=-2, axis2=-1)) * _disagreement(turned - fused[:, None], inverse, belief)
    spread = np.where(np.isfinite(fused).all(-1), spread, np.nan)
    spread[..., 0] = 0.0
    rotations = np.swapaxes(turns, -1, -2)
    if not moving.any():
        rotations = rotations[:, 0]
    return Fused(fused, spread, rotations, scales, belief, fit)


def _disagreement(miss: Array, inverse: Array, belief: Array) -> Array:
    """(K,): how many times as far as assumed the views lie from each other; 1 where one view alone knows a joint."""
    miss = np.nan_to_num(miss)
    far = (belief * (miss @ inverse * miss).sum(-1)).sum((0, 1, 2))
    total = belief.sum(1)
    alone = (belief**2).sum(1) / np.maximum(total, 1e-9)  # of V equal views the mean swallows one
    free = 3 * (total - alone).sum((0, 1))
    return np.sqrt(np.where(free > 1e-6, far / np.maximum(free, 1e-6), 1.0))
