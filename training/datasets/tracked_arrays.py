"""Tracks of our own files: `poses.npz` of a run, and the truth beside a studio clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.projection import to_camera
from pipeline.skeletons import SKELETONS, skeleton
from studio.truth import Truth
from studio.write import read_truth
from training.datasets.tracked import Array, Tracked, people
from training.datasets.unpickle import load_npz, npz_keys

VISIBLE = 0.3  # a smaller share of the joints in view, and nobody need find the person
HIDDEN = 0.5  # score of a joint of truth that is labelled but not seen


def read(path: Path, view: int = 1) -> Tracked:
    """See `tracked.read`. Raises ValueError, InputError."""
    if "visible" in npz_keys(path):
        return of_truth(read_truth(path), view)
    return _poses(load_npz(path, ("times", "person_ids", "keypoint_names", "keypoints_px", "keypoint_scores")), view)


def of_truth(truth: Truth, view: int = 1) -> Tracked:
    """Everybody who is at least a little in the picture; who is hardly visible is ignored. Raises ValueError."""
    _check(view, len(truth.keypoints))
    points, visible, inside = truth.keypoints[view - 1], truth.visible[view - 1], truth.inside[view - 1]
    here = inside.any(-1) & np.isfinite(points).all((-1, -2))
    person, frame = np.nonzero(here)
    return people(
        np.arange(len(truth.times)), frame, truth.ids[person].astype(int), skeleton=truth.skeleton,
        keypoints=points[here], joint_scores=np.where(visible[here], 1.0, HIDDEN), scores=np.ones(len(frame)),
        ignored=visible[here].mean(-1) < VISIBLE, heads=_heads(truth, view)[here],
    )  # fmt: skip


def _heads(truth: Truth, view: int) -> Array:
    """(A,T) px: how large the upper joint of the neck to the top of the head looks when seen from the side."""
    names = skeleton("h36m-23")
    low, high = (truth.joints[..., names.index(name)[0], :] for name in ("neck_nose", "head_top"))
    sizes = np.linalg.norm(high - low, axis=-1)
    for t, camera in enumerate(truth.cameras[view - 1]):
        depth = to_camera(camera, high[:, t])[:, 2]
        sizes[:, t] *= camera.matrix[1, 1] / np.maximum(depth, 1e-3)
    return sizes


def _poses(stored: dict[str, Array], view: int) -> Tracked:
    points, scores = stored["keypoints_px"], stored["keypoint_scores"]
    if points.ndim == 5:  # else it is of one camera, whichever
        _check(view, len(points))
        points, scores = points[view - 1], scores[view - 1]
    frames, ids, joints = len(stored["times"]), stored["person_ids"], tuple(map(str, stored["keypoint_names"]))
    if points.shape != (len(ids), frames, len(joints), 2) or scores.shape != points.shape[:-1]:
        raise ValueError(f"keypoints_px of shape {points.shape} with {len(ids)} ids, {frames} times")
    known = np.isfinite(points).all(-1) & (scores > 0)
    person, frame = np.nonzero(known.any(-1))
    rows = known[person, frame]
    joint_scores = np.where(rows, scores[person, frame], 0.0)
    mean = joint_scores.sum(-1) / np.maximum(rows.sum(-1), 1)
    return people(
        np.arange(frames), frame, ids[person].astype(int), skeleton=named(joints), scores=mean,
        keypoints=np.where(rows[..., None], points[person, frame], np.nan), joint_scores=joint_scores,
    )  # fmt: skip


def named(joints: tuple[str, ...]) -> str | None:
    """The skeleton with these joints; None of none. Raises ValueError."""
    if not joints:
        return None
    for known in SKELETONS.values():
        if known.joints == joints:
            return known.name
    raise ValueError(f"{len(joints)} joints of no known skeleton: {', '.join(joints[:4])}, ...")


def _check(view: int, views: int) -> None:
    if not 1 <= view <= views:
        raise ValueError(f"it has {views} {'view' if views == 1 else 'views'}, no number {view}")
