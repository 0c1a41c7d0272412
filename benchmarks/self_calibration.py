"""Cameras that nobody calibrated: how right are the motion and the rig? Prints tables in Markdown.

python -m benchmarks.self_calibration balance --data ../shared/data   four real cameras, BlazePose, nothing known
python -m benchmarks.self_calibration studio      exact 2D with 2 px of noise: cameras by number, clocks, moving cameras
python -m benchmarks.self_calibration lifting     how far lifted joints are off across and along the line of sight

People are triangulated with the cameras that were found, as in a run of the program, and not filtered. The reference
and the given calibration of balance_4views judge; nothing of them goes in.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.accuracy import LIMBS, p_mpjpe_per_frame
from benchmarks.recording import given_rig, recording, reference, rig_errors, videos
from lifters.videopose3d import VideoPose3D
from motion.camera import default_camera
from multiview.clock import motion_on_clock, on_clock
from multiview.known import reconstruct
from multiview.people import SeenPerson, gather, to_body
from multiview.self_calibrate import SelfCalibrated, self_calibrate
from pipeline.options import Options
from pipeline.results import Array, Camera, Motion3D, Track2D
from pipeline.runner import Runner
from pipeline.skeletons import skeleton
from studio.cameras import CameraPath, look_at, moving, shaken, still
from studio.gait import walk
from studio.motions import Motion, Stand, dance, squat, wave
from studio.paths import circle, line, through
from studio.stage import Actor, StudioScene

BODY = skeleton("h36m-23")
LIMB = BODY.index(*LIMBS)
SIZE, FPS = (1280, 720), 30.0
NOISE_PX = 2.0
IN_PICTURE = 0.6  # of the joints make a track begin and end
SEEDS = (101, 102, 103)  # bodies and noise that nothing was tuned on


@dataclass(frozen=True)
class Seen:
    """What V views saw of P people."""

    tracks: list[list[Track2D]]  # [view][person]
    motions: list[list[Motion3D]]  # the same, lifted
    times: Array  # (T,) s

    def of(self, views: Sequence[int]) -> Seen:
        """Some views."""
        return Seen([self.tracks[v] for v in views], [self.motions[v] for v in views], self.times)

    def people(self) -> list[SeenPerson]:
        """Put together."""
        owners = [[np.full(len(track), person) for person, track in enumerate(view)] for view in self.tracks]
        count = len(self.times)
        return [gather(owners, p, self.tracks, self.motions, count) for p in range(len(self.tracks[0]))]

    def triangulated(self, cameras: Sequence[Camera]) -> list[Array]:
        """(T,23,3) m of each person, on the clocks of the cameras."""
        pairs = list(zip(self.tracks, self.motions, cameras, strict=True))
        tracks = [[on_clock(t, self.times, self.times, c.offset_s) for t in view] for view, _, c in pairs]
        motions = [[motion_on_clock(m, self.times, self.times, c.offset_s) for m in view] for _, view, c in pairs]
        return [
            reconstruct(
                cameras, person.keypoints, person.scores, self.times, skeleton(person.skeleton), BODY,
                partial(to_body, source=person.skeleton), person.poses, person.pose_scores,
            ).motion.points
            for person in Seen(tracks, motions, self.times).people()
        ]  # fmt: skip


def main(given: Sequence[str] | None = None) -> None:
    """Parse the command line and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["balance", "studio", "lifting"])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    arguments = parser.parse_args(given)
    if arguments.what == "balance":
        balance(recording(arguments.data))
    else:
        {"studio": studio, "lifting": lifting}[arguments.what]()


