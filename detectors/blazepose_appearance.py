"""What somebody wears: soft colour histograms of torso and thighs, to tell people apart after they crossed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import skeleton

Array = NDArray[Any]
LEVELS = 3  # per colour channel
SIZE = 2 * LEVELS**3
_TORSO = skeleton("blazepose-33").index("left_shoulder", "right_shoulder", "left_hip", "right_hip")
_THIGHS = skeleton("blazepose-33").index("left_hip", "right_hip", "left_knee", "right_knee")
_DOWN, _ACROSS = (grid.ravel()[:, None] for grid in np.meshgrid(np.linspace(0.1, 0.9, 9), np.linspace(0.2, 0.8, 5)))


def appearance(crop: Array, places: Array) -> Array:
    """(54,) float32, two histograms that sum to 1 each: the torso's pixels, then the thighs'.

    Args:
        crop: (N,N,3) uint8 RGB.
        places: (>=33,2) landmarks in [0,1] of the crop.
    """
    torso, thighs = places[_TORSO], places[_THIGHS]
    between = _blend(torso[0], torso[1], _ACROSS), _blend(torso[2], torso[3], _ACROSS)
    spots = _blend(*between, _DOWN)
    along = np.concatenate([_blend(thighs[side], thighs[side + 2], _DOWN) for side in (0, 1)])
    return np.concatenate([_histogram(crop, spots), _histogram(crop, along)]).astype(np.float32)


def _blend(one: Array, other: Array, share: Array) -> Array:
    return one * (1 - share) + other * share


def _histogram(crop: Array, places: Array) -> Array:
    """Each pixel counts for the two nearest levels of each channel, so that light may change a little."""
    column, row = np.clip(places * len(crop), 0, len(crop) - 1).astype(int).T
    level = crop[row, column] / 255 * (LEVELS - 1)
    weights = np.maximum(1 - np.abs(level[:, :, None] - np.arange(LEVELS)), 0)  # (N,3,LEVELS)
    red, green, blue = weights.transpose(1, 0, 2)
    return np.einsum("nr,ng,nb->rgb", red, green, blue).ravel() / len(places)
