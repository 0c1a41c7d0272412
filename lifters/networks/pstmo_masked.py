"""P-STMO's first stage: joints and frames of 2D motion are hidden, and a network learns to restore them.

Masked pose modelling (Shan et al., ECCV 2022, stage I), on 2D keypoints alone. The encoder's names are those of
`PSTMO`, which starts from them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifters.networks.pstmo_layers import (
    DeviationNorm,
    Layers,
    SpatialEncoder,
    TemporalEncoder,
    apply_head,
    embedding,
    head,
)


class Decoder(nn.Module):
    """The Transformer that restores the frames; positions are added outside."""

    def __init__(self, layers: int, channels: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.model = Layers(layers, channels, hidden, heads)

    def forward(self, x: Tensor) -> Tensor:
        """(B,T,C) -> (B,T,C)."""
        return self.model(x)


class MaskedPSTMO(nn.Module):
    """2D keypoints of a window with masks -> 2D keypoints of all its frames.

    Args:
        layers: of the temporal Transformer (3: P-STMO-S, 4: P-STMO); the decoder has one fewer.
        frames: of a window.
        joints, features_in: keypoints and numbers per keypoint.
        channels, hidden, heads: of the encoder; the decoder has half the widths and as many heads.
        spatial: width inside the part that sees single frames.
    """

    def __init__(
        self,
        layers: int = 3,
        frames: int = 243,
        joints: int = 17,
        features_in: int = 2,
        channels: int = 256,
        hidden: int = 512,
        heads: int = 8,
        spatial: int = 512,
    ) -> None:
        super().__init__()
        half = channels // 2
        self.dec_pos_embedding = embedding(1, frames, half)
        self.mask_token = embedding(1, 1, half)
        self.spatial_mask_token = embedding(1, 1, features_in)
        self.encoder = SpatialEncoder(joints * features_in, channels, spatial)
        self.Transformer = TemporalEncoder(layers, frames, channels, hidden, heads)
        self.Transformer_dec = Decoder(layers - 1, half, hidden // 2, heads)
        self.encoder_to_decoder = nn.Linear(channels, half, bias=False)
        self.encoder_LN = DeviationNorm(channels)
        self.fcn_dec = head(half, joints * features_in)

    def forward(self, keypoints: Tensor, hidden_frames: Tensor, hidden_joints: Tensor) -> tuple[Tensor, Tensor]:
        """Restores a batch whose windows share their masks.

        Args:
            keypoints: (B,N,J,F), screen-normalised.
            hidden_frames: (N,) bool.
            hidden_joints: (N,J) bool.

        Returns:
            keypoints (B,N,J,F) in the published order, first the seen frames, then the hidden ones, and the frames'
            indices in that order (N,): the target is `keypoints[:, order]`.
        """
        order = torch.cat([(~hidden_frames).nonzero(), hidden_frames.nonzero()]).flatten()
        seen = len(order) - int(hidden_frames.sum())
        x = torch.where(hidden_joints[..., None], self.spatial_mask_token, keypoints)
        x = self.encoder(x.flatten(2)) + self.Transformer.pos_embedding
        x = self.encoder_to_decoder(self.encoder_LN(self.Transformer.model(x[:, order[:seen]])))
        x = torch.cat([x, self.mask_token.expand(len(x), len(order) - seen, -1)], dim=1)
        x = self.Transformer_dec(x + self.dec_pos_embedding[:, order])
        return apply_head(x, self.fcn_dec, keypoints.shape[2]), order


def draw_masks(
    frames: int, joints: int, frame_share: float, joints_per_frame: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draws what is hidden: floor(frames * frame_share) frames, and in every frame so many joints.

    As published, the last joint is never among them.

    Args:
        frame_share: 0.8 for P-STMO-S, 0.6 for P-STMO, 0.7 on MPI-INF-3DHP.
        joints_per_frame: 2 for P-STMO-S (7 with exact 2D), 3 for P-STMO.
        generator: on the device where the masks are wanted.

    Returns:
        hidden frames (frames,) bool, hidden joints (frames,joints) bool.

    Raises:
        ValueError: a share outside 0 <= share < 1, or more joints than can be hidden.
    """
    if not 0 <= frame_share < 1 or not 0 <= joints_per_frame < joints:
        raise ValueError(f"cannot hide {frame_share} of the frames and {joints_per_frame} of {joints} joints")
    device = generator.device
    hidden_frames = torch.zeros(frames, dtype=torch.bool, device=device)
    hidden_frames[torch.randperm(frames, generator=generator, device=device)[: int(frames * frame_share)]] = True
    draw = torch.rand(frames, joints - 1, generator=generator, device=device)
    hidden_joints = torch.zeros(frames, joints, dtype=torch.bool, device=device)
    hidden_joints.scatter_(1, draw.argsort(dim=1)[:, :joints_per_frame], True)
    return hidden_frames, hidden_joints
