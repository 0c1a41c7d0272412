"""Several cameras that are known: how exact, how robust, how fast. Prints tables in Markdown.

python -m benchmarks.triangulation noise                          a pixel of noise, and wrong joints of one view
python -m benchmarks.triangulation balance --data ../shared/data  four real cameras against their reference
python -m benchmarks.triangulation studio [--seeds 3]             people who cross, by the real tracker, exact truth
python -m benchmarks.triangulation curves                         the same over numbers of cameras and of people
python -m benchmarks.triangulation uncertainty                    the error that a report expects against the true one
python -m benchmarks.triangulation speed                          scene-frames a second after the 2D stage

`balance` takes the 2D of OpenPose's files, and BlazePose's by running the single-view stages on the videos. Cameras 1
and 2 are 8 px narrower than their calibration says; they are taken as cut on the side where more views agree.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy import LIMBS, p_mpjpe_per_frame
from benchmarks.recording import given_rig, recording, reference, videos
from benchmarks.triangulation_studio import curves, speed, studio, uncertainty
from detectors.blazepose import BlazePose
from detectors.openpose import OpenPose
from lifters.videopose3d import VideoPose3D
from motion.camera import default_camera
from multiview.associate import associate
from multiview.known import reconstruct
from multiview.people import gather
from multiview.triangulate import triangulate
from pipeline.clip import open_clip
from pipeline.projection import project
from pipeline.results import Array, Camera, Motion3D, Track2D
from pipeline.skeletons import blazepose_to_h36m, skeleton
from studio.cameras import look_at
from trackers.complete import complete
from trackers.offline import OfflineTracker

PUBLISHED = {2: 4.4, 4: 2.8, 8: 1.9}  # mm; a simulation with f = 1500 px at 4 m
BONES = [(LIMBS.index(f"{s}_{a}"), LIMBS.index(f"{s}_{b}")) for s in ("left", "right")
         for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))]  # fmt: skip


def main(given: Sequence[str] | None = None) -> None:
    """Parse the command line and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["noise", "balance", "studio", "curves", "uncertainty", "speed"])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3, help="studio, curves, uncertainty: scenes of other people")
    arguments = parser.parse_args(given)
    if arguments.what == "balance":
        balance(recording(arguments.data))
    elif arguments.what in ("studio", "curves", "uncertainty"):
        {"studio": studio, "curves": curves, "uncertainty": uncertainty}[arguments.what](arguments.seeds)
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
    truth = reference(folder)
    print(f"The reference's own bones: standard deviation {_bone_spread(truth):.1f} mm, mean of 8.\n")
    print("| 2D | P-MPJPE mm | absolute mm | reprojection px, median | joints present | completed | bones mm | cut |")
    print("|---|---|---|---|---|---|---|---|")
    for name, source in (("OpenPose", _openpose), ("BlazePose", _blazepose)):
        tracks, motions, times = source(folder)
        kind = skeleton(tracks[0][0].skeleton)
        cameras, side = _fitting(folder, tracks, times)
        seen = gather(associate(cameras, tracks, times).owners, 0, tracks, motions or None, len(times))
        given: dict[str, Any] = {}
        target, convert = kind, None
        if motions:
            target, convert = skeleton("h36m-23"), blazepose_to_h36m
            given = {"lifted": seen.poses, "lifted_scores": seen.pose_scores}
        result = reconstruct(cameras, seen.keypoints, seen.scores, times, kind, target, convert, **given)
        joints = result.motion.points[:, target.index(*LIMBS)]
        cells = [
            f"{1000 * p_mpjpe_per_frame(joints, truth).mean():.1f}",
            f"{1000 * np.linalg.norm(joints - truth, axis=-1).mean():.1f}",
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


def _fitting(folder: Path, tracks: list[list[Track2D]], times: Array) -> tuple[list[Camera], str]:
    """The cameras as calibrated, with the narrower pictures cut on the left or right: where more views agree."""
    sizes = [_size(path) for path in videos(folder)]
    best: tuple[float, list[Camera], str] = (-1.0, [], "")
    for side in ("right", "left"):
        cameras = given_rig(folder, sizes, crop=side)
        seen = gather(associate(cameras, tracks, times).owners, 0, tracks, None, len(times))
        share = float(triangulate(cameras, seen.keypoints, seen.scores).used.mean())
        best = max(best, (share, cameras, side), key=lambda b: b[0])
    return best[1], best[2]


def _size(video: Path) -> tuple[int, int]:
    with open_clip(video) as clip:
        return clip.info.width, clip.info.height


def _openpose(folder: Path) -> tuple[list[list[Track2D]], list[list[Motion3D]], Array]:
    views, times = _tracked(OpenPose(folder / "openpose_json"), folder)
    return views, [], times


def _blazepose(folder: Path) -> tuple[list[list[Track2D]], list[list[Motion3D]], Array]:
    views, times = _tracked(BlazePose(), folder)
    lifter, cameras = VideoPose3D(), [default_camera(_size(path)) for path in videos(folder)]
    views = [[complete(track, times) for track in tracks] for tracks in views]
    motions = [[lifter.lift(t, c, times) for t in tracks] for tracks, c in zip(views, cameras, strict=True)]
    return views, motions, times


def _tracked(detector: Any, folder: Path) -> tuple[list[list[Track2D]], Array]:
    """What the program's tracker makes of each view, and the times of all."""
    views = []
    for path in videos(folder):
        with open_clip(path) as clip:
            size, times = (clip.info.width, clip.info.height), clip.info.times
            views.append(OfflineTracker().track(detector.detect(clip), times, size))
    return views, times


if __name__ == "__main__":
    main()
