"""MotionBERT's recipe (Zhu et al., ICCV 2023): `python videopose.py train motionbert --data h36m/`.

From scratch; or fine-tuned from a released or own pre-trained file (`--set start=latest_epoch.bin`), or from a
pre-training of this run (`--set pretrain=yes`), in which exact 2D of the same motion gets a detector's errors and
holes. The losses are position, scale and velocity. Later epochs of it go over videos without 3D first, where they are
given (`--set posetrack=FOLDER --set instavariety=FOLDER`): what is lifted must look like their 2D.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor, nn

from lifters.networks.motionbert import DSTformer, relative
from lifters.networks.motionbert_noise import add_noise, draw_masks, hide
from lifters.released import load_into, read_network
from pipeline.errors import UsageError
from training import losses
from training.datasets.motion_2d import instavariety, posetrack
from training.loop import Draw, Losses, Source, Stage, teach
from training.motion_clips import Clips, mirrored, read
from training.run import Run, command, start

FREE = ("data", "posetrack", "instavariety")  # where data is; it may be moved


@dataclass(frozen=True)
class Options:
    """The paper's hyper-parameters of the full network. Lite: channels 256, ratio 4."""

    data: Path  # MotionBERT's own file or folder of clips, a folder of Human3.6M's files, or open_mocap.npz
    keypoints: str = "cpn_ft_h36m_dbb"  # 2D of a folder of Human3.6M's files; gt: exact
    cameras: int = 4  # that film each clip of motion capture
    start: Path | None = None  # weights to fine-tune
    pretrain: bool = False  # before fine-tuning, with noise and holes
    root_relative: bool = True  # every frame relative to its root; no: x, y in the picture (for video in the wild)
    channels: int = 512  # of every joint in every frame
    ratio: int = 2  # width inside the perceptrons, in channels
    depth: int = 5  # blocks of each stream
    heads: int = 8  # of every attention
    representation: int = 512  # numbers before the last layer
    frames: int = 243  # of a clip
    stride: int = 81  # frames from one clip to the next
    scale: float = 0.5  # weight of the scale loss
    velocity: float = 20.0  # weight of the velocity loss
    batch: int = 32  # clips
    epochs: int = 120  # from scratch
    finetune_epochs: int = 60  # after a start or pre-training
    learning_rate: float = 2e-4  # Lite, fine-tuned, not root-relative: 5e-4
    pretrain_batch: int = 64  # clips
    pretrain_epochs: int = 90  # of pre-training
    pretrain_rate: float = 5e-4  # learning rate of pre-training
    posetrack: Path | None = None  # PoseTrack18's annotations, a folder of JSON files
    instavariety: Path | None = None  # folder of motion_all.npy and id_all.npy
    since_2d: int = 30  # epochs of pre-training before those that go over videos without 3D
    hidden_joints: float = 0.05  # share of the joints that pre-training hides
    hidden_frames: float = 0.1  # share of the frames
    decay: float = 0.99  # of the learning rate, per epoch
    warmup: int = 0  # steps over which the learning rate rises, to fall along half a cosine; 0: the paper's decay
    weight_decay: float = 0.01  # AdamW's
    accumulate: int = 1  # shares of a batch, one after another before a step
    epoch_clips: int | None = None  # drawn for an epoch; None: all
    steps: int | None = None  # at most so many in each stage


class Seen(NamedTuple):
    """Clips of videos without 3D: what the network gets and what was seen, x, y, confidence: (B,T,17,3) each."""

    motion: Tensor
    keypoints: Tensor


def small(options: Options) -> Options:
    """The same in seconds, to see that it learns."""
    return replace(
        options, channels=128, depth=1, representation=128, frames=3, stride=3, velocity=1.0, batch=16, epochs=20,
        finetune_epochs=16, learning_rate=3e-3, pretrain_batch=16, pretrain_epochs=4, pretrain_rate=3e-3, warmup=100,
        epoch_clips=1600, cameras=2, since_2d=1,
    )  # fmt: skip


def train(options: Options, run: Run) -> Path:
    """Returns the path of the last stage's weights: `scratch.bin` or `finetune.bin`.

    Raises:
        InputError: data or weights that cannot be used, or nothing to resume.
        UsageError: no such device, or videos without 3D that no epoch would go over.
    """
    _check_videos(options)
    last = "finetune" if options.start or options.pretrain else "scratch"
    fabric = start(run, ("pretrain", last) if options.pretrain else (last,))
    clips = Clips(
        read(options.data, "train", options.keypoints, options.cameras), options.frames, options.stride, fabric.device
    )
    before = options.start
    if options.pretrain:
        network = begin(options, run.seed, before)
        before = teach(fabric, run, pretraining(options, clips, network), "motionbert", options, FREE)
    network = begin(options, run.seed, before)
    return teach(fabric, run, lifting(options, clips, network, last), "motionbert", options, FREE)


