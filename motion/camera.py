"""The camera of a clip, from what the user says, the file says, or a stated default."""

from __future__ import annotations

import math

import numpy as np

from pipeline.errors import UsageError
from pipeline.results import Camera

DEFAULT_FOV_DEG = 60.0
"""Across the longer side. Phones' main cameras see 65 to 70 degrees in photos; video loses 10 to 20 % of that to
stabilisation, and action cameras (wider) and television (narrower) lie on either side."""


def default_camera(
    size: tuple[int, int],
    fov_deg: float | None = None,
    focal_px: float | None = None,
    metadata_focal_px: float | None = None,
) -> Camera:
    """A camera without distortion, its axis through the middle of the picture; `source` tells where f came from.

    Args:
        size: (w, h) px after rotation.
        fov_deg: field of view across the longer side of the picture, degrees.
        focal_px: focal length in px; the first of `focal_px`, `fov_deg`, `metadata_focal_px` that is given counts.
        metadata_focal_px: what the file's metadata say.

    Raises:
        UsageError: both `fov_deg` and `focal_px`, or a value that no camera has.
    """
    if fov_deg is not None and focal_px is not None:
        raise UsageError("--fov and --focal say the same thing twice", hint="give one of them")
    if fov_deg is not None and not 1 <= fov_deg <= 175:
        raise UsageError(f"a field of view of {fov_deg:g} degrees", "expected 1 to 175, across the longer side")
    if focal_px is not None and not (math.isfinite(focal_px) and focal_px > 0):
        raise UsageError(f"a focal length of {focal_px:g} px", "expected a positive number of pixels")
    longer = max(size)
    if focal_px is not None:
        focal, source = focal_px, "given: focal length"
    elif fov_deg is not None:
        focal, source = _focal(longer, fov_deg), f"given: {fov_deg:g} degrees across the longer side"
    elif metadata_focal_px is not None and math.isfinite(metadata_focal_px) and metadata_focal_px > 0:
        focal, source = metadata_focal_px, "file metadata"
    else:
        focal, source = _focal(longer, DEFAULT_FOV_DEG), f"default: {DEFAULT_FOV_DEG:g} degrees across the longer side"
    width, height = size
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])
    return Camera(matrix=matrix, size=(width, height), source=source)


def _focal(pixels: int, fov_deg: float) -> float:
    return 0.5 * pixels / math.tan(math.radians(fov_deg) / 2)
