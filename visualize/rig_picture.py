"""A picture of a rig: cameras and what they saw of a board, from above and from the side."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.results import Array, Camera
from visualize.draw import SHIFT, Color, colors, label, mixed
from visualize.floor import BACKGROUND

_TEXT: Color = (214, 205, 196)
_GRID: Color = (62, 52, 46)
_DOT: Color = (120, 200, 240)
_MARGIN = 0.16  # of the panel
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)  # m between the lines of the grid


def draw_rig(cameras: Sequence[Camera], points: Array, size: int = 640) -> Array:
    """Two panels side by side, (size, 2 size, 3) uint8 BGR: seen from above and from the side.

    Args:
        cameras: still ones; drawn as pyramids with their names.
        points: (N,3) m in the world, drawn as dots; may be none.
        size: px of a panel.
    """
    places = np.array([camera.camera_to_world[:3, 3] for camera in cameras]).reshape(-1, 3)
    everything = np.concatenate([places, np.reshape(points, (-1, 3))])
    everything = everything[np.isfinite(everything).all(axis=1)]
    low, high = (everything.min(0), everything.max(0)) if len(everything) else (np.zeros(3), np.ones(3))
    reach = max(float((high - low).max()), 0.1)
    panels = []
    for title, axes in (("from above", (0, 1)), ("from the side", (0, 2))):
        panel = np.full((size, size, 3), BACKGROUND, np.uint8)
        scale = size * (1 - 2 * _MARGIN) / reach
        view = _Plan(panel, np.array(axes), ((low + high) / 2)[list(axes)], scale)
        step = next((s for s in _STEPS if s * scale >= size / 12), _STEPS[-1])
        view.grid(step)
        for point in np.reshape(points, (-1, 3)):
            view.dot(point)
        for index, camera in enumerate(cameras):
            view.camera(camera, index, 0.12 * reach)
        unit = f"{step:g} m" if step >= 1 else f"{100 * step:g} cm"
        text = f"{title}; squares of {unit}, x to the right, {'xyz'[axes[1]]} up"
        label(text, max(11, size // 44), _TEXT).put(panel, size // 40, size // 40)
        panels.append(panel)
    return np.hstack(panels)


class _Plan:
    """A plane of the world on a canvas, in parallel projection."""

    def __init__(self, canvas: Array, axes: Array, middle: Array, scale: float) -> None:
        self.canvas, self.axes, self.middle, self.scale = canvas, axes, middle, scale
        self.size = canvas.shape[0]

    def at(self, points: Array) -> Array:
        """World (...,3) m to px (...,2)."""
        flat = (np.asarray(points)[..., self.axes] - self.middle) * self.scale
        return flat * (1, -1) + self.size / 2

    def grid(self, step: float) -> None:
        half = self.size / 2 / self.scale
        for axis in (0, 1):
            first = np.ceil((self.middle[axis] - half) / step) * step
            for value in np.arange(first, self.middle[axis] + half, step):
                at = (value - self.middle[axis]) * self.scale * (1, -1)[axis] + self.size / 2
                ends = np.array([[at, 0], [at, self.size]])
                self.line(*(ends if axis == 0 else ends[:, ::-1]), _GRID, 1)

    def line(self, a: Array, b: Array, color: Color, thickness: int) -> None:
        ends = [tuple(int(v) for v in np.round(p * 2**SHIFT)) for p in (a, b)]
        cv2.line(self.canvas, ends[0], ends[1], color, thickness, cv2.LINE_AA, SHIFT)

    def dot(self, point: Array) -> None:
        if np.isfinite(point).all():
            centre = tuple(int(v) for v in np.round(self.at(point) * 2**SHIFT))
            cv2.circle(self.canvas, centre, round(max(1.5, self.size / 300) * 2**SHIFT), _DOT, -1, cv2.LINE_AA, SHIFT)

    def camera(self, camera: Camera, index: int, depth: float) -> None:
        """Its pyramid of sight, `depth` m long, and its name."""
        width, height = camera.size
        rim = np.array([[0, 0], [width, 0], [width, height], [0, height]])
        flat = (rim - camera.matrix[[0, 1], [2, 2]]) / camera.matrix[[0, 1], [0, 1]]
        pose = np.asarray(camera.camera_to_world)
        corners = self.at(np.c_[flat, np.ones(4)] * depth @ pose[:3, :3].T + pose[:3, 3])
        eye, color = self.at(pose[:3, 3]), colors(index)[1]
        for number in range(4):
            self.line(eye, corners[number], color, 1)
            self.line(corners[number], corners[(number + 1) % 4], mixed(color, BACKGROUND, 0.3), 1)
        cv2.circle(self.canvas, tuple(int(v) for v in np.round(eye)), max(3, self.size // 160), color, -1, cv2.LINE_AA)
        text = label(camera.name or f"camera {index + 1}", max(12, self.size // 40), color)
        place = eye - np.sign(np.mean(corners, axis=0) - eye) * self.size / 50
        x, y = np.clip(np.round(place), self.size // 40, self.size * 0.85).astype(int)
        text.put(self.canvas, int(x), int(y))
