"""What each command of the command line does: call the pipeline, print results to stdout, messages to stderr."""

from __future__ import annotations

import dataclasses
import json as json_module
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import console
from pipeline.batch import Outcome, exit_code, run_all, run_views
from pipeline.errors import InputError, MissingError, UsageError
from pipeline.options import Options, of_one_clip
from pipeline.sources import called, expand, unfinished

STUDIO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv")  # containers of H.264 that keep frame times


def run_command(sources: Sequence[str], options: Options, json: bool, quiet: bool, views: bool = False) -> int:
    """Run clips, or one scene of which they are the views, and print where the results lie. Returns the exit code."""
    console.start_logging(quiet)
    if views:
        return _run_views(sources, options, json, quiet)
    of_one_clip(options)
    clips = expand(sources) if sources else unfinished(options.out)
    if not clips:
        print(f"nothing new in {options.out}/; drop a clip there, or name one", file=sys.stderr)
        if json:
            print("[]")
        return 0

    outcomes: list[Outcome] = []
    with console.progress(quiet) as progress:

        def tell(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if outcome.error and len(clips) > 1:
                console.say(f"error: {outcome.error}", sys.stderr)
            elif outcome.scene and not json:
                console.say(_summary(outcome), sys.stdout)
            if len(outcomes) < len(clips):
                progress.clip(clips[len(outcomes)].name, len(outcomes) + 1, len(clips))

        progress.clip(clips[0].name, 1, len(clips))
        several = bool(sources) and clips != [Path(source) for source in sources]  # a folder or glob, even of one clip
        run_all(clips, options, progress, tell, table=several)
    if json:
        print(json_module.dumps([_as_json(outcome) for outcome in outcomes], indent=1))
    if len(outcomes) == 1 and outcomes[0].error:
        raise outcomes[0].error
    return exit_code(outcomes)


def _run_views(sources: Sequence[str], options: Options, json: bool, quiet: bool) -> int:
    """One scene, called after the folder where one is given.

    Raises what a run of it raises, and UsageError where there are not several views.
    """
    clips = [clip for source in sources for clip in expand([source])]  # one that is there twice is a mistake
    if len(clips) < 2:
        given = f"given: {clips[0]} alone" if clips else "none is given"
        raise UsageError("--views needs the clips of at least two cameras", given)
    if options.name is None and len(sources) == 1 and Path(sources[0]).is_dir():
        options = dataclasses.replace(options, name=called(Path(sources[0])))
    with console.progress(quiet) as progress:
        outcome = run_views(clips, options, progress, progress.clip)
    if json:
        print(json_module.dumps([_as_json(outcome)], indent=1))
    else:
        console.say(_summary(outcome), sys.stdout)
    return 0


def _summary(outcome: Outcome) -> str:
    scene = outcome.scene
    assert scene is not None
    people = f"{len(scene.people)} {'person' if len(scene.people) == 1 else 'people'}"
    people += f" in {len(scene.views)} views" if scene.views else ""
    frames = f"{len(scene.clip.times)} {'frame' if len(scene.clip.times) == 1 else 'frames'}"
    name = Path(outcome.folder).name if scene.views else outcome.clip
    return f"{name}: {people}, {frames} in {outcome.seconds:.1f} s -> {outcome.folder}/"


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


def train_command(recipe: str, data: Path, out: Path | None, **choices: Any) -> int:
    """Run a training recipe and print where the weights lie; by default below runs/.

    `choices` are those of `training.run.command`; what is None is the recipe's own.

    Raises:
        UsageError: no such recipe (the nearest is suggested), or options that it does not have.
        InputError: data that cannot be used, or nothing to resume.
        MissingError: PyTorch or its company is not installed.
    """
    main = _recipe(recipe).main
    console.start_logging(quiet=False)
    wished = {name: value for name, value in choices.items() if value is not None}
    weights = main(data, out or Path("runs") / recipe, **wished)
    if int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0:  # of several processes, the first
        print(weights)
    return 0


def recipe_help(recipe: str) -> str:
    """What `--set` changes in a recipe. Raises UsageError and MissingError as `train_command`."""
    from training.settings import listed

    options = _recipe(recipe).Options
    return "\n".join([f"What --set changes in {recipe}, with its default.", "", *listed(options)])


def _recipe(name: str) -> Any:
    """A recipe's module. Raises UsageError and MissingError as `train_command`."""
    from pipeline.choices import choose
    from training import RECIPES

    try:
        return choose("recipe", name, RECIPES)
    except ModuleNotFoundError as error:
        hint = "pip install -r requirements-train.txt"
        raise MissingError("training needs PyTorch, which a run does not", str(error), hint) from error


def check_command(data: Path) -> int:
    """Print what a file or folder of training data holds and what is wrong with it.

    Returns the exit code: 0, or that of unreadable input when something is wrong. Raises InputError.
    """
    from training.datasets.check import check, text

    found = check(data)
    print(text(found))
    return InputError.exit_code if any(part.faults for part in found) else 0


def prepare_command(dataset: str, raw: Path, out: Path, **choice: Any) -> int:
    """Convert a raw distribution and print what was written.

    Raises:
        UsageError: no such data set (the nearest is suggested), or choices that it does not have.
        InputError: files that are missing, damaged or laid out differently.
        MissingError: a package that reads them is not installed.
    """
    from pipeline.choices import choose
    from training import PREPARED

    if not raw.is_dir():
        raise InputError(f"no folder {raw}")
    print("\n".join(choose("data set", dataset, PREPARED)(raw, out, **choice)))
    return 0


def evaluate_command(data: Path, predictions: Path, protocol: str, out: Path | None, mat: Path | None, json: bool,
                     drawing: dict[str, Any], **choice: Any) -> int:  # fmt: skip
    """Score stored predictions; print the table or JSON, and write files where asked. Or draw them.

    Raises:
        UsageError: no such protocol, options that do not go together, or a .mat of another data set than MPI-INF-3DHP.
        InputError: data, predictions or a video that are missing, damaged or do not fit each other.
    """
    from pipeline.files import atomic
    from training.evaluate import Choice, evaluate, export_mat, text
    from training.render import Rendering, render

    what = Rendering(**drawing)
    if what.path is not None:
        if out is not None or mat is not None or json:
            raise UsageError("--render draws instead of scoring", hint="leave --out, --mat and --json away")
        print("\n".join(render(protocol, data, predictions, Choice(**choice), what)))
        return 0
    if what != Rendering():
        raise UsageError("--viz-... options tell what --render draws", hint="--render FILM.mp4")
    if mat is not None and protocol != "mpi-inf-3dhp":
        raise UsageError("--mat is for MPI-INF-3DHP", f"the protocol is {protocol}")
    result = evaluate(protocol, data, predictions, Choice(**choice))
    if mat is not None:
        export_mat(mat, data, predictions)
    if out is not None:
        with atomic(out) as temporary:
            temporary.write_text(result.as_json() + "\n", encoding="utf-8")
    print(result.as_json() if json else text(result))
    return 0


def tracks_command(truth: Path, predictions: Path, view: int, out: Path | None, json: bool, **others: Any) -> int:
    """Score stored tracks; print the table or JSON, and write JSON where asked. `others` must not be given.

    Raises:
        UsageError: options of other evaluations.
        InputError: files that are missing, damaged, without ids, or of other frames.
        MissingError: the packages that count are not installed.
    """
    from pipeline.files import atomic
    from training.evaluate_tracks import as_json, evaluate, text

    if given := [f"--{name.replace('_', '-')}" for name, value in others.items() if value]:
        raise UsageError(f"{given[0]} is of the protocols of data sets", "--tracks has one", "leave it away")
    found = evaluate(truth, predictions, view)
    if out is not None:
        with atomic(out) as temporary:
            temporary.write_text(as_json(found) + "\n", encoding="utf-8")
    print(as_json(found) if json else text(found))
    return 0


def studio_command(scene: str, out: Path, **choices: Any) -> int:
    """Render a studio scene; `list` prints the names of all scenes. Raises UsageError."""
    from studio.scenes import SCENES
    from studio.write import main

    if scene == "list":
        print("\n".join(SCENES))
        return 0
    if out.suffix.lower() not in STUDIO_SUFFIXES:
        raise UsageError(f"cannot write a clip called {out.name}", f"known endings: {' '.join(STUDIO_SUFFIXES)}")
    main(scene, out, **{name: value for name, value in choices.items() if value is not None})
    print(out)
    return 0


def sync_command(videos: Sequence[Path], options: Options, cameras: Path | None, json: bool, quiet: bool) -> int:
    """Print the offsets and rates of the clocks of videos of one scene.

    Returns the exit code: 0, or that of unusable input when a video's clock cannot be told. Raises VideoposeError.
    """
    from pipeline.runner import Runner
    from pipeline.syncing import as_json, sync, table

    console.start_logging(quiet)
    with console.progress(quiet) as progress:

        def tell(number: int) -> None:
            progress.clip(videos[number].name, number + 1, len(videos))

        clocks, infos = sync(Runner(options, progress), videos, cameras, tell)
    print(json_module.dumps(as_json(clocks, infos), indent=1) if json else table(clocks, infos))
    return 0 if clocks.reliable.all() else InputError.exit_code


def calibrate_command(videos: Sequence[Path], board: str, quiet: bool, **choices: Any) -> int:
    """Calibrate the cameras of videos that show a board; prints a table and where the rig lies.

    Raises:
        UsageError, InputError, OutputError: as `pipeline.calibrating.run`.
    """
    from pipeline.calibrating import run
    from pipeline.calibration import Request, table

    console.start_logging(quiet)
    request = Request(tuple(videos), board, **choices)
    with console.progress(quiet) as progress:
        rig = run(request, progress)
    for text in rig.warnings:
        console.say(f"warning: {text}", sys.stderr)
    print(table(rig))
    print(f"\n{request.out}, {request.out.with_suffix('.json').name}, {request.out.with_suffix('.png').name}")
    return 0


def bench_command(clip: Path, repeats: int) -> int:
    """Print frames per second of every stage: medians over several full runs into a temporary folder."""
    if repeats < 1:
        raise UsageError(f"--repeats {repeats}: at least one run is needed")
    from pipeline.bench import measure, table

    console.start_logging(quiet=True)
    with console.progress(quiet=False) as progress:
        seconds, frames, device = measure(clip, repeats, progress)
    print(table(seconds, frames, device))
    return 0
