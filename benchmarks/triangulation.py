"""Several cameras that are known: how exact, how robust, how fast. Prints tables in Markdown.

python -m benchmarks.triangulation noise                          a pixel of noise, and wrong joints of one view
python -m benchmarks.triangulation balance --data ../shared/data  four real cameras against their reference
python -m benchmarks.triangulation studio [--seeds 3]             people who cross, by the real tracker, exact truth
python -m benchmarks.triangulation curves                         the same over numbers of cameras and of people
python -m benchmarks.triangulation speed                          scene-frames a second after the 2D stage

`balance` takes the 2D of OpenPose's files, and BlazePose's by running the single-view stages on the videos. Cameras 1
and 2 are 8 px narrower than their calibration says; they are taken as cut on the side where more views agree.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.accuracy import LIMBS, p_mpjpe_per_frame, read_trc
from benchmarks.triangulation_studio import curves, speed, studio
from multiview.associate import associate
from multiview.cameras import project
from multiview.known import reconstruct
from multiview.people import gather
from multiview.triangulate import triangulate
from pipeline.results import Array, Camera, Detections, Motion3D, Track2D
from pipeline.skeletons import Skeleton, blazepose_to_h36m, skeleton
from studio.cameras import look_at
from trackers.offline import OfflineTracker

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PUBLISHED = {2: 4.4, 4: 2.8, 8: 1.9}  # mm; a simulation with f = 1500 px at 4 m
BONES = [(LIMBS.index(f"{s}_{a}"), LIMBS.index(f"{s}_{b}")) for s in ("left", "right")
         for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))]  # fmt: skip
HALPE_OF_BODY25B = [*range(17), 18, 17, None, 19, 22, 20, 23, 21, 24]  # None: the middle of the hips, 11 and 12


def main(given: Sequence[str] | None = None) -> None:
    """Parse the command line and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["noise", "balance", "studio", "curves", "speed"])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3, help="of studio and curves: scenes with other people")
    arguments = parser.parse_args(given)
    if arguments.what == "balance":
        folder = arguments.data / "balance_4views"
        if not (folder / "reference.trc").is_file():
            raise SystemExit(f"error: {folder / 'reference.trc'} is not here; --data names its folder")
        balance(folder)
    elif arguments.what in ("studio", "curves"):
        {"studio": studio, "curves": curves}[arguments.what](arguments.seeds)
    else:
        {"noise": noise, "speed": speed}[arguments.what]()


def noise() -> None:
    """Random points within 1 m of a middle 4 m from every camera; 2 cameras 60 degrees apart, more all round."""
    print("| views | noise 1 px: mm | as published | 30 % of one view's joints 200 px off: mm | times |")
    print("|---|---|---|---|---|")
    random = np.random.default_rng(0)
    points = random.uniform(-1, 1, (200, 17, 3)) * [0.5, 0.5, 0.9] + [0, 0, 0.9]
    for views, published in PUBLISHED.items():
        angles = np.radians([0, 60]) if views == 2 else 2 * np.pi * np.arange(views) / views
        fov = float(np.degrees(2 * np.arctan(960 / 1500)))
        cameras = [look_at((4 * np.cos(a), 4 * np.sin(a), 0.9 + 0.6 * (i % 2)), (0, 0, 0.9), (1920, 1080), fov)
                   for i, a in enumerate(angles)]  # fmt: skip
        keypoints = np.stack([project(c, points)[0] for c in cameras])
        keypoints += random.standard_normal(keypoints.shape)
        clean = _error_mm(cameras, keypoints, points)
        wrong = random.random(points.shape[:2]) < 0.3
        way = random.uniform(0, 2 * np.pi, wrong.sum())
        keypoints[0, wrong] += 200 * np.stack([np.cos(way), np.sin(way)], axis=-1)
        robust = _error_mm(cameras, keypoints, points) if views > 2 else np.nan
        print(f"| {views} | {clean:.2f} | {published} | {robust:.2f} | {robust / clean:.2f} |", flush=True)


def _error_mm(cameras: Sequence[Camera], keypoints: Array, points: Array) -> float:
    found = triangulate(cameras, keypoints, np.ones(keypoints.shape[:-1])).points
    return 1000 * float(np.linalg.norm(found - points, axis=-1).mean())


