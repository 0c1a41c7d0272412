"""Tracks and motions of one view, carried over to the scene's clock.

A view's own time t stands for the scene's time `offset + rate * t`. Between two frames a joint goes along the cubic
through the two that takes its slopes there from parabolas through three frames (Catmull and Rom 1974, uneven times), or
along the line where a further frame lacks. Up to half a frame before the first and after the last it goes on along the
line through the outermost two, so that clocks that differ by a part of a frame share all their frames. Nothing is made
up beyond, or where two frames that hold the joint lie farther apart than `max_gap_s`; at a time that is a frame's own,
its numbers are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.results import Array, Motion3D, Track2D

MAX_GAP_S = 0.25
BEYOND = 0.5  # frames that a track goes on before its first and after its last one
FROZEN_S, FROZEN_PX = 0.25, 0.02  # keypoints that stay so still for so long come from a picture that does
_SAME = 1e-7  # s; the times of containers are coarser


def on_clock(
    track: Track2D, own_times: Array, scene_times: Array, offset: float, rate: float = 1.0, max_gap_s: float = MAX_GAP_S
) -> Track2D:
    """The track at those of the scene's times that lie within half a frame of its life; `frames` count these times.

    Args:
        own_times: (T_clip,) s of all frames of the view's clip.
        scene_times: (T_scene,) s, rising.
        offset, rate: scene time = offset + rate * own time.
        max_gap_s: the longest time between two frames that is filled.

    Returns:
        A track that may be empty (T = 0). Keypoints are NaN with score 0 where they are not known; appearance, which is
        no motion, is the nearest frame's.
    """
    frames, at = _places(track.frames, own_times, scene_times, offset, rate)
    seen = np.isfinite(track.keypoints).all(-1) & (track.scores > 0)
    between = _bracket(seen, at, max_gap_s)
    keypoints, scores = _cubic(track.keypoints, at, between), _linear(track.scores, at, between, 0.0)
    boxed = _bracket(np.isfinite(track.boxes).all(-1)[:, None], at, max_gap_s)
    boxes = _linear(track.boxes[:, None], at, boxed, np.nan)[:, 0]
    observed = track.observed[at.before] & track.observed[at.after]
    return replace(
        track, frames=frames, keypoints=keypoints, scores=scores, observed=observed, boxes=boxes,
        presence=None if track.presence is None else _linear(track.presence, at, between, 0.0),
        world=None if track.world is None else _linear(track.world, at, between, np.nan),
        appearance=None if track.appearance is None else track.appearance[at.nearest],
    )  # fmt: skip


def keypoints_at(track: Track2D, own_times: Array, at: Array, max_gap_s: float = MAX_GAP_S) -> tuple[Array, Array]:
    """Keypoints (N,J,2) and scores (N,J) at times `at` (N,) of the view's own clock, in any order; as `on_clock`."""
    frames, places = _places(track.frames, own_times, at, 0.0, 1.0)
    seen = np.isfinite(track.keypoints).all(-1) & (track.scores > 0)
    between = _bracket(seen, places, max_gap_s)
    keypoints = np.full((len(at), *track.keypoints.shape[1:]), np.nan, track.keypoints.dtype)
    scores = np.zeros((len(at), track.scores.shape[1]), track.scores.dtype)
    keypoints[frames] = _cubic(track.keypoints, places, between)
    scores[frames] = _linear(track.scores, places, between, 0.0)
    return keypoints, scores


def thawed(track: Track2D, times: Array) -> Track2D:
    """A track without the sightings of a picture that froze: nobody stands still to a fiftieth of a pixel.

    Args:
        times: (T_clip,) s of all frames of the view's clip.
    """
    if len(track) < 2:
        return track
    with np.errstate(invalid="ignore"):
        moved = np.linalg.norm(np.diff(track.keypoints.astype(float), axis=0), axis=-1)
    known = np.isfinite(moved)
    mean = np.where(known, moved, 0).sum(1) / np.maximum(known.sum(1), 1)
    still = np.concatenate([[False], known.any(1) & (mean < FROZEN_PX), [False]])
    edges = np.flatnonzero(still[1:] != still[:-1])
    frozen, own = np.zeros(len(track), bool), times[track.frames]
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        if own[end] - own[begin] >= FROZEN_S:
            frozen[begin + 1 : end + 1] = True
    if not frozen.any():
        return track
    return replace(
        track, keypoints=np.where(frozen[:, None, None], np.float32(np.nan), track.keypoints),
        scores=np.where(frozen[:, None], np.float32(0), track.scores), observed=track.observed & ~frozen,
    )  # fmt: skip


def motion_on_clock(
    motion: Motion3D, own_times: Array, scene_times: Array, offset: float, rate: float = 1.0,
    max_gap_s: float = MAX_GAP_S,
) -> Motion3D:  # fmt: skip
    """The motion at the scene's times, see `on_clock`; joints that are not known are NaN with score 0."""
    frames, at = _places(motion.frames, own_times, scene_times, offset, rate)
    seen = np.isfinite(motion.joints).all(-1)
    between = _bracket(seen, at, max_gap_s)
    rooted = _bracket(np.isfinite(motion.root).all(-1)[:, None], at, max_gap_s)
    contacts = motion.contacts
    told = between if contacts is None else _bracket(np.isfinite(contacts), at, max_gap_s)
    return replace(
        motion, frames=frames, joints=_cubic(motion.joints, at, between),
        scores=_linear(motion.scores, at, between, 0.0), root=_cubic(motion.root[:, None], at, rooted)[:, 0],
        observed=motion.observed[at.before] & motion.observed[at.after],
        contacts=None if contacts is None else _linear(contacts, at, told, np.nan),
    )  # fmt: skip


