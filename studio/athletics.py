"""Wide postures on the spot, which recordings of everyday motion lack: kicks, lunges, balancing on one leg, bows.

Actions for `studio.motions.Stand`. Lengths are of a person of 1.75 m and grow with the body; sides as in `SIDES`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from studio.body import Body
from studio.motions import Action, lower_pelvis, smooth
from studio.pose import Controls
from studio.rotations import Array, about

Goal = tuple[float, float, float]


def kick(start: float, side: int, height: float, aside: float, duration: float = 1.2, turn: float = 0.0) -> Action:
    """Draw up the knee, kick to `height` m at the angle `aside` (0 forward, pi/2 outwards), and set the foot down.

    `turn` (rad) is how far the hips turn into the kick.
    """

    def act(body: Body, u: Array, w: Array, c: Controls) -> None:
        k, sign = body.scale, 1 - 2 * side
        raised = smooth(u / (0.3 * duration)) * smooth((duration - u) / (0.3 * duration))
        thrust = smooth((u / duration - 0.3) / 0.2) * smooth((0.75 - u / duration) / 0.2)
        reach = np.sqrt(max(0.84**2 - (height - 0.9) ** 2, 0.1))
        along = np.array([np.cos(aside), sign * np.sin(aside), 0.0])
        drawn = 0.25 * along + [0.0, 0.0, max(0.3, 0.6 * height)]
        struck = reach * along + [0.0, 0.0, height - 0.08]
        _lift_foot(body, c, side, k * (raised[:, None] * drawn + thrust[:, None] * (struck - drawn)))
        c.foot[:, side] = c.foot[:, side] @ about("y", 0.7 * raised)
        c.facing = c.facing - sign * turn * thrust
        c.tilt[:, 0] -= 0.25 * thrust * np.cos(aside)
        c.tilt[:, 1] -= sign * 0.35 * thrust * np.sin(aside)
        c.shoulder[:, :, 0] += (0.9 * raised)[:, None]
        c.elbow += (1.3 * raised)[:, None]

    return Action(start, duration, act, 0.3 * duration)


def lunge(start: float, side: int, length: float, aside: float, depth: float, duration: float = 2.0) -> Action:
    """Step out `length` m at the angle `aside`, sink by `depth` m over both feet, and come back."""

    def act(body: Body, u: Array, w: Array, c: Controls) -> None:
        k, sign = body.scale, 1 - 2 * side
        ease = 0.3 * duration
        out = smooth(u / ease) * smooth((duration - u) / ease)
        step = np.array([np.cos(aside), sign * np.sin(aside), 0.0]) * length * k
        moving = 0.1 * k * 4 * out * (1 - out)
        c.ankle[:, side] += out[:, None] * step
        c.ankle[:, side, 2] += moving
        c.contacts[:, 2 * side : 2 * side + 2] &= (moving < 1e-3)[:, None]
        c.pelvis += 0.5 * out[:, None] * step
        c.pelvis[:, 2] -= depth * k * out

    return Action(start, duration, act, 0.3 * duration)


def balance(start: float, side: int, foot: Goal, lean: float, duration: float = 3.0) -> Action:
    """Stand on one leg, the other foot (`side`) at `foot` m from where it stood, the trunk leaning by `lean` rad."""

    def act(body: Body, u: Array, w: Array, c: Controls) -> None:
        sign = 1 - 2 * side
        goal = np.array(foot) * [1, sign, 1] * body.scale
        sway = 0.03 * np.sin(5.0 * u + side) + 0.02 * np.sin(8.3 * u)
        _lift_foot(body, c, side, w[:, None] * goal)
        c.foot[:, side] = c.foot[:, side] @ about("y", 0.5 * w)
        c.tilt[:, 0] += w * lean
        c.tilt[:, 1] += w * (sign * 0.1 + sway)
        c.spine[:, 1] -= w * 2 * sway

    return Action(start, duration, act, 0.35 * duration)


def arms(start: float, raised: tuple[Goal, Goal], elbows: tuple[float, float], duration: float = 1.5) -> Action:
    """Bring both arms to angles of the shoulders (forward, sideways, turned, rad) and elbows, and back."""

    def act(body: Body, u: Array, w: Array, c: Controls) -> None:
        for s in range(2):
            c.shoulder[:, s] += w[:, None] * (np.array(raised[s]) - c.shoulder[:, s])
            c.elbow[:, s] += w * (elbows[s] - c.elbow[:, s])

    return Action(start, duration, act, 0.45 * duration)


def bow(start: float, forward: float, sideways: float, twist: float, duration: float = 1.8) -> Action:
    """Bend the trunk by three angles (rad), knees giving way a little, and come up again."""

    def act(body: Body, u: Array, w: Array, c: Controls) -> None:
        lower_pelvis(body, c, 0.08 * w)
        c.tilt[:, 0] += 0.5 * forward * w
        c.spine += w[:, None] * np.array([0.5 * forward, sideways, twist])
        c.head[:, 2] -= 0.4 * twist * w

    return Action(start, duration, act, 0.45 * duration)


def _lift_foot(body: Body, c: Controls, side: int, path: Array) -> None:
    """Carry one foot along `path` (T,3) m from where it stands while the body's weight goes over the other."""
    away = np.linalg.norm(path, axis=-1)
    weight = smooth(away / (0.15 * body.scale))
    c.pelvis[:, :2] += 0.8 * weight[:, None] * (c.ankle[:, 1 - side, :2] - c.pelvis[:, :2])
    c.ankle[:, side] += path
    c.contacts[:, 2 * side : 2 * side + 2] &= (away < 1e-3)[:, None]


def wild(rng: np.random.Generator, seconds: float) -> tuple[Action, ...]:
    """A random row of the actions of this file for `seconds`, legs and arms independent of each other."""
    legs: tuple[Callable[[float, float], Action], ...] = (
        lambda start, t: kick(start, int(rng.integers(2)), rng.uniform(0.4, 1.5), rng.uniform(-0.3, 1.7),
                              min(t, rng.uniform(0.6, 1.6)), rng.uniform(0, 1.2)),
        lambda start, t: lunge(start, int(rng.integers(2)), rng.uniform(0.3, 0.9), rng.uniform(-0.3, 3.4),
                               rng.uniform(0.0, 0.35), t),
        lambda start, t: balance(start, int(rng.integers(2)), tuple(rng.uniform((-0.5, 0.0, 0.15), (0.5, 0.5, 0.7))),
                                 rng.uniform(-0.3, 0.9), t),
        lambda start, t: bow(start, rng.uniform(-0.3, 1.4), rng.normal(0, 0.3), rng.normal(0, 0.4), t),
    )  # fmt: skip
    actions, clock = [], rng.uniform(0, 0.3)
    while clock < seconds:
        length = rng.uniform(0.8, 3.0)
        actions.append(legs[rng.integers(len(legs))](clock, length))
        clock += length + rng.uniform(0, 0.2)
    clock = 0.0
    while clock < seconds:
        length = rng.uniform(0.5, 3.0)
        raised = tuple(tuple(rng.uniform((-0.6, 0.0, -1.0), (2.6, 1.6, 1.0))) for _ in range(2))
        actions.append(arms(clock, raised, tuple(rng.uniform(0.0, 2.2, 2)), length))
        clock += 0.8 * length
    return tuple(actions)
