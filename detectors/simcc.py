"""From a person's box to the crop that a pose network reads, and from its SimCC heads back to the picture.

Source: SimCC (Li et al. 2022, arXiv 2107.03332): each joint is classified along x and along y, in bins finer than
pixels. Crops as RTMPose (Jiang et al. 2023, arXiv 2303.07399) is trained with.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.results import Array

PADDING = 1.25  # of a crop over the box
MEAN = np.array([123.675, 116.28, 103.53], np.float32)  # of red, green, blue over ImageNet
STD = np.array([58.395, 57.12, 57.375], np.float32)


def regions(boxes: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """What of the picture is shown: centres (P,2) and sizes (P,2) px of boxes (P,4), in the shape of `size`."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    extent = (boxes[:, 2:] - boxes[:, :2]) * PADDING
    unit = (extent / size).max(axis=1, keepdims=True)  # picture pixels for one of the crop
    return (boxes[:, :2] + boxes[:, 2:]) / 2, unit * size


def crop(frame: Array, centre: Array, extent: Array, size: tuple[int, int]) -> Array:
    """(H,W,3) of `size` (width, height), bilinear, black beyond the picture."""
    scale = size[0] / extent[0]
    shift = np.array(size) / 2 - scale * centre
    return cv2.warpAffine(frame, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), size)


def normalised(crops: Array, channels: str = "rgb") -> Array:
    """(N,H,W,3) uint8 BGR -> (N,3,H,W) float32 as the network was trained.

    Args:
        channels: rgb, as MMPose trains; bgr leaves the channels in their order with the same constants, as rtmlib does.
    """
    count, height, width, _ = crops.shape
    out = np.empty((count, 3, height, width), np.float32)
    for channel, source in enumerate((2, 1, 0) if channels == "rgb" else (0, 1, 2)):  # a plane at once, in its place
        np.subtract(crops[..., source], MEAN[channel], out=out[:, channel])
        out[:, channel] /= STD[channel]
    return out


def decode(x: Array, y: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """SimCC's heads (N,J,Bx) and (N,J,By) -> joints (N,J,2) in pixels of the crop, NaN where none, and scores (N,J).

    A score is the lower of both maxima, as in MMPose (rtmlib: their mean), 1 at most; at 0 or below there is no joint.
    """
    bins = np.stack([x.argmax(-1), y.argmax(-1)], axis=-1)
    points = bins * (np.array(size) / [x.shape[-1], y.shape[-1]])
    scores = np.minimum(x.max(-1), y.max(-1))
    return np.where((scores > 0)[..., None], points, np.nan), np.clip(scores, 0, 1)


def to_picture(points: Array, centres: Array, extents: Array, size: tuple[int, int]) -> Array:
    """Pixels of crops (P,J,2) -> pixels of the picture (P,J,2)."""
    return centres[:, None] + (points / size - 0.5) * extents[:, None]
