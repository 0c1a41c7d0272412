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
_WHITE: Color = (255, 255, 255)
_RING = np.stack([np.cos(np.arange(16) * np.pi / 8), np.sin(np.arange(16) * np.pi / 8)], -1)
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
_TRUNK = (("thorax", "neck_nose", 0.042, 0.040), ("neck_nose", "head_top", 0.078, 0.084))
_CORNERS = (("left_shoulder", 0.052), ("right_shoulder", 0.052), ("right_hip", 0.068), ("left_hip", 0.068))
_HEAD = (0.38, 0.62)  # the part of neck_nose..head_top that the head's round ends are centred on


@dataclass(frozen=True)
class _Body:
    """Which joints make a limb, how thick it is, and on which side."""

    ends: Array  # (B,2) joint indices
    radii: Array  # (B,2) m
    sides: Array  # (B,)
    head: int  # the limb that is the head
    torso: list[int]  # joints of its corners
    spine: list[int]  # pelvis, spine, thorax


def _body(bones: Skeleton) -> _Body:
    limbs = [(f"{s}_{a}", f"{s}_{b}", ra, rb) for s in ("left", "right") for a, b, ra, rb in _LIMBS]
    known = [row for row in (*limbs, *_TRUNK) if row[0] in bones.joints and row[1] in bones.joints]
    ends = [bones.index(a, b) for a, b, _, _ in known]
    return _Body(
        ends=np.array(ends),
        radii=np.array([row[2:] for row in known]),
        sides=np.array([side(bones, *pair) for pair in ends]),
        head=len(known) - 1,
        torso=bones.index(*(name for name, _ in _CORNERS)),
        spine=bones.index("pelvis", "spine", "thorax"),
    )


