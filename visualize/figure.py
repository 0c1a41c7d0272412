"""People in the 3D view: limbs, torso, head, hands and feet with body-like widths, and their shadows on the floor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.results import Array, Motion3D, Scene
from pipeline.skeletons import Skeleton, skeleton
from visualize.draw import LEFT, MIDDLE, SHIFT, Color, capsules, colors, fill, fill_hard, label, mixed, side
from visualize.floor import BACKGROUND, Floor
from visualize.rig import Rig
from visualize.view import View

_CHUNK = 240  # frames projected at a time
_ROUND, _HEAD_ROUND, _FEW = 6, 10, 4  # corners of the round ends of limbs, of the head, of shadows and lit sides
_SHADOW: Color = (27, 21, 18)
_INK: Color = (22, 17, 14)
_WHITE: Color = (255, 255, 255)
_RING = np.stack([np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6)], -1)
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
_SMALL = ("hand", "heel", "toe")  # limbs that end here are too small for a lit side
_UNSHADED = ("hand", "heel", "neck_nose")  # and the shadows of these are lost in their neighbours'
_TRUNK = (("thorax", "neck_nose", 0.042, 0.040), ("neck_nose", "head_top", 0.078, 0.084))
_CORNERS = (("left_shoulder", 0.052), ("right_shoulder", 0.052), ("right_hip", 0.068), ("left_hip", 0.068))
_TAG = np.array([0, 0, 0.14])  # m from the top of the head to the name
_HEAD = (0.38, 0.62)  # the part of neck_nose..head_top that the head's round ends are centred on


@dataclass(frozen=True)
class _Body:
    """Which joints make a limb, how thick it is, and on which side."""

    ends: Array  # (B,2) joint indices
    radii: Array  # (B,2) m
    sides: Array  # (B,)
    lit: Array  # (B,) bool
    shaded: Array  # (B,) bool
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
        lit=np.array([not row[1].endswith(_SMALL) for row in known]),
        shaded=np.array([not row[1].endswith(_UNSHADED) for row in known]),
        head=len(known) - 1,
        torso=bones.index(*(name for name, _ in _CORNERS)),
        spine=bones.index("pelvis", "spine", "thorax"),
    )


@dataclass(frozen=True)
class _Shapes:
    """One person's outlines in a chunk of frames; the last part of the depths stands for the torso."""

    limbs: list[Array]  # B of (F,N,2) int32, 1/16 px
    rims: list[Array]  # the same, a little larger
    lights: Array  # the lit side of each limb
    shadows: Array  # (F,S,N,2) of limbs and head on the floor
    cast: Array  # (F,S) bool: which of these are known
    torso: Array  # (F,3,M,2) int32, 1/16 px: points around its shadow, its rim and itself
    spine: Array  # (F,3,2) px
    width: Array  # (F,) px, of the spine's line
    behind: Array  # (F,) bool: seen from behind
    depth: Array  # (F,B+1) m, NaN where not to be drawn
    faint: Array  # (F,) 0 or 1: not observed
    tag: Array  # (F,2) px, where the name goes