def balance(folder: Path) -> None:
    """Both 2D sources against the reference; what is judged is the person whom most views see most."""
    truth = read_trc(folder / "reference.trc")
    reference = np.stack([truth[name] for name in LIMBS], axis=1)
    print(f"The reference's own bones: standard deviation {_bone_spread(reference):.1f} mm, mean of 8.\n")
    print("| 2D | P-MPJPE mm | absolute mm | reprojection px, median | joints present | completed | bones mm | cut |")
    print("|---|---|---|---|---|---|---|---|")
    for name, source in (("OpenPose", _openpose), ("BlazePose", _blazepose)):
        tracks, motions, times = source(folder)
        kind = skeleton(tracks[0][0].skeleton)
        cameras, side = _fitting(folder, tracks, times, kind)
        seen = gather(associate(cameras, tracks, times).owners, 0, tracks, motions or None, len(times))
        given: dict[str, Any] = {}
        target, convert = kind, None
        if motions:
            target, convert = skeleton("h36m-23"), blazepose_to_h36m
            given = {"lifted": seen.poses, "lifted_scores": seen.pose_scores}
        result = reconstruct(cameras, seen.keypoints, seen.scores, times, kind, target, convert, **given)
        joints = result.motion.points[:, target.index(*LIMBS)]
        cells = [
            f"{1000 * p_mpjpe_per_frame(joints, reference).mean():.1f}",
            f"{1000 * np.linalg.norm(joints - reference, axis=-1).mean():.1f}",
            f"{np.nanmedian(result.found.error_px):.1f}",
            f"{np.isfinite(result.motion.points).all(-1).mean():.1%}",
            f"{result.motion.completed.mean():.2%}",
            f"{_bone_spread(joints):.1f}",
            side,
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _bone_spread(joints: Array) -> float:
    """mm: the standard deviation over time of the length of each limb bone of (T,12,3), their mean."""
    return 1000 * float(np.mean([np.linalg.norm(joints[:, a] - joints[:, b], axis=-1).std() for a, b in BONES]))


def _fitting(folder: Path, tracks: list[list[Track2D]], times: Array, kind: Skeleton) -> tuple[list[Camera], str]:
    """The cameras as calibrated, with the narrower pictures cut on the left or right: where more views agree."""
    best: tuple[float, list[Camera], str] = (-1.0, [], "")
    for side in ("right", "left"):
        cameras = _cameras(folder, 8 if side == "left" else 0)
        seen = gather(associate(cameras, tracks, times).owners, 0, tracks, None, len(times))
        share = float(triangulate(cameras, seen.keypoints, seen.scores).used.mean())
        best = max(best, (share, cameras, side), key=lambda b: b[0])
    return best[1], best[2]


def _cameras(folder: Path, left_px: float) -> list[Camera]:
    tables = tomllib.loads((folder / "cameras.toml").read_text(encoding="utf-8"))
    cameras = []
    for name in sorted(set(tables) - {"metadata"}):
        table, pose = tables[name], np.eye(4)
        pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(np.array(table["rotation"]))[0], table["translation"]
        given = Camera(np.array(table["matrix"]), tuple(map(int, table["size"])),
                       np.array([*table["distortions"], 0.0]), np.linalg.inv(pose), name=name)  # fmt: skip
        width = _width(folder, len(cameras) + 1)
        if width != given.size[0]:
            given = replace(given, matrix=given.matrix - [[0, 0, left_px], [0, 0, 0], [0, 0, 0]],
                            size=(width, given.size[1]))  # fmt: skip
        cameras.append(given)
    return cameras


def _width(folder: Path, number: int) -> int:
    from pipeline.clip import open_clip

    return open_clip(folder / "videos" / f"cam{number:02d}.mp4").info.width


def _openpose(folder: Path) -> tuple[list[list[Track2D]], list[list[Motion3D]], Array]:
    """Tracks of the BODY_25B files as halpe-26, which has the same joints and the middle of the hips."""
    views = []
    for number in range(1, 5):
        files = sorted((folder / "openpose_json" / f"cam{number:02d}_json").glob("*.json"))
        times = np.arange(len(files)) / 60
        detections = [_people(json.loads(f.read_text(encoding="utf-8"))["people"]) for f in files]
        views.append(OfflineTracker().track(detections, times, (1088, 1920)))
    return views, [], times


def _people(people: list[dict[str, Any]]) -> Detections:
    raw = np.array([p["pose_keypoints_2d"] for p in people], float).reshape(-1, 25, 3)
    middle = (raw[:, 11] + raw[:, 12]) / 2
    middle[:, 2] = np.minimum(raw[:, 11, 2], raw[:, 12, 2])
    halpe = np.stack([middle if i is None else raw[:, i] for i in HALPE_OF_BODY25B], axis=1)
    halpe = halpe[(halpe[..., 2] > 0).sum(axis=1) >= 6]
    keypoints, scores = halpe[..., :2].copy(), halpe[..., 2]
    keypoints[scores <= 0] = np.nan
    if not len(halpe):
        return Detections("halpe-26", np.zeros((0, 4)), np.zeros(0), keypoints, scores)
    boxes = np.concatenate([np.nanmin(keypoints, axis=1), np.nanmax(keypoints, axis=1)], axis=1)
    return Detections("halpe-26", boxes.astype(np.float32), scores.mean(axis=1).astype(np.float32),
                      keypoints.astype(np.float32), scores.astype(np.float32))  # fmt: skip


def _blazepose(folder: Path) -> tuple[list[list[Track2D]], list[list[Motion3D]], Array]:
    from detectors.blazepose import BlazePose
    from lifters.videopose3d import VideoPose3D
    from motion.camera import default_camera
    from pipeline.clip import open_clip
    from trackers.complete import complete

    detector, lifter, views, motions = BlazePose(), VideoPose3D(), [], []
    for number in range(1, 5):
        clip = open_clip(folder / "videos" / f"cam{number:02d}.mp4")
        info = clip.info
        tracks = OfflineTracker().track(detector.detect(clip), info.times, (info.width, info.height))
        views.append([complete(track, info.times) for track in tracks])
        camera = default_camera((info.width, info.height))
        motions.append([lifter.lift(track, camera, info.times) for track in views[-1]])
    return views, motions, info.times


if __name__ == "__main__":
    main()