@dataclass(frozen=True)
class _Shapes:
    """One person's outlines in a chunk of frames; the last limb stands for the torso."""

    limbs: Array  # (F,B,N,2) int32, 1/16 px
    rims: Array  # the same, a little larger
    lights: Array  # the lit side of each limb
    shadows: Array  # of limbs and head on the floor
    torso_shadow: Array  # (F,4,2) px
    torso: Array  # (F,4,2) px
    torso_radii: Array  # (F,4) px
    spine: Array  # (F,3,2) px
    behind: Array  # (F,) bool: seen from behind
    depth: Array  # (F,B+1) m, NaN where not to be drawn
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
            people = zip(self._scene.people, self._bodies, strict=True)
            shapes = [self._shapes(person, body, chunk) for person, body in people]
            for row, frame in enumerate(chunk):
                yield self._draw(int(frame), row, shapes)

    # ---- geometry, a chunk of frames at a time ------------------------------------------------------------------

    def _shapes(self, person: Motion3D, body: _Body, frames: Array) -> _Shapes | None:
        rows = np.minimum(np.searchsorted(person.frames, frames), len(person) - 1)
        present = person.frames[rows] == frames
        if not present.any():
            return None
        joints = np.where(present[:, None, None], person.joints[rows], np.nan).astype(np.float64)
        ends = _ends(joints, body)
        limbs, radii, depth = self._seen(ends, body.radii, frames)
        inner = limbs - 0.3 * radii[..., None] * [0.8, 0.6]
        torso, corners, torso_depth = self._seen(joints[:, body.torso], np.array([r for _, r in _CORNERS]), frames)
        return _Shapes(
            limbs=capsules(limbs[..., 0, :], limbs[..., 1, :], radii[..., 0], radii[..., 1]),
            rims=capsules(limbs[..., 0, :], limbs[..., 1, :], radii[..., 0] + self._rim, radii[..., 1] + self._rim),
            lights=capsules(inner[..., 0, :], inner[..., 1, :], 0.5 * radii[..., 0], 0.5 * radii[..., 1]),
            shadows=self._shadows(ends, body, frames),
            torso_shadow=self._view.project(_on_floor(joints[:, body.torso]), frames)[0],
            torso=torso,
            torso_radii=corners,
            spine=self._view.project(joints[:, body.spine], frames)[0],
            behind=self._from_behind(joints, body, frames),
            depth=np.concatenate([depth.mean(-1), torso_depth.mean(-1, keepdims=True)], axis=1),
            faint=~person.observed[rows],
            tag=self._tags(joints, frames),
        )

    def _seen(self, points: Array, radii: Array, frames: Array) -> tuple[Array, Array, Array]:
        """Balls of `radii` m around `points` as px, radius in px, and depth in m."""
        pixels, depth = self._view.project(points, frames)
        return pixels, radii * self._view.focal / depth, depth

    def _shadows(self, ends: Array, body: _Body, frames: Array) -> Array:
        pixels, radii, _ = self._seen(_on_floor(ends), body.radii, frames)
        return capsules(pixels[..., 0, :], pixels[..., 1, :], radii[..., 0], radii[..., 1])

    def _from_behind(self, joints: Array, body: _Body, frames: Array) -> Array:
        left = joints[:, body.torso[0]] - joints[:, body.torso[1]]
        up = joints[:, body.spine[2]] - joints[:, body.spine[0]]
        return np.einsum("fc,fc->f", np.cross(left, up), self._view.axes[frames, 2]) > 0

    def _tags(self, joints: Array, frames: Array) -> Array:
        low, high = np.fmin.reduce(joints, axis=1), np.fmax.reduce(joints, axis=1)
        above = np.concatenate([(low[:, :2] + high[:, :2]) / 2, high[:, 2:] + 0.14], axis=1)
        return self._view.project(above, frames)[0]

    # ---- one frame ------------------------------------------------------------------------------------------------

    def _draw(self, frame: int, row: int, shapes: list[_Shapes | None]) -> Array:
        canvas = self._floor.canvas(frame)
        present = [(number, shape) for number, shape in enumerate(shapes) if shape is not None]
        order: list[tuple[float, int, int]] = []
        for number, shape in present:
            self._shadow(canvas, shape, row)
            depth = shape.depth[row]
            order += [(-depth[limb], number, int(limb)) for limb in np.flatnonzero(np.isfinite(depth))]
        for _, number, limb in sorted(order):
            shape = shapes[number]
            if limb == shape.limbs.shape[1]:
                self._torso(canvas, shape, row, number)
            else:
                self._limb(canvas, shape, row, number, limb)
        for number, shape in present:
            if np.isfinite(shape.tag[row]).all():
                self._tag(canvas, shape.tag[row], number)
        return canvas

    def _shadow(self, canvas: Array, shape: _Shapes, row: int) -> None:
        for outline in shape.shadows[row][shape.shadows[row].any(axis=(1, 2))]:
            fill(canvas, outline, _SHADOW)
        if np.isfinite(shape.torso_shadow[row]).all():
            fill(canvas, _hull(shape.torso_shadow[row], shape.torso_radii[row]), _SHADOW)

    def _limb(self, canvas: Array, shape: _Shapes, row: int, number: int, limb: int) -> None:
        tone = self._tone(number, int(self._bodies[number].sides[limb]), shape.faint[row])
        fill(canvas, shape.rims[row, limb], _INK)
        fill(canvas, shape.limbs[row, limb], tone)
        fill(canvas, shape.lights[row, limb], mixed(tone, _WHITE, 0.22))

    def _torso(self, canvas: Array, shape: _Shapes, row: int, number: int) -> None:
        tone = self._tone(number, MIDDLE, shape.faint[row])
        corners, radii = shape.torso[row], shape.torso_radii[row]
        fill(canvas, _hull(corners, radii + self._rim), _INK)
        fill(canvas, _hull(corners, radii), tone)
        if np.isfinite(shape.spine[row]).all():
            line = (shape.spine[row] * 16).round().astype(np.int32)
            color = mixed(tone, _INK, 0.55) if shape.behind[row] else mixed(tone, _WHITE, 0.45)
            cv2.polylines(canvas, [line], False, color, max(1, round(0.25 * radii.mean())), cv2.LINE_AA, 4)

    def _tone(self, number: int, side: int, faint: bool) -> Color:
        return mixed(colors(number)[side], BACKGROUND, 0.55 if faint else 0.0)

    def _tag(self, canvas: Array, place: Array, number: int) -> None:
        name = label(str(self._scene.people[number].id), max(10, round(self._view.size[1] / 40)), 600)
        x, y = place[0] - name.mask.shape[1] / 2, place[1] - name.mask.shape[0]
        name.put(canvas, round(x), round(y), colors(number)[LEFT])


def _on_floor(points: Array) -> Array:
    """Where the light throws the shadows of points (...,3) m."""
    return np.concatenate([points[..., :2] + points[..., 2:] * _LIGHT, np.zeros_like(points[..., 2:])], -1)


def _ends(joints: Array, body: _Body) -> Array:
    """(F,B,2,3) m: the ends of all limbs; the head's are drawn in, as its round ends reach beyond them."""
    ends = joints[:, body.ends]
    low, high = ends[:, body.head, 0].copy(), ends[:, body.head, 1].copy()
    ends[:, body.head, 0] = low + _HEAD[0] * (high - low)
    ends[:, body.head, 1] = low + _HEAD[1] * (high - low)
    return ends


def _hull(corners: Array, radii: Array) -> Array:
    """The outline around discs (4,2) px with radii (4,) px: (N,2) int32 in 1/16 px."""
    points = (corners[:, None] + radii[:, None, None] * _RING).reshape(-1, 2) * 16
    return cv2.convexHull(points.round().astype(np.int32))[:, 0]
