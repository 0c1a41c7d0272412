"""VideoPose3D's supervised recipe (Pavllo et al., CVPR 2019).

    python videopose.py train videopose3d-h36m --data h36m/

Windows of the receptive field, every frame of the data the middle of one, each also mirrored; the loss is the mean
distance of the root-relative joints of the middle frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from lifters.networks.videopose3d import TemporalModel
from training import losses
from training.loop import Losses, Stage, teach
from training.run import Run, command, start
from training.tracks import Tracks, Windows, around, read

STAGES = ("lifter",)


@dataclass(frozen=True)
class Options:
    """The hyper-parameters of the published network of 243 frames."""

    data: Path  # a folder of Human3.6M's files, or open_mocap.npz
    keypoints: str = "cpn_ft_h36m_dbb"  # Human3.6M's 2D; gt: exact; detectron_pt_coco: COCO's joints, for any video
    cameras: int = 4  # that film each clip of motion capture
    widths: tuple[int, ...] = (3, 3, 3, 3, 3)  # filters; the window is their product
    channels: int = 1024
    causal: bool = False  # the window ends at its frame
    dropout: float = 0.25
    batch: int = 1024  # windows
    epochs: int = 80
    learning_rate: float = 1e-3
    decay: float = 0.95  # of the learning rate, per epoch
    momentum: tuple[float, ...] = (0.1, 0.001)  # of the running statistics, first and last
    accumulate: int = 1  # shares of a batch, one after another before a step
    epoch_windows: int | None = None  # drawn for an epoch; None: all, and all mirrored
    steps: int | None = None  # at most so many


def small(options: Options) -> Options:
    """The same in seconds, to see that it learns."""
    return replace(
        options, widths=(3, 3), channels=512, dropout=0.0, batch=128, epochs=18, learning_rate=2e-3, decay=0.85,
        momentum=(0.1, 0.02), epoch_windows=15_360, cameras=2,
    )  # fmt: skip


def train(options: Options, run: Run) -> Path:
    """Returns the path of the weights, `lifter.bin`.

    Raises:
        InputError: data that cannot be used, or nothing to resume.
        UsageError: no such device.
    """
    fabric = start(run, STAGES)
    tracks = Tracks(read(options.data, "train", options.keypoints, options.cameras), fabric.device)
    torch.manual_seed(run.seed)
    return teach(fabric, run, stage(options, tracks), "videopose3d-h36m", options)


def build(options: Options, joints_in: int = 17, joints_out: int = 17) -> TemporalModel:
    """The network for that many keypoints."""
    return TemporalModel(joints_in, 2, joints_out, options.widths, options.channels, options.causal, options.dropout)


def stage(options: Options, tracks: Tracks) -> Stage:
    """How the network learns."""
    network = build(options, len(tracks.mirror_2d))
    optimiser = torch.optim.Adam(network.parameters(), lr=options.learning_rate, amsgrad=True, fused=True)
    offsets = around(network.receptive_field, causal=options.causal)
    frame = int((offsets == 0).nonzero())

    def draw(rows: Tensor, random: Generator) -> Windows:
        return tracks.windows(rows, offsets)

    def loss(wrapped: nn.Module, windows: Windows) -> Losses:
        joints, _ = wrapped.forward_strided(windows.keypoints)
        return {"loss": losses.position(joints, windows.relative[:, frame, None])}

    def on_epoch(epoch: int) -> None:
        network.set_momentum(momentum(options, epoch))

    return Stage(
        STAGES[0], network, optimiser, tracks.samples, draw, loss, options.batch, options.epochs, options.decay,
        options.epoch_windows, options.steps, options.accumulate, on_epoch, methods=("forward_strided",),
        fps=tracks.fps,
    )  # fmt: skip


def momentum(options: Options, epoch: int) -> float:
    """Of the running statistics in an epoch: it falls by the same factor from one to the next."""
    first, last = options.momentum
    return first * (last / first) ** (epoch / options.epochs)


main = partial(command, Options, small, train)
