"""Colours, bones and the few shapes that films are drawn with: soft-ended limbs and labels, all anti-aliased."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from pipeline.results import Array
from pipeline.skeletons import Skeleton

Color = tuple[int, int, int]  # BGR
LEFT, MIDDLE, RIGHT = 0, 1, 2
SHIFT = 4  # fractional bits of the coordinates given to OpenCV
_LIMIT = 30_000  # px; beyond this OpenCV's fixed point overflows


def _bgr(text: str) -> Color:
    return int(text[4:6], 16), int(text[2:4], 16), int(text[0:2], 16)


# left, middle and right of each person: one hue, the left light, the right deep
_PALETTE = (
    ("ffd98a", "ffb23e", "f0731f"),
    ("a5e6ff", "4cb8ff", "2c6fe8"),
    ("d3f59b", "86d957", "2fa34f"),
    ("ffb9e3", "f770bd", "c92f8d"),
    ("d9c8ff", "a683ff", "6c3fe0"),
    ("ffc0b3", "ff7b6b", "d8333f"),
    ("a8f3e4", "46d3bd", "12918c"),
    ("f2eed8", "cfc7a6", "978d68"),
)
PALETTE: tuple[tuple[Color, Color, Color], ...] = tuple(tuple(_bgr(c) for c in row) for row in _PALETTE)  # type: ignore[misc]


def colors(person: int) -> tuple[Color, Color, Color]:
    """Left, middle and right colour of the person with that place in the scene."""
    return PALETTE[person % len(PALETTE)]


def mixed(color: Color, other: Color, share: float) -> Color:
    """`color` with `share` of `other`."""
    return tuple(round(a + (b - a) * share) for a, b in zip(color, other, strict=True))  # type: ignore[return-value]


def side(skeleton: Skeleton, *joints: int) -> int:
    """LEFT or RIGHT when one of the joints lies on that side, else MIDDLE."""
    if any(j in skeleton.left for j in joints):
        return LEFT if not any(j in skeleton.right for j in joints) else MIDDLE
    return RIGHT if any(j in skeleton.right for j in joints) else MIDDLE


_PICTURE_BONES = (
    "L.shoulder-R.shoulder L.hip-R.hip L.shoulder-L.hip R.shoulder-R.hip "
    "L.shoulder-L.elbow L.elbow-L.wrist R.shoulder-R.elbow R.elbow-R.wrist "
    "L.hip-L.knee L.knee-L.ankle R.hip-R.knee R.knee-R.ankle "
    "L.ankle-L.heel L.heel-L.toe L.ankle-L.toe R.ankle-R.heel R.heel-R.toe R.ankle-R.toe "
    "L.heel-L.big_toe L.ankle-L.big_toe L.big_toe-L.small_toe R.heel-R.big_toe R.ankle-R.big_toe R.big_toe-R.small_toe "
    "L.wrist-L.index L.wrist-L.pinky L.index-L.pinky L.wrist-L.thumb "
    "R.wrist-R.index R.wrist-R.pinky R.index-R.pinky R.wrist-R.thumb "
    "L.wrist-L.hand R.wrist-R.hand nose-L.eye nose-R.eye L.eye-L.ear R.eye-R.ear L.mouth-R.mouth "
    "neck-head_top thorax-neck_nose neck_nose-head_top pelvis-spine spine-thorax neck-spine spine-pelvis"
)
FACE = ("nose", "eye", "ear", "mouth")


@lru_cache(maxsize=32)
def picture_bones(skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """Pairs of joints to join in a picture: what looks like a body, which a tree of joints does not."""
    pairs = (word.split("-") for word in _PICTURE_BONES.replace("L.", "left_").replace("R.", "right_").split())
    known = {name: i for i, name in enumerate(skeleton.joints)}
    return tuple((known[a], known[b]) for a, b in pairs if a in known and b in known)


def capsules(a: Array, b: Array, radii: Sequence[tuple[Array, Array]], points: int) -> list[Array]:
    """Outlines of limbs from a to b (...,2) px, one array for each pair of radii (...) px at a and b.

    Args:
        points: corners of each round end.

    Returns:
        (...,2*points,2) int32 in 1/16 px each; limbs with a missing end are all zero.
    """
    with np.errstate(invalid="ignore"):
        a, b = a.astype(np.float32), b.astype(np.float32)
        along = b - a
        along = along / np.maximum(np.hypot(along[..., 0], along[..., 1]), 1e-6)[..., None]
        head = along[..., None, :] * _cap(points)[0] + along[..., None, ::-1] * _cap(points)[1]
        return [_outline(a, b, _wide(ra) * head, _wide(rb) * head) for ra, rb in radii]


@lru_cache(maxsize=8)
def _cap(points: int) -> tuple[Array, Array]:
    """Factors (points,1) of a direction (x, y) and (points,2) of (y, x) that add up to a half circle around it."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, points, dtype=np.float32)
    sine = np.sin(angle)
    return np.cos(angle)[:, None], np.stack([-sine, sine], -1)


