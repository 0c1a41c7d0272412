"""The 3D skeletons as a camera sees them: fine lines over its picture, which lie on the body where all is well."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.projection import during, to_camera, to_pixels
from pipeline.results import Array, Camera, Motion3D, View
from pipeline.skeletons import skeleton
from visualize.draw import LEFT, SHIFT, Color, colors, mixed, picture_bones

INK: Color = (20, 16, 12)
_WHITE: Color = (255, 255, 255)
_CHUNK = 240  # frames projected at a time
_NEAREST = 0.05  # m
_ASIDE = 1.0  # picture sizes beside the picture from which no lens model tells anything any more


class Reprojection:
    """Draws the people of a scene onto pictures of `size` of one of its views."""

    def __init__(self, people: Sequence[Motion3D], view: View, size: tuple[int, int]) -> None:
        self._people, self._camera = people, view.camera
        self._scale = np.array(size) / [view.clip.width, view.clip.height]
        self._thickness = max(1, round(size[1] / 540))
        self._bones = [np.array(picture_bones(skeleton(person.skeleton))) for person in people]
        self._first, self._lines = 0, [np.empty((0, 0, 2, 2), np.int32)] * len(people)
        self._known: list[Array] = []

    def draw(self, canvas: Array, frame: int, under: bool = False) -> None:
        """Draw everyone who is in that frame of the scene; canvas is (H,W,3) uint8 BGR and is changed.

        `under`: the dark rims only, to be drawn before anything that the lines shall lie on.
        """
        if not self._known or not 0 <= frame - self._first < _CHUNK:
            self._project(frame // _CHUNK * _CHUNK)
        for number, person in enumerate(self._people):
            row = frame - max(self._first, int(person.frames[0])) if len(person) else -1
            if 0 <= row < len(self._lines[number]):
                lines = self._lines[number][row][self._known[number][row]]
                color, wider = (INK, 2) if under else (tone(number), 0)
                cv2.polylines(canvas, lines, False, color, self._thickness + wider, cv2.LINE_AA, SHIFT)

    def _project(self, first: int) -> None:
        self._first, self._lines, self._known = first, [], []
        for person, bones in zip(self._people, self._bones, strict=True):
            rows = slice(*np.searchsorted(person.frames, (first, first + _CHUNK)))
            points = (seen(self._camera, person.joints[rows], person.frames[rows]) + 0.5) * self._scale - 0.5
            ends = points[:, bones] * (1 << SHIFT)
            known = np.isfinite(ends).all(axis=(-1, -2))
            self._lines.append(np.where(known[..., None, None], ends, 0).round().astype(np.int32))
            self._known.append(known)


def tone(person: int) -> Color:
    """Nearly white, with a touch of the person's own colour."""
    return mixed(colors(person)[LEFT], _WHITE, 0.7)


def seen(camera: Camera, joints: Array, frames: Array) -> Array:
    """World points (F,K,3) m at `frames` (F,) of the scene as pixels (F,K,2); NaN behind and far beside the camera."""
    local = to_camera(during(camera, frames), joints)
    matrix = np.asarray(camera.matrix, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = local[..., :2] / local[..., 2:]
        aside = np.abs(flat @ matrix[:2, :2].T + matrix[:2, 2] - np.array(camera.size) / 2) / camera.size
        known = (local[..., 2] > _NEAREST) & (camera.fisheye | (aside < 0.5 + _ASIDE).all(axis=-1))
    return to_pixels(camera, np.where(known[..., None], flat, np.nan))