def balance(folder: Path) -> None:
    """balance_4views: P-MPJPE over 12 limb joints to the reference, every frame; the rig against the given one."""
    truth = reference(folder)
    with tempfile.TemporaryDirectory(prefix="videopose-views-") as scratch:
        runner = Runner(Options(out=Path(scratch), formats=()))
        scenes = [runner.run(path) for path in videos(folder)]
    cameras = [default_camera((scene.clip.width, scene.clip.height)) for scene in scenes]
    tracks = [max(scene.tracks, key=lambda t: float(np.nanmedian(np.ptp(t.keypoints[..., 1], 1)))) for scene in scenes]
    times = scenes[0].clip.times
    seen = Seen([[track] for track in tracks], lifted([[track] for track in tracks], cameras, times), times)
    rig = given_rig(folder, [camera.size for camera in cameras])
    print(
        "| cameras | fused P-MPJPE mm | self-calibrated P-MPJPE mm | turns off, degrees | places off, % of the rig "
        "| focal lengths off, % | said: focal % (1 sigma) | reprojection px | seconds |\n|" + "---|" * 9
    )
    for views in ([0, 1, 2, 3], [0, 2], [0, 1], [1, 3]):
        begun = time.perf_counter()
        some = seen.of(views)
        result = self_calibrate(some.people(), [cameras[v] for v in views], times)
        taken = time.perf_counter() - begun
        joints = some.triangulated(result.cameras)[0]
        errors = [1000 * p_mpjpe_per_frame(j[:, LIMB], truth).mean() for j in (result.fused.joints[0], joints)]
        off = rig_errors(result.cameras, [rig[v] for v in views])
        cells = [f"{e:.1f}" for e in errors] + [_list(values) for values in off]
        cells += [_list(100 * result.uncertainty.focal), _list(result.reprojection_px), f"{taken:.1f}"]
        print(f"| {', '.join(str(v + 1) for v in views)} | " + " | ".join(cells) + " |", flush=True)


def _list(values: Array) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def lifted(tracks: Sequence[Sequence[Track2D]], cameras: Sequence[Camera], times: Array) -> list[list[Motion3D]]:
    """What the product's lifter makes of the tracks [view][person]."""
    lifter = VideoPose3D()
    return [[lifter.lift(track, camera, times) for track in view] for view, camera in zip(tracks, cameras, strict=True)]


def filmed(
    motions: Sequence[Motion], paths: Sequence[CameraPath], seconds: float, seed: int, shifts: Sequence[float] = (),
    noise_px: float = NOISE_PX,
) -> tuple[Seen, list[Camera], Array]:  # fmt: skip
    """Actors before cameras: 2D with noise, lifted, while they are in the picture; guessed cameras, truth (A,T,23,3) m.

    Args:
        shifts: (V,) s by which each camera's clock is late: its picture of time t shows t + shift.
    """
    times = np.arange(round(seconds * FPS)) / FPS
    actors = tuple(Actor.cast(i + 1, motion, seed) for i, motion in enumerate(motions))
    scene = StudioScene("rig", actors, tuple(paths), times, FPS, seed=seed)
    cameras = [default_camera(SIZE) for _ in paths]
    rng = np.random.default_rng([seed, 23])
    tracks: list[list[Track2D]] = [[] for _ in paths]
    for view, path in enumerate(paths):
        late = times + (shifts[view] if len(shifts) else 0.0)
        seen = replace(scene, cameras=(path,), times=late).truth("blazepose-33")
        for person in range(len(actors)):
            exact = seen.keypoints[0, person]
            pixels = exact + noise_px * rng.standard_normal(exact.shape)
            there = np.flatnonzero(seen.inside[0, person].mean(-1) >= IN_PICTURE)
            frames = np.arange(there[0], there[-1] + 1, dtype=np.int32)
            scores = np.where(seen.inside[0, person][frames], 0.9, 0.0).astype(np.float32)
            pixels = np.where(scores[..., None] > 0, pixels[frames], np.nan)
            box = np.concatenate([np.nanmin(pixels, axis=1), np.nanmax(pixels, axis=1)], axis=1)
            observed = np.ones(len(frames), bool)
            tracks[view].append(Track2D(person + 1, "blazepose-33", frames, pixels, scores, observed, box))
    return Seen(tracks, lifted(tracks, cameras, times), times), cameras, scene.truth("h36m-23").joints


