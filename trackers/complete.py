"""Fill a 2D track's short gaps and take out single wild keypoints; long gaps stay missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.results import Array, Track2D
from pipeline.skeletons import skeleton

LIMBS = tuple(f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
              for side in ("left", "right"))  # fmt: skip
WINDOW = 2  # frames on either side that a keypoint is compared with
WILD = 6.0  # times the joint's own usual deviation
FLOOR = 0.15  # body sizes; a smaller deviation is never wild
FADE_S = 0.25  # the score of a filled joint falls by a factor e in that time from the nearest seen frame


def complete(track: Track2D, times: Array, max_gap_s: float = 0.5) -> Track2D:
    """Every joint interpolated in time over gaps of at most `max_gap_s`, the rest NaN with score 0.

    A keypoint that jumps away for a frame or two and returns is suppressed first (deviation from the running median,
    against the joint's own median absolute deviation and the body's size). `observed` and `boxes` stay as they are.

    Args:
        times: (T_clip,) s of all frames of the clip.
    """
    time = np.asarray(times, float)[track.frames]
    known = np.isfinite(track.keypoints).all(-1) & (track.scores > 0)
    body = _size(track, known)
    for joint in range(known.shape[1]):  # one at a time: the windows of all joints of a long clip would fill the memory
        part = slice(joint, joint + 1)
        known[:, part] &= ~_wild(track.keypoints[:, part].astype(float), known[:, part], body)
    points = np.where(known[..., None], track.keypoints, np.nan).astype(np.float32)
    scores = np.where(known, track.scores, 0.0).astype(np.float32)
    for joint in range(known.shape[1]):
        _fill_joint(points[:, joint], scores[:, joint], known[:, joint], time, max_gap_s)
    return replace(track, keypoints=points, scores=scores)


def _fill_joint(points: Array, scores: Array, known: Array, time: Array, max_gap_s: float) -> None:
    """In place, (T,2) and (T,)."""
    seen = np.nonzero(known)[0]
    missing = np.nonzero(~known)[0]
    if len(seen) < 2 or not len(missing):
        return
    after = np.searchsorted(seen, missing)
    inside = (after > 0) & (after < len(seen))
    missing, left, right = missing[inside], seen[after[inside] - 1], seen[after[inside]]
    short = time[right] - time[left] <= max_gap_s + 1e-9
    missing, left, right = missing[short], left[short], right[short]
    share = ((time[missing] - time[left]) / (time[right] - time[left]))[:, None]
    points[missing] = (1 - share) * points[left] + share * points[right]
    away = np.minimum(time[missing] - time[left], time[right] - time[missing])
    scores[missing] = np.minimum(scores[left], scores[right]) * np.exp(-away / FADE_S)


def _wild(points: Array, known: Array, body: float) -> Array:
    """(T,J) bool: far from the median of the frames around it, though the neighbours agree with each other."""
    frames = len(points)
    if frames < 2 * WINDOW + 1:
        return np.zeros_like(known)
    padded = np.pad(np.where(known[..., None], points, np.nan), ((WINDOW, WINDOW), (0, 0), (0, 0)), "edge")
    around = np.stack([padded[k : k + frames] for k in range(2 * WINDOW + 1) if k != WINDOW])
    enough = np.isfinite(around[..., 0]).sum(0) >= 3
    median = np.nanmedian(np.where(enough[None, ..., None], around, 0.0), axis=0)
    away = np.where(known & enough, np.linalg.norm(points - median, axis=-1), np.nan) / body
    usual = np.nanmedian(np.where(np.isfinite(away).any(0), away, 0.0), axis=0)
    spread = np.nanmedian(np.where(enough[None], np.linalg.norm(around - median, axis=-1), 0.0), axis=0) / body
    limit = np.maximum(WILD * 1.48 * usual[None], FLOOR) + 2 * spread
    return np.nan_to_num(away) > limit


def _size(track: Track2D, known: Array) -> float:
    """px: median over time of the limbs' spread, about half a standing body, whatever else a skeleton has."""
    names = skeleton(track.skeleton).joints
    limbs = [names.index(name) for name in LIMBS if name in names]
    seen = known[:, limbs].any(1)
    if not seen.any():
        return 1.0
    points = np.where(known[:, limbs, None], track.keypoints[:, limbs], np.nan)[seen]
    return max(2.45 * float(np.median(np.sqrt(np.nanvar(points, axis=1).sum(-1)))), 1.0)
