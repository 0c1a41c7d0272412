"""Whole runs of several cameras, as `videopose.py --views` makes them. Prints tables in Markdown.

python -m benchmarks.multiview balance --data ../shared/data    four real cameras, known and unknown, all and two
python -m benchmarks.multiview time --data ../shared/data       what joining the views costs beside their own stages
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy import LIMBS, p_mpjpe_per_frame, read_trc
from multiview.procrustes import align
from multiview.rig import load_rig
from multiview.rig_fit import fit_rig
from pipeline.clip import open_clip
from pipeline.clip_stages import ClipStages
from pipeline.ledger import Ledger
from pipeline.options import Options
from pipeline.results import Array, Camera, Scene
from pipeline.runner import Runner, claim_folder
from pipeline.skeletons import skeleton

CASES: tuple[tuple[str, tuple[int, ...], dict[str, Any]], ...] = (
    ("known, OpenPose", (1, 2, 3, 4), {"detector": "openpose", "known": True}),
    ("known, BlazePose", (1, 2, 3, 4), {"known": True}),
    ("known, BlazePose", (1, 3), {"known": True}),
    ("unknown, BlazePose", (1, 2, 3, 4), {}),
    ("unknown, BlazePose", (1, 3), {}),
)


def main(given: Sequence[str] | None = None) -> None:
    """Parse the command line and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["balance", "time"])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--sync", default="auto", choices=["auto", "none"], help="as of a run")
    arguments = parser.parse_args(given)
    folder = arguments.data / "balance_4views"
    if not (folder / "reference.trc").is_file():
        raise SystemExit(f"error: {folder / 'reference.trc'} is not here; --data names its folder")
    with tempfile.TemporaryDirectory(prefix="videopose-views-") as scratch:
        (balance if arguments.what == "balance" else timing)(folder, Path(scratch), arguments.sync)


def balance(folder: Path, scratch: Path, sync: str) -> None:
    """P-MPJPE over 12 limb joints and all frames against reference.trc, and the rig against the given one."""
    reference = read_trc(folder / "reference.trc")
    truth = np.stack([reference[name] for name in LIMBS], axis=1)
    print("| cameras | views | P-MPJPE mm | absolute mm | rotation deg | focal % | position % | reprojection px |")
    print("|---|---|---|---|---|---|---|---|")
    for name, numbers, choices in CASES:
        scene = run(folder, scratch, numbers, sync, **choices)
        person = scene.people[0]
        if not np.array_equal(person.frames, np.arange(len(truth))):
            raise SystemExit(f"{name}: person 1 is there in {len(person)} of {len(truth)} frames")
        joints = person.joints[:, skeleton(person.skeleton).index(*LIMBS)].astype(float)
        error = 1000 * float(np.mean(p_mpjpe_per_frame(joints, truth)))
        away = 1000 * float(np.linalg.norm(joints - truth, axis=-1).mean())
        known = bool(choices.get("known"))
        rig = ["-"] * 3 if known else [f"{value:.1f}" for value in rig_errors(scene, folder, numbers)]
        pixels = scene.quality["people"][0]["reprojection_error_px"]
        views = " ".join(map(str, numbers))
        print(f"| {name} | {views} | {error:.1f} | {f'{away:.1f}' if known else '-'} | {' | '.join(rig)} | {pixels} |")


def run(
    folder: Path, scratch: Path, numbers: Sequence[int], sync: str, known: bool = False, detector: str = "blazepose"
) -> Scene:
    """One run of the program, without films and files."""
    options: dict[str, Any] = {"cameras": folder / "cameras.toml"} if known else {}
    if detector == "openpose":
        options["keypoints"] = folder / "openpose_json"
    name = f"{detector}-{known}-{len(numbers)}"
    runner = Runner(Options(out=scratch, formats=(), detector=detector, sync=sync, name=name, **options))
    return runner.run_views([folder / "videos" / f"cam{number:02d}.mp4" for number in numbers])


def rig_errors(scene: Scene, folder: Path, numbers: Sequence[int]) -> tuple[float, float, float]:
    """Largest errors after one similarity: degrees, per cent of the focal length, per cent of the rig's size."""
    found = [view.camera for view in scene.views]
    names = [f"cam{number:02d}.mp4" for number in numbers]
    given, _ = fit_rig(load_rig(folder / "cameras.toml")[0], [camera.size for camera in found], names)
    places = [np.stack([camera.camera_to_world[:3, 3] for camera in rig]) for rig in (found, given)]
    turn, fitted = _onto(found, given, places)
    size = max(float(np.linalg.norm(a - b)) for a in places[1] for b in places[1])
    rotations = [
        _degrees(turn @ f.camera_to_world[:3, :3], g.camera_to_world[:3, :3]) for f, g in zip(found, given, strict=True)
    ]
    focal = [abs(f.matrix[0, 0] / g.matrix[0, 0] - 1) for f, g in zip(found, given, strict=True)]
    return max(rotations), 100 * max(focal), 100 * float(np.linalg.norm(fitted - places[1], axis=1).max()) / size


def _onto(found: Sequence[Camera], given: Sequence[Camera], places: Sequence[Array]) -> tuple[Array, Array]:
    """The rotation of the similarity that fits the rig's centres and axes, and the centres after it."""
    size = float(np.linalg.norm(places[1] - places[1].mean(0), axis=1).mean())
    own = size * float(np.linalg.norm(places[0] - places[0].mean(0), axis=1).mean()) / size
    axes = [np.concatenate([c.camera_to_world[:3, 3] + s * c.camera_to_world[:3, :3].T for c in rig])
            for rig, s in ((found, own), (given, size))]  # fmt: skip
    fit = align(np.concatenate([places[0], axes[0]]), np.concatenate([places[1], axes[1]]), scale=True)
    return fit.rotation, fit.scale * places[0] @ fit.rotation.T + fit.shift


def _degrees(one: Array, other: Array) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(one.T @ other) - 1) / 2, -1, 1))))


def timing(folder: Path, scratch: Path, sync: str) -> None:
    """Known cameras, no film: the whole run against opening, detecting and tracking in each view by itself."""
    options: dict[str, Any] = {"formats": (), "overwrite": True, "sync": sync, "cameras": folder / "cameras.toml"}
    runner = Runner(Options(out=scratch, **options))
    paths = [folder / "videos" / f"cam{number:02d}.mp4" for number in (1, 2, 3, 4)]
    runner.run_views(paths)  # loads the models; not counted
    print("| round | 2D stages of four views, s | whole run, s | more |\n|---|---|---|---|")
    shares = []
    for number in range(1, 6):
        begin = time.perf_counter()
        for path in paths:
            two_dimensions(runner, path)
        two = time.perf_counter() - begin
        begin = time.perf_counter()
        runner.run_views(paths)
        whole = time.perf_counter() - begin
        shares.append(whole / two - 1)
        print(f"| {number} | {two:.2f} | {whole:.2f} | {100 * shares[-1]:.1f} % |", flush=True)
    print(f"| median | | | {100 * float(np.median(shares)):.1f} % |")


def two_dimensions(runner: Runner, path: Path) -> None:
    """What a run of one clip does until it has tracks."""
    with open_clip(path) as clip:
        home, facts = claim_folder(runner.options, path)
        ClipStages(runner, path, clip, facts["clip_sha256"], Ledger(home, overwrite=True)).tracks()


if __name__ == "__main__":
    main()
