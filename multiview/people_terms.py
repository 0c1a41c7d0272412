"""What people say about cameras: the residuals of the bundle adjustment, each with its sparse Jacobian.

The state is one vector: points (P,F,J,3), turns and centres of N camera poses, the logarithms of V focal lengths, V
time offsets, the logarithms of P x B bone lengths. A still camera has one pose, a moving one has one per moment F.
Turns are changed from the left: `R <- exp(w) R`. A term is a block of residuals over their standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csc_array

from multiview.procrustes import cross_matrix, exponential
from pipeline.results import Array

NEAR_M = 0.1  # a point nearer to the camera's plane than that is not differentiated


@dataclass(frozen=True)
class State:
    """The unknowns; world to camera is `R (x - c)`."""

    points: Array  # (P,F,J,3) m
    turns: Array  # (N,3,3)
    centres: Array  # (N,3) m
    log_focal: Array  # (V,) of the focal length over the guessed one
    offsets: Array  # (V,) s: the picture of scene time t is at t + offset on the view's clock
    log_bones: Array  # (P,B) of metres

    @property
    def starts(self) -> list[int]:
        """Where points, turns, centres, focal lengths, offsets and bones begin in the vector, and its length."""
        sizes = [
            self.points.size,
            self.centres.size,
            self.centres.size,
            self.log_focal.size,
            self.offsets.size,
            self.log_bones.size,
        ]
        return [0, *np.cumsum(sizes).tolist()]

    def moved(self, step: Array) -> State:
        """The state after a step (its vector's length,)."""
        points, turns, centres, focal, offsets, bones = np.split(step, self.starts[1:-1])
        return State(
            self.points + points.reshape(self.points.shape),
            exponential(turns.reshape(-1, 3)) @ self.turns,
            self.centres + centres.reshape(-1, 3),
            self.log_focal + focal,
            self.offsets + offsets,
            self.log_bones + bones.reshape(self.log_bones.shape),
        )

    def scaled(self, factor: float) -> State:
        """The same pictures of a world `factor` times as large."""
        return replace(
            self,
            points=self.points * factor,
            centres=self.centres * factor,
            log_bones=self.log_bones + np.log(factor),
        )


@dataclass(frozen=True)
class Sightings:
    """M keypoints: where which view saw which joint of which person at which moment."""

    person: Array  # (M,) int
    view: Array  # (M,) int
    moment: Array  # (M,) int, index into F
    joint: Array  # (M,) int
    pose: Array  # (M,) int, index into the N camera poses
    pixels: Array  # (M,2) px from the principal point, distortion taken out
    velocity: Array  # (M,2) px/s
    focal: Array  # (M,) px: guessed focal length of the view
    score: Array  # (M,) in (0,1]
    sigma: Array  # (M,) px


@dataclass(frozen=True)
class Block:
    """Residuals over their standard deviations, and their Jacobian as (row, column, value)."""

    values: Array  # (R,)
    rows: Array
    columns: Array
    entries: Array


def stacked(blocks: Sequence[Block], factors: Array, width: int, order: Array) -> tuple[csc_array, Array]:
    """All blocks below each other, their rows times `factors` (R,): Jacobian (R,n) and residuals (R,).

    Args:
        width: of the state's vector.
        order: (n,) int: which of its unknowns the Jacobian has, in this order.
    """
    values, columns, entries = (
        np.concatenate([getattr(block, name) for block in blocks]) for name in ("values", "columns", "entries")
    )
    first = np.cumsum([0, *(len(block.values) for block in blocks)])
    rows = np.concatenate([block.rows + begin for block, begin in zip(blocks, first, strict=False)])
    place = np.full(width, -1, np.int32)
    place[order] = np.arange(len(order))
    at = place[columns]
    kept = at >= 0
    jacobian = csc_array(((entries * factors[rows])[kept], (rows[kept], at[kept])), (len(values), len(order)))
    return jacobian, values * factors


def _block(values: Array, columns: Array, entries: Array) -> Block:
    """(M,r) residuals; (M,c) columns, or (M,r,c) where every row has its own; (M,r,c) entries."""
    count, size = values.shape
    columns = np.broadcast_to(columns[:, None] if columns.ndim == 2 else columns, entries.shape)
    rows = np.broadcast_to(np.arange(count * size).reshape(count, size, 1), entries.shape)
    return Block(values.ravel(), rows.ravel(), columns.ravel(), entries.ravel())


def local(state: State, seen: Sightings) -> Array:
    """(M,3) m: the points in the axes of the cameras that saw them."""
    away = state.points[seen.person, seen.moment, seen.joint] - state.centres[seen.pose]
    return (state.turns[seen.pose] @ away[..., None])[..., 0]


def reprojection_miss(state: State, seen: Sightings) -> Array:
    """(M,2) px."""
    inside = local(state, seen)
    depth = np.maximum(inside[:, 2], NEAR_M)
    focal = seen.focal * np.exp(state.log_focal[seen.view])
    return (focal / depth)[:, None] * inside[:, :2] - seen.pixels - state.offsets[seen.view][:, None] * seen.velocity


def reprojection(state: State, seen: Sightings) -> Block:
    """Keypoints: two residuals each, `f x / z - u(t + offset)`, u to first order in the offset."""
    inside, starts = local(state, seen), state.starts
    depth = np.maximum(inside[:, 2], NEAR_M)
    focal = seen.focal * np.exp(state.log_focal[seen.view])
    values = reprojection_miss(state, seen)
    by_local = np.zeros((len(depth), 2, 3))
    by_local[:, 0, 0] = by_local[:, 1, 1] = focal / depth
    by_local[:, :, 2] = -(focal / depth**2)[:, None] * inside[:, :2] * (inside[:, 2] > NEAR_M)[:, None]
    by_point = by_local @ state.turns[seen.pose]
    flat = (focal / depth)[:, None] * inside[:, :2]
    parts = [by_point, -by_local @ cross_matrix(inside), -by_point, flat[..., None], -seen.velocity[..., None]]
    entries = np.concatenate(parts, axis=-1) / seen.sigma[:, None, None]
    columns = np.concatenate(
        [
            starts[0] + _triple(_point(state, seen.person, seen.moment, seen.joint)),
            starts[1] + _triple(seen.pose),
            starts[2] + _triple(seen.pose),
            starts[3] + seen.view[:, None],
            starts[4] + seen.view[:, None],
        ],
        axis=1,
    )
    return _block(values / seen.sigma[:, None], columns, entries)


def _point(state: State, person: Array, moment: Array, joint: Array) -> Array:
    _, moments, joints, _ = state.points.shape
    return (person * moments + moment) * joints + joint


def _triple(index: Array) -> Array:
    return 3 * index[:, None] + np.arange(3)


def bones(state: State, pairs: Array, kinds: Array, sigma: float) -> Block:
    """Every bone (B',2) of every pose is as long as its kind (B',), which left and right share, says."""
    people, moments = state.points.shape[:2]
    p, f, b = (grid.ravel() for grid in np.meshgrid(range(people), range(moments), range(len(pairs)), indexing="ij"))
    ends = [_point(state, p, f, pairs[b, side]) for side in (0, 1)]
    way = state.points.reshape(-1, 3)[ends[1]] - state.points.reshape(-1, 3)[ends[0]]
    length = np.linalg.norm(way, axis=-1)
    axis = way / np.maximum(length, 1e-6)[:, None]
    wanted = np.exp(state.log_bones[p, kinds[b]])
    entries = np.concatenate([-axis, axis, -wanted[:, None]], axis=1) / sigma
    kind = state.starts[5] + p * state.log_bones.shape[1] + kinds[b]
    columns = np.concatenate([_triple(ends[0]), _triple(ends[1]), kind[:, None]], axis=1)
    return _block(((length - wanted) / sigma)[:, None], columns, entries[:, None])


def shape(state: State, pairs: Array, wanted: Array, sigma: Array) -> Block:
    """Bones (B',2) point where the fused lifted poses say: `wanted` (P,F,B',3) m, NaN where unknown."""
    p, f, b = np.nonzero(np.isfinite(wanted).all(-1))
    ends = [_point(state, p, f, pairs[b, side]) for side in (0, 1)]
    way = state.points.reshape(-1, 3)[ends[1]] - state.points.reshape(-1, 3)[ends[0]]
    spread = sigma[b][:, None]
    columns = np.stack([_triple(ends[0]), _triple(ends[1])], axis=-1)
    entries = np.broadcast_to(np.array([-1.0, 1.0]), columns.shape) / spread[..., None]
    return _block((way - wanted[p, f, b]) / spread, columns, entries)


def smooth_cameras(
    state: State, poses: Array, times: Array, turn_sigma: float, centre_sigma: float, longest_s: float
) -> list[Block]:
    """A moving camera's (F,) poses turn and move evenly, within rad/s^2 and m/s^2."""
    which, weights = _second_difference(times, longest_s)
    if not len(which):
        return []
    index = poses[which]
    columns = np.stack([_triple(index[:, side]) for side in range(3)], axis=-1)
    entries = np.broadcast_to(weights[:, None], columns.shape)
    middle = np.swapaxes(state.turns[index[:, 1]], -1, -2)
    before, after = (_vector(state.turns[index[:, side]] @ middle) for side in (0, 2))
    turning = weights[:, :1] * before + weights[:, 2:] * after
    moving = np.einsum("msi,ms->mi", state.centres[index], weights)
    return [
        _block(turning / turn_sigma, state.starts[1] + columns, entries / turn_sigma),
        _block(moving / centre_sigma, state.starts[2] + columns, entries / centre_sigma),
    ]


def _vector(turns: Array) -> Array:
    """Small rotations (...,3,3) -> vectors (...,3)."""
    skew = (turns - np.swapaxes(turns, -1, -2)) / 2
    return np.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], axis=-1)


