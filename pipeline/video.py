"""Videos through PyAV: which frames a file holds, when they are shown, and their pictures.

Opening reads the packets' timestamps without decoding. Only where these cannot be trusted (damaged or cut files, codecs
with packets that show nothing, no timestamps) the whole file is decoded once to learn what it really gives.
"""

from __future__ import annotations

import itertools
import logging
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from pipeline.errors import InputError
from pipeline.results import Array, ClipInfo

log = logging.getLogger("videopose")

# Containers that hold their own pictures. Everything that names other files or addresses is left out: hls, dash,
# concat, image sequences, devices.
DEMUXERS = (
    "mov,matroska,webm,avi,gif,mpegts,mpeg,mpegvideo,flv,asf,ogg,m4v,h264,hevc,ivf,nut,mxf,dv,yuv4mpegpipe,apng,mjpeg"
)
_OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
_PLAYLISTS = {b"#EXTM3U": "m3u8", b"ffconcat": "ffconcat", b"<?xml": "XML", b"<MPD": "DASH", b"[playlist]": "pls"}
# In these a packet may show no picture of its own (hidden references, packed or dropped frames).
_UNEVEN_CODECS = {"vp8", "mpeg4", "msmpeg4v3", "wmv3", "vc1", "mpeg2video"}


@dataclass(frozen=True)
class _Packets:
    """What the demuxer tells: presentation times in ticks (sorted), key frames among them, and what looked wrong."""

    shown: list[int]
    keys: list[int]
    complete: bool  # every packet had a time of its own and came whole
    faults: list[str]


class Video:
    """One video file. `info` is known at once; pictures are decoded on demand."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            InputError: not a video, no video stream, no picture in it, or a playlist.
        """
        self.path = path
        packets = self._scan()
        with _opened(path) as container:
            stream = container.streams.video[0]
            self._tick = float(stream.time_base or 0)
            faults = packets.faults + _short_of(container, stream, packets)
            uneven = stream.codec_context.name in _UNEVEN_CODECS
        self._by_order = False
        self._ticks = packets.shown
        self._keys = packets.keys
        first = self._first_frame()
        if faults or uneven or not packets.complete:
            self._ticks = self._decoded_ticks()
            if faults:
                faults.append(f"{len(self._ticks)} frames could be decoded")
        self.info = self._describe(first, faults)

    # ---- what the file holds --------------------------------------------------------------------------------------

    def _scan(self) -> _Packets:
        shown, keys, faults, complete = [], [], [], True
        with _opened(self.path) as container:
            stream = container.streams.video[0]
            try:
                for packet in container.demux(stream):
                    if packet.size == 0:
                        continue
                    if packet.is_corrupt:
                        faults.append("a packet is damaged")
                    if packet.pts is None:
                        complete = False
                    elif not packet.is_discard:
                        shown.append(packet.pts)
                    if packet.is_keyframe and packet.pts is not None:
                        keys.append(packet.pts)
            except av.FFmpegError as error:
                faults.append(f"the file ends in an error: {error.strerror}")
        complete = complete and len(set(shown)) == len(shown) > 0
        return _Packets(sorted(shown), sorted(keys), complete, faults[:1])

    def _first_frame(self) -> VideoFrame:
        with _opened(self.path) as container:
            for frame in _decode(container):
                return frame
        raise InputError(f"no picture in {self.path}", "its video stream holds no frame that can be decoded")

    def _decoded_ticks(self) -> list[int]:
        """Times of all frames that decode; from now on frames are known by their order if these are unusable."""
        with _opened(self.path) as container:
            ticks = [frame.pts for frame in _decode(container)]
        usable = all(t is not None for t in ticks) and all(a < b for a, b in itertools.pairwise(ticks))
        self._by_order = not usable
        return ticks

    def _describe(self, first: VideoFrame, faults: list[str]) -> ClipInfo:
        self._turns = round(-(first.rotation or 0) / 90) % 4  # quarters clockwise
        self._size = _square_pixels(first)
        width, height = self._size if self._turns % 2 == 0 else self._size[::-1]
        times, mended = _seconds(self._ticks, self._tick, self._nominal_step())
        warnings = list(faults)
        if mended:
            warnings.append("timestamps are missing or run backwards: replaced by the nominal frame rate there")
        step = float(np.median(np.diff(times))) if len(times) > 1 else self._nominal_step()
        variable = _is_variable(times, self._tick)
        if variable:
            steps = np.diff(times) * 1000
            warnings.append(f"variable frame rate: frames are {steps.min():.3g} to {steps.max():.3g} ms apart")
        return ClipInfo(
            str(self.path),
            width,
            height,
            times,
            round(1 / step, 6),
            self._turns * 90,
            variable,
            tuple(dict.fromkeys(warnings)),
        )

    def _nominal_step(self) -> float:
        with _opened(self.path) as container:
            rate = container.streams.video[0].average_rate or container.streams.video[0].guessed_rate
        return 1 / float(rate) if rate else 1 / 30

    # ---- pictures ---------------------------------------------------------------------------------------------------

    def pictures(self, start: int, stop: int, size: tuple[int, int] | None) -> Iterator[Array]:
        """Frames start..stop-1 as (H,W,3) uint8 BGR, exactly `stop - start` of them.

        A frame that opening promised and that does not decode now is replaced by the one before it, with a warning.
        """
        convert = _Converter(self._size, self._turns, size)
        picture, done, missing = None, start, 0
        with _opened(self.path) as container:
            for index, frame in self._numbered(container, start):
                if index < start:
                    continue
                if index >= stop:
                    break
                picture = convert(frame)
                missing += index - done
                for _ in range(done, index + 1):
                    yield picture
                done = index + 1
        if picture is None and done < stop:
            raise InputError(f"cannot read {self.path}", f"frame {start} does not decode")
        missing += stop - done
        for _ in range(done, stop):
            yield picture
        if missing:
            log.warning("%s: %d frames could not be decoded; a neighbour stands in for them", self.path, missing)

    def _numbered(self, container: av.container.InputContainer, start: int) -> Iterator[tuple[int, VideoFrame]]:
        """Frames with their index, increasing, from `start` or an earlier key frame on."""
        if self._by_order:
            yield from enumerate(_decode(container))
            return
        self._go_to_key(container, start)
        last = -1
        for frame in _decode(container):
            if frame.pts is None:
                continue
            index = bisect_left(self._ticks, frame.pts)
            if last < index < len(self._ticks) and self._ticks[index] == frame.pts:
                last = index
                yield index, frame

    def _go_to_key(self, container: av.container.InputContainer, start: int) -> None:
        """Seek to the last key frame shown at or before `start`: all that follows it in time decodes from there."""
        place = bisect_left(self._keys, self._ticks[start] + 1) - 1
        if place > 0:
            container.seek(self._keys[place], stream=container.streams.video[0], backward=True)


