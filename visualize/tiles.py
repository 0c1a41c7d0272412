"""Where the pictures of several views go: in rows of one width, whatever their shapes. A single one is a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.results import Array

_GAP = 1 / 180  # between pictures, of the height
SCREEN = 16 / 9  # width over height of what films are watched on


@dataclass(frozen=True)
class Place:
    """A picture's upper left corner and its size, which is even, in px."""

    x: int
    y: int
    size: tuple[int, int]  # width, height

    def of(self, canvas: Array) -> Array:
        """That part of the canvas (H,W,...)."""
        return canvas[self.y : self.y + self.size[1], self.x : self.x + self.size[0]]


def arranged(
    sizes: Sequence[tuple[int, int]], height: int, widest: float, beside: float = 1.0
) -> tuple[list[Place], int]:
    """Places for pictures of these sizes (width, height px), in their order, and the width in px that they take.

    Every picture keeps its shape. Of the arrangements in 1, 2, ... rows that one is taken whose lowest picture, the one
    in which people are smallest, is the highest on a screen that the film fills.

    Args:
        height: px, even.
        widest: the width that all may take together, in heights.
        beside: the least width of what else is in the film, in heights.
    """
    aspects = np.array([width / tall for width, tall in sizes])
    choices = (_in_rows(aspects, count, widest) for count in range(1, len(sizes) + 1))
    rows, wide = max(choices, key=lambda found: _tall(aspects, *found).min() * min(1, SCREEN / (found[1] + beside)))
    cells = _cells(aspects, rows, wide) * height
    gap = _GAP * height if len(sizes) > 1 else 0.0
    places = [_fitted(size, cell, gap) for size, cell in zip(sizes, cells, strict=True)]
    return places, max(max(p.x + p.size[0] for p in places), 2 * round(cells[:, 2].max() / 2))


def _in_rows(aspects: Array, count: int, widest: float) -> tuple[Array, float]:
    """The row of each picture, cut where rows become about equally long, and the width of all, in heights."""
    middles = np.cumsum(aspects) - aspects / 2
    rows = np.unique((middles * count / aspects.sum()).astype(int), return_inverse=True)[1]
    return rows, min(widest, 1 / float((1 / np.bincount(rows, aspects)).sum()))


def _tall(aspects: Array, rows: Array, wide: float) -> Array:
    """(V,) the height of each picture, in heights."""
    return wide / np.bincount(rows, aspects)[rows]


def _cells(aspects: Array, rows: Array, wide: float) -> Array:
    """(V,4) left, top, right, bottom in heights; all rows together stand in the middle of the height."""
    tall, first = _tall(aspects, rows, wide), np.unique(rows, return_index=True)[1]
    right = np.cumsum(tall * aspects)
    right -= (right - tall * aspects)[first][rows]
    bottom = np.cumsum(tall[first])
    bottom = (bottom + (1 - bottom[-1]) / 2)[rows]
    return np.stack([right - tall * aspects, bottom - tall, right, bottom], axis=1)


def _fitted(size: tuple[int, int], cell: Array, gap: float) -> Place:
    """In the middle of a cell, with half the gap on all sides."""
    left, top, right, bottom = cell
    scale = min((right - left - gap) / size[0], (bottom - top - gap) / size[1])
    width, height = (max(2, 2 * round(side * scale / 2)) for side in size)
    return Place(max(0, round((left + right - width) / 2)), max(0, int((top + bottom - height) / 2)), (width, height))
