"""A calibration: what is asked for, what came out, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from multiview.boards import Board, Found
from multiview.calibrate import Calibration
from multiview.floor_board import floor_doubts
from multiview.intrinsics import Intrinsics
from pipeline.files import atomic
from pipeline.projection import centre
from visualize.rig_picture import draw_rig

_ROUGH_PX = 1.0  # a camera that fits worse is worth a warning


@dataclass(frozen=True)
class Request:
    """What a calibration is asked for."""

    videos: tuple[Path, ...]  # one per camera; folders of pictures do, too
    board: str  # see multiview.board_files.board
    out: Path = Path("rig.toml")
    cameras: Path | None = None  # a rig file with known lenses
    intrinsics_from: Path | None = None  # a folder with pictures or videos per camera, for the lenses
    intrinsics_board: str | None = None  # in them; None: the same board
    timestamps: Path | None = None
    floor: int | None = None  # the frame (or moment of the timestamps) in which the board lies on the floor
    step: int | None = None
    fisheye: bool = False


@dataclass(frozen=True)
class Rig:
    """A calibration with the lenses it rests on."""

    calibration: Calibration
    lenses: list[Intrinsics | None]  # None: given
    warnings: tuple[str, ...]


def doubts(
    request: Request, board: Board, calibration: Calibration, lenses: Sequence[Intrinsics | None],
    found: Sequence[dict[int, Found]], around: int,
) -> list[str]:  # fmt: skip
    """Warnings: what is poor, and what nobody can know.

    Args:
        found: the boards of every camera, by moment.
        around: as of `floor_doubts`.
    """
    names = [camera.name for camera in calibration.cameras]
    out = [f"{n}: {doubt}" for n, lens in zip(names, lenses, strict=True) if lens for doubt in lens.doubts]
    for name, error in zip(names, calibration.rms_px, strict=True):
        if error > _ROUGH_PX:
            out.append(
                f"{name}: boards fit to {error:.1f} px only; is all synchronous, the board flat, its numbers right?"
            )
    out.append(f"the scale rests on squares of {1000 * board.square_m:g} mm; pictures cannot tell whether that is so")
    if request.floor is None:
        out.append(
            "Z is the board's normal at the first moment, not up; --floor FRAME names one in which it lies on the floor"
        )
    elif against := floor_doubts(board, found, calibration, request.floor, around):
        text = f"frame {request.floor} does not look as if the board lay on the floor: {'; '.join(against)}"
        out.insert(0, f"{text}; --floor names the frame in which it does")
    return out


def table(rig: Rig) -> str:
    """What came out, in Markdown."""
    lines = [
        "| camera | boards | error px | focal px | known to | x m | y m | z m |",
        "|---|---|---|---|---|---|---|---|",
    ]
    done = rig.calibration
    for camera, boards, error, lens in zip(done.cameras, done.views, done.rms_px, rig.lenses, strict=True):
        known = "given" if lens is None else f"{100 * lens.focal_std:.2f} %"
        place = " | ".join(f"{value:.3f}" for value in centre(camera))
        lines.append(f"| {camera.name} | {boards} | {error:.2f} | {camera.matrix[0, 0]:.1f} | {known} | {place} |")
    return "\n".join(lines)


def report(request: Request, board: Board, rig: Rig) -> dict[str, Any]:
    """The calibration as JSON knows it."""
    done = rig.calibration
    cameras = []
    for index, (camera, lens) in enumerate(zip(done.cameras, rig.lenses, strict=True)):
        about: dict[str, Any] = {
            "name": camera.name, "video": str(request.videos[index]), "boards": done.views[index],
            "rms_px": round(done.rms_px[index], 4), "position_m": centre(camera).round(5).tolist(),
            "focal_px": [round(float(camera.matrix[i, i]), 3) for i in (0, 1)],
        }  # fmt: skip
        if lens is not None:
            about["lens"] = {
                "fitted": list(lens.free), "rms_px": round(lens.rms_px, 4), "boards": lens.boards,
                "coverage": round(lens.coverage, 3), "tilt_deg": round(lens.tilt_deg, 1),
                "focal_std_percent": round(100 * lens.focal_std, 3),
            }  # fmt: skip
        cameras.append(about)
    return {
        "schema": 1, "board": str(board), "square_m": board.square_m, "floor": request.floor,
        "rms_px": round(done.error_px, 4), "cameras": cameras,
        "shared_boards": done.shared.tolist(), "corners": done.corners, "corners_left_out": done.dropped,
        "warnings": list(rig.warnings),
    }  # fmt: skip


def write_report(request: Request, board: Board, rig: Rig) -> None:
    """Beside the rig file: everything as JSON, and a picture. Raises OutputError."""
    with atomic(request.out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(report(request, board, rig), indent=2) + "\n", encoding="utf-8")
    middle = np.append(board.points.mean(axis=0), 1)
    dots = np.array([(pose @ middle)[:3] for pose in rig.calibration.boards.values()])
    with atomic(request.out.with_suffix(".png")) as temporary:
        temporary.write_bytes(cv2.imencode(".png", draw_rig(rig.calibration.cameras, dots))[1].tobytes())
