"""Videos through PyAV: which frames a file holds, when they are shown, and their pictures.

Opening reads the packets' timestamps without decoding. Only where these cannot be trusted (damaged or cut files, codecs
with packets that show nothing, no timestamps) the whole file is decoded once to learn what it really gives.
"""

from __future__ import annotations

import contextlib
import itertools
from bisect import bisect_left
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from pipeline.container import decode, decode_from, film_stream, is_cut, nominal_step, opened
from pipeline.errors import InputError
from pipeline.pixels import Converter
from pipeline.results import Array, ClipInfo, Planes

# In these a packet may show no picture of its own (hidden references, packed or dropped frames); AVI, too, knows no
# order of presentation.
_UNEVEN_CODECS = {"vp8", "mpeg4", "msmpeg4v3", "wmv3", "vc1", "mpeg2video"}
_PROBED = 12  # frames decoded at opening to see whether they come as the packets say
_KEPT_BYTES = 64 << 20  # of these frames that the first reading may go on from


@dataclass(frozen=True)
class _Packets:
    """What the demuxer tells: presentation times in ticks (sorted), key frames among them, and what looked wrong."""

    shown: list[int]
    keys: list[int]
    complete: bool  # every packet had a time of its own
    faults: list[str]


@dataclass(frozen=True)
class _Begun:
    """A decoder that has begun, and all frames that it gives, the first ones decoded already."""

    container: av.container.InputContainer
    frames: Iterator[VideoFrame]


