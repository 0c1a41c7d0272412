"""RIE, relative information encoding (Shan et al., ACM MM 2021), written from its description.

The pose of a window's centre frame. Five groups of joints each have a temporal convolution network, fed with the
joints' places, the same relative to the root of their frame, and relative to themselves in the centre frame; a
perceptron looks at the whole centre pose. Parameter names and shapes are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from lifters.networks.compiled import Run
from lifters.networks.videopose3d import check_widths, convolve

# Human3.6M's joints. The checkpoints call left what is right in that skeleton.
GROUPS = {
    "Torso": (0, 7, 8, 9, 10), "LArm": (14, 15, 16), "RArm": (11, 12, 13), "LLeg": (1, 2, 3), "RLeg": (4, 5, 6),
}  # fmt: skip
ROOT = 0
ENCODERS = ("LocalLayer_", "GlobalInfo.")  # entries that stage 2 takes over from stage 1 and keeps as they are
SLOPE = 0.2  # of the leaky rectifier everywhere


class RIE(nn.Module):
    """Windows of 2D keypoints -> root-relative 3D joints of the centre frame, in metres.

    Args:
        stage: 1 has no fusion of the groups, 2 and 3 are the same network.
        latent: numbers that describe a group (`-lfd`; 256 and 512 are published).
        widths: odd filter widths; the window is their product.
        channels: width of the local encoders.
        groups: joints of each group by name; together all joints, each once. The first joint is the root.
        features_in: numbers per keypoint.
        dropout: of the local encoders, in training.
        hidden: width of the perceptrons.
        block_dropout: of the perceptrons, in training.

    Raises:
        ValueError: another stage, an even width, or groups that do not hold every joint once.
    """

    def __init__(
        self,
        stage: int = 3,
        latent: int = 256,
        widths: tuple[int, ...] = (3, 3, 3, 3, 3),
        channels: int = 256,
        groups: dict[str, tuple[int, ...]] = GROUPS,
        features_in: int = 2,
        dropout: float = 0.2,
        hidden: int = 1024,
        block_dropout: float = 0.25,
    ) -> None:
        super().__init__()
        joints = [joint for group in groups.values() for joint in group]
        if stage not in (1, 2, 3):
            raise ValueError(f"RIE has the stages 1, 2 and 3, not {stage}")
        if sorted(joints) != list(range(len(joints))):
            raise ValueError(f"the groups must hold every joint once, not {groups}")
        self.stage, self.widths, self.groups = stage, tuple(widths), dict(groups)
        for name, group in groups.items():
            encoder = LocalEncoder(3 * features_in * len(group), widths, channels, latent, dropout)
            self.add_module(f"LocalLayer_{name}", encoder)
        self.GlobalInfo = FCBlock(features_in * len(joints), latent, hidden, 2, block_dropout)
        if stage > 1:
            others = (len(groups) - 1) * latent
            self.FuseBlocks = nn.ModuleList(FCBlock(others, latent, hidden, 1, block_dropout) for _ in groups)
        for name, group in groups.items():
            decoder = FCBlock((2 if stage == 1 else 3) * latent, 3 * len(group), hidden, 1, block_dropout)
            self.add_module(f"Integration_{name}", decoder)
        self._order = [joints.index(joint) for joint in range(len(joints))]

    @property
    def receptive_field(self) -> int:
        """Frames of a window."""
        return prod(self.widths)

    @property
    def padding(self) -> tuple[int, int]:
        """Frames to add (left, right) so that there is one window per frame."""
        pad = self.receptive_field // 2
        return pad, pad

    def set_momentum(self, momentum: float) -> None:
        """Momentum of the local encoders' running statistics; the other blocks' stays as it is in the paper."""
        for encoder in self.local_encoders():
            for norm in (encoder.expand_bn, *encoder.layers_bn):
                norm.momentum = momentum

    def freeze_encoders(self) -> None:
        """Stage 2 trains fusion and decoders only; the running statistics of the encoders still follow the data."""
        for block in (*self.local_encoders(), self.GlobalInfo):
            block.requires_grad_(False)

    def local_encoders(self) -> Iterator[LocalEncoder]:
        """The groups' encoders, in the order of the groups."""
        return (getattr(self, f"LocalLayer_{name}") for name in self.groups)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Windows (B,RF,J,F) in screen coordinates -> (B,1,J,3).

        Raises:
            ValueError: another number of frames.
        """
        if keypoints.shape[1] != self.receptive_field:
            raise ValueError(f"windows of {keypoints.shape[1]} frames, {self.receptive_field} expected")
        middle = keypoints[:, self.receptive_field // 2]
        parts = (keypoints, keypoints - keypoints[:, :, ROOT, None], keypoints - middle[:, None])
        local = [
            encoder(torch.cat([part[:, :, group].flatten(2) for part in parts], dim=-1))
            for encoder, group in self._by_group()
        ]
        return self.decode(local, self.GlobalInfo(middle.flatten(1)))[:, None]

    def forward_sequence(
        self, keypoints: Tensor, windows: int = 64, block: int = 1024, run: Run | None = None
    ) -> Tensor:
        """The same for every window of a track: (B,T,J,F) -> (B,T',J,3), T' = T - receptive field + 1.

        The first layer of the local encoders is computed once per frame instead of once per window and frame, save for
        the margins of the blocks; everything after it depends on the centre frame.

        Args:
            windows, block: windows and frames computed at once, which bounds the memory; the numbers depend on neither.
            run: what computes the windows; `Compiled(network, "lift_windows")` does it faster on a CPU.

        Raises:
            ValueError: fewer frames than a window, or a network in training (its statistics are a batch's own).
        """
        field, frames = self.receptive_field, keypoints.shape[1]
        if self.training or frames < field:
            raise ValueError(f"{frames} frames, windows of {field}, training {self.training}: not a track to lift")
        at_once, pieces = max(1, windows // len(keypoints)), []
        for begin in range(0, frames - field + 1, block):
            shared, middle = self._share(keypoints[:, begin : begin + block + field - 1])
            firsts = shared.unfold(1, field - self.widths[0] + 1, 1)[..., :: self.widths[0]].transpose(2, 3)
            for first, centre in zip(firsts.split(at_once, dim=1), middle.split(at_once, dim=1), strict=True):
                joints = (run or self.lift_windows)(first.flatten(0, 1), centre.flatten(0, 1))
                pieces.append(joints.view(*centre.shape[:2], -1, 3))
        return torch.cat(pieces, dim=1)

    def lift_windows(self, shared: Tensor, middle: Tensor) -> Tensor:
        """Windows of what `forward_sequence` computes once per frame, and their centre frames' keypoints.

        All groups' first layers without the centre frame (N,RF / first width,groups * C), (N,J * F) -> (N,J,3).
        """
        local, keypoints = [], middle.unflatten(1, (len(self._order), -1))
        for (encoder, group), x in zip(self._by_group(), shared.chunk(len(self.groups), dim=-1), strict=True):
            x = x - encoder.centre(keypoints[:, group].flatten(1))[:, None]
            local.append(encoder.after_first(functional.leaky_relu(x, SLOPE)))
        return self.decode(local, self.GlobalInfo(middle))

    def decode(self, local: Sequence[Tensor], whole: Tensor) -> Tensor:
        """What is known of each group (N,latent) and of the whole centre pose (N,latent) -> (N,J,3)."""
        joints = []
        for i, name in enumerate(self.groups):
            known = [local[i], whole]
            if self.stage > 1:
                known.insert(1, self.FuseBlocks[i](torch.cat([*local[:i], *local[i + 1 :]], dim=-1)))
            joints.append(getattr(self, f"Integration_{name}")(torch.cat(known, dim=-1)))
        return torch.cat(joints, dim=-1).unflatten(-1, (-1, 3))[:, self._order]

    def _share(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """(B,T,J,F) -> all groups' first layers (B,T - first width + 1,groups * C), centre frames (B,T',J * F)."""
        reach, relative = self.receptive_field // 2, keypoints - keypoints[:, :, ROOT, None]
        shared = [
            encoder.shared(keypoints[:, :, group].flatten(2), relative[:, :, group].flatten(2))
            for encoder, group in self._by_group()
        ]
        return torch.cat(shared, dim=-1), keypoints[:, reach : keypoints.shape[1] - reach].flatten(2)

    def _by_group(self) -> Iterator[tuple[LocalEncoder, list[int]]]:
        return zip(self.local_encoders(), map(list, self.groups.values()), strict=True)


class LocalEncoder(nn.Module):
    """VideoPose3D's network for one group of joints and one window, with leaky rectifiers.

    Args:
        features: numbers per frame, a third of each encoding.
        widths, channels, dropout: as in `RIE`.
        latent: numbers that come out.
    """

    def __init__(self, features: int, widths: tuple[int, ...], channels: int, latent: int, dropout: float) -> None:
        super().__init__()
        check_widths(widths)
        self.widths, self.dropout = tuple(widths), dropout
        self.expand_bn = nn.BatchNorm1d(channels)
        self.shrink = nn.Conv1d(channels, latent, 1)
        self.expand_conv = nn.Conv1d(features, channels, widths[0], bias=False)
        self.layers_conv = nn.ModuleList(
            nn.Conv1d(channels, channels, k, bias=False) for width in widths[1:] for k in (width, 1)
        )
        self.layers_bn = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(2 * len(widths[1:])))

    def forward(self, encodings: Tensor) -> Tensor:
        """A window's places, places relative to the root, relative to the centre frame (B,RF,3F) -> (B,latent)."""
        return self.after_first(
            self._activate(convolve(encodings, self.expand_conv, 1, self.widths[0]), self.expand_bn)
        )

    def shared(self, places: Tensor, relative: Tensor) -> Tensor:
        """The first layer, normalised, without the centre frame: two encodings (B,T,F) -> (B,T - first width + 1,C).

        A place relative to the centre frame is the place minus the centre's, so that the layer's answer to the third
        encoding is its answer to the places minus `centre`.
        """
        raw, root, moved = self._first_layer().chunk(3, dim=2)
        x = torch.cat([places, relative], dim=-1)
        width, frames = self.widths[0], x.shape[1] - self.widths[0] + 1
        x = torch.cat([x[:, k : k + frames] for k in range(width)], dim=-1)
        shift = self.expand_bn.bias - self.expand_bn.running_mean * self._scale()
        return functional.linear(x, torch.cat([raw + moved, root], dim=2).flatten(1), shift)

    def centre(self, places: Tensor) -> Tensor:
        """What the centre frames of windows (B,N,F) take away from `shared`: (B,N,C)."""
        return functional.linear(places, self._first_layer().chunk(3, dim=2)[2].sum(1))

    def after_first(self, x: Tensor) -> Tensor:
        """The first layer's activations (B,RF / first width,C) -> (B,latent)."""
        for i, width in enumerate(self.widths[1:]):
            y = self._activate(convolve(x, self.layers_conv[2 * i], 1, width), self.layers_bn[2 * i])
            y = self._activate(convolve(y, self.layers_conv[2 * i + 1]), self.layers_bn[2 * i + 1])
            x = x[:, width // 2 :: width] + y
        return convolve(x, self.shrink)[:, 0]

    def _scale(self) -> Tensor:
        return self.expand_bn.weight * (self.expand_bn.running_var + self.expand_bn.eps).rsqrt()

    def _first_layer(self) -> Tensor:
        """(C,width,3F), with the scale of its normalisation."""
        return self.expand_conv.weight.transpose(1, 2) * self._scale()[:, None, None]

    def _activate(self, x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
        x = functional.leaky_relu(norm(x.flatten(0, 1)).view(x.shape), SLOPE)
        return functional.dropout(x, self.dropout, self.training)


class FCBlock(nn.Module):
    """A perceptron (N,inputs) -> (N,outputs) with residual blocks between its two layers."""

    def __init__(self, inputs: int, outputs: int, hidden: int, blocks: int = 1, dropout: float = 0.25) -> None:
        super().__init__()
        self.dropout = dropout
        self.fc_1 = nn.Linear(inputs, hidden)
        self.bn_1 = nn.BatchNorm1d(hidden)
        self.fc_2 = nn.Linear(hidden, outputs)
        self.layers = nn.ModuleList(_Residual(hidden, dropout) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.dropout(functional.leaky_relu(self.bn_1(self.fc_1(x)), SLOPE), self.dropout, self.training)
        for layer in self.layers:
            x = layer(x)
        return self.fc_2(x)


class _Residual(nn.Module):
    """Two layers beside a skip; nothing after the addition."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.w1, self.batch_norm1 = nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden)
        self.w2, self.batch_norm2 = nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for linear, norm in ((self.w1, self.batch_norm1), (self.w2, self.batch_norm2)):
            y = functional.dropout(functional.leaky_relu(norm(linear(y)), SLOPE), self.dropout, self.training)
        return x + y
