"""RIE's recipe (Shan et al., ACM MM 2021): `python videopose.py train rie --data h36m/`.

Three stages. First encoders and decoders without the fusion of the groups; then fusion and new decoders on encoders
that are kept as they are; then everything, at half the learning rate. The loss is the mean distance of the joints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from lifters.networks.rie import ENCODERS, RIE
from lifters.released import load_into, read_network
from training import losses
from training.loop import Losses, Stage, teach
from training.run import Run, command, start
from training.tracks import Tracks, Windows, around, read

STAGES = ("stage_1", "stage_2", "stage_3")


@dataclass(frozen=True)
class Options:
    """The paper's hyper-parameters, for windows of 243 frames."""

    data: Path  # a folder of Human3.6M's files, or open_mocap.npz
    keypoints: str = "cpn_ft_h36m_dbb"  # Human3.6M's 2D; gt: exact
    cameras: int = 4  # that film each clip of motion capture
    latent: int = 512  # numbers that describe a group: 512 for CPN's 2D, 256 for exact 2D
    widths: tuple[int, ...] = (3, 3, 3, 3, 3)  # filters; the window is their product
    channels: int = 256  # of the local encoders
    hidden: int = 1024  # of the perceptrons
    dropout: float = 0.2  # of the local encoders
    block_dropout: float = 0.25  # of the perceptrons
    batch: int = 1024  # windows
    epochs: tuple[int, ...] = (80, 80, 20)  # of the three stages; the authors: more of the last is better
    learning_rates: tuple[float, ...] = (1e-3, 1e-3, 5e-4)  # of the three stages, at their beginning
    decay: float = 0.95  # of the learning rate, per epoch
    weight_decay: float = 0.01
    momentum: tuple[float, ...] = (0.1, 0.001)  # of the encoders' running statistics, first and last
    accumulate: int = 1  # shares of a batch, one after another before a step
    epoch_windows: int | None = None  # drawn for an epoch; None: all, and all mirrored
    steps: int | None = None  # at most so many in each stage


def small(options: Options) -> Options:
    """The same in seconds, to see that it learns."""
    return replace(
        options, latent=32, widths=(3, 3), channels=48, hidden=128, dropout=0.0, block_dropout=0.0, batch=128,
        epochs=(5, 5, 10), learning_rates=(3e-3, 3e-3, 2e-3), decay=0.75, epoch_windows=5120, cameras=2,
    )  # fmt: skip


def train(options: Options, run: Run) -> Path:
    """All three stages; returns the path of the last one's weights, `stage_3.bin`.

    Raises:
        InputError: data that cannot be used, or nothing to resume.
        UsageError: no such device.
    """
    fabric = start(run, STAGES)
    tracks = Tracks(read(options.data, "train", options.keypoints, options.cameras), fabric.device)
    before = None
    for number, name in enumerate(STAGES, start=1):
        torch.manual_seed(run.seed)
        network = begin(options, number, before)
        before = teach(fabric, run, stage(options, number, name, network, tracks), "rie", options)
    return before


def begin(options: Options, number: int, before: Path | None) -> RIE:
    """A stage's network with what it takes over from the stage before."""
    network = RIE(
        number, options.latent, options.widths, options.channels, dropout=options.dropout, hidden=options.hidden,
        block_dropout=options.block_dropout,
    )  # fmt: skip
    if before is not None:
        load_into(network, read_network(before), before, ENCODERS if number == 2 else ())
    if number == 2:
        network.freeze_encoders()
    return network


def stage(options: Options, number: int, name: str, network: RIE, tracks: Tracks) -> Stage:
    """How a stage's network learns."""
    rate, epochs = options.learning_rates[number - 1], options.epochs[number - 1]
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learnt, lr=rate, weight_decay=options.weight_decay, amsgrad=True, fused=True)
    offsets = around(network.receptive_field)

    def draw(rows: Tensor, random: Generator) -> Windows:
        return tracks.windows(rows, offsets)

    def loss(wrapped: nn.Module, windows: Windows) -> Losses:
        middle = windows.relative[:, len(offsets) // 2, None]
        return {"loss": losses.position(wrapped(windows.keypoints), middle)}

    def on_epoch(epoch: int) -> None:
        first, last = options.momentum
        network.set_momentum(first * (last / first) ** (epoch / epochs))

    return Stage(
        name, network, optimiser, tracks.samples, draw, loss, options.batch, epochs, options.decay,
        options.epoch_windows, options.steps, options.accumulate, on_epoch, fps=tracks.fps,
    )  # fmt: skip


main = partial(command, Options, small, train)