def _check_videos(options: Options) -> None:
    """Raises UsageError for videos that are named and would not be looked at."""
    if not (options.posetrack or options.instavariety):
        return
    if not options.pretrain:
        raise UsageError("posetrack and instavariety are for pre-training", "this run has none", "--set pretrain=yes")
    if options.since_2d >= options.pretrain_epochs:
        what = f"all {options.pretrain_epochs} epochs of pre-training are before since_2d={options.since_2d}"
        raise UsageError(what, "none would go over posetrack and instavariety", "--set since_2d")


def begin(options: Options, seed: int, before: Path | None) -> DSTformer:
    """The network, new or with the weights of a file."""
    torch.manual_seed(seed)
    network = DSTformer(
        options.channels, options.ratio, options.depth, options.heads, options.representation, options.frames
    )
    if before is not None:
        load_into(network, read_network(before), before)
    return network


def lifting(options: Options, clips: Clips, network: DSTformer, name: str) -> Stage:
    """Training on the data's own 2D, from scratch or fine-tuned; half of the clips are mirrored."""
    epochs = options.epochs if name == "scratch" else options.finetune_epochs
    return _stage(options, name, network, clips, clips.draw, options.batch, epochs, options.learning_rate)


def pretraining(options: Options, clips: Clips, network: DSTformer) -> Stage:
    """Exact 2D, which is the truth's x and y, spoilt and with holes; and videos without 3D.

    Raises:
        InputError: files of such videos that cannot be used.
    """

    def draw(rows: Tensor, random: Generator) -> tuple[Tensor, Tensor]:
        _, truth = clips.draw(rows, random)
        return _holes(options, add_noise(truth[..., :2], random), random), truth

    sources = []
    if options.posetrack:  # annotated by people: a detector's errors are added
        sources.append(_source(options, posetrack(options.posetrack), clips.motion.device, noise=True))
    if options.instavariety:
        sources.append(_source(options, instavariety(options.instavariety), clips.motion.device, noise=False))
    return _stage(
        options, "pretrain", network, clips, draw, options.pretrain_batch, options.pretrain_epochs,
        options.pretrain_rate, tuple(sources),
    )  # fmt: skip


def _source(options: Options, motions: np.ndarray, device: torch.device, noise: bool) -> Source:
    """Clips (M,T,17,3) x, y, confidence, half of them mirrored; joints that were not seen stay so."""
    seen = torch.from_numpy(motions[:, : options.frames]).to(device)

    def draw(rows: Tensor, random: Generator) -> Seen:
        flip = torch.rand(len(rows), generator=random, device=rows.device) < 0.5
        keypoints = torch.where(flip[:, None, None, None], mirrored(seen[rows]), seen[rows])
        spoilt = torch.where(keypoints[..., 2:] > 0, add_noise(keypoints[..., :2], random), 0.0) if noise else keypoints
        return Seen(_holes(options, spoilt, random), keypoints)

    return Source(len(seen), draw, options.since_2d)


def _holes(options: Options, motion: Tensor, random: Generator) -> Tensor:
    masks = draw_masks(*motion.shape[:3], random, options.hidden_joints, options.hidden_frames)
    return hide(motion, *masks)


def total(options: Options, predicted: Tensor, truth: Tensor) -> Losses:
    """The paper's sum for clips with 3D; its terms for limbs and angles have no weight."""
    position, scale = losses.position(predicted, truth), losses.scale(predicted, truth)
    velocity = losses.velocity(predicted, truth)
    whole = position + options.scale * scale + options.velocity * velocity
    return {"loss": whole, "position": position, "scale": scale, "velocity": velocity}


def on_screen(options: Options, predicted: Tensor, keypoints: Tensor) -> Losses:
    """The paper's for videos without 3D, in the place of that sum."""
    points = relative(keypoints, options.root_relative)[..., :2]
    projection = losses.projection(predicted, points, keypoints[..., 2:])
    return {"loss": projection, "projection": projection}


def _stage(
    options: Options,
    name: str,
    network: DSTformer,
    clips: Clips,
    draw: Draw,
    batch: int,
    epochs: int,
    rate: float,
    before: tuple[Source, ...] = (),
) -> Stage:
    """AdamW."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=options.weight_decay, fused=True)
    names = ("loss", "position", "scale", "velocity", *(("projection",) if before else ()))

    def loss(wrapped: nn.Module, drawn: tuple[Tensor, Tensor] | Seen) -> Losses:
        if isinstance(drawn, Seen):
            parts = on_screen(options, wrapped(drawn.motion), drawn.keypoints)
        else:
            motion, truth = drawn
            parts = total(options, wrapped(motion), relative(truth, options.root_relative))
        return {name: parts.get(name, torch.zeros_like(parts["loss"])) for name in names}  # the same columns always

    return Stage(
        name, network, optimiser, clips.samples, draw, loss, batch, epochs, options.decay, options.epoch_clips,
        options.steps, options.accumulate, warmup=options.warmup, before=before, fps=clips.fps,
    )  # fmt: skip


main = partial(command, Options, small, train)
