"""What a camera wrote into its file about its lens."""

from __future__ import annotations

import struct
from pathlib import Path

from pipeline.results import ClipInfo
from pipeline.sources import IMAGES, natural

_WIDTH_35MM, _HEIGHT_35MM = 36.0, 24.0  # mm
_EXIF_IFD, _FOCAL_35MM = 0x8769, 0xA405  # tags of TIFF/EXIF
_APPLE_KEY = "com.apple.quicktime.camera.focal_length.35mm_equivalent"


def focal_from_metadata(path: str | Path, info: ClipInfo) -> float | None:
    """Focal length in px of the clip's frames, from the 35 mm equivalent that the camera noted; None: no such note.

    The equivalent compares diagonals, as EXIF 2.3 (CIPA DC-008) asks for.
    """
    path = Path(path)
    if path.is_dir():
        path = next((p for p in sorted(path.iterdir(), key=natural) if p.suffix.lower() in IMAGES), path)
    millimetres = _of_picture(path) if path.suffix.lower() in IMAGES else _of_video(path)
    if not millimetres or not 5 <= millimetres <= 2000:
        return None
    return millimetres * (info.width**2 + info.height**2) ** 0.5 / (_WIDTH_35MM**2 + _HEIGHT_35MM**2) ** 0.5


def _of_video(path: Path) -> float | None:
    from pipeline.container import tags

    value = tags(path).get(_APPLE_KEY, "")
    try:
        return float(value)
    except ValueError:
        return None


def _of_picture(path: Path) -> float | None:
    with path.open("rb") as file:
        data = file.read(1 << 17)  # EXIF lies in the first segment, which holds at most 64 kB
    start = data.find(b"Exif\0\0")
    if start < 0:
        return None
    try:
        return _focal_of_exif(data[start + 6 :])
    except struct.error:  # cut or damaged
        return None


def _focal_of_exif(exif: bytes) -> float | None:
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return None
    first = _directory(exif, struct.unpack_from(order + "I", exif, 4)[0], order)
    if _EXIF_IFD not in first:
        return None
    offset = struct.unpack_from(order + "I", exif, first[_EXIF_IFD])[0]
    detail = _directory(exif, offset, order)
    return float(struct.unpack_from(order + "H", exif, detail[_FOCAL_35MM])[0]) if _FOCAL_35MM in detail else None


def _directory(exif: bytes, offset: int, order: str) -> dict[int, int]:
    """Tag -> where its value lies."""
    count = struct.unpack_from(order + "H", exif, offset)[0]
    places = [offset + 2 + 12 * entry for entry in range(count)]
    return {struct.unpack_from(order + "H", exif, place)[0]: place + 8 for place in places}
