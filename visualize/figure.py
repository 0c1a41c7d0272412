"""People in the 3D view: limbs, torso, head, hands and feet with body-like widths, and their shadows on the floor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.results import Array, Motion3D, Scene
from pipeline.skeletons import Skeleton, skeleton
from visualize.draw import LEFT, MIDDLE, Color, capsules, colors, fill, label, mixed, side
from visualize.view import BACKGROUND, Floor, View

_CHUNK = 240  # frames projected at a time
_SHADOW: Color = (27, 21, 18)
_INK: Color = (22, 17, 14)
_LIGHT = np.array([0.18, 0.10])  # m the shadow moves aside per metre of height

# joint, joint, radius m at each; sides are added below
_LIMBS = (
    ("hip", "knee", 0.062, 0.046),
    ("knee", "ankle", 0.046, 0.032),
    ("shoulder", "elbow", 0.043, 0.035),
    ("elbow", "wrist", 0.035, 0.025),
    ("wrist", "hand", 0.029, 0.024),
    ("ankle", "heel", 0.032, 0.034),
    ("heel", "toe", 0.034, 0.024),
)
_TRUNK = (
    ("pelvis", "spine", 0.085, 0.080),
    ("spine", "thorax", 0.080, 0.085),
    ("thorax", "neck_nose", 0.040, 0.038),
    ("neck_nose", "head_top", 0.080, 0.085),
    ("left_hip", "right_hip", 0.066, 0.066),
    ("left_shoulder", "right_shoulder", 0.048, 0.048),
)
_HEAD = (0.38, 0.62)  # the part of neck_nose..head_top that the head's round ends are centred on


@dataclass(frozen=True)
class _Body:
    """Which joints make a limb, how thick it is, and on which side."""

    ends: Array  # (B,2) joint indices
    radii: Array  # (B,2) m
    sides: Array  # (B,)
    head: int  # the limb that is the head, -1 none
    torso: tuple[int, ...]  # shoulders and hips


def _body(bones: Skeleton) -> _Body:
    named = [(f"{s}_{a}", f"{s}_{b}", ra, rb) for s in ("left", "right") for a, b, ra, rb in _LIMBS] + list(_TRUNK)
    known = [row for row in named if row[0] in bones.joints and row[1] in bones.joints]
    ends = np.array([bones.index(a, b) for a, b, _, _ in known])
    sides = np.array(
        [
            MIDDLE if a.partition("_")[0] != b.partition("_")[0] else side(bones, *bones.index(a, b))
            for a, b, _, _ in known
        ]
    )
    head = next((i for i, row in enumerate(known) if row[1] == "head_top"), -1)
    corners = ("left_shoulder", "right_shoulder", "right_hip", "left_hip")
    return _Body(ends, np.array([row[2:] for row in known]), sides, head, tuple(bones.index(*corners)))


@dataclass(frozen=True)
class _Shapes:
    """One person's outlines in a chunk of frames."""

    first: int
    limbs: Array  # (F,B,N,2) int32, 1/16 px
    rims: Array  # the same, a little larger
    shadows: Array
    torso: Array  # (F,4,2) px
    torso_radius: Array  # (F,) px
    depth: Array  # (F,B+1) m; the last is the torso's
    faint: Array  # (F,) bool: not observed
    tag: Array  # (F,2) px, where the name goes