def _wide(radius: Array) -> Array:
    return radius.astype(np.float32)[..., None, None]


def _outline(a: Array, b: Array, tail: Array, head: Array) -> Array:
    outline = np.concatenate([b[..., None, :] + head, a[..., None, :] - tail], axis=-2)
    fine = (np.abs(outline) < _LIMIT).all(axis=(-1, -2))  # NaN is not
    return np.rint(np.where(fine[..., None, None], outline * (1 << SHIFT), 0)).astype(np.int32)


def fill(canvas: Array, outline: Array, color: Color) -> None:
    """Fill one convex outline (N,2) int32 in 1/16 px, anti-aliased."""
    cv2.fillConvexPoly(canvas, outline, color, cv2.LINE_AA, SHIFT)


def fill_hard(canvas: Array, outline: Array, color: Color) -> None:
    """The same without soft edges, in half the time: for tones close to what they lie on."""
    cv2.fillConvexPoly(canvas, outline, color, cv2.LINE_8, SHIFT)


class Patch:
    """A small picture with soft edges, ready to be put anywhere."""

    def __init__(self, mask: Array, color: Color | Array) -> None:
        """Of `color`, one or (h,w,3), where `mask` (h,w,1) is 1."""
        self.size = mask.shape[1], mask.shape[0]  # px
        self._keep = np.ascontiguousarray(np.broadcast_to(1 - mask, (*mask.shape[:2], 3)), np.float32)
        self._add = (mask * np.asarray(color, np.float32) + 0.5).astype(np.float32)

    def put(self, canvas: Array, x: int, y: int) -> None:
        """Draw with the upper left corner at x, y px; what lies outside is cut off."""
        width, height = self.size
        left, top = max(0, -x), max(0, -y)
        right, bottom = min(width, canvas.shape[1] - x), min(height, canvas.shape[0] - y)
        if right <= left or bottom <= top:
            return
        part = canvas[y + top : y + bottom, x + left : x + right]
        part[:] = part * self._keep[top:bottom, left:right] + self._add[top:bottom, left:right]


@lru_cache(maxsize=512)
def letters(text: str, size: int, weight: int = 400) -> Array:
    """(h,w,1) float32, 0 to 1: the text in OpenCV's own sans-serif letters, `size` px high."""
    face = cv2.FontFace("sans")
    width = max(1, cv2.getTextSize((10_000, 1000), text, (0, 0), face, size, weight)[2])
    canvas = np.zeros((round(size * 1.5), width + 4, 3), np.uint8)
    cv2.putText(canvas, text, (1, round(size * 1.1)), (255, 255, 255), face, size, weight)
    return canvas[..., :1].astype(np.float32) / 255


@lru_cache(maxsize=256)
def label(text: str, size: int, color: Color, weight: int = 400, shade: Color | None = None) -> Patch:
    """The text in one colour, with a shade one pixel to the lower right if wanted."""
    mask = letters(text, size, weight)
    if shade is None:
        return Patch(mask, color)
    mask = np.pad(mask, ((0, 1), (0, 1), (0, 0)))
    under = np.roll(mask, (1, 1), axis=(0, 1))
    both = mask + under * (1 - mask)
    tint = (mask * np.array(color) + under * (1 - mask) * np.array(shade)) / np.maximum(both, 1e-6)
    return Patch(both, tint)


def put_digits(canvas: Array, text: str, x: int, y: int, size: int, color: Color) -> None:
    """A text of digits whose letters stand still while they count: each takes the width of a zero."""
    mask = np.concatenate([_cell(letter, size) for letter in text], axis=1)
    part = canvas[y : y + mask.shape[0], x : x + mask.shape[1]]
    mask = mask[: part.shape[0], : part.shape[1]]
    part[:] = part + mask * (np.array(color, np.float32) - part) + np.float32(0.5)


@lru_cache(maxsize=64)
def _cell(letter: str, size: int) -> Array:
    """(h,w,1) one letter in the middle of the width that it takes."""
    glyph = letters(letter, size)
    width = (letters("0", size) if letter.isdigit() else glyph).shape[1] - 3
    left = max(0, width - glyph.shape[1] + 1) // 2
    middle = (glyph.shape[1] + 2 * left - width) // 2
    return np.pad(glyph, ((0, 0), (left, left), (0, 0)))[:, middle : middle + width]
