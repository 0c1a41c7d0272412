"""How tall people are: their size in the picture against that of anybody who stood in the same place.

On flat ground the size of a body falls off with its distance, and that is a linear function of where its feet are in
the picture (Hoiem et al., Putting Objects in Perspective, CVPR 2006). The clip tells that function itself: whoever
walks about shows how they grow and shrink. What is left over is the height, up to a factor that all share. Where
the camera moves, or people bend and climb, much is left over within one person, and heights say as little.
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
FEWEST_S = 0.25  # of frames with both feet that tell a height: within a step it sways
SCATTER = 0.015  # least error of a logarithm of a height
STEPS = 8  # of Gauss and Newton
SLOPE = 1.0  # by how much a size may change from the middle of the picture to its rim, before anything is seen
NEAREST = 0.1  # least size, as a share of that in the middle, that the ground is trusted to tell
STRIDE_S = 0.5  # errors that much apart are independent


def with_ground(pool: Pool, tracklets: list[Tracklet]) -> Pool:
    """The pool with `ground` set, where enough feet are seen."""
    ankles = skeleton(pool.skeleton).index(*ANKLES)
    group = np.full(len(pool), -1)
    for number, tracklet in enumerate(tracklets):
        group[tracklet.rows] = number
    feet = pool.keypoints[:, ankles].mean(1)
    rows = np.flatnonzero((pool.scores[:, ankles] > SEEN).all(1) & np.isfinite(feet).all(1))
    if not len(rows):
        return pool
    middle = np.median(feet[rows], axis=0)
    place = (feet[rows] - middle) / max(float(np.abs(feet[rows] - middle).max()), 1e-9)
    return replace(pool, ground=_fit(pool, rows, place, group[rows]))


def _fit(pool: Pool, rows: Array, place: Array, group: Array) -> Ground:
    """The slope that leaves least of everybody's changes of size, by Gauss and Newton."""
    slope, log = np.zeros(2), np.log(pool.size[rows])
    for _ in range(STEPS):
        ground = np.maximum(1 + place @ slope, NEAREST)
        lever, left = place / ground[:, None], log - np.log(ground)
        own, rest = _centred(lever, group), _centred(left, group)
        scatter = max(1.48 * float(np.median(np.abs(rest))), SCATTER)
        own_w = own / (1 + (rest / (3 * scatter)) ** 2)[:, None]
        square = own_w.T @ own + np.eye(2) * (scatter / SLOPE) ** 2
        slope = slope + np.linalg.solve(square, own_w.T @ rest - slope * (scatter / SLOPE) ** 2)
    height, levers = np.full(len(pool), np.nan), np.zeros((len(pool), 2))
    height[rows], levers[rows] = left, lever
    frames = STRIDE_S * len(np.unique(pool.time)) / max(float(np.ptp(pool.time)), 1e-9)
    return Ground(height, levers, scatter, scatter**2 * max(frames, 1.0) * np.linalg.inv(square))


def _centred(values: Array, group: Array) -> Array:
    """Less the mean of each group."""
    _, of, count = np.unique(group, return_inverse=True, return_counts=True)
    columns = values.reshape(len(values), -1)
    mean = np.stack([np.bincount(of, column) / count for column in columns.T], axis=1)
    return (columns - mean[of]).reshape(values.shape)


def stature(pool: Pool, rows: Array) -> Array | None:
    """(3,) height and levers of a person seen in these rows, NaN where too few show the feet."""
    if pool.ground is None:
        return None
    seen = rows[np.isfinite(pool.ground.height[rows])]
    if not len(seen) or np.ptp(pool.time[seen]) < FEWEST_S:
        return np.full(3, np.nan)
    return np.array([np.median(pool.ground.height[seen]), *pool.ground.lever[seen].mean(0)])


def apart(ground: Ground, a: Array, b: Array) -> Array:
    """(N,) squared distance of heights (N,3) in units of its variance, NaN unknown."""
    lever = a[:, 1:] - b[:, 1:]
    return (a[:, 0] - b[:, 0]) ** 2 / (2 * ground.scatter**2 + np.einsum("ni,ij,nj->n", lever, ground.doubt, lever))
