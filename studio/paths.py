"""Where a walker goes: a path maps a distance (m) to a place on the floor and a heading."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.errors import UsageError
from studio.rotations import Array

Path = Callable[[Array], tuple[Array, Array]]  # (...,) m -> (...,2) m and (...,) rad, continuous


def line(start: tuple[float, float] = (0, 0), heading: float = 0.0) -> Path:
    """Straight on from `start` towards `heading` (rad)."""

    def path(s: Array) -> tuple[Array, Array]:
        s = np.asarray(s, dtype=np.float64)
        way = np.array([np.cos(heading), np.sin(heading)])
        return np.array(start) + s[..., None] * way, np.full(s.shape, heading)

    return path


def circle(centre: tuple[float, float] = (0, 0), radius: float = 2.0, start: float = 0.0, left: bool = True) -> Path:
    """Round `centre` from the angle `start` (rad), to the left (counter-clockwise) or right."""
    sign = 1.0 if left else -1.0

    def path(s: Array) -> tuple[Array, Array]:
        angle = start + sign * np.asarray(s, dtype=np.float64) / radius
        place = np.array(centre) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        return place, angle + sign * np.pi / 2

    return path


def spot(place: tuple[float, float] = (0, 0), heading: float = 0.0, turn_per_m: float = 0.0) -> Path:
    """Staying at `place`; every metre of steps turns by `turn_per_m` rad (positive to the left)."""

    def path(s: Array) -> tuple[Array, Array]:
        s = np.asarray(s, dtype=np.float64)
        return np.broadcast_to(np.array(place, dtype=np.float64), (*s.shape, 2)).copy(), heading + turn_per_m * s

    return path


def through(places: Sequence[tuple[float, float]], closed: bool = False) -> Path:
    """A smooth curve (Catmull-Rom) through `places` (m); a closed one goes round for ever.

    An open one goes straight on before its first and after its last place.

    Raises:
        UsageError: fewer than two places.
    """
    if len(places) < 2:
        raise UsageError(f"a path needs at least two places, not {len(places)}")
    knots = np.array(places, dtype=np.float64)
    ring = np.concatenate([knots[-1:], knots, knots[:2]]) if closed else _extended(knots)
    u = np.linspace(0, 1, 200, endpoint=False)[:, None]
    pieces = [_catmull_rom(ring[i : i + 4], u) for i in range(len(ring) - 3)]
    curve = np.concatenate([*pieces, ring[-2:-1]])
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    headings = np.unwrap(np.arctan2(*np.gradient(curve, axis=0).T[::-1]))
    total, turns = lengths[-1], headings[-1] - headings[0]

    def path(s: Array) -> tuple[Array, Array]:
        s = np.asarray(s, dtype=np.float64)
        rounds = np.floor(s / total) if closed else np.zeros_like(s)
        inside = np.clip(s - rounds * total, 0, total)
        place = np.stack([np.interp(inside, lengths, curve[:, i]) for i in range(2)], axis=-1)
        heading = np.interp(inside, lengths, headings) + rounds * turns
        beyond = (s - rounds * total - inside)[..., None]
        return place + beyond * np.stack([np.cos(heading), np.sin(heading)], axis=-1), heading

    return path


def _extended(knots: Array) -> Array:
    return np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])


def _catmull_rom(p: Array, u: Array) -> Array:
    a, b, c = -p[0] + 3 * p[1] - 3 * p[2] + p[3], 2 * p[0] - 5 * p[1] + 4 * p[2] - p[3], p[2] - p[0]
    return 0.5 * (((a * u + b) * u + c) * u) + p[1]
