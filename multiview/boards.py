"""Calibration boards: what they are, and where their corners lie in a picture.

A board's own axes are OpenCV's: x along its columns, y along its rows, z into the board, away from who looks at it;
the origin is the outer corner (ChArUco) or the first inner corner (checkerboard). Corners lie in z = 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from scipy.spatial.distance import cdist

from pipeline.errors import UsageError
from pipeline.results import Array

Kind = Literal["charuco", "checkerboard"]
DICTIONARIES = tuple(sorted(name for name in dir(cv2.aruco) if name.startswith("DICT_")))
_LONGEST = 960  # px; a checkerboard is looked for in a picture no larger, and its corners refined in the whole one
_FEWEST = 4  # corners of a detection
_ASIDE = 5  # px beside corners that are looked at for blur, so that a single row of corners has edges, too


@dataclass(frozen=True)
class Board:
    """A checkerboard or a ChArUco board.

    Raises:
        UsageError: sizes that no board has.
    """

    kind: Kind
    columns: int  # squares of a ChArUco board; inner corners of a checkerboard
    rows: int
    square_m: float
    marker_m: float = 0.0  # edge of a ChArUco board's markers
    dictionary: str = "DICT_4X4_50"
    inverted: bool = False  # black and white exchanged
    legacy: bool = False  # ChArUco of OpenCV before 4.6, which starts with black where the rows are even

    def __post_init__(self) -> None:
        if min(self.columns, self.rows) < 2 or max(self.columns, self.rows) > 50:
            raise UsageError(f"a board of {self.columns} x {self.rows}", "2 to 50 each way are possible")
        if not 0.001 <= self.square_m <= 3:
            raise UsageError(
                f"squares of {self.square_m:g} m", "1 mm to 3 m are possible", "give the unit: 54mm, 5.4cm or 0.054"
            )
        if self.kind != "charuco":
            return
        if self.dictionary not in DICTIONARIES:
            raise UsageError(f"no dictionary {self.dictionary}", f"known: {', '.join(DICTIONARIES)}")
        if not 0 < self.marker_m < self.square_m:
            raise UsageError(f"markers of {self.marker_m:g} m", f"they lie in squares of {self.square_m:g} m")

    @property
    def points(self) -> Array:
        """(N,3) m: the corners, ids ascending, row by row."""
        inner = (self.columns - 1, self.rows - 1) if self.kind == "charuco" else (self.columns, self.rows)
        first = 1 if self.kind == "charuco" else 0
        y, x = np.mgrid[: inner[1], : inner[0]]
        return np.stack([x.ravel() + first, y.ravel() + first, np.zeros(x.size)], axis=1) * self.square_m

    def __str__(self) -> str:
        if self.kind == "charuco":
            return f"ChArUco board of {self.columns} x {self.rows} squares ({self.dictionary})"
        return f"checkerboard of {self.columns} x {self.rows} inner corners"


@dataclass(frozen=True)
class Found:
    """A board in one picture.

    `ways` are the orders of corner ids that look the same: a checkerboard turned by half a turn may be one with itself.
    Way 0 is `ids`.
    """

    ids: Array  # (N,) int, ascending in way 0
    corners: Array  # (N,2) px
    blur_px: float  # standard deviation of the softest edges
    ways: Array  # (W,N) int

    def turned(self, way: int) -> Found:
        """The same detection with the ids of that way."""
        return replace(self, ids=self.ways[way], ways=np.roll(self.ways, -way, axis=0))


def detect(board: Board, pictures: Iterable[Array]) -> Iterator[Found | None]:
    """The board in each picture, (H,W,3) BGR or (H,W) uint8; None where it is not."""
    return (find(board, picture) for picture in pictures)


def find(board: Board, picture: Array) -> Found | None:
    """The board in one picture, (H,W,3) BGR or (H,W) uint8, None if it is not there (or fewer than 4 corners are)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture
    grey = 255 - grey if board.inverted else grey
    return _charuco(board, grey) if board.kind == "charuco" else _checkerboard(board, grey)


@lru_cache(maxsize=64)
def charuco_board(board: Board) -> cv2.aruco.CharucoBoard:
    """OpenCV's own object of that board."""
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
    if board.columns * board.rows // 2 > len(dictionary.bytesList):
        raise UsageError(f"{board.dictionary} has {len(dictionary.bytesList)} markers", f"too few for a {board}")
    theirs = cv2.aruco.CharucoBoard((board.columns, board.rows), board.square_m, board.marker_m, dictionary)
    theirs.setLegacyPattern(board.legacy)
    return theirs


@lru_cache(maxsize=64)
def charuco_detector(board: Board) -> cv2.aruco.CharucoDetector:
    """OpenCV's detector of that board."""
    return cv2.aruco.CharucoDetector(charuco_board(board))


def _charuco(board: Board, grey: Array) -> Found | None:
    corners, ids, _, _ = charuco_detector(board).detectBoard(grey)
    if ids is None or len(ids) < _FEWEST:
        return None
    order = np.argsort(ids.reshape(-1))
    ids, corners = ids.reshape(-1)[order], corners.reshape(-1, 2)[order].astype(np.float64)
    near = cdist(corners, corners)[~np.eye(len(corners), dtype=bool)].min()
    corners = _refined(grey, corners, int(np.clip(near * (1 - board.marker_m / board.square_m) / 2, 2, 8)))
    return Found(ids, corners, blur(grey, corners), ids[None])


