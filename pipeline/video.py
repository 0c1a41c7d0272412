"""Videos through PyAV: which frames a file holds, when they are shown, and their pictures.

Opening reads the packets' timestamps without decoding. Only where these cannot be trusted (damaged or cut files, codecs
with packets that show nothing, no timestamps) the whole file is decoded once to learn what it really gives.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from pipeline.errors import InputError
from pipeline.results import Array, ClipInfo

# Containers that hold their own pictures. Everything that names other files or addresses is left out: hls, dash,
# concat, image sequences, devices.
DEMUXERS = (
    "mov,matroska,webm,avi,gif,mpegts,mpeg,mpegvideo,flv,asf,ogg,m4v,h264,hevc,ivf,nut,mxf,dv,yuv4mpegpipe,apng,mjpeg"
)
_OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
_PLAYLISTS = {b"#EXTM3U": "m3u8", b"ffconcat": "ffconcat", b"<?xml": "XML", b"<MPD": "DASH", b"[playlist]": "pls"}
# In these a packet may show no picture of its own (hidden references, packed or dropped frames); AVI, too, knows no
# order of presentation.
_UNEVEN_CODECS = {"vp8", "mpeg4", "msmpeg4v3", "wmv3", "vc1", "mpeg2video"}
_HELD = 64  # frames that a decoder holds back at most
_PROBED = 12  # frames decoded at opening to see whether they come as the packets say
_ATTACHED = av.stream.Disposition.attached_pic


@dataclass(frozen=True)
class _Packets:
    """What the demuxer tells: presentation times in ticks (sorted), key frames among them, and what looked wrong."""

    shown: list[int]
    keys: list[int]
    complete: bool  # every packet had a time of its own
    faults: list[str]


class Video:
    """One video file. `info` is known at once; pictures are decoded on demand."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            InputError: not a video, no video stream, no picture in it, or a playlist.
        """
        self.path = path
        self._threads = "AUTO"
        packets = self._scan()
        if packets.faults:
            self._threads = "SLICE"  # with frame threads an error also swallows its neighbours
        probe = self._probe()
        self._ticks, self._keys, self._by_order = packets.shown, packets.keys, False
        expected = packets.shown[: len(probe)]
        even = packets.complete and not self._uneven and [frame.pts for frame in probe] == expected
        faults = list(packets.faults)
        if faults or not even:
            self._learn_by_decoding()
        if faults:
            faults.append(f"frames that can be decoded: {len(self._ticks)}")
        self.info = self._describe(probe[0], faults)

    def _open(self) -> av.container.InputContainer:
        container = _opened(self.path)
        _stream(container).thread_type = self._threads
        return container

    # ---- what the file holds --------------------------------------------------------------------------------------

    def _scan(self) -> _Packets:
        """Read all packets without decoding."""
        shown, keys, faults, untimed, end = [], [], [], False, 0.0
        with self._open() as container:
            stream = _stream(container)
            self._tick, self._step = float(stream.time_base or 0), _nominal_step(stream)
            self._aspect = float(stream.sample_aspect_ratio or 1)
            self._uneven = stream.codec_context.name in _UNEVEN_CODECS or container.format.name == "avi"
            try:
                for packet in container.demux(stream, *container.streams.audio):
                    if packet.size == 0:
                        continue
                    if packet.pts is not None:
                        end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                    if packet.stream_index != stream.index:
                        continue
                    if packet.is_corrupt:
                        faults.append("the file is damaged or cut")
                    untimed |= packet.pts is None
                    if packet.pts is not None and not packet.is_discard:
                        shown.append(packet.pts)
                    if packet.pts is not None and packet.is_keyframe:
                        keys.append(packet.pts)
            except av.FFmpegError as error:
                faults.append(f"the file ends in an error ({error.strerror})")
            if not faults and _is_cut(container, stream, self.path, len(shown), end):
                faults.append("the file is cut: it ends sooner than its header says")
        complete = not untimed and len(set(shown)) == len(shown) > 0
        return _Packets(sorted(shown), sorted(keys), complete, faults[:1])

    def _probe(self) -> list[VideoFrame]:
        """The first frames, at least one."""
        with self._open() as container:
            frames = list(itertools.islice(_decode(container), _PROBED))
        if not frames:
            raise InputError(f"no picture in {self.path}", "its video stream holds no frame that can be decoded")
        return frames

    def _learn_by_decoding(self) -> None:
        """Decode everything once. Where frames carry no usable times they are known by their order from now on."""
        with self._open() as container:
            ticks = [frame.pts for frame in _decode(container)]
        timed = all(tick is not None for tick in ticks)
        self._by_order = not timed or any(a >= b for a, b in itertools.pairwise(ticks))
        self._ticks = sorted(ticks) if timed and len(set(ticks)) == len(ticks) else ticks

    def _describe(self, first: VideoFrame, faults: list[str]) -> ClipInfo:
        self._turns = round(-(first.rotation or 0) / 90) % 4  # quarters clockwise
        self._size = _square_pixels(first.width, first.height, self._aspect)
        width, height = self._size if self._turns % 2 == 0 else self._size[::-1]
        times, mended = _seconds(self._ticks, self._tick, self._step)
        if mended:
            faults.append("timestamps are missing or run backwards: the nominal frame rate stands in for them")
        variable = _is_variable(times, self._tick)
        if variable:
            steps = np.diff(times) * 1000
            faults.append(f"variable frame rate: frames are {steps.min():.3g} to {steps.max():.3g} ms apart")
        return ClipInfo(
            str(self.path), width, height, times, self._rate(times), self._turns * 90, variable, tuple(faults)
        )

    def _rate(self, times: Array) -> float:
        """1 / median frame distance; the container's own figure where the two agree but for rounded times."""
        step = float(np.median(np.diff(times))) if len(times) > 1 else self._step
        return round(1 / (self._step if abs(step - self._step) <= min(self._tick, 0.05 * step) else step), 6)

    # ---- pictures ---------------------------------------------------------------------------------------------------

    def pictures(self, start: int, stop: int, size: tuple[int, int] | None, planes: bool = False) -> Iterator[Array]:
        """Frames start..stop-1 as (H,W,3) uint8 BGR, or as stored planes, exactly `stop - start` of them.

        A frame that opening promised and that does not decode now is replaced by the one before it, with a warning.
        """
        convert = _Converter(self._size, self._turns, size, planes and size is None)
        picture, done, missing = None, start, 0
        with self._open() as container:
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
            self._tell(f"frames that could not be decoded: {missing}; the one before stands in for each")

    def _tell(self, warning: str) -> None:
        if warning not in self.info.warnings:
            self.info = replace(self.info, warnings=(*self.info.warnings, warning))

    def _numbered(self, container: av.container.InputContainer, start: int) -> Iterator[tuple[int, VideoFrame]]:
        """Frames with their index, increasing, from `start` or an earlier key frame on."""
        if self._by_order:
            yield from enumerate(_decode(container))
            return
        for keys_back in (0, 5):
            if self._go_to_key(container, start, keys_back):
                frames = self._known(container)
                first = next(frames, None)
                if first is not None and first[0] <= start:
                    yield from itertools.chain([first], frames)
                    return
        with self._open() as again:  # seeking is inexact in some containers
            yield from self._known(again)

    def _known(self, container: av.container.InputContainer) -> Iterator[tuple[int, VideoFrame]]:
        last = -1
        for frame in _decode(container):
            index = bisect_left(self._ticks, frame.pts) if frame.pts is not None else len(self._ticks)
            if last < index < len(self._ticks) and self._ticks[index] == frame.pts:
                last = index
                yield index, frame

    def _go_to_key(self, container: av.container.InputContainer, start: int, keys_back: int) -> bool:
        """Seek to the last key frame shown at or before `start`: all that follows it in time decodes from there.

        False when that is the beginning of the file, or cannot be reached.
        """
        place = bisect_left(self._keys, self._ticks[start] + 1) - 1 - keys_back
        if place <= 0:
            return False
        try:
            container.seek(self._keys[place], stream=_stream(container), backward=True)
        except av.FFmpegError:
            return False
        return True


