"""From a few angles, the pelvis and the feet to a whole figure: forward kinematics above, two-bone legs below.

Motions give `Controls`; the feet are places in the world, so a foot that stands does not move by a micrometre,
whatever the rest of the body does. All angles are radians.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studio.body import SEGMENTS, SIDES, Body, Figure
from studio.rotations import Array, about, apply, frame, unit

REACH = 0.9985  # share of the straight leg that a motion may use
SOFTNESS_M = 0.005  # how gently the pelvis gives way when a leg gets too short


@dataclass
class Controls:
    """What a motion says of T moments. The sides' axis is left, right.

    Trunk angles are (lean forward, lean to the right, turn to the left) against the segment below.
    """

    pelvis: Array  # (T,3) m, world
    facing: Array  # (T,) the pelvis' heading about z, 0 = along world x
    tilt: Array  # (T,3) the pelvis against upright at that heading
    spine: Array  # (T,3)
    neck: Array  # (T,3)
    head: Array  # (T,3)
    shoulder: Array  # (T,2,3): raise forward, raise sideways, turn outwards about the upper arm
    elbow: Array  # (T,2) flexion
    forearm: Array  # (T,2) pronation: thumb inwards
    wrist: Array  # (T,2) flexion towards the palm
    ankle: Array  # (T,2,3) m, world
    foot: Array  # (T,2,3,3) world rotation
    contacts: Array  # (T,4) bool

    @staticmethod
    def rest(body: Body, count: int) -> Controls:
        """Standing at the origin facing world x, arms hanging a little bent."""
        zeros = np.zeros
        shoulder = zeros((count, 2, 3))
        shoulder[..., 1] = 0.10
        ankle = zeros((count, 2, 3))
        ankle[:, 0, 1], ankle[:, 1, 1] = body.proportions.hips_m, -body.proportions.hips_m
        ankle[..., 2] = body.ankle_height
        pelvis = zeros((count, 3))
        pelvis[:, 2] = body.hip_height
        return Controls(
            pelvis, zeros(count), zeros((count, 3)), zeros((count, 3)), zeros((count, 3)), zeros((count, 3)),
            shoulder, np.full((count, 2), 0.22), np.full((count, 2), 0.35), np.full((count, 2), 0.08),
            ankle, np.broadcast_to(np.eye(3), (count, 2, 3, 3)).copy(), np.ones((count, 4), dtype=bool),
        )  # fmt: skip


def foot_rotation(heading: Array, pitch: Array) -> Array:
    """(...,3,3) of a foot that points to `heading`; positive `pitch` lifts the toe, negative the heel."""
    return about("z", heading) @ about("y", -np.asarray(pitch))


def solve(body: Body, controls: Controls) -> Figure:
    """The figure of these controls. Feet and bone lengths are exact; the pelvis gives way where a leg is too short."""
    c = controls
    count = len(c.pelvis)
    rotations = np.empty((count, len(SEGMENTS), 3, 3))
    origins = np.empty((count, len(SEGMENTS), 3))
    root = about("z", c.facing) @ _trunk(c.tilt)
    rotations[:, 0], origins[:, 0] = root, _within_reach(body, c, root)

    def child(name: str, parent: str, local: Array) -> None:
        i, j = SEGMENTS.index(name), SEGMENTS.index(parent)
        origins[:, i] = origins[:, j] + apply(rotations[:, j], body.attach[i])
        rotations[:, i] = rotations[:, j] @ local

    child("chest", "pelvis", _trunk(c.spine))
    child("neck", "chest", _trunk(c.neck))
    child("head", "neck", _trunk(c.head))
    for s, side in enumerate(SIDES):
        sign = 1 - 2 * s
        up, out, turn = np.moveaxis(c.shoulder[:, s], -1, 0)
        lift = np.clip(np.arccos(np.clip(np.cos(up) * np.cos(out), -1, 1)) - 0.6, 0, None) * 0.28
        child(side + "clavicle", "chest", about("x", sign * lift))
        arm = about("x", sign * (out - lift)) @ about("y", -up) @ about("z", sign * turn)
        child(side + "upper_arm", side + "clavicle", arm)
        child(side + "forearm", side + "upper_arm", about("y", -c.elbow[:, s]))
        hand = about("z", sign * c.forearm[:, s]) @ about("x", -sign * c.wrist[:, s])
        child(side + "hand", side + "forearm", hand)
        _leg(body, c, s, rotations, origins)
    return Figure(rotations, origins, c.contacts)


def _trunk(angles: Array) -> Array:
    return about("z", angles[:, 2]) @ about("y", angles[:, 0]) @ about("x", angles[:, 1])


def _hips(body: Body, root: Array) -> Array:
    """(T,2,3) m, hips against the pelvis' origin."""
    offsets = body.attach[[SEGMENTS.index(side + "thigh") for side in SIDES]]
    return np.einsum("tij,sj->tsi", root, offsets)


def _within_reach(body: Body, c: Controls, root: Array) -> Array:
    """(T,3) the pelvis, lowered smoothly until both feet can be reached."""
    longest = REACH * (body.length("left_shank") + body.length("left_foot"))
    flat = c.ankle[..., :2] - (c.pelvis[:, None] + _hips(body, root))[..., :2]
    drop = np.sqrt(np.maximum(longest**2 - (flat**2).sum(-1), 1e-4))
    limit = c.ankle[..., 2] + drop - _hips(body, root)[..., 2]
    heights = np.concatenate([c.pelvis[:, 2:], limit - 0.5 * SOFTNESS_M], axis=1)
    low = heights.min(axis=1, keepdims=True)
    soft = low[:, 0] - SOFTNESS_M * np.log(np.exp((low - heights) / SOFTNESS_M).sum(axis=1))
    return np.concatenate([c.pelvis[:, :2], np.minimum(soft, limit.min(axis=1))[:, None]], axis=1)


def _leg(body: Body, c: Controls, s: int, rotations: Array, origins: Array) -> None:
    """Knee from hip and ankle by the cosine rule; it bends towards where pelvis and foot point."""
    thigh, shank, foot = (SEGMENTS.index(SIDES[s] + name) for name in ("thigh", "shank", "foot"))
    hip = origins[:, 0] + apply(rotations[:, 0], body.attach[thigh])
    upper, lower = body.length(SIDES[s] + "shank"), body.length(SIDES[s] + "foot")
    line = c.ankle[:, s] - hip
    distance = np.clip(np.linalg.norm(line, axis=-1), abs(upper - lower) + 0.02, upper + lower - 1e-6)
    along = (upper**2 + distance**2 - lower**2) / (2 * distance)
    aside = np.sqrt(np.maximum(upper**2 - along**2, 0.0))
    axis = unit(line)
    level = unit(c.foot[:, s, :, 1] * np.array([1, 1, 0.0])) + 0.7 * rotations[:, 0, :, 1]
    bend = unit(np.cross(axis, level))  # perpendicular to the leg and to "left": never flips while the leg swings
    knee = hip + axis * along[:, None] + bend * aside[:, None]
    ankle = hip + axis * distance[:, None]
    origins[:, thigh], origins[:, shank], origins[:, foot] = hip, knee, ankle
    rotations[:, thigh] = frame(hip - knee, bend)
    rotations[:, shank] = frame(knee - ankle, bend)
    rotations[:, foot] = c.foot[:, s]
