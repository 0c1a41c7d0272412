"""2D track to 3D motion. A lifter is one class in one file, found by name in `LIFTERS` and imported when chosen.

All are made with `weights`, a file in the place of what their card names. A name in `RELEASED` stands for another class
when that file is a checkpoint of the method's authors, which PyTorch opens.
"""

from __future__ import annotations

LIFTERS = {
    "videopose3d": "lifters.videopose3d:VideoPose3D",
    "rie": "lifters.rie:RIELifter",
    "pstmo": "lifters.pstmo:PSTMOLifter",
    "pstmo-fast": "lifters.pstmo:FastPSTMOLifter",
    "motionbert": "lifters.motionbert:MotionBERTLifter",
    "blazepose": "lifters.blazepose:BlazePoseWorld",
}
RELEASED = {"videopose3d": "lifters.videopose3d_released:ReleasedVideoPose3D"}
