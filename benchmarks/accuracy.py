"""How accurate is the 3D? Prints tables in Markdown.

python -m benchmarks.accuracy balance --data ../shared/data    one real camera at a time against a four-camera reference
python -m benchmarks.accuracy mocap --data ../shared/data      lifting alone, on the fixed test subjects of score.py
python -m benchmarks.accuracy rates --data ../shared/data      the same at other frame rates, fast frames apart
python -m benchmarks.accuracy studio                           whole runs on rendered scenes with exact truth

The second and third take another lifter and its weights too: --lifter pstmo-fast --weights runs/pstmo/stage_2.bin;
the second puts its figures into a card of weights: --card runs/videopose3d/cards/videopose3d-open.toml
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import linear_sum_assignment

from checkpoints.card import write_accuracy
from checkpoints.store import sha256
from motion.clean import clean
from motion.place import placement
from pipeline.choices import lifter_class
from pipeline.measures import jitter
from pipeline.options import Options
from pipeline.projection import to_camera
from pipeline.results import Array, Camera, Motion3D, Scene, Track2D
from pipeline.runner import Runner
from pipeline.skeletons import skeleton
from studio.truth import Truth
from training.metrics import mpjpe, p_mpjpe

LIMBS = [
    f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
]
NEEDS = {"balance": "balance_4views/reference.trc", "mocap": "mocap/score.py", "rates": "mocap/score.py"}
LIFTERS = ("videopose3d", "blazepose")
RATES = (12.5, 25.0, 30.0, 50.0)
SCORE_CAMERA = Camera(np.array([[1100.0, 0, 500], [0, 1100, 500], [0, 0, 1]]), (1000, 1000))  # of score.py
ACCURACY_NOTE = "Errors over joints 0-16 in mm on test subjects never trained on; 2D exact and with noise."


def main(given: Sequence[str] | None = None) -> None:
    """Parse the command line and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*TABLES, *LIFTS])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--lifter", help="of mocap and rates; by default videopose3d")
    parser.add_argument("--weights", type=Path, help="of mocap and rates")
    parser.add_argument("--card", type=Path, help="of mocap: a card of weights that gets the figures of the lift")
    arguments = parser.parse_args(given)
    if arguments.card and (arguments.what != "mocap" or not arguments.card.is_file() or not arguments.weights):
        parser.error("--card is of mocap and of --weights, and an existing file")
    if arguments.card and f'"{sha256(arguments.weights)}"' not in arguments.card.read_text(encoding="utf-8"):
        parser.error(f"{arguments.card} is not the card of {arguments.weights}: another sha256")
    if arguments.what in TABLES and (arguments.lifter or arguments.weights):
        parser.error(
            f"{arguments.what} compares {' and '.join(LIFTERS)}; --lifter and --weights are of mocap and rates"
        )
    if arguments.what in NEEDS and not (arguments.data / NEEDS[arguments.what]).is_file():
        raise SystemExit(f"error: {arguments.data / NEEDS[arguments.what]} is not here; --data names its folder")
    if arguments.what in LIFTS:
        lifter = lifter_class(arguments.lifter or "videopose3d", arguments.weights)
        figures = LIFTS[arguments.what](arguments.data, lifter(arguments.weights))
        if arguments.card:
            write_accuracy(arguments.card, ACCURACY_NOTE, figures)
        return
    with tempfile.TemporaryDirectory(prefix="videopose-accuracy-") as scratch:
        TABLES[arguments.what](arguments.data, Path(scratch))


def balance(data: Path, scratch: Path) -> None:
    """P-MPJPE over 12 limb joints per camera of balance_4views, all frames counted, against reference.trc."""
    reference = read_trc(data / "balance_4views" / "reference.trc")
    runners = {name: Runner(Options(out=scratch, lifter=name, formats=())) for name in LIFTERS}
    print("| lifter | camera 1 | camera 2 | camera 3 | camera 4 | mean |\n|---|---|---|---|---|---|")
    for name, runner in runners.items():
        errors = []
        for number in range(1, 5):
            scene = runner.run(data / "balance_4views" / "videos" / f"cam{number:02d}.mp4")
            errors.append(balance_error(scene, reference))
        print(f"| {name} | " + " | ".join(f"{e:.1f}" for e in [*errors, float(np.mean(errors))]) + " |")


