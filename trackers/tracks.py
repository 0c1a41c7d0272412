"""Rows of a pool that are one person, as a track."""

from __future__ import annotations

import numpy as np

from pipeline.results import Array, Track2D
from trackers.pool import Pool

LEAST_S = 0.3  # shorter tracks are ghosts


def as_track(pool: Pool, rows: Array, number: int) -> Track2D:
    """The track `number` of these rows, which are of different frames and in their order.

    It spans all frames from the first to the last; those without a row are not observed: NaN, and 0 for scores.
    """
    frames = np.arange(pool.frame[rows[0]], pool.frame[rows[-1]] + 1)
    at = pool.frame[rows] - frames[0]

    def spread(values: Array | None, missing: float = np.nan) -> Array | None:
        if values is None:
            return None
        out = np.full((len(frames), *values.shape[1:]), missing, np.float32)
        out[at] = values[rows]
        return out

    observed = np.zeros(len(frames), bool)
    observed[at] = True
    return Track2D(
        id=number,
        skeleton=pool.skeleton,
        frames=frames.astype(np.int32),
        keypoints=spread(pool.keypoints),
        scores=spread(pool.scores, 0.0),
        observed=observed,
        boxes=spread(pool.boxes),
        presence=spread(pool.presence, 0.0),
        world=spread(pool.world),
        appearance=spread(pool.appearance),
    )


def is_long(rows: int, times: Array, least_s: float = LEAST_S) -> bool:
    """Are that many frames enough for a person? Fewer are a ghost, unless the clip itself is hardly longer."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    return rows * step >= min(least_s, 0.5 * len(times) * step) - 1e-9


def prominence(pool: Pool, rows: Array) -> float:
    """Size in the picture times certainty, summed over the frames."""
    return float((np.nan_to_num(pool.size[rows]) * pool.strength[rows]).sum())
