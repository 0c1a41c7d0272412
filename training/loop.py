"""The loop that the papers' recipes share: devices, steps, log, and checkpoints from which a run goes on exactly.

A recipe is one stage or several, each with a network of its own. Everything random of a step hangs on the seed, the
stage and the number of the step alone, so that a run that was killed and resumed takes the very steps of one that was
not, and a checkpoint needs no state of random generators.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
import zlib
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Generator, Tensor, nn

from pipeline.errors import InputError, OutputError, UsageError
from pipeline.files import atomic
from training.journal import Journal
from training.run import Run

log = logging.getLogger("videopose")
DATA = ("data",)  # the option that says where it is; it may be moved
Losses = dict[str, Tensor]  # the first is what is minimised, the others are logged beside it
Draw = Callable[[Tensor, Generator], Any]
Loss = Callable[[nn.Module, Any], Losses]


@dataclass(frozen=True)
class Source:
    """Samples of a kind, numbered from 0, and what a batch's numbers of them stand for, see `Stage`.

    Args:
        since: the epoch from which on they are drawn.
    """

    samples: int
    draw: Draw
    since: int = 0


@dataclass(frozen=True)
class Stage:
    """What is learnt and how.

    Args:
        name: of the stage's files.
        network, optimiser: on the CPU; the loop moves them.
        samples: there are, numbered from 0. An epoch draws `epoch_samples` of them in batches, each once.
        draw: what a batch's numbers of samples (B,) and a random generator, both on the device, stand for: tensors
            (B,...), or tuples of such. Every process draws all of it and takes its share.
        loss: of the network (as Fabric wraps it) and a share of what was drawn. The first entry is minimised; all
            are means over the share's samples.
        decay: of the optimiser's learning rate, per epoch.
        steps: at most so many, whatever `epochs` says; None: no such limit.
        accumulate: shares of a batch that follow one another before a step, which saves memory. Nothing else changes,
            but that batch norm sees shares.
        on_epoch: called with the epoch before its first step, and when a run goes on within one.
        methods: of the network that the loss calls beside `forward`.
        saved: parts of the network by the names under which their weights are left; none: all of it, as `model_pos`.
        warmup: steps over which the learning rate rises, to fall along half a cosine, whatever `decay` says; 0: none.
        before: other samples, all of which every epoch goes over before its own; never in one batch with them.
        fps: frames per second of the data, left in the file for those who lift with it; None: the data does not tell.
    """

    name: str
    network: nn.Module
    optimiser: torch.optim.Optimizer
    samples: int
    draw: Draw
    loss: Loss
    batch: int
    epochs: int
    decay: float = 1.0
    epoch_samples: int | None = None
    steps: int | None = None
    accumulate: int = 1
    on_epoch: Callable[[int], None] | None = None
    methods: tuple[str, ...] = ()
    saved: Mapping[str, nn.Module] = field(default_factory=dict)
    warmup: int = 0
    before: tuple[Source, ...] = ()
    fps: float | None = None

    @property
    def sources(self) -> tuple[Source, ...]:
        """What an epoch goes over, in this order."""
        return *self.before, Source(min(self.epoch_samples or self.samples, self.samples), self.draw)

    def batches(self, epoch: int) -> list[int]:
        """Of each source, in this epoch; what does not fill a batch waits for another epoch's draw."""
        return [max(1, source.samples // self.batch) * (epoch >= source.since) for source in self.sources]

    def place(self, step: int) -> tuple[int, int, int]:
        """A step's epoch, the number of the source it draws from, and which of its batches."""
        epoch, last = 0, max(source.since for source in self.sources)  # from which on epochs are equally long
        while epoch < last and step >= (steps := sum(self.batches(epoch))):
            epoch, step = epoch + 1, step - steps
        more, step = divmod(step, sum(self.batches(epoch)))
        ends = list(accumulate(self.batches(epoch + more)))
        number = bisect_right(ends, step)
        return epoch + more, number, step - (ends[number - 1] if number else 0)

    @property
    def total(self) -> int:
        """Steps of the stage."""
        whole = sum(sum(self.batches(epoch)) for epoch in range(self.epochs))
        return min(whole, self.steps or whole)

    def rate(self, step: int) -> float:
        """Share of the optimiser's own learning rate at a step."""
        if not self.warmup:
            return self.decay ** self.place(step)[0]
        return min(1.0, (step + 1) / self.warmup) * (1 + math.cos(math.pi * step / self.total)) / 2


def teach(fabric: Fabric, run: Run, stage: Stage, recipe: str, options: Any, free: Collection[str] = DATA) -> Path:
    """Run a stage to its end and leave its weights as the papers' programs do, under `model_pos`, in `<name>.bin`.

    The file names the recipe, the stage, the options (a dataclass) and the data's frame rate besides. Until it is
    there, `<name>.last.pt` is what a resumed run goes on from; `<name>.csv` is the log. A stage that is done already is
    not touched. Ctrl-C ends the run after the step that is being made, and saves. Options that are `free`
    may be others when it goes on.

    Raises:
        InputError: a checkpoint that cannot be read, or is of a run with other options.
        KeyboardInterrupt: after Ctrl-C.
        OutputError: a machine does not see the folder where the first one saves.
        UsageError: more shares than a batch has samples.
    """
    about = described(recipe, stage.name, options, run)
    done, last = run.done(stage.name), run.last(stage.name)
    if done.exists():
        check(done, about, free)
        return done
    network, optimiser = fabric.setup(stage.network, stage.optimiser)
    for method in stage.methods:
        network.mark_forward_method(method)
    state = {"network": network, "optimiser": optimiser, "step": 0, "seconds": 0.0, "sums": None} | about
    state["scaler"] = fabric.strategy.precision.state_dict()
    if last.exists():
        check(last, about, free)
        fabric.load(last, state, weights_only=True)
        fabric.strategy.precision.load_state_dict(state["scaler"])
    _steps(fabric, run, stage, state)
    if fabric.is_global_zero:
        parts = (stage.saved or {"model_pos": network}).items()
        weights = {name: {key: value.cpu() for key, value in part.state_dict().items()} for name, part in parts}
        with atomic(done) as temporary:
            torch.save(weights | {"epoch": stage.place(state["step"])[0], "fps": stage.fps} | about, temporary)
        last.unlink(missing_ok=True)
    fabric.barrier()
    if not done.exists():
        raise OutputError(f"{done} is not there", "the first machine has saved it", "an --out that all machines share")
    return done


def described(recipe: str, stage: str, options: Any, run: Run) -> dict[str, Any]:
    """What a checkpoint says of itself: recipe, stage, and everything that decides what is learnt as `config`."""
    config = _plain(asdict(options) | {"seed": run.seed, "precision": run.precision})
    return {"recipe": recipe, "stage": stage, "config": config}


def run_steps(
    fabric: Fabric,
    run: Run,
    name: str,
    state: dict[str, Any],
    total: int,
    step: Callable[[int], tuple[Losses, dict[str, float]]],
    remember: Callable[[], None] | None = None,
) -> None:
    """Make the steps from the state's to the last, logging and saving on the way; Ctrl-C saves and ends.

    Args:
        name: of the stage.
        state: what is saved: `network` and `optimiser` as Fabric wraps them, `step`, `seconds`, `sums` of the losses
            since the log's last row (None: none), and more.
        step: makes the step of a number; returns its losses and what else the log tells.
        remember: called before the state is saved.

    Raises:
        KeyboardInterrupt: after Ctrl-C.
    """
    state["network"].train()
    began = saved = time.monotonic()
    before, table = state["seconds"], run.table(name)
    journal = closing(Journal(table, state["step"], run.tensorboard)) if fabric.is_global_zero else nullcontext()
    with journal as rows, Interrupt(fabric.is_global_zero) as interrupt:
        while state["step"] < total:
            losses, told = step(state["step"])
            parts = torch.stack(list(losses.values()))
            state["sums"] = parts if state["sums"] is None else state["sums"].to(parts) + parts
            state["step"] += 1
            state["seconds"] = before + time.monotonic() - began
            if state["step"] % run.log_every == 0 or state["step"] == total:
                _log(fabric, run, name, state, list(losses), told, rows)
            stop, due = agreed(fabric, interrupt.asked, time.monotonic() - saved >= 60 * run.save_minutes)
            if stop or due:
                if remember:
                    remember()
                save(fabric, run.last(name), state)
                saved = time.monotonic()
            if stop:
                raise KeyboardInterrupt


def _steps(fabric: Fabric, run: Run, stage: Stage, state: dict[str, Any]) -> None:
    """The steps of a stage, from the state's to the last."""
    current = -1

    def step(number: int) -> tuple[Losses, dict[str, float]]:
        nonlocal current
        epoch = stage.place(number)[0]
        if epoch != current and stage.on_epoch:
            stage.on_epoch(epoch)
        current = epoch
        for group in state["optimiser"].param_groups:
            group["lr"] = stage.optimiser.defaults["lr"] * stage.rate(number)
        return _step(fabric, run, stage, state), {"epoch": epoch}

    def remember() -> None:
        state["scaler"] = fabric.strategy.precision.state_dict()  # of half-precision gradients

    run_steps(fabric, run, stage.name, state, stage.total, step, remember)


def _step(fabric: Fabric, run: Run, stage: Stage, state: dict[str, Any]) -> Losses:
    """One step; this process's part of the batch's losses, so that the mean over processes is the batch's."""
    network, optimiser = state["network"], state["optimiser"]
    rows, batch = _draw(fabric, run, stage, state["step"])
    shares = fabric.world_size * stage.accumulate
    total: Losses = {}
    for number in range(stage.accumulate):
        first = fabric.global_rank * stage.accumulate + number
        weight = len(rows[first::shares]) / len(rows) * fabric.world_size
        with fabric.no_backward_sync(network, enabled=number + 1 < stage.accumulate):
            losses = {name: weight * loss for name, loss in stage.loss(network, share(batch, first, shares)).items()}
            fabric.backward(next(iter(losses.values())))
        total = {name: total.get(name, 0) + loss.detach() for name, loss in losses.items()}
    optimiser.step()
    optimiser.zero_grad()
    return total


def _draw(fabric: Fabric, run: Run, stage: Stage, step: int) -> tuple[Tensor, Any]:
    """A step's samples, and what they stand for; this process's dropout is set, too."""
    epoch, number, place = stage.place(step)
    source, own = stage.sources[number], number == len(stage.before)
    kind = () if own else (number,)
    order = _order(stage.samples if own else source.samples, _seed(run.seed, stage.name, "order", epoch, *kind))
    rows = order[place * stage.batch : (place + 1) * stage.batch]
    if len(rows) < fabric.world_size * stage.accumulate:
        parts = f"{fabric.world_size} processes, each with {stage.accumulate} shares after one another"
        raise UsageError(f"a batch of {len(rows)} is too small", f"it is for {parts}", "fewer of them")
    torch.manual_seed(_seed(run.seed, stage.name, step, fabric.global_rank))
    random = Generator(fabric.device).manual_seed(_seed(run.seed, stage.name, step))
    return rows, source.draw(rows.to(fabric.device), random)


def share(batch: Any, first: int, shares: int) -> Any:
    """Every `shares`-th sample of a batch from the `first` on: of a tensor (B,...), or of all in a tuple."""
    if isinstance(batch, Tensor):
        return batch[first::shares]
    parts = (share(part, first, shares) for part in batch)
    return type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)


@lru_cache(maxsize=1)
def _order(samples: int, seed: int) -> Tensor:
    return torch.randperm(samples, generator=Generator().manual_seed(seed))


def _seed(*parts: object) -> int:
    return zlib.crc32(repr(parts).encode())


def agreed(fabric: Fabric, *wishes: bool) -> tuple[bool, ...]:
    """What any of the processes wishes, so that all save and stop at the same step."""
    if fabric.world_size == 1:
        return wishes
    votes = fabric.all_reduce(torch.tensor(wishes, dtype=torch.float32, device=fabric.device), reduce_op="sum")
    return tuple(bool(vote > 0) for vote in votes)


def save(fabric: Fabric, path: Path, state: dict[str, Any]) -> None:
    """Keep what a run goes on from; `sums` become the mean over all processes."""
    if state["sums"] is not None:
        state["sums"] = fabric.all_reduce(state["sums"])
    temporary = path.with_name(f".{path.name}.part")
    fabric.save(temporary, state)
    if fabric.is_global_zero:
        temporary.replace(path)


def _log(
    fabric: Fabric,
    run: Run,
    name: str,
    state: dict[str, Any],
    losses: list[str],
    told: Mapping[str, float],
    journal: Journal | None,
) -> None:
    """Means since the last row; the last row of a stage may be of fewer steps."""
    steps = state["step"] % run.log_every or run.log_every
    means = (fabric.all_reduce(state["sums"]) / min(steps, state["step"])).tolist()
    state["sums"] = None
    if journal is None:
        return
    row = dict(told) | {"seconds": round(state["seconds"], 1)}
    row["learning_rate"] = state["optimiser"].param_groups[0]["lr"]
    journal.write(state["step"], row | dict(zip(losses, means, strict=True)))
    if run.progress:
        run.progress(name, state["step"], means[0])


def check(path: Path, about: Mapping[str, Any], free: Collection[str] = DATA) -> None:
    """A checkpoint must be of this recipe, stage and options, but for those that are `free`. Raises InputError."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a damaged file can fail in any way
        lines = str(error).splitlines() or [type(error).__name__]
        raise InputError(f"cannot resume {path}", lines[0][:120], "another --out") from error
    mine, its = about["config"], held.get("config", {})
    other = [f"{key} {its.get(key)}, not {mine[key]}" for key in mine if key not in free and its.get(key) != mine[key]]
    other += [f"{key} {held.get(key)}, not {about[key]}" for key in ("recipe", "stage") if held.get(key) != about[key]]
    if other:
        raise InputError(f"cannot resume {path}", "it has " + "; ".join(other), "the same options, or another --out")


def _plain(value: Any) -> Any:
    """Paths as texts and tuples as lists: what a checkpoint is read back as without running code."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


class Interrupt:
    """Ctrl-C asks for an end; a second one ends at once. One process, which is `loud`, says so."""

    def __init__(self, loud: bool) -> None:
        self.asked, self.loud = False, loud

    def __enter__(self) -> Interrupt:
        self.before = None
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self._ask)
        return self

    def _ask(self, *_: object) -> None:
        self.asked = True
        if self.loud:
            log.warning("saving after this step; Ctrl-C again ends at once")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *_: object) -> None:
        if self.before is not None:
            with suppress(ValueError):
                signal.signal(signal.SIGINT, self.before)
