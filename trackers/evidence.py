"""How likely one piece of a track goes on as another, from both sides of the gap between them.

The cost is minus twice a log likelihood up to a constant: constant velocity across the gap, change of velocity, size
and facing, whether the way leads out of the picture, pose where the gap is short, height over the ground, proportions
of the limbs in metres and appearance where the detector gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.results import Array
from trackers.appearance import typical
from trackers.cutting import Piece
from trackers.linking import DRIFT
from trackers.pool import Pool
from trackers.similarity import oks_of_pairs
from trackers.stature import apart, stature

INSIDE_WORTH = 5.0  # nobody appears or vanishes far inside the picture without a reason, at either end of a gap
LEFT_WORTH = 12.0  # but who walks out of the picture has left it, and who walks in was outside
WAIT = 0.5  # cost of a second unseen
PLACE, TURN = 0.12, 0.5  # body sizes, body sizes per second: what the spreads below are compared with
LEAP_WORTH = 4.0  # what leaping costs more than walking, as it is rarer
GROW, GROW_RATE = 0.03, 0.05  # change of the logarithm of the size besides what its own trend makes of it
FLEXING = 1.0  # and by how much more where the pose itself stretches and curls up
GROWTH_WORTH = 4.0  # at most: a body may bend, or be half hidden
SIZE_S = 0.5  # of a piece's end that tell its size: a step
SWELL = 0.04  # error of the logarithm of the size in a frame
APPROACH = 0.15  # change of the logarithm of the size per second as people come nearer and go away
SPEED = 1.5  # body sizes per second that people move at, before anything is measured
JITTER, STRIDE = 0.05, 0.2  # error of a centre in body sizes; of a velocity in body sizes per second, from the gait
WINDOWS_S = (0.3, 0.5, 0.15)  # of a piece's end that tell its position and velocity: jumps turn fast, walks sway slowly
CLEAN_S = 0.5  # of a piece's end in which frames without anybody near are looked for
FACING, FACING_RATE = 0.08, 0.25  # change of facing (see `Pool`): body sizes, and more per second
FACING_WORTH = 8.0  # at most: detectors exchange left and right
GLANCE_S = 0.1  # of a piece's end that tells where its person looks
POSE_GAP_S = 0.2  # up to this gap the pose itself is evidence
POSE_WORTH = 8.0
PROPORTION_SPREAD = 0.12  # of log limb lengths between two views of one person
APPEARANCE_WORTH = 10.0
HEIGHT_WORTH = 8.0  # at most: feet may be guessed, and the ground may have steps
SLID = 10.0  # cost of motion and pose that say nothing
UNKNOWN_LOOK = 0.5  # distance that stands for a look nobody saw


@dataclass(frozen=True)
class Going:
    """Spreads of what is unforeseen in a movement, in body sizes and seconds, and more for each second of the gap."""

    place: float
    place_rate: float
    turn: float  # change of velocity
    turn_rate: float
    fall: float  # change of velocity up and down, besides


WALKING = Going(0.06, 0.25, 0.5, 0.2, 0.0)
LEAPING = Going(0.12, 0.4, 0.5, 2.0, 6.0)  # who jumps, falls, dances or turns back


@dataclass(frozen=True)
class Ends:
    """Where M pieces begin or end and how they move there; the clean frames nearest to the end count."""

    row: Array  # (M,) the outermost row
    time: Array  # (M,) s of the state below
    centre: Array  # (M,2) px
    velocity: Array  # (M,2) px/s
    doubt: Array  # (M,) px/s, spread of that velocity
    size: Array  # (M,) px
    growth: Array  # (M,) per second, trend of the logarithm of the size
    facing: Array  # (M,2) as in `Pool`
    flexing: Array  # (M,) how much the logarithm of the size varies about its trend


@dataclass(frozen=True)
class Strand:
    """A piece with what the costs need of it."""

    piece: Piece
    heads: list[tuple]  # the fields of `Ends` for each of WINDOWS_S
    tails: list[tuple]
    limbs: Array | None  # (L,) typical log lengths
    look: Array | None  # (D,) typical look, NaN where nobody could see it
    before: Array | None  # (3,) stature of the track until its end, see stature.py
    after: Array | None  # and since its beginning


def strand(pool: Pool, piece: Piece, track: Piece | None = None) -> Strand:
    """What is known of a piece, judged by itself or with the rest of a track that it seems to be part of."""
    whole = piece if track is None else track
    until = np.searchsorted(whole.rows, piece.rows[-1], "right")
    since = np.searchsorted(whole.rows, piece.rows[0])
    before, after = Piece(whole.rows[:until], whole.clean[:until]), Piece(whole.rows[since:], whole.clean[since:])
    tails = [_end_state(pool, before, -1, window) for window in WINDOWS_S]
    heads = [_end_state(pool, after, 0, window) for window in WINDOWS_S]
    limbs = None if pool.proportions is None else np.median(pool.proportions[piece.rows], axis=0)
    look, statures = typical(pool, piece.rows), [stature(pool, part.rows) for part in (before, after)]
    return Strand(piece, heads, tails, limbs, look, *statures)


def _end_state(pool: Pool, piece: Piece, side: int, window_s: float) -> tuple:
    """The fields of `Ends`: a line through the clean frames nearest to one end, drawn to standing where it is short."""
    near = np.abs(pool.time[piece.rows] - pool.time[piece.rows[side]]) <= CLEAN_S
    clean = near & piece.clean
    rows = piece.rows[clean if clean.sum() >= 3 else near]
    time = pool.time[rows]
    anchor = time[side]
    near = rows[np.abs(time - anchor) <= window_s]
    size = float(np.median(pool.size[near]))
    t = pool.time[near] - anchor
    spread = t - t.mean()
    length = max(float(spread @ spread), 1e-9)
    measured, usual = JITTER**2 / length + STRIDE**2, SPEED**2  # variances, body sizes per second
    trust = usual / (usual + measured)
    velocity = trust * (spread @ pool.centre[near]) / length
    place = pool.centre[near].mean(0) - velocity * t.mean()
    there, growth, flexing = _size_at(pool, rows[np.abs(time - anchor) <= SIZE_S], anchor)
    last = rows[np.abs(time - time[side]) <= GLANCE_S]
    facing = np.median(pool.facing[last], axis=0)
    return piece.rows[side], anchor, place, velocity, size * np.sqrt(trust * measured), there, growth, facing, flexing


def _size_at(pool: Pool, rows: Array, anchor: float) -> tuple[float, float, float]:
    """Size (px) at a time, its growth and flexing (see `Ends`): a line through its logarithm, drawn to staying."""
    t, log = pool.time[rows] - anchor, np.log(pool.size[rows])
    spread = t - t.mean()
    length = max(float(spread @ spread), 1e-9)
    growth = APPROACH**2 / (APPROACH**2 + SWELL**2 / length) * float(spread @ log) / length
    mean = float(log.mean())
    return float(np.exp(mean - growth * t.mean())), growth, float(np.std(log - mean - growth * spread))


def ends(states: list[tuple]) -> Ends:
    return Ends(*(np.array(column) for column in zip(*states, strict=True)))


def costs(pool: Pool, strands: list[Strand], a: Array, b: Array, size: tuple[int, int]) -> Array:
    """(N,) cost of strand b[k] as the continuation of strand a[k]; `size` (w, h) px of the picture."""
    states = [(ends([s.tails[k] for s in strands]), ends([s.heads[k] for s in strands])) for k in range(len(WINDOWS_S))]
    tails, heads = states[0]
    ways = ((WALKING, 0.0), (LEAPING, LEAP_WORTH))
    cost = np.min([_motion(*state, a, b, way) + extra for state in states for way, extra in ways], axis=0)
    cost += _growth(tails, heads, a, b) + _pose(pool, tails, heads, a, b)
    cost += _slid(pool, strands, a, b) * np.maximum(SLID - cost, 0)
    cost += _turned(tails.facing[a], heads.facing[b], pool.time[heads.row[b]] - pool.time[tails.row[a]])
    cost += _proportions(strands, a, b) + _appearance(strands, a, b) + _height(pool, strands, a, b)
    cost += LEFT_WORTH * np.sqrt(_outside(tails, heads.time[b], a, size) * _outside(heads, tails.time[a], b, size))
    return cost - INSIDE_WORTH * (_inside(tails, size)[a] + _inside(heads, size)[b])


def _motion(tails: Ends, heads: Ends, a: Array, b: Array, way: Going) -> Array:
    dt = np.abs(heads.time[b] - tails.time[a])
    size = (tails.size[a] + heads.size[b]) / 2
    drift = (tails.velocity[a] + heads.velocity[b]) / 2 * (heads.time[b] - tails.time[a])[:, None]
    miss = ((heads.centre[b] - tails.centre[a] - drift) ** 2).sum(1)
    unsure = (tails.doubt[a] + heads.doubt[b]) / 2 * dt
    spread = (size * (way.place + way.place_rate * dt)) ** 2 + unsure**2
    place = miss / spread + np.log(spread / (PLACE * size) ** 2)
    change = (way.turn + way.turn_rate * dt)[:, None] + (way.fall * dt)[:, None] * [0.0, 1.0]
    change = (size[:, None] * change) ** 2 + (tails.doubt[a] ** 2 + heads.doubt[b] ** 2)[:, None]
    turn = (heads.velocity[b] - tails.velocity[a]) ** 2 / change + 0.5 * np.log(change / (TURN * size[:, None]) ** 2)
    return place + turn.sum(1) + WAIT * dt


def _growth(tails: Ends, heads: Ends, a: Array, b: Array) -> Array:
    """(N,) cost of the change of size."""
    dt = heads.time[b] - tails.time[a]
    spread = (GROW + GROW_RATE * np.abs(dt)) ** 2 + FLEXING**2 * (tails.flexing[a] ** 2 + heads.flexing[b] ** 2)
    miss = np.log(heads.size[b] / tails.size[a]) - (tails.growth[a] + heads.growth[b]) / 2 * dt
    return np.minimum(miss**2 / spread, GROWTH_WORTH)


def _pose(pool: Pool, tails: Ends, heads: Ends, a: Array, b: Array) -> Array:
    """The pose at the end, moved on, against the pose at the beginning; fades to nothing at POSE_GAP_S."""
    cost = np.full(len(a), 0.5 * POSE_WORTH)
    gap = pool.time[heads.row[b]] - pool.time[tails.row[a]]
    short = np.nonzero(gap < POSE_GAP_S)[0]
    if len(short):
        i, j, gap = tails.row[a[short]], heads.row[b[short]], gap[short]
        shift = (tails.velocity[a[short]] + heads.velocity[b[short]]) / 2 * gap[:, None]
        alike = oks_of_pairs(pool.keypoints[i] + shift[:, None], pool.weights[i], pool.keypoints[j], pool.weights[j],
                             pool.size[i], pool.sigmas, DRIFT * gap)  # fmt: skip
        fade = gap / POSE_GAP_S
        cost[short] = POSE_WORTH * ((1 - alike) * (1 - fade) + 0.5 * fade)
    return cost


def _turned(before: Array, after: Array, gap: Array) -> Array:
    """(N,) cost of having turned from one facing to the other in that time (s)."""
    spread = FACING + FACING_RATE * gap
    turned = np.nan_to_num((after - before) ** 2).sum(1) / spread**2
    return np.minimum(turned, FACING_WORTH) + np.log(spread / FACING)


def _proportions(strands: list[Strand], a: Array, b: Array) -> Array:
    if strands[0].limbs is None:
        return np.zeros(len(a))
    typical = np.stack([s.limbs for s in strands])
    return ((typical[a] - typical[b]) ** 2).mean(1) / PROPORTION_SPREAD**2


def _height(pool: Pool, strands: list[Strand], a: Array, b: Array) -> Array:
    """(N,) by the difference of the statures on either side: below 0 where they are alike, 0 unknown."""
    if pool.ground is None:
        return np.zeros(len(a))
    before, after = np.stack([s.before for s in strands]), np.stack([s.after for s in strands])
    far = np.nan_to_num(apart(pool.ground, before[a], after[b]), nan=1.0)
    return np.minimum(far, HEIGHT_WORTH) - 1.0


def _appearance(strands: list[Strand], a: Array, b: Array) -> Array:
    """By the distance of the typical looks, where two people are 1 apart: below 0 where they are alike, 0 unknown."""
    if strands[0].look is None:
        return np.zeros(len(a))
    far = np.nan_to_num(_looks_apart(strands, a, b), nan=UNKNOWN_LOOK)
    return APPEARANCE_WORTH * (np.minimum(far, 1.5) ** 2 - UNKNOWN_LOOK**2)


def _slid(pool: Pool, strands: list[Strand], a: Array, b: Array) -> Array:
    """(N,) 1 where the detector followed on, but what it followed looks like another person; 0 where nothing says so.

    A chain that slides from one person onto another is as smooth as any: its smoothness is no evidence.
    """
    if pool.look is None:
        return np.zeros(len(a))
    last, first = np.array([s.piece.rows[-1] for s in strands]), np.array([s.piece.rows[0] for s in strands])
    followed = (pool.following[last[a]] == pool.following[first[b]]) & (pool.following[last[a]] >= 0)
    far = np.nan_to_num(_looks_apart(strands, a, b), nan=0.0)
    return followed * np.clip(far / UNKNOWN_LOOK - 1, 0, 1)


def known(strands: list[Strand], a: Array, b: Array) -> Array:
    """(N,) bool: both looks are known and more alike than those of two people."""
    return _looks_apart(strands, a, b) < UNKNOWN_LOOK


def _looks_apart(strands: list[Strand], a: Array, b: Array) -> Array:
    """(N,) distances, NaN where nobody saw one of the looks."""
    look = np.stack([s.look for s in strands])
    return np.linalg.norm(look[a] - look[b], axis=-1)


def _outside(ends: Ends, time: Array, rows: Array, size: tuple[int, int]) -> Array:
    """(N,) how surely whoever moves on as at the ends `rows` is out of the picture at `time` (N,): 0 to 1 body size."""
    place = ends.centre[rows] + ends.velocity[rows] * (time - ends.time[rows])[:, None]
    beyond = np.maximum(-place, place - (np.array(size) - 1.0)).max(1) / ends.size[rows]
    return np.clip(beyond, 0, 1)


def _inside(ends: Ends, size: tuple[int, int]) -> Array:
    """(M,) 0 at the border of the picture to 1 two body sizes inside."""
    away = np.minimum(ends.centre, np.array(size) - 1.0 - ends.centre).min(1) / ends.size
    return np.clip(away - 1.0, 0, 1)
