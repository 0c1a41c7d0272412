"""The lag of two still cameras' clocks from the geometry of what they see, finer than a frame.

If two cameras see the same moment, a joint of one lies on its epipolar line in the other. Where the cameras are not
known, the fundamental matrix is fitted anew at every lag (eight points, normalised, reweighted; Hartley 1997; that
unsynchronised views tell their lag by it: Albl et al., CVPR 2017). A detector puts its joints to one side for a while,
and a calibration has its errors: of each joint's signed distances only what changes within a fraction of a second
counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multiview.clock import keypoints_at
from pipeline.projection import rays
from pipeline.results import Array, Camera, Track2D
from pipeline.skeletons import skeleton

REACH_S, STEP_S = 0.16, 1 / 75  # around the lag that the motion told
SLOW_S = 0.4  # what changes more slowly than this is not the lag's doing
LENGTH_S, WINDOWS = 4.0, 12
LEAST_POINTS, MOST_POINTS = 150, 800  # of a window; a fundamental matrix is fitted to no more
SURE = 1.3  # depth from which a lag is believed
_NEAR_S = 0.045  # around the minimum, where the misfit is a parabola
_ROUNDS = 5
_SCALE = 3.0  # of the median distance at the best lag: beyond it a joint counts less and less
_FLOOR = 0.5  # of the median distance at wrong lags: the misfit of exact points is a parabola, too
_BODY = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "toe", "big_toe", "ear", "nose")


@dataclass(frozen=True)
class Window:
    """What a stretch of time tells."""

    middle: float  # s on the first view's own clock
    lag: float  # s: the second's own clock reads that much more then
    depth: float  # the misfit at wrong lags, in those at the best


Pair = tuple[Track2D, Track2D]


def refine(
    pairs: Sequence[Pair], times: tuple[Array, Array], cameras: tuple[Camera, Camera] | None, lag: float
) -> tuple[list[Window], list[Window]]:
    """Windows of the common time with the lag at which the misfit is least; those that tell nothing are left out.

    Args:
        pairs: the same person in the first and in the second view.
        times: (T1,), (T2,) s, each view's own.
        cameras: still ones, with poses; None: not known.
        lag: s, from elsewhere, right to REACH_S.

    Returns:
        What a fitted geometry tells, and what the cameras tell.
    """
    if np.median(np.diff(times[0])) < np.median(np.diff(times[1])) * 0.999:  # interpolate the finer one
        turned = [(b, a) for a, b in pairs]
        found = refine(turned, times[::-1], None if cameras is None else cameras[::-1], -lag)
        fitted, given = ([Window(w.middle - w.lag, -w.lag, w.depth) for w in windows] for windows in found)
        return fitted, given
    pairs = [pair for pair in pairs if len(pair[0]) and len(pair[1])]
    if not pairs:
        return [], []
    scan = _Scan(pairs, times, cameras)
    begin = max(times[0][0], times[1][0] - lag) + REACH_S
    end = min(times[0][-1], times[1][-1] - lag) - REACH_S
    count = int(np.clip((end - begin) // LENGTH_S, 1, WINDOWS))
    length = end - begin if count == 1 else LENGTH_S
    starts = begin + (end - begin - length) * np.linspace(0, 1, count)
    middle, near = count // 2, lag
    found: dict[int, tuple[Window | None, Window | None]] = {}
    for number in (*range(middle, count), *range(middle)[::-1]):  # a drift is followed from the middle outwards
        if number == middle - 1:
            near = _surest(found[middle], lag)
        found[number] = scan.window(starts[number], starts[number] + length, near)
        near = _surest(found[number], near)
    fitted, given = ([w for k in range(count) if (w := found[k][which]) is not None] for which in (0, 1))
    return fitted, given


def _surest(windows: Sequence[Window | None], lag: float) -> float:
    """The lag of the deeper window where one is believed, else the one before."""
    best = max((w for w in windows if w is not None), key=lambda w: w.depth, default=None)
    return lag if best is None or best.depth <= SURE else best.lag


class _Scan:
    """Two views' tracks, ready to be laid over each other at any lag."""

    def __init__(
        self, pairs: Sequence[Pair], times: tuple[Array, Array], cameras: tuple[Camera, Camera] | None
    ) -> None:
        self.times, self.essential = times, None if cameras is None else essential(*cameras)
        columns = [_shared(a.skeleton, b.skeleton) for a, b in pairs]
        self.sides = [
            [_body(pair[side], chosen[side], camera) for pair, chosen in zip(pairs, columns, strict=True)]
            for side, camera in enumerate(cameras or (None, None))
        ]

    def window(self, begin: float, end: float, lag: float) -> tuple[Window | None, Window | None]:
        """What the times from `begin` to `end` of the first view tell, looking REACH_S about that lag; see `refine`."""
        own = self.times[0]
        at = own[(own >= begin) & (own <= end)]
        if len(at) < 8:
            return None, None
        lags = lag + np.arange(-round(REACH_S / STEP_S), round(REACH_S / STEP_S) + 1) * STEP_S
        reach = 2 * REACH_S
        near = [_within(track, self.times[1], begin + lag - reach, end + lag + reach) for track in self.sides[1]]
        x, wx = _sampled(self.sides[0], own, at)
        y, wy = _sampled(near, self.times[1], at + lags[:, None])
        weights = np.sqrt(wx * wy)
        used = (weights > 0).all(axis=0)  # the same joints at every lag
        if np.count_nonzero(used) < LEAST_POINTS:
            return None, None
        x, y, weights = _pad(x[used]), _pad(y[:, used]), weights[:, used]
        told = [_fitted(x, y, weights)] + ([] if self.essential is None else [sampson(self.essential, x, y)[0]])
        found = [_least(distances, weights, used, lags, at) for distances in told]
        return found[0], found[1] if len(found) > 1 else None


