"""P-STMO (Shan et al., ECCV 2022): the network that lifts the middle frame of a window, and the whole window at once.

Written from the paper's description. State dict names and shapes are those of the published checkpoints, which carry
`module.` before every name.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lifters.networks.compiled import Run
from lifters.networks.pstmo_layers import Aggregator, SpatialEncoder, TemporalEncoder, apply_head, head
from lifters.networks.windows import blend
from pipeline.errors import UsageError

STRIDES = {9: (1, 3, 3), 27: (3, 3, 3), 81: (3, 3, 3, 3), 243: (3, 3, 3, 3, 3), 351: (3, 9, 13)}


class PSTMO(nn.Module):
    """2D keypoints of a window -> root-relative 3D joints of its middle frame and of all its frames.

    Args:
        layers: of the temporal Transformer (3: P-STMO-S, 4: P-STMO).
        strides: by which the aggregator shortens the window, one per layer; the window has as many frames as their
            product.
        joints_in, joints_out: keypoints and 3D joints.
        features_in: numbers per keypoint.
        channels, hidden, heads: widths of the Transformers and heads of their attention.
        spatial: width inside the part that sees single frames.

    Raises:
        ValueError: strides that are not odd numbers.
    """

    def __init__(
        self,
        layers: int = 3,
        strides: tuple[int, ...] = STRIDES[243],
        joints_in: int = 17,
        joints_out: int = 17,
        features_in: int = 2,
        channels: int = 256,
        hidden: int = 512,
        heads: int = 8,
        spatial: int = 512,
    ) -> None:
        super().__init__()
        if not strides or any(stride < 1 or stride % 2 == 0 for stride in strides):
            raise ValueError(f"strides must be odd, so that a window has a middle frame, not {strides}")
        self.frames, self.joints_out = math.prod(strides), joints_out
        self.encoder = SpatialEncoder(joints_in * features_in, channels, spatial)
        self.Transformer = TemporalEncoder(layers, self.frames, channels, hidden, heads)
        self.Transformer_reduce = Aggregator(tuple(strides), self.frames, channels, hidden, heads)
        self.fcn = head(channels, 3 * joints_out)
        self.fcn_1 = head(channels, 3 * joints_out)

    def forward(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """Windows (B,N,J,F), screen-normalised -> middle frame (B,1,K,3) and all frames (B,N,K,3), metres.

        The field's own layout (B,F,N,J,1) is `keypoints.permute(0, 3, 1, 2)[..., None]`.
        """
        tokens = self.Transformer(self.encode(keypoints))
        return self._single(tokens), self._sequence(tokens)

    def encode(self, keypoints: Tensor) -> Tensor:
        """What is computed of a frame alone: (B,T,J,F), any T -> (B,T,C). Windows share it."""
        return self.encoder(keypoints.flatten(2))

    def _single(self, tokens: Tensor) -> Tensor:
        return apply_head(self.Transformer_reduce(tokens), self.fcn, self.joints_out)

    def _sequence(self, tokens: Tensor) -> Tensor:
        return apply_head(tokens, self.fcn_1, self.joints_out)

    def lift_clips(self, keypoints: Tensor) -> Tensor:
        """The second result of `forward` without the work for the first: (B,N,J,F) -> (B,N,K,3)."""
        return self._sequence(self.Transformer(self.encode(keypoints)))

    def lift_windows(self, shared: Tensor) -> Tensor:
        """The first result of `forward`, for windows cut from what `encode` and `Transformer.shared` give of a track.

        (B,N,4C) -> (B,1,K,3).
        """
        return self._single(self.Transformer.forward_shared(shared))

    @torch.no_grad()
    def lift(
        self, keypoints: Tensor, step: int = 1, batch: int = 16, block: int = 1024, run: Run | None = None
    ) -> Tensor:
        """A whole track, one window per frame: (B,T,J,F) screen-normalised -> (B,T,K,3) metres, root-relative; T >= 1.

        Beyond its ends a track goes on with its first and last frame, on both sides where it is shorter than a window
        (the published program repeats on one side only and fails there). The spatial part and the first layer's
        projections are computed once per frame, save for the margins of the blocks.

        Args:
            step: frames from one of a window's frames to the next (the paper's temporal down-sampling).
            batch, block: windows and frames computed at once, which bounds the memory; the numbers depend on neither.
            run: what computes the windows; `Compiled(network, "lift_windows")` does it faster on a CPU.

        Raises:
            ValueError: an empty track, or a step, batch or block below 1.
            RuntimeError: the network is in training mode, where results are random.
        """
        self._check(keypoints, step, batch, block)
        reach, last = step * (self.frames // 2), keypoints.shape[1] - 1
        pieces = []
        for begin in range(0, last + 1, block):
            end = min(begin + block, last + 1)
            frames = torch.arange(begin - reach, end + reach, device=keypoints.device).clamp(0, last)
            shared = self.Transformer.shared(self.encode(keypoints[:, frames]))
            windows = shared.unfold(1, 2 * reach + 1, 1)[..., ::step].transpose(2, 3)
            for some in windows.split(max(1, batch // len(keypoints)), dim=1):
                joints = (run or self.lift_windows)(some.flatten(0, 1))
                pieces.append(joints.view(*some.shape[:2], self.joints_out, 3))
        return torch.cat(pieces, dim=1)

    @torch.no_grad()
    def lift_fast(
        self,
        keypoints: Tensor,
        step: int = 1,
        overlap: int | None = None,
        batch: int = 16,
        run: Run | None = None,
    ) -> Tensor:
        """A whole track by the head for all frames, in overlapping windows: as `lift`, many times as fast, less exact.

        With a step of s the track is s tracks of a lower rate, woven together afterwards. A track shorter than a
        window goes on with its first and last frame, half of the missing frames on either side.

        Args:
            overlap: frames that neighbouring windows share and over which they fade; by default a ninth of a window.
            run: as in `lift`, of "lift_clips".

        Raises:
            ValueError: as `lift`, or an overlap of more than a third of a window.
            RuntimeError: as `lift`.
        """
        self._check(keypoints, step, batch)
        overlap = self.frames // 9 if overlap is None else overlap
        joints = keypoints.new_empty(*keypoints.shape[:2], self.joints_out, 3)
        for phase in range(min(step, keypoints.shape[1])):
            track = keypoints[:, phase::step]
            missing = max(0, self.frames - track.shape[1])
            left, last = missing // 2, track.shape[1] - 1
            frames = torch.arange(-left, last + 1 + missing - left, device=track.device).clamp(0, last)
            lifted = blend(run or self.lift_clips, track[:, frames], self.frames, overlap, batch)
            joints[:, phase::step] = lifted[:, left : left + last + 1]
        return joints

    def _check(self, keypoints: Tensor, *numbers: int) -> None:
        if self.training:
            raise RuntimeError("a track is lifted in evaluation mode: call eval() first")
        if keypoints.shape[1] == 0 or min(numbers) < 1:
            raise ValueError(f"a track needs a frame, steps, batches and blocks at least 1, not {numbers}")


def pstmo_s(frames: int = 243, **options: int) -> PSTMO:
    """P-STMO-S for windows of 9, 27, 81, 243 or 351 frames (else UsageError); `options` as `PSTMO` has them."""
    return PSTMO(3, _strides(frames), **options)


def pstmo(frames: int = 243, **options: int) -> PSTMO:
    """P-STMO for windows of 9, 27, 81, 243 or 351 frames (else UsageError); `options` as `PSTMO` has them."""
    return PSTMO(4, _strides(frames), **options)


def _strides(frames: int) -> tuple[int, ...]:
    if frames not in STRIDES:
        raise UsageError(
            f"P-STMO has no windows of {frames} frames", "the paper names the strides of some lengths only",
            ", ".join(map(str, STRIDES)),
        )  # fmt: skip
    return STRIDES[frames]
