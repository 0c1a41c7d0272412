"""MDVPose's recipe (Gu et al., ACM MM 2024): `python videopose.py train mdvpose --data ski/ --set start=FILE`.

A single-view lifter is fine-tuned on moments that several cameras saw, which may move and whose places nobody knows:
what it says of each view alone should be one pose. That needs no 3D, so windows without labels teach, too
(`--set labelled=0.1`). Without a start the lifter first learns from scratch, from the labelled windows alone.

The loss is position + 0.5 scale + 20 velocity + consistency. The published consistency compares every view with the
first one (`--set published=yes`); this project's draws every view to their fused pose, see `training.consistency`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from lifters.networks.motionbert import relative
from pipeline.errors import UsageError
from training import losses
from training.consistency import disagreement, view_agreement
from training.loop import Losses, Stage, teach
from training.mdvpose_network import build, freeze, in_space, lift
from training.run import Run, command, start
from training.scenes import Scenes, Views, kind_of, read

STAGES = ("scratch", "finetune")
# The paper's table: what an option is where it is not set. Its consistency has the weight of the published loss.
EGOBODY = {"epochs": 200, "learning_rate": 4e-4, "decay": 0.98, "root_relative": False, "frozen": 4}
PAPER = {
    "ski-pose": {"epochs": 60, "learning_rate": 3e-4, "decay": 0.97, "consistency": 0.002, "metres": True},
    "human36m": {"epochs": 60, "learning_rate": 1e-4, "decay": 0.95, "consistency": 0.01, "centred": True},
    "egobody": EGOBODY | {"consistency": 0.0},
    "egobody, Kinects": EGOBODY | {"consistency": 0.01},
    "filmed": {"epochs": 60, "learning_rate": 1e-4, "decay": 0.95, "consistency": 0.01},  # ours; as Human3.6M
}
OTHERWISE = {"metres": False, "centred": False, "root_relative": True, "frozen": 0}
OWN_WEIGHT = 2.0  # of this project's consistency where the paper's is not 0


@dataclass(frozen=True)
class Options:
    """The paper's hyper-parameters; none: as its table has them for the data set."""

    data: Path  # Ski-Pose PTZ, Human3.6M in either form, EgoBody in this project's layout, or open_mocap.npz
    keypoints: str = "cpn_ft_h36m_dbb"  # 2D of a folder of Human3.6M's files; gt: exact
    cameras: int = 4  # hand-held, that film each clip of motion capture
    noise: float = 0.0  # px of 1000, of the 2D of motion capture
    views: tuple[str, ...] = ()  # cameras by the beginnings of their names (kinect); none named: all
    start: Path | None = None  # weights to fine-tune; none: from scratch first
    network: str = "motionbert"  # or convolution, VideoPose3D's, which is small
    channels: int = 512  # of the network
    ratio: int = 2  # MotionBERT: width inside the perceptrons, in channels
    depth: int = 5  # MotionBERT: blocks of each stream
    heads: int = 8  # MotionBERT: of every attention
    representation: int = 512  # MotionBERT: numbers before the last layer
    widths: tuple[int, ...] = (3, 3, 3)  # convolution: of the filters
    dropout: float = 0.25  # convolution
    frames: int = 243  # of a window
    stride: int = 80  # frames from one window to the next
    labelled: float = 1.0  # share of the windows whose 3D is looked at, drawn by the seed
    beside: int = 1  # windows without labels for each with, in a batch
    metres: bool | None = None  # the network tells metres; no: x, y and depth in the picture, as MotionBERT
    centred: bool | None = None  # the network is given x, y minus the root's
    root_relative: bool | None = None  # every frame is relative to its root; no: as MotionBERT's global weights
    frozen: int | None = None  # MotionBERT: levels that stay as they are, and the embedding
    published: bool = False  # the published consistency; no: this project's
    consistency: float | None = None  # its weight; 0: the same training without it
    scale: float = 0.5  # weight of the scale loss
    velocity: float = 20.0  # weight of the velocity loss
    hidden_views: float = 0.0  # share of the views that a step leaves out, of each window two stay
    batch: int = 1  # windows, each of all views
    epochs: int | None = None  # of fine-tuning, over the labelled windows
    learning_rate: float | None = None  # of fine-tuning
    decay: float | None = None  # of the learning rate, per epoch
    scratch_epochs: int = 120  # without a start
    scratch_rate: float = 2e-4  # learning rate from scratch
    warmup: int = 0  # steps over which the learning rate rises, to fall along half a cosine; 0: the paper's decay
    weight_decay: float = 0.01  # AdamW's
    accumulate: int = 1  # shares of a batch, one after another before a step
    steps: int | None = None  # at most so many in each stage


def small(options: Options) -> Options:
    """The same in seconds, to see that it learns."""
    return replace(
        options, network="convolution", channels=128, widths=(3, 3), dropout=0.0, frames=9, stride=18, labelled=0.2,
        batch=8, epochs=4, scratch_epochs=6, scratch_rate=2e-3, learning_rate=1e-3, warmup=20, velocity=1.0,
    )  # fmt: skip


