"""Why no board was found: what would have been found instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from multiview.boards import DICTIONARIES, Board, charuco_board, find
from pipeline.results import Array

_LONGEST = 960  # px
_LARGEST = (*(name for name in DICTIONARIES if name.endswith("_1000")), "DICT_ARUCO_ORIGINAL")


def why_not(board: Board, pictures: Sequence[Array]) -> tuple[str, str]:
    """One line of cause and one of what to try, for pictures in which `find` saw no board or too few corners."""
    reasons = _charuco if board.kind == "charuco" else _checkerboard
    found = reasons(board, pictures)
    if found:
        return found
    whole = " (a checkerboard must be seen whole)" if board.kind == "checkerboard" else ""
    return (
        f"nothing like a board in the {len(pictures)} pictures looked at{whole}",
        "more light, less motion, the board nearer; are kind, columns and rows right?",
    )


def _charuco(board: Board, pictures: Sequence[Array]) -> tuple[str, str] | None:
    flipped = [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures]
    if _count(board, flipped):
        return (
            "the footage is mirrored: markers are read only after flipping it",
            "switch mirroring off, or flip the file",
        )
    turned = replace(board, columns=board.rows, rows=board.columns)
    others = {
        "columns and rows are exchanged": (turned, f"{turned.columns}x{turned.rows}"),
        "black and white are exchanged": (replace(board, inverted=not board.inverted), "inverted on or off"),
        "the board begins with the other colour": (replace(board, legacy=not board.legacy), "legacy on or off"),
    }
    for why, (other, hint) in others.items():
        if _count(other, pictures):
            return f"the board is another: {why}", f"--board with {hint}"
    return _markers(board, pictures)


def _markers(board: Board, pictures: Sequence[Array]) -> tuple[str, str] | None:
    """What the markers alone tell."""
    own = set(charuco_board(board).getIds().ravel().tolist())
    if seen := _read(board.dictionary, pictures, board.inverted):
        extra = sorted(seen - own)
        if extra:
            return (f"markers up to number {max(seen)} are seen, the board said ends with {max(own)}",
                    "are columns and rows right (squares, not corners)?")  # fmt: skip
        return (
            f"{len(seen)} markers are read, but too few side by side",
            "show more of the board, nearer; are columns and rows right?",
        )
    by_name = {name: _read(name, pictures, board.inverted) for name in _LARGEST}
    best = max(by_name, key=lambda name: len(by_name[name]))
    if len(by_name[best]) < 3:
        return None
    size = next((size for size in (50, 100, 250) if max(by_name[best]) < size), 1000)
    name = best.replace("_1000", f"_{size}")  # the smaller ones of a family are its beginning
    return f"the markers are of {name}, not of {board.dictionary}", f"--board with {name}"


def _read(name: str, pictures: Sequence[Array], inverted: bool) -> set[int]:
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name)))
    found: set[int] = set()
    for picture in pictures:
        _, ids, _ = detector.detectMarkers(255 - picture if inverted else picture)
        found.update([] if ids is None else ids.ravel().tolist())
    return found


def _checkerboard(board: Board, pictures: Sequence[Array]) -> tuple[str, str] | None:
    """The largest other checkerboard, where there is one."""
    best = (0, 0)
    for picture in pictures:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture
        scale = min(1.0, _LONGEST / max(grey.shape))
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        flags = cv2.CALIB_CB_NORMALIZE_IMAGE + cv2.CALIB_CB_LARGER
        seen, _, kinds = cv2.findChessboardCornersSBWithMeta(grey, (3, 3), flags)
        if seen and kinds.size > best[0] * best[1]:
            best = kinds.shape[1], kinds.shape[0]
    if best == (0, 0) or sorted(best) == sorted((board.columns, board.rows)):
        return None
    return (
        f"a checkerboard of {best[0]} x {best[1]} inner corners is seen, not of {board.columns} x {board.rows}",
        f"--board checkerboard:{max(best)}x{min(best)}:SQUARE (corners between squares, not squares)",
    )


def _count(board: Board, pictures: Sequence[Array]) -> int:
    return sum(find(board, picture) is not None for picture in pictures)
