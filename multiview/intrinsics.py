"""A camera's lens from views of a board: focal lengths, centre and distortion, as far as the views tell them.

Zhang, A flexible new technique for camera calibration, PAMI 2000, as OpenCV has it. Richer models are taken only where
they explain more than noise would (Schwarz's criterion) and what they add is determined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.spatial.distance import cdist

from multiview.boards import Board, Found
from multiview.bundle import ASPECT, CENTRE, FOCAL
from pipeline.errors import InputError
from pipeline.results import Array, Camera

_MODELS = (  # what is free, see multiview.bundle; from few to many
    (FOCAL,),
    (FOCAL, "0"),
    (FOCAL, CENTRE, "0", "1"),
    (FOCAL, ASPECT, CENTRE, "0", "1", "2", "3"),
    (FOCAL, ASPECT, CENTRE, "0", "1", "2", "3", "4"),
)
_FISHEYE = (FOCAL, ASPECT, CENTRE, "0", "1", "2", "3")
_VIEWS, _FEWEST = 40, 4  # boards fitted at most and at least
_CORNERS = 6
_FOCAL_LIMIT, _CENTRE_LIMIT = 0.02, 0.03  # standard deviations that a freed number may have: of f, of the longer side
_TRUST = 0.03  # of f: beyond it a lens is not known
_GROSS, _NEAR_PX = 4.0, 0.2  # corners off by more medians, and by more px, are left out
_GRID = (8, 8)  # cells of the picture, for coverage


@dataclass(frozen=True)
class Intrinsics:
    """A lens and how well it is known."""

    camera: Camera  # its pose is the identity
    free: tuple[str, ...]  # what was fitted, see multiview.bundle
    rms_px: float
    boards: int  # views fitted
    coverage: float  # share of the picture's parts in which a corner was seen
    tilt_deg: float  # 90th percentile of the boards' angles to the picture's plane
    focal_std: float  # standard deviation of the focal length as a share of it, inf: no idea

    @property
    def trusted(self) -> bool:
        """Is the focal length known to a few percent?"""
        return self.focal_std <= _TRUST and self.boards >= _FEWEST

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is poor about the boards, in words."""
        out = []
        if self.boards < 10:
            out.append(f"only {self.boards} different board views (10 to 20 advised)")
        if self.tilt_deg < 20:
            out.append(f"boards face the camera (tilted by {self.tilt_deg:.0f} degrees at most; 30 to 45 advised)")
        if self.coverage < 0.4:
            out.append(f"boards cover {100 * self.coverage:.0f} % of the picture (60 advised)")
        return tuple(out)


def fit_lens(board: Board, found: Sequence[Found], size: tuple[int, int], name: str = "",
             fisheye: bool = False) -> Intrinsics:  # fmt: skip
    """The lens of one camera from its board views.

    Args:
        found: detections, of any number of pictures.
        size: width, height px.

    Raises:
        InputError: fewer than 4 usable views, or views that no lens explains.
    """
    usable = [one for one in found if spread_out(board, one)]
    views = varied(board, usable, size)
    if len(views) < _FEWEST:
        raise InputError(
            f"the lens of {name or 'the camera'} cannot be had: {len(views)} different board views, {_FEWEST} at least",
            f"{len(found)} pictures show the board, {len(usable)} with {_CORNERS} corners or more",
            "film the board tilted, near and far, in all parts of the picture",
        )
    fit = _best(board, views, size, fisheye)
    good = _without_gross(board, views, fit.away)
    if len(good) >= _FEWEST:
        views, fit = good, _best(board, good, size, fisheye)
    if fit.rms > 0.02 * max(size):
        raise InputError(
            f"no lens explains the boards of {name or 'the camera'}",
            f"{fit.rms:.0f} px on average remain",
            "are columns and rows of the board right? is the board flat?",
        )
    camera = Camera(fit.matrix, size, fit.bend, source="boards", name=name, fisheye=fisheye)
    tilts = [np.degrees(np.arccos(min(1.0, abs(cv2.Rodrigues(turn)[0][2, 2])))) for turn in fit.turns]
    spread = max(fit.focal_std, _jackknife(board, views, size, fit, fisheye))
    return Intrinsics(
        camera, fit.free, fit.rms, len(views), coverage(found, size), float(np.percentile(tilts, 90)), spread
    )


def spread_out(board: Board, one: Found) -> bool:
    """Are there enough corners, and not all in a line?"""
    if len(one.ids) < _CORNERS:
        return False
    points = board.points[one.ids, :2]
    return bool(np.linalg.svd(points - points.mean(0), compute_uv=False)[1] > 0.7 * board.square_m)


