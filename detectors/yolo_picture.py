"""A frame as YOLO's networks take it: scaled to fit, with grey at two sides until both are multiples of the stride."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.results import Array

GREY = (114, 114, 114)


@dataclass(frozen=True)
class Letterbox:
    """Where frames of one size lie in the network's picture.

    The picture is Ultralytics' "minimal rectangle": the longer side becomes `size`, the other one as long as it needs.
    """

    scaled: tuple[int, int]  # width, height px of the frame in it
    corner: tuple[int, int]  # x, y px of the frame's first pixel in it
    size: tuple[int, int]  # width, height px of the picture
    frame: tuple[int, int]  # width, height px of the frame

    @classmethod
    def of(cls, frame: tuple[int, int], size: int, stride: int) -> Letterbox:
        """For frames of (width, height) px, a longest side of `size` px and the network's largest stride."""
        ratio = size / max(frame)
        scaled = [max(round(side * ratio), 1) for side in frame]
        grey = [(size - side) % stride for side in scaled]
        corner = [round(both / 2 - 0.1) for both in grey]  # of an odd number the smaller half comes first
        whole = [side + both for side, both in zip(scaled, grey, strict=True)]
        return cls((scaled[0], scaled[1]), (corner[0], corner[1]), (whole[0], whole[1]), frame)

    def __call__(self, frame: Array) -> Array:
        """The network's picture (H,W,3) uint8 of a frame (h,w,3) uint8, channels in the same order."""
        if self.scaled != self.frame:
            frame = cv2.resize(frame, self.scaled, interpolation=cv2.INTER_LINEAR)
        (left, top), (width, height) = self.corner, self.scaled
        right, bottom = self.size[0] - width - left, self.size[1] - height - top
        return cv2.copyMakeBorder(frame, top, bottom, left, right, cv2.BORDER_CONSTANT, value=GREY)

    def to_frame(self, points: Array) -> Array:
        """Points (...,2) px of the network's picture in px of the frame, integer at pixel centres in both.

        The way back of what `cv2.resize` does, to half a pixel's shift and with each side's own rounded scale.
        """
        scale = np.array(self.frame) / np.array(self.scaled)
        return (points - np.array(self.corner) + 0.5) * scale - 0.5
