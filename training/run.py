"""What the papers' recipes share of a run: its command, its devices, its folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from pipeline.errors import InputError, UsageError
from training.settings import changed

log = logging.getLogger("videopose")


@dataclass(frozen=True)
class Run:
    """Where, on what and how often saved a recipe runs; nothing but the seed changes what is learnt."""

    out: Path
    device: str = "auto"
    devices: int = 1  # processes, each with a GPU, or a core of a CPU, and its share of the batch
    precision: str = "32-true"
    seed: int = 0
    resume: bool = False
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
    device: str = "auto",
    seed: int = 0,
    resume: bool = False,
    tiny: bool = False,
    settings: Sequence[str] = (),
) -> Path:
    """The command `train` of a recipe: of the class of its options, of what makes them tiny, and of what trains.

    `settings` are `name=value` changes of the options.

    Raises:
        InputError, UsageError: as the recipe's `train`, and `changed`.
    """
    options = small(options_of(data)) if tiny else options_of(data)
    options = changed(replace(options, steps=steps), settings)
    return train(options, Run(out, device, seed=seed, resume=resume, progress=report))


def report(stage: str, step: int, mean: float) -> None:
    """Progress as a line of the program's log."""
    log.info("%s, step %d: loss %.4f", stage, step, mean)


def start(run: Run, stages: Sequence[str]) -> Fabric:
    """Devices, and a folder that is either new or goes on. Call it before anything is built.

    Raises:
        InputError: nothing to resume, or a run is there already and `resume` is not set.
        UsageError: no such device.
    """
    held = [path.name for name in stages for path in (run.done(name), run.last(name)) if path.exists()]
    if run.resume and not held:
        raise InputError(f"nothing to resume in {run.out}", f"no {run.last(stages[0]).name}", "leave --resume away")
    if held and not run.resume:
        raise InputError(f"{run.out} holds a run already", f"{held[0]}", "--resume goes on, --out names another folder")
    # P-STMO's files carry parameters that the method never uses, which plain DDP refuses.
    strategy = "ddp_find_unused_parameters_true" if run.devices > 1 else "auto"
    try:
        fabric = Fabric(accelerator=run.device, devices=run.devices, strategy=strategy, precision=run.precision)
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"cannot train on {run.device}", str(error).splitlines()[0], "--device cpu") from error
    fabric.launch()
    run.out.mkdir(parents=True, exist_ok=True)
    if not run.resume:
        for name in stages:
            run.table(name).unlink(missing_ok=True)
    return fabric
