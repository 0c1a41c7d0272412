"""The lifter `motionbert`: DSTformer (Zhu et al., ICCV 2023) with weights that its authors released, full or Lite.

The network sees a person in a square of its own, and tells x, y and depth in halves of that square's side. Global and
root-relative weights differ in where the root is, which is not used here: a stage of its own finds the path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lifters.sequence import BODY, SequenceLifter, fill
from pipeline.results import Array, Camera

if TYPE_CHECKING:
    from torch import Tensor, nn

CHAIN_M = 1.65  # shank, thigh, spine, neck and head of a person of 1.70 m, in open motion capture
CHAIN = ("spine", "thorax", "neck_nose", "head_top"), ("left_knee", "left_ankle", "right_knee", "right_ankle")
SIZE_S = 0.5  # a person's size in the picture changes no faster: standard deviation of the smoothing
FEWEST = 4  # keypoints in a run; the published crop gives up below


class MotionBERTLifter(SequenceLifter):
    """Overlapping windows of the network's length whose borders fade into each other; a short track is one window.

    Args, Raises: as `SequenceLifter`.
    """

    name = "motionbert"
    files = "FT_MB_lite_MB_ft_h36m_global_lite/best_epoch.bin, FT_MB_release_MB_ft_h36m/best_epoch.bin and the like"
    demo = False
    batch = 1  # windows computed at once, which bounds the memory; the numbers do not depend on it

    def _build(self, state: dict[str, Tensor]) -> nn.Module:
        from lifters.networks.motionbert import DSTformer

        facts = self.variant.facts
        if (facts["joints"], facts["numbers_per_keypoint"]) != (len(BODY), 3):
            raise ValueError(f"this is not one that takes x, y and confidence of {len(BODY)} keypoints")
        return DSTformer(
            channels=facts["channels"],
            ratio=facts["mlp_ratio"],
            depth=facts["depth"],
            heads=self.options.get("heads", 8),
            representation=facts["representation"],
            frames=facts["frames"],
        )

    def _predict(self, inputs: Tensor, step: int) -> Tensor:
        # Minus the root of every frame: then global windows, each of a depth of its own, fit each other too.
        return self._network.lift(inputs, root_relative=True, batch=self.batch)

    def _inputs(self, keypoints: Array, camera: Camera) -> Array:
        """Person-centred, with the score as confidence; missing joints are zeros, as they were in training."""
        centre, half = square(keypoints)
        seen = keypoints[..., 2:] > 0
        xy = (keypoints[..., :2] - centre) / half
        return np.where(seen, np.concatenate([np.clip(xy, -1, 1), keypoints[..., 2:]], axis=-1), 0.0)

    def _joints(self, outputs: Array, keypoints: Array, camera: Camera) -> Array:
        """x and y say where a joint stands in the picture, so its depth moves it along its own line of sight."""
        _, half = square(keypoints)
        relative = outputs - outputs[:, :1]
        pelvis = fill(keypoints, BODY)[:, :1]
        pixels = pelvis + half * relative[..., :2]
        focal, middle = camera.matrix[[0, 1], [0, 1]], camera.matrix[:2, 2]
        depth = relative[..., 2:]
        joints = np.concatenate([relative[..., :2] + depth * (pixels - middle) / focal, depth], axis=-1)
        size = gaussian_filter1d(np.log(chain(joints)), SIZE_S * self.convention.rate, mode="nearest")
        return joints * (CHAIN_M / np.exp(size))[:, None, None]


def square(keypoints: Array) -> tuple[Array, float]:
    """Centre (2,) px and half the side of the square around all seen joints of (N,J,3), after MotionBERT's crop.

    The published crop of fewer than 4 joints, or of all in one point, is empty; here it has a side of 2 px.
    """
    points = keypoints[keypoints[..., 2] > 0][:, :2]
    first, last = points.min(axis=0), points.max(axis=0)
    half = float((last - first).max()) / 2
    return (first + last) / 2, half if len(points) >= FEWEST and half > 0 else 1.0


def chain(joints: Array) -> Array:
    """(N,17,3) -> (N,), what of a body makes its height: one leg and the trunk up to the head's top."""
    trunk, legs = (
        sum(np.linalg.norm(joints[:, k] - joints[:, BODY.parents[k]], axis=-1) for k in BODY.index(*names))
        for names in CHAIN
    )
    return np.maximum(trunk + legs / 2, 1e-6)
