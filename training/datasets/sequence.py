"""What every reader gives: one person in front of one camera for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.datasets.cameras import Camera

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Sequence:
    """T frames of one person; what a data set does not have is None.

    The name parts are the data set's own. Camera axes: x right, y down, z forward.
    """

    subject: str
    action: str
    camera: str
    keypoints: Array | None  # (T,J,2) or, with a score, (T,J,3); in `units`
    joints: Array | None  # (T,K,3) metres in the camera's frame
    world: Array | None = None  # (T,K,3) metres in the world
    lens: Camera | None = None
    size: tuple[int, int] | None = None  # width, height of the picture in pixels
    fps: float | None = None
    skeleton_2d: str = "h36m-17"
    skeleton_3d: str = "h36m-17"
    valid: NDArray[np.bool_] | None = None  # (T,) frames with a truth that counts; None: all
    units: Literal["px", "normalised"] = "px"  # of keypoints and image_joints; normalised: halves of the width
    image_joints: Array | None = None  # (T,K,3) x, y and depth on the scale of the picture (MotionBERT's 2.5D)
    factor: Array | None = None  # (T,) mm of the truth per pixel of image_joints
    source: str = ""  # MotionBERT's name of the video
    frames: NDArray[np.int64] | None = None  # (T,) on the clock of all cameras of the scene; None: 0 to T-1

    @property
    def scene(self) -> str:
        """subject/action: what all cameras of one recording share."""
        return f"{self.subject}/{self.action}"

    @property
    def name(self) -> str:
        """subject/action/camera: what stored predictions are found by."""
        return f"{self.subject}/{self.action}/{self.camera}"

    def __len__(self) -> int:
        arrays = (self.keypoints, self.joints, self.world, self.image_joints)
        return next(len(array) for array in arrays if array is not None)