def _checkerboard(board: Board, grey: Array) -> Found | None:
    shape, scale = (board.columns, board.rows), min(1.0, _LONGEST / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    usual = cv2.CALIB_CB_NORMALIZE_IMAGE
    seen, corners = cv2.findChessboardCorners(
        small, shape, flags=usual + cv2.CALIB_CB_ADAPTIVE_THRESH + cv2.CALIB_CB_FAST_CHECK
    )
    if not seen:  # the slower one sees what the other does not, and the other way round
        seen, corners = cv2.findChessboardCornersSB(small, shape, flags=usual + cv2.CALIB_CB_ACCURACY)
    if not seen:
        return None
    corners = (corners.reshape(-1, 2).astype(np.float64) + 0.5) / scale - 0.5
    grid = corners.reshape(board.rows, board.columns, 2)
    steps = np.concatenate([np.linalg.norm(np.diff(grid, axis=axis), axis=-1).ravel() for axis in (0, 1)])
    corners = _refined(grey, corners, int(np.clip(steps.min() / 3, 2, 12)))
    grid = corners.reshape(grid.shape)
    if _mirrored(grid):
        grid = grid[:, ::-1]
    ways = _ways(grey, grid)
    corners = np.empty_like(corners)
    corners[ways[0]] = grid.reshape(-1, 2)
    inverse = np.argsort(ways[0])
    return Found(np.arange(len(corners)), corners, blur(grey, corners), ways[:, inverse])


def _refined(grey: Array, corners: Array, half: int) -> Array:
    """Corners (N,2) px moved to the saddle of brightness, in a window of 2 half + 1 px that holds no other edge."""
    rule = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-3)
    start = np.ascontiguousarray(corners.reshape(-1, 1, 2), dtype=np.float32)
    found = cv2.cornerSubPix(grey, start, (half, half), (-1, -1), rule)
    return found.reshape(-1, 2).astype(np.float64)


def _mirrored(grid: Array) -> bool:
    """Do rows and columns turn the wrong way round (y must lie clockwise of x in a picture)?"""
    x, y = grid[0, -1] - grid[0, 0], grid[-1, 0] - grid[0, 0]
    return bool(x[0] * y[1] - x[1] * y[0] < 0)


def _ways(grey: Array, grid: Array) -> Array:
    """(W,N) ids for the corners of a grid (R,C,2) px as they stand: all turns after which dark squares are dark ones.

    The square before the first corner is dark, unless no turn makes it so: then the board begins with a bright one.
    Turns by a quarter are possible where rows and columns are as many.
    """
    rows, columns = grid.shape[:2]
    plain = np.arange(rows * columns).reshape(rows, columns)
    middles = (grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:] + grid[1:, 1:]) / 4
    level = cv2.remap(grey, middles.astype(np.float32), None, cv2.INTER_LINEAR).astype(np.float64)
    dark = (np.add.outer(np.arange(rows - 1), np.arange(columns - 1)) % 2) == 0  # as the square before the first
    turns = range(0, 4, 1 if rows == columns else 2)
    fits = [level[np.rot90(dark, turn)].mean() < level[~np.rot90(dark, turn)].mean() for turn in turns]
    return np.array(
        [np.rot90(plain, turn).ravel() for turn, fit in zip(turns, fits, strict=True) if fit or not any(fits)]
    )


def blur(grey: Array, corners: Array) -> float:
    """Standard deviation in px of the softest edges around corners (N,2) px, as of a step seen through a Gaussian.

    A step of contrast c blurred by s rises by at most c / (s sqrt(2 pi)) per pixel. Motion softens the edges across it
    only, so of the two directions of edges, as the rectangle around the corners has them, that with the gentler rise
    counts. Where the rectangle stands askew to the edges they seem softer by at most 41 %.
    """
    low, high = np.floor(corners.min(0)).astype(int) - _ASIDE, np.ceil(corners.max(0)).astype(int) + _ASIDE + 1
    part = grey[max(low[1], 0) : high[1], max(low[0], 0) : high[0]].astype(np.float32)
    if min(part.shape) < 5:
        return float("inf")
    dark, bright = np.percentile(part, (5, 95))
    x, y = cv2.Sobel(part, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(part, cv2.CV_32F, 0, 1) / 8
    askew = np.radians(cv2.minAreaRect(corners.astype(np.float32))[2])
    edge = 100 * (1 - 0.5 / (1 + _square_px(corners)))  # one pixel of a square's edge lies on an edge of one direction
    rises = [np.percentile(np.abs(x * np.cos(a) + y * np.sin(a)), edge) for a in (askew, askew + np.pi / 2)]
    return float((bright - dark) / (np.sqrt(2 * np.pi) * max(min(rises), 1e-6)))


def sharp(found: dict[int, Found]) -> dict[int, Found]:
    """Those boards (by frame) that are no more blurred than 3 px or 6 % of a square, and than 2.5 times the median."""
    if not found:
        return {}
    usual = float(np.median([one.blur_px for one in found.values()]))
    limits = {frame: min(2.5 * usual, max(3.0, 0.06 * _square_px(one.corners))) for frame, one in found.items()}
    return {frame: one for frame, one in found.items() if one.blur_px <= limits[frame]}


def _square_px(corners: Array) -> float:
    """About the edge of a square in px: the median distance of a corner to the next."""
    return float(np.median(np.sort(cdist(corners, corners), axis=1)[:, 1]))
