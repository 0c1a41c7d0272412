"""Train the default lifter: `python videopose.py train videopose3d --data open_mocap.npz`.

One loop: draw random views of recorded motion, lift every ninth frame of them with the network, compare, step. (Many
windows with few outputs teach more per second than few with many, and cost far less than all outputs of a window.) The
weights that count are a running average. The learning rate rises, stays, and falls to zero over the last steps; a run
that is resumed with more `steps` goes on from the plateau. Everything random hangs on `seed`.
"""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional

from lifters.networks.sighted import SightedModel
from pipeline.errors import InputError, UsageError
from training.loop import Interrupt, agreed
from training.mocap import BODY, UNKNOWN, load_mocap
from training.procedural import joined, procedural
from training.publish import commit, publish, recipe
from training.settings import changed
from training.views import Batch, Views

log = logging.getLogger("videopose")
GROWING = ("steps", "decay")  # options that a run may be resumed with anew
COLUMNS = ("step", "seconds", "learning_rate", "loss", "position", "aligned", "bone", "velocity", "contact")


@dataclass(frozen=True)
class Options:
    """Everything that a training run depends on."""

    data: Path
    out: Path = Path("runs/videopose3d")
    steps: int = 10_000  # an hour and a half on two CPU cores that compute in bf16
    warmup: int = 300
    decay: int = 6_500  # the last steps, over which the learning rate falls to zero
    batch: int = 512  # windows
    frames: int = 28  # of a window that may be outputs
    stride: int = 9  # every so-many-th of them is one
    acted: float = 0.12  # share of windows with poses acted by the studio, which are rare in recordings
    widths: tuple[int, ...] = (3, 3, 3, 1, 1, 1)
    channels: int = 768
    dropout: float = 0.0
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    average: float = 0.999  # of the weights, per step
    device: str = "auto"
    devices: int = 1  # processes, each with a GPU, or a core of a CPU, and its share of the batch
    precision: str = "bf16-mixed"
    threads: int = 0  # of PyTorch on a CPU; 0: its own choice
    seed: int = 0
    resume: bool = False
    save_minutes: float = 3.0
    log_every: int = 100


class Made(NamedTuple):
    """The file with the weights, and the program's commit when the run began."""

    weights: Path
    commit: str | None


def small(options: Options) -> Options:
    """The same in seconds, to see that it runs."""
    return replace(
        options, steps=30, warmup=5, decay=10, batch=8, frames=16, widths=(3, 3), channels=64, precision="32-true",
        average=0.9, log_every=10, acted=0.0,
    )  # fmt: skip


def build(options: Options) -> SightedModel:
    """The network of a run."""
    return SightedModel(options.widths, options.channels, options.dropout)


def train(options: Options, progress: Callable[[int, float], None] | None = None) -> Made | None:
    """Train, and leave `last.pt` (to resume), `log.csv` and `average.pt` (the weights that count) in `options.out`.

    `progress` is called with the step and the mean loss since the last call. Returns what was made; None
    in all processes but the first.

    Raises:
        InputError: the data cannot be used, there is nothing to resume, or the run was begun with other options.
        KeyboardInterrupt: after Ctrl-C, which saves.
        UsageError: no two outputs in a window, between which there is a step over time.
    """
    if options.frames <= options.stride:
        what = f"of {options.frames} frames only one is an output with a stride of {options.stride}"
        raise UsageError(what, "steps over time need two", "--set frames, more than --set stride")
    mocap = load_mocap(options.data)
    if options.acted:
        mocap = joined(mocap, procedural(mocap.fps, options.seed), options.acted)
    if options.threads:
        torch.set_num_threads(options.threads)
    strategy = "ddp" if options.devices > 1 else "auto"
    fabric = Fabric(accelerator=options.device, devices=options.devices, strategy=strategy, precision=options.precision)
    fabric.launch()
    torch.manual_seed(options.seed)
    model = build(options)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(options.average), use_buffers=True
    ).to(fabric.device)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=options.weight_decay, fused=True)
    model, optimiser = fabric.setup(model, optimiser)
    generator = torch.Generator(fabric.device)
    generator.manual_seed(options.seed + 1000 * fabric.global_rank)
    views = Views(mocap.to(fabric.device), options.frames, model.receptive_field, generator)
    state = {"model": model, "average": average, "optimiser": optimiser, "step": 0, "random": None}
    state["sums"] = torch.zeros(len(COLUMNS) - 3, device=fabric.device)  # of the losses since the last line of the log
    state |= {"options": recipe(options), "commit": commit()}
    options.out.mkdir(parents=True, exist_ok=True)
    if options.resume:
        _resume(fabric, options, state, generator)
    _loop(fabric, options, state, views, progress)
    if not fabric.is_global_zero:
        return None
    weights = options.out / "average.pt"
    torch.save(average.module.state_dict(), weights)
    return Made(weights, state["commit"])


def _resume(fabric: Fabric, options: Options, state: dict, generator: torch.Generator) -> None:
    path = options.out / "last.pt"
    if not path.is_file():
        raise InputError(f"nothing to resume in {options.out}", "there is no last.pt", "start without --resume")
    now, then = state["options"], torch.load(path, map_location="cpu", weights_only=True, mmap=True)["options"]
    other = [f"{key} was {then[key]}" for key in then if key not in GROWING and now.get(key) != then[key]]
    if other:
        raise InputError(f"cannot resume {path}", f"other options: {', '.join(other)}", "those, or another --out")
    fabric.load(path, state, weights_only=True)
    state["options"] = now
    if len(state["random"]) != fabric.world_size:
        raise InputError(f"cannot resume {path}", f"it was made by {len(state['random'])} processes", "use as many")
    generator.set_state(state["random"][fabric.global_rank].cpu().clone())


