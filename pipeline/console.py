"""Progress and messages for people, on stderr: a Rich bar on a terminal, elsewhere a plain line every few seconds."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

COUNTS_FRAMES = ("detect", "film", "gif")  # the stages that report frames; others report people or nothing
STEPS = {"clocks": "comparing clocks", "cameras": "finding cameras", "people": "joining people"}
"""Long stages of several views that report nothing on their way: they are told when they begin."""
_live: list[Bar] = []  # the bar that is on the terminal now


def start_logging(quiet: bool) -> None:
    """Send the program's messages to stderr; `quiet` keeps only warnings. A level of DEBUG set before stays."""
    log = logging.getLogger("videopose")
    log.handlers[:] = [_Messages()]
    log.propagate = False
    if log.level != logging.DEBUG:
        log.setLevel(logging.WARNING if quiet else logging.INFO)


class _Messages(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        text = super().format(record)  # with the traceback, if there is one
        say(text if record.levelno < logging.WARNING else f"warning: {text}", sys.stderr)


def say(text: str, file: TextIO) -> None:
    """Print a line; on a terminal with a bar it stands above the bar."""
    if _live and file.isatty():
        _live[-1].console.out(text, highlight=False)
    else:
        print(text, file=file, flush=True)


class Reporter:
    """What the pipeline tells its progress to; this one keeps it for itself."""

    def clip(self, name: str, number: int, count: int) -> None:
        """From now on it is about clip `number` (from 1) of `count`."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` steps of a stage are done."""


@contextmanager
def progress(quiet: bool) -> Iterator[Reporter]:
    """A reporter fit for where stderr goes."""
    if quiet:
        yield Reporter()
    elif sys.stderr.isatty():
        with _bar() as bar:
            _live.append(bar)
            try:
                yield _OnBar(bar)
            finally:
                _live.pop()
    else:
        yield _Lines()


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    label = TextColumn("{task.fields[clip]}{task.description:>8}", markup=False)
    rate = TextColumn("{task.fields[rate]}", markup=False)
    return Progress(
        label, BarColumn(), TaskProgressColumn(), rate, TimeRemainingColumn(),
        console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip


class _OnBar(Reporter):
    def __init__(self, bar: Bar) -> None:
        self.bar, self.stage, self.name = bar, "", ""
        self.task = bar.add_task("", total=None, rate="", clip="")

    def clip(self, name: str, number: int, count: int) -> None:
        self.stage, self.name = "", f"{number} of {count}, {name} " if count > 1 else ""
        self.bar.reset(self.task, description="", clip=self.name, rate="")

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self.stage:
            self.stage = stage
            told = STEPS.get(stage, stage)
            self.bar.reset(self.task, total=total, completed=done, description=told, clip=self.name, rate="")
        speed = self.bar.tasks[0].speed if stage in COUNTS_FRAMES else None  # over the last reports
        self.bar.update(self.task, completed=done, total=total, rate=f"{speed:.0f} frames/s" if speed else "")


class _Lines(Reporter):
    """At most one line in five seconds, one when a stage of many steps ends, and one when one of `STEPS` begins."""

    def __init__(self) -> None:
        self.name, self.stage = "", ""
        self.begin, self.first, self.told = 0.0, 0, 0.0

    def clip(self, name: str, number: int, count: int) -> None:
        self.stage = ""
        self.name = f"{number} of {count}, {name}: " if count > 1 else ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.begin, self.first, self.told = stage, now, done, now
            if stage in STEPS:
                say(f"{self.name}{STEPS[stage]}", sys.stderr)
        finished = done == total and total > 1
        if now - self.told >= 5 or finished:
            self.told = now
            rate = (done - self.first) / max(now - self.begin, 1e-9)
            speed = f", {rate:.1f} frames/s" if rate and stage in COUNTS_FRAMES else ""
            left = f", {(total - done) / rate:.0f} s left" if rate and not finished else ""
            say(f"{self.name}{stage}: {done}/{total}{speed}{left}", sys.stderr)