def ring(count: int, seed: int = 0, radius: float = 4.6) -> list[CameraPath]:
    """Still cameras round the room: uneven angles, heights and fields of view."""
    rng = np.random.default_rng([seed, 29])
    step = 2 * np.pi / max(count, 4)
    out = []
    for k in range(count):
        angle = step * k + rng.uniform(-0.2, 0.2)
        eye = (radius * np.cos(angle), radius * np.sin(angle), rng.uniform(1.2, 2.4))
        target = (rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2), 0.95)
        out.append(still(look_at(eye, target, SIZE, rng.uniform(52, 66))))
    return out


def handheld(count: int, seed: int = 0) -> list[CameraPath]:
    """Cameras in hands that walk a little and follow the person."""
    out = []
    for k in range(count):
        start = 1.5 * k - 0.4

        def eye(t: float, start: float = start, k: int = k) -> tuple[float, float, float]:
            angle = start + 0.12 * np.sin(0.7 * t + k)
            reach = 4.4 + 0.3 * np.sin(0.5 * t + 2 * k)
            return reach * np.cos(angle), reach * np.sin(angle), 1.5 + 0.05 * np.sin(1.1 * t)

        def target(t: float, k: int = k) -> tuple[float, float, float]:
            return 0.2 * np.sin(0.8 * t + k), 0.2 * np.cos(0.6 * t), 0.95

        out.append(shaken(moving(eye, target, SIZE, 56 + 6 * k), seed=seed + k))
    return out


def corridor(whole: bool) -> list[CameraPath]:
    """Four cameras along a corridor, each shares what it sees with its neighbours only; a fifth sees it all."""
    out = []
    for k in range(4):
        x, high = 2.6 * k - 3.9, (1.6, 2.1)[k % 2]
        out.append(still(look_at((x, -3.6, high), (x + (0.3, -0.3)[k % 2], 0, 0.95), SIZE, 60)))
    return [*out, still(look_at((1.0, -9.5, 2.4), (0, 0, 0.9), SIZE, 66))] if whole else out


def cast(kind: str, seed: int) -> tuple[Motion, ...]:
    """Who does what."""
    if kind == "walk":
        return (walk(circle((0, 0), 1.1, 0.4 * seed), speed=1.1),)
    if kind == "stand":
        return (Stand((0, 0), 0.5, (wave(0.2, 2.6), squat(3.0), dance(5.2, 5.0, 0.5)), seed=seed),)
    if kind == "corridor":
        way = through([(-6, 0.3), (-3, -0.4), (0, 0.4), (3, -0.3), (6, 0.3)])
        return (walk(way, speed=1.3),)
    if kind == "line":
        return (walk(line((-1.2, 0.2), 0.1), speed=0.25),)
    return (*cast("walk", seed), Stand((0.2, -0.1), -0.6, (wave(0.4, 2.0), squat(3.0)), seed=seed))


def studio() -> None:
    """Exact 2D with noise, cameras unknown: errors of motion and rig."""
    print(
        f"| scene, {NOISE_PX:g} px | seed | best single view P-MPJPE mm | fused mm | self-calibrated mm: 12 limbs | 17 "
        "joints | turns off, degrees | places off, % | focal off, % | clock off, ms | seconds |\n|" + "---|" * 11
    )
    for count in (2, 3, 4, 6, 8):
        for seed in SEEDS:
            _row(f"walk, {count} cameras", cast("walk", seed), ring(count, seed), seed)
    for kind in ("stand", "line", "two"):
        _row(f"{kind}, 4 cameras", cast(kind, SEEDS[0]), ring(4, SEEDS[0]), SEEDS[0])
    for seed in SEEDS:
        shifts = np.random.default_rng([seed, 31]).uniform(-0.7, 0.7, 4) / FPS
        _row("walk, 4 cameras, clocks apart", cast("walk", seed), ring(4, seed), seed, shifts - shifts[0])
    for seed in SEEDS:
        _row("corridor, 4 cameras", cast("corridor", seed), corridor(False), seed, seconds=9.0)
    _row("corridor, a fifth sees it all", cast("corridor", SEEDS[0]), corridor(True), SEEDS[0], seconds=9.0)
    for seed in SEEDS:
        _row("walk, 2 hand-held cameras", cast("walk", seed), handheld(2, seed), seed)


