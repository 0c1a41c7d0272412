"""How often what happens while a clip is searched, in frames of that clip."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Pace:
    """Times of the search, turned into frames."""

    period: int  # frames between two searches
    sweep: int  # searches until every tile was looked at
    probation: int  # frames after which somebody new is looked at again
    calm: int  # frames without doubt about left and right after which they are trusted
    ahead: int  # frames under way at once: 1 reads a frame only when the one before is known
    history: int  # poses that the prediction of the next region is fitted to

    @classmethod
    def of(cls, fps: float, frames: int) -> Pace:
        """For a clip: a search each half second, all tiles in 3 s, predictions no further ahead than 0.1 s."""
        period = max(1, round(0.5 * fps))
        return cls(
            period=period,
            sweep=min(6, ceil(frames / period)),
            probation=max(1, round(0.15 * fps)),
            calm=max(2, round(0.1 * fps)),
            ahead=max(1, min(4, round(0.075 * fps))),
            history=max(2, round(0.1 * fps) + 1),
        )
