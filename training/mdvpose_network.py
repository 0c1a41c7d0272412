"""The lifters that `training.mdvpose` fine-tunes, and what they say of all views of a window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lifters.networks.motionbert import DSTformer
from lifters.networks.videopose3d import TemporalModel
from lifters.released import load_into, read_network
from pipeline.errors import UsageError
from training import motionbert
from training.motion_clips import mirrored

if TYPE_CHECKING:
    from training.mdvpose import Options


class Convolution(nn.Module):
    """VideoPose3D's network on whole clips: beyond their ends people stand still."""

    def __init__(self, inner: TemporalModel) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, motion: Tensor) -> Tensor:
        """Clips (B,T,17,3) of x, y, confidence -> joints (B,T,17,3)."""
        first, last = self.inner.padding
        parts = motion[:, :1].expand(-1, first, -1, -1), motion, motion[:, -1:].expand(-1, last, -1, -1)
        return self.inner(torch.cat(parts, dim=1)[..., :2])[0]


def build(options: Options, seed: int, before: Path | None) -> nn.Module:
    """The network, new or with the weights of a file.

    Raises:
        InputError, MissingError: a file that is not there, or does not fit the options.
        UsageError: no such network.
    """
    if options.network == "motionbert":
        return motionbert.begin(options, seed, before)
    if options.network != "convolution":
        raise UsageError(
            f"no network called {options.network!r}", "known: motionbert, convolution", "network=motionbert"
        )
    torch.manual_seed(seed)
    network = Convolution(TemporalModel(17, 2, 17, options.widths, options.channels, dropout=options.dropout))
    if before is not None:
        load_into(network.inner, read_network(before), before)
    return network


def freeze(network: nn.Module, levels: int) -> None:
    """Keep the first levels of both streams, and the embedding of joints, as they are.

    Raises:
        UsageError: the network has not so many levels.
    """
    if not levels:
        return
    if not isinstance(network, DSTformer) or levels > len(network.blocks_st):
        there = len(network.blocks_st) if isinstance(network, DSTformer) else 0
        raise UsageError(f"cannot keep {levels} levels as they are", f"the network has {there}", "frozen=0")
    for part in (network.joints_embed, *network.blocks_st[:levels], *network.blocks_ts[:levels]):
        part.requires_grad_(False)


def lift(network: nn.Module, motion: Tensor, centred: bool = False, flip: bool = False) -> Tensor:
    """What the network says of every view by itself: (B,V,T,17,3) -> (B,V,T,17,3).

    Args:
        centred: it is given x and y minus the root's.
        flip: the mean with what it says of the mirror image.
    """
    if centred:
        motion = torch.cat([motion[..., :2] - motion[..., :1, :2], motion[..., 2:]], dim=-1)
    clips = motion.flatten(0, 1)
    joints = network(clips).float()
    if flip:
        joints = (joints + mirrored(network(mirrored(clips)).float())) / 2
    return joints.view(motion.shape)


def in_space(joints: Tensor, motion: Tensor, lens: Tensor) -> Tensor:
    """Joints (B,V,T,17,3) in the picture -> root-relative ones in the camera's axes, in the scale at the root.

    A joint's depth moves it along its line of sight, which the lens (B,V,4) tells; where it is NaN, joints stay.
    """
    joints = joints - joints[..., :1, :]
    points = motion[..., :1, :2] + joints[..., :2]
    focal, middle = (part[:, :, None, None] for part in lens.split(2, dim=-1))
    shift = (joints[..., 2:] * (points - middle) / focal).nan_to_num(0.0)
    return torch.cat([joints[..., :2] + shift, joints[..., 2:]], dim=-1)
