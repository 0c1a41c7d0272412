"""What covers the bones: rounded cones in skin, hair and clothes, and the colours of one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studio.body import SEGMENTS, SIDES, Body, Figure
from studio.rotations import Array
from studio.shapes import Cones

Colour = tuple[int, int, int]  # BGR

MATERIALS = ("skin", "hair", "shirt", "trousers", "shoes", "sole", "white", "iris", "lips", "brow")
_SKINS = ((160, 184, 222), (142, 172, 214), (120, 152, 198), (95, 130, 180), (70, 98, 145), (50, 72, 110))
_HAIRS = ((28, 32, 40), (30, 45, 68), (45, 70, 105), (85, 135, 175), (20, 20, 22), (55, 62, 120))
_SHIRTS = ((70, 60, 190), (170, 95, 40), (75, 140, 60), (60, 160, 215), (150, 70, 130), (200, 195, 190), (60, 60, 66),
           (160, 150, 50))  # fmt: skip
_TROUSERS = ((105, 70, 45), (50, 48, 46), (90, 105, 125), (60, 75, 70), (130, 110, 90), (80, 50, 40))
_SHOES = ((235, 235, 235), (40, 40, 44), (50, 60, 160), (60, 90, 130))


@dataclass(frozen=True)
class Flesh:
    """N cones fixed to segments: `segment` and `material` (N,), `start` (N,3), `axes` (N,3,3), sizes as in `Cones`."""

    segment: Array
    material: Array
    start: Array
    axes: Array
    length: Array
    r0: Array
    r1: Array
    squash: Array

    def cones(self, figure: Figure) -> Cones:
        """The flesh of a moving figure, in the world (T moments)."""
        turn = figure.rotations[:, self.segment]
        start = figure.origins[:, self.segment] + np.einsum("tnij,nj->tni", turn, self.start)
        return Cones(start, turn @ self.axes, self.length, self.r0, self.r1, self.squash)


def palette(seed: int) -> Array:
    """(M,3) uint8 BGR, a colour for each of `MATERIALS`, the same for the same seed."""
    rng = np.random.default_rng([seed, 2])

    def choose(options: tuple[Colour, ...]) -> Array:
        return np.clip(np.array(options[rng.integers(len(options))]) + rng.integers(-8, 9), 0, 255)

    skin, hair = choose(_SKINS), choose(_HAIRS)
    shirt, trousers, shoes = choose(_SHIRTS), choose(_TROUSERS), choose(_SHOES)
    lips = np.clip(skin * np.array([0.68, 0.62, 0.86]), 0, 255)
    return np.stack(
        [
            skin,
            hair,
            shirt,
            trousers,
            shoes,
            (60, 60, 60),
            (238, 240, 242),
            (45, 50, 60),
            lips,
            hair * 0.8,
        ]
    ).astype(np.uint8)


class _Tailor:
    """Collects cones in segment coordinates of the reference person and scales them to one body."""

    def __init__(self, body: Body) -> None:
        self.k = body.scale
        self.w = self.k * body.proportions.build
        self.rows: list[tuple] = []

    def add(self, segment: str, material: str, a: tuple, b: tuple, r0: float, r1: float, squash: tuple = (1, 1),
            size: float | None = None) -> None:  # fmt: skip
        """A cone from `a` to `b`; `size` replaces the build as the factor on the radii (heads do not get fat)."""
        k, w = (self.k, self.w) if size is None else (size, size)
        start, end = k * np.array(a, dtype=np.float64), k * np.array(b, dtype=np.float64)
        length = float(np.linalg.norm(end - start))
        z = (end - start) / length if length > 1e-9 else np.array([0, 0, 1.0])
        x = np.array([1.0, 0, 0]) if abs(z[0]) < 0.8 else np.array([0, 0, 1.0])
        y = np.cross(z, x) / np.linalg.norm(np.cross(z, x))
        axes = np.stack([np.cross(y, z), y, z], axis=1)
        self.rows.append(
            (SEGMENTS.index(segment), MATERIALS.index(material), start, axes, length, w * r0, w * r1, squash)
        )


def dress(body: Body) -> Flesh:
    """The flesh and clothes of a body."""
    tailor = _Tailor(body)
    _torso(tailor, body)
    _head(tailor, body)
    for side, sign in zip(SIDES, (1, -1), strict=True):
        _arm(tailor, body, side, sign)
        _leg(tailor, body, side, sign)
    columns = list(zip(*tailor.rows, strict=True))
    return Flesh(*(np.array(column, dtype=np.int64 if i < 2 else np.float64) for i, column in enumerate(columns)))


def _torso(t: _Tailor, body: Body) -> None:
    shoulder, torso = body.proportions.shoulders_m, body.length("neck") / t.k
    waist = body.length("chest") / t.k
    t.add("pelvis", "trousers", (-0.008, 0.058, 0.0), (-0.008, -0.058, 0.0), 0.092, 0.092, (1.16, 1))
    for sign in (1, -1):
        t.add("pelvis", "trousers", (-0.045, sign * 0.06, -0.02), (-0.03, sign * 0.06, 0.03), 0.082, 0.08)
    t.add("pelvis", "shirt", (-0.006, 0.076, 0.055), (-0.006, -0.076, 0.055), 0.096, 0.096, (1.18, 1))  # hem
    t.add("pelvis", "shirt", (-0.004, 0, 0.11), (0, 0, waist - 0.02), 0.152, 0.140, (0.76, 1))
    t.add("chest", "shirt", (0.0, 0, -0.06), (-0.006, 0, torso - 0.165), 0.140, 0.162, (0.72, 1))
    for sign in (1, -1):
        t.add("chest", "shirt", (0.026, sign * 0.055, torso - 0.17), (0.014, sign * 0.07, torso - 0.10), 0.078, 0.074)
        t.add(
            "chest",
            "shirt",
            (-0.022, sign * 0.02, torso + 0.012),
            (-0.012, sign * (shoulder - 0.05), torso - 0.035),
            0.050,
            0.055,
        )
        t.add("chest", "shirt", (-0.04, sign * 0.075, torso - 0.15), (-0.03, sign * 0.08, torso - 0.08), 0.080, 0.068)
    t.add("neck", "skin", (-0.014, 0, -0.03), (0.008, 0, 0.12), 0.056, 0.052)
    t.add("neck", "shirt", (-0.016, 0, -0.02), (-0.014, 0, 0.012), 0.072, 0.060)


def _head(t: _Tailor, body: Body) -> None:
    h = body.proportions.head * t.k

    def add(material: str, a: tuple, b: tuple, r0: float, r1: float, squash: tuple = (1, 1)) -> None:
        t.add("head", material, a, b, r0, r1, squash, size=h)

    add("skin", (0.008, 0, 0.098), (0.004, 0, 0.120), 0.083, 0.083, (1.12, 0.92))  # skull
    add("skin", (0.03, 0, 0.035), (0.02, 0, 0.09), 0.052, 0.068, (1.05, 0.98))  # jaw
    add("skin", (0.062, 0, 0.010), (0.05, 0, 0.02), 0.024, 0.03, (1, 1.2))  # chin
    add("hair", (-0.010, 0, 0.122), (-0.003, 0, 0.138), 0.089, 0.084, (1.12, 0.97))
    add("hair", (-0.045, 0, 0.06), (-0.03, 0, 0.11), 0.058, 0.075, (0.9, 1.02))
    if body.proportions.long_hair:
        add("hair", (-0.055, 0, -0.05), (-0.03, 0, 0.1), 0.055, 0.078, (0.75, 1.15))
        for sign in (1, -1):
            add("hair", (-0.02, sign * 0.066, -0.02), (-0.01, sign * 0.06, 0.11), 0.026, 0.034, (1.3, 0.8))
    add("skin", (0.092, 0, 0.105), (0.108, 0, 0.080), 0.009, 0.015)  # nose
    add("lips", (0.086, 0.018, 0.044), (0.086, -0.018, 0.044), 0.0065, 0.0065, (1, 0.8))
    add("lips", (0.089, 0.010, 0.044), (0.089, -0.010, 0.044), 0.0085, 0.0085, (1, 0.8))
    for sign in (1, -1):
        add("white", (0.081, sign * 0.031, 0.107), (0.081, sign * 0.031, 0.107), 0.0128, 0.0128)
        add("skin", (0.079, sign * 0.031, 0.1125), (0.079, sign * 0.031, 0.1125), 0.0145, 0.0145)  # upper lid
        add("iris", (0.0893, sign * 0.0305, 0.1065), (0.0893, sign * 0.0305, 0.1065), 0.0066, 0.0066)
        add("brow", (0.090, sign * 0.017, 0.128), (0.080, sign * 0.046, 0.130), 0.0065, 0.0048)
        add("skin", (0.0, sign * 0.078, 0.082), (-0.006, sign * 0.081, 0.106), 0.013, 0.019, (1, 0.5))


def _arm(t: _Tailor, body: Body, side: str, sign: int) -> None:
    upper, fore = body.length(side + "forearm") / t.k, body.length(side + "hand") / t.k
    socket = sign * (body.proportions.shoulders_m - 0.02)
    t.add(side + "clavicle", "shirt", (-0.01, sign * 0.05, -0.035), (-0.008, socket, -0.048), 0.055, 0.056)
    t.add(side + "upper_arm", "shirt", (0, 0, -0.008), (0, 0, -0.12), 0.058, 0.054)
    t.add(side + "upper_arm", "shirt", (0, 0, -0.1), (0, 0, -0.17), 0.053, 0.056)
    t.add(side + "upper_arm", "skin", (0, 0, -0.1), (0, 0, -upper), 0.046, 0.038)
    t.add(side + "forearm", "skin", (0, 0, 0), (0.0, 0, -0.08), 0.038, 0.042)
    t.add(side + "forearm", "skin", (0, 0, -0.08), (0, 0, -fore), 0.042, 0.025)
    hand = side + "hand"
    t.add(hand, "skin", (0, 0, -0.015), (0.0, 0, -0.075), 0.030, 0.037, (1, 0.46), size=t.k)
    for x, tip in ((0.027, 0.158), (0.009, 0.172), (-0.010, 0.165), (-0.028, 0.142)):
        curl = -sign * 0.022
        knuckle = (x, 0, -0.085)
        middle = (x * 0.95, 0.35 * curl, -(0.085 + 0.55 * (tip - 0.085)))
        t.add(hand, "skin", knuckle, middle, 0.0105, 0.0095, size=t.k)
        t.add(hand, "skin", middle, (x * 0.9, curl, -tip), 0.0095, 0.008, size=t.k)
    t.add(hand, "skin", (0.018, -sign * 0.006, -0.028), (0.046, -sign * 0.012, -0.064), 0.016, 0.012, size=t.k)
    t.add(hand, "skin", (0.046, -sign * 0.012, -0.064), (0.053, -sign * 0.018, -0.098), 0.0115, 0.009, size=t.k)


def _leg(t: _Tailor, body: Body, side: str, sign: int) -> None:
    thigh, shank = body.length(side + "shank") / t.k, body.length(side + "foot") / t.k
    t.add(side + "thigh", "trousers", (0, 0, 0), (0, 0, -thigh), 0.083, 0.058)
    t.add(side + "thigh", "trousers", (0.010, 0, -0.10), (0.010, 0, -0.25), 0.080, 0.068)
    t.add(side + "shank", "trousers", (0, 0, 0), (0, 0, -shank + 0.03), 0.060, 0.050)
    t.add(side + "shank", "trousers", (-0.018, 0, -0.10), (-0.012, 0, -0.18), 0.057, 0.052)
    foot = side + "foot"
    t.add(foot, "shoes", (-0.02, 0, -0.005), (-0.022, 0, -0.04), 0.040, 0.041, size=t.k)
    t.add(foot, "shoes", (-0.028, 0, -0.045), (0.14, 0, -0.05), 0.038, 0.034, (0.95, 1.12), size=t.k)
    t.add(foot, "shoes", (0.0, 0, -0.01), (0.11, 0, -0.04), 0.036, 0.03, (1, 1), size=t.k)
    t.add(foot, "sole", (-0.03, 0, -0.066), (0.145, -sign * 0.004, -0.067), 0.040, 0.037, (0.40, 1.1), size=t.k)
