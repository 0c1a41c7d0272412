"""Solid shapes met by rays: rounded cones (capsules and spheres, also flattened) and boxes.

A rounded cone is two balls of radii r0, r1 on an axis and the cone that touches both. It is flattened by scaling its
local x and y axes; a ray is scaled alike, so the answer stays exact. A ray is `origin + depth * direction`; with
direction (u, v, 1) in camera axes the depth is the camera's z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FAR = 1e6  # depth of a ray that meets nothing


@dataclass(frozen=True)
class Cones:
    """N rounded cones at T moments, in the world (or a camera's axes).

    `start` (T,N,3) m, `axes` (T,N,3,3) columns x, y, z with z along the cone; `length`, `r0`, `r1` (N,) m and
    `squash` (N,2) factors of the x and y radii.
    """

    start: Array
    axes: Array
    length: Array
    r0: Array
    r1: Array
    squash: Array

    def local(self) -> Array:
        """(T,N,3,3) matrices from outside into the unflattened local frame."""
        inverse = np.concatenate([1 / self.squash, np.ones((len(self.squash), 1))], axis=1)
        return inverse[:, :, None] * np.swapaxes(self.axes, -1, -2)

    def spheres(self) -> tuple[Array, Array]:
        """Centres (T,N,2,3) and radii (N,2) m of two balls that hold each shape."""
        ends = (
            self.start[..., None, :]
            + np.stack([0 * self.length, self.length], -1)[..., None] * self.axes[..., None, :, 2]
        )
        return ends, np.stack([self.r0, self.r1], axis=-1) * np.maximum(self.squash.max(1), 1.0)[:, None]


def cone_depth(o: Array, d: Array, length: Array, r0: Array, r1: Array) -> Array:
    """Depth of the first hit of rays with a rounded cone in its local frame, `FAR` where there is none.

    Args:
        o: three ray origins' coordinates (tuple or first axis), broadcastable.
        d: three directions' coordinates.
        length, r0, r1: broadcastable.
    """
    ox, oy, oz = o
    dx, dy, dz = d
    flat_d, flat_o, flat = dx * dx + dy * dy, ox * ox + oy * oy, ox * dx + oy * dy
    depth = np.minimum(
        _ball(flat_d + dz * dz, flat + oz * dz, flat_o + oz * oz - r0 * r0),
        _ball(flat_d + dz * dz, flat + (oz - length) * dz, flat_o + (oz - length) ** 2 - r1 * r1),
    )
    k = (r0 - r1) / np.maximum(length, 1e-9)
    steep = np.abs(k) >= 1  # one ball holds the other: there is no cone between them
    k = np.where(steep, 0.0, k)
    m = 1 / (1 - k * k)
    rest = r0 - k * oz
    a = np.maximum(flat_d - m * k * k * dz * dz, 1e-9)
    b = flat + m * k * rest * dz
    root = b * b - a * (flat_o - m * rest * rest)
    side = (-b - np.sqrt(np.maximum(root, 0))) / a
    z = oz + side * dz
    good = (root > 0) & (z >= k * r0) & (z <= length + k * r1) & (side > 0) & ~steep
    return np.where(good, np.minimum(side, depth), depth)


def _ball(a: Array, b: Array, c: Array) -> Array:
    root = b * b - a * c
    depth = (-b - np.sqrt(np.maximum(root, 0))) / a
    return np.where((root > 0) & (depth > 0), depth, FAR)


def cone_normal(q: Array, length: Array, r0: Array, r1: Array) -> Array:
    """Outward normals (3,...) in the unflattened local frame at surface points `q` (3,...)."""
    k = np.clip((r0 - r1) / np.maximum(length, 1e-9), -0.99, 0.99)
    rho = np.sqrt(q[0] * q[0] + q[1] * q[1])
    foot = np.clip(q[2] - rho * k / np.sqrt(1 - k * k), 0, length)  # the ball that touches here
    return np.stack([q[0], q[1], q[2] - foot])


@dataclass(frozen=True)
class Box:
    """An upright box that hides what is behind it: `centre` (3,) m, `size` (3,) m, `heading` rad, `colour` BGR."""

    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    heading: float = 0.0
    colour: tuple[int, int, int] = (90, 110, 130)

    def axes(self) -> Array:
        """(3,3), columns are the box's own axes in the world."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def box_depth(o: Array, d: Array, half: Array) -> tuple[Array, Array]:
    """Depth of the first hit with a centred box of half sizes (3,), and which of its axes the face is on.

    `o` and `d` are (3,...) in the box's frame. Depth is `FAR` where the ray misses.
    """
    half = np.asarray(half).reshape(3, *[1] * (np.ndim(d) - 1))
    safe = np.where(np.abs(d) < 1e-9, 1e-9, d)
    near = (-o - np.sign(safe) * half) / safe
    far = (-o + np.sign(safe) * half) / safe
    enter, leave = near.max(0), far.min(0)
    return np.where((enter < leave) & (enter > 0), enter, FAR), near.argmax(0)
