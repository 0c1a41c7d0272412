"""Walking, running and turning on the spot along any path, with footprints that stay where they are.

A cycle is two steps. In stance the foot rolls: it lands on the heel, lies flat, then lifts its heel about the toe; in
swing the ankle flies from one footprint to the next with matching speeds at both ends (cubic Hermite). Everything is a
function of time, so any frame rate gives the same motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studio.body import SIDES, Body, Figure
from studio.paths import Path, line, spot
from studio.pose import Controls, foot_rotation, solve
from studio.rotations import Array, about, apply


@dataclass(frozen=True)
class Gait:
    """The manner of going; angles in rad, lengths in m of a person of 1.75 m."""

    speed: float = 1.25  # m/s
    stride: float = 1.36  # m per cycle (two steps)
    duty: float = 0.62  # share of the cycle that a foot stands
    landing: float = 0.33  # toe up when the heel lands
    push: float = 0.95  # heel up when the toe leaves
    lift: float = 0.035  # ankle over the straight flight
    width: float = 0.085  # footprint beside the path
    height: float = 0.0  # pelvis above (below, negative) normal
    bob: float = 0.018  # half of the pelvis' rise and fall
    airborne: bool = False
    lean: float = 0.05
    arms: float = 0.42  # half of the swing
    elbow: float = 0.35
    sway: float = 0.018
    behind: float = 0.03  # share of the stride by which a footprint lies behind the body's way


WALK = Gait()
RUN = Gait(speed=3.0, stride=2.15, duty=0.36, landing=0.12, push=1.05, lift=0.25, width=0.045, height=-0.02,
           bob=0.035, airborne=True, lean=0.17, arms=0.65, elbow=1.5, sway=0.008)  # fmt: skip
STEPPING = Gait(speed=0.8, stride=1.0, landing=0.05, push=0.5, lift=0.05, width=0.1, bob=0.008, arms=0.14, lean=0.02)


@dataclass(frozen=True)
class Walk:
    """Go along `path` at `gait`, `phase` cycles ahead at time 0. Call it with a body and times (T,) s."""

    path: Path
    gait: Gait = WALK
    phase: float = 0.0

    def __call__(self, body: Body, times: Array) -> Figure:
        g, k = self.gait, body.scale
        cycle = np.asarray(times, dtype=np.float64) * g.speed / (g.stride * k) + self.phase
        c = Controls.rest(body, len(cycle))
        for s in range(2):
            c.ankle[:, s], c.foot[:, s], c.contacts[:, 2 * s : 2 * s + 2] = self._foot(body, cycle, s)
        self._trunk(body, cycle, c)
        self._arms(cycle, c)
        return solve(body, c)

    def _foot(self, body: Body, cycle: Array, side: int) -> tuple[Array, Array, Array]:
        """Ankle (T,3), rotation (T,3,3) and heel and toe contact (T,2) of one foot."""
        duty, own = self.gait.duty, cycle - 0.5 * side
        step = np.floor(own)
        part = own - step
        stance = part < duty
        ankle, pitch = self._stance(body, step, np.minimum(part, duty), side)
        heading = self._print(body, step, side)[1]
        u = np.clip((part - duty) / (1 - duty), 0, 1)
        air, air_pitch, air_heading = self._swing(body, step, u, side)
        ankle = np.where(stance[:, None], ankle, air)
        foot = foot_rotation(np.where(stance, heading, air_heading), np.where(stance, pitch, air_pitch))
        share = part / duty
        return ankle, foot, np.stack([stance & (share < _HEEL_OFF), stance & (share >= _FLAT)], axis=-1)

    def _print(self, body: Body, step: Array, side: int) -> tuple[Array, Array]:
        """Where footprint number `step` lies: the ankle's place (T,2) over the flat foot, and its heading (T,)."""
        sign, k = 1 - 2 * side, body.scale
        middle = (step + 0.5 * side + 0.5 * self.gait.duty - self.gait.behind) * self.gait.stride * k
        place, heading = self.path(middle)
        across = np.stack([-np.sin(heading), np.cos(heading)], axis=-1)
        return place + sign * self.gait.width * k * across, heading + sign * 0.12

    def _stance(self, body: Body, step: Array, part: Array, side: int) -> tuple[Array, Array]:
        """Ankle (T,3) and pitch (T,) of a foot that rolls over heel and toe on its footprint."""
        share = part / self.gait.duty
        pitch = self.gait.landing * (1 - _ease(share / _FLAT)) - self.gait.push * _late(
            (share - _HEEL_OFF) / (1 - _HEEL_OFF)
        )
        place, heading = self._print(body, step, side)
        pivot = np.where((share < _FLAT)[:, None], *(body.points[SIDES[side] + end][1] for end in ("heel", "toe")))
        flat = np.concatenate([place, np.full((len(place), 1), body.ankle_height)], axis=1)
        turned = apply(foot_rotation(heading, pitch), pivot)
        return flat + apply(about("z", heading), pivot) - turned, pitch

    def _swing(self, body: Body, step: Array, u: Array, side: int) -> tuple[Array, Array, Array]:
        """Ankle (T,3), pitch (T,) and heading (T,) in flight, u from 0 to 1."""
        g, h = self.gait, 1e-4
        ends, pitches = [], []
        for number, part in ((step, g.duty), (step + 1, 0.0)):
            inner = part - h if part else h
            here, angle = self._stance(body, number, np.full_like(u, part), side)
            there, other = self._stance(body, number, np.full_like(u, inner), side)
            span = (1 - g.duty) / (part - inner)
            ends += [here, (here - there) * span]
            pitches += [angle, (angle - other) * span]
        a, v, b, w = ends
        w = np.where(g.airborne, 0.5, 1.0) * w
        ankle = _hermite(a, v, b, w, u[:, None])
        ankle[:, 2] += g.lift * body.scale * np.sin(np.pi * u**0.8) ** 2
        turns = [self._print(body, step + n, side)[1] for n in range(2)]
        return ankle, _hermite(*pitches, u), turns[0] + (turns[1] - turns[0]) * _ease(u)

    def _trunk(self, body: Body, cycle: Array, c: Controls) -> None:
        g, k = self.gait, body.scale
        place, heading = self.path(cycle * g.stride * k)
        across = np.stack([-np.sin(heading), np.cos(heading)], axis=-1)
        beat = 2 * np.pi * (cycle - 0.5 * g.duty)  # 0 when the left foot stands under the body
        c.pelvis[:, :2] = place + (g.sway * k * np.cos(beat))[:, None] * across
        rise = -np.cos(2 * beat) if g.airborne else np.cos(2 * beat)
        c.pelvis[:, 2] += (g.height - (0.0 if g.airborne else 0.02) + g.bob * rise) * k
        swing = np.cos(2 * np.pi * (cycle - 0.02))  # 1 when the left heel lands
        c.facing = heading - 0.10 * swing
        c.tilt = np.stack([np.full_like(cycle, 0.4 * g.lean), -0.05 * np.cos(beat), 0 * cycle], axis=-1)
        c.spine = np.stack([0.6 * g.lean + 0.015 * np.cos(2 * beat), 0.05 * np.cos(beat), 0.22 * swing], axis=-1)
        c.neck = np.stack([np.full_like(cycle, 0.12 - 0.5 * g.lean), 0 * cycle, -0.07 * swing], axis=-1)
        c.head = np.stack([-0.10 - 0.5 * g.lean - 0.015 * np.cos(2 * beat), 0 * cycle, -0.05 * swing], axis=-1)

    def _arms(self, cycle: Array, c: Controls) -> None:
        g = self.gait
        for s, sign in ((0, 1), (1, -1)):
            forward = -sign * np.cos(2 * np.pi * (cycle - 0.03))
            c.shoulder[:, s] = np.stack([g.arms * forward - 0.05, 0.11 + 0 * cycle, -0.12 * (1 + forward)], axis=-1)
            late = -sign * np.cos(2 * np.pi * (cycle - 0.09))
            c.elbow[:, s] = g.elbow + (0.22 if g.airborne else 0.20) * late


