"""The temporal convolution network of VideoPose3D (Pavllo et al., CVPR 2019), written from its description.

Parameter names and shapes are those of the published checkpoints. Every convolution is computed as one matrix product
over neighbouring frames with the channels last: on CPUs this is a third faster than Conv1d, and the same numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class TemporalModel(nn.Module):
    """2D keypoints of a whole sequence -> root-relative 3D joints, by dilated valid convolutions.

    Args:
        joints_in, features_in: keypoints and numbers per keypoint (x, y and perhaps a score).
        joints_out: 3D joints.
        widths: odd filter widths; the receptive field is their product.
        channels: width of the residual stream.
        causal: look at the past only (the caller pads on the left).
        dropout: after every activation, in training.
        extra_out: further outputs per frame after the joints' (logits of foot contacts); 0 for the published model.
    """

    def __init__(
        self,
        joints_in: int,
        features_in: int,
        joints_out: int,
        widths: tuple[int, ...] = (3, 3, 3),
        channels: int = 1024,
        causal: bool = False,
        dropout: float = 0.25,
        extra_out: int = 0,
    ) -> None:
        super().__init__()
        if not widths or any(width % 2 == 0 for width in widths):
            raise ValueError(f"filter widths must be odd, not {widths}")
        self.joints_in, self.joints_out, self.widths = joints_in, joints_out, tuple(widths)
        self.causal, self.dropout = causal, dropout
        self.expand_bn = nn.BatchNorm1d(channels)
        self.shrink = nn.Conv1d(channels, 3 * joints_out + extra_out, 1)
        self.expand_conv = nn.Conv1d(joints_in * features_in, channels, widths[0], bias=False)
        blocks = widths[1:]
        self.layers_conv = nn.ModuleList(
            nn.Conv1d(channels, channels, k, bias=False) for width in blocks for k in (width, 1)
        )
        self.layers_bn = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(2 * len(blocks)))

    @property
    def receptive_field(self) -> int:
        """Frames that one output depends on."""
        field = 1
        for width in self.widths:
            field *= width
        return field

    @property
    def padding(self) -> tuple[int, int]:
        """Frames to add (left, right) so that there is one output per frame."""
        pad = (self.receptive_field - 1) // 2
        return (2 * pad, 0) if self.causal else (pad, pad)

    def forward(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """(B,T,J,F) -> joints (B,T',K,3) and extra outputs (B,T',E), T' = T - receptive field + 1."""
        x = keypoints.flatten(2)
        x = self._activate(_convolve(x, self.expand_conv, 1), self.expand_bn)
        dilation = self.widths[0]
        for i, width in enumerate(self.widths[1:]):
            y = self._activate(_convolve(x, self.layers_conv[2 * i], dilation), self.layers_bn[2 * i])
            y = self._activate(_convolve(y, self.layers_conv[2 * i + 1], 1), self.layers_bn[2 * i + 1])
            margin = (width - 1) * dilation // 2
            first = margin + (width // 2) * dilation if self.causal else margin
            x = x[:, first : first + y.shape[1]] + y
            dilation *= width
        return self._split(x)

    def forward_strided(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """The same for windows of exactly the receptive field: (B,RF,J,F) -> one output frame, nothing wasted."""
        x = self._activate(_convolve_strided(keypoints.flatten(2), self.expand_conv), self.expand_bn)
        for i, width in enumerate(self.widths[1:]):
            y = self._activate(_convolve_strided(x, self.layers_conv[2 * i]), self.layers_bn[2 * i])
            y = self._activate(_convolve_strided(y, self.layers_conv[2 * i + 1]), self.layers_bn[2 * i + 1])
            first = width // 2 + (width // 2 if self.causal else 0)
            x = x[:, first::width] + y
        return self._split(x)

    def _activate(self, x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
        x = functional.relu(norm(x.flatten(0, 1)).view(x.shape))
        return functional.dropout(x, self.dropout, self.training) if self.dropout else x

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = functional.linear(x, self.shrink.weight[..., 0], self.shrink.bias)
        joints, extra = out[..., : 3 * self.joints_out], out[..., 3 * self.joints_out :]
        return joints.unflatten(-1, (self.joints_out, 3)), extra


def _convolve(x: Tensor, conv: nn.Conv1d, dilation: int) -> Tensor:
    """(B,T,C) -> (B,T - (width-1)*dilation,C')."""
    width = conv.weight.shape[2]
    if width > 1:
        frames = x.shape[1] - (width - 1) * dilation
        x = torch.cat([x[:, k * dilation : k * dilation + frames] for k in range(width)], dim=-1)
    return functional.linear(x, conv.weight.transpose(1, 2).flatten(1))


def _convolve_strided(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """(B,T,C) -> (B,T/width,C'): neighbouring frames, no overlap."""
    width = conv.weight.shape[2]
    batch, frames, channels = x.shape
    return functional.linear(
        x.reshape(batch, frames // width, width * channels), conv.weight.transpose(1, 2).flatten(1)
    )
