"""The networks that `benchmarks.lifters` measures: how each runs on one window and on a whole track."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lifters.networks.compiled import Run
from lifters.networks.motionbert import DSTformer, motionbert, motionbert_lite, relative
from lifters.networks.pstmo import PSTMO, pstmo_s
from lifters.networks.rie import RIE
from lifters.networks.videopose3d import TemporalModel
from lifters.networks.windows import starts

WINDOW = 243
CHUNK = 1024  # frames that VideoPose3D computes at once


@dataclass(frozen=True)
class Case:
    """A network and two ways to run it.

    Args:
        loop: the network and a window (1,243,17,F) -> joints of the middle frame (1,K,3).
        whole: the network, a track (1,T,17,F), and what computes the windows -> (1,T,K,3).
        timed, loops: frames of the track and windows of the loop in one round.
        features: numbers per keypoint.
        method: what of the network OpenVINO runs; empty where it runs nothing.
        clip: for overlapping windows, which are not one window per frame: the network on one window -> (1,243,K,3).
    """

    title: str
    make: Callable[[], nn.Module]
    loop: Callable[[nn.Module, Tensor], Tensor]
    whole: Callable[[nn.Module, Tensor, Run | None], Tensor]
    timed: int
    loops: int = 6
    features: int = 2
    method: str = ""
    clip: Callable[[nn.Module, Tensor], Tensor] | None = None


def random_network(case: Case) -> nn.Module:
    """In evaluation mode, with random weights of a scale that keeps all activations and the output near 1."""
    network, generator = case.make().eval(), torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            even = 2 * torch.rand(value.shape, generator=generator) - 1
            matrix = value.ndim > 1 and name.endswith("weight")
            scale = (3 * value.shape[0] / value.numel()) ** 0.5 if matrix else 0.1
            centre = 1.0 if not matrix and name.endswith(("weight", "a_2", "running_var")) else 0.0
            value.copy_(centre + scale * even)
    return network


def difference(case: Case, network: nn.Module, track: Tensor, lifted: Tensor) -> float:
    """The largest between a lifted track and single windows: of the loop, or for overlapping windows the first one."""
    if case.clip:
        alone = starts(track.shape[1], WINDOW, WINDOW // 9)[1]  # frames that only the first window has
        return float((case.clip(network, track[:, :WINDOW]) - lifted[:, :WINDOW])[:, :alone].abs().max())
    one = [case.loop(network, track[:, t : t + WINDOW]) for t in range(case.loops)]
    return float((torch.stack(one, dim=1) - lifted[:, WINDOW // 2 :][:, : case.loops]).abs().max())


def _padded(track: Tensor) -> Tensor:
    first, last = (track[:, t].unsqueeze(1).expand(-1, WINDOW // 2, -1, -1) for t in (0, -1))
    return torch.cat([first, track, last], dim=1)


def _videopose3d(network: TemporalModel, track: Tensor, _: Run | None) -> Tensor:
    padded, frames = _padded(track), track.shape[1]
    pieces = [padded[:, begin : begin + CHUNK + WINDOW - 1] for begin in range(0, frames, CHUNK)]
    return torch.cat([network(piece)[0] for piece in pieces], dim=1)


def _videopose3d_loop(network: TemporalModel, window: Tensor) -> Tensor:
    return network(window)[0][:, 0]


def _videopose3d_strided(network: TemporalModel, window: Tensor) -> Tensor:
    return network.forward_strided(window)[0][:, 0]


def _rie(network: RIE, track: Tensor, run: Run | None) -> Tensor:
    return network.forward_sequence(_padded(track), run=run)


def _pstmo(network: PSTMO, track: Tensor, run: Run | None) -> Tensor:
    return network.lift(track, run=run)


def _pstmo_fast(network: PSTMO, track: Tensor, run: Run | None) -> Tensor:
    return network.lift_fast(track, run=run)


def _motionbert(network: DSTformer, track: Tensor, run: Run | None) -> Tensor:
    return network.lift(track, root_relative=True, run=run)


def _motionbert_clip(network: DSTformer, window: Tensor) -> Tensor:
    return relative(network(window), root_relative=True)


_vp3d = partial(TemporalModel, 17, 2, 17, (3, 3, 3, 3, 3))
_dstformer = partial(
    Case,
    loop=lambda network, window: _motionbert_clip(network, window)[:, WINDOW // 2],
    whole=_motionbert, timed=WINDOW + 2 * 216, loops=1, features=3, method="forward", clip=_motionbert_clip,
)  # fmt: skip
CASES = {
    "videopose3d": Case("VideoPose3D 243", _vp3d, _videopose3d_loop, _videopose3d, timed=2048),
    "videopose3d-strided": Case(
        "VideoPose3D 243, its strided form in the loop", _vp3d, _videopose3d_strided, _videopose3d, timed=2048
    ),
    "rie": Case("RIE 243", RIE, lambda network, window: network(window)[:, 0], _rie, timed=384, method="lift_windows"),
    "pstmo": Case(
        "P-STMO-S 243", pstmo_s, lambda network, window: network(window)[0][:, 0], _pstmo,
        timed=256, method="lift_windows",
    ),
    "pstmo-fast": Case(
        "P-STMO-S 243, fast option", pstmo_s, lambda network, window: network(window)[0][:, 0], _pstmo_fast,
        timed=WINDOW + 8 * 216, method="lift_clips", clip=PSTMO.lift_clips,
    ),
    "motionbert": _dstformer("MotionBERT", motionbert),
    "motionbert-lite": _dstformer("MotionBERT Lite", motionbert_lite),
}  # fmt: skip
