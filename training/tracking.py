"""Tracks against truth by boxes: CLEAR MOT and identity counts (by motmetrics), HOTA.

MOTA and MOTP: Bernardin and Stiefelhagen, EURASIP JIVP 2008; IDF1: Ristani et al., ECCV workshops 2016; HOTA:
Luiten et al., IJCV 2021. Boxes match from an intersection over union of 0.5.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.boxes import iou
from pipeline.skeletons import skeleton
from training.datasets.tracked import Array, Tracked
from training.hota import hota

MATCH = 0.5  # intersection over union
RIM = 0.05  # of the longer side: a body is that much wider than its joints' extent
CLEAR = ("num_objects", "num_misses", "num_false_positives", "num_switches", "num_fragmentations", "mota", "motp",
         "idf1", "idp", "idr", "mostly_tracked", "mostly_lost")  # fmt: skip


@dataclass(frozen=True)
class Pairing:
    """Truth and predictions in the same frames, without what does not count. Frame by frame: rows of both, alike."""

    truth: Tracked
    predicted: Tracked
    frames: list[tuple[Array, Array, Array]]  # (A,) and (B,) row numbers, (A,B) similarity in [0,1]


def pair(truth: Tracked, predicted: Tracked) -> Pairing:
    """Bring the predictions into the truth's frames, and take out what the truth ignores.

    Pictures are matched by the numbers in their names where both name them, else by their places in the clip.
    Predicted people who match nobody but an ignored one, or lie in a region that nobody labelled, do not count.

    Raises:
        ValueError: the predictions are in none of the truth's frames.
    """
    predicted = _without_regions(in_frames(truth, predicted), truth.regions)
    mine, theirs = boxes(truth, predicted)
    away = np.zeros(len(predicted), bool)
    for frame in truth.frames[np.isin(truth.frames, truth.frame[truth.ignored])]:
        rows, columns = np.flatnonzero(truth.frame == frame), np.flatnonzero(predicted.frame == frame)
        away[columns[_only_ignored(np.nan_to_num(iou(mine[rows], theirs[columns])), truth.ignored[rows])]] = True
    kept_truth, kept = ~truth.ignored, ~away
    truth, mine, predicted, theirs = truth.rows(kept_truth), mine[kept_truth], predicted.rows(kept), theirs[kept]
    frames = []
    for frame in truth.frames:
        rows = np.arange(*np.searchsorted(truth.frame, [frame, frame + 1]))
        columns = np.arange(*np.searchsorted(predicted.frame, [frame, frame + 1]))
        frames.append((rows, columns, np.nan_to_num(iou(mine[rows], theirs[columns]))))  # 0: unknown
    return Pairing(truth, predicted, frames)


def in_frames(truth: Tracked, predicted: Tracked) -> Tracked:
    """The predictions in the truth's frames, what is in no such frame left out. Raises ValueError as `pair`."""
    frame, frames = predicted.frame, truth.frames
    if truth.numbers is not None and predicted.numbers is not None:
        own = dict(zip(predicted.frames.tolist(), predicted.numbers.tolist(), strict=True))
        place = dict(zip(truth.numbers.tolist(), frames.tolist(), strict=True))
        frame = np.array([place.get(own[f], -1) for f in frame.tolist()], int)
    if len(frame) and not np.isin(frame, frames).any():
        raise ValueError(f"its people are in frames {frame.min()} to {frame.max()}, none of which the truth knows")
    moved = Tracked(**{**vars(predicted), "frame": frame, "frames": frames, "numbers": None})
    moved = moved.rows(np.isin(frame, frames))
    return moved.rows(np.argsort(moved.frame, kind="stable"))


def _without_regions(predicted: Tracked, regions: Mapping[int, list[Array]]) -> Tracked:
    """Without the joints in regions that nobody labelled, and without who has no joint left (as poseval does)."""
    if not regions or predicted.keypoints is None:
        return predicted
    import cv2

    points = predicted.keypoints.copy()
    for frame, polygons in regions.items():
        for row in np.flatnonzero(predicted.frame == frame):
            known = np.flatnonzero(np.isfinite(points[row]).all(-1))
            hit = [any(cv2.pointPolygonTest(p, tuple(map(float, points[row, j])), False) >= 0 for p in polygons)
                   for j in known]  # fmt: skip
            points[row, known[np.array(hit, bool)]] = np.nan
    changed = Tracked(**{**vars(predicted), "keypoints": points})
    return changed.rows(np.isfinite(points).any((1, 2)))


