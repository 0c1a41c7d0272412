"""Rigid and similarity alignment of point sets: weighted, batched, proper, robust, and over time.

`align` solves `min sum_i w_i |s R x_i + t - y_i|^2` in closed form from one SVD, with the correction by the determinant
that keeps a rotation from becoming a reflection (Kabsch 1978; Umeyama, PAMI 1991, eq. 38 to 43). Points are rows; what
is NaN does not count. Leading axes are batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.results import Array

ROUNDS = 8  # of reweighting: the weights change by less than 1 % afterwards
LEAST_WIDTH = 1e-9  # m: exact points have no spread


@dataclass(frozen=True)
class Similarity:
    """`y = scale * rotation @ x + shift`."""

    rotation: Array  # (...,3,3), determinant +1
    scale: Array  # (...,)
    shift: Array  # (...,3)

    def __call__(self, points: Array) -> Array:
        """(...,N,3) -> (...,N,3)."""
        turned = np.asarray(points, np.float64) @ np.swapaxes(self.rotation, -1, -2)
        return self.scale[..., None, None] * turned + self.shift[..., None, :]


def nearest_rotation(matrices: Array) -> Array:
    """(...,3,3) -> (...,3,3): the proper rotations R with the largest trace(R^T M); the identity where M is zero."""
    u, _, v = np.linalg.svd(matrices)
    signs = np.ones(matrices.shape[:-1])
    signs[..., 2] = np.sign(np.linalg.det(u @ v))
    return (u * signs[..., None, :]) @ v


def align(source: Array, target: Array, weights: Array | None = None, scale: bool = False) -> Similarity:
    """The motion that brings `source` onto `target`.

    Args:
        source: (...,N,3).
        target: (...,N,3).
        weights: (...,N), not negative; all alike without them.
        scale: whether a scale may change, too; without that it is 1.

    Raises:
        ValueError: some batch has no pair of known points with weight.
    """
    source, target, weights = _known(source, target, weights)
    total = weights.sum(-1)
    if not np.all(total > 0):
        raise ValueError("nothing to align: no point is known on both sides")
    share = (weights / total[..., None])[..., None]
    middle, goal = (share * source).sum(-2), (share * target).sum(-2)
    x, y = source - middle[..., None, :], target - goal[..., None, :]
    cross = np.swapaxes(share * y, -1, -2) @ x
    turn = nearest_rotation(cross)
    size = np.ones(total.shape)
    if scale:
        spread = (share * x * x).sum((-1, -2))
        size = np.where(spread > 0, (turn * cross).sum((-1, -2)) / np.where(spread > 0, spread, 1), 1.0)
    shift = goal - size[..., None] * (turn @ middle[..., None])[..., 0]
    return Similarity(turn, size, shift)


def align_robust(
    source: Array, target: Array, weights: Array | None = None, scale: bool = False
) -> tuple[Similarity, Array]:
    """`align` by iteratively reweighted least squares with Geman and McClure's weights; the width is the median miss.

    Returns:
        The motion, and (...,N) in [0,1]: how far each point was believed.

    Raises:
        ValueError: as `align`.
    """
    source, target, weights = _known(source, target, weights)
    belief = np.ones_like(weights)
    found = align(source, target, weights, scale)
    for _ in range(ROUNDS):
        miss = np.linalg.norm(found(source) - target, axis=-1)
        belief = believed(miss, 2 * _median(miss, weights)[..., None])
        found = align(source, target, weights * belief, scale)
    return found, belief * (weights > 0)


def believed(miss: Array, width: Array | float) -> Array:
    """Weights in (0,1] of residuals: Geman and McClure's, `1 / (1 + (miss / width)^2)^2`."""
    return 1 / (1 + (miss / np.maximum(width, LEAST_WIDTH)) ** 2) ** 2


def common_turn(
    source: Array, target: Array, weights: Array, times: Array, window_s: float, width_m: float, rounds: int = 5
) -> Array:
    """What turns the poses (P,T,K,3) of one view onto those of another, robustly over joints and moments.

    Args:
        weights: (P,T,K), 0 where either is unknown; unknown poses are 0, not NaN.
        times: (T,) s.
        window_s: of the weighted mean over time; infinite where the cameras stand still.
        width_m: a joint that misses by more counts less and less.

    Returns:
        (T,3,3), one for each moment; (1,3,3) where the window is infinite.
    """
    belief = weights
    for _ in range(rounds):
        cross = (np.swapaxes(belief[..., None] * target, -1, -2) @ source).sum(0)
        turn = nearest_rotation(blurred(cross, times, window_s))
        miss = np.linalg.norm(source @ np.swapaxes(turn, -1, -2) - target, axis=-1)
        belief = weights * believed(miss, width_m)
    return turn


def blurred(values: Array, times: Array, window_s: float) -> Array:
    """(T,...) summed over time under a Gaussian of standard deviation `window_s`; the sum (1,...) where it is infinite.

    Frames further away than 4 windows do not count: work and memory grow with T times the frames in the window.
    """
    times = np.asarray(times, np.float64)
    if not np.isfinite(window_s):
        return values.sum(0, keepdims=True)
    low, high = (np.searchsorted(times, times + side * 4 * window_s) for side in (-1, 1))
    near = low[:, None] + np.arange(int((high - low).max()))
    inside = near < high[:, None]
    near = np.minimum(near, len(times) - 1)
    kernel = np.exp(-0.5 * ((times[near] - times[:, None]) / window_s) ** 2) * inside
    return np.einsum("tn,tn...->t...", kernel, values[near])


def exponential(turns: Array) -> Array:
    """Rotation vectors (...,3) rad -> matrices (...,3,3) (Rodrigues)."""
    angle = np.linalg.norm(turns, axis=-1)[..., None, None]
    cross = cross_matrix(turns)
    small = angle < 1e-8
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 1.0, np.sin(safe) / safe)
    second = np.where(small, 0.5, (1 - np.cos(safe)) / safe**2)
    return np.eye(3) + first * cross + second * cross @ cross


def cross_matrix(vectors: Array) -> Array:
    """(...,3) -> (...,3,3) with `cross_matrix(a) @ b = a x b`."""
    x, y, z = np.moveaxis(np.asarray(vectors, np.float64), -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)


def angle_between(first: Array, second: Array) -> Array:
    """(...,) rad between rotations (...,3,3)."""
    trace = (np.asarray(first) * np.asarray(second)).sum((-1, -2))
    return np.arccos(np.clip((trace - 1) / 2, -1, 1))


def _known(source: Array, target: Array, weights: Array | None) -> tuple[Array, Array, Array]:
    """As float64, zero in place and weight where one of a pair is unknown."""
    source, target = np.broadcast_arrays(np.asarray(source, np.float64), np.asarray(target, np.float64))
    known = np.isfinite(source).all(-1) & np.isfinite(target).all(-1)
    weights = known.astype(np.float64) if weights is None else np.where(known, np.nan_to_num(weights), 0.0)
    hide = known[..., None]
    return np.where(hide, source, 0.0), np.where(hide, target, 0.0), weights


def _median(values: Array, weights: Array) -> Array:
    """(...,N) -> (...,): the median of those with weight."""
    return np.nanmedian(np.where(weights > 0, values, np.nan), axis=-1)
