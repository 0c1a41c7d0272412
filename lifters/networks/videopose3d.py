"""The temporal convolution network of VideoPose3D (Pavllo et al., CVPR 2019), written from its description.

Parameter names and shapes are those of the published checkpoints. Every convolution is computed as one matrix product
over neighbouring frames with the channels last: on CPUs this is a third faster than Conv1d, and the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd, prod

import torch
from torch import Tensor, nn
from torch.nn import functional


class TemporalModel(nn.Module):
    """2D keypoints of a whole sequence -> root-relative 3D joints, by dilated valid convolutions.

    The trajectory model of the paper's section 4 is the same network with `joints_out` 1: the root in camera axes.

    Args:
        joints_in, features_in: keypoints and numbers per keypoint (x, y and perhaps a score).
        joints_out: 3D joints.
        widths: odd filter widths; the receptive field is their product.
        channels: width of the residual stream.
        causal: look at the past only (the caller pads on the left).
        dropout: after every activation, in training.
        extra_out: further outputs per frame after the joints' (logits of foot contacts); 0 for the published model.
        dense: the paper's ablation, full filters of the same reach in the place of dilated ones.

    Raises:
        ValueError: no widths, or an even one.
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
        dense: bool = False,
    ) -> None:
        super().__init__()
        check_widths(widths)
        self.joints_in, self.joints_out, self.widths = joints_in, joints_out, tuple(widths)
        self.causal, self.dropout, self.dense = causal, dropout, dense
        self.expand_bn = nn.BatchNorm1d(channels)
        self.shrink = nn.Conv1d(channels, 3 * joints_out + extra_out, 1)
        self.expand_conv = nn.Conv1d(joints_in * features_in, channels, widths[0], bias=False)
        kernels = [2 * margin + 1 if dense else width for width, _, margin in self._blocks()]
        self.layers_conv = nn.ModuleList(nn.Conv1d(channels, channels, k, bias=False) for w in kernels for k in (w, 1))
        self.layers_bn = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(2 * len(kernels)))

    @property
    def receptive_field(self) -> int:
        """Frames that one output depends on."""
        return prod(self.widths)

    @property
    def padding(self) -> tuple[int, int]:
        """Frames to add (left, right) so that there is one output per frame."""
        pad = (self.receptive_field - 1) // 2
        return (2 * pad, 0) if self.causal else (pad, pad)

    def set_momentum(self, momentum: float) -> None:
        """Momentum of all running statistics, which the paper lets fall from 0.1 to 0.001."""
        for norm in (self.expand_bn, *self.layers_bn):
            norm.momentum = momentum

    def forward(self, keypoints: Tensor, stride: int = 1) -> tuple[Tensor, Tensor]:
        """(B,T,J,F) -> joints (B,T',K,3) and extra outputs (B,T',E), T' = T - receptive field + 1.

        With a `stride`, only every so-many-th of these outputs, and no layer computes what they do not need: training
        on a few outputs per window costs a fraction of all of them.

        Raises:
            ValueError: fewer frames than the receptive field; a dense network, which has no such form, with a stride.
        """
        if keypoints.shape[1] < self.receptive_field:
            raise ValueError(f"{keypoints.shape[1]} frames are fewer than the receptive field, {self.receptive_field}")
        if self.dense and stride > 1:
            raise ValueError("a dense network has no strided form")
        grids = self._grids(stride)
        x = self._activate(convolve(keypoints.flatten(2), self.expand_conv, 1, grids[0]), self.expand_bn)
        for i, (_, dilation, margin) in enumerate(self._blocks()):
            grid, step = grids[i], grids[i + 1] // grids[i]
            y = convolve(x, self.layers_conv[2 * i], 1 if self.dense else dilation // grid, step)
            y = self._activate(y, self.layers_bn[2 * i])
            y = self._activate(convolve(y, self.layers_conv[2 * i + 1]), self.layers_bn[2 * i + 1])
            first = (2 * margin if self.causal else margin) // grid
            x = x[:, first::step][:, : y.shape[1]] + y
        return self._split(x)

    def forward_strided(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """The same for windows of exactly the receptive field: (B,RF,J,F) -> one output frame, nothing wasted.

        Raises:
            ValueError: another number of frames, or a dense network, which has no such form.
        """
        if keypoints.shape[1] != self.receptive_field:
            raise ValueError(f"windows of {keypoints.shape[1]} frames, {self.receptive_field} expected")
        return self.forward(keypoints, self.receptive_field)

    def _grids(self, stride: int) -> list[int]:
        """Distance in frames between the outputs of each layer that the next ones need for every `stride`-th output."""
        after = [dilation for _, dilation, _ in self._blocks()]
        return [gcd(stride, *after[i:]) if not self.dense else 1 for i in range(len(after))] + [stride]

    def _blocks(self) -> Iterator[tuple[int, int, int]]:
        """Width, dilation and frames lost on either side of each residual block."""
        dilation = self.widths[0]
        for width in self.widths[1:]:
            yield width, dilation, (width - 1) * dilation // 2
            dilation *= width

    def _activate(self, x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
        x = functional.relu(norm(x.flatten(0, 1)).view(x.shape))
        return functional.dropout(x, self.dropout, self.training) if self.dropout else x

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = functional.linear(x, self.shrink.weight[..., 0], self.shrink.bias)
        joints, extra = out[..., : 3 * self.joints_out], out[..., 3 * self.joints_out :]
        return joints.unflatten(-1, (self.joints_out, 3)), extra


def check_widths(widths: tuple[int, ...]) -> None:
    """Raises ValueError unless there are filter widths and all are odd."""
    if not widths or any(width % 2 == 0 for width in widths):
        raise ValueError(f"filter widths must be odd, not {widths}")


def convolve(x: Tensor, conv: nn.Conv1d, dilation: int = 1, stride: int = 1) -> Tensor:
    """(B,T,C) -> (B,T',C') of the T - (width-1)*dilation outputs, or every `stride`-th of them."""
    width = conv.weight.shape[2]
    if width == stride and dilation == 1 and x.shape[1] % width == 0:  # neighbours lie side by side already
        batch, frames, channels = x.shape
        x = x.reshape(batch, frames // width, width * channels)
    elif width > 1 or stride > 1:
        frames = x.shape[1] - (width - 1) * dilation
        x = torch.cat([x[:, k * dilation : k * dilation + frames : stride] for k in range(width)], dim=-1)
    return functional.linear(x, flat_weight(conv), conv.bias)


def flat_weight(conv: nn.Conv1d) -> Tensor:
    """(C',width*C): the filter for `width` frames laid side by side."""
    return conv.weight.transpose(1, 2).flatten(1)
