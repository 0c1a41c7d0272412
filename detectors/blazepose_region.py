"""Where in the picture a network looks: turned squares, from two body points, and back to pixels.

Pixels as everywhere here: x right, y down. Angles in radians, clockwise on the screen. Follows the published
description of BlazePose (Bazarevsky et al. 2020): hip middle and one point on the circle round the person.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, hypot, pi, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
ENLARGE = 1.25  # side of the square over the diameter of the circle round the person


@dataclass(frozen=True)
class Region:
    """A square of the picture: centre and side in px, turned clockwise by `turn` radians."""

    x: float
    y: float
    side: float
    turn: float = 0.0

    @classmethod
    def whole(cls, width: int, height: int) -> Region:
        """The smallest upright square that holds the whole picture, centred on it."""
        return cls(width / 2, height / 2, max(width, height))

    @classmethod
    def from_points(cls, centre: Array, top: Array) -> Region:
        """From the hip middle (2,) px and the body's scale point (2,) px; upright people give no turn."""
        dx, dy = float(top[0] - centre[0]), float(top[1] - centre[1])
        side = 2 * ENLARGE * hypot(dx, dy)
        return cls(float(centre[0]), float(centre[1]), side, wrap(pi / 2 - atan2(-dy, dx)))

    def matrix(self, size: int) -> Array:
        """(2,3) float64: position in a crop of `size` x `size` -> px of the picture; index 0 is the corner."""
        step, half = self.side / size, self.side / 2
        c, s = cos(self.turn), sin(self.turn)
        corner = self.x - c * half + s * half, self.y - s * half - c * half
        return np.array([[c * step, -s * step, corner[0]], [s * step, c * step, corner[1]]])

    def to_picture(self, points: Array) -> Array:
        """(..., 2) in [0,1] of the square -> (..., 2) px."""
        m = self.matrix(1)
        return points @ m[:, :2].T + m[:, 2]

    def turned(self, turn: float, side: float = 1.0) -> Region:
        """The same centre with another turn, the side times `side`."""
        return Region(self.x, self.y, self.side * side, turn)

    def finite(self) -> bool:
        """False for a square that no crop can be taken from."""
        return bool(np.isfinite([self.x, self.y, self.side, self.turn]).all()) and self.side >= 8


def wrap(angle: float) -> float:
    """The same angle in [-pi, pi)."""
    return (angle + pi) % (2 * pi) - pi


def rotate(vectors: Array, turn: float) -> Array:
    """(..., >=2) vectors with their first two axes turned clockwise on the screen; the rest unchanged."""
    out = np.array(vectors, copy=True)
    c, s = cos(turn), sin(turn)
    out[..., 0] = c * vectors[..., 0] - s * vectors[..., 1]
    out[..., 1] = s * vectors[..., 0] + c * vectors[..., 1]
    return out
