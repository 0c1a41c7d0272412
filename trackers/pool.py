"""All detections of a clip as flat arrays: what the tracker works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.results import Array, Detections
from pipeline.skeletons import skeleton
from trackers.similarity import body_size, keypoint_sigmas, oks

TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
LIMBS = tuple(
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip"))
)
SURE_BOX = 0.5  # a box with this score or more leaves the certainty to the joints
MIN_WEIGHT = 0.05  # a joint that the detector placed but does not trust still counts a little


@dataclass(frozen=True)
class Ground:
    """What a clip says of people's heights (stature.py)."""

    height: Array  # (N,) logarithm, up to a constant; NaN where the feet are not seen
    lever: Array  # (N,2) by how much an error of the slope changes that
    scatter: float  # spread of a person's height about its mean
    doubt: Array  # (2,2) covariance of the slope


@dataclass(frozen=True)
class Pool:
    """N detections in the order of their frames; `first[f]:first[f + 1]` are those of frame f."""

    skeleton: str
    first: Array  # (F+1,) int
    frame: Array  # (N,) int
    time: Array  # (N,) s
    keypoints: Array  # (N,J,2) px
    scores: Array  # (N,J)
    weights: Array  # (N,J) scores with a floor, 0 where the keypoint is missing
    sigmas: Array  # (J,)
    centre: Array  # (N,2) px, middle of the torso
    size: Array  # (N,) px, about half a standing body's height
    strength: Array  # (N,) how sure the detector is of the person, in [0,1]
    boxes: Array  # (N,4) px
    following: Array  # (N,) int, -1 none
    presence: Array | None  # this and the next two as the detector gave them: long clips have many
    world: Array | None
    appearance: Array | None
    facing: Array  # (N,2) sizes to the right in the picture: from the trunk's right to its left, from it to the nose
    proportions: Array | None  # (N,L) log lengths of limbs in metres, from `world`
    look: Array | None = None  # (N,D) scaled appearance where it shows the person alone, else NaN (appearance.py)
    ground: Ground | None = None

    def __len__(self) -> int:
        return len(self.frame)


def gather(detections: Sequence[Detections], times: Array) -> Pool | None:
    """Flatten; None when nobody is in any frame. Two detections of one person in a frame become the surer one.

    Who has no two joints apart has no size, and is nobody.

    Raises:
        ValueError: as `flatten`.
    """
    pool = flatten(detections, times)
    for keep in (_sized, _distinct):
        pool = None if pool is None else _take(pool, keep(pool), len(detections))
    return pool


def flatten(detections: Sequence[Detections], times: Array) -> Pool | None:
    """All of the detections in their order; None when there are none.

    Raises:
        ValueError: not one time per frame, or the frames do not share one skeleton.
    """
    if len(detections) != len(times):
        raise ValueError(f"{len(detections)} frames of detections but {len(times)} times")
    some = [d for d in detections if len(d)]
    if not some:
        return None
    names = {d.skeleton for d in some}
    if len(names) > 1:
        raise ValueError(f"detections of several skeletons cannot be tracked together: {', '.join(sorted(names))}")
    return _flatten(some, detections, np.asarray(times, float))


