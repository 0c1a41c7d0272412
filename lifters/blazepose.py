"""The lifter `blazepose`: the detector's own 3D landmarks, as they are. A baseline, and nothing to load."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.errors import UsageError
from pipeline.results import Array, Camera, Motion3D, Track2D
from pipeline.skeletons import blazepose_to_h36m


class BlazePoseWorld:
    """Takes the world landmarks that came with the 2D.

    Raises:
        UsageError: weights are given.
    """

    name = "blazepose"
    weights = ()

    def __init__(self, weights: Path | None = None) -> None:
        if weights is not None:
            raise UsageError(f"the lifter {self.name} takes no weights", f"given: {weights}", "another --lifter")

    def lift(self, track: Track2D, camera: Camera, times: Array) -> Motion3D:
        """Pelvis-relative joints (T,23,3) in metres and camera axes; NaN where the detector saw nobody.

        Raises:
            UsageError: the track has no world landmarks.
        """
        if track.world is None:
            raise UsageError(
                f"the 2D of {track.skeleton} has no 3D landmarks", "this lifter passes them on", "--lifter videopose3d"
            )
        joints = blazepose_to_h36m(track.world.astype(np.float32))
        joints = joints - joints[:, :1]
        known = np.isfinite(joints).all(axis=(1, 2)) & np.asarray(track.observed)
        joints[~known] = np.nan
        scores = blazepose_to_h36m(track.scores[..., None])[..., 0] * known[:, None]
        return Motion3D(
            id=track.id, skeleton="h36m-23", frame="root", frames=track.frames, joints=joints,
            scores=np.clip(np.nan_to_num(scores), 0, 1).astype(np.float32),
            root=np.full((len(track), 3), np.nan, np.float32), observed=track.observed,
        )  # fmt: skip
