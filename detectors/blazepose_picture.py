"""One frame, as blue-green-red pixels or as the decoder's own planes, and small crops taken out of it.

A crop out of the planes (luma, and two colour planes of half size) saves turning the whole frame into colours.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.blazepose_region import Region
from pipeline.results import Planes

Array = NDArray[Any]


class Picture:
    """A frame: (H,W,3) uint8 BGR, or its planes Y, U and V.

    Attributes:
        height, width: px.
        nbytes: what it holds.
    """

    def __init__(self, pixels: Array | Planes) -> None:
        self._layers = pixels if isinstance(pixels, tuple) else (pixels,)
        self.height, self.width = self._layers[0].shape[:2]
        self.nbytes = sum(layer.nbytes for layer in self._layers)

    def crop(self, region: Region, size: int, black: bool = False) -> Array:
        """(size,size,3) uint8 RGB, sampled bilinearly; outside the picture its edge, or black."""
        border = cv2.BORDER_CONSTANT if black else cv2.BORDER_REPLICATE
        first, *colours = self._layers
        if not colours:
            crop = _warp(first, region.matrix(size), size, border, (0, 0, 0))
            return cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)
        whole = region.matrix(size)
        # The colour planes hold every second pixel in both directions.
        half = Region(region.x / 2, region.y / 2, region.side / 2, region.turn).matrix(size // 2)
        crop = np.empty((size * 3 // 2, size), np.uint8)
        crop[:size] = _warp(first, whole, size, border, (16,))
        crop[size:] = np.concatenate([_warp(c, half, size // 2, border, (128,)) for c in colours]).reshape(-1, size)
        return cv2.cvtColor(crop, cv2.COLOR_YUV2RGB_I420)


def _warp(pixels: Array, matrix: Array, size: int, border: int, fill: tuple[int, ...]) -> Array:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(pixels, matrix, (size, size), flags=flags, borderMode=border, borderValue=fill)
