"""Clips: videos, GIFs, folders of pictures and single pictures, all read the same way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

import cv2
import numpy as np

from pipeline.ahead import ahead
from pipeline.errors import InputError
from pipeline.results import Array, ClipInfo, Planes
from pipeline.sources import IMAGES, natural

_QUEUE_BYTES = 64_000_000


class _Source(Protocol):
    info: ClipInfo
    sound: bool

    def pictures(
        self, start: int, stop: int, size: tuple[int, int] | None, planes: bool = False
    ) -> Iterator[Array | Planes]: ...

    def close(self) -> None: ...


class Clip:
    """An opened clip: `info` and its frames. May be read from several threads."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._near: tuple[int, Iterator[Array]] | None = None  # the iterator that gives this index next

    @property
    def info(self) -> ClipInfo:
        """What is known of the clip; reading frames may add a warning."""
        return self._source.info

    @property
    def sound(self) -> bool:
        """Whether the file holds a sound track."""
        return self._source.sound

    def __len__(self) -> int:
        return len(self.info.times)

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what `read` keeps open; the clip stays usable."""
        with self._lock:
            self._near = None
        self._source.close()

    def frames(
        self, start: int = 0, stop: int | None = None, size: tuple[int, int] | None = None, planes: bool = False
    ) -> Iterator[Array | Planes]:
        """Frames start..stop-1 as (H,W,3) uint8 BGR, upright, decoded ahead in a thread.

        Args:
            start: first index.
            stop: one past the last index; None: the end.
            size: (width, height) px to scale to while decoding, which is cheaper than scaling afterwards.
            planes: where the file stores limited-range 4:2:0 pictures give their planes Y, U and V, to be read only,
                without turning them into colours; elsewhere BGR all the same.

        Raises:
            IndexError: the range does not lie within the clip.
            InputError: the file vanished or changed (the first reading may still get it: opening keeps it open).
        """
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"frames {start} to {stop} of a clip with {len(self)}")
        if start == stop:
            return iter(())
        width, height = size or (self.info.width, self.info.height)
        depth = int(np.clip(_QUEUE_BYTES // (width * height * 3), 2, 16))
        return ahead(lambda: self._source.pictures(start, stop, size, planes), depth)

    def read(self, index: int) -> Array:
        """Frame `index` as (H,W,3) uint8 BGR, found by seeking; reading onwards from there is cheap.

        Raises:
            IndexError: there is no such frame.
            InputError: the file vanished or changed.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of a clip with {len(self)}")
        with self._lock:
            if self._near is None or self._near[0] != index:
                self._near = index, self._source.pictures(index, len(self), None)
            onward = self._near[1]
            self._near = None
            picture = next(onward)
            self._near = index + 1, onward
        return picture


def open_clip(path: str | Path, fps: float = 30.0) -> Clip:
    """Open a local video, GIF, picture, or folder of pictures (sorted naturally and shown at `fps`).

    Raises:
        InputError: missing, empty, unreadable, a playlist or an address, without pictures.
    """
    path = Path(path)
    if path.is_dir():
        return Clip(_Pictures(_in_folder(path), path, fps))
    if not path.is_file():
        raise InputError(f"there is no file {path}", hint="check the name; addresses and devices are not read")
    if path.stat().st_size == 0:
        raise InputError(f"cannot read {path}", "the file is empty")
    if path.suffix.lower() in IMAGES:
        return Clip(_Pictures([path], path, fps))
    from pipeline.video import Video

    return Clip(Video(path))


def _in_folder(path: Path) -> list[Path]:
    files = [p for p in path.iterdir() if p.suffix.lower() in IMAGES and p.is_file() and not p.name.startswith(".")]
    if not files:
        raise InputError(f"no pictures in the folder {path}", f"looked for {' '.join(sorted(IMAGES))}")
    return sorted(files, key=natural)


class _Pictures:
    """Image files as the frames of a clip; all must have the size of the first."""

    sound = False

    def __init__(self, files: list[Path], path: Path, fps: float) -> None:
        self.files = files
        height, width = _load(files[0]).shape[:2]
        times = np.arange(len(files)) / fps
        told = (f"pictures carry no times; shown at {fps:g} frames per second",) if len(files) > 1 else ()
        names = tuple(file.name for file in files)
        self.info = ClipInfo(str(path), width, height, times, float(fps), warnings=told, names=names)

    def close(self) -> None:
        """Nothing is kept open."""

    def pictures(self, start: int, stop: int, size: tuple[int, int] | None, planes: bool = False) -> Iterator[Array]:
        expected = self.info.width, self.info.height
        for file in self.files[start:stop]:
            picture = _load(file)
            if picture.shape[1::-1] != expected:
                have = "{} x {}".format(*picture.shape[1::-1])
                raise InputError(f"{file} is {have}", "the first picture is {} x {}".format(*expected))
            yield picture if size is None else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _load(file: Path) -> Array:
    """(H,W,3) uint8 BGR, turned upright by its EXIF note, transparency on white. Raises InputError."""
    try:
        data = np.fromfile(file, np.uint8)  # cv2.imread cannot open every file name
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
        raw = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) and _may_be_clear(data) else None
    except (OSError, cv2.error) as error:
        raise InputError(f"cannot read {file}", str(error).strip().splitlines()[-1]) from error
    if picture is None:
        raise InputError(f"cannot read {file}", "it is no picture, or it is damaged" if len(data) else "it is empty")
    if raw is not None and raw.ndim == 3 and raw.shape[2] == 4 and raw.shape[:2] == picture.shape[:2]:
        from pipeline.pixels import on_white

        return on_white(raw if raw.dtype == np.uint8 else (raw >> 8).astype(np.uint8))
    return picture


def _may_be_clear(data: Array) -> bool:
    start = data[:4].tobytes()
    return start in (b"\x89PNG", b"RIFF", b"II*\0", b"MM\0*")
