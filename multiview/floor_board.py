"""Did the board lie on the floor at the moment that is said to be so? What speaks against it.

Nothing lies below a floor; a board that lies keeps still; and who puts up a camera levels its picture, upright or on
its side, however steeply it looks down.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multiview.boards import Board, Found
from multiview.calibrate import Calibration
from pipeline.projection import centre
from pipeline.results import Camera

AROUND_S = 0.2  # before and after, in which the board is looked for, to see whether it keeps still
MOVED, MOVED_PX = 0.1, 1.0  # of a square's side, and px: what a board that lies does not move by
BELOW_M = 0.1  # that other boards may seem to lie below the floor
ROLLED_DEG = 15.0  # of the cameras' pictures, rows or columns against the level


def floor_doubts(
    board: Board, found: Sequence[dict[int, Found]], done: Calibration, floor: int, around: int
) -> list[str]:
    """In words; nothing where the board may well have lain there.

    Args:
        found: per camera, by moment; those around `floor` too where the board was seen in them.
        done: with its world on the board at moment `floor`.
        around: so many moments before and after lie within AROUND_S; 0 for photos, which tell nothing of motion.
    """
    out = []
    if min(float(centre(camera)[2]) for camera in done.cameras) < 0:
        out.append("a camera would be below it (does the board lie face up?)")
    lowest = min(float((pose @ np.append(board.points.mean(axis=0), 1))[2]) for pose in done.boards.values())
    if lowest < -BELOW_M:
        out.append(f"in other frames the board would be up to {-lowest:.2f} m below it")
    if any(_moves(boards, floor, around) for boards in found):
        out.append("the board moves there")
    rolled = float(np.median([_roll_deg(camera) for camera in done.cameras]))
    if rolled > ROLLED_DEG:
        out.append(f"the cameras would be tilted to the side by {rolled:.0f} degrees")
    return out


def _moves(boards: dict[int, Found], floor: int, around: int) -> bool:
    """Does what one camera sees of the board lie elsewhere in most of the frames about that moment?"""
    if floor not in boards:
        return False
    here, far = boards[floor], []
    for moment in (set(boards) & set(range(floor - around, floor + around + 1))) - {floor}:
        there = boards[moment]
        _, one, other = np.intersect1d(here.ways[0], there.ways[0], return_indices=True)
        if len(one):
            far.append(np.median(np.linalg.norm(here.corners[one] - there.corners[other], axis=-1)))
    return bool(far) and float(np.median(far)) > max(MOVED_PX, MOVED * _square_px(here))


def _square_px(found: Found) -> float:
    """About a square's side: the median distance of a corner from the nearest other one."""
    apart = np.linalg.norm(found.corners[:, None] - found.corners[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    return float(np.median(apart.min(axis=1)))


def _roll_deg(camera: Camera) -> float:
    """By which neither the rows nor the columns of the picture are level."""
    return float(np.degrees(np.arcsin(np.abs(camera.camera_to_world[2, :2]).min())))
