"""The sound of a clip, where it has one."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from pipeline.container import film_stream, opened
from pipeline.errors import InputError
from pipeline.results import Array

RATE = 16_000  # Hz, mono: enough for telling when something is heard


def read_sound(path: Path) -> tuple[Array, float, float] | None:
    """Samples (N,) float32, their rate in Hz, and when the first is heard, in s from the first picture.

    None where there is no sound or none that decodes; a picture has none.
    """
    try:
        container = opened(path)
    except InputError:
        return None
    with container:
        if not container.streams.audio:
            return None
        shown = film_stream(container)
        picture = float((shown.start_time or 0) * shown.time_base)
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        parts, begin = [], None
        try:
            for frame in container.decode(container.streams.audio[0]):
                if begin is None:
                    begin = frame.time or 0.0
                parts += [out.to_ndarray()[0] for out in resampler.resample(frame)]
            parts += [out.to_ndarray()[0] for out in resampler.resample(None)]
        except av.FFmpegError:
            pass  # what came before the damage is sound all the same
    return (np.concatenate(parts), float(RATE), begin - picture) if parts and begin is not None else None
