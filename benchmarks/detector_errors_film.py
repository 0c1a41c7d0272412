"""Clips of single studio actors before random cameras, and what the 2D stage says of them beside what is true.

Much of a detector's error is its own idea of where a joint lies, so samples hold the exact joints in 3D: the fit looks
for that idea among them. Bodies are scaled to one standard size, as in training (`training.views`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.clip import open_clip
from pipeline.files import atomic
from pipeline.projection import project, rays, to_camera
from pipeline.results import Array, Camera, Track2D
from pipeline.skeletons import skeleton, to_lift
from studio.backdrop import Surroundings
from studio.body import Body, Proportions, build_body
from studio.cameras import look_at, still
from studio.mocap import Recording, Replay
from studio.motions import Motion
from studio.stage import Actor, StudioScene
from studio.write import write
from trackers.complete import complete
from training.body_frames import HEIGHT
from training.datasets.open_mocap import read_arrays
from training.mocap import BODY, TEST_SUBJECTS
from training.procedural import HEAD, acted_motion
from training.views import CHAIN, CHAIN_BONES, CHAIN_SHARE

FPS, SECONDS, SHORTEST_S = 30.0, 2.0, 1.0
ACTED = 0.3  # share of clips with the studio's own motions, of the kinds that training holds as well
SIZES = ((640, 480), (848, 480), (480, 848), (608, 608))
SMALLEST = 0.3  # of the picture's height: a person is at least that tall
NEAR = 0.25  # of the person's height: a track farther away is somebody else
LIFT = skeleton("lift-26")


@dataclass(frozen=True)
class Sample:
    """One clip of T frames at 30 per second."""

    joints: Array  # (T,26,3) exact, camera axes, metres of a body of standard size
    rays: Array  # (T,26,2) found, x/z and y/z; NaN where nothing was found
    scores: Array  # (T,26) in 0..1, 0 where nothing was found

    @property
    def height(self) -> float:
        """Of the person, in rays: `HEIGHT` at the root's mean depth."""
        return HEIGHT / float(self.root_depth.mean())

    @property
    def root_depth(self) -> Array:
        """(T,) m of the pelvis."""
        return self.joints[:, LIFT.joints.index("pelvis"), 2]


def scenes(data: Path | None, clips: int, seed: int = 0) -> list[StudioScene]:
    """Scenes of one actor each; recorded motion of training subjects where `data` (open_mocap.npz) is given.

    Raises:
        InputError: `data` cannot be read.
    """
    arrays = None if data is None else read_arrays(data)
    found: list[StudioScene] = []
    for number in range(clips):
        rng = np.random.default_rng([seed, number, 41])
        acted = arrays is None or rng.random() < ACTED
        scene = None
        while scene is None:
            scene = _scene(number, rng, _act(rng) if acted else _recorded(rng, arrays))
        found.append(scene)
    return found


def _act(rng: np.random.Generator) -> tuple[Body, Motion, float]:
    return build_body(Proportions.random(int(rng.integers(1 << 30)))), acted_motion(rng, int(rng.integers(64))), SECONDS


def _recorded(rng: np.random.Generator, data: dict[str, Array]) -> tuple[Body, Motion, float]:
    """Some seconds of a clip; every subject is equally likely."""
    long = data["length"] >= SHORTEST_S * data["fps"]
    subjects = np.unique(data["subject"][long & ~np.isin(data["subject"], sorted(TEST_SUBJECTS))])
    clip = rng.choice(np.flatnonzero(long & (data["subject"] == rng.choice(subjects))))
    part = slice(int(data["start"][clip]), int(data["start"][clip] + data["length"][clip]))
    recording = Recording(data["rel"][part].astype(np.float32) + data["root"][part, None], float(data["fps"]))
    seconds = min(SECONDS, recording.duration)
    body = recording.body()
    looks = replace(body.proportions, build=float(rng.uniform(0.86, 1.16)), long_hair=bool(rng.random() < 0.35))
    motion = Replay(recording, start=float(rng.uniform(0, recording.duration - seconds)))
    return replace(body, proportions=looks), motion, seconds


def _scene(number: int, rng: np.random.Generator, part: tuple[Body, Motion, float]) -> StudioScene | None:
    """The scene before a random camera; None where the person would be too small in the picture."""
    body, motion, seconds = part
    times = np.arange(round(seconds * FPS)) / FPS
    joints = body.joints(motion(body, times), LIFT.name)
    camera = _camera(rng, joints)
    tall = np.median(np.ptp(project(camera, joints)[0][..., 1], axis=1))
    if tall < SMALLEST * camera.size[1]:
        return None
    actor = Actor(1, body, motion, int(rng.integers(1 << 30)))
    room = Surroundings((30.0, 30.0, 3.4) if rng.random() < 0.6 else None, clutter=bool(rng.random() < 0.5))
    return StudioScene(
        f"errors-{number}", (actor,), (still(camera),), times, FPS, room, rng.uniform(1.0, 6.0), 0.0, number
    )