def balance_error(scene: Scene, reference: dict[str, Array]) -> float:
    """Mean over all frames in mm for the person who is largest in the picture and must be there in every frame."""
    heights = [
        np.nanmedian(np.nanmax(t.keypoints[..., 1], 1) - np.nanmin(t.keypoints[..., 1], 1)) for t in scene.tracks
    ]
    person = int(np.argmax(heights))
    motion, truth = scene.people[person], np.stack([reference[name] for name in LIMBS], axis=1)
    if not np.array_equal(motion.frames, np.arange(len(truth))):
        raise SystemExit(f"{scene.clip.path}: person {motion.id} is there in {len(motion)} of {len(truth)} frames")
    joints = motion.joints[:, skeleton(motion.skeleton).index(*LIMBS)]
    return 1000 * float(np.mean(p_mpjpe_per_frame(joints, truth)))


def p_mpjpe_per_frame(predicted: Array, truth: Array) -> Array:
    """(T,K,3), (T,K,3) m -> (T,) m after similarity alignment of each frame."""
    return np.array([p_mpjpe(p[None], t[None]) for p, t in zip(predicted, truth, strict=True)])


def read_trc(path: Path) -> dict[str, Array]:
    """Markers of a TRC file by our joint names, (T,3) metres, Z up."""
    lines = path.read_text(encoding="utf-8").splitlines()
    markers = [name for name in lines[3].split("\t")[2:] if name]
    values = np.array([[float(x) for x in line.split("\t")[2:] if x] for line in lines[5:] if line.strip()])
    points = values.reshape(len(values), len(markers), 3)[..., [2, 0, 1]]
    sides = {"L": "left_", "R": "right_"}
    return {
        sides.get(n[0], "") + n[1:].lower() if n[0] in sides else n.lower(): points[:, i] for i, n in enumerate(markers)
    }


def mocap(data: Path, lifter: Any) -> dict[str, float]:
    """The fixed test subjects of score.py, exact and noisy 2D: the lift, and what a run makes of it.

    Returns the means of the lift by name, as a card has them.
    """
    figures: dict[str, float] = {}
    score = load_script(data / "mocap" / "score.py")
    print("| 2D | pose | P-MPJPE mm | N-MPJPE mm | MPJPE mm | frames |\n|---|---|---|---|---|---|")
    for noise in (False, True):
        errors: dict[str, list[list[Array]]] = {"lifted": [], "placed and cleaned": []}
        for _, pixels, joints in score.views(noise=noise):
            motion, track, times = _lift(lifter, pixels)
            for name, predicted in (("lifted", motion.joints), ("placed and cleaned", _finished(motion, track, times))):
                known = np.isfinite(predicted).all((1, 2))
                pair = predicted[known, :17], joints[known, :17]
                errors[name].append([metric(*pair) for metric in (score.pmpjpe, score.n_mpjpe, score.mpjpe)])
        for name, rows in errors.items():
            columns = [1000 * np.concatenate(column) for column in zip(*rows, strict=True)]
            means = [float(column.mean()) for column in columns]
            cells = " | ".join(f"{mean:.1f}" for mean in means)
            print(f"| {'with noise' if noise else 'exact'} | {name} | {cells} | {len(columns[0])} |", flush=True)
            if name == "lifted":
                kind = "noise" if noise else "exact"
                figures |= {f"{m}_{kind}_mm": v for m, v in zip(("p_mpjpe", "n_mpjpe", "mpjpe"), means, strict=True)}
    return figures


def _lift(lifter: Any, pixels: Array, fps: float = 30.0) -> tuple[Motion3D, Track2D, Array]:
    """(T,23,2) px of h36m-23 -> motion relative to the pelvis, the track it was lifted from, times (T,) s."""
    from lifters.videopose3d import track_from_h36m

    frames = np.arange(len(pixels), dtype=np.int32)
    track, times = track_from_h36m(pixels, frames), frames / fps
    return lifter.lift(track, SCORE_CAMERA, times), track, times


def _finished(motion: Motion3D, track: Track2D, times: Array) -> Array:
    """(T,K,3) m in the camera's axes, as the end of a run has it."""
    placed = placement([motion], [track], SCORE_CAMERA, times)
    return to_camera(placed.camera, clean(placed.motions, times)[0].joints)