class _Converter:
    """Frames to upright BGR arrays of one size, with one scaler for all, or to upright planes."""

    def __init__(self, stored: tuple[int, int], turns: int, size: tuple[int, int] | None, planes: bool = False) -> None:
        self.turns, self.planes = turns, planes
        self.size = stored if size is None else size if turns % 2 == 0 else size[::-1]
        self.reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> Array:
        if self.planes and self.size == (frame.width, frame.height) and _has_planes(frame):
            return _upright_planes(frame.to_ndarray(), self.turns)
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
    return frame.format.name == "yuv420p" and limited and frame.width % 2 == 0 == frame.height % 2


def _upright_planes(pixels: Array, turns: int) -> Array:
    """(H*3/2,W) planes Y, U, V turned by quarters clockwise, again one after the other."""
    if not turns:
        return pixels
    height, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
    colours = pixels[height:].reshape(2, height // 2, width // 2)
    turned = [cv2.rotate(plane, _TURNS[turns - 1]) for plane in (pixels[:height], *colours)]
    return np.concatenate([plane.reshape(-1) for plane in turned]).reshape(-1, turned[0].shape[1])


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
    if not any(_is_film(stream) for stream in container.streams.video):
        container.close()
        raise InputError(f"no video in {path}", "it holds sound or data only")
    return container


def _stream(container: av.container.InputContainer) -> av.VideoStream:
    """The first stream of moving pictures; a sound file's cover is none."""
    return next(stream for stream in container.streams.video if _is_film(stream))


def _is_film(stream: av.VideoStream) -> bool:
    return stream.codec_context is not None and not stream.disposition & _ATTACHED


def tags(path: Path) -> dict[str, str]:
    """What the file says of itself, of the whole and of its film. Raises InputError."""
    with _opened(path) as container:
        return {**container.metadata, **_stream(container).metadata}


def _why_unreadable(path: Path, error: Exception) -> tuple[str, str]:
    if not path.is_file():
        return "it is no longer there", ""
    with path.open("rb") as file:
        start = file.read(512).lstrip(b"\xef\xbb\xbf \r\n\t")
    for mark, kind in _PLAYLISTS.items():
        if start.startswith(mark):
            return f"it is a playlist ({kind}) that names other files", "the video files themselves"
    text = getattr(error, "strerror", "") or str(error)
    return f"it is no video or picture of a known kind, or its beginning is lost ({text})", "a file that a player opens"


def _decode(container: av.container.InputContainer) -> Iterator[VideoFrame]:
    """All frames that decode, in order of presentation; damaged packets are passed over."""
    stream = _stream(container)
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            break
        if packet is None:
            break
        if packet.size == 0:  # a frame left out, or the end
            continue
        with suppress(av.FFmpegError):
            yield from packet.decode()
    yield from _rest(stream)


def _rest(stream: av.VideoStream) -> Iterator[VideoFrame]:
    """What the decoder still holds after the last packet; an error may stand between two frames."""
    for _ in range(_HELD):
        try:
            yield from stream.decode(None)
        except EOFError:
            return
        except av.FFmpegError:
            continue
        else:
            return


def _is_cut(container: av.container.InputContainer, stream: av.VideoStream, path: Path, shown: int, end: float) -> bool:
    """Does the header speak of more than the file holds? `end` s is where its last packet ends."""
    kind = container.format.name
    if kind.startswith("mov"):
        return any(entry.pos + entry.size > path.stat().st_size for entry in stream.index_entries)
    if kind == "avi":
        return stream.frames > shown
    if kind == "gif":
        with path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) != b";"  # the mark at every GIF's end
    if kind.startswith(("matroska", "flv")) and container.duration:
        return container.duration / av.time_base - end > max(0.25, 5 * _nominal_step(stream))
    return False


def _nominal_step(stream: av.VideoStream) -> float:
    rate = stream.average_rate or stream.guessed_rate
    return 1 / float(rate) if rate else 1 / 30


def _square_pixels(width: int, height: int, aspect: float) -> tuple[int, int]:
    """The size at which pixels of that width to height ratio become square; nothing is made smaller."""
    if not 0.2 < aspect < 5:
        return width, height
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


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