class Figures:
    """Draws all people of a scene, and the cameras where there are several, frame after frame.

    Attributes:
        grid_m: m between the lines of the floor's grid.
    """

    def __init__(self, scene: Scene, view: View, first: int = 0, named: bool = True) -> None:
        """
        Args:
            first: the place in the palette of the first person.
            named: whether people's numbers stand over their heads.
        """
        self._scene, self._view, self._first_color, self._named = scene, view, first, named
        self._bodies = [_body(skeleton(person.skeleton)) for person in scene.people]
        self._inks = [_inks(number, body) for number, body in enumerate(self._bodies, first)]
        self._floor = Floor(view)
        self._rig = Rig(scene, view) if scene.views else None
        self.grid_m = self._floor.step
        self._rim = max(1.0, view.size[1] / 720 * 1.5)
        self._first = 0
        self._shapes: list[_Shapes | None] | None = None

    def panels(self, frames: Array | None = None) -> Iterator[Array]:
        """The 3D view of each frame, (H,W,3) uint8 BGR, of all frames or of those given."""
        for frame in range(len(self._scene.clip.times)) if frames is None else frames:
            canvas = np.empty((self._view.size[1], self._view.size[0], 3), np.uint8)
            self.draw(canvas, int(frame))
            yield canvas

    def draw(self, canvas: Array, frame: int) -> None:
        """Cover the canvas, (H,W,3) uint8 BGR of the view's size, with the 3D view of a frame."""
        if self._shapes is None or not 0 <= frame - self._first < _CHUNK:
            self._first = frame // _CHUNK * _CHUNK
            chunk = np.arange(self._first, min(self._first + _CHUNK, len(self._scene.clip.times)))
            people = zip(self._scene.people, self._bodies, strict=True)
            self._shapes = [self._outlines(person, body, chunk) for person, body in people]
        self._floor.paint(canvas, frame)
        if self._rig:
            self._rig.draw(canvas, frame, behind=True)
        self._people(canvas, frame - self._first, self._shapes)
        if self._rig:
            self._rig.draw(canvas, frame, behind=False)

    # ---- geometry, a chunk of frames at a time ------------------------------------------------------------------

    def _outlines(self, person: Motion3D, body: _Body, frames: Array) -> _Shapes | None:
        rows = np.minimum(np.searchsorted(person.frames, frames), len(person) - 1)
        present = person.frames[rows] == frames
        if not present.any():
            return None
        joints = np.where(present[:, None, None], person.joints[rows], np.nan).astype(np.float64)
        ends = _ends(joints, body)
        limbs, radii, depth = self._seen(ends, body.radii, frames)
        (a, b), (ra, rb) = np.moveaxis(limbs, 2, 0), np.moveaxis(radii, 2, 0)
        limbs, rims = _outlined(a, b, ra, rb, self._rim, body.head)
        known = np.stack([limb.any(axis=(1, 2)) for limb in limbs], axis=1)
        a, b = a - 0.3 * ra[..., None] * [0.8, 0.6], b - 0.3 * rb[..., None] * [0.8, 0.6]
        shadows = self._shadows(ends[:, body.shaded], body.radii[body.shaded], frames)
        torso, width, torso_depth = self._torsos(joints[:, body.torso], frames)
        return _Shapes(
            limbs=limbs,
            rims=rims,
            lights=capsules(a, b, [(0.5 * ra, 0.5 * rb)], _FEW)[0],
            shadows=shadows,
            cast=shadows.any(axis=(2, 3)),
            torso=torso,
            spine=self._view.project(joints[:, body.spine], frames)[0],
            width=width,
            behind=self._from_behind(joints, body, frames),
            depth=np.concatenate([np.where(known, depth.mean(-1), np.nan), torso_depth], axis=1),
            faint=(~person.observed[rows]).astype(int),
            tag=self._tags(joints, body, frames),
        )

    def _seen(self, points: Array, radii: Array, frames: Array) -> tuple[Array, Array, Array]:
        """Balls of `radii` m around `points` as px, radius in px, and depth in m."""
        pixels, depth = self._view.project(points, frames)
        return pixels, radii * self._view.focal / depth, depth

    def _shadows(self, ends: Array, radii: Array, frames: Array) -> Array:
        pixels, radii, _ = self._seen(_on_floor(ends), radii, frames)
        (a, b), (ra, rb) = np.moveaxis(pixels, 2, 0), np.moveaxis(radii, 2, 0)
        return capsules(a, b, [(ra, rb)], _FEW)[0]

    def _torsos(self, corners: Array, frames: Array) -> tuple[Array, Array, Array]:
        """Points around a torso's shadow, rim and body (F,3,M,2), the width of its spine (F,) px and depth (F,1) m."""
        thick = np.array([radius for _, radius in _CORNERS])
        pixels, radii, depth = self._seen(corners, thick, frames)
        shade, _, _ = self._seen(_on_floor(corners), thick, frames)
        discs = ((shade, radii), (pixels, radii + self._rim), (pixels, radii))
        points = np.stack([at[:, :, None] + r[..., None, None] * _RING for at, r in discs], axis=1)
        points = points.reshape(len(frames), 3, -1, 2) * (1 << SHIFT)
        fine = np.abs(points).max(axis=(1, 2, 3)) < 4e5  # NaN is not
        points = np.where(fine[:, None, None, None], points, 0).round().astype(np.int32)
        depth = np.where(fine, depth.mean(-1), np.nan)
        return points, np.where(fine, 0.25 * radii.mean(-1), 0), depth[:, None]

    def _from_behind(self, joints: Array, body: _Body, frames: Array) -> Array:
        left = joints[:, body.torso[0]] - joints[:, body.torso[1]]
        up = joints[:, body.spine[2]] - joints[:, body.spine[0]]
        return np.einsum("fc,fc->f", np.cross(left, up), self._view.axes[frames, 2]) > 0

    def _tags(self, joints: Array, body: _Body, frames: Array) -> Array:
        """(F,2) px: over the head, or over the middle of who has none."""
        low, high = np.fmin.reduce(joints, axis=1), np.fmax.reduce(joints, axis=1)
        middle = np.concatenate([(low[:, :2] + high[:, :2]) / 2, high[:, 2:]], axis=1)
        crown = np.fmax.reduce(joints[:, body.ends[body.head]], axis=1)
        return self._view.project(np.where(np.isfinite(crown), crown, middle) + _TAG, frames)[0]

    # ---- one frame ------------------------------------------------------------------------------------------------

    def _people(self, canvas: Array, row: int, shapes: list[_Shapes | None]) -> None:
        present = [(number, shape) for number, shape in enumerate(shapes) if shape is not None]
        order: list[tuple[float, int, int]] = []
        for number, shape in present:
            self._shadow(canvas, shape, row)
            order += [(-far, number, part) for part, far in enumerate(shape.depth[row].tolist()) if far == far]
        for _, number, part in sorted(order):
            shape, inks = shapes[number], self._inks[number][shapes[number].faint[row]]
            if part == len(shape.limbs):
                self._torso(canvas, shape, row, inks[part])
                continue
            tone, light = inks[part]
            fill_hard(canvas, shape.rims[part][row], _INK)
            fill(canvas, shape.limbs[part][row], tone)
            if self._bodies[number].lit[part]:
                fill_hard(canvas, shape.lights[row, part], light)
        for number, shape in present:
            if self._named and np.isfinite(shape.tag[row]).all():
                self._tag(canvas, shape.tag[row], number)

    def _shadow(self, canvas: Array, shape: _Shapes, row: int) -> None:
        for outline in shape.shadows[row][shape.cast[row]]:
            fill_hard(canvas, outline, _SHADOW)
        if shape.width[row]:
            fill_hard(canvas, cv2.convexHull(shape.torso[row, 0]), _SHADOW)

    def _torso(self, canvas: Array, shape: _Shapes, row: int, inks: tuple[Color, Color]) -> None:
        tone, light = inks
        fill_hard(canvas, cv2.convexHull(shape.torso[row, 1]), _INK)
        fill(canvas, cv2.convexHull(shape.torso[row, 2]), tone)
        if np.isfinite(shape.spine[row]).all():
            line = (shape.spine[row] * (1 << SHIFT)).round().astype(np.int32)
            color = mixed(tone, _INK, 0.55) if shape.behind[row] else light
            cv2.polylines(canvas, [line], False, color, max(1, round(shape.width[row])), cv2.LINE_AA, SHIFT)

    def _tag(self, canvas: Array, place: Array, number: int) -> None:
        size = max(10, round(self._view.size[1] / 40))
        name = label(str(self._scene.people[number].id), size, colors(self._first_color + number)[LEFT], 600)
        x, y = round(place[0] - name.size[0] / 2), round(place[1] - name.size[1])
        name.put(canvas, x, min(max(y, 0), canvas.shape[0]))


def _inks(number: int, body: _Body) -> tuple[list[tuple[Color, Color]], ...]:
    """Colour and light of each limb and, last, of the torso: where the person was seen, and where not."""

    def of(share: float) -> list[tuple[Color, Color]]:
        tones = [mixed(tone, BACKGROUND, share) for tone in colors(number)]
        limbs = [(tones[side], mixed(tones[side], _WHITE, 0.22)) for side in body.sides]
        return [*limbs, (tones[MIDDLE], mixed(tones[MIDDLE], _WHITE, 0.45))]

    return of(0.0), of(0.55)


def _outlined(a: Array, b: Array, ra: Array, rb: Array, rim: float, head: int) -> tuple[list[Array], list[Array]]:
    """Bodies and rims of limbs from a to b (F,B,2) px with radii (F,B) px, each (F,N,2); the head is the roundest."""
    parts = [
        capsules(a[:, i], b[:, i], [(ra[:, i], rb[:, i]), (ra[:, i] + rim, rb[:, i] + rim)], corners)
        for i, corners in ((i, _HEAD_ROUND if i == head else _ROUND) for i in range(a.shape[1]))
    ]
    return [body for body, _ in parts], [outline for _, outline in parts]


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
