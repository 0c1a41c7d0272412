"""2D track to 3D motion. A lifter is one class in one file, found by name in `LIFTERS` and imported when chosen."""

from __future__ import annotations

LIFTERS = {"videopose3d": "lifters.videopose3d:VideoPose3D", "blazepose": "lifters.blazepose:BlazePoseWorld"}
