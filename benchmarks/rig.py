"""What the recorded rig and its OpenPose keypoints tell. Prints tables in Markdown; needs balance_4views of the data.

python -m benchmarks.rig crop --data ../shared/data      where are the 8 px that videos 1 and 2 lack? by triangulating
python -m benchmarks.rig openpose --data ../shared/data  one camera lifted from OpenPose's keypoints, P-MPJPE
python -m benchmarks.rig lens --data ../shared/data      checkerboards by the rig's lenses, distortion x 0, 1, 64
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.accuracy import balance_error, read_trc
from detectors.openpose import OpenPose
from detectors.sightings import Sightings
from detectors.sightings import number as frame_number
from multiview.rig import read_rig
from multiview.rig_fit import CROPS, fit_rig
from pipeline.options import Options
from pipeline.projection import project, rays
from pipeline.results import Array, Camera
from pipeline.runner import Runner

SIZES = [(1080, 1920), (1080, 1920), (1088, 1920), (1088, 1920)]
NAMES = [f"cam{number:02d}.mp4" for number in range(1, 5)]
FRAMES, SURE = 100, 0.3
BOARD, SQUARE_M = (4, 7), 0.06


def main(given: Sequence[str] | None = None) -> None:
    """Parse the command line and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*TABLES])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    arguments = parser.parse_args(given)
    data = arguments.data / "balance_4views"
    if not data.is_dir():
        raise SystemExit(f"error: {data} is not here; --data names its folder")
    TABLES[arguments.what](data)


def crop(data: Path) -> None:
    """Median reprojection error in px of a plain triangulation over all four views, per view, per side of the crop."""
    detector, folder = OpenPose(data / "openpose_json"), data / "openpose_json"
    seen = [_largest(detector.read(detector.place_of(folder, Path(name).stem)[0])) for name in NAMES]
    keypoints, scores = np.stack([s[..., :2] for s in seen]), np.stack([s[..., 2] for s in seen])
    scores = np.where(scores >= SURE, scores, 0)
    everywhere = (scores > 0).all(axis=0)
    print("| pixels missing at | camera 1 | camera 2 | camera 3 | camera 4 | all |\n|---|---|---|---|---|---|")
    for side in CROPS:
        cameras, _ = fit_rig(read_rig(data / "cameras.toml"), SIZES, NAMES, crop=side)
        points = _triangulated(cameras, keypoints, scores)
        errors = [np.linalg.norm(project(c, points)[0] - k, axis=-1) for c, k in zip(cameras, keypoints, strict=True)]
        inside = np.stack(errors)[:, everywhere]
        print(f"| {side} | " + " | ".join(f"{e:.2f}" for e in (*np.median(inside, axis=1), np.median(inside))) + " |")


def _largest(seen: Sightings) -> Array:
    """(T,J,3) of the tallest person of each frame."""
    out = np.zeros((FRAMES, *seen.joints.shape[1:]))
    heights = np.where(seen.joints[..., 2] > 0, seen.joints[..., 1], np.nan)
    for row in np.argsort(np.nanmax(heights, axis=1) - np.nanmin(heights, axis=1)):  # the tallest last
        out[frame_number(seen.frames[seen.at[row]])] = seen.joints[row]
    return out


def _triangulated(cameras: Sequence[Camera], keypoints: Array, scores: Array) -> Array:
    """(V,T,J,2), (V,T,J) -> (T,J,3): linear, on undistorted directions, weighted by the scores."""
    rows = []
    for camera, points, weights in zip(cameras, keypoints, scores, strict=True):
        pose, flat = camera.world_to_camera[:3], rays(camera, points)
        rows += [weights[..., None] * (flat[..., axis : axis + 1] * pose[2] - pose[axis]) for axis in (0, 1)]
    solved = np.linalg.svd(np.stack(rows, axis=-2))[2][..., -1, :]
    return solved[..., :3] / solved[..., 3:]


def openpose(data: Path) -> None:
    """P-MPJPE in mm over 12 limb joints of one camera at a time, all frames counted, against reference.trc."""
    reference = read_trc(data / "reference.trc")
    print("| 2D | camera 1 | camera 2 | camera 3 | camera 4 | mean |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="videopose-rig-") as scratch:
        options = Options(
            out=Path(scratch), detector="openpose", keypoints=data / "openpose_json", formats=(), person="largest"
        )
        runner = Runner(options)
        errors = [balance_error(runner.run(data / "videos" / name), reference) for name in NAMES]
    print(f"| {runner.detector.skeleton} | " + " | ".join(f"{e:.1f}" for e in [*errors, float(np.mean(errors))]) + " |")


def lens(data: Path) -> None:
    """RMS px over the photos' corners when each board is placed by the rig's lens, its distortion 0, 1 and 64 times."""
    corners = np.zeros((BOARD[0] * BOARD[1], 3), np.float32)
    corners[:, :2] = np.mgrid[: BOARD[0], : BOARD[1]].T.reshape(-1, 2) * SQUARE_M
    factors = (0, 1, 64)
    print("| camera | photos | none | as cameras.toml | 64 times |\n|---|---|---|---|---|")
    for number, camera in enumerate(read_rig(data / "cameras.toml"), start=1):
        boards = [_corners(path) for path in sorted((data / "checkerboard").glob(f"cam{number:02d}_*_int.jpg"))]
        boards = [board for board in boards if board is not None]
        errors = [[_misfit(camera, corners, board, factor) for board in boards] for factor in factors]
        cells = " | ".join(f"{np.sqrt(np.mean(np.square(row))):.3f}" for row in errors)
        print(f"| {number} | {len(boards)} | {cells} |")


def _corners(path: Path) -> Array | None:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    found, corners = cv2.findChessboardCorners(picture, BOARD)
    if not found:
        return None
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-4)
    return cv2.cornerSubPix(picture, corners, (7, 7), (-1, -1), stop).reshape(-1, 2)


def _misfit(camera: Camera, corners: Array, board: Array, factor: float) -> float:
    bend = factor * camera.distortion
    _, turn, shift = cv2.solvePnP(corners, board, camera.matrix, bend)
    again = cv2.projectPoints(corners, turn, shift, camera.matrix, bend)[0].reshape(-1, 2)
    return float(np.sqrt(np.square(again - board).sum(axis=1).mean()))


TABLES = {"crop": crop, "openpose": openpose, "lens": lens}


if __name__ == "__main__":
    main()
