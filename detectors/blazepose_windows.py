"""Which squares of a picture are searched for people: the whole, and tiles for those who are small in it."""

from __future__ import annotations

from math import ceil

from detectors.blazepose_region import Region

LEVELS = ((0.7, 200), (0.5, 200), (0.3, 224), (0.18, 448))  # side over the picture's longer side, least px for that
OVERLAP = 0.3
SCALES = (1.1, 0.85, 1.4)  # windows round a person over the side of their region, the best first


def tiles(width: int, height: int) -> list[Region]:
    """Overlapping squares of falling size that cover the picture, without the whole picture itself."""
    long = max(width, height)
    return [tile for level, least in LEVELS if level * long >= least for tile in cover(width, height, level * long)]


def cover(width: int, height: int, side: float) -> list[Region]:
    """Squares of that side over the whole picture, neighbours sharing at least `OVERLAP` of their side."""
    return [Region(x, y, side) for y in centres(height, side) for x in centres(width, side)]


def centres(length: float, side: float) -> list[float]:
    """Middles of the spans of length `side` that cover [0, length] evenly; one in the middle when it suffices."""
    if side >= length:
        return [length / 2]
    count = ceil((length - side) / (side * (1 - OVERLAP))) + 1
    step = (length - side) / (count - 1)
    return [side / 2 + step * i for i in range(count)]


def around(region: Region, scale: float = SCALES[0]) -> Region:
    """The upright window in which the detection network sees the person of that region at a comfortable size."""
    return Region(region.x, region.y, region.side * scale)


class Sweep:
    """Deals the tiles out over the searches, so that `parts` searches together look at all of them."""

    def __init__(self, width: int, height: int, parts: int) -> None:
        self.whole, self._tiles = Region.whole(width, height), tiles(width, height)
        self._parts, self._next = max(parts, 1), 0

    def due(self) -> list[Region]:
        """The whole picture, then the tiles whose turn it is."""
        share = self._tiles[self._next :: self._parts]
        self._next = (self._next + 1) % self._parts
        return [self.whole, *share]