def _second_difference(times: Array, longest_s: float) -> tuple[Array, Array]:
    """Triples of moments (M,3) and their weights (M,3) in 1/s^2 of the second divided difference."""
    before, after = np.diff(times)[:-1], np.diff(times)[1:]
    near = np.flatnonzero((before <= longest_s) & (after <= longest_s))
    h, k = before[near], after[near]
    weights = np.stack([2 / (h * (h + k)), -2 / (h * k), 2 / (k * (h + k))], axis=-1)
    return near[:, None] + np.arange(3), weights


def prior(values: Array, mean: Array, sigma: Array | float, start: int) -> Block:
    """Each value (n,), found at `start` of the vector, is `mean` within `sigma`."""
    spread = np.broadcast_to(np.asarray(sigma, np.float64), values.shape)
    columns = start + np.arange(len(values))
    return _block(((values - mean) / spread)[:, None], columns[:, None], (1 / spread)[:, None, None])


def alike(values: Array, sigma: float, where: Array) -> Block:
    """Values (n,), the unknowns `where` (n,), lie about their mean within `sigma`."""
    count = len(values)
    columns = np.broadcast_to(where, (count, count))
    return _block(((values - values.mean()) / sigma)[:, None], columns, (np.eye(count) - 1 / count)[:, None] / sigma)
