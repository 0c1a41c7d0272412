"""Our own lifter's network: each joint's features over time, a summary of the body that all joints share, and sight.

Every joint has a few features of its own, which temporal convolutions (dilated as in VideoPose3D, Pavllo et al., CVPR
2019) carry through time with weights of its own. In every block all features are first read into one summary, which
every joint reads back: joints learn of each other there alone, as the parts of a body do in RIE (Shan et al., ACM MM
2021).

A joint lies on the ray through its keypoint, so its x and y are the keypoint times its depth (pinhole camera). Plain
regression has to carry all keypoints through its hidden layers to say so, and loses precision on the way. Here the
network says for each joint how many metres one unit of the keypoint is worth, and what is to be added:
(x, y) = worth * keypoint + added, z = added. Where a keypoint is wrong or missing, `worth` can fall to zero.
"""

from __future__ import annotations

from math import gcd, prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from lifters.networks.videopose3d import check_widths
from pipeline.skeletons import skeleton

INPUT, BODY = skeleton("lift-26"), skeleton("h36m-23")
SAME = INPUT.index(*BODY.joints)  # where each joint of the body is among the keypoints
FEET = INPUT.index("left_heel", "left_toe", "right_heel", "right_toe")
CONTACTS = len(FEET)
OUTPUTS = 5  # of every keypoint: x, y, z that are added, what the keypoint is worth, logit of a contact
CALM = 0.3  # scale of what a block adds at first, so that a deep network begins as a shallow one


class SightedModel(nn.Module):
    """Keypoints and scores of lift-26, normalised (`lifters.normalise`) -> joints of h36m-23, logits of foot contacts.

    Args:
        widths: odd filter widths over time, of the first layer and of each block; the receptive field is their product.
        features: of each joint.
        summary: width of what the joints share.

    Raises:
        ValueError: no widths, or an even one.
    """

    def __init__(self, widths: tuple[int, ...] = (9, 5, 1, 1, 1), features: int = 64, summary: int = 256) -> None:
        super().__init__()
        check_widths(widths)
        self.widths, self.features, self.summary = tuple(widths), features, summary
        self.embed = PerJoint(3 * widths[0], features)
        reach = [prod(widths[: i + 1]) for i in range(len(widths) - 1)]
        self.blocks = nn.ModuleList(Block(features, summary, *both) for both in zip(widths[1:], reach, strict=True))
        self.norm = nn.LayerNorm(features)
        self.head = PerJoint(features, OUTPUTS, CALM)

    @property
    def receptive_field(self) -> int:
        """Frames that one output depends on."""
        return prod(self.widths)

    def forward(self, keypoints: Tensor, stride: int = 1) -> tuple[Tensor, Tensor]:
        """(B,T,26,3) -> joints (B,T',23,3) m in the virtual camera's axes, contacts (B,T',4), T' = T - field + 1.

        Only differences between joints mean something. With a `stride`, every so-many-th of these frames, and no layer
        computes what they do not need.

        Raises:
            ValueError: fewer frames than the receptive field.
        """
        if keypoints.shape[1] < self.receptive_field:
            raise ValueError(f"{keypoints.shape[1]} frames are fewer than the receptive field, {self.receptive_field}")
        grids = self._grids(stride)
        x = self.embed(neighbours(keypoints.permute(2, 0, 1, 3), self.widths[0], 1, grids[0]))
        for block, grid, after in zip(self.blocks, grids[:-1], grids[1:], strict=True):
            x = block(x, grid, after // grid)
        out = self.head(self.norm(x)).permute(1, 2, 0, 3)
        margin = (self.receptive_field - 1) // 2
        seen = keypoints[:, margin::stride][:, : out.shape[1], SAME, :2]
        sight = functional.pad(out[:, :, SAME, 3:4] * seen, (0, 1))
        return out[:, :, SAME, :3] + sight, out[:, :, FEET, 4]

    def _grids(self, stride: int) -> list[int]:
        """Distance in frames between the outputs of each layer that the next ones need for every `stride`-th output."""
        reach = [block.dilation if block.width > 1 else 0 for block in self.blocks]  # 0: sees no neighbours
        return [gcd(stride, *reach[i:]) for i in range(len(reach))] + [stride]


class Block(nn.Module):
    """The exchange between joints, then each joint's own step over time; both add to what comes in.

    Args:
        features, summary: see `SightedModel`.
        width, dilation: of the filter over time, in frames.
    """

    def __init__(self, features: int, summary: int, width: int, dilation: int) -> None:
        super().__init__()
        self.width, self.dilation = width, dilation
        self.before, self.between = nn.LayerNorm(features), nn.LayerNorm(features)
        self.gather = nn.Linear(len(INPUT) * features, summary)
        self.spread = nn.Linear(summary, len(INPUT) * features)
        self.up, self.down = PerJoint(width * features, 2 * features), PerJoint(2 * features, features, CALM)
        with torch.no_grad():
            self.spread.weight.mul_(CALM)

    @property
    def margin(self) -> int:
        """Frames lost on either side."""
        return (self.width - 1) * self.dilation // 2

    def forward(self, x: Tensor, grid: int, step: int) -> Tensor:
        """Every `grid`-th frame (26,B,T,F) -> every `step`-th of those that have all neighbours (26,B,T',F)."""
        flat = self.before(x).permute(1, 2, 0, 3).flatten(2)
        shared = self.spread(functional.relu(self.gather(flat)))
        x = x + shared.unflatten(2, (len(INPUT), -1)).permute(2, 0, 1, 3)
        y = neighbours(self.between(x), self.width, self.dilation // grid, step)
        y = self.down(functional.relu(self.up(y)))
        return x[:, :, self.margin // grid :: step][:, :, : y.shape[2]] + y


class PerJoint(nn.Module):
    """A linear layer of its own for every joint: (26,B,T,C) -> (26,B,T,C').

    Args:
        scale: of the weights at first, in parts of the usual 1 / sqrt(C).
    """

    def __init__(self, inputs: int, outputs: int, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(len(INPUT), inputs, outputs) * scale / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(len(INPUT), 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x.flatten(1, 2), self.weight).unflatten(1, x.shape[1:3])


def neighbours(x: Tensor, width: int, dilation: int, step: int) -> Tensor:
    """(26,B,T,C) -> (26,B,T',width*C): frames `dilation` apart side by side, for every `step`-th that has them all."""
    if width == 1 == step:
        return x
    frames = x.shape[2] - (width - 1) * dilation
    return torch.cat([x[:, :, k * dilation : k * dilation + frames : step] for k in range(width)], dim=-1)
