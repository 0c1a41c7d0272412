"""Standing feet stand: no sliding, no sinking. Only the legs move, by two-bone inverse kinematics; jumps stay jumps."""

from __future__ import annotations

import numpy as np

from motion.filters import lowpass
from motion.stance import Feet, feet_of, stances
from pipeline.results import Array
from pipeline.skeletons import Skeleton

BLEND_S = 0.12  # a correction fades in before a stance and out after it
FLATTEN_M, KEEP_M = 0.08, 0.20  # a stance nearer to the floor is put on it; one further away (a step, a box) is not
SINK_M = 0.10  # a moving foot is lifted out of the floor by at most that
REACH = 0.999  # of the stretched leg
ROOT_HZ = 3.0  # the pelvis follows where a leg is too short, no faster than that


def lock_feet(joints: Array, contact: Array, times: Array, skeleton: Skeleton) -> Array:
    """Joints (T,K,3) in the world without NaN, contact (T,F) in [0,1] -> joints with bones as before.

    Each standing point of a foot gets one place, the mean of the stance; legs are bent to reach it.
    """
    feet = feet_of(skeleton)
    out = joints.copy()
    shift, weight = _point_corrections(joints[:, feet.joints], contact, times, feet.rest_m)
    sides = {side: [k for k, a in enumerate(feet.ankles) if a == skeleton.index(f"{side}_ankle")[0]]
             for side in ("left", "right")}  # fmt: skip
    moves = {side: _foot_move(joints, feet, points, shift, weight) for side, points in sides.items()}
    out += _root_move(joints, moves, skeleton, times)[:, None]
    for side, points in sides.items():
        _bend_leg(out, joints, side, moves[side], skeleton)
        if len(points) == 2:
            _aim_foot(
                out, joints, [feet.joints[k] for k in points], shift[:, points], weight[:, points], skeleton, side
            )
    return out


def _point_corrections(points: Array, contact: Array, times: Array, rest: float) -> tuple[Array, Array]:
    """(T,F,3) m to each point's place, held outside its stances, and (T,F) how much of it counts."""
    shift, weight = np.zeros_like(points), np.zeros(points.shape[:2])
    for f in range(points.shape[1]):
        for begin, end in stances(contact[:, f], times):
            place = points[begin:end, f].mean(0)
            place[2] += (rest - place[2]) * _ease((KEEP_M - abs(place[2] - rest)) / (KEEP_M - FLATTEN_M))
            fade = _ease(1 - np.maximum(times[begin] - times, times - times[end - 1]) / BLEND_S)
            held = np.clip(np.arange(len(times)), begin, end - 1)
            stronger = fade > weight[:, f]
            shift[stronger, f] = (place - points[held, f])[stronger]
            weight[:, f] = np.maximum(weight[:, f], fade)
    return shift, weight


def _ease(share: Array | float) -> Array:
    s = np.clip(share, 0, 1)
    return s * s * (3 - 2 * s)


def _foot_move(joints: Array, feet: Feet, points: list[int], shift: Array, weight: Array) -> Array:
    """(T,3) by which one ankle moves: the mean of its points' corrections, and out of the floor."""
    counts = weight[:, points]
    move = (counts[..., None] * shift[:, points]).sum(1) / np.maximum(counts.sum(1), 1.0)[:, None]
    lowest = joints[:, [feet.joints[k] for k in points], 2].min(1) + move[:, 2] - (feet.rest_m - 0.02)
    move[:, 2] += np.where(lowest > -SINK_M, np.maximum(-lowest, 0), 0)
    return move


def _root_move(joints: Array, moves: dict[str, Array], skeleton: Skeleton, times: Array) -> Array:
    """(T,3): the pelvis goes where a leg could not reach its ankle's place otherwise, smoothly."""
    need = np.zeros((len(joints), 3))
    for side, move in moves.items():
        hip, knee, ankle = (joints[:, skeleton.index(f"{side}_{name}")[0]] for name in ("hip", "knee", "ankle"))
        most = REACH * (_length(knee - hip) + _length(ankle - knee))
        reach = ankle + move - hip
        distance = _length(reach)
        lacking = np.maximum(distance - most, 0) / np.maximum(distance, 1e-9)
        need += reach * (lacking / len(moves))[:, None]
    return lowpass(need, times, ROOT_HZ)


def _bend_leg(out: Array, joints: Array, side: str, move: Array, skeleton: Skeleton) -> None:
    """Knee and ankle in place; the knee stays in the leg's own plane. The foot is carried along."""
    hip, knee, ankle, heel, toe = (
        skeleton.joints.index(f"{side}_{name}") if f"{side}_{name}" in skeleton.joints else None
        for name in ("hip", "knee", "ankle", "heel", "toe")
    )
    thigh, shank = _length(joints[:, knee] - joints[:, hip]), _length(joints[:, ankle] - joints[:, knee])
    reach = joints[:, ankle] + move - out[:, hip]
    distance = np.clip(_length(reach), np.abs(thigh - shank) + 1e-6, REACH * (thigh + shank))
    distance = np.where(_length(move) + _length(out[:, hip] - joints[:, hip]) > 0, distance, _length(reach))
    axis = reach / np.maximum(_length(reach), 1e-9)[:, None]
    bend = joints[:, knee] - joints[:, hip]
    bend = bend - (bend * axis).sum(-1, keepdims=True) * axis
    bend = bend / np.maximum(_length(bend), 1e-9)[:, None]
    along = (thigh**2 - shank**2 + distance**2) / (2 * np.maximum(distance, 1e-9))
    aside = np.sqrt(np.maximum(thigh**2 - along**2, 0))
    out[:, knee] = out[:, hip] + along[:, None] * axis + aside[:, None] * bend
    out[:, ankle] = out[:, hip] + distance[:, None] * axis
    for joint in (heel, toe):
        if joint is not None:
            out[:, joint] = out[:, ankle] + joints[:, joint] - joints[:, ankle]


def _aim_foot(
    out: Array, joints: Array, points: list[int], shift: Array, weight: Array, skeleton: Skeleton, side: str
) -> None:
    """Turn heel and toe towards their own places about the ankle, lengths kept."""
    ankle = skeleton.joints.index(f"{side}_ankle")
    for k, (base, joint) in enumerate(((ankle, points[0]), (points[0], points[1]))):
        wanted = joints[:, joint] + shift[:, k]
        aim = (wanted - out[:, base]) * weight[:, k, None] + (out[:, joint] - out[:, base]) * (1 - weight[:, k, None])
        length = _length(joints[:, joint] - joints[:, base])
        out[:, joint] = out[:, base] + aim * (length / np.maximum(_length(aim), 1e-9))[:, None]


def _length(vectors: Array) -> Array:
    return np.linalg.norm(vectors, axis=-1)
