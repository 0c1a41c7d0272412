"""People who cross between known cameras, in the studio: most tables of triangulation.py.

What a detector would say (`Truth.detections`: noise, people missed, hidden joints unsure) goes through the real tracker
of every view, then association, triangulation and completion. Joints are those of h36m-23, made of the detector's as
a run makes them. PCP counts the 8 limb bones of all frames: right where both ends together are off by no more than the
bone's length (Burenius, Sullivan, Carlsson 2013); who is missing has none right. A switch is an actor whom another
person than before is nearest to, within half a metre.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from multiview.associate import associate
from multiview.complete import NothingSeen
from multiview.known import reconstruct
from multiview.people import SeenPerson, as_track, gather
from pipeline.measures import position_uncertainty, shared_joints
from pipeline.projection import to_camera
from pipeline.results import Array, Camera, Motion3D, Track2D
from pipeline.skeletons import blazepose_to_h36m, skeleton
from studio.scenes import build
from studio.truth import Truth
from trackers.complete import complete
from trackers.offline import OfflineTracker

NOISE_PX, DROP = 4.0, 0.05  # px for a person 400 px tall, chance to be missed in a frame
SLOW_PX = 4.0  # px, standard deviation of a random walk added to every joint's noise
NEAR_M = 0.5
H36M, DETECTOR = skeleton("h36m-23"), skeleton("blazepose-33")
BONES = [(f"{s}_{a}", f"{s}_{b}") for s in ("left", "right")
         for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))]  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """What came out against the truth, over A actors and T frames."""

    people: int
    right: Array  # (A,T,8) bool: limb bones
    error: Array  # (A,T,23) m, NaN where nobody is
    switches: int


def studio(seeds: int) -> None:
    """Four people, four cameras; lifted poses as a lifter gives them, with its errors."""
    print("| scene | seed | people | PCP % | MPJPE mm | switches | present % |\n|---|---|---|---|---|---|---|")
    for seed in range(seeds):
        truth = build("crossing4_views", seed=seed).truth()
        judged = judge(truth, tracked(truth, seed), seed)
        print(f"| 4 cameras, 4 actors | {seed} | {_cells(judged)} |", flush=True)


def curves(seeds: int) -> None:
    """Over 2 to 8 cameras with four people, and over 1 to 10 people with four cameras; 5 s each."""
    print("| cameras | actors | people | PCP % | MPJPE mm | switches | present % |\n|---|---|---|---|---|---|---|")
    for cameras, actors in [(c, 4) for c in (2, 3, 4, 6, 8)] + [(4, a) for a in (1, 2, 3, 6, 8, 10)]:
        all_of = []
        for seed in range(seeds):
            truth = build("crossing4_views", seed=seed, duration=5.0, cameras=cameras, actors=actors).truth()
            all_of.append(judge(truth, tracked(truth, seed), seed))
        total = Judged(
            sum(j.people for j in all_of),
            np.concatenate([j.right for j in all_of]),
            np.concatenate([j.error for j in all_of]),
            sum(j.switches for j in all_of),
        )
        print(f"| {cameras} | {actors} | {_cells(total)} |", flush=True)


def _cells(judged: Judged) -> str:
    there = np.isfinite(judged.error).all(-1)
    return (f"{judged.people} | {100 * judged.right.mean():.2f} | {1000 * np.nanmean(judged.error):.1f} | "
            f"{judged.switches} | {100 * there.mean():.1f}")  # fmt: skip


def tracked(truth: Truth, seed: int) -> list[list[Track2D]]:
    """The tracks of every view, by the real tracker."""
    views = []
    for c, path in enumerate(truth.cameras):
        found = truth.detections(NOISE_PX, DROP, seed, c)
        views.append([complete(t, truth.times) for t in OfflineTracker().track(found, truth.times, path[0].size)])
    return views


def rebuilt(cameras: Sequence[Camera], tracks: list[list[Track2D]], motions: list[list[Motion3D]],
            times: Array) -> list[tuple[SeenPerson, Array]]:  # fmt: skip
    """Everybody whom two views see, and their joints (T,23,3) m."""
    people = associate(cameras, tracks, times)
    found = []
    for p in np.flatnonzero(np.count_nonzero(people.seen, axis=1) > 1):
        seen = gather(people.owners, int(p), tracks, motions, len(times))
        try:
            result = reconstruct(cameras, seen.keypoints, seen.scores, times, DETECTOR, H36M, blazepose_to_h36m,
                                 seen.poses, seen.pose_scores)  # fmt: skip
        except NothingSeen:  # nothing of this person could be triangulated
            continue
        found.append((seen, result.motion.points))
    return found


def uncertainty(seeds: int) -> None:
    """The error that a run expects against the true one, per number of cameras and kind of noise; two people, 4 s."""
    print("| cameras | noise | expected mm | true mm | ratio, smallest to largest |\n|---|---|---|---|---|")
    for cameras in (2, 3, 4, 8):
        for name, slow in (("each frame's own, 4 px", 0.0), ("and slow, 4 px", SLOW_PX)):
            pairs = np.concatenate([_expected_and_true(cameras, slow, seed) for seed in range(seeds)])
            expected, true = 1000 * pairs.mean(axis=0)
            ratio = pairs[:, 0] / pairs[:, 1]
            print(f"| {cameras} | {name} | {expected:.1f} | {true:.1f} | {ratio.min():.2f} to {ratio.max():.2f} |")


def _expected_and_true(count: int, slow: float, seed: int) -> Array:
    """(P,2) m of the people who came out, over the joints that the report judges."""
    truth = build("crossing4_views", seed=seed, duration=4.0, cameras=count, actors=2).truth()
    tracks, random = tracked(truth, seed), np.random.default_rng([seed, 5])
    for track in (track for view in tracks for track in view):
        drift = np.cumsum(random.standard_normal(track.keypoints.shape), axis=0)
        track.keypoints[:] += slow * drift / drift.std(axis=0)
    cameras = [path[0] for path in truth.cameras]
    true, pairs = blazepose_to_h36m(truth.points), []
    for seen, points in rebuilt(cameras, tracks, lifted_like(truth, tracks, seed), truth.times):
        frames = np.flatnonzero(np.isfinite(points).all((1, 2))).astype(np.int32)
        views = [(as_track(seen, v, 1), camera) for v, camera in enumerate(cameras)]
        joints = points[frames]
        sure, observed = np.ones(joints.shape[:2]), np.ones(len(frames), bool)
        motion = Motion3D(1, "h36m-23", "world", frames, joints, sure, joints[:, 0], observed)
        judged = H36M.index(*shared_joints(motion, views[0][0]))
        off = np.linalg.norm(joints - true[:, frames], axis=-1)[..., judged].mean(axis=(1, 2)).min()
        pairs.append((position_uncertainty(motion, views, truth.times).mean(), off))
    return np.array(pairs).reshape(-1, 2)


def lifted_like(truth: Truth, tracks: list[list[Track2D]], seed: int) -> list[list[Motion3D]]:
    """Poses with a lifter's errors, 40 mm with the depth worst, of the actor whom each track follows in that frame."""
    random, views = np.random.default_rng([seed, 31]), []
    for c, view in enumerate(tracks):
        local = to_camera(truth.cameras[c][0], blazepose_to_h36m(truth.points))
        local = local - local[:, :, :1]
        local += random.standard_normal((len(local), 1, *local.shape[2:])) * [0.02, 0.02, 0.05]
        motions = []
        for track in view:
            apart = np.linalg.norm(truth.keypoints[c][:, track.frames] - track.keypoints, axis=-1).mean(-1)
            actor = np.argmin(np.nan_to_num(apart, nan=np.inf), axis=0)
            joints = local[actor, track.frames].astype(np.float32)
            joints[np.isnan(track.keypoints).any((1, 2))] = np.nan
            sure = np.where(np.isfinite(joints[..., 0]), 0.9, 0.0)
            root = np.full((len(track), 3), np.nan)
            motions.append(Motion3D(track.id, "h36m-23", "root", track.frames, joints, sure, root, track.observed))
        views.append(motions)
    return views


