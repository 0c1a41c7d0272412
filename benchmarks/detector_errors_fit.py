"""What describes a detector's errors, found from samples of it beside the truth by least squares, quantiles, and
autocorrelation. The result is the table that `training.detector_errors` draws from, whose words it uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls

from benchmarks.detector_errors_film import LIFT, Sample
from pipeline.results import Array
from training.body_frames import HEIGHT
from training.detector_errors import FACE, FPS, LEGS, SEEN, TWINS, hidden, neighbour, own_axes, split
from training.mocap import BODY

# Which other joints a detector's idea of a joint may lean on; the face has only its offset.
LEANS: dict[str, tuple[str, ...]] = {
    "nose": (), "ear": (), "shoulder": ("thorax", "elbow"), "elbow": ("shoulder", "wrist"),
    "wrist": ("elbow", "hand"), "hand": ("wrist", "elbow"), "hip": ("other_hip", "knee", "thorax"),
    "knee": ("hip", "ankle"), "ankle": ("knee", "heel", "toe"), "heel": ("ankle", "toe"), "toe": ("heel", "ankle"),
}  # fmt: skip
OFFSET = ("nose", "ear", "shoulder", "hip", "heel", "toe")  # described better by an offset along the body's axes
PRIOR = {"mix": 0.2, "offset": 0.05, "noise": 0.02}  # what is usual: weights, metres, heights
GROSS = 0.1  # heights: larger errors do not count for the place that the detector believes in
CLEAR = 0.03  # heights: sides are exchanged where that brings joints nearer by at least this, and by half
LEAP = 4.0  # times what is usual for the joint and the clip
LAGS = 30  # frames
NORMAL = 1.1774  # the median length of a normal error in 2D, of its standard deviation
PARTS = tuple(LEANS)
SIDES = {part: [i for i, name in enumerate(SEEN) if split(name)[1] == part] for part in PARTS}


@dataclass
class Clip:
    """A sample with sides put right: everything the fit needs, T frames and 21 joints."""

    points: Array  # (T,21,3) m
    joints: Array  # (T,23,3) m
    axes: Array  # (T,21,3,3) left, up, forward
    hidden: Array  # (T,21) in 0..1
    depth: float  # m of the pelvis
    error: Array  # (T,21,2) heights, NaN where nothing was found
    scores: Array  # (T,21)
    size: Array  # (T,21) heights: of the error around the place that the detector believes in

    def heights(self, joint: int, away: Array) -> Array:
        """Small shifts (T,...,3) m of a joint as shifts in the picture (T,...,2), in heights."""
        x, y, z = (self.points[:, joint, axis].reshape(-1, *[1] * (away.ndim - 2)) for axis in range(3))
        shift = np.stack([away[..., 0] - x / z * away[..., 2], away[..., 1] - y / z * away[..., 2]], axis=-1)
        return shift / z[..., None] * (self.depth / HEIGHT)


def fit(samples: Sequence[Sample]) -> dict[str, Any]:
    """The table; `samples` are at `FPS` frames per second."""
    exchanges = [exchanged(sample) for sample in samples]
    clips = [_clip(sample, *where) for sample, where in zip(samples, exchanges, strict=True)]
    rows = {part: _placement(clips, part) for part in PARTS}
    for clip in clips:
        _take_out(clip, rows)
    for part, row in rows.items():
        row |= _hidden(clips, part)
    _leaps(clips, rows)
    spread = _spread(clips)
    scale = float(np.exp(2 * (spread["clip"] ** 2 + spread["joint"] ** 2)))
    for part, row in rows.items():
        row |= _in_time(clips, part, scale)
    spread["score"] = _scores(clips, rows)
    seconds = sum(len(sample.rays) for sample in samples) / FPS
    whole = sum(int((legs & arms).sum()) for legs, arms in exchanges)
    swaps = [legs | arms for legs, arms in exchanges]
    return {
        "clips": len(samples),
        "frames": sum(len(sample.rays) for sample in samples),
        "joints": rows,
        "correlation": _correlation(clips),
        "spread": spread,
        "exchanged": _spells(swaps, seconds) | {"whole": whole / max(1, sum(int(s.sum()) for s in swaps))},
    }


def exact(sample: Sample) -> Array:
    """(T,21,2) rays of the true joints."""
    points = sample.joints[:, : len(SEEN)]
    return points[..., :2] / points[..., 2:]


def exchanged(sample: Sample) -> tuple[Array, Array]:
    """(T,) bool of the legs, and of the arms: taking left for right fits much better."""
    found, true = sample.rays[:, : len(SEEN)], exact(sample)
    straight = np.linalg.norm(found - true, axis=-1) / sample.height
    crossed = np.linalg.norm(found[:, TWINS] - true, axis=-1) / sample.height
    arms = [i for i, name in enumerate(SEEN) if split(name)[1] in ("shoulder", "elbow", "wrist", "hand")]
    both = []
    for limbs in (LEGS, arms):
        a, b = straight[:, limbs].mean(1), crossed[:, limbs].mean(1)
        both.append((b < 0.5 * a) & (a - b > CLEAR))
    return both[0], both[1]


def _clip(sample: Sample, legs: Array, arms: Array) -> Clip:
    found = sample.rays[:, : len(SEEN)].copy()
    for where, limbs in ((legs, LEGS), (arms, [i for i in range(len(SEEN)) if i not in LEGS])):
        swapped = found[where][:, TWINS]
        found[np.ix_(where, limbs)] = swapped[:, limbs]
    joints, points = sample.joints[:, LIFT.index(*BODY.joints)], sample.joints[:, : len(SEEN)]
    head, trunk = own_axes(torch.from_numpy(joints)[None], torch.from_numpy(points[:, :FACE])[None])
    axes = torch.stack([head[0]] * FACE + [trunk[0]] * (len(SEEN) - FACE), dim=1).numpy()
    error = (found - exact(sample)) / sample.height
    cover = hidden(torch.from_numpy(points), torch.from_numpy(joints)).numpy()
    return Clip(
        points, joints, axes, cover, float(sample.root_depth.mean()), error, sample.scores[:, : len(SEEN)], cover
    )


def _columns(clip: Clip, joint: int, part: str) -> Array:
    """(T,K,2) what a unit of every weight, and of the offset's metres, does to the joint's place."""
    side = split(SEEN[joint])[0]
    others = [clip.joints[:, neighbour(side, name)] - clip.points[:, joint] for name in LEANS[part]]
    if part in OFFSET:
        axes = clip.axes[:, joint] * np.array([-1 if side == "right" else 1, 1, 1])[:, None]
        others += [axes[:, i] for i in range(3)]
    return clip.heights(joint, np.stack(others, axis=1))


def _placement(clips: Sequence[Clip], part: str) -> dict[str, Any]:
    """`mix` and `offset` by least squares over both sides, every clip counting alike, drawn to 0 by what is usual."""
    names, with_offset = LEANS[part], part in OFFSET
    usual = np.array([PRIOR["mix"]] * len(names) + [PRIOR["offset"]] * 3 * with_offset)
    weights = np.zeros(len(usual))
    for _ in range(3):  # gross errors are told by the place found so far
        square, right = np.diag(PRIOR["noise"] ** 2 / usual**2), np.zeros(len(usual))
        for clip in clips:
            for joint in SIDES[part]:
                columns, error = _columns(clip, joint, part), clip.error[:, joint]
                left = error - np.einsum("tkc,k->tc", columns, weights)
                good = np.linalg.norm(left, axis=-1) < GROSS  # False for NaN
                if good.any():
                    square += np.einsum("tkc,tlc->kl", columns[good], columns[good]) / good.sum()
                    right += np.einsum("tkc,tc->k", columns[good], error[good]) / good.sum()
        weights = np.linalg.solve(square, right)
    values = [round(float(w), 3) for w in weights]
    return {
        "mix": dict(zip(names, values[: len(names)], strict=True)),
        "offset": values[len(names) :] if with_offset else [0.0, 0.0, 0.0],
    }


def _take_out(clip: Clip, rows: dict[str, Any]) -> None:
    """Errors become those around the place that the detector believes in."""
    for part, row in rows.items():
        weights = np.array([*row["mix"].values(), *(row["offset"] if part in OFFSET else ())])
        for joint in SIDES[part]:
            clip.error[:, joint] -= np.einsum("tkc,k->tc", _columns(clip, joint, part), weights)
    clip.size = np.linalg.norm(clip.error, axis=-1)


def _hidden(clips: Sequence[Clip], part: str) -> dict[str, float]:
    """By how much the logarithm of the error grows where the body hides a joint; divides the errors by that."""
    pairs = [(clip.hidden[:, j], np.linalg.norm(clip.error[:, j], axis=-1)) for clip in clips for j in SIDES[part]]
    cover, size = (np.concatenate(values) for values in zip(*pairs, strict=True))
    good = size > 1e-5
    slope = float(np.polyfit(cover[good], np.log(size[good]), 1)[0]) if np.ptp(cover[good]) > 0.5 else 0.0
    slope = round(float(np.clip(slope, 0, 2)), 3)
    for clip in clips:
        for joint in SIDES[part]:
            clip.error[:, joint] /= np.exp(slope * clip.hidden[:, joint])[:, None]
    return {"hidden": slope}


def _leaps(clips: Sequence[Clip], rows: dict[str, Any]) -> None:
    """Adds the bursts to `rows`, and makes NaN of the errors of frames in which a joint is away."""
    away = []
    for clip in clips:
        middle = np.nanmedian(clip.error, axis=0)
        usual = np.nanmedian(np.linalg.norm(clip.error - middle, axis=-1), axis=0) / NORMAL
        away.append(np.linalg.norm(clip.error - middle, axis=-1) > np.maximum(LEAP * usual, CLEAR))
    for part, row in rows.items():
        joints = SIDES[part]
        leaps = [where[:, j] for where in away for j in joints]
        sizes = [clip.error[where[:, j], j] for clip, where in zip(clips, away, strict=True) for j in joints]
        row |= {f"bursts_{k}": v for k, v in _spells(leaps, sum(map(len, leaps)) / FPS).items()}
        row["burst_frames"] = row.pop("bursts_frames")
        row["burst_sd"] = _rounded(np.sqrt(np.mean(np.concatenate(sizes) ** 2)) if sum(map(len, sizes)) else 0.0)
    for clip, where in zip(clips, away, strict=True):
        clip.error[where] = np.nan


def _spells(where: Sequence[Array], seconds: float) -> dict[str, float]:
    """How often per second a stretch of True begins, and how many frames it lasts in the mean."""
    begins = sum(int((np.diff(np.concatenate([[0], w.astype(int)])) > 0).sum()) for w in where)
    frames = sum(int(w.sum()) for w in where)
    return {"per_second": _rounded(begins / seconds), "frames": round(max(1.0, frames / max(1, begins)), 2)}


def _spread(clips: Sequence[Clip]) -> dict[str, float]:
    """How much the size of errors differs between clips, and between the joints of a clip: spreads of logarithms.

    Sizes are told by the steps from frame to frame, of which there are many in every clip.
    """
    steps = [np.nanmedian(np.linalg.norm(np.diff(clip.error, axis=0), axis=-1), axis=0) for clip in clips]
    logs = np.log(np.maximum(steps, 1e-5))
    logs = logs - np.nanmean(logs, axis=0)
    whole = np.nanmean(logs, axis=1)
    return {"clip": _rounded(np.nanstd(whole)), "joint": _rounded(np.nanstd(logs - whole[:, None]))}


def autocovariance(errors: Sequence[Array], lags: int = LAGS) -> Array:
    """(lags + 1,) of series (T,2) that are known to have mean 0 over all; NaN is left out."""
    sums, counts = np.zeros(lags + 1), np.zeros(lags + 1)
    for error in errors:
        known = np.isfinite(error).all(-1)
        filled = np.where(known[:, None], error, 0.0)
        for lag in range(min(lags + 1, len(error))):
            sums[lag] += (filled[: len(error) - lag] * filled[lag:]).sum() / 2
            counts[lag] += (known[: len(error) - lag] & known[lag:]).sum()
    return sums / np.maximum(counts, 1)


def _in_time(clips: Sequence[Clip], part: str, scale: float) -> dict[str, float]:
    """The autocovariance as a constant and two exponentials, the best of a grid, sizes by least squares above 0."""
    wanted = autocovariance([clip.error[:, joint] for clip in clips for joint in SIDES[part]]) / scale
    lag = np.arange(len(wanted))
    best: tuple[float, Array, float, float] = (np.inf, np.zeros(3), 0.9, 0.0)
    for slow in np.arange(0.8, 0.965, 0.01):
        for quick in np.arange(0.0, 0.71, 0.05):
            parts, miss = nnls(np.stack([lag**0.0, slow**lag, quick**lag], axis=1), wanted)
            best = min(best, (miss, parts, float(slow), float(quick)), key=lambda found: found[0])
    _, (clip_sd, slow_sd, quick_sd), slow, quick = best
    return {
        "clip_sd": _rounded(np.sqrt(clip_sd)),
        "slow_sd": _rounded(np.sqrt(slow_sd)),
        "slow_correlation": round(slow, 2),
        "quick_sd": _rounded(np.sqrt(quick_sd)),
        "quick_correlation": round(quick, 2),
    }


def _correlation(clips: Sequence[Clip]) -> list[list[float]]:
    """(21,21) between the errors of joints, the same on both sides, safely positive definite."""
    errors = np.concatenate([np.moveaxis(clip.error, -1, 1).reshape(-1, len(SEEN)) for clip in clips])
    known = np.isfinite(errors)
    errors = np.where(known, errors, 0.0) / np.sqrt((np.where(known, errors, 0.0) ** 2).sum(0) / known.sum(0))
    errors = np.clip(errors, -3, 3)
    pairs = errors.T @ errors / np.maximum(known.T.astype(float) @ known, 1)
    pairs = (pairs + pairs[np.ix_(TWINS, TWINS)]) / 2
    values, vectors = np.linalg.eigh(pairs)
    pairs = vectors * np.maximum(values, 0.02) @ vectors.T
    size = np.sqrt(np.diag(pairs))
    return np.round(pairs / size / size[:, None], 3).tolist()


def _scores(clips: Sequence[Clip], rows: dict[str, Any]) -> float:
    """Adds to `rows` how the logit of a score depends on hiding and error; gives the spread between clips."""
    left = np.full((len(clips), len(SEEN), max(len(clip.scores) for clip in clips)), np.nan)
    for part, row in rows.items():
        tables = []
        for number, clip in enumerate(clips):
            for joint in SIDES[part]:
                known = np.isfinite(clip.size[:, joint]) & (clip.scores[:, joint] > 0)
                told = np.clip(clip.scores[known, joint], 0.02, 0.995)
                where = np.stack([np.full(known.sum(), number), np.full(known.sum(), joint), np.flatnonzero(known)])
                columns = [np.ones(known.sum()), clip.hidden[known, joint], -clip.size[known, joint]]
                tables.append(np.stack([*columns, np.log(told / (1 - told)), *where], axis=1))
        table = np.concatenate(tables)
        found = np.linalg.lstsq(table[:, :3], table[:, 3], rcond=None)[0]
        left[tuple(table[:, 4:].astype(int).T)] = table[:, 3] - table[:, :3] @ found
        names = ("score", "score_hidden", "score_error")
        row |= {name: round(float(value), 3) for name, value in zip(names, found, strict=True)}
    whole = np.nanmean(left, axis=(1, 2), keepdims=True)
    for part, row in rows.items():
        row["score_sd"] = _rounded(np.nanstd((left - whole)[:, SIDES[part]]))
    return _rounded(np.nanstd(whole))


def _rounded(value: float) -> float:
    return round(float(value), 4)
