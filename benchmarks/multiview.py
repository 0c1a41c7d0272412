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

from benchmarks.accuracy import LIMBS, p_mpjpe_per_frame
from benchmarks.recording import given_rig, recording, reference, rig_errors, videos
from pipeline.clip import open_clip
from pipeline.clip_stages import ClipStages
from pipeline.ledger import Ledger
from pipeline.options import Options
from pipeline.results import Scene
from pipeline.runner import Runner, claim_folder
from pipeline.skeletons import skeleton

ROUNDS = 9  # of `time`
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
    folder = recording(arguments.data)
    with tempfile.TemporaryDirectory(prefix="videopose-views-") as scratch:
        (balance if arguments.what == "balance" else timing)(folder, Path(scratch), arguments.sync)


def balance(folder: Path, scratch: Path, sync: str) -> None:
    """P-MPJPE over 12 limb joints and all frames against reference.trc, and the rig against the given one."""
    truth = reference(folder)
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
        found = [view.camera for view in scene.views]
        given = given_rig(folder, [camera.size for camera in found], numbers)
        turns, places, focal = rig_errors(found, given)
        rig = ["-"] * 3 if known else [f"{values.max():.1f}" for values in (turns, focal, places)]
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
    return runner.run_views(videos(folder, numbers))


def timing(folder: Path, scratch: Path, sync: str) -> None:
    """Known cameras, no film: the whole run against opening, detecting and tracking in each view by itself."""
    options: dict[str, Any] = {"formats": (), "overwrite": True, "sync": sync, "cameras": folder / "cameras.toml"}
    runner = Runner(Options(out=scratch, **options))
    paths = videos(folder)
    runner.run_views(paths)  # loads the models; not counted
    print("| round | 2D stages of four views, s | whole run, s | more |\n|---|---|---|---|")
    shares = []
    for number in range(1, ROUNDS + 1):
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
