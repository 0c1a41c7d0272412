"""Video in, 3D human motion out. The command line: parse, call, print."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from checkpoints.commands import app as checkpoints

app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Video in, 3D human motion out. Drop clips into outputs/ and run without arguments, or name them.",
    epilog="A first argument that is no command means `run`. Results lie in outputs/<clip>/. "
    "Options of a run: run --help. --debug, with any command, shows an error's traceback.",
)
app.add_typer(checkpoints, name="checkpoints")
Out = Annotated[Path, typer.Option("--out", help="Folder for results.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors.")]


@app.command()
def run(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Files, folders or globs; none: what is new in outputs/.")
    ] = None,
    detector: Annotated[str, typer.Option(help="Finds people and their keypoints: docs/detectors.md.")] = "blazepose",
    model: Annotated[str | None, typer.Option(help="Which of the detector's models: docs/detectors.md.")] = None,
    detector_weights: Annotated[Path | None, typer.Option(help="The detector's weights, in place of its own.")] = None,
    device: Annotated[str, typer.Option(help="Of the detector: auto, cpu or cuda.")] = "auto",
    keypoints: Annotated[
        Path | None, typer.Option(help="File or folder of 2D keypoints, for a detector that reads them.")
    ] = None,
    tracker: Annotated[str, typer.Option(help="Follows people from frame to frame: docs/trackers.md.")] = "offline",
    lifter: Annotated[
        str, typer.Option(help="2D to 3D: videopose3d, rie, pstmo, pstmo-fast, motionbert, or blazepose.")
    ] = "videopose3d",
    weights: Annotated[Path | None, typer.Option(help="The lifter's weights, as its authors released them.")] = None,
    person: Annotated[str, typer.Option(help="all, largest, longest, central, complete, first, or an id.")] = "all",
    height: Annotated[float | None, typer.Option(help="Body height in metres; sets the scale.")] = None,
    fov: Annotated[float | None, typer.Option(help="Field of view across the longer side, in degrees.")] = None,
    focal: Annotated[float | None, typer.Option(help="Focal length in pixels.")] = None,
    cutoff: Annotated[float, typer.Option(help="Smoothing cut-off in Hz; 0: none.")] = 6.0,
    formats: Annotated[str, typer.Option(help="Of mp4,gif,npz,csv,alphapose,openpose,coco.")] = "mp4,npz,csv",
    out: Out = Path("outputs"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do finished stages again.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Nobody found is an error.")] = False,
    views: Annotated[bool, typer.Option("--views", help="The clips are views of one scene.")] = False,
    cameras: Annotated[
        Path | None, typer.Option(help="Of --views: the calibrated rig; without it the cameras are found.")
    ] = None,
    sync: Annotated[str, typer.Option(help="Of --views: auto; none: synchronous, or as the rig says.")] = "auto",
    moving: Annotated[str, typer.Option(help="Of --views without --cameras: which move: auto, all, none.")] = "auto",
    name: Annotated[str | None, typer.Option(help="Of --views: the result folder's name.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Results as JSON on stdout.")] = False,
    quiet: Quiet = False,
) -> None:
    """Clips in, a film and files out (the default command)."""
    from pipeline.command import run_command
    from pipeline.options import Options

    options = Options(
        out=out, detector=detector, model=model, detector_weights=detector_weights, device=device,
        keypoints=keypoints, tracker=tracker, lifter=lifter, weights=weights, person=person,
        height_m=height, fov_deg=fov, focal_px=focal, cutoff_hz=cutoff,
        formats=tuple(f.strip() for f in formats.split(",") if f.strip()), overwrite=overwrite, strict=strict,
        cameras=cameras, sync=sync, moving=moving, name=name,
    )  # fmt: skip
    raise typer.Exit(run_command(sources or [], options, views=views, json=json, quiet=quiet))


@app.command(add_help_option=False)
def train(
    context: typer.Context,
    recipe: Annotated[
        str | None,
        typer.Argument(help="videopose3d, videopose3d-h36m, videopose3d-semi, rie, pstmo, motionbert, mdvpose."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Motion capture (.npz); the papers' recipes take Human3.6M's folder, too.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for checkpoints and logs; default: runs/RECIPE.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps (of each stage); default: the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[int | None, typer.Option(min=1, help="Processes of a machine, a GPU or a core each.")] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Machines; start them with torchrun.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="32-true, bf16-mixed or 16-mixed; default: the recipe's.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same weights, on one machine.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in --out.")] = False,
    tiny: Annotated[bool, typer.Option("--tiny", help="Seconds instead of hours, to see that it runs.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="The log for TensorBoard, too.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="name=value of one of the recipe's options; may be repeated.")
    ] = None,
    check: Annotated[Path | None, typer.Option(help="Say what a data file or folder holds, and train nothing.")] = None,
    help: Annotated[bool, typer.Option("--help", help="Show this; with a RECIPE what --set changes in it.")] = False,
) -> None:
    """Train a lifter's weights. `train RECIPE --help` lists what --set changes."""
    if help and recipe is None:
        print(context.get_help())
        raise typer.Exit()
    from pipeline.command import check_command, recipe_help, train_command
    from pipeline.errors import UsageError

    if help:
        print(recipe_help(recipe))
        raise typer.Exit()
    if check is not None:
        raise typer.Exit(check_command(check))
    if recipe is None or data is None:
        raise UsageError("train needs a recipe and --data, or --check", hint="python videopose.py train --help")
    choices = {"steps": steps, "seed": seed, "resume": resume, "tiny": tiny, "settings": settings or ()}
    places = {"device": device, "devices": devices, "nodes": nodes, "precision": precision, "tensorboard": tensorboard}
    raise typer.Exit(train_command(recipe, data, out, **choices, **places))