def judge(truth: Truth, tracks: list[list[Track2D]], seed: int) -> Judged:
    """Actors against persons: matched over the whole scene for errors, frame by frame for switches."""
    cameras = [path[0] for path in truth.cameras]
    ours = [points for _, points in rebuilt(cameras, tracks, lifted_like(truth, tracks, seed), truth.times)]
    true = blazepose_to_h36m(truth.points)
    found = np.stack([*ours, np.full(true.shape[1:], np.nan)])  # the last one is nobody
    apart = np.linalg.norm(found[None, :, :, 0] - true[:, None, :, 0], axis=-1)  # (A,P,T)
    near = apart < NEAR_M
    rows, columns = linear_sum_assignment(-near.sum(-1))
    chosen = np.full(len(true), len(ours))
    chosen[rows] = columns
    mine = found[chosen]
    ends = np.array([H36M.index(*bone) for bone in BONES])
    off = np.linalg.norm(mine - true, axis=-1)
    length = np.linalg.norm(true[:, :, ends[:, 0]] - true[:, :, ends[:, 1]], axis=-1)
    right = off[:, :, ends[:, 0]] + off[:, :, ends[:, 1]] <= length
    nearest = np.where(near.any(1), np.argmin(np.nan_to_num(apart, nan=np.inf), axis=1), -1)  # (A,T)
    switches = sum(int(np.count_nonzero(np.diff(row[row >= 0]))) for row in nearest)
    return Judged(len(ours), right, off, switches)


def speed() -> None:
    """Association, sides, triangulation and completion of 4 views x 4 people, in one thread."""
    truth = build("crossing4_views", seed=0, duration=6.0).truth()
    tracks = tracked(truth, 0)
    motions = lifted_like(truth, tracks, 0)
    cameras = [path[0] for path in truth.cameras]
    laps = []
    for _ in range(3):
        begin = time.perf_counter(), time.process_time()
        people = len(rebuilt(cameras, tracks, motions, truth.times))
        laps.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    wall, cpu = (len(truth.times) / min(lap[i] for lap in laps) for i in range(2))
    print("| views | people | frames | scene-frames/s, wall | per CPU second |\n|---|---|---|---|---|")
    print(f"| {len(cameras)} | {people} | {len(truth.times)} | {wall:.0f} | {cpu:.0f} |")
