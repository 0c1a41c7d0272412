"""One person of whom several known cameras have tracks: from keypoints to whole motion in the world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from multiview.alone import pelvis_alone
from multiview.complete import Completed, complete, converted
from multiview.sides import put_right
from multiview.triangulate import THRESHOLD_PX, Triangulated, triangulate
from pipeline.projection import during
from pipeline.results import Array, Camera
from pipeline.skeletons import Skeleton

ROUGH = 3  # rounds that find about where a joint is


@dataclass(frozen=True)
class Reconstructed:
    """T times, J joints of the detector's skeleton, K of the motion's."""

    motion: Completed  # (T,K,3) m, world
    found: Triangulated  # (T,J,3) m: what was triangulated
    exchanged: Array  # (V,T) bool: the view had left and right exchanged


def reconstruct(
    cameras: Sequence[Camera],
    keypoints: Array,
    scores: Array,
    times: Array,
    source: Skeleton,
    target: Skeleton | None = None,
    convert: Callable[[Array], Array] | None = None,
    lifted: Array | None = None,
    lifted_scores: Array | None = None,
    threshold_px: float = THRESHOLD_PX,
) -> Reconstructed:
    """Left and right put right, triangulated, and completed over time; then once more where that contradicts the views.

    Args:
        keypoints, scores: (V,T,J,2) px and (V,T,J) of the skeleton `source`, NaN and 0 where unseen.
        times: (T,) s.
        target, convert: the motion's skeleton and the linear conversion to it, (...,J,C) -> (...,K,C); by default
            the detector's own joints.
        lifted, lifted_scores: (V,T,K,3) m relative to the pelvis in the cameras' axes, (V,T,K) (see `complete`).

    Raises:
        NothingSeen: no joint could be triangulated in any frame.
        ValueError: shapes that do not belong together.
    """
    keypoints, scores, exchanged = put_right(cameras, keypoints, scores, source.mirror)
    if lifted is not None:  # what was lifted from the wrong sides has no worth
        lifted = np.where(exchanged[..., None, None], np.nan, lifted)
    found = _settled(cameras, keypoints, scores, times, source, threshold_px)
    joints = converted(found, convert) if convert else found
    alone = None
    if lifted is not None and np.isfinite(joints.points).any():
        unseen = ~(np.asarray(scores) > 0)[..., None]
        pixels = np.where(unseen, np.nan, keypoints)
        alone = pelvis_alone(joints, np.asarray(times), cameras, convert(pixels) if convert else pixels, lifted)
    whole = complete(joints, times, target or source, cameras, lifted, lifted_scores, alone=alone)
    return Reconstructed(whole, found, exchanged)


def _settled(cameras: Sequence[Camera], keypoints: Array, scores: Array, times: Array, source: Skeleton,
             threshold_px: float) -> Triangulated:  # fmt: skip
    """Triangulated; where views contradict each other, the frames before and after say which of them to believe."""
    found = triangulate(cameras, keypoints, scores, threshold_px)
    count = (np.isfinite(keypoints).all(-1) & (scores > 0)).sum(axis=0)
    doubtful = (count >= 2) & (2 * found.views <= count) & (found.views < count)
    if not doubtful.any() or not (found.views > 0).any():
        return found
    sure = replace(found, points=np.where(doubtful[..., None], np.nan, found.points))
    if not np.isfinite(sure.points).any():
        return found
    near = complete(sure, times, source, rounds=ROUGH).points
    frames = np.flatnonzero((doubtful & np.isfinite(near).all(-1)).any(axis=1))
    again = triangulate(
        [during(c, frames) for c in cameras],
        keypoints[:, frames],
        scores[:, frames],
        threshold_px,
        near=np.where(doubtful[frames, :, None], near[frames], np.nan),
    )
    merged = {}
    for name in Triangulated.__dataclass_fields__:
        merged[name] = np.array(getattr(found, name))
        if name == "used":
            merged[name][:, frames] = again.used
        else:
            merged[name][frames] = getattr(again, name)
    return Triangulated(**merged)
