"""The camera model with its derivatives, for least squares; the same as `multiview.cameras`, which the tests compare.

The numbers of a lens are one vector: fx fy cx cy and then the distortion, k1 k2 p1 p2 k3 [k4 k5 k6] or a fisheye's
k1 k2 k3 k4. Skew is taken as 0.
"""

from __future__ import annotations

import numpy as np

from pipeline.results import Array

_NEAREST = 1e-3  # m; points nearer or behind are taken to be there, so that a bad step has a finite price


def lens_pixels(lens: Array, fisheye: bool, local: Array) -> tuple[Array, Array, Array]:
    """Points (N,3) m in the camera's axes to pixels, with the derivatives by point and lens.

    Returns:
        pixels (N,2), by point (N,2,3) px/m, by lens (N,2,L) px per unit.
    """
    depth = np.maximum(local[:, 2], _NEAREST)
    flat = local[:, :2] / depth[:, None]
    bent, by_flat, by_bend = (_fisheye if fisheye else _bent)(lens[4:], flat)
    focal = lens[:2]
    by_point = np.zeros((len(local), 2, 3))
    by_point[:, :, :2] = by_flat / depth[:, None, None]
    by_point[:, :, 2] = -np.einsum("nij,nj->ni", by_flat, flat) / depth[:, None] * (local[:, 2:] > _NEAREST)
    by_lens = np.zeros((len(local), 2, len(lens)))
    by_lens[:, [0, 1], [0, 1]] = bent
    by_lens[:, [0, 1], [2, 3]] = 1
    by_lens[:, :, 4:] = by_bend * focal[:, None]
    return bent * focal + lens[2:4], by_point * focal[:, None], by_lens


def rotation_derivative(turns: Array) -> Array:
    """Rotation vectors (N,3) rad to their right Jacobians J (N,3,3): d(R x)/dr = -R [x] J.

    Sola, Deray and Atchuthan, A micro Lie theory for state estimation in robotics, 2018, appendix B.
    """
    angle = np.linalg.norm(turns, axis=1)[:, None, None]
    cross = skew(turns)
    small = angle < 1e-4
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 0.5 - angle**2 / 24, (1 - np.cos(safe)) / safe**2)
    second = np.where(small, 1 / 6 - angle**2 / 120, (safe - np.sin(safe)) / safe**3)
    return np.eye(3) - first * cross + second * (cross @ cross)


def skew(vectors: Array) -> Array:
    """(N,3) to the matrices (N,3,3) of their cross products."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)


def _bent(bend: Array, flat: Array) -> tuple[Array, Array, Array]:
    """(N,2) bent directions, (N,2,2) by direction, (N,2,5 or 8) by coefficient."""
    k1, k2, p1, p2, k3, k4, k5, k6 = np.pad(bend, (0, 8 - len(bend)))
    x, y = flat.T
    r = x * x + y * y
    over, under = 1 + r * (k1 + r * (k2 + r * k3)), 1 + r * (k4 + r * (k5 + r * k6))
    radial = over / under
    slope = ((k1 + r * (2 * k2 + 3 * k3 * r)) - radial * (k4 + r * (2 * k5 + 3 * k6 * r))) / under  # d radial / dr
    bent = np.stack(
        [x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x), y * radial + p1 * (r + 2 * y * y) + 2 * p2 * x * y], -1
    )
    by_flat = np.empty((len(flat), 2, 2))
    by_flat[:, 0, 0] = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    by_flat[:, 1, 1] = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    by_flat[:, 0, 1] = by_flat[:, 1, 0] = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    up, down = flat / under[:, None], -flat * (radial / under)[:, None]
    powers = r[:, None]
    tangents = np.stack([2 * x * y, r + 2 * y * y], -1), np.stack([r + 2 * x * x, 2 * x * y], -1)
    columns = [up * powers, up * powers**2, *tangents, up * powers**3, *(down * powers**n for n in (1, 2, 3))]
    return bent, by_flat, np.stack(columns[: len(bend)], axis=-1)


def _fisheye(bend: Array, flat: Array) -> tuple[Array, Array, Array]:
    """(N,2) bent directions, (N,2,2) by direction, (N,2,4) by coefficient."""
    radius = np.maximum(np.linalg.norm(flat, axis=1), 1e-9)
    angle = np.arctan(radius)
    powers = angle[:, None] ** np.array([3, 5, 7, 9])
    bent = angle + powers @ bend
    slope = (1 + (powers / angle[:, None] * [3, 5, 7, 9]) @ bend) / (1 + radius**2)  # d bent / d radius
    unit = flat / radius[:, None]
    outward = unit[:, :, None] * unit[:, None, :]
    ratio = (bent / radius)[:, None, None]
    return (
        unit * bent[:, None],
        ratio * np.eye(2) + (slope[:, None, None] - ratio) * outward,
        (unit[:, :, None] * powers[:, None, :]),
    )
