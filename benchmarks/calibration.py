"""How well are cameras calibrated from boards? Prints tables in Markdown.

python -m benchmarks.calibration charuco --data ../shared/data    four webcams against their reference, lenses given
python -m benchmarks.calibration lenses --data ../shared/data     lenses from the same footage, and from photographs
python -m benchmarks.calibration studio                           rendered boards with exact truth
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from multiview.board_files import read_board
from multiview.boards import Board, Found, find, sharp
from multiview.calibrate import calibrate
from multiview.intrinsics import Intrinsics, fit_lens
from pipeline.clip import open_clip
from pipeline.errors import InputError
from pipeline.projection import centre
from pipeline.results import Array, Camera
from pipeline.sources import natural
from studio.boards import pictures, waved
from studio.cameras import look_at

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHARUCO, PHOTOS = "charuco_4views", "balance_4views"
PHOTO_BOARD = Board("checkerboard", 4, 7, 0.06)
BEND = (-0.18, 0.05, 0.001, -0.0008, 0.0)
EYES = ((-1.5, -1.6, 1.5), (0.2, -2.0, 0.8), (1.7, -1.4, 1.3), (0.3, -1.6, 1.9))
BOARDS = {
    "ChArUco 5 x 7, 80 mm": Board("charuco", 5, 7, 0.08, 0.06),
    "checkerboard 8 x 5, 80 mm": Board("checkerboard", 8, 5, 0.08),
    "checkerboard 7 x 5, 80 mm (turnable)": Board("checkerboard", 7, 5, 0.08),
}


def main(given: Sequence[str] | None = None) -> None:
    """Parse the command line and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=TABLES)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    arguments = parser.parse_args(given)
    needed = {"charuco": (CHARUCO,), "lenses": (CHARUCO, PHOTOS), "studio": ()}[arguments.what]
    missing = [name for name in needed if not (arguments.data / name).is_dir()]
    if missing:
        parser.error(f"no {missing[0]} in {arguments.data}")
    print("\n".join(TABLES[arguments.what](arguments.data)))


def charuco(data: Path) -> list[str]:
    """Four webcams, 57 frames: the rig against the reference after one rigid movement."""
    board, reference, found = _footage(data)
    lines = ["| lenses | camera | boards | error px | position mm | rotation deg |", "|---|---|---|---|---|---|"]
    own = [fit_lens(board, list(f.values()), c.size, c.name).camera for f, c in zip(found, reference, strict=True)]
    for name, lenses in (("the reference's", reference), ("from the same footage", own)):
        done = calibrate(board, lenses, found)
        away, turned = differences(done.cameras, reference)
        for index, camera in enumerate(reference):
            lines.append(
                f"| {name} | {camera.name} | {done.views[index]} | {done.rms_px[index]:.2f} "
                f"| {1000 * away[index]:.1f} | {turned[index]:.2f} |"
            )
        print(*done.warnings, sep="\n", file=sys.stderr)
    return lines