def train(options: Options, run: Run) -> Path:
    """Returns the path of `finetune.bin`.

    Raises:
        InputError: data or weights that cannot be used, or nothing to resume.
        UsageError: no such device or network, or options that do not go together.
    """
    options = filled(options)
    fabric = start(run, STAGES if options.start is None else STAGES[1:])
    found = read(options.data, "train", options.keypoints, options.cameras, options.views, options.noise)
    scenes = Scenes(found, options.frames, options.stride, options.metres, fabric.device)
    before = options.start
    if before is None:
        network = build(options, run.seed, None)
        before = teach(fabric, run, stage(options, STAGES[0], scenes, network, run.seed), "mdvpose", options)
    network = build(options, run.seed, before)
    return teach(fabric, run, stage(options, STAGES[1], scenes, network, run.seed), "mdvpose", options)


def filled(options: Options) -> Options:
    """Options with what is none as the paper has it for the data. Raises UsageError: they do not go together."""
    kind = kind_of(options.data)
    if kind == "egobody" and options.views and all(name.startswith("kinect") for name in options.views):
        kind = "egobody, Kinects"
    paper = OTHERWISE | PAPER[kind]
    if not options.published and paper["consistency"]:
        paper["consistency"] = OWN_WEIGHT
    if options.network != "motionbert":
        paper["frozen"] = 0
    full = replace(options, **{name: value for name, value in paper.items() if getattr(options, name) is None})
    if full.metres and not full.root_relative:
        raise UsageError("in metres every frame is relative to its root", "metres=yes root_relative=no", "metres=no")
    if not 0 < full.labelled <= 1:
        raise UsageError(
            f"{full.labelled:g} of the windows cannot have labels", "a share above 0, up to 1", "labelled=0.1"
        )
    return full


def stage(options: Options, name: str, scenes: Scenes, network: nn.Module, seed: int) -> Stage:
    """AdamW on windows with labels, beside which windows without are drawn."""
    first = name == STAGES[0]
    known, others = shared_out(scenes.samples, options.labelled, seed, scenes.index.device)
    if not first:
        freeze(network, options.frozen)
    rate = options.scratch_rate if first else options.learning_rate
    free = [weights for weights in network.parameters() if weights.requires_grad]
    optimiser = torch.optim.AdamW(free, lr=rate, weight_decay=options.weight_decay, fused=True)

    def draw(rows: Tensor, random: Generator) -> tuple[Views, ...]:
        parts = (scenes.draw(known[rows], random, options.hidden_views),)
        if first or not len(others):
            return parts
        more = torch.randint(len(others), (len(rows) * options.beside,), generator=random, device=rows.device)
        return *parts, scenes.draw(others[more], random, options.hidden_views)

    def loss(wrapped: nn.Module, drawn: tuple[Views, ...]) -> Losses:
        views = Views(*(torch.cat(parts) for parts in zip(*drawn, strict=True)))
        predicted = lift(wrapped, views.motion, options.centred)
        told = len(drawn[0].motion)
        parts = supervised(options, predicted[:told], drawn[0])
        agreement = consistency(options, predicted, views)
        weight = 0.0 if first else options.consistency
        if weight:
            parts["loss"] = parts["loss"] + weight * agreement
        return parts | {"consistency": agreement.detach()}

    epochs = options.scratch_epochs if first else options.epochs
    return Stage(
        name, network, optimiser, len(known), draw, loss, min(options.batch, len(known)), epochs, options.decay,
        steps=options.steps, accumulate=options.accumulate, saved=saved(network), warmup=options.warmup, fps=scenes.fps,
    )  # fmt: skip


def saved(network: nn.Module) -> dict[str, nn.Module]:
    """What is left under `model_pos`: of the convolution, VideoPose3D's network."""
    return {"model_pos": getattr(network, "inner", network)}


def shared_out(samples: int, labelled: float, seed: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Numbers of the windows with labels and of those without; at least one has some."""
    order = torch.randperm(samples, generator=Generator().manual_seed(seed)).to(device)
    return order[: (count := max(1, round(labelled * samples)))], order[count:]


def supervised(options: Options, predicted: Tensor, views: Views) -> Losses:
    """MotionBERT's sum over the frames whose truth is known."""
    truth, known = relative(views.truth.flatten(0, 1), options.root_relative).view_as(views.truth), views.known
    if not known.any():
        zero = predicted.sum() * 0
        return {"loss": zero, "position": zero, "scale": zero, "velocity": zero}
    pairs = known[..., 1:] & known[..., :-1]
    position, scale = (term(predicted[known], truth[known]) for term in (losses.position, losses.scale))
    steps = predicted.diff(dim=2)[pairs], truth.diff(dim=2)[pairs]
    velocity = losses.position(*steps) if pairs.any() else predicted.sum() * 0
    whole = position + options.scale * scale + options.velocity * velocity
    return {"loss": whole, "position": position, "scale": scale, "velocity": velocity}


def consistency(options: Options, predicted: Tensor, views: Views) -> Tensor:
    """What the views of each window do not agree on. The published one compares what the network tells, as it is."""
    if options.published:
        return view_agreement(predicted - predicted[..., :1, :], views.seen)
    joints = predicted if options.metres else in_space(predicted, views.motion, views.lens)
    return disagreement(joints, views.seen)


main = partial(command, Options, small, train)
