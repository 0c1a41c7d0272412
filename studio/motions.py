"""Motions on the spot: a stance with planted feet, and actions laid over it in time (wave, squat, jump, sit, dance).

An action is a function of time that changes `Controls`; it eases in and out, so actions may follow each other or
overlap. Going motions are in `studio.gait`, recorded ones in `studio.mocap`; all are called with a body and times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from studio.body import SIDES, Body, Figure
from studio.pose import Controls, foot_rotation, solve
from studio.rotations import Array, about, apply

Motion = Callable[[Body, Array], Figure]  # body, times (T,) s -> the figure in the world
GRAVITY = 9.81


@dataclass(frozen=True)
class Action:
    """Something done from `start` for `duration` s; `act(body, u, weight, controls)` changes the controls in place.

    `u` (T,) is seconds since the start and `weight` (T,) eases from 0 to 1 and back over `ease` s.
    """

    start: float
    duration: float
    act: Callable[[Body, Array, Array, Controls], None]
    ease: float = 0.4

    def __call__(self, body: Body, times: Array, controls: Controls) -> None:
        u = times - self.start
        ease = min(self.ease, self.duration / 2)
        self.act(body, u, smooth(u / ease) * smooth((self.duration - u) / ease), controls)


@dataclass(frozen=True)
class Stand:
    """Stand at `place` (m) facing `heading` (rad), breathing and swaying a little, and do `actions`."""

    place: tuple[float, float] = (0.0, 0.0)
    heading: float = 0.0
    actions: Sequence[Action] = field(default_factory=tuple)
    width: float = 0.135  # half the distance of the feet, m
    seed: int = 0

    def __call__(self, body: Body, times: Array) -> Figure:
        times = np.asarray(times, dtype=np.float64)
        c = Controls.rest(body, len(times))
        self._feet(body, c)
        self._idle(times, c)
        for action in self.actions:
            action(body, times, c)
        self._to_world(c)
        return solve(body, c)

    def _feet(self, body: Body, c: Controls) -> None:
        for s, sign in ((0, 1), (1, -1)):
            c.ankle[:, s, 1] = sign * self.width * body.scale
            c.foot[:, s] = foot_rotation(np.array(sign * 0.2), np.array(0.0))
        c.pelvis[:, 0] += 0.02 * body.scale
        c.pelvis[:, 2] -= 0.006

    def _idle(self, times: Array, c: Controls) -> None:
        rng = np.random.default_rng([self.seed, 3])
        phase, rate = rng.uniform(0, 2 * np.pi, 8), rng.uniform(0.8, 1.2, 8)

        def wave(i: int, hertz: float) -> Array:
            return np.sin(2 * np.pi * hertz * rate[i] * times + phase[i])

        c.pelvis[:, 1] += 0.012 * wave(0, 0.23)
        c.pelvis[:, 0] += 0.006 * wave(1, 0.31)
        c.tilt[:, 1] += 0.015 * wave(0, 0.23)
        c.spine[:, 0] += 0.02 + 0.012 * wave(2, 0.27)
        c.spine[:, 1] -= 0.02 * wave(0, 0.23)
        c.head[:, 2] += 0.10 * wave(3, 0.17)
        c.head[:, 0] += 0.03 * wave(4, 0.2)
        c.shoulder[:, 0, 0] += 0.03 * wave(5, 0.26)
        c.shoulder[:, 1, 0] += 0.03 * wave(6, 0.24)

    def _to_world(self, c: Controls) -> None:
        turn, shift = about("z", self.heading), np.array([*self.place, 0.0])
        c.pelvis, c.ankle = apply(turn, c.pelvis) + shift, apply(turn, c.ankle) + shift
        c.foot, c.facing = turn @ c.foot, c.facing + self.heading


def smooth(u: Array) -> Array:
    """0 below 0, 1 above 1, twice continuously differentiable between."""
    u = np.clip(u, 0, 1)
    return u * u * u * (u * (6 * u - 15) + 10)


def wave(start: float, duration: float = 2.4, side: str = "right", rate: float = 1.9) -> Action:
    """Raise one hand and wave it `rate` times a second."""

    def act(body: Body, u: Array, w: Array, c: Controls) -> None:
        s = SIDES.index(side + "_")
        beat = np.sin(2 * np.pi * rate * u)
        _towards(c.shoulder[:, s], w, (0.25, 1.25, 1.45))
        _towards(c.elbow[:, s], w, 1.75 + 0.42 * beat)
        _towards(c.forearm[:, s], w, -0.1)
        c.shoulder[:, s, 1] += w * 0.10 * beat
        c.spine[:, 1] += w * (0.05 if s == 0 else -0.05)
        c.head[:, 1] += w * (0.06 if s else -0.06)

    return Action(start, duration, act, 0.55)


def squat(start: float, duration: float = 2.0, depth: float = 0.36) -> Action:
    """Go down by `depth` m (of a person of 1.75 m), arms forward, and come up again."""

    def act(body: Body, u: Array, w: Array, c: Controls) -> None:
        down = np.where((u > 0) & (u < duration), np.sin(np.pi * np.clip(u / duration, 0, 1)) ** 2, 0.0)
        lower_pelvis(body, c, depth * down)
        for s in range(2):
            c.shoulder[:, s, 0] += 1.35 * down
            c.elbow[:, s] += 0.15 * down

    return Action(start, duration, act)


def lower_pelvis(body: Body, c: Controls, drop: Array) -> None:
    """Bend the legs by `drop` (T,) m with hips back and chest forward, balanced over the feet."""
    k = body.scale
    c.pelvis[:, 2] -= drop * k
    c.pelvis[:, 0] -= 0.42 * drop * k
    c.tilt[:, 0] += 1.05 * drop
    c.spine[:, 0] += 0.75 * drop
    c.neck[:, 0] -= 0.45 * drop
    c.head[:, 0] -= 0.75 * drop


def jump(start: float, height: float = 0.30, forward: float = 0.0) -> Action:
    """Crouch, jump so that the pelvis rises `height` m in flight, and land, `forward` m further on."""
    crouch, push, absorb, recover = 0.45, 0.26, 0.24, 0.5
    speed = np.sqrt(2 * GRAVITY * height)
    flight = 2 * speed / GRAVITY
    keys = np.cumsum([0, crouch, push, flight, absorb, recover])
    tip = 0.75  # rad, the heel's rise when the toes leave

    def act(body: Body, u: Array, w: Array, c: Controls) -> None:
        k = body.scale
        take_off = 0.06 * k
        rise = np.select(
            [(u > keys[i]) & (u <= keys[i + 1]) for i in range(5)],
            [
                -0.26 * k * smooth(u / crouch),
                _hermite(-0.26 * k, 0.0, take_off, speed * push, (u - keys[1]) / push),
                take_off + speed * (u - keys[2]) - GRAVITY / 2 * (u - keys[2]) ** 2,
                _hermite(take_off, -speed * absorb, -0.22 * k, 0.0, (u - keys[3]) / absorb),
                -0.22 * k * (1 - smooth((u - keys[4]) / recover)),
            ],
            0.0,
        )
        drop = np.maximum(-rise, 0) / k
        lower_pelvis(body, c, drop)
        c.pelvis[:, 2] += np.maximum(rise, 0)
        air = np.clip((u - keys[2]) / flight, 0, 1)
        heel = tip * (smooth((u - keys[1] - 0.3 * push) / (0.7 * push)) - smooth((u - keys[3]) / 0.12))
        _hop(body, c, (u > keys[2]) & (u < keys[3]), air, heel, np.maximum(rise - take_off, 0), forward)
        back = smooth(u / crouch) - smooth((u - keys[1] + 0.08) / (push + 0.1))
        throw = smooth((u - keys[1] + 0.08) / (push + 0.22)) - smooth((u - keys[3] + 0.1) / (absorb + recover))
        c.shoulder[:, :, 0] += (-0.7 * back + 2.0 * throw)[:, None]
        c.elbow += (0.15 * back + 0.45 * throw)[:, None]

    return Action(start, float(keys[-1]), act)


def _hop(body: Body, c: Controls, flying: Array, air: Array, heel: Array, rise: Array, forward: float) -> None:
    """Turn the feet about their toes by `heel` (T,) and carry them through the air with the body."""
    toe = body.points["left_toe"][1]
    tuck = 0.10 * body.scale * np.sin(np.pi * air) ** 2
    for s in range(2):
        flat = c.foot[:, s]
        turned = flat @ about("y", heel)
        c.ankle[:, s] += apply(flat, toe) - apply(turned, toe)
        c.ankle[:, s, 2] += rise + tuck
        c.ankle[:, s, 0] += forward * air
        c.foot[:, s] = turned
        c.contacts[:, 2 * s] &= ~flying & (heel <= 0)
        c.contacts[:, 2 * s + 1] &= ~flying
    c.pelvis[:, 0] += forward * smooth(air)


def sit(start: float, duration: float = 4.0, seat: float = 0.46) -> Action:
    """Sit down on a seat `seat` m high that stands behind the heels, stay, and stand up."""

    def act(body: Body, u: Array, w: Array, c: Controls) -> None:
        k = body.scale
        down = smooth(u / 1.3) * smooth((duration - u) / 1.3)
        bow = 4 * down * (1 - down)
        goal = seat + 0.10 * k - body.hip_height
        c.pelvis[:, 2] += down * goal
        c.pelvis[:, 0] -= 0.40 * k * smooth(down * 1.15)
        c.spine[:, 0] += 0.62 * bow + 0.08 * down
        c.tilt[:, 0] += 0.30 * bow - 0.10 * down
        c.head[:, 0] -= 0.45 * bow
        for s in range(2):
            _towards(c.shoulder[:, s], down, (0.30, 0.06, -0.15))
            _towards(c.elbow[:, s], down, 0.85)
            _towards(c.forearm[:, s], down, 1.0)

    return Action(start, duration, act)


def dance(start: float, duration: float, beat: float = 0.5) -> Action:
    """Step to the side and close, left and right, with swinging hips and arms; `beat` s per step."""

    def act(body: Body, u: Array, w: Array, c: Controls) -> None:
        k = body.scale
        n = np.clip(u / beat, 0, np.floor(duration / beat / 4 + 1e-9) * 4)  # whole bars: the feet end where they began
        pulse, slow = np.cos(2 * np.pi * n), np.sin(np.pi * n / 2)
        side = _side_steps(c, n, 0.17 * k)
        c.pelvis[:, 1] += w * (side + 0.03 * k * np.sin(np.pi * n))
        c.pelvis[:, 2] -= w * k * (0.055 + 0.022 * pulse)
        c.facing = c.facing + w * 0.22 * slow
        c.tilt[:, 1] += w * 0.10 * np.sin(np.pi * n)
        c.spine[:, 2] -= w * 0.35 * slow
        c.spine[:, 1] -= w * 0.12 * np.sin(np.pi * n)
        c.head[:, 0] += w * 0.08 * pulse
        for s, sign in ((0, 1), (1, -1)):
            swing = np.sin(np.pi * n / 2 + (0 if s == 0 else np.pi))
            goal = np.stack([0.75 + 0.75 * swing, 0.45 + 0.25 * sign * slow, 0.35 + 0.4 * swing], axis=-1)
            _towards(c.shoulder[:, s], w, goal)
            _towards(c.elbow[:, s], w, 1.45 - 0.35 * swing)

    return Action(start, duration, act, 0.6)


def _side_steps(c: Controls, n: Array, wide: float) -> Array:
    """Move the feet of a four-beat side step (`n` beats since the start) and return the body's shift (T,) m.

    A foot stands still except in its own beat: left goes out, right closes, right goes back, left follows.
    """
    bar = np.mod(n, 4.0)
    starts = ((0.0, 3.0), (1.0, 2.0))  # the beat in which left, right goes out, and comes back
    for s in range(2):
        out, home = starts[s]
        go, back = np.clip((bar - out) / 0.85, 0, 1), np.clip((bar - home) / 0.85, 0, 1)
        c.ankle[:, s, 1] += wide * (smooth(go) - smooth(back))
        c.ankle[:, s, 2] += 0.06 * (np.sin(np.pi * go) ** 2 + np.sin(np.pi * back) ** 2)
        moving = ((go > 0) & (go < 1)) | ((back > 0) & (back < 1))
        c.contacts[:, 2 * s : 2 * s + 2] &= ~moving[:, None]
    return wide * (smooth(bar / 2) - smooth((bar - 2) / 2))


def _towards(values: Array, weight: Array, goal: Array | float | tuple[float, ...]) -> None:
    """Blend `values` (T,...) in place towards `goal` by `weight` (T,)."""
    weight = weight if values.ndim == 1 else weight[:, None]
    values += weight * (np.asarray(goal) - values)


def _hermite(a: float, v: float, b: float, w: float, u: Array) -> Array:
    return ((2 * a - 2 * b + v + w) * u + (-3 * a + 3 * b - 2 * v - w)) * u * u + v * u + a