def surer_half(scores: Array, known: Array) -> Array:
    """(N,J) scores, (N,J) which joints are known -> (N,): the mean of the surer half of the joints."""
    return np.sort(np.where(known, np.nan_to_num(scores), 0.0), axis=1)[:, scores.shape[1] // 2 :].mean(1)


def _flatten(some: list[Detections], detections: Sequence[Detections], times: Array) -> Pool:
    counts = np.array([len(d) for d in detections])
    frame = np.repeat(np.arange(len(detections)), counts)
    keypoints = np.concatenate([d.keypoints for d in some]).astype(float)
    scores = np.concatenate([d.scores for d in some]).astype(float)
    known = np.isfinite(keypoints).all(-1)
    weights = np.where(known, np.clip(np.nan_to_num(scores), MIN_WEIGHT, 1), 0.0)
    size = body_size(keypoints, known.astype(float))  # by all joints: by the sure ones it would shrink behind others
    box_scores = np.concatenate([d.box_scores for d in some]).astype(float)
    world = _optional(some, "world")
    return Pool(
        skeleton=some[0].skeleton,
        first=np.concatenate([[0], np.cumsum(counts)]),
        frame=frame,
        time=times[frame],
        keypoints=keypoints,
        scores=np.where(known, np.nan_to_num(scores), 0.0),
        weights=weights,
        sigmas=keypoint_sigmas(some[0].skeleton),
        centre=_torso_centre(some[0].skeleton, keypoints, known.astype(float)),
        size=size,
        strength=surer_half(scores, known) * np.clip(np.nan_to_num(box_scores, nan=1.0) / SURE_BOX, 0, 1),
        boxes=np.concatenate([d.boxes for d in some]).astype(float),
        following=np.concatenate([d.following if d.following is not None else np.full(len(d), -1) for d in some]),
        presence=_optional(some, "presence"),
        world=world,
        appearance=_optional(some, "appearance"),
        facing=_facing(some[0].skeleton, keypoints, size),
        proportions=None if world is None else _limb_lengths(some[0].skeleton, world),
    )


def _optional(some: list[Detections], name: str) -> Array | None:
    parts = [getattr(d, name) for d in some]
    return None if any(part is None for part in parts) else np.concatenate(parts)


def _torso_centre(name: str, keypoints: Array, known: Array) -> Array:
    """(N,2): middle of shoulders and hips, or of all joints where none of these is known.

    Sure or not: by the sure ones it would leap between shoulders and hips as these are hidden.
    """
    torso = skeleton(name).index(*TORSO)
    chosen = np.where(known[:, torso].sum(1, keepdims=True) > 0, _mask(known.shape[1], torso), 1.0) * known
    total = np.maximum(chosen.sum(1, keepdims=True), 1e-9)
    return np.einsum("nj,njc->nc", chosen, np.nan_to_num(keypoints)) / total


def _facing(name: str, keypoints: Array, size: Array) -> Array:
    """(N,2) body sizes, NaN unknown: left minus right of shoulders and hips; nose minus middle of shoulders."""
    known = skeleton(name)
    along = keypoints[..., 0] / np.where(size > 0, size, np.nan)[:, None]
    left, right = known.index(TORSO[0], TORSO[2]), known.index(TORSO[1], TORSO[3])
    nose = along[:, known.joints.index("nose")] if "nose" in known.joints else np.full(len(size), np.nan)
    wide = (along[:, left] - along[:, right]).mean(1)
    return np.stack([wide, nose - along[:, known.index(*TORSO[:2])].mean(1)], axis=1)


def _mask(length: int, chosen: list[int]) -> Array:
    mask = np.zeros(length)
    mask[chosen] = 1.0
    return mask


def _limb_lengths(name: str, world: Array) -> Array:
    pairs = np.array([skeleton(name).index(*limb) for limb in LIMBS])
    lengths = np.linalg.norm(world[:, pairs[:, 0]].astype(float) - world[:, pairs[:, 1]], axis=-1)
    return np.log(np.maximum(lengths, 1e-3))


def _sized(pool: Pool) -> Array:
    """(N,) bool; of NaN false."""
    return pool.size > 0


def _distinct(pool: Pool, threshold: float = 0.75) -> Array:
    """(N,) bool: False for a detection that repeats a stronger one of its frame (OKS above the threshold)."""
    keep = np.ones(len(pool), bool)
    for begin, end in zip(pool.first[:-1], pool.first[1:], strict=True):
        if end - begin < 2:
            continue
        rows = slice(begin, end)
        same = oks(pool.keypoints[rows], pool.weights[rows], pool.keypoints[rows], pool.weights[rows],
                   pool.size[rows], pool.sigmas)  # fmt: skip
        for row in np.argsort(-pool.strength[rows], kind="stable"):
            if keep[begin + row]:
                repeated = (same[row] > threshold) & (pool.strength[rows] <= pool.strength[begin + row])
                repeated[row] = False
                keep[rows] &= ~repeated
    return keep


def _take(pool: Pool, keep: Array, frames: int) -> Pool | None:
    if keep.all():
        return pool
    if not keep.any():
        return None
    values = {k: (v[keep] if isinstance(v, np.ndarray) and len(v) == len(pool) else v) for k, v in vars(pool).items()}
    values["sigmas"] = pool.sigmas
    values["first"] = np.searchsorted(values["frame"], np.arange(frames + 1))
    return Pool(**values)
