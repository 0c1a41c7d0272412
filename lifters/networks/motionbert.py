"""MotionBERT's DSTformer (Zhu et al., ICCV 2023): a dual-stream Transformer over the joints and frames of a clip.

Written from the paper's description. State dict names and shapes are those of the published checkpoints, which carry
`module.` before every name.

Coordinates, in and out, are those of the paper's normalised image: x right and y down within about -1..1, z in the
same unit, away from the camera. Two kinds of weights exist. Root-relative ones say every frame relative to its own
root. Global ones say x and y in the image, and z relative to the root of the clip's first frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lifters.networks.compiled import Run
from lifters.networks.windows import blend

EPSILON = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention over the last axis but one."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """(A,B,N,C) -> (A,B,N,C)."""
        # Four axes, not five: only then is the attention computed without its matrix of all pairs in memory.
        query, key, value = self.qkv(x.flatten(0, 1)).unflatten(-1, (3, self.heads, -1)).transpose(1, 3).unbind(2)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).flatten(2)).view(x.shape)


class MLP(nn.Module):
    """Two linear layers for every token by itself."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(...,C) -> (...,C)."""
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention among the joints of a frame and among the frames of a joint, one after the other.

    Args:
        space_first: the order of the two; the parameters are the same.
    """

    def __init__(self, channels: int, heads: int, ratio: int, space_first: bool) -> None:
        super().__init__()
        self.norm1_s = nn.LayerNorm(channels, EPSILON)
        self.norm1_t = nn.LayerNorm(channels, EPSILON)
        self.attn_s = Attention(channels, heads)
        self.attn_t = Attention(channels, heads)
        self.norm2_s = nn.LayerNorm(channels, EPSILON)
        self.norm2_t = nn.LayerNorm(channels, EPSILON)
        self.mlp_s = MLP(channels, ratio * channels)
        self.mlp_t = MLP(channels, ratio * channels)
        self.space_first = space_first

    def forward(self, x: Tensor) -> Tensor:
        """(B,T,J,C) -> (B,T,J,C)."""
        return self._time(self._space(x)) if self.space_first else self._space(self._time(x))

    def _space(self, x: Tensor) -> Tensor:
        x = x + self.attn_s(self.norm1_s(x))
        return x + self.mlp_s(self.norm2_s(x))

    def _time(self, x: Tensor) -> Tensor:
        x = x + self.attn_t(self.norm1_t(x).transpose(1, 2)).transpose(1, 2)
        return x + self.mlp_t(self.norm2_t(x))


class DSTformer(nn.Module):
    """2D keypoints with confidence -> 3D joints of every frame.

    Args:
        channels: width of the tokens.
        ratio: width inside the MLPs, in channels.
        depth: levels of two parallel blocks each.
        heads: of the attention.
        representation: width of the motion representation.
        frames: the longest clip.
        joints, features_in: keypoints, which are the 3D joints too, and numbers per keypoint.
        outputs: numbers per joint.
    """

    def __init__(
        self,
        channels: int = 512,
        ratio: int = 2,
        depth: int = 5,
        heads: int = 8,
        representation: int = 512,
        frames: int = 243,
        joints: int = 17,
        features_in: int = 3,
        outputs: int = 3,
    ) -> None:
        super().__init__()
        self.frames = frames
        self.temp_embed = nn.Parameter(torch.zeros(1, frames, 1, channels))
        self.pos_embed = nn.Parameter(torch.zeros(1, joints, channels))
        self.joints_embed = nn.Linear(features_in, channels)
        self.blocks_st = nn.ModuleList(Block(channels, heads, ratio, True) for _ in range(depth))
        self.blocks_ts = nn.ModuleList(Block(channels, heads, ratio, False) for _ in range(depth))
        self.norm = nn.LayerNorm(channels, EPSILON)
        self.pre_logits = nn.Sequential()
        self.pre_logits.add_module("fc", nn.Linear(channels, representation))
        self.pre_logits.add_module("act", nn.Tanh())
        self.head = nn.Linear(representation, outputs)
        self.ts_attn = nn.ModuleList(nn.Linear(2 * channels, 2) for _ in range(depth))
        self._start()

    def _start(self) -> None:
        """Truncated normal weights, no biases; the two streams count the same."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        for embedding in (self.temp_embed, self.pos_embed):
            nn.init.trunc_normal_(embedding, std=0.02)
        for gate in self.ts_attn:
            nn.init.zeros_(gate.weight)
            nn.init.constant_(gate.bias, 0.5)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Clips (B,T,J,3) of x, y, confidence, 1 <= T <= `frames` -> joints (B,T,J,3).

        Raises:
            ValueError: a clip that is empty or too long.
        """
        return self.head(self.represent(keypoints))

    def represent(self, keypoints: Tensor) -> Tensor:
        """Clips as for `forward` -> the motion representation (B,T,J,R), which other tasks learn from.

        Raises:
            ValueError: as `forward`.
        """
        count = keypoints.shape[1]
        if not 1 <= count <= self.frames:
            raise ValueError(f"a clip of {count} frames: this network takes 1 to {self.frames}")
        x = self.joints_embed(keypoints) + self.pos_embed + self.temp_embed[:, :count]
        for space_time, time_space, gate in zip(self.blocks_st, self.blocks_ts, self.ts_attn, strict=True):
            x = fuse(space_time(x), time_space(x), gate)
        return self.pre_logits(self.norm(x))

    @torch.no_grad()
    def lift(
        self,
        keypoints: Tensor,
        root_relative: bool,
        overlap: int | None = None,
        batch: int = 1,
        run: Run | None = None,
    ) -> Tensor:
        """A whole track in overlapping windows: (B,T,J,3) -> (B,T,J,3), T >= 1.

        A track of at most `frames` is one clip. A longer one is cut into full windows whose borders fade into each
        other. What global weights say of depth is known up to an offset per window; the offsets are chosen so that
        neighbours agree, in the mean over the frames they share, on where the root is.

        Args:
            root_relative: the kind of weights; see this file's head.
            overlap: frames that neighbouring windows share and over which they fade; by default a ninth of `frames`.
            batch: windows computed at once, which bounds the memory; the numbers do not depend on it.
            run: what computes the windows; `Compiled(network)` does it faster on a CPU.

        Raises:
            ValueError: an empty track, a batch below 1, or an overlap of more than a third of `frames`.
            RuntimeError: the network is in training mode.
        """
        if self.training:
            raise RuntimeError("a track is lifted in evaluation mode: call eval() first")
        overlap = self.frames // 9 if overlap is None else overlap
        align = None if root_relative else depth_offset
        return relative(blend(run or self, keypoints, self.frames, overlap, batch, align), root_relative)


def motionbert(**options: int) -> DSTformer:
    """The full network, 42.5 M parameters; `options` as `DSTformer` has them."""
    return DSTformer(channels=512, ratio=2, **options)


def motionbert_lite(**options: int) -> DSTformer:
    """The Lite network, 16.0 M parameters; `options` as `DSTformer` has them."""
    return DSTformer(channels=256, ratio=4, **options)


def fuse(one: Tensor, other: Tensor, gate: nn.Linear) -> Tensor:
    """Mixes two streams (...,C), every token by the weights that `gate` gives it."""
    share = gate(torch.cat([one, other], dim=-1)).softmax(dim=-1)
    return one * share[..., :1] + other * share[..., 1:]


def relative(joints: Tensor, root_relative: bool) -> Tensor:
    """Clips (B,T,J,3) as the weights of a kind are taught to say them; for targets and for results.

    Root-relative: minus the root, joint 0, of every frame. Global: the depths minus the root's in the first frame.
    """
    if root_relative:
        return joints - joints[:, :, :1]
    first = joints[:, :1, :1].clone()
    first[..., :2] = 0
    return joints - first


def depth_offset(before: Tensor, after: Tensor) -> Tensor:
    """(B,n,J,3) twice, the same frames -> (B,1,1,3): what moves the second's root, on average, to the first's depth."""
    offset = (before[:, :, :1] - after[:, :, :1]).mean(dim=1, keepdim=True)
    offset[..., :2] = 0
    return offset