def lenses(data: Path) -> list[str]:
    """Focal lengths against the references', with the standard deviation that is claimed."""
    lines = [
        "| footage | camera | views | covers | focal px | reference px | off by | claimed deviation | what is said |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    board, reference, found = _footage(data)
    for camera, boards in zip(reference, found, strict=True):
        lines.append(_lens_row(CHARUCO, board, list(boards.values()), camera))
    for camera in _read(data / PHOTOS / "cameras.toml"):
        files = sorted((data / PHOTOS / "checkerboard").glob(f"{camera.name.replace('_', '')}_*"), key=natural)
        seen = {i: one for i, file in enumerate(files) if (one := find(PHOTO_BOARD, open_clip(file).read(0)))}
        lines.append(_lens_row(PHOTOS, PHOTO_BOARD, list(sharp(seen).values()), camera))
    return lines


def _lens_row(footage: str, board: Board, boards: list[Found], camera: Camera) -> str:
    true = camera.matrix[[0, 1], [0, 1]].mean()
    try:
        lens = fit_lens(board, boards, camera.size, camera.name)
    except InputError as error:
        return f"| {footage} | {camera.name} | {len(boards)} | | | {true:.1f} | | | {error.what} |"
    focal = lens.camera.matrix[[0, 1], [0, 1]].mean()
    words = "; ".join(lens.doubts) if lens.trusted else f"refused: {'; '.join(lens.doubts)}"
    return (
        f"| {footage} | {camera.name} | {lens.boards} | {100 * lens.coverage:.0f} % | {focal:.1f} | {true:.1f} "
        f"| {100 * (focal / true - 1):+.2f} % | {100 * lens.focal_std:.2f} % | {words} |"
    )


def studio(data: Path) -> list[str]:
    """Four rendered cameras of 960 x 540 with distortion, noise and softness, 40 boards."""
    lines = [
        "| board | focal off by (worst) | claimed deviation (worst) | centre px (worst) | error px (worst) "
        "| position mm (worst) | rotation deg (worst) |",
        "|---|---|---|---|---|---|---|",
    ]
    truth = [
        replace(look_at(eye, (0, 0, 1), (960, 540), 60, distortion=BEND), name=f"cam{i}") for i, eye in enumerate(EYES)
    ]
    for name, board in BOARDS.items():
        poses = waved(board, 40, (0, -0.3, 1.05), reach_m=0.45, tilt=0.4, seed=11)
        found = []
        for index, camera in enumerate(truth):
            views = enumerate(find(board, picture) for picture in pictures(board, camera, poses, seed=index))
            found.append(sharp({moment: one for moment, one in views if one is not None}))
        fits = [fit_lens(board, list(f.values()), c.size, c.name) for f, c in zip(found, truth, strict=True)]
        lines.append(_studio_row(name, board, truth, found, fits))
    return lines


def _studio_row(
    name: str, board: Board, truth: list[Camera], found: list[dict[int, Found]], fits: list[Intrinsics]
) -> str:
    done = calibrate(board, [lens.camera for lens in fits], found)
    away, turned = differences(done.cameras, truth)
    focal = max(abs(f.camera.matrix[0, 0] / c.matrix[0, 0] - 1) for f, c in zip(fits, truth, strict=True))
    middle = max(np.abs(f.camera.matrix[:2, 2] - c.matrix[:2, 2]).max() for f, c in zip(fits, truth, strict=True))
    claimed = max(lens.focal_std for lens in fits)
    return (
        f"| {name} | {100 * focal:.2f} % | {100 * claimed:.2f} % | {middle:.1f} | {max(done.rms_px):.2f} "
        f"| {1000 * away.max():.1f} | {turned.max():.2f} |"
    )


def differences(cameras: Sequence[Camera], reference: Sequence[Camera]) -> tuple[Array, Array]:
    """(V,) m and (V,) degrees by which cameras stand off, after the rigid movement that suits all of them best.

    The turn is the mean of the cameras' own, then the middle of the places is laid on the other.
    """
    turns = Rotation.from_matrix([
        r.camera_to_world[:3, :3] @ c.camera_to_world[:3, :3].T for c, r in zip(cameras, reference, strict=True)
    ])  # fmt: skip
    mean = turns.mean()
    places, wanted = (np.array([centre(camera) for camera in rig]) for rig in (cameras, reference))
    moved = mean.apply(places - places.mean(0)) + wanted.mean(0)
    return np.linalg.norm(moved - wanted, axis=1), np.degrees((turns * mean.inv()).magnitude())


def _footage(data: Path) -> tuple[Board, list[Camera], list[dict[int, Found]]]:
    """The board, the reference and what is seen; row n of a camera in timestamps.csv is its frame n: all have all."""
    folder = data / CHARUCO
    board, reference = read_board(folder / "charuco.toml"), _read(folder / "camera_array.toml")
    found = []
    for camera in reference:
        clip = open_clip(folder / "calibration" / "extrinsic" / f"cam_{camera.name}.mp4")
        views = enumerate(find(board, picture) for picture in clip.frames())
        found.append(sharp({moment: one for moment, one in views if one is not None}))
    return board, reference, found


def _read(path: Path) -> list[Camera]:
    """Pose2Sim's and Caliscope's TOML, for the references only."""
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    tables = told.get("cameras", {name: table for name, table in told.items() if "matrix" in table})
    cameras = []
    for name, table in tables.items():
        turn = np.array(table["rotation"])
        pose = np.eye(4)
        pose[:3, :3] = turn if turn.ndim == 2 else Rotation.from_rotvec(turn).as_matrix()
        pose[:3, 3] = table["translation"]
        bend = np.array([*table["distortions"], *itertools.repeat(0.0, 5)])[:5]
        size = tuple(int(n) for n in table["size"])
        cameras.append(Camera(np.array(table["matrix"]), size, bend, np.linalg.inv(pose), "given", name))
    return cameras


TABLES = {"charuco": charuco, "lenses": lenses, "studio": studio}


if __name__ == "__main__":
    main()