@dataclass(frozen=True)
class _Places:
    """Where N wanted times lie among the T frames of a track."""

    own: Array  # (T,) s
    wanted: Array  # (N,) s, on the view's own clock
    before: Array  # (N,) the frame at or before
    after: Array  # (N,) the frame at or after; before the first and after the last frame the outermost two

    @property
    def nearest(self) -> Array:
        """(N,) the nearer of the two frames."""
        late = self.own[self.after] - self.wanted < self.wanted - self.own[self.before]
        return np.where(late, self.after, self.before)


@dataclass(frozen=True)
class _Bracket:
    """Of N times and J joints the frames that hold the joint, all (N,J)."""

    before: Array
    after: Array
    earlier: Array  # the frame of the joint before `before`, or `before` itself
    later: Array
    known: Array  # bool


def _places(frames: Array, own_times: Array, scene_times: Array, offset: float, rate: float) -> tuple[Array, _Places]:
    """The scene's frames (N,) int32 within half a frame of a track's life, and where they lie in it."""
    clip = np.asarray(own_times, np.float64)
    own = clip[frames]
    wanted = (np.asarray(scene_times, np.float64) - offset) / rate
    inside = np.zeros(len(wanted), bool)
    if len(own):
        beyond = max(_SAME, BEYOND * float(np.median(np.diff(clip)))) if len(clip) > 1 else _SAME
        inside = (wanted >= own[0] - beyond) & (wanted <= own[-1] + beyond)
    wanted = wanted[inside]
    after = np.minimum(np.searchsorted(own, wanted - _SAME), len(own) - 1)
    exact = np.abs(own[after] - wanted) <= _SAME
    after = np.where(exact, after, np.maximum(after, min(1, len(own) - 1)))  # before the first: on its line
    before = np.where(exact, after, np.maximum(after - 1, 0))
    wanted = np.where(exact, own[after], wanted)
    return np.flatnonzero(inside).astype(np.int32), _Places(own, wanted, before, after)


def _bracket(seen: Array, at: _Places, max_gap_s: float) -> _Bracket:
    """`seen` (T,J): the frames that hold each joint around each time."""
    count = len(seen)
    if not len(at.wanted):
        empty = np.zeros((0, seen.shape[1]), int)
        return _Bracket(empty, empty, empty, empty, empty.astype(bool))
    rows = np.arange(count)[:, None]
    last = np.maximum.accumulate(np.where(seen, rows, -1), axis=0)
    following = np.minimum.accumulate(np.where(seen, rows, count)[::-1], axis=0)[::-1]
    joints = np.arange(seen.shape[1])
    exact = (at.before == at.after)[:, None]
    before = last[at.before]
    after = np.where(exact, before, following[at.after])
    known = (before >= 0) & (after < count)
    known &= ~exact | seen[at.before]
    b, a = np.clip(before, 0, count - 1), np.clip(after, 0, count - 1)
    known &= at.own[a] - at.own[b] <= max_gap_s
    earlier = np.where(b > 0, last[np.maximum(b - 1, 0), joints], -1)
    later = np.where(a < count - 1, following[np.minimum(a + 1, count - 1), joints], count)
    far_back = at.own[b] - at.own[np.clip(earlier, 0, None)] > max_gap_s
    far_on = at.own[np.clip(later, None, count - 1)] - at.own[a] > max_gap_s
    return _Bracket(
        b, a, np.where((earlier < 0) | far_back, b, earlier), np.where((later >= count) | far_on, a, later), known
    )


def _linear(values: Array, at: _Places, between: _Bracket, missing: float) -> Array:
    """(T,J) or (T,J,C) -> (N,J) or (N,J,C)."""
    joints = np.arange(between.known.shape[1])
    left, right = values[between.before, joints], values[between.after, joints]
    part, known = np.clip(_part(at, between), 0, 1), between.known
    if values.ndim == 3:
        part, known = part[..., None], known[..., None]
    mixed = np.where(part == 0, left, (1 - part) * left.astype(np.float64) + part * right.astype(np.float64))
    return np.where(known, mixed, missing).astype(values.dtype)


def _cubic(values: Array, at: _Places, between: _Bracket) -> Array:
    """(T,J,C) -> (N,J,C), NaN where not known."""
    joints = np.arange(between.known.shape[1])
    p0, p1, p2, p3 = (
        values[rows, joints].astype(np.float64)
        for rows in (between.earlier, between.before, between.after, between.later)
    )
    t0, t1, t2, t3 = (
        at.own[rows][..., None] for rows in (between.earlier, between.before, between.after, between.later)
    )
    step = np.where(t2 > t1, t2 - t1, 1.0)
    secant = (p2 - p1) / step
    start = _slope(secant, (p1 - p0) / np.where(t1 > t0, t1 - t0, 1.0), step, t1 - t0)
    end = _slope(secant, (p3 - p2) / np.where(t3 > t2, t3 - t2, 1.0), step, t3 - t2)
    u = _part(at, between)[..., None]
    bend = np.maximum(u * (1 - u), 0) * step * ((1 - u) * (start - secant) - u * (end - secant))
    mixed = np.where(u == 0, p1, (1 - u) * p1 + u * p2 + bend)
    return np.where(between.known[..., None], mixed, np.nan).astype(values.dtype)


def _slope(secant: Array, other: Array, step: Array, further: Array) -> Array:
    """The slope of the parabola through three frames at the middle one; the secant where there are only two."""
    return np.where(further > 0, (secant * further + other * step) / (step + further), secant)


def _part(at: _Places, between: _Bracket) -> Array:
    """(N,J) how far on the way from `before` to `after`: in [0,1], outside only beyond the ends."""
    first, last = at.own[between.before], at.own[between.after]
    return np.where(last > first, (at.wanted[:, None] - first) / np.where(last > first, last - first, 1.0), 0.0)
