"""Which frames make up one training or test sample."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence as Row
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UsageError
from training.datasets.sequence import Sequence

Frames = NDArray[np.int64]


def split_clips(sources: Row[object], length: int, stride: int, seed: int = 0) -> list[Frames]:
    """MotionBERT's windows: frame numbers of `length` frames each, every one inside one source.

    Windows of a source start every `stride` frames; what is left at its end is in none. A source that is shorter than a
    window is stretched to one (see `stretch`).

    Args:
        sources: the source (video) of every frame; neighbours of equal name belong together.
    """
    names = np.asarray(sources)
    if not len(names):
        return []
    starts = np.concatenate([[0], np.flatnonzero(names[1:] != names[:-1]) + 1])
    ends = np.append(starts[1:], len(names))
    rng = np.random.default_rng(seed)
    clips = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        clips += [np.arange(first, first + length) for first in range(start, end - length + 1, stride)]
        if end - start < length:
            clips.append(start + stretch(end - start, length, rng))
    return clips


def stretch(frames: int, length: int, rng: np.random.Generator) -> Frames:
    """(length,) ascending frame numbers below `frames`, evenly spread; each is rounded up or down by chance."""
    even = np.linspace(0, frames, num=length, endpoint=False)
    up = rng.integers(2, size=length, dtype=np.int64)
    rounded = np.where(up == 1, np.ceil(even), np.floor(even)).astype(np.int64)
    return np.sort(rounded).clip(0, frames - 1)


def shortened(sequence: Sequence, share: float = 1.0, step: int = 1) -> Sequence:
    """VideoPose3D's ways to less data: one stretch of about `share` of the frames, and of it every `step`-th frame.

    Where the stretch lies hangs on the sequence's length alone.

    Raises:
        UsageError: a share outside 0 < share <= 1, or a step below 1.
    """
    if not 0 < share <= 1 or step < 1:
        raise UsageError(f"cannot take {share} of a video, every {step}. frame", "", "subset=0.1 downsample=1")
    length = len(sequence)
    frames = max(1, round(length / step * share)) * step
    first = fixed_draw(str(length), length - frames + 1) if share < 1 else 0
    kept = {
        field.name: value[first : first + frames : step]
        for field in fields(sequence)
        if isinstance(value := getattr(sequence, field.name), np.ndarray)
    }
    return replace(sequence, fps=sequence.fps and sequence.fps / step, **kept)


def fixed_draw(text: str, span: int) -> int:
    """VideoPose3D's draw that depends on a text only: 0 to `span`; places the subset of a video that is trained on."""
    first = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
    return int(first / (2**32 - 1) * span)
