"""Decoded frames to arrays: upright colours of any size, or the decoder's own planes."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from pipeline.results import Array, Planes


class Converter:
    """Frames to upright BGR arrays of one size, with one scaler for all, or to upright planes."""

    def __init__(self, stored: tuple[int, int], turns: int, size: tuple[int, int] | None, planes: bool = False) -> None:
        self.turns, self.planes = turns, planes
        self.size = stored if size is None else size if turns % 2 == 0 else size[::-1]
        self.reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> Array | Planes:
        if self.planes and self.size == (frame.width, frame.height) and _has_planes(frame):
            return _upright_planes(frame, self.turns)
        clear = frame.format.name.startswith(("bgra", "rgba", "argb", "abgr", "yuva", "ya", "gbrap", "pal8"))
        picture = self.reformatter.reformat(
            frame,
            width=self.size[0],
            height=self.size[1],
            format="bgra" if clear else "bgr24",
            interpolation="AREA" if self.size[0] < frame.width else "BICUBIC",
        ).to_ndarray()
        if clear:
            picture = on_white(picture)
        if self.turns:
            picture = cv2.rotate(picture, (None, *_TURNS)[self.turns])
        return np.ascontiguousarray(picture)


def _has_planes(frame: VideoFrame) -> bool:
    limited = frame.color_range != av.video.reformatter.ColorRange.JPEG
    even = frame.width % 2 == 0 == frame.height % 2
    return frame.format.name == "yuv420p" and limited and even and all(plane.line_size > 0 for plane in frame.planes)


def _upright_planes(frame: VideoFrame, turns: int) -> Planes:
    """The decoder's own Y, U and V, not copied but where they are turned by quarters clockwise."""
    stored = [np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[: p.height, : p.width] for p in frame.planes]
    for plane in stored:
        plane.flags.writeable = False  # the decoder builds later frames on these
    luma, *colours = (cv2.rotate(plane, _TURNS[turns - 1]) for plane in stored) if turns else stored
    return luma, colours[0], colours[1]


_TURNS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


def on_white(picture: Array) -> Array:
    """(H,W,4) uint8 BGRA -> (H,W,3) uint8 BGR, as a page would show it."""
    alpha = picture[..., 3:].astype(np.uint16)
    if (alpha == 255).all():
        return picture[..., :3]
    return ((picture[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
