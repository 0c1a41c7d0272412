"""2D skeletons on the video's own frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from pipeline.results import Array, Scene, Track2D, View
from pipeline.skeletons import Skeleton, skeleton
from visualize.draw import FACE, LEFT, Color, capsules, colors, fill, fill_hard, label, mixed, picture_bones, side

_UNSEEN, _FAINT = 0.05, 0.4  # scores below which a bone is left out, or drawn thin and pale
_INK: Color = (20, 16, 12)
_PALE: Color = (150, 150, 150)
_CORNERS = 4  # of the bones' round ends
_CHUNK = 240
_LIMB = 1.0  # thickness of what is no face and no hand


@dataclass(frozen=True)
class _Lines:
    """One person's bones in a chunk of frames that begins at `first`."""

    first: int
    bones: Array  # (F,B,N,2) int32, 1/16 px
    rims: Array  # the same, a little larger
    known: Array  # (F,B) bool
    rimmed: Array  # (F,B) bool: has a dark rim, which fine and faint bones have not
    faint: Array  # (F,B) 0 or 1
    tag: Array  # (F,2) px


class Overlay:
    """Draws the tracks of a scene, or of one of its views, onto frames of `size`, whatever the size of the clip."""

    def __init__(self, scene: Scene | View, size: tuple[int, int], named: bool = True, bold: float = 1.0) -> None:
        """
        Args:
            named: whether people's numbers stand over their heads.
            bold: how much thicker than usual everything is drawn.
        """
        self._tracks, self._named = scene.tracks, named
        self._scale = np.array(size) / [scene.clip.width, scene.clip.height]
        self._unit, self._bold = bold * size[1] / 720, bold
        self._tones = [_tones(track, number) for number, track in enumerate(scene.tracks)]
        self._chunks: list[_Lines | None] = [None] * len(scene.tracks)

    def draw(self, canvas: Array, frame: int) -> None:
        """Draw everyone who is in that frame; canvas is (H,W,3) uint8 BGR and is changed."""
        for number, track in enumerate(self._tracks):
            row = frame - int(track.frames[0]) if len(track) else -1
            if not 0 <= row < len(track):
                continue
            lines = self._chunks[number]
            if lines is None or not 0 <= row - lines.first < len(lines.bones):
                lines = self._chunks[number] = self._lines(track, row // _CHUNK * _CHUNK)
            self._person(canvas, lines, row - lines.first, number)

    def _person(self, canvas: Array, lines: _Lines, row: int, number: int) -> None:
        bones, rims, faint = lines.bones[row], lines.rims[row], lines.faint[row]
        for bone in np.flatnonzero(lines.rimmed[row]).tolist():
            fill_hard(canvas, rims[bone], _INK)  # what is seen of it is a pixel wide, beside soft edges
        for bone in np.flatnonzero(lines.known[row]).tolist():
            fill(canvas, bones[bone], self._tones[number][bone][faint[bone]])
        if self._named and np.isfinite(lines.tag[row]).all():
            self._tag(canvas, lines.tag[row], number)

    def _tag(self, canvas: Array, place: Array, number: int) -> None:
        size = max(10, round(18 * self._unit))
        name = label(str(self._tracks[number].id), size, colors(number)[LEFT], 600, _INK)
        x, y = round(place[0] - name.size[0] / 2), round(place[1] - name.size[1])
        name.put(canvas, x, min(max(y, 0), canvas.shape[0]))

    def _lines(self, track: Track2D, first: int) -> _Lines:
        rows = slice(first, first + _CHUNK)
        points = (track.keypoints[rows].astype(np.float64) + 0.5) * self._scale - 0.5
        scores, observed = track.scores[rows], track.observed[rows]
        bones = skeleton(track.skeleton)
        pairs = np.array(picture_bones(bones))
        score = np.minimum(scores[:, pairs[:, 0]], scores[:, pairs[:, 1]])
        ends = np.where((score > _UNSEEN)[..., None, None], points[:, pairs], np.nan)
        faint = (score < _FAINT) | ~observed[:, None]
        thickness = _thickness(bones.joints, pairs)
        width = self._widths(points)[:, None] * thickness * np.where(faint, 0.55, 1.0)
        rim = width + 0.9 * max(0.7, self._unit)
        a, b = ends[..., 0, :], ends[..., 1, :]
        outlines, rims = capsules(a, b, [(width, width), (rim, rim)], _CORNERS)
        known = outlines.any(axis=(2, 3))
        rimmed = known & ~faint & (thickness == _LIMB)
        return _Lines(
            first, outlines, rims, known, rimmed, faint.astype(int), self._above(points, scores, _head(bones))
        )

    def _widths(self, points: Array) -> Array:
        """(F,) px: half a bone's thickness, in step with the person's height in the picture, without flicker."""
        known = np.where(np.isfinite(points[..., 1]), points[..., 1], np.nan)
        height = np.fmax.reduce(known, axis=1) - np.fmin.reduce(known, axis=1)
        height = np.nan_to_num(height, nan=0.0)
        smooth = uniform_filter1d(height, min(len(height), 31), mode="nearest")
        return np.clip(smooth * 0.0075 * self._bold, 0.8 * self._unit, 3.4 * self._unit)

    def _above(self, points: Array, scores: Array, head: list[int]) -> Array:
        """(F,2) px: over the head, or over the middle of who shows none."""
        known = np.where((scores > _UNSEEN)[..., None], points, np.nan)
        low, high = np.fmin.reduce(known, axis=1), np.fmax.reduce(known, axis=1)
        lift = 0.08 * (high[:, 1] - low[:, 1])
        middle = np.stack([(low[:, 0] + high[:, 0]) / 2, low[:, 1]], axis=-1)
        if head:
            ends = [reduce(known[:, head], axis=1) for reduce in (np.fmin.reduce, np.fmax.reduce)]
            crown = np.stack([(ends[0][:, 0] + ends[1][:, 0]) / 2, ends[0][:, 1]], axis=-1)
            middle = np.where(np.isfinite(crown), crown, middle)
        return middle - lift[:, None] * [0, 1]


def _tones(track: Track2D, number: int) -> list[tuple[Color, Color]]:
    """Each bone's colour, and its colour where it is faint."""
    bones = skeleton(track.skeleton)
    tones = [colors(number)[side(bones, a, b)] for a, b in picture_bones(bones)]
    return [(tone, mixed(tone, _PALE, 0.45)) for tone in tones]


def _head(bones: Skeleton) -> list[int]:
    return [i for i, name in enumerate(bones.joints) if any(part in name for part in (*FACE, "head"))]


def _thickness(joints: tuple[str, ...], pairs: Array) -> Array:
    """(B,) face, hands and feet are drawn finer than limbs."""
    names = [joint.replace("neck_nose", "neck") for joint in joints]

    def of(*words: str) -> Array:
        return np.array([any(word in names[i] for word in words for i in pair) for pair in pairs])

    return np.select([of(*FACE), of("index", "pinky", "thumb")], [0.35, 0.55], _LIMB)
