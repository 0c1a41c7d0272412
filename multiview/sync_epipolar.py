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

from multiview.clock import on_clock
from pipeline.projection import rays
from pipeline.results import Array, Camera, Track2D
from pipeline.skeletons import skeleton

REACH_S, STEP_S = 0.16, 0.01  # around the lag that the motion told
SLOW_S = 0.4  # what changes more slowly than this is not the lag's doing
LENGTH_S, WINDOWS = 4.0, 12
LEAST_POINTS = 150
SURE = 1.3  # depth from which a lag is believed
_NEAR_S = 0.055  # around the minimum, where the misfit is a parabola
_ROUNDS = 8
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
Points = tuple[Array, Array]  # (T,J,2) and their scores (T,J)


def refine(
    pairs: Sequence[Pair], times: tuple[Array, Array], cameras: tuple[Camera, Camera] | None, lag: float
) -> list[Window]:
    """Windows of the common time with the lag at which the misfit is least; those that tell nothing are left out.

    Args:
        pairs: the same person in the first and in the second view.
        times: (T1,), (T2,) s, each view's own.
        cameras: still ones, with poses; None: not known.
        lag: s, from elsewhere, right to REACH_S.
    """
    if np.median(np.diff(times[0])) < np.median(np.diff(times[1])) * 0.999:  # interpolate the finer one
        turned = [(b, a) for a, b in pairs]
        found = refine(turned, times[::-1], None if cameras is None else cameras[::-1], -lag)
        return [Window(w.middle - w.lag, -w.lag, w.depth) for w in found]
    pairs = [pair for pair in pairs if len(pair[0]) and len(pair[1])]
    if not pairs:
        return []
    scan = _Scan(pairs, times, cameras)
    begin = max(times[0][0], times[1][0] - lag) + REACH_S
    end = min(times[0][-1], times[1][-1] - lag) - REACH_S
    count = int(np.clip((end - begin) // LENGTH_S, 1, WINDOWS))
    length = end - begin if count == 1 else LENGTH_S
    starts = begin + (end - begin - length) * np.linspace(0, 1, count)
    found: list[Window] = []
    for side in (starts[count // 2 :], starts[: count // 2][::-1]):  # a drift is followed from the middle outwards
        near = found[0].lag if found else lag
        for start in side:
            window = scan.window(start, start + length, near)
            if window is not None:
                found.append(window)
                near = window.lag if window.depth > SURE else near
    return sorted(found, key=lambda window: window.middle)


class _Scan:
    """Two views' tracks, ready to be laid over each other at any lag."""

    def __init__(
        self, pairs: Sequence[Pair], times: tuple[Array, Array], cameras: tuple[Camera, Camera] | None
    ) -> None:
        self.times, self.essential = times, None if cameras is None else essential(*cameras)
        columns = [_shared(a.skeleton, b.skeleton) for a, b in pairs]
        self.sides = []
        for side in (0, 1):
            camera = None if cameras is None else cameras[side]
            tracks = [_body(pair[side], chosen[side], camera) for pair, chosen in zip(pairs, columns, strict=True)]
            self.sides.append(tracks if cameras is not None else _normalised(tracks))

    def window(self, begin: float, end: float, lag: float) -> Window | None:
        """What the times from `begin` to `end` of the first view tell, looking REACH_S about that lag."""
        own = self.times[0]
        at = own[(own >= begin) & (own <= end)]
        if len(at) < 8:
            return None
        first = [_sampled(track, own, at) for track in self.sides[0]]
        reach = 2 * REACH_S
        second = [_within(track, self.times[1], begin + lag - reach, end + lag + reach) for track in self.sides[1]]
        lags = lag + np.arange(-round(REACH_S / STEP_S), round(REACH_S / STEP_S) + 1) * STEP_S
        shifted = ([_sampled(track, self.times[1] - one, at) for track in second] for one in lags)
        distances, weights = zip(*(self._distances(first, other) for other in shifted), strict=True)
        return _least(np.stack(distances), np.stack(weights), lags, at)

    def _distances(self, first: Sequence[Points], second: Sequence[Points]) -> tuple[Array, Array]:
        """Signed distances (T,P*J) from the epipolar lines, and weights."""
        x, y = (np.concatenate([points for points, _ in side], axis=1) for side in (first, second))
        wx, wy = (np.concatenate([scores for _, scores in side], axis=1) for side in (first, second))
        weight = np.sqrt(wx * wy)
        x, y = (np.pad(p, ((0, 0), (0, 0), (0, 1)), constant_values=1.0).reshape(-1, 3) for p in (x, y))
        matrix = fundamental(x, y, weight.ravel()) if self.essential is None else self.essential
        return sampson(matrix, x, y)[0].reshape(weight.shape), weight


def _sampled(track: Track2D, own: Array, at: Array) -> Points:
    """(T,J,2) and (T,J) at the times `at`, 0 where not known."""
    moved = on_clock(track, own, at, 0.0)
    points, scores = np.zeros((len(at), *track.keypoints.shape[1:])), np.zeros((len(at), track.scores.shape[1]))
    points[moved.frames], scores[moved.frames] = moved.keypoints, moved.scores
    return np.nan_to_num(points), scores


def _within(track: Track2D, own: Array, begin: float, end: float) -> Track2D:
    """The part of a track between two times."""
    times = own[track.frames]
    rows = slice(*np.searchsorted(times, [begin, end]))
    return replace(
        track, frames=track.frames[rows], keypoints=track.keypoints[rows], scores=track.scores[rows],
        observed=track.observed[rows], boxes=track.boxes[rows],
    )  # fmt: skip


def _least(distances: Array, weights: Array, lags: Array, at: Array) -> Window | None:
    """The lag with the least misfit of (L,T,J) signed distances; None where none is clearly less."""
    weights = np.where((weights > 0).all(axis=0), weights, 0.0)  # the same joints at every lag
    if np.count_nonzero(weights[0]) < LEAST_POINTS:
        return None
    rest = _without_slow(distances, weights, at)
    used = weights[0] > 0
    usual = [float(np.median(np.abs(one[used]))) for one in rest]
    scale = max(_SCALE * min(usual), _FLOOR * float(np.median(usual))) + 1e-12
    misfit = (np.log1p((rest / scale) ** 2) * weights).sum(axis=(1, 2)) / weights.sum(axis=(1, 2))
    best = int(np.argmin(misfit))
    if best in (0, len(lags) - 1):
        return None
    near = np.abs(lags - lags[best]) <= _NEAR_S
    curve = np.polyfit(lags[near] - lags[best], misfit[near], 2)
    if curve[0] <= 0:
        return None
    shift = float(np.clip(-curve[1] / (2 * curve[0]), -_NEAR_S, _NEAR_S))
    return Window(float(at.mean()), float(lags[best] + shift), float(np.quantile(misfit, 0.8) / misfit[best]))


def _without_slow(distances: Array, weights: Array, at: Array) -> Array:
    """Less their weighted mean over about SLOW_S; jumps do not spread."""
    kernel = np.exp(-0.5 * ((at[:, None] - at[None]) / SLOW_S) ** 2)
    used = weights[0] > 0
    far = 5 * np.median(np.abs(distances[:, used]))
    clipped = np.clip(distances, -far, far)
    total = np.maximum(kernel @ weights[0], 1e-9)
    return distances - np.einsum("st,ltj->lsj", kernel, clipped * weights) / total


def essential(first: Camera, second: Camera) -> Array:
    """(3,3): y E x = 0 for directions x of the first and y of the second camera, both still."""
    pose = second.world_to_camera @ first.camera_to_world
    x, y, z = pose[:3, 3]
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ pose[:3, :3]


def sampson(matrix: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """(N,3), (N,3) -> signed first-order distances (N,), what they were divided by (Hartley and Zisserman 11.4.3)."""
    to_second, to_first = x @ matrix.T, y @ matrix
    size = np.sqrt((to_second[:, :2] ** 2).sum(-1) + (to_first[:, :2] ** 2).sum(-1) + 1e-12)
    return (y * to_second).sum(-1) / size, size


def fundamental(x: Array, y: Array, weights: Array) -> Array:
    """(3,3) of rank 2 with y F x near 0, robustly; coordinates (N,3) of order 1, weights (N,)."""
    rows = (y[:, :, None] * x[:, None, :]).reshape(-1, 9)
    used = weights > 0
    rows, x, y, weights = rows[used], x[used], y[used], weights[used]
    now, matrix = weights, np.zeros((3, 3))
    for _ in range(_ROUNDS if len(rows) else 0):
        u, s, v = np.linalg.svd(np.linalg.eigh((rows * now[:, None] ** 2).T @ rows)[1][:, 0].reshape(3, 3))
        matrix = (u[:, :2] * s[:2]) @ v[:2]
        distance, size = sampson(matrix, x, y)
        far = 3.0 * np.median(np.abs(distance)) + 1e-12
        now = weights / (1 + (distance / far) ** 2) / size
    return matrix


def _body(track: Track2D, columns: list[int], camera: Camera | None) -> Track2D:
    """The keypoints of these columns alone, as directions where the camera is known."""
    points = np.asarray(track.keypoints[:, columns], np.float64)
    points = points if camera is None else rays(camera, points)
    return replace(track, keypoints=points, scores=track.scores[:, columns], presence=None, world=None, appearance=None)


def _normalised(tracks: list[Track2D]) -> list[Track2D]:
    """All of a view's points about 0 with spread 1."""
    points = np.concatenate([track.keypoints.reshape(-1, 2) for track in tracks])
    middle, spread = np.nanmean(points, axis=0), max(float(np.nanstd(points)), 1e-9)
    return [replace(track, keypoints=(track.keypoints - middle) / spread) for track in tracks]


def _shared(one: str, other: str) -> tuple[list[int], list[int]]:
    """The joints of the body that both skeletons have."""
    names = [
        name for name in skeleton(one).joints
        if name.removeprefix("left_").removeprefix("right_") in _BODY and name in skeleton(other).joints
    ]  # fmt: skip
    return skeleton(one).index(*names), skeleton(other).index(*names)