def varied(board: Board, found: Sequence[Found], size: tuple[int, int], count: int = _VIEWS) -> list[Found]:
    """At most `count` views that differ most, by where the board's four outer corners lie or would lie.

    Farthest point sampling (Gonzalez 1985); views that repeat others within 1 % of the picture are left out.
    """
    if not found:
        return []
    points = board.points
    rim = np.array([points[0], points[board.points[:, 0].argmax()], points[-1], points[points[:, 1].argmax()]])[:, :2]
    maps = [cv2.findHomography(points[one.ids, :2], one.corners)[0] for one in found]
    known = [i for i, each in enumerate(maps) if each is not None]
    if not known:
        return []
    where = np.array([cv2.perspectiveTransform(rim[None], maps[i]).ravel() for i in known]) / max(size)
    where = where.clip(-2, 3)
    apart = cdist(where, where)
    chosen, far = [int(apart.sum(1).argmax())], apart[int(apart.sum(1).argmax())].copy()
    while len(chosen) < min(count, len(known)) and far.max() > 0.01:
        chosen.append(int(far.argmax()))
        far = np.minimum(far, apart[chosen[-1]])
    return [found[known[i]] for i in sorted(chosen)]


def coverage(found: Sequence[Found], size: tuple[int, int]) -> float:
    """Share of the picture's 8 x 8 parts in which a corner was seen."""
    if not found:
        return 0.0
    cells = np.concatenate([one.corners for one in found]) / size * _GRID
    return len(np.unique(cells.astype(int).clip(0, np.array(_GRID) - 1), axis=0)) / (_GRID[0] * _GRID[1])


@dataclass(frozen=True)
class _Fit:
    matrix: Array
    bend: Array
    rms: float
    turns: list[Array]
    away: list[Array]  # per view (N,) px between corners and where they are expected
    focal_std: float
    centre_std: float
    free: tuple[str, ...]
    corners: int

    def price(self) -> float:
        """Schwarz's criterion, of 2 residuals a corner."""
        numbers = len(self.free) + (CENTRE in self.free)
        return 2 * self.corners * np.log(max(self.rms, 1e-9) ** 2) + numbers * np.log(2 * self.corners)


def _best(board: Board, views: Sequence[Found], size: tuple[int, int], fisheye: bool) -> _Fit:
    if fisheye:
        return _fit_fisheye(board, views, size)
    fits = [fit for free in _MODELS if (fit := _fit(board, views, size, free)) is not None]
    if not fits:
        raise InputError("no lens explains the boards", hint="are columns and rows of the board right? is it flat?")
    sound = [
        fit for fit in fits[1:]
        if fit.focal_std <= _FOCAL_LIMIT and fit.centre_std <= _CENTRE_LIMIT * max(size) and _unfolded(fit, size)
    ]  # fmt: skip
    return min([fits[0], *sound], key=_Fit.price)


def _fit(board: Board, views: Sequence[Found], size: tuple[int, int], free: tuple[str, ...],
         focal: float | None = None) -> _Fit | None:  # fmt: skip
    points, corners = _lists(board, views)
    start = _start(points, corners, size) if focal is None else focal
    guess = np.array([[start, 0, (size[0] - 1) / 2], [0, start, (size[1] - 1) / 2], [0, 0, 1]])
    try:
        rms, matrix, bend, turns, shifts, stds, _, _ = cv2.calibrateCameraExtended(
            points, corners, size, guess, np.zeros(5), flags=_flags(free)
        )
    except cv2.error:
        return None
    if not (np.isfinite(matrix).all() and 0 < matrix[0, 0] < 100 * max(size)):
        return None
    stds = stds.ravel()
    expected = [cv2.projectPoints(x, r, t, matrix, bend)[0] for x, r, t in zip(points, turns, shifts, strict=True)]
    return _Fit(
        matrix, bend.ravel()[:5], rms, list(turns), _apart(expected, corners), float(stds[:2].max() / matrix[0, 0]),
        float(stds[2:4].max()), free, sum(len(view.ids) for view in views),
    )  # fmt: skip