class Figures:
    """Draws all people of a scene, frame after frame."""

    def __init__(self, scene: Scene, view: View) -> None:
        self._scene, self._view = scene, view
        self._bodies = [_body(skeleton(person.skeleton)) for person in scene.people]
        self._floor = Floor(view)
        self._rim = max(1.0, view.size[1] / 720 * 1.5)

    def panels(self, frames: Array | None = None) -> Iterator[Array]:
        """The 3D view of each frame, (H,W,3) uint8 BGR, of all frames or of those given (increasing)."""
        frames = np.arange(len(self._scene.clip.times)) if frames is None else frames
        for start in range(0, len(frames), _CHUNK):
            chunk = frames[start : start + _CHUNK]
            shapes = [
                self._shapes(person, body, chunk) for person, body in zip(self._scene.people, self._bodies, strict=True)
            ]
            for row, frame in enumerate(chunk):
                yield self._draw(int(frame), row, shapes)

    # ---- geometry, a chunk of frames at a time ------------------------------------------------------------------

    def _shapes(self, person: Motion3D, body: _Body, frames: Array) -> _Shapes | None:
        rows = np.searchsorted(person.frames, frames)
        present = (rows < len(person)) & (person.frames[np.minimum(rows, len(person) - 1)] == frames)
        if not present.any():
            return None
        rows = np.where(present, rows, 0)
        joints = np.where(present[:, None, None], person.joints[rows], np.nan).astype(np.float64)
        ends = joints[:, body.ends]
        if body.head >= 0:
            low, high = ends[:, body.head, 0].copy(), ends[:, body.head, 1].copy()
            ends[:, body.head, 0] = low + _HEAD[0] * (high - low)
            ends[:, body.head, 1] = low + _HEAD[1] * (high - low)
        pixels, depth = self._view.project(ends, frames)
        radii = body.radii * self._view.focal / depth
        flat = ends * [1, 1, 0] + np.concatenate([ends[..., 2:] * _LIGHT, np.zeros_like(ends[..., :1])], -1)
        ground, ground_depth = self._view.project(flat, frames)
        ground_radii = body.radii * self._view.focal / ground_depth
        torso, torso_depth = self._view.project(joints[:, body.torso], frames)
        top, _ = self._view.project(
            np.nanmax(np.nan_to_num(joints, nan=-9), 1, keepdims=True) * [0, 0, 1]
            + joints[:, :1] * [1, 1, 0]
            + [0, 0, 0.14],
            frames,
        )
        return _Shapes(
            first=int(frames[0]),
            limbs=capsules(pixels[..., 0, :], pixels[..., 1, :], radii[..., 0], radii[..., 1]),
            rims=capsules(pixels[..., 0, :], pixels[..., 1, :], radii[..., 0] + self._rim, radii[..., 1] + self._rim),
            shadows=capsules(ground[..., 0, :], ground[..., 1, :], ground_radii[..., 0], ground_radii[..., 1]),
            torso=torso,
            torso_radius=0.05 * self._view.focal / torso_depth.mean(-1),
            depth=np.concatenate([depth.mean(-1), torso_depth.mean(-1, keepdims=True)], axis=1),
            faint=~person.observed[rows],
            tag=top[:, 0],
        )

    # ---- one frame ------------------------------------------------------------------------------------------------

    def _draw(self, frame: int, row: int, shapes: list[_Shapes | None]) -> Array:
        canvas = self._floor.canvas(frame)
        order: list[tuple[float, int, int]] = []
        for number, shape in enumerate(shapes):
            if shape is None:
                continue
            self._shadow(canvas, shape, row)
            depth = shape.depth[row]
            order += [(-depth[limb], number, int(limb)) for limb in np.flatnonzero(np.isfinite(depth))]
        for _, number, limb in sorted(order):
            self._limb(canvas, shapes[number], row, number, limb)
        for number, shape in enumerate(shapes):
            if shape is not None and np.isfinite(shape.tag[row]).all():
                self._tag(canvas, shape.tag[row], number)
        return canvas

    def _shadow(self, canvas: Array, shape: _Shapes, row: int) -> None:
        for outline in shape.shadows[row]:
            if outline.any():
                fill(canvas, outline, _SHADOW)

    def _limb(self, canvas: Array, shape: _Shapes, row: int, number: int, limb: int) -> None:
        tones = colors(number)
        fade = 0.55 if shape.faint[row] else 0.0
        if limb == shape.limbs.shape[1]:
            outline = _hull(shape.torso[row], shape.torso_radius[row])
            fill(canvas, outline, mixed(mixed(tones[MIDDLE], BACKGROUND, 0.35), BACKGROUND, fade))
            return
        if not shape.limbs[row, limb].any():
            return
        side_ = int(self._bodies[number].sides[limb])
        fill(canvas, shape.rims[row, limb], _INK)
        fill(canvas, shape.limbs[row, limb], mixed(tones[side_], BACKGROUND, fade))

    def _tag(self, canvas: Array, place: Array, number: int) -> None:
        size = max(10, round(self._view.size[1] / 40))
        name = label(str(self._scene.people[number].id), size, 600)
        x, y = place[0] - name.mask.shape[1] / 2, place[1] - name.mask.shape[0]
        name.put(canvas, round(x), round(y), colors(number)[LEFT])


def _hull(corners: Array, radius: float) -> Array:
    """The outline around four discs, (N,2) int32 in 1/16 px."""
    angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    ring = radius * np.stack([np.cos(angle), np.sin(angle)], -1)
    points = (corners[:, None] + ring).reshape(-1, 2) * 16
    return cv2.convexHull(points.round().astype(np.int32))[:, 0]
