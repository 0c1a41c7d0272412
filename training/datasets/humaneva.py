"""HumanEva-I as VideoPose3D stores it: `data_3d_humaneva15.npz`, `data_2d_humaneva15_DETECTOR.npz`, a camera table."""

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

HOLDER = "the Max Planck Institute for Intelligent Systems, http://humaneva.is.tue.mpg.de/ (research use)"
FPS = 60.0
LAYOUTS = {"gt": "humaneva-15", "detectron_pt_coco": "coco-17"}


def read(
    folder: Path,
    detector: str = "detectron_pt_coco",
    subjects: Collection[str] | None = None,
    cameras: Path | None = None,
) -> Iterator[Sequence]:
    """Every chunk of motion in front of each of its three cameras; their lenses are not known.

    Args:
        detector: where the 2D comes from: detectron_pt_coco or gt.
        subjects: like Train/S1 or Validate/S2; none: all.
        cameras: the camera table (see `calibration`); none: the one in the folder.

    Raises:
        InputError: a file that is missing (named, with the licence holder's address), damaged or laid out differently.
    """
    if detector not in LAYOUTS:
        raise InputError(f"HumanEva has no 2D called {detector}", f"known: {', '.join(LAYOUTS)}")
    motions = require(folder / "data_3d_humaneva15.npz", HOLDER)
    keypoints = require(folder / f"data_2d_humaneva15_{detector}.npz", HOLDER)
    table = cameras or calibration.find(folder, "humaneva")
    places = calibration.load_cameras(table, "humaneva")
    layout = LAYOUTS[detector]
    for subject, action, joints, views in walk(motions, keypoints, 15, skeleton(layout), subjects):
        person = subject.rpartition("/")[2]
        if len(places.get(person, ())) != len(views):
            raise InputError(
                f"{table} has {len(places.get(person, ()))} cameras of {person}, {keypoints.name} {len(views)}"
            )
        world = joints.astype(np.float64)
        for lens, view in zip(places[person], views, strict=True):
            yield Sequence(
                subject,
                action,
                lens.name,
                view,
                lens.to_camera(world),
                world,
                lens,
                lens.size,
                FPS,
                layout,
                "humaneva-15",
            )
