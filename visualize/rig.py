"""The cameras in the 3D view: what each looks at, its name, and where on the floor it stands.

A camera that the eye does not see, for the eye stays near the people, is told by an arrow at the view's rim.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.results import Array, Camera, Scene
from visualize.draw import SHIFT, Color, fill, label, mixed
from visualize.floor import BACKGROUND
from visualize.footage import own_frames
from visualize.legend import QUIET, TEXT
from visualize.view import View

_CHUNK = 240  # frames projected at a time
_REACH = 0.045  # of the eye's distance: the length of a camera's drawn edges
_STEEPEST = 1.5  # tangent of the angle beside which no picture's corner is drawn
_TOO_NEAR = 0.3  # of the eye's distance: nearer than this a camera would stand before everything
_LINES = (
    *((0, corner) for corner in (1, 2, 3, 4)),
    *((a, b) for a, b in ((1, 2), (2, 3), (3, 4), (4, 1), (1, 5), (5, 2))),
    (0, 6),
)  # between the points of `_shape`; the last one is the stem
_ABOVE_LEGEND = 0.84  # of the view's height: lower no arrow stands
_FADED = 0.6  # share of the background in what does not film at that time


@dataclass(frozen=True)
class _Drawn:
    """One camera in a chunk of frames."""

    points: Array  # (F,7,2) px: centre, corners, the mark of what is up, the place on the floor
    whole: Array  # (F,) bool: all of it is in front of the eye, and its centre in the view
    behind: Array  # (F,) bool: farther from the eye than the people are
    rim: Array  # (F,2) px where the arrow stands
    aside: Array  # (F,2) the arrow's direction; NaN: none


class Rig:
    """Draws the cameras of a scene with several views."""

    def __init__(self, scene: Scene, view: View) -> None:
        self._scene, self._view = scene, view
        self._reach = _REACH * float(np.median(view.distance))
        self._filming = [own_frames(v, scene.clip.times)[1] for v in scene.views]
        self._text = max(9, round(view.size[1] / 50))
        self._thickness = max(1, round(view.size[1] / 720))
        self._first, self._drawn = -1, []

    def draw(self, canvas: Array, frame: int, behind: bool) -> None:
        """Draw what is behind the people, or what is before them and at the rim."""
        if self._first != frame // _CHUNK * _CHUNK:
            self._first = frame // _CHUNK * _CHUNK
            frames = np.arange(self._first, min(self._first + _CHUNK, len(self._scene.clip.times)))
            self._drawn = [self._project(view.camera, frames) for view in self._scene.views]
        row = frame - self._first
        for number, drawn in enumerate(self._drawn):
            share = 0.0 if self._filming[number][frame] else _FADED
            if drawn.whole[row] and drawn.behind[row] == behind:
                self._frustum(canvas, drawn.points[row], number, share, filled=behind)
            elif not behind and np.isfinite(drawn.aside[row]).all():
                self._arrow(canvas, drawn.rim[row], drawn.aside[row], number, share)

    def _project(self, camera: Camera, frames: Array) -> _Drawn:
        pose = np.asarray(camera.camera_to_world, np.float64)
        pose = pose[frames] if pose.ndim == 3 else np.broadcast_to(pose, (len(frames), 4, 4))
        points = _shape(camera, self._reach) @ np.swapaxes(pose[:, :3, :3], 1, 2) + pose[:, None, :3, 3]
        points = np.concatenate([points, points[:, :1] * [1, 1, 0]], axis=1)
        pixels, depth = self._view.project(points, frames)
        place, size = pixels[:, 0], np.array(self._view.size)
        ahead = depth[:, 0] > _TOO_NEAR * self._view.distance[frames]
        inside = ((place > 0) & (place < size)).all(axis=1)
        whole = ahead & inside & np.isfinite(pixels).all(axis=(1, 2))
        rim, aside = self._rim(pose[:, :3, 3], frames)
        aside = np.where((inside & np.isfinite(place).all(axis=1))[:, None], np.nan, aside)
        return _Drawn(pixels, whole, depth[:, 0] > self._view.distance[frames], rim, aside)

    def _rim(self, centres: Array, frames: Array) -> tuple[Array, Array]:
        """Where the way from the view's middle towards (F,3) m leaves the view (F,2) px, and that way (F,2)."""
        seen = np.einsum("fac,fc->fa", self._view.axes[frames], centres - self._view.target[frames])
        depth = np.maximum(seen[:, 2] + self._view.distance[frames], 0.2)
        way = seen[:, :2] * (self._view.focal / depth)[:, None]  # of what is behind the eye too: aside stays aside
        half = np.array(self._view.size) / 2 - 1.2 * self._text
        way = way / np.maximum(np.abs(way / half).max(axis=1, keepdims=True), 1e-9)
        rim = way + np.array(self._view.size) / 2
        rim[:, 1] = np.minimum(rim[:, 1], _ABOVE_LEGEND * self._view.size[1])
        return rim, way / np.linalg.norm(way, axis=1, keepdims=True)

    def _frustum(self, canvas: Array, points: Array, number: int, share: float, filled: bool) -> None:
        ends = (np.clip(points, -1e4, 1e4) * (1 << SHIFT)).round().astype(np.int32)
        line, stem = mixed(TEXT, BACKGROUND, max(share, 0.15)), mixed(QUIET, BACKGROUND, max(share, 0.45))
        cv2.polylines(canvas, [ends[[0, 6]]], False, stem, self._thickness, cv2.LINE_AA, SHIFT)
        _dot(canvas, points[6], 2.0 * self._thickness, stem)
        if filled:  # nothing before the people covers them
            fill(canvas, cv2.convexHull(ends[1:5])[:, 0], mixed(QUIET, BACKGROUND, max(share, 0.7)))
        cv2.polylines(canvas, ends[np.array(_LINES[:-1])], False, line, self._thickness, cv2.LINE_AA, SHIFT)
        name = label(self._scene.views[number].name, self._text, line, 600)
        top = float(points[:6, 1].min())
        name.put(canvas, round(points[:6, 0].mean() - name.size[0] / 2), round(top - 1.3 * self._text))

    def _arrow(self, canvas: Array, place: Array, way: Array, number: int, share: float) -> None:
        across, long = np.array([-way[1], way[0]]), 0.55 * self._text
        corners = [place + long * way, place - 0.4 * long * way + 0.6 * long * across]
        corners.append(place - 0.4 * long * way - 0.6 * long * across)
        tone = mixed(QUIET, BACKGROUND, share)
        fill(canvas, (np.array(corners) * (1 << SHIFT)).round().astype(np.int32), tone)
        name = label(self._scene.views[number].name, self._text, tone)
        middle = place - way * (np.array([0.5 * name.size[0], 0.6 * self._text]) + long)
        name.put(canvas, round(middle[0] - name.size[0] / 2), round(middle[1] - name.size[1] / 2))


def _shape(camera: Camera, reach: float) -> Array:
    """(6,3) m in the camera's axes: centre, the picture's corners from the upper left on, and a mark above it."""
    matrix, (width, height) = np.asarray(camera.matrix, np.float64), camera.size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
    flat = (corners - matrix[:2, 2]) / matrix[[0, 1], [0, 1]]
    rays = np.concatenate([np.clip(flat, -_STEEPEST, _STEEPEST), np.ones((4, 1))], axis=1)
    rays *= reach / np.linalg.norm(rays, axis=1).max()
    mark = (rays[0] + rays[1]) / 2 + 0.35 * (rays[0] - rays[3] + rays[1] - rays[2]) / 2
    return np.concatenate([np.zeros((1, 3)), rays, mark[None]])


def _dot(canvas: Array, center: Array, radius: float, color: Color) -> None:
    middle = (np.clip(center, -1e3, 3e4) * (1 << SHIFT)).round().astype(int).tolist()
    cv2.circle(canvas, middle, round(radius * (1 << SHIFT)), color, -1, cv2.LINE_AA, SHIFT)
