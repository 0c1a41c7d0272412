"""Sequence networks over tracks of any length: overlapping windows whose borders fade into each other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Predict = Callable[[Tensor], Tensor]
Align = Callable[[Tensor, Tensor], Tensor]


def starts(frames: int, window: int, overlap: int) -> list[int]:
    """First frames of the fewest full windows that cover `frames` evenly, neighbours sharing at least `overlap`.

    Raises:
        ValueError: an overlap that is negative or more than a third of the window: three windows could meet.
    """
    if not 0 <= 3 * overlap <= window:
        raise ValueError(f"neighbouring windows of {window} frames cannot share {overlap}: 0 to {window // 3}")
    if frames <= window:
        return [0]
    steps = -(-(frames - window) // (window - overlap))
    return [(frames - window) * i // steps for i in range(steps + 1)]


def fades(begins: list[int], window: int, overlap: int) -> list[Tensor]:
    """What every frame of every window counts, (window,) each; the sum over the windows is 1 at every frame.

    Neighbours fade linearly over `overlap` frames in the middle of what they share, so that the frames nearest to a
    window's own ends, which know least about their surroundings, count least.
    """
    weights = [torch.ones(window, dtype=torch.float64) for _ in begins]
    for i in range(len(begins) - 1):
        shared = begins[i] + window - begins[i + 1]
        middle = torch.arange(shared, dtype=torch.float64) - (shared - overlap) // 2
        rise = ((middle + 1) / (overlap + 1)).clamp(0, 1)
        weights[i][window - shared :] *= 1 - rise
        weights[i + 1][:shared] *= rise
    return weights


def blend(
    predict: Predict, track: Tensor, window: int, overlap: int, batch: int = 8, align: Align | None = None
) -> Tensor:
    """Runs a sequence network over a whole track; beside the result, memory is bounded by `batch` windows.

    Args:
        predict: (b,n,...) -> (b,n,J,C), n = `window`, or all frames of a track that is shorter.
        track: (B,T,...) input, T >= 1.
        window: frames the network takes at once.
        overlap: frames that neighbouring windows share at least, and over which they fade.
        batch: windows computed at once.
        align: what to add to a window, (B,1,1,C), from what the window before and the window itself say about the
            frames they share, (B,n,J,C) each; for networks whose result is only known up to an offset per window.

    Returns:
        (B,T,J,C).

    Raises:
        ValueError: an empty track, a batch below 1, or an overlap that the window does not allow.
    """
    people, frames = track.shape[:2]
    if frames == 0 or batch < 1:
        raise ValueError(f"a track has at least one frame, a batch at least one window, not {frames} and {batch}")
    begins = starts(frames, window, overlap)
    if len(begins) == 1:
        return predict(track)
    weights = fades(begins, window, overlap)
    whole, before = None, None
    at_once = max(1, batch // people)
    for first in range(0, len(begins), at_once):
        some = begins[first : first + at_once]
        pieces = predict(torch.cat([track[:, begin : begin + window] for begin in some])).split(people)
        for i, (begin, piece) in enumerate(zip(some, pieces, strict=True), first):
            if align is not None and before is not None:
                shared = begins[i - 1] + window - begin
                piece = piece + align(before[:, window - shared :], piece[:, :shared])
            if whole is None:
                whole = piece.new_zeros(people, frames, *piece.shape[2:])
            whole[:, begin : begin + window] += piece * weights[i].to(piece)[:, None, None]
            before = piece
    return whole