def _loop(
    fabric: Fabric, options: Options, state: dict, views: Views, progress: Callable[[int, float], None] | None
) -> None:
    """Step until `options.steps`, logging and saving on the way; Ctrl-C saves and ends."""
    state["model"].train()
    due, began = False, time.monotonic()
    saved = began
    with Interrupt(fabric.is_global_zero) as interrupt:
        while state["step"] < options.steps:
            rate = learning_rate(options, state["step"])
            state["sums"] += _step(fabric, options, state, views, rate)
            state["step"] += 1
            if state["step"] % options.log_every == 0:
                means = fabric.all_reduce(state["sums"] / options.log_every).tolist()
                state["sums"].zero_()
                if fabric.is_global_zero:
                    _log(options, (state["step"], round(time.monotonic() - began, 1), rate, *means))
                if fabric.is_global_zero and progress:
                    progress(state["step"], means[0])
                due = fabric.broadcast(time.monotonic() - saved > 60 * options.save_minutes)
            (stop,) = agreed(fabric, interrupt.asked)
            if stop or due or state["step"] == options.steps:
                _save(fabric, options, state, views.generator)
                due, saved = False, time.monotonic()
            if stop:
                raise KeyboardInterrupt


def _step(fabric: Fabric, options: Options, state: dict, views: Views, rate: float) -> Tensor:
    """One step of the optimiser at this learning rate; returns the losses."""
    for group in state["optimiser"].param_groups:
        group["lr"] = rate
    losses = loss(state["model"], views.batch(options.batch // fabric.world_size), options.stride)
    state["optimiser"].zero_grad()
    fabric.backward(losses[0])
    state["optimiser"].step()
    state["average"].update_parameters(state["model"].module)
    return torch.stack([part.detach() for part in losses])


def learning_rate(options: Options, step: int) -> float:
    """Linear rise, plateau, linear fall to zero."""
    rise = (step + 1) / options.warmup
    fall = (options.steps - step) / options.decay
    return options.learning_rate * min(1.0, rise, fall)


def loss(model: torch.nn.Module, batch: Batch, stride: int = 1) -> tuple[Tensor, ...]:
    """The total; positions, the same aligned, bones and steps over time in metres; contacts as cross-entropy.

    Only every `stride`-th frame counts; then a step over time is as long, and its error larger.
    """
    joints, contacts = model(batch.inputs, stride)
    joints, wanted, labels = joints.float(), batch.joints[:, ::stride], batch.contacts[:, ::stride]
    joints = joints - joints[:, :, :1]
    error = joints - wanted
    position = error.norm(dim=-1).mean()
    parents, children = (list(side) for side in zip(*BODY.bones, strict=True))
    bone = (error[:, :, children] - error[:, :, parents]).norm(dim=-1).mean()
    velocity = error.diff(dim=1).norm(dim=-1).mean()
    known = labels != UNKNOWN
    truth = torch.where(known, labels, 0).float()
    each = functional.binary_cross_entropy_with_logits(contacts.float(), truth, reduction="none")
    contact = (each * known).sum() / known.sum().clamp_min(1)
    shape = aligned(joints.flatten(0, 1), wanted.flatten(0, 1))
    total = position + shape + 0.5 * bone + 1.5 / stride**0.5 * velocity + 0.05 * contact
    return total, position, shape, bone, velocity, contact


def aligned(joints: Tensor, truth: Tensor) -> Tensor:
    """Mean error of (N,K,3) after the similarity that fits each pose best, which counts as given."""
    moved, fixed = joints - joints.mean(1, keepdim=True), truth - truth.mean(1, keepdim=True)
    with torch.no_grad():
        u, s, vt = torch.linalg.svd(moved.transpose(1, 2) @ fixed)
        sign = torch.ones_like(s)
        sign[:, 2] = torch.linalg.det(u @ vt).sign()
        rotation = (u * sign[:, None]) @ vt
        scale = (s * sign).sum(1) / moved.square().sum(dim=(1, 2)).clamp_min(1e-9)
    return (scale[:, None, None] * (moved @ rotation) - fixed).norm(dim=-1).mean()


def _save(fabric: Fabric, options: Options, state: dict, generator: torch.Generator) -> None:
    state["sums"] = fabric.all_reduce(state["sums"])
    state["random"] = fabric.all_gather(generator.get_state()).reshape(fabric.world_size, -1)
    temporary = options.out / "last.tmp"
    fabric.save(temporary, state)
    if fabric.is_global_zero:
        temporary.replace(options.out / "last.pt")


def _log(options: Options, row: tuple[float, ...]) -> None:
    path = options.out / "log.csv"
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(COLUMNS)
        writer.writerow([f"{value:.6g}" for value in row])


def main(
    data: Path,
    out: Path,
    steps: int | None = None,
    device: str = "auto",
    seed: int = 0,
    resume: bool = False,
    tiny: bool = False,
    settings: Sequence[str] = (),
) -> Path:
    """The command `train videopose3d`: train, then leave the weights in `out` as a run needs them, with their card.

    `settings` are `name=value` changes of the options. Returns `out`.

    Raises:
        InputError: the data cannot be used, or there is nothing to resume.
        UsageError: settings that are not among the options.
    """
    options = Options(data=data, out=out, device=device, seed=seed, resume=resume)
    options = small(options) if tiny else options
    if steps:
        options = replace(options, steps=steps, decay=min(options.decay, max(1, steps // 3)))
    options = changed(options, settings)
    made = train(options, lambda step, mean: log.info("step %d of %d: loss %.4f", step, options.steps, mean))
    if made:
        model = build(options)
        model.load_state_dict(torch.load(made.weights, weights_only=True, map_location="cpu"))
        publish(model, out, options, made_by=made.commit)
    return out