class _Converter:
    """Frames to upright BGR arrays of one size, with one scaler for all."""

    def __init__(self, stored: tuple[int, int], turns: int, size: tuple[int, int] | None) -> None:
        self.turns = turns
        self.size = stored if size is None else size if turns % 2 == 0 else size[::-1]
        self.reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> Array:
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


_TURNS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


def on_white(picture: Array) -> Array:
    """(H,W,4) uint8 BGRA -> (H,W,3) uint8 BGR, as a page would show it."""
    alpha = picture[..., 3:].astype(np.uint16)
    if (alpha == 255).all():
        return picture[..., :3]
    return ((picture[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _opened(path: Path) -> av.container.InputContainer:
    """Open a local file that holds its own pictures. Raises InputError."""
    try:
        container = av.open(f"file:{path.resolve()}", options=_OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(f"cannot read {path}", *_why_unreadable(path, error)) from error
    videos = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not videos or container.streams.video[0].codec_context is None:
        container.close()
        raise InputError(f"no video in {path}", "it holds sound or data only")
    container.streams.video[0].thread_type = "AUTO"
    return container


def _why_unreadable(path: Path, error: Exception) -> tuple[str, str]:
    with path.open("rb") as file:
        start = file.read(512).lstrip(b"\xef\xbb\xbf \r\n\t")
    for mark, kind in _PLAYLISTS.items():
        if start.startswith(mark):
            return f"it is a playlist ({kind}) that names other files", "the video files themselves"
    text = getattr(error, "strerror", "") or str(error)
    return f"it is no video or picture of a known kind, or its beginning is lost ({text})", "a file that a player opens"


def _decode(container: av.container.InputContainer) -> Iterator[VideoFrame]:
    """All frames that decode, in order of presentation; damaged packets are passed over."""
    stream = container.streams.video[0]
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet = None
        if packet is None:
            break
        with suppress(av.FFmpegError):
            yield from packet.decode()
    with suppress(av.FFmpegError, EOFError):
        yield from stream.decode(None)


def _short_of(container: av.container.InputContainer, stream: av.VideoStream, packets: _Packets) -> list[str]:
    """Does the file hold fewer frames, or end sooner, than its header says?"""
    if packets.shown and stream.frames > len(packets.shown) and not packets.faults:
        return [f"the file is cut: its header announces {stream.frames} frames, it holds {len(packets.shown)}"]
    return []


def _square_pixels(frame: VideoFrame) -> tuple[int, int]:
    return frame.width, frame.height


def _seconds(ticks: list[int | None], tick: float, step: float) -> tuple[Array, bool]:
    """(T,) float64 s from 0, strictly increasing; True when some had to be invented."""
    if not ticks or any(t is None for t in ticks) or tick <= 0:
        return np.arange(len(ticks)) * step, len(ticks) > 1
    times = (np.array(ticks, np.int64) - ticks[0]) * tick
    steps = np.diff(times)
    if (steps > 0).all():
        return times, False
    steps[steps <= 0] = np.median(steps[steps > 0]) if (steps > 0).any() else step
    return np.concatenate([[0.0], np.cumsum(steps)]), True


def _is_variable(times: Array, tick: float) -> bool:
    """Do frame distances differ by more than a tenth, beyond what rounding to the container's ticks explains?"""
    if len(times) < 3:
        return False
    steps = np.diff(times)
    usual = float(np.median(steps))
    return bool(np.abs(steps - usual).max() > max(0.1 * usual, min(1.5 * tick, 0.5 * usual)))
