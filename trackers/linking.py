"""Frame to frame: detections to tracklets, with a note of how sure each link is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.results import Array
from trackers.pool import Pool
from trackers.similarity import oks

COAST_S = 0.1  # an unseen tracklet waits that long (or one frame); longer gaps are the stitching's business
SHADOW_S = 0.7  # and remains a rival of others that long, since it may be the one who reappears
DRIFT = 1.2  # body sizes per second that a joint may move besides the body's own constant velocity
GROW, GROW_RATE = 0.12, 0.5  # change of the logarithm of a body's size, and more per second
GATE = 0.12  # similarity below which two poses are not the same person in consecutive frames
FIRST_DRIFT = 5.0  # and while the velocity is not known yet
HINT = 0.08  # what the detector's own following id is worth
HINT_LEAP = 10.0  # body sizes per second off the expected place up to which the hint alone may carry a link
HINT_ALONE = 0.3  # similarity that it stands for then
VELOCITY_S = 0.15  # time constant of the velocity estimate


@dataclass
class Tracklet:
    """Rows of a Pool that are one person. Per row: its link's margin over the best rival's, similarity, and rivals'."""

    rows: list[int]
    margin: list[float] = field(default_factory=lambda: [1.0])
    alike: list[float] = field(default_factory=lambda: [1.0])
    rival: list[float] = field(default_factory=lambda: [0.0])
    velocity: Array = field(default_factory=lambda: np.zeros(2))  # px/s

    def extend(self, pool: Pool, row: int, margin: float, alike: float, rival: float) -> None:
        last = self.rows[-1]
        dt = pool.time[row] - pool.time[last]
        blend = 1 - np.exp(-dt / VELOCITY_S) if len(self.rows) > 1 else 1.0
        self.velocity = self.velocity + blend * ((pool.centre[row] - pool.centre[last]) / dt - self.velocity)
        self.rows.append(row)
        self.margin.append(margin)
        self.alike.append(alike)
        self.rival.append(rival)


def link(pool: Pool, times: Array) -> list[Tracklet]:
    """Tracklets in the order of their first row. O(frames), with an optimal assignment in each."""
    coast = max(COAST_S, 1.5 * float(np.median(np.diff(times))) if len(times) > 1 else 0.0)
    done: list[Tracklet] = []
    running: list[Tracklet] = []
    for begin, end in zip(pool.first[:-1], pool.first[1:], strict=True):
        if begin == end:
            continue
        now = pool.time[begin]
        done += [t for t in running if now - pool.time[t.rows[-1]] > max(coast, SHADOW_S)]
        running = [t for t in running if now - pool.time[t.rows[-1]] <= max(coast, SHADOW_S)]
        taken = _extend_running(pool, running, coast, int(begin), int(end)) if running else set()
        running += [Tracklet([row]) for row in range(begin, end) if row not in taken]
    return sorted(done + running, key=lambda t: t.rows[0])


def _extend_running(pool: Pool, running: list[Tracklet], coast: float, begin: int, end: int) -> set[int]:
    alike = _affinity(pool, running, begin, end)
    last = np.array([t.rows[-1] for t in running])
    waiting = (pool.time[begin] - pool.time[last] <= coast + 1e-9)[:, None]
    same_id = (pool.following[last][:, None] == pool.following[None, begin:end]) & (pool.following[last] >= 0)[:, None]
    alike = np.maximum(alike, HINT_ALONE * (same_id & _within_leap(pool, running, begin, end)))
    likely = alike * _sharpness(pool, running, begin)[:, None]
    reward = np.where(waiting & (alike >= GATE), alike + HINT * same_id, 0.0)
    chosen = [(r, d) for r, d in zip(*linear_sum_assignment(-reward), strict=True) if reward[r, d] > 0]
    partner = dict(chosen)
    for r, d in chosen:
        margin = _margin(likely, r, d, partner)
        rivals = np.delete(alike[:, d], r)
        others = np.delete(alike[r], d)
        rival = max(rivals.max(initial=0.0), others.max(initial=0.0))
        running[r].extend(pool, begin + d, margin, float(alike[r, d]), rival)
    return {begin + d for _, d in chosen}


def _affinity(pool: Pool, running: list[Tracklet], begin: int, end: int) -> Array:
    """(R,D) OKS of each tracklet's pose, moved on by its velocity, with each detection, less where the size differs."""
    last, dt, shift = _prediction(pool, running, begin)
    rows = slice(begin, end)
    growth = np.log(pool.size[None, rows] / pool.size[last][:, None]) / (GROW + GROW_RATE * dt)[:, None]
    alike = oks(pool.keypoints[last] + shift[:, None], pool.weights[last], pool.keypoints[rows], pool.weights[rows],
                pool.size[last], pool.sigmas, _drift(pool, running, begin))  # fmt: skip
    return alike * np.exp(-(growth**2) / 2)


def _drift(pool: Pool, running: list[Tracklet], begin: int) -> Array:
    """(R,) body sizes that joints may have moved besides."""
    dt = pool.time[begin] - pool.time[[t.rows[-1] for t in running]]
    return np.where([len(t.rows) > 1 for t in running], DRIFT, FIRST_DRIFT) * dt


def _sharpness(pool: Pool, running: list[Tracklet], begin: int) -> Array:
    """(R,) how narrow the place is where each tracklet is expected, 1 for one just seen.

    Who has not been seen for a while could be anywhere near: that a pose is somewhere there says less for them. (The
    density of a normal distribution, to whose height in one dimension similarity times sharpness is proportional.)
    """
    usual = np.median(2 * pool.sigmas) ** 2
    return np.sqrt(usual / (usual + _drift(pool, running, begin) ** 2))


def _within_leap(pool: Pool, running: list[Tracklet], begin: int, end: int) -> Array:
    """(R,D) bool: near enough to the expected place for a body that is thrown, falls or lands."""
    last, dt, shift = _prediction(pool, running, begin)
    off = np.linalg.norm((pool.centre[last] + shift)[:, None] - pool.centre[None, begin:end], axis=-1)
    return off < (pool.size[last] * (0.3 + HINT_LEAP * dt))[:, None]


def _prediction(pool: Pool, running: list[Tracklet], begin: int) -> tuple[Array, Array, Array]:
    """Last rows (R,), seconds since then (R,), and the way gone since then at constant velocity (R,2) px."""
    last = np.array([t.rows[-1] for t in running])
    dt = pool.time[begin] - pool.time[last]
    return last, dt, np.stack([t.velocity for t in running]) * dt[:, None]


def _margin(alike: Array, r: int, d: int, partner: dict[int, int]) -> float:
    """By which share the link r-d beats the best exchange with another one: 1 by far, 0 not at all, below 0 none."""
    best = 1.0
    for other in range(len(alike)):
        if other == r:
            continue
        swapped = alike[other, d]
        kept = alike[r, d]
        if other in partner:
            swapped = swapped + alike[r, partner[other]]
            kept = kept + alike[other, partner[other]]
        best = min(best, (kept - swapped) / kept)
    used = set(partner.values())
    free = [1 - alike[r, e] / alike[r, d] for e in range(alike.shape[1]) if e != d and e not in used]
    return float(min([best, *free]))