_FLAT = 0.16  # of the stance: the foot lies flat from here
_HEEL_OFF = 0.56  # and the heel rises from here


def walk(path: Path | None = None, phase: float = 0.0, speed: float = 1.25) -> Walk:
    """Walk at `speed` m/s; the stride grows with it."""
    gait = Gait(speed=speed, stride=0.62 + 0.59 * speed, arms=0.2 + 0.18 * speed)
    return Walk(path or line(), gait, phase)


def run(path: Path | None = None, phase: float = 0.0) -> Walk:
    """Run at 3 m/s, both feet off the ground between the steps."""
    return Walk(path or line(), RUN, phase)


def turn(place: tuple[float, float] = (0, 0), heading: float = 0.0, rate: float = 1.0) -> Walk:
    """Turn on the spot with small steps by `rate` rad/s, positive to the left."""
    return Walk(spot(place, heading, rate / STEPPING.speed), STEPPING)


def _ease(u: Array) -> Array:
    u = np.clip(u, 0, 1)
    return u * u * (3 - 2 * u)


def _late(u: Array) -> Array:
    """0 to 1, starting gently and leaving fast."""
    return np.clip(u, 0, 1) ** 1.7


def _hermite(a: Array, v: Array, b: Array, w: Array, u: Array) -> Array:
    """Cubic from `a` with speed `v` to `b` with speed `w` (per unit of u)."""
    return ((2 * a - 2 * b + v + w) * u + (-3 * a + 3 * b - 2 * v - w)) * u * u + v * u + a
