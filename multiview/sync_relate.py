"""Two views: the lag of their clocks, who is who between them, and how far either may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import theilslopes

from multiview.sync_epipolar import SURE, Window, refine
from multiview.sync_signals import RATE, Curve, Signals, correlate
from pipeline.results import Array, Camera, Track2D

APART_S = 0.25  # lags farther apart than this are different answers
LEAST_AGREEMENT, LEAST_RATIO = 0.45, 1.2
LEAST_RATIO_ALONE = 1.35  # where others whom both views see do not agree: one walker fits a step later, too
LEAST_EVIDENCE = 0.2  # s
STILL = 0.08  # m/s, rms over limbs: slower is a detector's trembling
DRIFT_WINDOWS, DRIFT_S = 5, 16.0  # below these nothing is said about a drift
_CANDIDATES = 3
_TOLERANCE_S = 0.04


@dataclass(frozen=True)
class Relation:
    """Two views' clocks: when the first's reads t, the second's reads `middle + lag + (1 + drift) * (t - middle)`."""

    first: int
    second: int
    lag: float = np.nan  # s, at `middle`
    drift: float = 0.0
    middle: float = 0.0  # s on the first's own clock
    agreement: float = 0.0  # of the people's motion, at most 1
    ratio: float = 0.0  # to the agreement at the best other lag
    depth: float = 0.0  # of the geometry's misfit; 0 where it tells nothing
    sigma: float = np.inf  # s
    method: str = "none"  # motion, two-view geometry, known cameras
    people: tuple[tuple[int, int], ...] = ()  # the same person in the first's and in the second's list
    reason: str = ""  # why it is not believed

    @property
    def confidence(self) -> float:
        """In [0,1]: 0 where it is not believed."""
        clear = np.clip((self.ratio - 1) / 1.5, 0, 1)
        return 0.0 if self.reason else float(np.clip(self.agreement / 0.7, 0, 1) * clear)


@dataclass(frozen=True)
class Side:
    """One view as `relate` reads it."""

    signals: Sequence[Signals | None]
    tracks: Sequence[Track2D]
    times: Array
    camera: Camera | None = None


def relate(first: int, second: int, a: Side, b: Side) -> Relation:
    """The relation of two views, with the reason where it is not to be believed."""
    nothing = Relation(first, second)
    reason = _unfit(a) or _unfit(b)
    if reason:
        return replace(nothing, reason=reason)
    known = None if a.camera is None or b.camera is None else (a.camera, b.camera)
    turn = (known[1].world_to_camera @ known[0].camera_to_world)[:3, :3] if known else None
    curves = {
        (i, j): correlate(p, q, turn)
        for i, p in enumerate(a.signals) if p is not None and p.speed > STILL
        for j, q in enumerate(b.signals) if q is not None and q.speed > STILL
    }  # fmt: skip
    lag, people = _best(curves)
    found = replace(_judged(curves, lag, people, nothing), people=people)
    if found.reason:
        return found
    pairs = [(a.tracks[i], b.tracks[j]) for i, j in people]
    fitted, given = refine(pairs, (a.times, b.times), known, found.lag)
    return _both(_refined(found, given, "known cameras"), _refined(found, fitted, "two-view geometry"))


def _unfit(side: Side) -> str:
    if not side.tracks:
        return "nobody was found"
    if all(one is None for one in side.signals):
        return "nobody is seen for long enough"
    if all(one is None or one.speed <= STILL for one in side.signals):
        return "nobody moves, or the picture is frozen"
    return ""


def _best(curves: dict[tuple[int, int], Curve]) -> tuple[float, tuple[tuple[int, int], ...]]:
    """The lag for which the evidence of all people together is largest, and who is who at it."""
    lags = np.concatenate([_peaks(curve, _CANDIDATES) for curve in curves.values()])
    matched = [_matched(curves, lag) for lag in lags]
    best = int(np.argmax([total for total, _ in matched]))
    return float(lags[best]), matched[best][1]


def _peaks(curve: Curve, count: int) -> Array:
    """Lags of the highest evidence that are APART_S from each other."""
    left, out = curve.evidence.copy(), []
    for _ in range(count):
        best = int(np.argmax(left))
        out.append(curve.lags[best])
        left[np.abs(curve.lags - curve.lags[best]) < APART_S] = -1.0
    return np.array(out)


