"""The eye of the 3D view: where it stands in every frame, and the floor it sees.

The whole clip is known, so the eye follows people without jitter and never has to hurry: it aims at their smoothed
middle, stands far enough away to hold all of them, and swings slowly around the side from which the video was taken.
Of several cameras it also holds those that do not make people much smaller, and looks down a little more steeply, so
that their places on the floor are seen.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from pipeline.results import Array, Scene

FIELD_OF_VIEW = np.radians(34)
_ELEVATION, _RIG_ELEVATION = np.radians(13), np.radians(20)  # with one camera, with several
_OFFSET, _RIG_OFFSET = np.radians(24), np.radians(8)  # beside the side of the video, of the first of several
_SWING, _PERIOD = np.radians(20), 14.0  # to both sides of that; s for there and back
_CHUNK = 2048  # frames looked at at a time, so that long clips need little memory
_NEAREST, _FARTHEST = 3.4, 16.0  # m
_FILL = 0.84  # how far towards the rim people may come
_RIG_FILL, _RIG_FARTHER, _RIG_FARTHEST = 0.88, 2.4, 12.0  # the same of cameras; how much farther the eye goes for them
_STANDING = 1.45  # the eye stands still when this many times the distance of following is enough
_POSES_PER_SECOND = 30  # the eye moves in steps no finer than this, so that fast clips can reuse a drawn floor


@dataclass(frozen=True)
class View:
    """One pose per frame of the clip and a pinhole."""

    size: tuple[int, int]  # width, height px
    target: Array  # (T,3) m, the point looked at
    distance: Array  # (T,) m
    axes: Array  # (T,3,3): right, down and forward in the world
    hold: int  # frames that share one pose

    @property
    def focal(self) -> float:
        """px"""
        return min(self.size) / 2 / np.tan(FIELD_OF_VIEW / 2)

    def project(self, points: Array, frames: Array) -> tuple[Array, Array]:
        """World points (F,...,3) m seen in `frames` (F,) -> (F,...,2) px and depth (F,...) m; NaN behind the eye."""
        flat = points.reshape(len(frames), -1, 3)
        seen = (flat - self.target[frames][:, None]) @ np.swapaxes(self.axes[frames], 1, 2)
        depth = seen[..., 2] + self.distance[frames][:, None]
        depth = np.where(depth > 0.2, depth, np.nan)
        middle = np.array([self.size[0] / 2, self.size[1] * 0.52])
        pixels = seen[..., :2] * (self.focal / depth)[..., None] + middle
        return pixels.reshape(*points.shape[:-1], 2), depth.reshape(points.shape[:-1])


def view_of(scene: Scene, size: tuple[int, int]) -> View:
    """A view that holds everyone of the scene in all frames, and the cameras that stand near enough."""
    frames = len(scene.clip.times)
    rate = max(1.0, min(scene.clip.fps, 240.0))
    hold = max(1, round(rate / _POSES_PER_SECOND))
    steps = np.arange(frames) // hold * hold
    low, high = _bounds(scene, frames)
    known = np.isfinite(low).all(axis=1)
    if not known.any():
        low, high, known = np.full((frames, 3), -0.9), np.full((frames, 3), 0.9), np.ones(frames, bool)
        low[:, 2], high[:, 2] = 0, 1.7
    standing = (np.nanmin(low, axis=0) + np.nanmax(high, axis=0)) / 2
    swing = (_RIG_OFFSET if scene.views else _OFFSET) + _SWING * np.sin(2 * np.pi * scene.clip.times[steps] / _PERIOD)
    azimuth = _azimuth(scene, standing) + swing
    axes = _axes(azimuth, _RIG_ELEVATION if scene.views else _ELEVATION)
    target = np.broadcast_to(standing, (frames, 3))
    half = np.tan(FIELD_OF_VIEW / 2) * np.array(size) / min(size)
    distance = np.full(frames, np.nanmax(_distance_for(target, axes, half * _FILL, low, high)))
    followed = gaussian_filter1d(_filled((low + high) / 2, known), 0.9 * rate, axis=0, mode="nearest")
    need = _distance_for(followed, axes, half * _FILL, low, high)
    if distance[0] > _STANDING * np.nanquantile(need, 0.98):
        target, away = followed, _filled(need[:, None], known)[:, 0]
        away = maximum_filter1d(away, 2 * round(1.2 * rate) + 1, mode="nearest")
        distance = gaussian_filter1d(away, 0.6 * rate, mode="nearest")
    distance = np.clip(distance, _NEAREST, _FARTHEST)
    distance = np.maximum(distance, _distance_for_rig(scene, target, axes, half * _RIG_FILL, float(distance.max())))
    return View(size, target[steps], distance[steps], axes, hold)


def _axes(azimuth: Array, elevation: float) -> Array:
    """(T,3,3): right, down and forward of the eye in the world, for an eye on that side of its target."""
    sine, cosine = np.sin(azimuth), np.cos(azimuth)
    low, high = np.cos(elevation), np.sin(elevation)
    forward = np.stack([-cosine * low, -sine * low, np.full_like(sine, -high)], -1)
    right = np.stack([-sine, cosine, np.zeros_like(sine)], -1)
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def _bounds(scene: Scene, frames: int) -> tuple[Array, Array]:
    """(T,3) lowest and highest coordinates of all people in each frame; NaN where nobody is."""
    low, high = np.full((frames, 3), np.nan), np.full((frames, 3), np.nan)
    for person in scene.people:
        joints = person.joints
        if not np.isfinite(joints).any():
            continue
        edges = np.nanquantile(joints.reshape(-1, 3)[:: max(1, joints.size // 300_000)], (0.005, 0.995), axis=0)
        joints = np.clip(joints, edges[0] - 0.5, edges[1] + 0.5)  # a stray joint must not push the eye away
        rows = person.frames
        low[rows] = np.fmin(low[rows], np.fmin.reduce(joints, axis=1))
        high[rows] = np.fmax(high[rows], np.fmax.reduce(joints, axis=1))
    return np.minimum(low, [np.inf, np.inf, 0]), high  # the floor below them belongs to the picture


def _filled(values: Array, known: Array) -> Array:
    """(T,C) with the unknown rows interpolated."""
    at = np.flatnonzero(known)
    return np.stack([np.interp(np.arange(len(values)), at, column[at]) for column in values.T], axis=1)


def _distance_for(target: Array, axes: Array, half: Array, low: Array, high: Array) -> Array:
    """(T,) m from `target` at which the box low..high (T,3) just fits into a view of `half` (2,) m at 1 m."""
    chunks = [slice(begin, begin + _CHUNK) for begin in range(0, len(target), _CHUNK)]
    return np.concatenate([_fitting(target[c], axes[c], half, low[c], high[c]) for c in chunks])


def _fitting(target: Array, axes: Array, half: Array, low: Array, high: Array) -> Array:
    corners = np.stack([np.where(pick, high, low) for pick in itertools.product((False, True), repeat=3)], axis=1)
    seen = (corners - target[:, None]) @ np.swapaxes(axes, 1, 2)
    return ((np.abs(seen[..., :2]) / half).max(axis=-1) - seen[..., 2]).max(axis=1)


def _distance_for_rig(scene: Scene, target: Array, axes: Array, half: Array, people: float) -> float:
    """m at which the view holds as many cameras as it can without going much farther than `people` need."""
    most, best = max(people, min(_RIG_FARTHER * people, _RIG_FARTHEST)), 0.0
    for view in scene.views:
        centre = np.broadcast_to(np.asarray(view.camera.camera_to_world, float)[..., :3, 3], target.shape)
        need = float(_distance_for(target, axes, half, centre, centre).max())
        best = max(best, need if need <= most else 0.0)
    return best


def _azimuth(scene: Scene, target: Array) -> float:
    """The side from which the video sees the people."""
    matrix = np.asarray(scene.camera.camera_to_world, float)
    offset = matrix.reshape(-1, 4, 4)[0, :2, 3] - target[:2]
    return float(np.arctan2(offset[1], offset[0])) if np.hypot(*offset) > 0.1 else -np.pi / 2