class Video:
    """One video file. `info` is known at once; pictures are decoded on demand.

    The first reading from the beginning goes on with the decoder that opening began with.
    """

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            InputError: not a video, no video stream, no picture in it, or a playlist.
        """
        self.path = path
        self._threads = "AUTO"
        self._begun: list[_Begun] = []  # at most one; a list, since pop is atomic
        container = self._open()
        packets = self._scan(container)
        if packets.faults:
            self._threads = "SLICE"  # with frame threads an error also swallows its neighbours
        probe = self._probe(self._rewound(container, packets))
        self._ticks, self._keys, self._by_order = packets.shown, packets.keys, False
        expected = packets.shown[: len(probe)]
        even = packets.complete and not self._uneven and [frame.pts for frame in probe] == expected
        faults = list(packets.faults)
        if faults or not even:
            self.close()
            self._learn_by_decoding()
        if faults:
            faults.append(f"frames that can be decoded: {len(self._ticks)}")
        self.info = self._describe(probe[0], faults)

    def close(self) -> None:
        """Let go of the decoder that waits for the first reading."""
        while self._begun:
            self._begun.pop().container.close()

    def _open(self) -> av.container.InputContainer:
        container = opened(self.path)
        film_stream(container).thread_type = self._threads
        return container

    # ---- what the file holds --------------------------------------------------------------------------------------

    def _scan(self, container: av.container.InputContainer) -> _Packets:
        """Read all packets without decoding."""
        shown, keys, faults, untimed, end = [], [], [], False, 0.0
        stream = film_stream(container)
        self._tick, self._step = float(stream.time_base or 0), nominal_step(stream)
        self._aspect = float(stream.sample_aspect_ratio or 1)
        self.sound = bool(container.streams.audio)
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
        except IndexError:  # PyAV's, for a packet of a stream that was not there when the file was opened
            faults.append("the file is damaged: a stream begins in its middle")
        if not faults and is_cut(container, stream, self.path, len(shown), end):
            faults.append("the file is cut: it ends sooner than its header says")
        complete = not untimed and len(set(shown)) == len(shown) > 0
        return _Packets(sorted(shown), sorted(keys), complete, faults[:1])

    def _rewound(self, container: av.container.InputContainer, packets: _Packets) -> av.container.InputContainer:
        """The container at its beginning: gone back where that is exact, else opened anew, which decodes a frame."""
        if not packets.faults and packets.shown and container.format.name.startswith(("mov", "matroska")):
            with contextlib.suppress(av.FFmpegError):
                container.seek(packets.shown[0], stream=film_stream(container), backward=True)
                return container
        container.close()
        return self._open()

    def _probe(self, container: av.container.InputContainer) -> list[VideoFrame]:
        """The first frames, at least one."""
        decoded = decode(container)
        frames = list(itertools.islice(decoded, _PROBED))
        if sum(plane.buffer_size for frame in frames for plane in frame.planes) <= _KEPT_BYTES:
            self._begun.append(_Begun(container, itertools.chain(iter(frames), decoded)))
        else:
            container.close()
        if not frames:
            self.close()
            raise InputError(f"no picture in {self.path}", "its video stream holds no frame that can be decoded")
        return frames

    def _learn_by_decoding(self) -> None:
        """Decode everything once. Where frames carry no usable times they are known by their order from now on."""
        with self._open() as container:
            ticks = [frame.pts for frame in decode(container)]
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

    def pictures(
        self, start: int, stop: int, size: tuple[int, int] | None, planes: bool = False
    ) -> Iterator[Array | Planes]:
        """Frames start..stop-1 as (H,W,3) uint8 BGR, or as stored planes, exactly `stop - start` of them.

        A frame that opening promised and that does not decode now is replaced by the one before it, with a warning.
        """
        convert = Converter(self._size, self._turns, size, planes and size is None)
        last = picture = None
        with contextlib.closing(self._filled(start, stop)) as frames:
            for frame in frames:
                picture = picture if frame is last else convert(frame)
                last = frame
                yield picture

    def _filled(self, start: int, stop: int) -> Generator[VideoFrame]:
        """Frames start..stop-1; in place of one that does not decode the one before it, of the first ones the next."""
        last, done, missing = None, start, 0
        with contextlib.closing(self._numbered(start)) as frames:
            for index, frame in frames:
                if index >= stop:
                    break
                if index >= start:
                    missing += index - done
                    yield from itertools.repeat(last or frame, index - done)
                    yield frame
                    done = index + 1
                last = frame
        if last is None:
            raise InputError(f"cannot read {self.path}", f"frame {start} does not decode")
        missing += stop - done
        yield from itertools.repeat(last, stop - done)
        if missing:
            self._tell(f"frames that could not be decoded: {missing}; the one before stands in for each")

    def _tell(self, warning: str) -> None:
        if warning not in self.info.warnings:
            self.info = replace(self.info, warnings=(*self.info.warnings, warning))

    def _numbered(self, start: int) -> Generator[tuple[int, VideoFrame]]:
        """Frames with their index, increasing, from `start` or an earlier key frame on."""
        for key in self._keys_before(start):
            with self._open() as container:
                frames = self._known(decode_from(container, key))
                first = next(frames, None)
                if first is not None and first[0] <= start:
                    yield from itertools.chain([first], frames)
                    return
        begun = self._beginning()
        with begun.container:
            yield from enumerate(begun.frames) if self._by_order else self._known(begun.frames)

    def _keys_before(self, start: int) -> list[int]:
        """Times of key frames from which `start` can be decoded: the last one shown before it, and one farther back.

        Seeking is inexact in some containers. Not those that are the beginning of the file.
        """
        last = bisect_left(self._keys, self._ticks[start] + 1) - 1 if not self._by_order else 0
        return [self._keys[place] for place in (last, last - 5) if place > 0]

    def _beginning(self) -> _Begun:
        """A decoder at the first frame: the one that opening began with, or another."""
        with contextlib.suppress(IndexError):
            return self._begun.pop()
        container = self._open()
        return _Begun(container, decode(container))

    def _known(self, frames: Iterator[VideoFrame]) -> Iterator[tuple[int, VideoFrame]]:
        last = -1
        for frame in frames:
            index = bisect_left(self._ticks, frame.pts) if frame.pts is not None else len(self._ticks)
            if last < index < len(self._ticks) and self._ticks[index] == frame.pts:
                last = index
                yield index, frame


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
