"""Constant bones: one length per bone and person, and the nearest poses that have them."""

from __future__ import annotations

import numpy as np

from pipeline.results import Array
from pipeline.skeletons import Skeleton

STATURE_PER_CHAIN = 1.03
"""Standing height over the sum of shank, thigh, spine, neck and head: the median over 402 clips of open motion capture
(joints of h36m-23; the soles lie 2 cm below the foot joints)."""
ROUNDS = 3  # of Newton's method: from centimetres to micrometres
AT_ONCE = 1024  # frames; all of a long clip would fill the memory
RIDGE = 1e-9  # keeps a bone without any length, which has no direction, from making the equations singular
_LEG = (("hip", "knee"), ("knee", "ankle"))
_TRUNK = (("pelvis", "spine"), ("spine", "thorax"), ("thorax", "neck_nose"), ("neck_nose", "head_top"))


def bone_lengths(joints: Array, scores: Array, skeleton: Skeleton) -> Array:
    """(T,K,3) m, (T,K) -> (K,) m to the parent: weighted medians over time, left and right alike, 0 at the root.

    A bone that is known in no frame is as long as that of the other side; NaN where that is unknown too.
    """
    lengths = np.zeros(len(skeleton))
    for parent, child in skeleton.bones:
        measured = np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)
        lengths[child] = _median(measured, np.minimum(scores[:, child], scores[:, parent]))
    other = lengths[list(skeleton.mirror)]
    return (np.where(np.isnan(lengths), other, lengths) + np.where(np.isnan(other), lengths, other)) / 2


def _median(values: Array, weights: Array) -> float:
    """Weighted median of the finite values; where all weights are 0 they count alike."""
    known = np.isfinite(values)
    values, weights = values[known], np.nan_to_num(weights[known])
    if not len(values):
        return np.nan
    if weights.sum() <= 0:
        weights = np.ones_like(values)
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order])
    low = np.searchsorted(share, 0.5 * share[-1])
    high = np.searchsorted(share, 0.5 * share[-1] * (1 + 1e-9), side="right")
    return float((values[order[low]] + values[order[min(high, len(order) - 1)]]) / 2)


def fit_bones(joints: Array, lengths: Array, skeleton: Skeleton, spread: Array | None = None) -> Array:
    """Poses with bones of these lengths, the joints moved as little as possible over the whole body.

    Each round moves the joints by the least that makes all bones right to first order: `min sum_k |move_k|^2 / s_k`
    (Newton's method on the constraints of all bones at once, as in M-SHAKE: Kraeutler, van Gunsteren, Huenenberger,
    J. Comput. Chem. 22, 2001). So no joint pays for all others, as the last one does where a chain is built again from
    its root; only what the last round leaves is put right that way.

    Args:
        joints: (T,K,3) m, NaN where unknown: no bone pulls there, and what comes out is NaN there.
        lengths: (K,) m to the parent; a bone of unknown length, NaN, pulls nowhere.
        spread: (T,K) variances s of the joints' places, of which only ratios count; all alike without it.
    """
    out = joints.astype(float)
    for begin in range(0, len(out), AT_ONCE):
        poses = out[begin : begin + AT_ONCE]
        free = np.ones(poses.shape[:2]) if spread is None else spread[begin : begin + AT_ONCE]
        known = np.isfinite(poses).all(-1)
        nearest = _nearest(np.nan_to_num(poses), known, lengths, skeleton, free)
        poses[:] = _with_lengths(np.where(known[..., None], nearest, np.nan), lengths, skeleton)
    return out


def _nearest(joints: Array, known: Array, lengths: Array, skeleton: Skeleton, spread: Array) -> Array:
    parents, children = np.array(skeleton.bones).T
    count = np.arange(len(children))
    ends = np.zeros((len(children), len(skeleton)))  # (B,K): a bone is its child minus its parent
    ends[count, children], ends[count, parents] = 1, -1
    ridge = RIDGE * np.eye(len(children))
    wanted = lengths[children, None]
    pulls = (known[:, children] & known[:, parents] & np.isfinite(wanted[:, 0])).astype(float)
    tied = (ends * spread[:, None]) @ ends.T  # (T,B,B): how much bones that share a joint move each other
    tied *= pulls[:, :, None] * pulls[:, None]
    for _ in range(ROUNDS):
        bones = ends @ joints
        size = np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-6)
        axis = bones / size
        excess = (size - np.nan_to_num(wanted)) * pulls[..., None]
        pull = np.linalg.solve(tied * (axis @ axis.transpose(0, 2, 1)) + ridge, excess)
        joints = joints - spread[..., None] * (ends.T @ (pull * axis))
    return joints


def _with_lengths(joints: Array, lengths: Array, skeleton: Skeleton) -> Array:
    """(T,K,3) with the directions of the bones kept and their lengths (K,) set, from the root outwards.

    A joint whose parent or bone is unknown stays, and what hangs on it begins there.
    """
    out = joints.copy()
    for child in _outwards(skeleton):
        bone = joints[:, child] - joints[:, skeleton.parents[child]]
        size = np.linalg.norm(bone, axis=-1, keepdims=True)
        end = out[:, skeleton.parents[child]] + bone * (lengths[child] / np.maximum(size, 1e-9))
        out[:, child] = np.where(np.isfinite(end), end, joints[:, child])
    return out


def _outwards(skeleton: Skeleton) -> list[int]:
    """Joints with a parent, every parent before its children."""
    order, left = [], [c for c, p in enumerate(skeleton.parents) if p >= 0]
    placed = {c for c, p in enumerate(skeleton.parents) if p < 0}
    while left:
        ready = [c for c in left if skeleton.parents[c] in placed]
        order += ready
        placed.update(ready)
        left = [c for c in left if c not in placed]
    return order


def stature(lengths: Array, skeleton: Skeleton) -> float:
    """Standing height in metres, heel to head top, of a body with these bones; NaN where one of them is unknown."""
    name = skeleton.joints.index
    legs = sum(lengths[name(f"{side}_{child}")] for side in ("left", "right") for _, child in _LEG) / 2
    return float(STATURE_PER_CHAIN * (legs + sum(lengths[name(child)] for _, child in _TRUNK)))
