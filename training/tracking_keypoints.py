"""Tracks against truth by joints: PoseTrack's MOTA, and COCO's average precision of keypoints."""

from __future__ import annotations

import contextlib
import io

import numpy as np

from pipeline.skeletons import skeleton
from training.datasets.tracked import Array, Tracked
from training.tracking import Pairing, boxes, clear, truth_columns

HEADS = 0.5  # head sizes from which a joint is missed
BODY_IN_BOX = 0.53  # COCO's areas are of the body; this share of the box where none is given, as is customary
UNKNOWN_SIGMA = 0.079  # a shoulder's, for skeletons without published constants
COUNTS = ("num_objects", "num_misses", "num_false_positives", "num_switches")


def posetrack_mota(pairing: Pairing) -> dict[str, float] | None:
    """MOTA of each joint that is labelled anywhere, and their mean as `mean`; None: the truth knows no head sizes.

    As PoseTrack's poseval: every joint is tracked by itself, and a predicted one may be the true one within half a
    head. Two oddities of poseval are left out: it skips each clip's last frame, and takes a frame in which one side
    has nobody for one miss and one false joint.
    """
    truth, predicted = pairing.truth, pairing.predicted
    if truth.skeleton is None or predicted.skeleton is None or not len(truth) or not np.isfinite(truth.heads).all():
        return None
    columns = truth_columns(truth, predicted)
    found = {}
    for ours, theirs in zip(*columns, strict=True):
        true, guess = truth.keypoints[:, ours], predicted.keypoints[:, theirs]
        frames = [_joint(pairing, true, guess, rows, others) for rows, others, _ in pairing.frames]
        counts = clear(frames, COUNTS)
        if counts["num_objects"]:
            wrong = counts["num_misses"] + counts["num_false_positives"] + counts["num_switches"]
            found[skeleton(truth.skeleton).joints[ours]] = float(1 - wrong / counts["num_objects"])
    return {**found, "mean": float(np.mean(list(found.values())))} if found else None


def _joint(pairing: Pairing, true: Array, guess: Array, rows: Array, others: Array) -> tuple[Array, Array, Array]:
    """Ids and distances in heads of one joint in one frame, for `clear`."""
    rows, others = rows[np.isfinite(true[rows]).all(-1)], others[np.isfinite(guess[others]).all(-1)]
    away = np.linalg.norm(true[rows][:, None] - guess[others][None], axis=-1) / pairing.truth.heads[rows][:, None]
    return pairing.truth.ids[rows], pairing.predicted.ids[others], np.where(away <= HEADS, away, np.nan)


def average_precision(truth: Tracked, predicted: Tracked) -> dict[str, float] | None:
    """COCO's `ap`, `ap50`, `ap75` and `ar` of keypoints by their similarity (OKS); None: one side has no joints.

    The joints that both have count. `predicted` must be in the truth's frames. People whom the truth ignores are
    COCO's crowds.
    """
    if truth.skeleton is None or predicted.skeleton is None or not len(truth):
        return None
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    ours, theirs = truth_columns(truth, predicted)
    sigmas = skeleton(truth.skeleton).sigmas or (UNKNOWN_SIGMA,) * len(skeleton(truth.skeleton))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": [{"id": int(f)} for f in truth.frames], "categories": [{"id": 1, "name": "person"}],
                        "annotations": _truth_rows(truth, ours, boxes(truth, predicted)[0])}  # fmt: skip
        coco.createIndex()
        found = COCO()
        found.dataset = {**coco.dataset, "annotations": _predicted_rows(predicted, theirs)}
        found.createIndex()
        judge = COCOeval(coco, found, "keypoints")
        judge.params.kpt_oks_sigmas = np.array(sigmas)[ours]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return dict(zip(("ap", "ap50", "ap75"), judge.stats[:3].tolist(), strict=True)) | {"ar": float(judge.stats[5])}


def _truth_rows(truth: Tracked, joints: list[int], around: Array) -> list[dict]:
    rows = []
    extent = np.nan_to_num(around[:, 2:] - around[:, :2])
    areas = np.where(np.isfinite(truth.areas), truth.areas, BODY_IN_BOX * extent.prod(1))
    for k in range(len(truth)):
        points, known = truth.keypoints[k, joints], np.isfinite(truth.keypoints[k, joints]).all(-1)
        marks = np.where(known, np.where(truth.joint_scores[k, joints] >= 1, 2, 1), 0)
        rows.append({
            "id": k + 1, "image_id": int(truth.frame[k]), "category_id": 1, "iscrowd": int(truth.ignored[k]),
            "keypoints": _triples(points, marks), "num_keypoints": int(known.sum()), "area": float(areas[k]),
            "bbox": [*np.nan_to_num(around[k, :2]).tolist(), *extent[k].tolist()],
        })  # fmt: skip
    return rows


def _predicted_rows(predicted: Tracked, joints: list[int]) -> list[dict]:
    rows = []
    for k in range(len(predicted)):
        points = predicted.keypoints[k, joints]
        if (known := np.isfinite(points).all(-1)).any():
            extent = np.ptp(points[known], axis=0)
            rows.append({
                "id": len(rows) + 1, "image_id": int(predicted.frame[k]), "category_id": 1, "iscrowd": 0,
                "keypoints": _triples(points, known), "score": float(np.nan_to_num(predicted.scores[k])),
                "area": float(extent.prod()), "bbox": [*points[known].min(0).tolist(), *extent.tolist()],
            })  # fmt: skip
    return rows


def _triples(points: Array, marks: Array) -> list[float]:
    return np.concatenate([np.nan_to_num(points), marks[:, None]], axis=1).ravel().tolist()
