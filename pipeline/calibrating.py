"""Videos of a board in, a rig of cameras out: decode, find the board, fit lenses, place the cameras, write."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from multiview.board_files import board as board_from
from multiview.boards import Board, Found, find, sharp
from multiview.calibrate import calibrate
from multiview.explain import why_not
from multiview.floor_board import AROUND_S
from multiview.intrinsics import Intrinsics, fit_lens
from multiview.rig_toml import write_pose2sim
from pipeline.calibration import Request, Rig, doubts, write_report
from pipeline.clip import Clip, open_clip
from pipeline.errors import InputError, UsageError
from pipeline.results import Array, Camera, ClipInfo
from pipeline.sources import IMAGES, VIDEOS, natural

_LOOKED_AT = 400  # frames of a video at most, evenly spread, unless --step says otherwise
_ASKED = 8  # pictures in which the cause is sought where no board was found
_RATES = 0.005  # by which frame rates may differ, as a share, where frames are matched by their number

Tell = Callable[[str, int, int], None]  # stage, done, total


def run(request: Request, tell: Tell = lambda *_: None) -> Rig:
    """Calibrate and write `out`, and beside it the report (.json) and a picture (.png).

    Raises:
        UsageError: options that do not go together, no such board, an `out` that is no .toml.
        InputError: files that cannot be read, or footage from which nothing can be had; says why.
        OutputError: a result that cannot be written.
    """
    if request.out.suffix.lower() != ".toml":
        text = f"the rig cannot be written to {request.out}"
        raise UsageError(text, "a report (.json) and a picture (.png) of the same name go beside it", "--out NAME.toml")
    board, names = board_from(request.board), _names(request.videos)
    with ExitStack() as stack:
        clips = [stack.enter_context(open_clip(path)) for path in request.videos]
        infos = [clip.info for clip in clips]
        every, warnings = _moments(infos, names, request)
        around = _around(infos, every)
        moments = [_thinned(frames, request, max(map(max, every)) + 1, around) for frames in every]
        found = [_boards(board, *one, tell) for one in zip(clips, moments, names, strict=True)]
    clear = [sharp(boards) for boards in found]
    warnings += [
        f"{name}: {len(all_) - len(kept)} of {len(all_)} boards are blurred and left out"
        for name, all_, kept in zip(names, found, clear, strict=True)
        if len(kept) < len(all_)
    ]
    cameras, lenses = _lenses(request, board, infos, names, clear, warnings)
    calibration = calibrate(board, cameras, clear, request.floor)
    warnings += [*calibration.warnings, *doubts(request, board, calibration, lenses, clear, around)]
    rig = Rig(calibration, lenses, tuple(warnings))
    write_pose2sim(request.out, calibration.cameras, calibration.error_px)
    write_report(request, board, rig)
    return rig


def _names(videos: Sequence[Path]) -> list[str]:
    names = [video.stem if video.is_file() else video.name for video in videos]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two videos are called {twice[0]}", hint="cameras are called after their videos")
    return names


# ---- which frames belong together -----------------------------------------------------------------------------------


def _moments(
    clips: Sequence[ClipInfo], names: Sequence[str], request: Request
) -> tuple[list[dict[int, int]], list[str]]:
    """Per camera the frame (value) of each moment (key), and warnings."""
    if request.timestamps is not None:
        return _stamped(request.timestamps, clips, names), []
    warnings, counts = [], [len(clip.times) for clip in clips]
    rates = [clip.fps for clip in clips]
    if max(rates) > (1 + _RATES) * min(rates) and max(counts) > 1:
        slow, fast = names[int(np.argmin(rates))], names[int(np.argmax(rates))]
        raise InputError(
            f"{slow} has {min(rates):.4g} frames per second and {fast} {max(rates):.4g}",
            "frames are matched by their number", "--timestamps FILE.csv, or convert the videos to one rate",
        )  # fmt: skip
    if len(set(counts)) > 1:
        told = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
        warnings.append(f"different numbers of frames ({told}): matched from the first; did all start together?")
    return [{i: i for i in range(count)} for count in counts], warnings


def _around(clips: Sequence[ClipInfo], every: Sequence[dict[int, int]]) -> int:
    """How many moments lie within AROUND_S; 0 where a camera's are photos, whose times mean nothing."""
    if any(Path(clip.path).is_dir() for clip in clips):
        return 0
    steps = [np.diff(clip.times[sorted(frames.values())]) for clip, frames in zip(clips, every, strict=True)]
    return int(AROUND_S / max((float(np.median(step)) for step in steps if len(step)), default=np.inf))


