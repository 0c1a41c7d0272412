"""An actor's bones: segments, the points attached to them, and every skeleton's joints by name.

Body axes at rest (standing, arms hanging): x forward, y to the actor's left, z up, metres. Every segment's frame is
the identity at rest, so an offset is simply where a thing is on a standing person. Proportions follow the usual
anthropometric fractions of stature (Drillis and Contini 1966; Winter, Biomechanics of Human Movement).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.skeletons import skeleton
from studio.rotations import Array, apply

SIDES = ("left_", "right_")
PARENTS: dict[str, str] = {"pelvis": "", "chest": "pelvis", "neck": "chest", "head": "neck"}
for _side in SIDES:
    PARENTS |= {
        _side + child: parent if parent == "chest" or parent == "pelvis" else _side + parent
        for child, parent in (
            ("clavicle", "chest"),
            ("upper_arm", "clavicle"),
            ("forearm", "upper_arm"),
            ("hand", "forearm"),
            ("thigh", "pelvis"),
            ("shank", "thigh"),
            ("foot", "shank"),
        )
    }
SEGMENTS: tuple[str, ...] = tuple(PARENTS)
REFERENCE_HEIGHT = 1.75
CONTACTS = ("left_heel", "left_toe", "right_heel", "right_toe")


@dataclass(frozen=True)
class Proportions:
    """What makes one person differ from another; lengths are of a person of 1.75 m and scale with `height_m`."""

    height_m: float = 1.75
    legs: float = 1.0  # factors on the lengths
    arms: float = 1.0
    head: float = 1.0
    shoulders_m: float = 0.178  # half the distance of the shoulder joints
    hips_m: float = 0.098
    build: float = 1.0  # factor on all widths of the flesh
    long_hair: bool = False

    @staticmethod
    def random(seed: int) -> Proportions:
        """A plausible adult, the same for the same seed."""
        rng = np.random.default_rng([seed, 1])
        woman = bool(rng.random() < 0.5)
        return Proportions(
            height_m=float(np.clip(rng.normal(1.64 if woman else 1.77, 0.06), 1.5, 1.95)),
            legs=float(rng.normal(1.0, 0.015)),
            arms=float(rng.normal(1.0, 0.015)),
            head=float(rng.normal(1.02 if woman else 1.0, 0.01)),
            shoulders_m=float(rng.normal(0.168 if woman else 0.184, 0.005)),
            hips_m=float(rng.normal(0.102 if woman else 0.097, 0.003)),
            build=float(np.clip(rng.normal(0.94 if woman else 1.0, 0.06), 0.84, 1.18)),
            long_hair=woman and bool(rng.random() < 0.7),
        )


@dataclass(frozen=True)
class Figure:
    """A body in motion: T moments.

    `rotations` (T,S,3,3) and `origins` (T,S,3) m place the segments in the world; `contacts` (T,4) bool tells which of
    left heel, left toe, right heel, right toe rest on the ground.
    """

    rotations: Array
    origins: Array
    contacts: Array

    def __len__(self) -> int:
        return len(self.origins)


@dataclass(frozen=True)
class Body:
    """Bone offsets: `attach` (S,3) m is each segment's origin in its parent's frame; `points` hang on segments."""

    proportions: Proportions
    attach: Array
    points: dict[str, tuple[int, Array]]

    @cached_property
    def scale(self) -> float:
        """Size against the reference person; widths follow it."""
        return self.proportions.height_m / REFERENCE_HEIGHT

    def length(self, segment: str) -> float:
        """Distance m from the parent's origin to that segment's origin."""
        return float(np.linalg.norm(self.attach[SEGMENTS.index(segment)]))

    @cached_property
    def hip_height(self) -> float:
        """Height m of the hips when standing straight."""
        return self.length("left_shank") + self.length("left_foot") + self.ankle_height

    @cached_property
    def ankle_height(self) -> float:
        """Height m of the ankle joint over the ground with the foot flat."""
        return 0.082 * self.scale

    def place(self, figure: Figure, name: str) -> Array:
        """(T,3) m, a named point of the figure in the world. Raises KeyError for an unknown name."""
        segment, offset = self.points[name]
        return figure.origins[:, segment] + apply(figure.rotations[:, segment], offset)

    def joints(self, figure: Figure, name: str = "h36m-23") -> Array:
        """(T,J,3) m, the joints of the skeleton called `name` in the world."""
        return np.stack([self.place(figure, joint) for joint in skeleton(name).joints], axis=1)


def build_body(proportions: Proportions) -> Body:
    """The bones and points of a person of these proportions."""
    p = proportions
    k = p.height_m / REFERENCE_HEIGHT
    thigh, shank = 0.425 * p.legs * k, 0.415 * p.legs * k
    upper, fore = 0.285 * p.arms * k, 0.252 * p.arms * k
    return assemble(p, thigh, shank, upper, fore, torso=(0.215 * k, 0.285 * k, 0.115 * k))


def assemble(
    p: Proportions, thigh: float, shank: float, upper: float, fore: float, torso: tuple[float, float, float]
) -> Body:
    """A body of given bone lengths (m); `torso` holds pelvis-spine, spine-thorax and thorax-neck."""
    k = p.height_m / REFERENCE_HEIGHT
    attach = {
        "pelvis": (0, 0, 0),
        "chest": (0, 0, torso[0]),
        "neck": (0, 0, torso[1]),
        "head": (0.012 * k, 0, torso[2]),
    }
    for side, sign in zip(SIDES, (1, -1), strict=True):
        attach |= {
            side + "clavicle": (0, 0, torso[1]),
            side + "upper_arm": (-0.005 * k, sign * p.shoulders_m * k, -0.04 * k),
            side + "forearm": (0, 0, -upper),
            side + "hand": (0, 0, -fore),
            side + "thigh": (0, sign * p.hips_m * k, 0),
            side + "shank": (0, 0, -thigh),
            side + "foot": (0, 0, -shank),
        }
    return Body(p, np.array([attach[name] for name in SEGMENTS], dtype=np.float64), _points(k, k * p.head))


def _points(k: float, h: float) -> dict[str, tuple[int, Array]]:
    """Every named point: segment index and offset. `k` scales the body, `h` the head."""
    table: dict[str, tuple[str, tuple[float, float, float]]] = {
        name: (segment, (0, 0, 0))
        for name, segment in (
            ("pelvis", "pelvis"),
            ("mid_hip", "pelvis"),
            ("spine", "chest"),
            ("thorax", "neck"),
            ("neck", "neck"),
            ("neck_nose", "head"),
        )
    }
    table |= {
        "head": ("head", (0.0, 0, 0.1 * h)),
        "head_top": ("head", (-0.005 * h, 0, 0.212 * h)),
        "nose": ("head", (0.115 * h, 0, 0.082 * h)),
    }
    for side, sign in zip(SIDES, (1, -1), strict=True):
        for name, segment in (
            ("shoulder", "upper_arm"),
            ("elbow", "forearm"),
            ("wrist", "hand"),
            ("hip", "thigh"),
            ("knee", "shank"),
            ("ankle", "foot"),
        ):
            table[side + name] = (side + segment, (0, 0, 0))
        for name, (x, y, z) in _FACE.items():
            table[side + name] = ("head", (x * h, sign * y * h, z * h))
        for name, (segment, (x, y, z)) in _ENDS.items():
            table[side + name] = (side + segment, (x * k, sign * y * k, z * k))
    return {name: (SEGMENTS.index(seg), np.array(offset, dtype=np.float64)) for name, (seg, offset) in table.items()}


_FACE: dict[str, tuple[float, float, float]] = {
    "eye_inner": (0.088, 0.018, 0.107),
    "eye": (0.087, 0.031, 0.108),
    "eye_outer": (0.078, 0.044, 0.108),
    "ear": (0.0, 0.076, 0.094),
    "mouth": (0.089, 0.024, 0.043),
}
# The palm faces the thigh at rest, the thumb forward: the index is in front, the little finger behind.
_ENDS: dict[str, tuple[str, tuple[float, float, float]]] = {
    "hand": ("hand", (0.004, 0, -0.088)),
    "index": ("hand", (0.027, 0, -0.09)),
    "pinky": ("hand", (-0.029, 0, -0.078)),
    "thumb": ("hand", (0.046, -0.012, -0.062)),
    "heel": ("foot", (-0.052, 0, -0.054)),
    "toe": ("foot", (0.172, 0.002, -0.054)),
    "big_toe": ("foot", (0.17, -0.018, -0.058)),
    "small_toe": ("foot", (0.13, 0.042, -0.058)),
}
