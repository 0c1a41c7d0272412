"""skeleton.gif: the 3D view alone, small, in one palette for the whole clip so that no colour flickers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from scipy.spatial import cKDTree

from pipeline.files import atomic
from pipeline.results import Array, Scene
from visualize.draw import colors, put_digits
from visualize.figure import Figures
from visualize.legend import TEXT
from visualize.view import view_of

FASTEST = 15.0  # frames per second
_BINS = 1 << 18
_SAMPLES = 12  # frames that the palette is made from


def write_gif(scene: Scene, path: str | Path, progress: Callable[[int], None] | None = None, size: int = 400) -> None:
    """Write the 3D view as an endless GIF of at most 15 frames per second, at the clip's own pace.

    Args:
        progress: called with the number of the clip's frames that are done.
        size: px, width and height.

    Raises:
        OutputError: no permission, no space.
    """
    times = np.asarray(scene.clip.times)
    figures = Figures(scene, view_of(scene, (size, size)))

    def draw(frames: Array) -> Iterator[Array]:
        for picture, frame in zip(figures.panels(frames), frames, strict=True):
            put_digits(picture, f"{times[frame]:.2f}", size // 30, size // 30, max(10, size // 30), TEXT)
            yield picture

    write_pictures(draw, times, path, len(scene.people), progress)


def write_pictures(
    draw: Callable[[Array], Iterator[Array]],
    times: Array,
    path: str | Path,
    people: int,
    progress: Callable[[int], None] | None = None,
) -> None:
    """An endless GIF of at most 15 frames per second, at the pace of `times` (T,) s.

    Args:
        draw: gives the pictures, (H,W,3) uint8 BGR, of the frames it is told, rising; called for a few of them first.
        people: in how many people's colours things are drawn.

    Raises:
        OutputError: no permission, no space.
    """
    chosen = kept_frames(times)
    some = chosen[np.unique(np.linspace(0, len(chosen) - 1, _SAMPLES).round().astype(int))]
    sample = [picture.copy() for picture in draw(some)]
    palette = _Palette(np.concatenate([picture.reshape(-1, 3) for picture in sample]), people)
    ticks = np.round(times[chosen] * 100).astype(int)
    last = int(np.median(np.diff(ticks))) if len(ticks) > 1 else 100
    with (
        atomic(path) as temporary,
        av.open(str(temporary), "w", format="gif", options={"final_delay": str(last)}) as out,
    ):
        stream = out.add_stream("gif", rate=Fraction(100))
        stream.height, stream.width = sample[0].shape[:2]
        stream.pix_fmt = "pal8"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 100)
        for picture, frame, tick in zip(draw(chosen), chosen, ticks, strict=True):
            image = VideoFrame.from_ndarray((palette.indices(picture), palette.argb), format="pal8")
            image.pts, image.time_base = int(tick), Fraction(1, 100)
            out.mux(stream.encode(image))
            if progress:
                progress(int(frame) + 1)
        out.mux(stream.encode(None))


def kept_frames(times: Array) -> Array:
    """Indices of the frames that a GIF shows: as many as come at least 1/15 s after the one before."""
    kept = [0]
    for index, time in enumerate(times):
        if time - times[kept[-1]] >= 1 / FASTEST - 1e-3:
            kept.append(index)
    return np.array(kept)


class _Palette:
    """256 colours: what is frequent in the sample, and the tones of everyone."""

    def __init__(self, pixels: Array, people: int) -> None:
        packed = _packed(pixels)
        counts = np.bincount(packed, minlength=_BINS)
        sums = np.stack([np.bincount(packed, channel, minlength=_BINS) for channel in pixels.T], -1)
        order = np.argsort(-counts, kind="stable")[:255]
        frequent = sums[order] / np.maximum(counts[order, None], 1)  # their true means, not the middles of the bins
        tones = np.array([tone for person in range(min(people, 8)) for tone in colors(person)]).reshape(-1, 3)
        self._bgr = np.concatenate([tones, frequent])[:255].round().astype(np.uint8)
        self.argb = np.zeros((256, 4), np.uint8)
        self.argb[: len(self._bgr), 0] = 255
        self.argb[: len(self._bgr), 1:] = self._bgr[:, ::-1]
        every = _unpacked(np.arange(_BINS))
        self._nearest = cKDTree(self._bgr.astype(float)).query(every)[1].astype(np.uint8)

    def indices(self, picture: Array) -> Array:
        """(H,W,3) -> (H,W) uint8."""
        return self._nearest[_packed(picture)]


def _packed(pixels: Array) -> Array:
    """(...,3) uint8 -> (...) int with six bits of each channel."""
    bits = (pixels >> 2).astype(np.int32)
    return bits[..., 0] << 12 | bits[..., 1] << 6 | bits[..., 2]


def _unpacked(packed: Array) -> Array:
    """The middle colours of what `_packed` gave, (...,3)."""
    return np.stack([packed >> 12, packed >> 6 & 63, packed & 63], -1) * 4 + 2
