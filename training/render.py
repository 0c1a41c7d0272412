"""Stored predictions beside the 2D that was lifted and the truth, as films: `evaluate --render`.

The options are those of VideoPose3D's and RIE's visualisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.clip import Clip, open_clip
from pipeline.errors import InputError, UsageError
from training.comparison import compare
from training.datasets.sequence import Sequence
from training.datasets.unpickle import load_npz
from training.evaluate import Choice, sequences
from visualize.compare import Footage, write_comparison

Array = NDArray[np.floating]
FILMS = (".mp4", ".gif")
FPS = 25.0  # where neither data nor video tell


@dataclass(frozen=True)
class Rendering:
    """What is drawn, and how."""

    path: Path | None = None  # .mp4 or .gif, of one sequence; without an ending a folder, for an .mp4 of each
    subject: str | None = None
    action: str | None = None
    camera: str | None = None
    video: Path | None = None
    skip: int = 0  # frames of the video before the data's first
    limit: int | None = None  # frames of the film
    downsample: int = 1  # frames of the data of which each of the film's is the mean
    size: int = 540  # px, height of the film
    truth: bool = True


def render(protocol: str, data: Path, predictions: Path, choice: Choice, what: Rendering) -> list[str]:
    """Draw; returns a line for each film.

    Raises:
        UsageError: no such protocol, choices that it does not have, or several sequences for one film.
        InputError: data, predictions or a video that are missing, damaged or do not fit each other.
        OutputError: no permission, no space.
    """
    suffix = what.path.suffix.lower()
    if suffix not in ("", *FILMS):
        raise UsageError(f"cannot draw {what.path.name}", f"known endings: {' '.join(FILMS)}, or none for a folder")
    if what.video is not None and not suffix:
        raise UsageError("--viz-video is of one sequence", f"{what.path} would be a folder", "--render FILM.mp4")
    found, stored = _fitting(protocol, data, choice, what), load_npz(predictions)
    first = next(found, None)
    if first is None:
        raise InputError(f"no such sequence in {data}", hint=f"train --check {data} tells what there is")
    if not suffix:
        every = chain([first], found)
        return [_draw(s, stored, predictions, what, what.path / f"{s.name.replace('/', '_')}.mp4") for s in every]
    if second := next(found, None):
        several = f"{first.name}, {second.name}, ..."
        raise UsageError("several sequences for one film", several, "--viz-subject, --viz-action, --viz-camera")
    return [_draw(first, stored, predictions, what, what.path)]


def _fitting(protocol: str, data: Path, choice: Choice, what: Rendering) -> Iterator[Sequence]:
    subjects = choice.subjects if what.subject is None else (what.subject,)
    actions = choice.actions if what.action is None else (what.action,)
    for sequence in sequences(protocol, data, replace(choice, subjects=subjects, actions=actions)):
        if what.action in (None, sequence.action) and what.camera in (None, sequence.camera):
            yield sequence


def _draw(sequence: Sequence, stored: Mapping[str, Array], predictions: Path, what: Rendering, path: Path) -> str:
    """Write one film and say what it shows."""
    if len(sequence) < what.downsample:
        raise UsageError(f"--viz-downsample {what.downsample}", f"{sequence.name} has {len(sequence)} frames")
    with open_clip(what.video) if what.video is not None else nullcontext() as clip:
        fps = sequence.fps or (clip.info.fps if clip else FPS)
        try:
            shown = compare(sequence, stored, fps, what.downsample, what.limit, what.truth)
        except ValueError as error:
            raise InputError(f"cannot draw {predictions}", str(error)) from error
        frames = len(shown.clip.times)
        write_comparison(shown, path, what.size, _footage(clip, what, sequence.size, frames) if clip else None)
    known = shown.errors[np.isfinite(shown.errors)]
    error = f"MPJPE {known.mean():.1f} mm" if len(known) else "nothing predicted"
    return f"{path}: {sequence.name}, {frames} frames, {error}"


def _footage(clip: Clip, what: Rendering, size: tuple[int, int], frames: int) -> Footage:
    """The video's pictures, each the mean of `downsample` frames. Raises InputError: another shape, or too short."""
    needed, (width, height) = what.skip + frames * what.downsample, size
    if len(clip) < needed:
        why = f"{len(clip)} frames, {needed} are needed"
        raise InputError(f"{what.video} ends before the data", why, "a smaller --viz-limit or --viz-skip")
    if abs(clip.info.width * height / (clip.info.height * width) - 1) > 0.02:
        raise InputError(f"{what.video} is {clip.info.width}x{clip.info.height}", f"the 2D is of {width}x{height}")

    def pictures(shown: tuple[int, int]) -> Iterator[Array]:
        with closing(clip.frames(what.skip, needed, shown)) as decoded:
            for picture in decoded:
                total = picture.astype(np.float32)
                for _ in range(what.downsample - 1):
                    total += next(decoded)
                yield (total / what.downsample).round().astype(np.uint8)

    return pictures
