"""Our own lifter's network: the temporal convolutions of VideoPose3D, and the 2D of the frame itself beside them.

A joint lies on the ray through its keypoint, so its x and y are the keypoint times its depth (pinhole camera). Plain
regression has to carry all keypoints through its hidden layers to say so, and loses precision on the way. Here the
network says for each joint how many metres one unit of the keypoint is worth, and what is to be added:
(x, y) = worth * keypoint + added, z = added. Where a keypoint is wrong or missing, `worth` can fall to zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifters.networks.videopose3d import TemporalModel
from pipeline.skeletons import skeleton

INPUT, BODY = skeleton("lift-26"), skeleton("h36m-23")
SAME = INPUT.index(*BODY.joints)  # where each joint of the body is among the keypoints
CONTACTS = 4


class SightedModel(nn.Module):
    """Keypoints and scores of lift-26, normalised (`lifters.normalise`) -> joints of h36m-23, logits of foot contacts.

    Args:
        widths, channels, dropout: of the temporal convolutions.
    """

    def __init__(self, widths: tuple[int, ...] = (3, 3, 3, 1, 1), channels: int = 512, dropout: float = 0.0) -> None:
        super().__init__()
        extra = CONTACTS + len(BODY)
        self.temporal = TemporalModel(len(INPUT), 3, len(BODY), widths, channels, dropout=dropout, extra_out=extra)

    @property
    def receptive_field(self) -> int:
        """Frames that one output depends on."""
        return self.temporal.receptive_field

    def forward(self, keypoints: Tensor, stride: int = 1) -> tuple[Tensor, Tensor]:
        """(B,T,26,3) -> joints (B,T',23,3) m in the virtual camera's axes, contacts (B,T',4), T' = T - field + 1.

        Only differences between joints mean something. With a `stride`, every so-many-th of these frames.

        Raises:
            ValueError: fewer frames than the receptive field.
        """
        added, extra = self.temporal(keypoints, stride)
        contacts, worth = extra[..., :CONTACTS], extra[..., CONTACTS:]
        margin = (self.receptive_field - 1) // 2
        seen = keypoints[:, margin::stride][:, : added.shape[1], SAME, :2]
        sight = torch.cat([worth[..., None] * seen, torch.zeros_like(worth[..., None])], dim=-1)
        return added + sight, contacts
