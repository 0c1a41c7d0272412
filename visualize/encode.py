"""H.264 films with frame times of their own, encoded in a thread beside the drawing."""

from __future__ import annotations

import queue
import threading
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from pipeline.results import Array

TICKS = 90_000  # per second: whole for 24, 25, 30, 50, 60 and the NTSC rates
_WAITING = 4  # frames between drawing and encoding
_BT601 = 6  # FFmpeg's number for SMPTE 170M


class Film:
    """Writes an MP4 (H.264, yuv420p, index in front); use as a context manager.

    `add` may block until the encoder has caught up. A failure of the encoder is raised by the next `add` or at the
    end of the block.
    """

    def __init__(self, path: Path, size: tuple[int, int], times: Array, fps: float) -> None:
        """A film of frames with `times` (T,) s, strictly increasing, and an even `size` (width, height) px.

        Raises:
            OSError: the file cannot be made.
        """
        self._ticks = presentation_ticks(times)
        self._last = max(1, round(TICKS / fps))
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._stream = self._container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, TICKS)
        # Half the time of the next slower preset; smoothing the blocks' edges costs little and is seen.
        self._stream.options = {"preset": "ultrafast", "crf": "22", "x264-params": "no-deblock=0:deblock=0,0"}
        self._stream.codec_context.thread_count = 2
        context = self._stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT601
        context.color_range = 1
        self._queue: queue.Queue[Array | None] = queue.Queue()
        self._free: queue.Queue[Array] = queue.Queue()  # planes to be filled: what is new costs page faults
        for _ in range(_WAITING):
            self._free.put(np.empty((size[1] * 3 // 2, size[0]), np.uint8))
        self._failure: BaseException | None = None
        self._abandoned = False
        self._thread = threading.Thread(target=self._work, name="encoder", daemon=True)
        self._thread.start()

    def add(self, picture: Array) -> None:
        """The next frame, (H,W,3) uint8 BGR. Raises OSError."""
        planes = self._free.get()
        if self._failure:
            raise self._failure
        self._queue.put(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420, dst=planes))  # BT.601; half of swscale's time

    def __enter__(self) -> Film:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._abandoned = kind is not None
        self._queue.put(None)
        self._thread.join()
        if kind is None and self._failure:
            raise self._failure

    def _work(self) -> None:
        try:
            try:
                self._encode_all()
            finally:
                self._container.close()
        except BaseException as error:  # raised again in the thread that draws
            self._failure = error
            self._free.put(np.empty(0, np.uint8))
            while self._queue.get() is not None:
                pass

    def _encode_all(self) -> None:
        index = 0
        while (planes := self._queue.get()) is not None:
            if self._abandoned:
                continue
            frame = VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = int(self._ticks[index]), self._stream.codec_context.time_base
            following = self._ticks[index + 1] if index + 1 < len(self._ticks) else self._ticks[index] + self._last
            frame.duration = int(following - self._ticks[index])
            self._container.mux(self._stream.encode(frame))
            self._free.put(planes)
            index += 1
        if not self._abandoned:
            self._container.mux(self._stream.encode(None))


def presentation_ticks(times: Array) -> Array:
    """(T,) s -> (T,) int64 ticks, strictly increasing."""
    ticks = np.round(np.asarray(times) * TICKS).astype(np.int64)
    order = np.arange(len(ticks))
    return np.maximum.accumulate(ticks - order) + order