def _thinned(frames: dict[int, int], request: Request, count: int, around: int) -> dict[int, int]:
    """Every `step`-th of `count` moments, the same ones for all cameras, and those about that of the floor."""
    step = request.step or -(-count // _LOOKED_AT)
    floor = () if request.floor is None else range(request.floor - around, request.floor + around + 1)
    return {moment: frame for moment, frame in frames.items() if moment % step == 0 or moment in floor}


def _stamped(path: Path, clips: Sequence[ClipInfo], names: Sequence[str]) -> list[dict[int, int]]:
    """Frames by moment from a table sync_index, cam_id and perhaps frame_index (else rows count a camera's frames)."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        told = [(int(row["sync_index"]), row["cam_id"].strip(), row.get("frame_index")) for row in rows]
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"cannot read the timestamps {path}", f"{type(error).__name__}: {error}",
                         "columns sync_index, cam_id and perhaps frame_index are needed") from error  # fmt: skip
    out: list[dict[int, int]] = []
    for clip, name in zip(clips, names, strict=True):
        own = [(moment, frame) for moment, camera, frame in told if _is_called(name, camera)]
        if not own:
            raise InputError(
                f"{path} says nothing of {name}", f"it tells of {', '.join(sorted({c for _, c, _ in told}))}"
            )
        frames = {m: int(f) if f else row for row, (m, f) in enumerate(own)}
        if max(frames.values()) >= len(clip.times):
            raise InputError(
                f"{path} tells of frame {max(frames.values())} of {name}",
                f"it has {len(clip.times)} frames",
                "is it the table of this recording?",
            )
        out.append(frames)
    return out


def _is_called(name: str, camera: str) -> bool:
    """Is the video `name` that of `camera`: the same, ending in it, or with its number?"""
    number = re.search(r"(\d+)$", name)
    return name == camera or (camera.isdigit() and number is not None and int(number[1]) == int(camera))


# ---- the board in the pictures --------------------------------------------------------------------------------------


def _boards(board: Board, clip: Clip, frames: dict[int, int], name: str, tell: Tell) -> dict[int, Found]:
    """By moment. Raises InputError where there is none, with the cause."""
    of = {frame: moment for moment, frame in frames.items()}
    if not of:
        return {}
    found, done = {}, 0
    for frame, picture in enumerate(clip.frames(0, max(of) + 1)):
        if frame in of:
            one, done = find(board, picture), done + 1
            tell(name, done, len(of))
            if one is not None:
                found[of[frame]] = one
    if not found:
        _explain(board, [clip.read(i) for i in _some(sorted(of))], name, len(of))
    return found


def _some(items: Sequence[Any]) -> list[Any]:
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, _ASKED).astype(int))]


def _explain(board: Board, pictures: list[Array], name: str, count: int) -> None:
    why, hint = why_not(board, pictures)
    raise InputError(f"{name}: no {board} in {count} frame{'s' if count > 1 else ''}", why, hint)


# ---- lenses ---------------------------------------------------------------------------------------------------------


def _lenses(
    request: Request, board: Board, clips: Sequence[ClipInfo], names: Sequence[str], found: list[dict[int, Found]],
    warnings: list[str],
) -> tuple[list[Camera], list[Intrinsics | None]]:  # fmt: skip
    """From a rig file, from pictures apart, or from the same footage."""
    sizes = [(clip.width, clip.height) for clip in clips]
    if request.cameras is not None:
        if request.intrinsics_from is not None:
            raise UsageError("--cameras and --intrinsics-from both give lenses", hint="give one of them")
        from multiview.rig import read_rig
        from multiview.rig_fit import fit_rig

        given, told = fit_rig(read_rig(request.cameras), sizes, names)
        warnings += told
        return [Camera(c.matrix, s, c.distortion, source=c.source, name=n, fisheye=c.fisheye)
                for c, s, n in zip(given, sizes, names, strict=True)], [None] * len(names)  # fmt: skip
    views = [list(boards.values()) for boards in found]
    if request.intrinsics_from is not None:
        board = board_from(request.intrinsics_board) if request.intrinsics_board else board
        views = [_apart(board, request.intrinsics_from, n, s) for n, s in zip(names, sizes, strict=True)]
    lenses = [
        fit_lens(board, boards, size, name, request.fisheye)
        for boards, size, name in zip(views, sizes, names, strict=True)
    ]
    for name, lens in zip(names, lenses, strict=True):
        if not lens.trusted:
            known = f"{100 * lens.focal_std:.0f} %" if np.isfinite(lens.focal_std) else "nothing sure"
            raise InputError(
                f"the lens of {name} cannot be had from this footage: its focal length is known to {known} only",
                "; ".join(lens.doubts) or "the board views contradict each other",
                "other footage of the board for the lens (--intrinsics-from), or known lenses (--cameras)",
            )
    return [lens.camera for lens in lenses], list(lenses)


def _apart(board: Board, folder: Path, name: str, size: tuple[int, int]) -> list[Found]:
    """Boards in the files below `folder` whose path has the camera's name in it."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    own = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![0-9])")
    files = [p for p in folder.rglob("*") if p.suffix.lower() in (*IMAGES, *VIDEOS) and p.is_file()]
    files = sorted((p for p in files if own.search(str(p.relative_to(folder)))), key=natural)
    if not files:
        raise InputError(
            f"no picture or video of {name} in {folder}", "looked for the camera's name in names and folders"
        )
    found, asked = [], []
    for file in files:
        with open_clip(file) as clip:
            own_size = clip.info.width, clip.info.height
            if own_size != size:
                raise InputError(
                    f"{file} is {own_size[0]} x {own_size[1]}",
                    f"the video of {name} is {size[0]} x {size[1]}",
                    "the lens must be calibrated at the videos' own size",
                )
            step = -(-len(clip) // _LOOKED_AT)
            for frame, picture in enumerate(clip.frames()):
                if frame % step == 0:
                    found.append(find(board, picture))
                    asked += [picture] if frame == 0 and len(asked) < _ASKED else []
    seen = sharp({i: one for i, one in enumerate(found) if one is not None})
    if not seen:
        _explain(board, asked, f"{name} in {folder}", len(found))
    return list(seen.values())