def _fitted(x: Array, y: Array, weights: Array) -> Array:
    """(N,3), at L lags (L,N,3), weights (L,N) -> signed distances (L,N) from fitted epipolar lines, in spreads of x."""
    x, y = _normalised(x), _normalised(y)
    some = slice(None, None, -(-len(x) // MOST_POINTS))
    return sampson(fundamental(x[some], y[:, some], weights[:, some]), x, y)[0]


def _normalised(points: Array) -> Array:
    """(...,3), homogeneous, about 0 with spread 1."""
    flat = points[..., :2]
    return _pad((flat - flat.reshape(-1, 2).mean(axis=0)) / max(float(flat.std()), 1e-9))


def _pad(points: Array) -> Array:
    """(...,2) -> (...,3), homogeneous."""
    return np.concatenate([points, np.ones((*points.shape[:-1], 1))], axis=-1)


def _sampled(tracks: Sequence[Track2D], own: Array, at: Array) -> tuple[Array, Array]:
    """All people's joints (...,P,2) and scores (...,P) at the times `at` (...), 0 where not known."""
    found = [keypoints_at(track, own, at.ravel()) for track in tracks]
    points, scores = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
    return np.nan_to_num(points).reshape(*at.shape, -1, 2), scores.reshape(*at.shape, -1)


def _within(track: Track2D, own: Array, begin: float, end: float) -> Track2D:
    """The part of a track between two times."""
    times = own[track.frames]
    rows = slice(*np.searchsorted(times, [begin, end]))
    return replace(
        track, frames=track.frames[rows], keypoints=track.keypoints[rows], scores=track.scores[rows],
        observed=track.observed[rows], boxes=track.boxes[rows],
    )  # fmt: skip


def _least(distances: Array, weights: Array, used: Array, lags: Array, at: Array) -> Window | None:
    """The lag with the least misfit of signed distances and weights (L,N) of the `used` (T,P); None where none is."""
    rest = _without_slow(distances, weights, used, at)
    usual = np.median(np.abs(rest), axis=1)
    scale = max(_SCALE * usual.min(), _FLOOR * float(np.median(usual))) + 1e-12
    misfit = (np.log1p((rest / scale) ** 2) * weights).sum(axis=1) / weights.sum(axis=1)
    best = int(np.argmin(misfit))
    if best in (0, len(lags) - 1):
        return None
    near = np.abs(lags - lags[best]) <= _NEAR_S
    curve = np.polyfit(lags[near] - lags[best], misfit[near], 2)
    if curve[0] <= 0:
        return None
    shift = float(np.clip(-curve[1] / (2 * curve[0]), -_NEAR_S, _NEAR_S))
    return Window(float(at.mean()), float(lags[best] + shift), float(np.quantile(misfit, 0.8) / misfit[best]))


def _without_slow(distances: Array, weights: Array, used: Array, at: Array) -> Array:
    """Distances (L,N) less their weighted mean over about SLOW_S; jumps do not spread."""
    kernel = np.exp(-0.5 * ((at[:, None] - at[None]) / SLOW_S) ** 2)
    far = 5 * np.median(np.abs(distances))
    summed, total = np.zeros((2, len(distances), *used.shape))
    summed[:, used], total[:, used] = np.clip(distances, -far, far) * weights, weights
    return distances - (kernel @ summed)[:, used] / np.maximum((kernel @ total)[:, used], 1e-9)


def essential(first: Camera, second: Camera) -> Array:
    """(3,3): y E x = 0 for directions x of the first and y of the second camera, both still."""
    pose = second.world_to_camera @ first.camera_to_world
    x, y, z = pose[:3, 3]
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ pose[:3, :3]


def sampson(matrix: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """(...,3,3), (...,N,3), (...,N,3) -> signed first-order distances (...,N), what they were divided by.

    Hartley and Zisserman 11.4.3.
    """
    to_second, to_first = x @ np.swapaxes(matrix, -1, -2), y @ matrix
    lines = (to_second[..., 0], to_second[..., 1], to_first[..., 0], to_first[..., 1])
    size = np.sqrt(sum(side * side for side in lines) + 1e-12)
    return np.einsum("...k,...k->...", y, to_second) / size, size


def fundamental(x: Array, y: Array, weights: Array) -> Array:
    """(...,3,3) of rank 2 with y F x near 0, robustly; coordinates (...,N,3) of order 1, weights (...,N) over 0."""
    rows = (y[..., :, None] * x[..., None, :]).reshape(*weights.shape, 9)
    now = weights
    for _ in range(_ROUNDS):
        normal = np.swapaxes(rows, -1, -2) @ (rows * now[..., None] ** 2)
        u, s, v = np.linalg.svd(np.linalg.eigh(normal)[1][..., 0].reshape(*normal.shape[:-2], 3, 3))
        matrix = (u[..., :2] * s[..., None, :2]) @ v[..., :2, :]
        distance, size = sampson(matrix, x, y)
        far = 3.0 * np.median(np.abs(distance), axis=-1, keepdims=True) + 1e-12
        now = weights / (1 + (distance / far) ** 2) / size
    return matrix


def _body(track: Track2D, columns: list[int], camera: Camera | None) -> Track2D:
    """The keypoints of these columns alone, as directions where the camera is known."""
    points = np.asarray(track.keypoints[:, columns], np.float64)
    points = points if camera is None else rays(camera, points)
    return replace(track, keypoints=points, scores=track.scores[:, columns], presence=None, world=None, appearance=None)


def _shared(one: str, other: str) -> tuple[list[int], list[int]]:
    """The joints of the body that both skeletons have."""
    names = [
        name for name in skeleton(one).joints
        if name.removeprefix("left_").removeprefix("right_") in _BODY and name in skeleton(other).joints
    ]  # fmt: skip
    return skeleton(one).index(*names), skeleton(other).index(*names)
