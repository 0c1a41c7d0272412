"""Small clips that tests write: every frame tells its index."""

import struct
from fractions import Fraction

import av
import numpy as np


def picture(index, width=96, height=64):
    """A frame that tells its index: a bright bar whose left edge is at 2 * index, on a dark ramp."""
    out = np.zeros((height, width, 3), np.uint8)
    out[:, :, 0] = np.linspace(0, 60, height)[:, None]
    out[:, 2 * index : 2 * index + 10] = (40, 230, 230)
    return out


def bar(frame):
    """The index that `picture` drew, read back."""
    columns = frame[..., 1].astype(float).mean(axis=0)
    return round(float(np.flatnonzero(columns > 130)[0]) / 2)


def write(path, codec="libx264", pix_fmt="yuv420p", ticks=None, rate=30, count=30, size=(96, 64), options=None):
    """A clip of `count` pictures; `ticks` (in 1/1000 s) gives them times of their own."""
    with av.open(str(path), "w", options=options or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        if ticks is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="bgr24").reformat(format=pix_fmt)
            if ticks is not None:
                frame.pts, frame.time_base = ticks[index], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def turned(path, degrees):
    """Write a quarter-turn matrix into the track header of an MP4."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix comes 40 bytes after the name
    one = 1 << 16
    matrix = {
        0: (one, 0, 0, one),
        90: (0, one, -one, 0),
        180: (-one, 0, 0, -one),
        270: (0, -one, one, 0),
    }[degrees]
    a, b, c, d = matrix
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path
