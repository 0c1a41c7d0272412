"""How tall people are: their size in the picture against that of anybody who stood in the same place.

On flat ground the size of a body falls off with its distance, and that is a linear function of where its feet are in
the picture (Hoiem et al., Putting Objects in Perspective, CVPR 2006). The clip tells that function itself: whoever
walks about shows how they grow and shrink. What is left over is the height, up to a factor that all share. Where
people bend and climb, much is left over within one person, and heights say as little. Where the camera moves, which
feet that never rest tell, places in the picture are none on the ground, and nothing is said.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.results import Array
from pipeline.skeletons import skeleton
from trackers.linking import Tracklet
from trackers.pool import Ground, Pool

ANKLES = ("left_ankle", "right_ankle")
SEEN = 0.5  # score of an ankle that stands where it says
SPAN_S = 0.25  # from the first to the last frame with both feet, at least: within a step a height sways
SCATTER = 0.015  # least error of a logarithm of a height
STEPS, SETTLED = 30, 1e-4  # at most, of Gauss and Newton; and when they end
SLOPE = 1.0  # by how much a size may change per body size in the picture, before anything is seen
NEAREST = 0.1  # least size, as a share of that in the middle, that the ground is trusted to tell
STRIDE_S = 0.5  # errors that much apart are independent
REST_S, RESTING, MOVED = 0.3, 25, 0.06  # in that percentage of frames one foot stays within body sizes for that long


def with_ground(pool: Pool, tracklets: list[Tracklet], size: tuple[int, int]) -> Pool:
    """The pool with `ground` set, where feet are seen inside a picture of `size` (w, h) px, by a camera at rest."""
    ankles = pool.keypoints[:, skeleton(pool.skeleton).index(*ANKLES)]
    sure = (pool.scores[:, skeleton(pool.skeleton).index(*ANKLES)] > SEEN).all(1)
    seen = sure & ((ankles >= 0) & (ankles <= np.array(size))).all((1, 2))  # NaN is not
    parts = [np.array(tracklet.rows)[seen[tracklet.rows]] for tracklet in tracklets]
    rows = np.concatenate([*parts, np.zeros(0, int)])
    if not len(rows) or not _rests(pool, ankles, parts):
        return pool
    feet, group = ankles[rows].mean(1), np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    place = (feet - np.median(feet, axis=0)) / np.median(pool.size[rows])
    return replace(pool, ground=_fit(pool, rows, place, group))


def _rests(pool: Pool, ankles: Array, parts: list[Array]) -> bool:
    """Does the camera, so that of whoever stands or walks one foot rests now and then?"""
    moved = []
    for rows in parts:
        time = pool.time[rows]
        later = np.minimum(np.searchsorted(time, time + REST_S - 1e-6), len(rows) - 1)
        begin = np.flatnonzero(time[later] - time >= REST_S - 1e-6)
        way = np.linalg.norm(ankles[rows[later[begin]]] - ankles[rows[begin]], axis=-1).min(1)
        moved.append(way / pool.size[rows[begin]] * REST_S / (time[later[begin]] - time[begin]))
    every = np.concatenate([*moved, np.zeros(0)])
    return not len(every) or float(np.percentile(every, RESTING)) < MOVED


def _fit(pool: Pool, rows: Array, place: Array, group: Array) -> Ground:
    """The slope that leaves least of everybody's changes of size, by Gauss and Newton."""
    slope, log = np.zeros(2), np.log(pool.size[rows])
    for _ in range(STEPS):
        flat = 1 + place @ slope
        ground = np.maximum(flat, NEAREST)
        lever, left = np.where(flat > NEAREST, 1 / ground, 0)[:, None] * place, log - np.log(ground)
        own, rest = _centred(lever, group), _centred(left, group)
        scatter = max(1.48 * float(np.median(np.abs(rest))), SCATTER)
        own_w = own / (1 + (rest / (3 * scatter)) ** 2)[:, None]
        square = own_w.T @ own + np.eye(2) * (scatter / SLOPE) ** 2
        step = np.linalg.solve(square, own_w.T @ rest - slope * (scatter / SLOPE) ** 2)
        if np.abs(step).max() < SETTLED:
            break
        slope = slope + step
    height, levers = np.full(len(pool), np.nan), np.zeros((len(pool), 2))
    height[rows], levers[rows] = left, lever
    seen = np.unique(pool.time)
    alike = STRIDE_S / float(np.median(np.diff(seen))) if len(seen) > 1 else 1.0  # frames whose errors are the same
    return Ground(height, levers, scatter, scatter**2 * max(alike, 1.0) * np.linalg.inv(square))


def _centred(values: Array, group: Array) -> Array:
    """Less the mean of each group."""
    _, of, count = np.unique(group, return_inverse=True, return_counts=True)
    columns = values.reshape(len(values), -1)
    mean = np.stack([np.bincount(of, column) / count for column in columns.T], axis=1)
    return (columns - mean[of]).reshape(values.shape)


def stature(pool: Pool, rows: Array) -> Array | None:
    """(3,) height and levers of a person seen in these rows, NaN where the feet are seen too briefly."""
    if pool.ground is None:
        return None
    seen = rows[np.isfinite(pool.ground.height[rows])]
    if not len(seen) or np.ptp(pool.time[seen]) < SPAN_S:
        return np.full(3, np.nan)
    return np.array([np.median(pool.ground.height[seen]), *pool.ground.lever[seen].mean(0)])


def apart(ground: Ground, a: Array, b: Array) -> Array:
    """(N,) squared distance of heights (N,3) in units of its variance, NaN unknown."""
    lever = a[:, 1:] - b[:, 1:]
    return (a[:, 0] - b[:, 0]) ** 2 / (2 * ground.scatter**2 + np.einsum("ni,ij,nj->n", lever, ground.doubt, lever))