def _matched(curves: dict[tuple[int, int], Curve], lag: float) -> tuple[float, tuple[tuple[int, int], ...]]:
    """The matching of people with the largest evidence near that lag."""
    rows, columns = (sorted({pair[k] for pair in curves}) for k in (0, 1))
    evidence, agreement = (
        np.array([[_near(curves[i, j], lag, what) for j in columns] for i in rows])
        for what in ("evidence", "agreement")
    )
    chosen = [
        (i, j) for i, j in zip(*linear_sum_assignment(-evidence), strict=True) if agreement[i, j] > LEAST_AGREEMENT
    ]
    if not chosen:  # nobody agrees; the best is still the best
        chosen = [np.unravel_index(int(np.argmax(evidence)), evidence.shape)]
    return sum(float(evidence[k]) for k in chosen), tuple((rows[i], columns[j]) for i, j in chosen)


def _near(curve: Curve, lag: float, what: str) -> float:
    near = np.abs(curve.lags - lag) <= _TOLERANCE_S + 1e-9
    return float(getattr(curve, what)[near].max()) if near.any() else 0.0


def _judged(
    curves: dict[tuple[int, int], Curve], lag: float, people: Sequence[tuple[int, int]], relation: Relation
) -> Relation:
    """The peak of the matched people's evidence, finer than a sample, and whether it stands out."""
    used = [curves[pair] for pair in people]
    grid = np.round(np.unique(np.concatenate([curve.lags for curve in used])) * RATE) / RATE
    evidence = sum(np.interp(grid, curve.lags, curve.evidence, left=0, right=0) for curve in used)
    near = np.abs(grid - lag) <= _TOLERANCE_S + 1e-9
    best = int(np.flatnonzero(near)[np.argmax(evidence[near])])
    far = np.abs(grid - grid[best]) > APART_S
    second = float(evidence[far].max(initial=0.0))
    weights = [max(_near(curve, grid[best], "evidence"), 1e-9) for curve in used]
    agreement = float(np.average([_near(curve, grid[best], "agreement") for curve in used], weights=weights))
    ratio = float(np.sqrt(evidence[best] / max(second, 1e-3)))
    relation = replace(
        relation, lag=float(grid[best]) + _vertex(evidence, best) / RATE, agreement=agreement, ratio=ratio, sigma=0.03,
        method="motion",
    )  # fmt: skip
    if agreement < LEAST_AGREEMENT or evidence[best] < LEAST_EVIDENCE:
        return replace(relation, reason="the people's motions do not agree: other scenes, or no common time")
    alone = len(used) < min(len({pair[side] for pair in curves}) for side in (0, 1))
    if ratio < (LEAST_RATIO_ALONE if alone else LEAST_RATIO):
        return replace(relation, reason="several offsets fit equally well: the motion repeats itself")
    return relation


def _vertex(values: Array, peak: int) -> float:
    """Of the parabola through a peak and its neighbours, in samples from the peak."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    left, top, right = values[peak - 1 : peak + 2]
    bend = left - 2 * top + right
    return float((left - right) / (2 * bend)) if bend < 0 else 0.0


def _both(given: Relation, fitted: Relation) -> Relation:
    """Two witnesses: a calibration has its errors, a fitted geometry its freedom, and both are wrong in other ways."""
    if given.depth == 0 or fitted.depth == 0 or given.drift or fitted.drift:
        return given if given.depth else fitted
    weights = np.array([given.sigma, fitted.sigma]) ** -2.0
    return replace(given, lag=float(np.average([given.lag, fitted.lag], weights=weights)))


def _refined(relation: Relation, windows: Sequence[Window], method: str) -> Relation:
    """With what geometry tells, where it tells it clearly."""
    sure = [window for window in windows if window.depth > SURE]
    if not sure or 2 * len(sure) < len(windows):
        return relation
    at, lags, depth = (np.array([getattr(w, name) for w in sure]) for name in ("middle", "lag", "depth"))
    middle, drift = float(np.median(at)), 0.0
    if len(sure) >= DRIFT_WINDOWS and np.ptp(at) >= DRIFT_S:
        slope, _, low, high = theilslopes(lags, at)
        drift = float(slope) if low > 0 or high < 0 else 0.0
    lag = float(np.median(lags - drift * (at - middle)))
    mean = float(np.median(depth))
    return replace(
        relation, lag=lag, drift=drift, middle=middle, depth=mean, method=method,
        sigma=0.008 / (mean - 1) / np.sqrt(len(sure)),
    )  # fmt: skip
