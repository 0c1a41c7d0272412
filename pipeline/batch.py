"""Several clips in one go: failures stay with their clip, models are loaded once, `batch.csv` tells how it went."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import VideoposeError
from pipeline.files import atomic
from pipeline.options import Options
from pipeline.results import Scene
from pipeline.runner import Progress, Runner, Tell

log = logging.getLogger("videopose")


@dataclass(frozen=True)
class Outcome:
    """What became of one clip: a scene, or the error that stopped it."""

    clip: Path
    seconds: float
    scene: Scene | None = None
    error: VideoposeError | None = None

    @property
    def folder(self) -> str:
        """Where the results lie; empty after an error."""
        return str(self.scene.provenance["folder"]) if self.scene else ""


def run_all(
    clips: Sequence[Path],
    options: Options,
    progress: Progress | None = None,
    done: Callable[[Outcome], None] = lambda outcome: None,
    table: bool = False,
) -> list[Outcome]:
    """Run every clip; a failure of one does not stop the others.

    Writes `<out>/batch.csv` when there are several clips or `table` is set (a folder may hold a single one), anew
    after each clip, so that an interrupted batch has it.

    Raises:
        MissingError: weights that no clip can do without.
        OutputError: batch.csv cannot be written.
    """
    runner, outcomes = Runner(options, progress), []
    if len(clips) > 1:
        runner.prepare()
    for clip in clips:
        begin = time.perf_counter()
        try:
            outcome = Outcome(clip, 0.0, scene=runner.run(clip))
        except VideoposeError as error:
            log.debug("%s", clip, exc_info=error)
            outcome = Outcome(clip, 0.0, error=error)
        outcomes.append(Outcome(clip, time.perf_counter() - begin, outcome.scene, outcome.error))
        done(outcomes[-1])
        if table or len(clips) > 1:
            _write_table(outcomes, options.out / "batch.csv")
    return outcomes


def run_views(clips: Sequence[Path], options: Options, progress: Progress, tell: Tell) -> Outcome:
    """Run a scene of which the clips are the views. Raises VideoposeError as `Runner.run_views`."""
    begin = time.perf_counter()
    scene = Runner(options, progress).run_views(clips, tell)
    return Outcome(clips[0], time.perf_counter() - begin, scene)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 when all went well; a lone clip's own code; 1 when some or all of several failed."""
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if not failed:
        return 0
    return failed[0].exit_code if len(outcomes) == 1 else 1


def _write_table(outcomes: Sequence[Outcome], path: Path) -> None:
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["clip", "status", "people", "frames", "seconds", "frames_per_second", "message"])
        for outcome in outcomes:
            table.writerow([str(outcome.clip), *_row(outcome)])


def _row(outcome: Outcome) -> list[object]:
    if outcome.scene is None:
        return [
            "failed",
            "",
            "",
            f"{outcome.seconds:.2f}",
            "",
            "; ".join(line.strip() for line in str(outcome.error).splitlines()),
        ]
    frames = len(outcome.scene.clip.times)
    rate = f"{frames / outcome.seconds:.1f}"
    message = "; ".join(outcome.scene.provenance["warnings"])
    return ["done", len(outcome.scene.people), frames, f"{outcome.seconds:.2f}", rate, message]