def rates(data: Path, lifter: Any) -> None:
    """The test subjects as cameras of other frame rates see them: recorded motion at the moments of their frames."""
    score = load_script(data / "mocap" / "score.py")
    print("| frames/s | P-MPJPE mm, all frames | the fastest tenth | frames |\n|---|---|---|---|")
    for fps in RATES:
        errors, speeds = [], []
        for _, _, joints in itertools.islice(score.views(), 0, None, 3):
            moments = np.arange(0, (len(joints) - 1) / 30, 1 / fps)
            spline = CubicSpline(np.arange(len(joints)) / 30, joints.astype(float))
            seen = spline(moments)
            pixels = 1100 * seen[..., :2] / seen[..., 2:] + 500
            errors.append(score.pmpjpe(_lift(lifter, pixels, fps)[0].joints[:, :17], seen[:, :17]))
            moving = spline(moments, 1)[:, :17]
            speeds.append(np.linalg.norm(moving - moving[:, :1], axis=-1).mean(axis=1))
        error, speed = 1000 * np.concatenate(errors), np.concatenate(speeds)
        fast = error[speed >= np.quantile(speed, 0.9)]
        print(f"| {fps:g} | {error.mean():.1f} | {fast.mean():.1f} | {len(error)} |", flush=True)


SCENES = ("walk", "run", "turn", "wave", "squat", "jump", "sit", "dance", "crossing4")
TRAINED = ("turn", "squat", "jump", "sit")  # training holds studio motions of this kind, other bodies and cameras
SEED = 101  # bodies, clothes and noise that nothing was tuned on


def studio(data: Path, scratch: Path) -> None:
    """Whole runs on rendered scenes, focal length given, body height not: errors against exact truth."""
    from studio.scenes import build
    from studio.write import write

    print(
        "| scene | motion trained | lifter | people | frames | MPJPE mm | P-MPJPE mm | root error mm | jitter | true |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in SCENES:
        scene = build(name, seed=SEED)
        clip = scratch / f"{name}.mp4"
        write(scene, clip)
        focal = float(scene.cameras[0](0.0).matrix[0, 0])
        for lifter in LIFTERS:
            result = Runner(Options(out=scratch, lifter=lifter, focal_px=focal, formats=())).run(clip)
            kind = "kind" if name in TRAINED else "no"
            people = f"{len(result.people)} of {len(scene.actors)}"
            print(
                f"| {name} | {kind} | {lifter} | {people} | {_against_truth(result, scene.truth('h36m-23'))} |",
                flush=True,
            )


def _against_truth(result: Scene, truth: Truth) -> str:
    """Share of all actors' frames in which the person who is that actor is there, and the errors over those."""
    true = np.stack([to_camera(c, truth.joints[:, t]) for t, c in enumerate(truth.cameras[0])], axis=1)
    ours = np.full((len(result.people), *true.shape[1:]), np.nan)
    for row, motion in zip(ours, result.people, strict=True):
        row[motion.frames] = to_camera(result.camera, motion.joints)
    rays = [joints[:, :, 0, :2] / joints[:, :, 0, 2:] for joints in (ours, true)]
    apart = np.nanmean(np.linalg.norm(rays[0][:, None] - rays[1][None], axis=-1), axis=2)
    rows, there = [], 0
    for person, actor in zip(*linear_sum_assignment(apart), strict=True):
        known = np.isfinite(ours[person]).all((1, 2))
        there += int(known.sum())
        rows.append(_figures(ours[person][known, :17], true[actor][known, :17], truth.times[known]))
    means = " | ".join(f"{value:.1f}" for value in np.mean(rows, axis=0))
    return f"{there / true[..., 0, 0].size:.1%} | {means}"


def _figures(ours: Array, true: Array, times: Array) -> list[float]:
    relative, wanted = ours - ours[:, :1], true - true[:, :1]
    root = np.linalg.norm(ours[:, 0] - true[:, 0], axis=-1).mean()
    errors = [mpjpe(relative, wanted), p_mpjpe_per_frame(ours, true).mean(), root]
    return [1000 * float(e) for e in errors] + [jitter(ours, times), jitter(true, times)]


def load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("score", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES = {"balance": balance, "studio": studio}
LIFTS = {"mocap": mocap, "rates": rates}


if __name__ == "__main__":
    main()