def _only_ignored(alike: Array, ignored: Array) -> Array:
    """(B,) bool: predictions that match no person who counts, but an ignored one. (A,B), (A,)."""
    away = np.zeros(alike.shape[1], bool)
    real = alike[~ignored]
    taken = [c for r, c in zip(*linear_sum_assignment(-np.where(real >= MATCH, real, 0)), strict=True)
             if real[r, c] >= MATCH]  # fmt: skip
    free = np.setdiff1d(np.arange(alike.shape[1]), taken)
    away[free] = (alike[ignored][:, free] >= MATCH).any(0)
    return away


def boxes(truth: Tracked, predicted: Tracked) -> tuple[Array, Array]:
    """(N,4), (M,4) px: the files' own where both have them, else round the joints that both know.

    Where only one has joints, its boxes are as much wider as a body is.
    """
    if np.isfinite(truth.boxes).all() and np.isfinite(predicted.boxes).all():
        return truth.boxes, predicted.boxes
    if truth.skeleton is None or predicted.skeleton is None:
        return _of_body(truth, None), _of_body(predicted, None)
    return _of_body(truth, truth_columns(truth, predicted)[0]), _of_body(predicted, truth_columns(truth, predicted)[1])


def truth_columns(truth: Tracked, predicted: Tracked) -> tuple[list[int], list[int]]:
    """Which joints of the one are which of the other. Raises ValueError: they share none, or one has no joints."""
    if truth.skeleton is None or predicted.skeleton is None:
        raise ValueError("no joints to compare")
    ours, theirs = skeleton(truth.skeleton), skeleton(predicted.skeleton)
    common = [name for name in ours.joints if name in theirs.joints]
    if not common:
        raise ValueError(f"{ours.name} and {theirs.name} share no joint")
    return ours.index(*common), theirs.index(*common)


def _of_body(tracked: Tracked, joints: list[int] | None) -> Array:
    """(N,4) px: round these joints; round all of them where no box is given, if `joints` is None."""
    if tracked.keypoints is None:
        return tracked.boxes
    points = tracked.keypoints if joints is None else tracked.keypoints[:, joints]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a person without any joint has no box
        low, high = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
    rim = RIM * np.max(high - low, axis=1, keepdims=True)
    around = np.concatenate([low - rim, high + rim], axis=1)
    given = np.isfinite(tracked.boxes).all(1, keepdims=True) if joints is None else np.zeros((len(tracked), 1), bool)
    return np.where(given, tracked.boxes, around)


def score(pairing: Pairing) -> dict[str, float]:
    """MOTA, MOTP (mean overlap of matches), IDF1, counts of CLEAR MOT, HOTA with its parts. NaN of nobody."""
    found = clear([(pairing.truth.ids[r], pairing.predicted.ids[c], _gated(s)) for r, c, s in pairing.frames])
    ids, parts = (pairing.truth.ids, pairing.predicted.ids), [(r, c, s) for r, c, s in pairing.frames]
    return {
        "mota": found["mota"], "motp": 1 - found["motp"], "idf1": found["idf1"], "idp": found["idp"],
        "idr": found["idr"], **hota(*ids, parts), "switches": int(found["num_switches"]),
        "fragments": int(found["num_fragmentations"]), "missed": int(found["num_misses"]),
        "false": int(found["num_false_positives"]), "people_frames": int(found["num_objects"]),
        "people": len(np.unique(ids[0])), "tracks": len(np.unique(ids[1])),
        "mostly_tracked": int(found["mostly_tracked"]), "mostly_lost": int(found["mostly_lost"]),
    }  # fmt: skip


def _gated(alike: Array) -> Array:
    """Distances for motmetrics: NaN where boxes do not match."""
    return np.where(alike >= MATCH, 1 - alike, np.nan)


def clear(frames: list[tuple[Array, Array, Array]], metrics: tuple[str, ...] = CLEAR) -> dict[str, Any]:
    """motmetrics' figures of frames of true ids (A,), predicted ids (B,), distances (A,B) with NaN for no match."""
    import motmetrics

    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for true, predicted, distance in frames:
        accumulator.update(true, predicted, distance)
    return motmetrics.metrics.create().compute(accumulator, metrics=list(metrics), return_dataframe=False)
