"""What each command of the command line does: call the pipeline, print results to stdout, messages to stderr."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import console
from pipeline.batch import Outcome, exit_code, run_all
from pipeline.errors import UsageError
from pipeline.options import Options
from pipeline.sources import expand, unfinished


def run_command(sources: Sequence[str], options: Options, json: bool, quiet: bool) -> int:
    """Run clips and print where their results lie. Returns the exit code."""
    console.start_logging(quiet)
    clips = expand(sources) if sources else unfinished(options.out)
    if not clips:
        print(f"nothing new in {options.out}/; drop a clip there, or name one", file=sys.stderr)
        return 0

    def tell(outcome: Outcome) -> None:
        if outcome.error and len(clips) > 1:
            print(f"error: {outcome.error}", file=sys.stderr)
        elif outcome.scene and not json:
            print(_summary(outcome))

    with console.progress(quiet) as progress:
        outcomes = run_all(clips, options, progress, tell)
    if json:
        print(json_module.dumps([_as_json(outcome) for outcome in outcomes], indent=1))
    if len(outcomes) == 1 and outcomes[0].error:
        raise outcomes[0].error
    return exit_code(outcomes)


def _summary(outcome: Outcome) -> str:
    scene = outcome.scene
    assert scene is not None
    people = f"{len(scene.people)} {'person' if len(scene.people) == 1 else 'people'}"
    return f"{outcome.clip}: {people}, {len(scene.clip.times)} frames in {outcome.seconds:.1f} s -> {outcome.folder}/"


def _as_json(outcome: Outcome) -> dict[str, Any]:
    if outcome.scene is None:
        error = outcome.error
        assert error is not None
        return {"clip": str(outcome.clip), "status": "failed", "exit_code": error.exit_code, "message": str(error)}
    return {
        "clip": str(outcome.clip),
        "status": "done",
        "folder": str(outcome.folder),
        "people": [motion.id for motion in outcome.scene.people],
        "frames": len(outcome.scene.clip.times),
        "seconds": round(outcome.seconds, 2),
        "quality": outcome.scene.quality,
        "warnings": outcome.scene.provenance["warnings"],
    }


def train_command(recipe: str, data: Path, out: Path, **choices: Any) -> int:
    """Run a training recipe and print where the weights lie."""
    if recipe != "videopose3d":
        raise UsageError(f"no recipe called {recipe!r}", "known: videopose3d")
    from training.videopose3d import main

    console.start_logging(quiet=False)
    print(main(data, out, **choices))
    return 0


def studio_command(scene: str, out: Path, **choices: Any) -> int:
    """Render a studio scene; `list` prints the names of all scenes."""
    from studio.scenes import SCENES
    from studio.write import main

    if scene == "list":
        print("\n".join(SCENES))
        return 0
    main(scene, out, **{name: value for name, value in choices.items() if value is not None})
    print(out)
    return 0


def bench_command(clip: Path, repeats: int) -> int:
    """Print frames per second of every stage: medians over several full runs into a temporary folder."""
    from pipeline.bench import measure, table

    console.start_logging(quiet=True)
    with console.progress(quiet=False) as progress:
        seconds, frames, device = measure(clip, repeats, progress)
    print(table(seconds, frames, device))
    return 0