def _fit_fisheye(board: Board, views: Sequence[Found], size: tuple[int, int]) -> _Fit:
    points, corners = ([part.astype(np.float64).swapaxes(0, 1) for part in parts] for parts in _lists(board, views))
    focal = max(size) / np.pi
    guess = np.array([[focal, 0, (size[0] - 1) / 2], [0, focal, (size[1] - 1) / 2], [0, 0, 1]])
    flags = cv2.CALIB_RECOMPUTE_EXTRINSIC + cv2.CALIB_FIX_SKEW + cv2.CALIB_USE_INTRINSIC_GUESS
    rule = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-9)
    try:
        rms, matrix, bend, turns, shifts = cv2.fisheye.calibrate(
            points, corners, size, guess, np.zeros(4), flags=flags, criteria=rule
        )
    except cv2.error as error:
        raise InputError("no fisheye lens explains the boards", str(error).splitlines()[-1].strip(),
                         "without --fisheye; or film the board in all parts of the picture") from error  # fmt: skip
    expected = [
        cv2.fisheye.projectPoints(x, r, t, matrix, bend)[0] for x, r, t in zip(points, turns, shifts, strict=True)
    ]
    return _Fit(matrix, bend.ravel(), rms, list(turns), _apart(expected, corners), 0.0, 0.0, _FISHEYE,
                sum(len(view.ids) for view in views))  # fmt: skip


def _apart(some: Sequence[Array], others: Sequence[Array]) -> list[Array]:
    """Per view (N,) px."""
    return [np.linalg.norm(np.reshape(a - b, (-1, 2)), axis=1) for a, b in zip(some, others, strict=True)]


def _without_gross(board: Board, views: Sequence[Found], away: Sequence[Array]) -> list[Found]:
    """The views without corners that are off by more than 4 medians of all, as far as enough is left of them."""
    limit = max(_GROSS * float(np.median(np.concatenate(away))), _NEAR_PX)
    kept = [
        replace(view, ids=view.ids[good], corners=view.corners[good], ways=view.ways[:, good])
        for view, good in zip(views, [px <= limit for px in away], strict=True)
    ]
    return [view for view in kept if spread_out(board, view)]


def _flags(free: Sequence[str]) -> int:
    fixed = {
        ASPECT: cv2.CALIB_FIX_ASPECT_RATIO, CENTRE: cv2.CALIB_FIX_PRINCIPAL_POINT, "0": cv2.CALIB_FIX_K1,
        "1": cv2.CALIB_FIX_K2, "2": cv2.CALIB_ZERO_TANGENT_DIST, "4": cv2.CALIB_FIX_K3,
    }  # fmt: skip
    return cv2.CALIB_USE_INTRINSIC_GUESS + sum(flag for name, flag in fixed.items() if name not in free)


def _lists(board: Board, views: Sequence[Found]) -> tuple[list[Array], list[Array]]:
    points = [board.points[view.ids].astype(np.float32)[:, None] for view in views]
    return points, [view.corners.astype(np.float32)[:, None] for view in views]


def _start(points: list[Array], corners: list[Array], size: tuple[int, int]) -> float:
    try:
        focal = float(cv2.initCameraMatrix2D(points, corners, size, 1.0)[0, 0])
    except cv2.error:
        focal = np.nan
    return focal if 0.3 * max(size) < focal < 10 * max(size) else 1.2 * max(size)


def _unfolded(fit: _Fit, size: tuple[int, int]) -> bool:
    """Does the picture nowhere fold back (the distorted radius must grow up to the farthest corner)?"""
    k1, k2, _, _, k3 = fit.bend
    rim = np.hypot(*size) / 2 / fit.matrix[0, 0]
    r = np.linspace(0, 3 * rim, 300)
    bent = r * (1 + k1 * r**2 + k2 * r**4 + k3 * r**6)
    falls = np.flatnonzero(np.diff(bent) <= 0)
    return bool(bent[: falls[0] + 1].max() > rim if len(falls) else True)


def _jackknife(board: Board, views: Sequence[Found], size: tuple[int, int], fit: _Fit, fisheye: bool) -> float:
    """Standard deviation of the focal length, as a share, when each fifth of the views is left out in turn.

    It also feels what the formal one does not: a bent board, a rolling shutter, corners that are off together.
    """
    groups = min(5, len(views) - _FEWEST + 1)
    if groups < 2:
        return fit.focal_std if fit.focal_std else float("inf")
    focals = []
    for group in range(groups):
        rest = [view for i, view in enumerate(views) if i % groups != group]
        try:
            again = _fit_fisheye(board, rest, size) if fisheye else _fit(board, rest, size, fit.free, fit.matrix[0, 0])
        except InputError:
            again = None
        if again is None:
            return float("inf")
        focals.append(again.matrix[0, 0] / fit.matrix[0, 0])
    return float(np.sqrt((groups - 1) * np.var(focals)))
