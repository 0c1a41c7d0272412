"""Poses that motion capture rarely holds, as the studio acts them: squats, sitting, jumps, turns, kicks, lunges, bows.

Walking, running, waving and dancing are left out on purpose, so that studio scenes of these stay a test.
"""

from __future__ import annotations

import numpy as np
import torch

from studio.athletics import wild
from studio.body import Proportions, build_body
from studio.gait import turn
from studio.motions import Action, Motion, Stand, jump, sit, squat
from training.mocap import BODY, Mocap

CLIPS, SECONDS = 480, 7.0
HEAD = 0.62  # motion capture puts the head's top that much nearer to the neck than the studio does


def procedural(fps: float, seed: int = 0, clips: int = CLIPS) -> Mocap:
    """`clips` studio actors of random size, each doing one of the actions again and again, and all of it mirrored.

    Joints in metres, Z up, floor at z = 0; every frame is drawn equally often (`weights` sum to 1).
    """
    times = np.arange(round(SECONDS * fps)) / fps
    joints, contacts = zip(*(_perform(np.random.default_rng([seed, n]), n, times) for n in range(clips)), strict=True)
    count = len(times)
    start = np.repeat(np.arange(clips) * count, count)
    return mirrored(np.concatenate(joints), np.concatenate(contacts), start, start + count - 1, fps)


def mirrored(joints: np.ndarray, contacts: np.ndarray, first: np.ndarray, last: np.ndarray, fps: float) -> Mocap:
    """Clips end to end and their mirror images, all frames equally likely."""
    flipped = joints[:, BODY.mirror] * np.array([-1, 1, 1])
    frames = len(joints)
    return Mocap(
        joints=torch.from_numpy(np.concatenate([joints, flipped]).astype(np.float32)),
        contacts=torch.from_numpy(np.concatenate([contacts, contacts[:, [2, 3, 0, 1]]]).astype(np.uint8)),
        first=torch.from_numpy(np.concatenate([first, first + frames])),
        last=torch.from_numpy(np.concatenate([last, last + frames])),
        weights=torch.full((2 * frames,), 0.5 / frames, dtype=torch.float64),
        fps=fps,
    )


def joined(one: Mocap, other: Mocap, share: float) -> Mocap:
    """Both, the second drawn in `share` of the windows."""
    offset = len(one.joints)
    return Mocap(
        joints=torch.cat([one.joints, other.joints]),
        contacts=torch.cat([one.contacts, other.contacts]),
        first=torch.cat([one.first, other.first + offset]),
        last=torch.cat([one.last, other.last + offset]),
        weights=torch.cat([one.weights * (1 - share), other.weights * share]),
        fps=one.fps,
    )


def _perform(rng: np.random.Generator, number: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T,23,3) m and (T,4) contacts of one actor."""
    body = build_body(Proportions.random(int(rng.integers(1 << 30))))
    figure = acted_motion(rng, number)(body, times)
    joints = body.joints(figure)
    neck, top = BODY.index("neck_nose", "head_top")
    joints[:, top] = joints[:, neck] + HEAD * (joints[:, top] - joints[:, neck])
    return joints, figure.contacts


def acted_motion(rng: np.random.Generator, number: int) -> Motion:
    heading = rng.uniform(0, 2 * np.pi)
    if number % 8 == 0:
        return turn((0.0, 0.0), heading, rng.choice([-1, 1]) * rng.uniform(0.5, 2.0))
    if number % 2:
        return Stand((0.0, 0.0), heading, wild(rng, SECONDS), seed=int(rng.integers(1 << 30)))
    kinds = (_squats, _sits, _jumps, _squats, _sits)
    return Stand((0.0, 0.0), heading, kinds[number // 2 % len(kinds)](rng), seed=int(rng.integers(1 << 30)))


def _squats(rng: np.random.Generator) -> tuple[Action, ...]:
    length = rng.uniform(0.9, 4.0)
    starts = np.arange(0.1, SECONDS, length + rng.uniform(0, 0.5))
    return tuple(squat(start, length, rng.uniform(0.15, 0.58)) for start in starts)


def _sits(rng: np.random.Generator) -> tuple[Action, ...]:
    length, seat = rng.uniform(3.0, 6.5), rng.uniform(0.25, 0.65)
    return tuple(sit(start, length, seat) for start in np.arange(rng.uniform(-1.5, 0.5), SECONDS, length + 0.4))


def _jumps(rng: np.random.Generator) -> tuple[Action, ...]:
    height = rng.uniform(0.1, 0.45)
    return tuple(jump(start, height, rng.uniform(0.0, 0.3)) for start in np.arange(0.1, SECONDS, 2.4))