def _row(name: str, motions: Sequence[Motion], paths: Sequence[CameraPath], seed: int, shifts: Sequence[float] = (),
         seconds: float = 6.0) -> None:  # fmt: skip
    seen, cameras, truth = filmed(motions, paths, seconds, seed, shifts)
    people, times = seen.people(), seen.times
    moves = np.array([not np.array_equal(p(0.0).camera_to_world, p(1.0).camera_to_world) for p in paths])
    begun = time.perf_counter()
    result = self_calibrate(people, cameras, times, moves)
    taken = time.perf_counter() - begun
    single = np.nanmin(
        [
            np.mean([_error(person.poses[v], true) for person, true in zip(people, truth, strict=True)])
            for v in range(len(paths))
        ]
    )
    joints = seen.triangulated(result.cameras)
    fused, found = (
        np.mean([_error(mine, true) for mine, true in zip(all_, truth, strict=True)])
        for all_ in (result.fused.joints, joints)
    )
    whole = np.mean([_error(j, t, range(17)) for j, t in zip(joints, truth, strict=True)])
    cells = [f"{e:.1f}" for e in (single, fused, found, whole)] + _rig_cells(result, paths, times, moves)
    clock = f"{1000 * np.abs(result.offsets + np.asarray(shifts)).max():.1f}" if len(shifts) else "-"
    print(f"| {name} | {seed} | " + " | ".join([*cells, clock, f"{taken:.1f}"]) + " |", flush=True)


def _rig_cells(result: SelfCalibrated, paths: Sequence[CameraPath], times: Array, moves: Array) -> list[str]:
    if moves.any():
        return ["-", "-", f"{_focal_error(result, paths):.1f}"]
    return [f"{values.max():.1f}" for values in rig_errors(result.cameras, [path(0.0) for path in paths])]


def _focal_error(result: SelfCalibrated, paths: Sequence[CameraPath]) -> float:
    found = zip(result.cameras, paths, strict=True)
    return 100 * max(abs(c.matrix[0, 0] / path(0.0).matrix[0, 0] - 1) for c, path in found)


def _error(ours: Array, true: Array, joints: Sequence[int] = LIMB) -> float:
    """P-MPJPE in mm, the mean over the frames in which all of it is known."""
    ours, true = ours[:, list(joints)], true[:, list(joints)]
    known = np.isfinite(ours).all((1, 2))
    return 1000 * float(p_mpjpe_per_frame(ours[known], true[known]).mean())


def lifting() -> None:
    """Lifted joints against truth after one turn and size for the clip, across and along the line of sight."""
    from multiview.procrustes import align

    print("| motion | across, mm (one axis) | along, mm | along / across |\n|---|---|---|---|")
    for kind in ("walk", "stand", "two"):
        across, along = [], []
        for seed in SEEDS[:2]:
            paths = ring(4, seed)
            seen, cameras, truth = filmed(cast(kind, seed), paths, 6.0, seed)
            for person, true in zip(seen.people(), truth, strict=True):
                for view, path in enumerate(paths):
                    turn = path(0.0).world_to_camera[:3, :3]
                    inside = (true - true[:, :1]) @ turn.T
                    ours = person.poses[view]
                    fit = align(ours.reshape(1, -1, 3), inside.reshape(1, -1, 3), scale=True)
                    miss = fit.scale[0] * ours - inside
                    middle = np.nanmean(person.keypoints[view], axis=1) - cameras[view].matrix[:2, 2]
                    ray = np.concatenate([middle / cameras[view].matrix[0, 0], np.ones((len(middle), 1))], axis=1)
                    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
                    depth = np.einsum("tkj,tj->tk", miss, ray)[:, 1:]
                    along.append((depth**2).mean())
                    across.append(((miss[:, 1:] ** 2).sum(-1) - depth**2).mean() / 2)
        one, other = 1000 * np.sqrt(np.mean(across)), 1000 * np.sqrt(np.mean(along))
        print(f"| {kind} | {one:.0f} | {other:.0f} | {other / one:.1f} |", flush=True)


if __name__ == "__main__":
    main()