def _camera(rng: np.random.Generator, joints: Array) -> Camera:
    """Near enough for a large person, far enough that all joints (T,J,3) stay in the picture."""
    size = SIZES[rng.integers(len(SIZES))]
    wide = np.tan(np.radians(rng.uniform(32, 85)) / 2) * size[0] / max(size)
    low, high = joints.min((0, 1)), joints.max((0, 1))
    target, azimuth = (low + high) / 2, rng.uniform(0, 2 * np.pi)
    elevation = np.radians(rng.uniform(-25, 65) if rng.random() < 0.3 else rng.uniform(-8, 28))
    away = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    roll, margin = float(rng.normal(0, 0.04)), rng.uniform(0.02, 0.2)
    for distance in 1.5 * 1.08 ** np.arange(40):
        eye = target + distance * away
        eye[2] = max(eye[2], 0.15)
        camera = look_at(tuple(eye), tuple(target), size, float(np.degrees(2 * np.arctan(wide))), roll)
        pixels, depth = project(camera, joints)
        inside = (pixels > margin * np.array(size)) & (pixels < (1 - margin) * np.array(size))
        if depth.min() > 0.6 and inside.all():
            break
    return camera


def film(scene: StudioScene, detector: Any, tracker: Any, folder: Path) -> Sample | None:
    """Render, detect and track the clip as a run does; None where the actor was not found.

    Args:
        detector, tracker: as the stages of a run have them.
        folder: where the clip lies for a while.
    """
    path = folder / f"{scene.name}.mp4"
    write(scene, path)
    with open_clip(path) as clip:
        info = clip.info
        tracks = tracker.track(detector.detect(clip), info.times, (info.width, info.height))
        tracks = [complete(track, info.times) for track in tracks]
    path.unlink()
    return compare(scene, tracks)


def compare(scene: StudioScene, tracks: Sequence[Track2D]) -> Sample | None:
    """The joints of the scene's actor beside those of the tracks near it, from the first to the last frame of these."""
    truth = scene.truth(LIFT.name)
    camera, exact = truth.cameras[0][0], truth.keypoints[0, 0]
    found, scores = np.full(exact.shape, np.nan), np.zeros(exact.shape[:2])
    tall = np.median(np.ptp(exact[..., 1], axis=1))
    for track in sorted(tracks, key=len, reverse=True):
        both = to_lift(
            np.concatenate([track.keypoints, track.scores[..., None]], axis=-1).astype(float), track.skeleton
        )
        apart = np.nanmedian(np.linalg.norm(both[..., :2] - exact[track.frames], axis=-1), axis=1)
        free = np.isnan(found[track.frames]).all((1, 2))
        if np.nanmedian(apart) < NEAR * tall:
            frames = track.frames[free]
            found[frames] = both[free, :, :2]
            scores[frames] = np.nan_to_num(both[free, :, 2])
    joints = to_camera(camera, truth.points[0])
    flat = rays(camera, found)
    scores = np.where(np.isfinite(flat).all(-1), scores, 0.0)
    there = np.flatnonzero(np.isfinite(flat).any((1, 2)))
    if not len(there):
        return None
    seen = slice(there[0], there[-1] + 1)
    joints = joints * _standard(truth.joints[0])
    return Sample(joints[seen], flat[seen], scores[seen])


def _standard(joints: Array) -> float:
    """What scales a body (T,23,3) to the standard size."""
    bones = np.linalg.norm(joints - joints[:, [max(p, 0) for p in BODY.parents]], axis=-1).mean(0)
    bones[BODY.joints.index("head_top")] *= HEAD  # as training's own bodies
    return CHAIN / float(bones[CHAIN_BONES] @ np.array(CHAIN_SHARE))


def save(samples: Sequence[Sample], path: Path) -> None:
    """All samples in one .npz."""
    fields = Sample.__dataclass_fields__
    arrays = {name: np.concatenate([getattr(s, name) for s in samples]) for name in fields}
    with atomic(path) as temporary:
        np.savez_compressed(temporary, lengths=[len(s.joints) for s in samples], **arrays)


def load(path: Path) -> list[Sample]:
    """What `save` wrote."""
    with np.load(path, allow_pickle=False) as data:
        ends = np.cumsum(data["lengths"])[:-1]
        columns = [np.split(data[name], ends) for name in Sample.__dataclass_fields__]
    return [Sample(*values) for values in zip(*columns, strict=True)]