@app.command()
def prepare(
    dataset: Annotated[str, typer.Argument(help="human36m, mpi-inf-3dhp or ski-pose.")],
    raw: Annotated[Path, typer.Argument(help="The folder with what the licence holder offers.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the converted files.")],
    subjects: Annotated[str | None, typer.Option(help="Like S9,S11; default: all.")] = None,
    cameras: Annotated[
        Path | None, typer.Option(help="Human3.6M's camera table; default: the one in --out or RAW.")
    ] = None,
) -> None:
    """Convert a raw data set into the files that train and evaluate read."""
    from pipeline.command import prepare_command

    raise typer.Exit(prepare_command(dataset, raw, out, subjects=_names(subjects), cameras=cameras))


@app.command()
def evaluate(
    data: Annotated[Path, typer.Argument(help="The data set's folder, or its file; with --tracks the truth.")],
    predictions: Annotated[
        Path, typer.Option(help=".npz with subject/action/camera -> (T,K,3); with --tracks a file of tracks.")
    ],
    protocol: Annotated[
        str | None,
        typer.Option(
            help="human36m (VideoPose3D's, the default), human36m-motionbert, humaneva, mpi-inf-3dhp, ski-pose, "
            "egobody."
        ),
    ] = None,
    tracks: Annotated[
        bool, typer.Option("--tracks", help="Score 2D tracks of a clip instead: MOTA, IDF1, HOTA, PoseTrack, OKS AP.")
    ] = False,
    view: Annotated[int, typer.Option(min=1, help="Of --tracks: which camera of files of several.")] = 1,
    keypoints: Annotated[str | None, typer.Option(help="The 2D that was lifted, like gt or cpn_ft_h36m_dbb.")] = None,
    subjects: Annotated[str | None, typer.Option(help="Like S9,S11; default: the papers'.")] = None,
    actions: Annotated[str | None, typer.Option(help="Beginnings of names, like Walk,Sitting.")] = None,
    cameras: Annotated[Path | None, typer.Option(help="Camera table; default: the one beside the data.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="JSON to write.")] = None,
    mat: Annotated[Path | None, typer.Option(help="inference_data.mat to write, for 3DHP's own script.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    render: Annotated[
        Path | None, typer.Option(help="Draw instead: FILM.mp4 or .gif of one sequence, or a folder for all.")
    ] = None,
    viz_subject: Annotated[str | None, typer.Option(help="Whom to draw, like S9.")] = None,
    viz_action: Annotated[str | None, typer.Option(help="What to draw, like 'Walking 1'.")] = None,
    viz_camera: Annotated[str | None, typer.Option(help="From where, like 54138969.")] = None,
    viz_video: Annotated[Path | None, typer.Option(help="The sequence's video, to draw the 2D on.")] = None,
    viz_skip: Annotated[int, typer.Option(min=0, help="Frames of the video before the data's first.")] = 0,
    viz_limit: Annotated[int | None, typer.Option(min=1, help="Frames of the film.")] = None,
    viz_downsample: Annotated[int, typer.Option(min=1, help="Frames of the data to each of the film.")] = 1,
    viz_size: Annotated[int, typer.Option(min=120, max=2160, help="Height of the film in pixels.")] = 540,
    viz_no_ground_truth: Annotated[bool, typer.Option("--viz-no-ground-truth", help="Leave the truth away.")] = False,
) -> None:
    """Score 3D predictions by a paper's protocol, or draw them; --tracks: 2D tracks."""
    from pipeline.command import evaluate_command, tracks_command

    if tracks:
        others = {"protocol": protocol, "keypoints": keypoints, "subjects": subjects, "actions": actions,
                  "cameras": cameras, "mat": mat, "render": render}  # fmt: skip
        raise typer.Exit(tracks_command(data, predictions, view, out, json, **others))
    drawing = {
        "path": render, "subject": viz_subject, "action": viz_action, "camera": viz_camera, "video": viz_video,
        "skip": viz_skip, "limit": viz_limit, "downsample": viz_downsample, "size": viz_size,
        "truth": not viz_no_ground_truth,
    }  # fmt: skip
    raise typer.Exit(
        evaluate_command(
            data, predictions, protocol or "human36m", out, mat, json, drawing,
            detector=keypoints, subjects=_names(subjects), actions=_names(actions), cameras=cameras,
        )
    )  # fmt: skip


@app.command()
def studio(
    scene: Annotated[str, typer.Argument(help="Name of a scene; `list` names them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The clip to write; its truth is written beside it.")] = Path(
        "clip.mp4"
    ),
    seed: Annotated[int, typer.Option(help="Bodies, clothes, noise.")] = 0,
    fps: Annotated[float | None, typer.Option(help="Frames per second.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Duration.")] = None,
    mocap: Annotated[str | None, typer.Option(help="FILE or FILE:CLIP, for the scene `mocap`.")] = None,
) -> None:
    """Render a synthetic clip with exact 3D truth."""
    from pipeline.command import studio_command

    raise typer.Exit(studio_command(scene, out, seed=seed, fps=fps, seconds=seconds, mocap=mocap))


@app.command()
def sync(
    videos: Annotated[list[Path], typer.Argument(help="Videos of one scene; the first one's clock is the scene's.")],
    cameras: Annotated[Path | None, typer.Option(help="Their calibration, for offsets far below a frame.")] = None,
    out: Out = Path("outputs"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do finished stages again.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    quiet: Quiet = False,
) -> None:
    """Tell when several cameras' videos show the same moment, from the people's motion and sound."""
    from pipeline.command import sync_command
    from pipeline.options import Options

    raise typer.Exit(sync_command(videos, Options(out=out, overwrite=overwrite, formats=()), cameras, json, quiet))


@app.command()
def calibrate(
    videos: Annotated[list[Path], typer.Argument(help="One per camera: videos of the board, or folders of pictures.")],
    board: Annotated[
        str, typer.Option(help="charuco:5x7:60mm:45mm:DICT_4X4_50, checkerboard:7x4:60mm (inner corners), or a .toml.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The rig file; a .json and .png lie beside it.")] = Path(
        "rig.toml"
    ),
    cameras: Annotated[Path | None, typer.Option(help="A rig file with known lenses.")] = None,
    intrinsics_from: Annotated[
        Path | None, typer.Option(help="Folder with pictures or videos for the lenses, named after the videos.")
    ] = None,
    intrinsics_board: Annotated[str | None, typer.Option(help="The board in them; default: the same.")] = None,
    timestamps: Annotated[
        Path | None, typer.Option(help="CSV: sync_index, cam_id[, frame_index]; else frames match by number.")
    ] = None,
    floor: Annotated[int | None, typer.Option(min=0, help="Frame in which the board lies on the floor.")] = None,
    step: Annotated[int | None, typer.Option(min=1, help="Every how many frames; default: at most 400.")] = None,
    fisheye: Annotated[bool, typer.Option("--fisheye", help="The lenses are fisheyes.")] = False,
    quiet: Quiet = False,
) -> None:
    """Cameras from a board that they filmed together: lenses, places, scale."""
    from pipeline.command import calibrate_command

    raise typer.Exit(
        calibrate_command(
            videos, board, out=out, cameras=cameras, intrinsics_from=intrinsics_from,
            intrinsics_board=intrinsics_board, timestamps=timestamps, floor=floor, step=step, fisheye=fisheye,
            quiet=quiet,
        )
    )  # fmt: skip


@app.command()
def bench(
    clip: Annotated[Path, typer.Argument(help="The clip to time.")] = Path("outputs/sample.mp4"),
    repeats: Annotated[int, typer.Option(help="Runs; the median counts.")] = 3,
) -> None:
    """Time every stage on this machine."""
    from pipeline.command import bench_command

    raise typer.Exit(bench_command(clip, repeats))


@app.command()
def doctor() -> None:
    """Say what works on this machine: versions, device, codecs, weights, disk."""
    from pipeline.doctor import examine

    raise typer.Exit(examine())


def _names(text: str | None) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text is not None else None


def _with_default_command(arguments: list[str]) -> list[str]:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    commands |= {group.name for group in app.registered_groups if group.name}
    if arguments[:1] and (arguments[0] in commands or arguments[0] in ("--help", "-h")):
        return ["--help", *arguments[1:]] if arguments[0] == "-h" else arguments
    _check_command(arguments[:1], commands)
    return ["run", *arguments]


def _check_command(first: list[str], commands: set[str]) -> None:
    """Raise UsageError for what looks like a mistyped command and is no clip."""
    from difflib import get_close_matches

    from pipeline.errors import UsageError

    near = get_close_matches(first[0], commands, n=1, cutoff=0.7) if first and "." not in first[0] else []
    if near and not Path(first[0]).exists():
        raise UsageError(f"there is no command and no clip called {first[0]}", hint=f"videopose.py {near[0]}")


def main(arguments: list[str] | None = None) -> None:
    """Run one command line; always ends in SystemExit with the code of the design: 0 to 5, or 130 when interrupted."""
    from pipeline.errors import VideoposeError

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    logging.getLogger("videopose").setLevel(logging.DEBUG if debug else logging.NOTSET)
    try:
        app(_with_default_command([argument for argument in arguments if argument != "--debug"]))
    except VideoposeError as error:
        _show(error, f"error: {error}", debug)
        raise SystemExit(error.exit_code) from None
    except Exception as error:  # the last resort: a short message instead of a page
        _show(error, _unexpected(error), debug)
        raise SystemExit(1) from None


def _show(error: Exception, text: str, debug: bool) -> None:
    import traceback

    if debug:
        traceback.print_exception(error)
    print(text, file=sys.stderr)


def _unexpected(error: Exception) -> str:
    """Three lines about an error that nobody foresaw."""
    import traceback

    place = traceback.extract_tb(error.__traceback__)[-1]
    what = (str(error).strip() or "no message").splitlines()[0]
    where = f"in {place.name}, {place.filename} line {place.lineno}"
    return f"error: unexpected {type(error).__name__}: {what}\n  {where}\n  --debug shows the traceback"


if __name__ == "__main__":
    main()
