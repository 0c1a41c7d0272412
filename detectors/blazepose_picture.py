"""One frame, as blue-green-red pixels or as the decoder's own planes, and small crops taken out of it.

A crop out of the planes (luma, and two colour planes of half size) saves turning the whole frame into colours.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.blazepose_region import Region

Array = NDArray[Any]


class Picture:
    """A frame: (H,W,3) uint8 BGR, or (H*3/2,W) uint8 planes Y, U, V (I420, limited range)."""

    def __init__(self, pixels: Array) -> None:
        self.pixels = pixels
        planar = pixels.ndim == 2
        self.height, self.width = pixels.shape[0] * 2 // 3 if planar else pixels.shape[0], pixels.shape[1]
        self._planes = _planes(pixels, self.height, self.width) if planar else None

    def crop(self, region: Region, size: int, black: bool = False) -> Array:
        """(size,size,3) uint8 RGB, sampled bilinearly; outside the picture its edge, or black."""
        border = cv2.BORDER_CONSTANT if black else cv2.BORDER_REPLICATE
        if self._planes is None:
            crop = _warp(self.pixels, region.matrix(size), size, border, (0, 0, 0))
            return cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)
        luma, *colours = self._planes
        whole = region.matrix(size)
        # The colour planes hold every second pixel in both directions.
        half = Region(region.x / 2, region.y / 2, region.side / 2, region.turn).matrix(size // 2)
        crop = np.empty((size * 3 // 2, size), np.uint8)
        crop[:size] = _warp(luma, whole, size, border, (16,))
        crop[size:] = np.concatenate([_warp(c, half, size // 2, border, (128,)) for c in colours]).reshape(-1, size)
        return cv2.cvtColor(crop, cv2.COLOR_YUV2RGB_I420)


def _planes(pixels: Array, height: int, width: int) -> tuple[Array, Array, Array]:
    quarter = height * width // 4
    flat = pixels.reshape(-1)[height * width :]
    shape = height // 2, width // 2
    return pixels[:height], flat[:quarter].reshape(shape), flat[quarter:].reshape(shape)


def _warp(pixels: Array, matrix: Array, size: int, border: int, fill: tuple[int, ...]) -> Array:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(pixels, matrix, (size, size), flags=flags, borderMode=border, borderValue=fill)
