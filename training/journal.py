"""The log of a training stage: a table (CSV) and, where wished, the same for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import MissingError
from pipeline.files import atomic

INSTALL = "pip install -r requirements-train.txt"


class Journal:
    """Rows of means over some steps. Rows after `step` are of steps that were lost with their process: they go.

    TensorBoard's files lie in a folder `tensorboard` beside the table, one folder in it for each stage.

    Args:
        path: of the table; what is in it stays.
        step: the last that a resumed run has made.

    Raises:
        MissingError: TensorBoard's log is wanted, and what writes it is not installed.
    """

    def __init__(self, path: Path, step: int = 0, tensorboard: bool = False) -> None:
        self.path, self.events = path, None
        if path.exists():
            self._trim(step)
        if tensorboard:
            folder = path.parent / "tensorboard" / path.stem
            self.events = summary_writer()(str(folder), purge_step=step + 1 if step else None)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row; all rows have the names of the first."""
        fresh = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(("step", *values))
            writer.writerow([step, *(f"{value:.9g}" for value in values.values())])
        if self.events:
            for name, value in values.items():
                self.events.add_scalar(name, value, step)

    def close(self) -> None:
        """Nothing is left to be written."""
        if self.events:
            self.events.close()

    def _trim(self, step: int) -> None:
        head, *rows = self.path.read_text(encoding="utf-8").splitlines()
        kept = [row for row in rows if row.partition(",")[0].isdigit() and int(row.partition(",")[0]) <= step]
        with atomic(self.path) as temporary:
            temporary.write_text("\n".join([head, *kept]) + "\n", encoding="utf-8")


def summary_writer() -> type[Any]:
    """The class that writes TensorBoard's files; nothing else needs its package. Raises MissingError without it."""
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        raise MissingError("--tensorboard needs tensorboardX", str(error), INSTALL) from error
    return SummaryWriter
