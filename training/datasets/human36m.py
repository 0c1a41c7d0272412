"""Human3.6M as VideoPose3D stores it: `data_3d_h36m.npz`, `data_2d_h36m_DETECTOR.npz` and a camera table."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.skeletons import skeleton
from training.datasets import calibration
from training.datasets.arrays import require
from training.datasets.sequence import Sequence
from training.datasets.videopose3d_files import walk

HOLDER = "IMAR, http://vision.imar.ro/human3.6m/ (academic use)"
FPS = 50.0
KEPT = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)  # of 32 joints, in the order of h36m-17
LAYOUTS = {
    "gt": "h36m-17",
    "cpn_ft_h36m_dbb": "h36m-17",
    "detectron_ft_h36m": "h36m-17",
    "detectron_pt_coco": "coco-17",
}
CORRUPT = ("S11", "Directions")  # its video is damaged; no paper uses it


def read(
    folder: Path, detector: str = "gt", subjects: Collection[str] | None = None, cameras: Path | None = None
) -> Iterator[Sequence]:
    """Every motion in front of each of its four cameras, one after another.

    Args:
        detector: where the 2D comes from: gt, cpn_ft_h36m_dbb, detectron_ft_h36m or detectron_pt_coco.
        subjects: like S9; none: all.
        cameras: the camera table (see `calibration`); none: the one in the folder.

    Raises:
        InputError: a file that is missing (named, with the licence holder's address), damaged or laid out differently.
    """
    if detector not in LAYOUTS:
        raise InputError(f"Human3.6M has no 2D called {detector}", f"known: {', '.join(LAYOUTS)}")
    motions = require(folder / "data_3d_h36m.npz", HOLDER)
    keypoints = require(folder / f"data_2d_h36m_{detector}.npz", HOLDER)
    table = cameras or calibration.find(folder, "h36m")
    places = calibration.load_cameras(table, "h36m")
    layout = LAYOUTS[detector]
    for subject, action, joints, views in walk(motions, keypoints, 32, skeleton(layout), subjects):
        if (subject, action) == CORRUPT:
            continue
        if len(places.get(subject, ())) != len(views):
            raise InputError(
                f"{table} has {len(places.get(subject, ()))} cameras of {subject}, {keypoints.name} {len(views)}"
            )
        world = joints[:, KEPT].astype(np.float64)
        for lens, view in zip(places[subject], views, strict=True):
            yield Sequence(
                subject, action, lens.name, view, lens.to_camera(world), world, lens, lens.size, FPS, layout, "h36m-17"
            )
