"""The loop that the papers' recipes share: devices, steps, log, and checkpoints from which a run goes on exactly.

A recipe is one stage or several, each with a network of its own. Everything random of a step hangs on the seed, the
stage and the number of the step alone, so that a run that was killed and resumed takes the very steps of one that was
not, and a checkpoint needs no state of random generators.
"""

from __future__ import annotations

import csv
import logging
import signal
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Generator, Tensor, nn

from pipeline.errors import InputError
from pipeline.files import atomic
from training.run import Run

log = logging.getLogger("videopose")
Losses = dict[str, Tensor]  # the first is what is minimised, the others are logged beside it
Loss = Callable[[nn.Module, Tensor, Generator], Losses]


@dataclass(frozen=True)
class Stage:
    """What is learnt and how.

    Args:
        name: of the stage's files.
        network, optimiser: on the CPU; the loop moves them.
        samples: there are, numbered from 0. An epoch draws `epoch_samples` of them in batches, each once.
        loss: of the network (as Fabric wraps it), a batch's numbers of samples (B,) and a random generator, both on
            the device. The first entry is minimised.
        decay: of the optimiser's learning rate, per epoch.
        steps: at most so many, whatever `epochs` says; None: no such limit.
        on_epoch: called with the epoch before its first step, and when a run goes on within one.
        methods: of the network that the loss calls beside `forward`.
    """

    name: str
    network: nn.Module
    optimiser: torch.optim.Optimizer
    samples: int
    batch: int
    epochs: int
    loss: Loss
    decay: float = 1.0
    epoch_samples: int | None = None
    steps: int | None = None
    on_epoch: Callable[[int], None] | None = None
    methods: tuple[str, ...] = ()

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch; what does not fill a batch waits for another epoch's draw."""
        return max(1, min(self.epoch_samples or self.samples, self.samples) // self.batch)

    @property
    def total(self) -> int:
        """Steps of the stage."""
        return min(self.epochs * self.per_epoch, self.steps or self.epochs * self.per_epoch)


def teach(fabric: Fabric, run: Run, stage: Stage, recipe: str, options: Any) -> Path:
    """Run a stage to its end and leave its weights as the papers' programs do, under `model_pos`, in `<name>.bin`.

    The file names the recipe, the stage, and the options (a dataclass) besides. Until it is there, `<name>.last.pt`
    is what a resumed run goes on from; `<name>.csv` is the log. A stage that is done already is not touched. Ctrl-C
    ends the run after the step that is being made, and saves.

    Raises:
        InputError: a checkpoint that cannot be read, or is of a run with other options.
        KeyboardInterrupt: after Ctrl-C.
    """
    about = {"recipe": recipe, "stage": stage.name, "config": _plain(asdict(options) | {"seed": run.seed})}
    done, last = run.done(stage.name), run.last(stage.name)
    if done.exists():
        _check(done, about)
        return done
    network, optimiser = fabric.setup(stage.network, stage.optimiser)
    for method in stage.methods:
        network.mark_forward_method(method)
    state = {"network": network, "optimiser": optimiser, "step": 0, "seconds": 0.0, "sums": None} | about
    if last.exists():
        _check(last, about)
        fabric.load(last, state, weights_only=True)
    _trim(run.table(stage.name), state["step"])
    _steps(fabric, run, stage, state)
    weights = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    if fabric.is_global_zero:
        with atomic(done) as temporary:
            torch.save({"model_pos": weights, "epoch": state["step"] // stage.per_epoch} | about, temporary)
        last.unlink(missing_ok=True)
    fabric.barrier()
    return done


def _steps(fabric: Fabric, run: Run, stage: Stage, state: dict[str, Any]) -> None:
    """From the state's step to the last."""
    network, optimiser = state["network"], state["optimiser"]
    network.train()
    began = saved = time.monotonic()
    before, epoch = state["seconds"], -1
    with _Interrupt() as interrupt:
        while state["step"] < stage.total:
            if state["step"] // stage.per_epoch != epoch:
                epoch = state["step"] // stage.per_epoch
                _begin_epoch(stage, optimiser, epoch)
            losses = stage.loss(network, *_draw(fabric, run, stage, state["step"]))
            optimiser.zero_grad()
            fabric.backward(next(iter(losses.values())))
            optimiser.step()
            parts = torch.stack([part.detach() for part in losses.values()])
            state["sums"] = parts if state["sums"] is None else state["sums"].to(parts) + parts
            state["step"] += 1
            state["seconds"] = before + time.monotonic() - began
            if state["step"] % run.log_every == 0 or state["step"] == stage.total:
                _log(fabric, run, stage, state, list(losses))
            due = time.monotonic() - saved >= 60 * run.save_minutes
            stop, due = _agreed(fabric, interrupt.asked, due)
            if stop or due:
                _save(fabric, run, stage, state)
                saved = time.monotonic()
            if stop:
                raise KeyboardInterrupt


def _begin_epoch(stage: Stage, optimiser: torch.optim.Optimizer, epoch: int) -> None:
    for group in optimiser.param_groups:
        group["lr"] = stage.optimiser.defaults["lr"] * stage.decay**epoch
    if stage.on_epoch:
        stage.on_epoch(epoch)


def _draw(fabric: Fabric, run: Run, stage: Stage, step: int) -> tuple[Tensor, Generator]:
    """This process's share of a step's samples, and its random numbers; dropout's are set, too."""
    epoch, place = divmod(step, stage.per_epoch)
    order = _order(stage.samples, _seed(run.seed, stage.name, "order", epoch))
    rows = order[place * stage.batch : (place + 1) * stage.batch][fabric.global_rank :: fabric.world_size]
    seed = _seed(run.seed, stage.name, step, fabric.global_rank)
    torch.manual_seed(seed)
    return rows.to(fabric.device), Generator(fabric.device).manual_seed(seed)


@lru_cache(maxsize=1)
def _order(samples: int, seed: int) -> Tensor:
    return torch.randperm(samples, generator=Generator().manual_seed(seed))


def _seed(*parts: object) -> int:
    return zlib.crc32(repr(parts).encode())


def _agreed(fabric: Fabric, *wishes: bool) -> tuple[bool, ...]:
    """What any of the processes wishes, so that all save and stop at the same step."""
    if fabric.world_size == 1:
        return wishes
    votes = fabric.all_reduce(torch.tensor(wishes, dtype=torch.float32, device=fabric.device), reduce_op="sum")
    return tuple(bool(vote > 0) for vote in votes)


def _save(fabric: Fabric, run: Run, stage: Stage, state: dict[str, Any]) -> None:
    if state["sums"] is not None:
        state["sums"] = fabric.all_reduce(state["sums"])
    path = run.last(stage.name)
    temporary = path.with_name(f".{path.name}.part")
    fabric.save(temporary, state)
    if fabric.is_global_zero:
        temporary.replace(path)


def _log(fabric: Fabric, run: Run, stage: Stage, state: dict[str, Any], names: list[str]) -> None:
    """Means since the last row; the last row of a stage may be of fewer steps."""
    steps = state["step"] % run.log_every or run.log_every
    means = (fabric.all_reduce(state["sums"]) / min(steps, state["step"])).tolist()
    state["sums"] = None
    if not fabric.is_global_zero:
        return
    path, rate = run.table(stage.name), state["optimiser"].param_groups[0]["lr"]
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(("step", "epoch", "seconds", "learning_rate", *names))
        epoch = state["step"] / stage.per_epoch
        writer.writerow([state["step"], *(f"{v:.9g}" for v in (epoch, round(state["seconds"], 1), rate, *means))])
    if run.progress:
        run.progress(stage.name, state["step"], means[0])


def _trim(path: Path, step: int) -> None:
    """Rows of steps that were lost with their process are taken out of the log; they are made again."""
    if path.exists():
        head, *rows = path.read_text(encoding="utf-8").splitlines()
        kept = [row for row in rows if row.partition(",")[0].isdigit() and int(row.partition(",")[0]) <= step]
        with atomic(path) as temporary:
            temporary.write_text("\n".join([head, *kept]) + "\n", encoding="utf-8")


def _check(path: Path, about: Mapping[str, Any]) -> None:
    """A checkpoint must be of this recipe, stage and options; only the data may have moved."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a damaged file can fail in any way
        lines = str(error).splitlines() or [type(error).__name__]
        raise InputError(f"cannot resume {path}", lines[0][:120], "another --out") from error
    mine, its = about["config"], held.get("config", {})
    other = [
        f"{key} {its.get(key)}, not {mine.get(key)}" for key in mine if key != "data" and its.get(key) != mine[key]
    ]
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


class _Interrupt:
    """Ctrl-C asks for an end; a second one ends at once."""

    asked = False

    def __enter__(self) -> _Interrupt:
        self.before = None
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self._ask)
        return self

    def _ask(self, *_: object) -> None:
        self.asked = True
        log.warning("saving after this step; Ctrl-C again ends at once")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *_: object) -> None:
        if self.before is not None:
            with suppress(ValueError):
                signal.signal(signal.SIGINT, self.before)
