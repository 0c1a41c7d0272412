"""Progress and messages for people, on stderr: a Rich bar on a terminal, elsewhere a plain line every few seconds."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.runner import Progress


def start_logging(quiet: bool) -> None:
    """Send the program's messages to stderr; `quiet` keeps only warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain())
    log = logging.getLogger("videopose")
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(logging.WARNING if quiet else logging.INFO)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage() if record.levelno < logging.WARNING else f"warning: {record.getMessage()}"


@contextmanager
def progress(quiet: bool) -> Iterator[Progress]:
    """A progress callable for the pipeline, fit for where stderr goes."""
    if quiet:
        yield lambda stage, done, total: None
    elif sys.stderr.isatty():
        with _bar() as report:
            yield report
    else:
        yield _Lines().report


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = [
        TextColumn("{task.description:>8}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
    ]
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task, current = bar.add_task("", total=None, rate=""), [""]

        def report(stage: str, done: int, total: int) -> None:
            if stage != current[0]:
                current[0] = stage
                bar.reset(task, total=total, description=stage, rate="")
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:.0f} frames/s" if speed and total > 1 else "")

        yield report


class _Lines:
    """At most one line in five seconds, and one when a stage of many steps ends."""

    def __init__(self) -> None:
        self.stage, self.begin, self.told = "", 0.0, 0.0

    def report(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.begin, self.told = stage, now, now
        finished = done == total and total > 1
        if now - self.told >= 5 or finished:
            self.told = now
            rate = done / max(now - self.begin, 1e-9)
            left = f", {(total - done) / rate:.0f} s left" if rate and not finished else ""
            print(f"{stage}: {done}/{total}, {rate:.1f}/s{left}", file=sys.stderr, flush=True)
