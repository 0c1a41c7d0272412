"""What all recipes share of a run: its command, its devices, its folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from pipeline.errors import InputError, UsageError
from training import journal
from training.settings import changed

log = logging.getLogger("videopose")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class Run:
    """Where, on what and how often saved a recipe runs."""

    out: Path
    device: str = "auto"
    devices: int | None = None  # of a node, each a process with its share of the batch; None: torchrun's, or one
    nodes: int | None = None  # machines, which see one folder `out`; None: torchrun's, or one
    precision: str = "32-true"  # or bf16-mixed, 16-mixed
    seed: int = 0
    resume: bool = False
    tensorboard: bool = False  # the log for TensorBoard, too
    save_minutes: float = 3.0
    log_every: int = 50  # steps
    progress: Callable[[str, int, float], None] | None = None  # stage, step, mean loss since the last call

    def done(self, stage: str) -> Path:
        """The weights of a stage that came to its end."""
        return self.out / f"{stage}.bin"

    def last(self, stage: str) -> Path:
        """What a stage that did not goes on from."""
        return self.out / f"{stage}.last.pt"

    def table(self, stage: str) -> Path:
        """A stage's log."""
        return self.out / f"{stage}.csv"


def command(
    options_of: Callable[[Path], Any],
    small: Callable[[Any], Any],
    train: Callable[[Any, Run], Path],
    data: Path,
    out: Path,
    steps: int | None = None,
    tiny: bool = False,
    settings: Sequence[str] = (),
    **places: Any,
) -> Path:
    """The command `train` of a recipe: of the class of its options, of what makes them tiny, and of what trains.

    `settings` are `name=value` changes of the options, `places` are of `Run`.

    Raises:
        InputError, MissingError, UsageError: as `start`, the recipe's `train`, and `changed`.
    """
    options = small(options_of(data)) if tiny else options_of(data)
    options = changed(replace(options, steps=steps) if steps else options, settings)
    return train(options, Run(out, progress=report, **places))


def report(stage: str, step: int, mean: float) -> None:
    """Progress as a line of the program's log."""
    log.info("%s, step %d: loss %.4f", stage, step, mean)


def start(run: Run, stages: Sequence[str]) -> Fabric:
    """Devices, and a folder that is either new or goes on. Call it before anything is built.

    Raises:
        InputError: nothing to resume, or a run is there already and `resume` is not set.
        MissingError: TensorBoard's log is wanted, and what writes it is not installed.
        UsageError: no such device or precision, or other numbers of processes than torchrun has started.
    """
    held = [path.name for name in stages for path in (run.done(name), run.last(name)) if path.exists()]
    if run.resume and not held:
        raise InputError(f"nothing to resume in {run.out}", f"no {run.last(stages[0]).name}", "leave --resume away")
    if held and not run.resume:
        raise InputError(f"{run.out} holds a run already", f"{held[0]}", "--resume goes on, --out names another folder")
    if run.tensorboard:
        journal.summary_writer()
    fabric = _fabric(run)
    if fabric.is_global_zero:
        run.out.mkdir(parents=True, exist_ok=True)
        for path in () if run.resume else map(run.table, stages):
            path.unlink(missing_ok=True)
    return fabric


def _fabric(run: Run) -> Fabric:
    """All processes, started or joined."""
    if run.precision not in PRECISIONS:
        raise UsageError(f"no precision called {run.precision!r}", f"known: {', '.join(PRECISIONS)}", PRECISIONS[0])
    devices, nodes = _processes(run)
    # P-STMO's files carry parameters that the method never uses, which plain DDP refuses.
    strategy = "ddp_find_unused_parameters_true" if devices * nodes > 1 else "auto"
    try:
        fabric = Fabric(
            accelerator=run.device, devices=devices, num_nodes=nodes, strategy=strategy, precision=run.precision
        )
        if fabric.strategy.precision.precision != run.precision:  # Fabric takes another, and warns
            raise UsageError(f"no {run.precision} on this device", "PyTorch has it on GPUs only", "bf16-mixed")
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        where = f"{run.device}, {devices} of each of {nodes} machines"
        raise UsageError(f"cannot train on {where}", str(error)[:120].partition("\n")[0], "--device cpu") from error
    return fabric


def _processes(run: Run) -> tuple[int, int]:
    """Processes of a node, and nodes: as wished, but torchrun's where it has started this process."""
    if not (torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()):
        return run.devices or 1, run.nodes or 1
    local, world = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    there = local, world // local
    if (run.devices or there[0], run.nodes or there[1]) != there:
        raise UsageError(
            f"--devices {run.devices}, --nodes {run.nodes} are not what torchrun has started",
            f"it runs {there[0]} processes on each of {there[1]} machines", "leave both away",
        )  # fmt: skip
    return there
