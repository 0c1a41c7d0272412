"""What the rows of `detectors.py` consist of: how a side is run, the weights and the frames that both are given."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.clip import open_clip
from pipeline.results import Array

Run = Callable[[Path], int]  # looks at every frame of a clip; how many people it saw, of all frames together
# Three people side by side in a picture of 1 x 1, for networks that see whom they are told.
PEOPLE = np.array([(x - 0.08, 0.2, x + 0.08, 0.9) for x in (0.2, 0.5, 0.8)])


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str  # the network and its size
    ours: Run
    rivals: dict[str, Run]
    frames: int  # of the clip that are looked at


@dataclass(frozen=True)
class Rival:
    """A package that no detector of ours needs."""

    name: str
    packages: Sequence[str]
    install: str


def ours(detector: Any) -> Run:
    """A detector of this program, from the file on."""

    def detect(path: Path) -> int:
        with open_clip(path) as clip:
            return sum(map(len, detector.detect(clip)))

    return detect


def frames(path: Path) -> Iterator[Array]:
    """Frames (H,W,3) uint8 BGR as most programs read them."""
    import cv2

    film = cv2.VideoCapture(str(path))
    while (read := film.read())[0]:
        yield read[1]


def people_in(clip: Path, size: int | None = None) -> Array:
    """Boxes (3,4) px of `PEOPLE` in a frame, or in that put into the top left of a square."""
    height, width = some(clip, 1)[0].shape[:2]
    return PEOPLE * np.array([width, height] * 2) * (size / max(width, height) if size else 1)


def copied(files: dict[str, Path]) -> str:
    """Copy weights of the store to where they are wanted, all or none: trained or random."""
    have = {card: local(card) for card in files}
    if None in have.values():
        return "random"
    for card, path in have.items():
        shutil.copy(path, files[card])
    return "trained"


def local(card: str) -> Path | None:
    """The store's file, where it is on this machine."""
    from checkpoints import card as cards
    from checkpoints import store

    return store.local(card) if card in cards.names() else None


def trained(card: str) -> str:
    """For the table: trained or random."""
    return "random" if local(card) is None else "trained"


def some(path: Path, count: int) -> list[Array]:
    """Frames (H,W,3) uint8 BGR from all over the clip."""
    with open_clip(path) as clip:
        return [clip.read(int(index)) for index in np.linspace(0, len(clip) - 1, count)]
