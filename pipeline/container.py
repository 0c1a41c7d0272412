"""Opening local files that hold their own pictures, and what decodes from them, whatever is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
from av.video.frame import VideoFrame

from pipeline.errors import InputError

# Containers that hold their own pictures. Everything that names other files or addresses is left out: hls, dash,
# concat, image sequences, devices.
DEMUXERS = (
    "mov,matroska,webm,avi,gif,mpegts,mpeg,mpegvideo,flv,asf,ogg,m4v,h264,hevc,ivf,nut,mxf,dv,yuv4mpegpipe,apng,mjpeg"
)
_OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
_PLAYLISTS = {b"#EXTM3U": "m3u8", b"ffconcat": "ffconcat", b"<?xml": "XML", b"<MPD": "DASH", b"[playlist]": "pls"}
_HELD = 64  # frames that a decoder holds back at most
_ATTACHED = av.stream.Disposition.attached_pic


def opened(path: Path) -> av.container.InputContainer:
    """Open a local file that holds its own pictures. Raises InputError."""
    try:
        container = av.open(f"file:{path.resolve()}", options=_OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(f"cannot read {path}", *_why_unreadable(path, error)) from error
    if not any(_is_film(stream) for stream in container.streams.video):
        container.close()
        raise InputError(f"no video in {path}", "it holds sound or data only")
    return container


def film_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The first stream of moving pictures; a sound file's cover is none."""
    return next(stream for stream in container.streams.video if _is_film(stream))


def _is_film(stream: av.VideoStream) -> bool:
    return stream.codec_context is not None and not stream.disposition & _ATTACHED


def tags(path: Path) -> dict[str, str]:
    """What the file says of itself, of the whole and of its film. Raises InputError."""
    with opened(path) as container:
        return {**container.metadata, **film_stream(container).metadata}


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


def decode(container: av.container.InputContainer) -> Iterator[VideoFrame]:
    """All frames that decode, in order of presentation; damaged packets are passed over.

    So are frames that the decoder made up in part. Those without times stay: all after them would move.
    """
    return (frame for frame in _decoded(container) if not frame.is_corrupt or frame.pts is None)


def _decoded(container: av.container.InputContainer) -> Iterator[VideoFrame]:
    stream = film_stream(container)
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, IndexError):  # the latter of a stream that was not there when the file was opened
            break
        if packet is None:
            break
        if packet.size == 0:  # a frame left out, or the end
            continue
        with suppress(av.FFmpegError):
            yield from packet.decode()
    yield from _rest(stream)


def decode_from(container: av.container.InputContainer, tick: int) -> Iterator[VideoFrame]:
    """What decodes after seeking to that time; nothing where the container cannot seek."""
    try:
        container.seek(tick, stream=film_stream(container), backward=True)
    except av.FFmpegError:
        return iter(())
    return decode(container)


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


def is_cut(container: av.container.InputContainer, stream: av.VideoStream, path: Path, shown: int, end: float) -> bool:
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
        return container.duration / av.time_base - end > max(0.25, 5 * nominal_step(stream))
    return False


def nominal_step(stream: av.VideoStream) -> float:
    rate = stream.average_rate or stream.guessed_rate
    return 1 / float(rate) if rate else 1 / 30
