"""Train the default lifter: `python videopose.py train videopose3d --data open_mocap.npz`.

Draw random views of recorded motion, lift every ninth frame of them with the network, compare, step. (Many
windows with few outputs teach more per second than few with many, and cost far less than all outputs of a window.) The
weights that count are a running average. The learning rate rises, stays, and falls to zero over the last steps; what a
resumed run with more `steps` has of them, it goes on with. Everything random hangs on `seed`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional

from lifters.networks.sighted import SightedModel
from pipeline.errors import InputError, UsageError
from pipeline.files import atomic
from training.loop import Losses, check, described, run_steps, save
from training.mocap import BODY, UNKNOWN, load_mocap
from training.procedural import joined, procedural
from training.publish import commit, publish
from training.run import Run, command, start
from training.views import Batch, Views

STAGE = "lifter"
FREE = ("data", "steps", "decay")  # what a run may be resumed with anew
LOSSES = ("loss", "position", "aligned", "bone", "velocity", "contact")


@dataclass(frozen=True)
class Options:
    """All that what is learnt depends on, except seed and precision."""

    data: Path  # motion capture, open_mocap.npz
    steps: int = 13_000  # about an hour on two CPU cores that compute in bf16
    warmup: int = 500  # the first steps, over which the learning rate rises
    decay: int = 10_000  # the last steps, over which the learning rate falls to zero
    batch: int = 256  # windows, of all processes together
    frames: int = 28  # of a window that may be outputs
    stride: int = 9  # every so-many-th of them is one
    acted: float = 0.12  # share of windows with poses acted by the studio, which are rare in recordings
    widths: tuple[int, ...] = (9, 5, 1, 1, 1)  # of the filters over time; their product is what an output sees
    features: int = 64  # of each joint
    summary: int = 256  # width of what the joints share
    learning_rate: float = 1e-3  # at its highest
    weight_decay: float = 0.01  # AdamW's
    clip: float = 1.0  # longest gradient
    average: float = 0.999  # of the weights, per step


def small(options: Options) -> Options:
    """The same in seconds, to see that it runs."""
    return replace(
        options,
        steps=30,
        warmup=5,
        decay=10,
        batch=8,
        frames=16,
        widths=(3, 3),
        features=16,
        summary=32,
        average=0.9,
        acted=0.0,
    )


def build(options: Options) -> SightedModel:
    """The network of a run."""
    return SightedModel(options.widths, options.features, options.summary)


def train(options: Options, run: Run) -> Path:
    """Train, and leave what a run of the program needs: weights and their card, see `training.publish`.

    Besides `lifter.bin`, the weights as the papers' recipes leave them; `lifter.csv`, the log; and `lifter.last.pt`,
    from which a run goes on, also one that came to its end, with more steps. Returns the path of the first.

    Raises:
        InputError: the data cannot be used, there is nothing to resume, or the run was begun with other options.
        KeyboardInterrupt: after Ctrl-C, which saves.
        UsageError: no such device, or no two outputs in a window, between which there is a step over time.
    """
    if options.frames <= options.stride:
        what = f"of {options.frames} frames only one is an output with a stride of {options.stride}"
        raise UsageError(what, "steps over time need two", "--set frames, more than --set stride")
    mocap = load_mocap(options.data)
    if options.acted:
        mocap = joined(mocap, procedural(mocap.fps, run.seed), options.acted)
    fabric = start(run, [STAGE])
    if options.batch < fabric.world_size:
        raise UsageError(f"{options.batch} windows are too few for {fabric.world_size} processes", "", "--set batch")
    torch.manual_seed(run.seed)
    network = build(options)
    averaging = torch.optim.swa_utils.get_ema_multi_avg_fn(options.average)
    average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=averaging, use_buffers=True).to(fabric.device)
    fused = run.precision != "16-mixed"  # Fabric clips no gradients of one that is
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=options.weight_decay, fused=fused)
    network, optimiser = fabric.setup(network, optimiser)
    generator = torch.Generator(fabric.device).manual_seed(run.seed + 1000 * fabric.global_rank)
    views = Views(mocap.to(fabric.device), options.frames, network.receptive_field, generator)
    about = described("videopose3d", STAGE, options, run)
    state = {"network": network, "average": average, "optimiser": optimiser, "step": 0, "seconds": 0.0, "sums": None}
    state |= about | {"random": None, "scaler": fabric.strategy.precision.state_dict(), "commit": commit()}
    if run.resume:
        _resume(fabric, run.last(STAGE), state, about, generator)
    if state["step"] < options.steps or not run.done(STAGE).exists():
        _learn(fabric, options, run, state, views)
        if fabric.is_global_zero:
            _finish(run, state, mocap.fps)
    fabric.barrier()
    return run.done(STAGE)


def _resume(
    fabric: Fabric, path: Path, state: dict[str, Any], about: dict[str, Any], generator: torch.Generator
) -> None:
    if not path.is_file():
        raise InputError(f"nothing to resume in {path.parent}", f"no {path.name}", "leave --resume away")
    check(path, about, FREE)
    fabric.load(path, state, weights_only=True)
    fabric.strategy.precision.load_state_dict(state["scaler"])
    state |= about
    if len(state["random"]) != fabric.world_size:
        raise InputError(f"cannot resume {path}", f"it was made by {len(state['random'])} processes", "use as many")
    if state["step"] > (steps := about["config"]["steps"]):
        raise InputError(f"cannot resume {path} for {steps} steps", f"it has made {state['step']}", "more steps")
    generator.set_state(state["random"][fabric.global_rank].cpu().clone())


def _learn(fabric: Fabric, options: Options, run: Run, state: dict[str, Any], views: Views) -> None:
    """Step until `options.steps`; the state stays, so that a run can go on with more."""

    def step(number: int) -> tuple[Losses, dict[str, float]]:
        for group in state["optimiser"].param_groups:
            group["lr"] = learning_rate(options, number)
        parts = loss(state["network"], views.batch(options.batch // fabric.world_size), options.stride)
        state["optimiser"].zero_grad()
        fabric.backward(parts[0])
        finite = run.precision != "16-mixed"  # whose scaler tries how far it can go
        fabric.clip_gradients(state["network"], state["optimiser"], max_norm=options.clip, error_if_nonfinite=finite)
        state["optimiser"].step()
        state["average"].update_parameters(state["network"].module)
        return {name: part.detach() for name, part in zip(LOSSES, parts, strict=True)}, {}

    def remember() -> None:
        state["random"] = fabric.all_gather(views.generator.get_state()).reshape(fabric.world_size, -1)
        state["scaler"] = fabric.strategy.precision.state_dict()

    run_steps(fabric, run, STAGE, state, options.steps, step, remember)
    remember()
    save(fabric, run.last(STAGE), state)


def _finish(run: Run, state: dict[str, Any], fps: float) -> None:
    model = state["average"].module.cpu()
    about = {key: state[key] for key in ("recipe", "stage", "config", "commit")}
    with atomic(run.done(STAGE)) as temporary:
        torch.save({"model_pos": model.state_dict(), "fps": fps} | about, temporary)
    told = {key: value for key, value in state["config"].items() if key != "data"}
    publish(model, run.out, told | {"devices": len(state["random"]), "commit": state["commit"]})


def learning_rate(options: Options, step: int) -> float:
    """Linear rise, plateau, linear fall to zero; a run that is shorter than `decay` falls after its rise."""
    rise = (step + 1) / min(options.warmup, max(1, options.steps // 10))
    fall = (options.steps - step) / min(options.decay, options.steps)
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


main = partial(command, Options, small, train, precision="bf16-mixed")
