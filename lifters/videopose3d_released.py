"""The lifter `videopose3d` with weights that the authors of VideoPose3D released (Pavllo et al., CVPR 2019).

`pretrained_h36m_detectron_coco.bin` and the older `d-pt-243.bin` and `cpn-pt-243.bin` take COCO's keypoints: the
network itself has learnt what Human3.6M's joints are. `pretrained_h36m_cpn.bin` takes Human3.6M's. Shapes do not tell
them apart, so the file's name does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lifters.sequence import COCO, Convention, SequenceLifter, by_name, pad_ends
from pipeline.results import Array, Camera

if TYPE_CHECKING:
    from torch import Tensor, nn

HUMANEVA = Convention("coco-17", "humaneva-15", rate=60.0)
JOINTS_IN = 17


class ReleasedVideoPose3D(SequenceLifter):
    """The dilated network over the whole track, piece by piece; beyond its ends a track rests.

    Args, Raises: as `SequenceLifter`.
    """

    name = "videopose3d"
    files = "pretrained_h36m_cpn.bin, pretrained_h36m_detectron_coco.bin, pretrained_humaneva15_detectron.bin"
    chunk = 1024  # frames computed at once, which bounds the memory; the numbers do not depend on it

    def _convention(self) -> Convention:
        if self.variant.facts.get("joints_out") == 15:
            return HUMANEVA
        return by_name(self.told, ("coco|-pt-243", COCO))

    def _build(self, state: dict[str, Tensor]) -> nn.Module:
        from lifters.networks.videopose3d import TemporalModel

        facts = self.variant.facts
        features, rest = divmod(facts["numbers_in"], JOINTS_IN)
        if rest or features not in (2, 3) or facts.get("joints_out") not in (15, 17):
            raise ValueError(f"this is not one that takes {JOINTS_IN} keypoints and gives 15 or 17 joints")
        sizes = facts["widths"], facts["channels"], self.options.get("causal", False)
        return TemporalModel(JOINTS_IN, features, facts["joints_out"], *sizes)

    def _inputs(self, keypoints: Array, camera: Camera) -> Array:
        points = super()._inputs(keypoints, camera)
        if self.variant.facts["numbers_in"] == 2 * JOINTS_IN:
            return points
        return np.concatenate([points, keypoints[..., 2:]], axis=-1)

    def _predict(self, inputs: Tensor, step: int) -> Tensor:
        import torch

        left, right = self._network.padding
        padded, frames = pad_ends(inputs, left, right), inputs.shape[1]
        pieces = [
            self._network(padded[:, begin : min(begin + self.chunk, frames) + left + right])[0]
            for begin in range(0, frames, self.chunk)
        ]
        return torch.cat(pieces, dim=1)
