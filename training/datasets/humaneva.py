"""HumanEva-I as VideoPose3D stores it: `data_3d_humaneva15.npz`, `data_2d_humaneva15_DETECTOR.npz`, a camera table."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from training.datasets import videopose3d_files
from training.datasets.sequence import Sequence

LAYOUT = videopose3d_files.Layout(
    title="HumanEva-I",
    name="humaneva15",
    table="humaneva",
    holder="the Max Planck Institute for Intelligent Systems, http://humaneva.is.tue.mpg.de/ (research use)",
    fps=60.0,
    skeleton="humaneva-15",
    stored=15,
    kept=tuple(range(15)),
    detectors={"gt": "humaneva-15", "detectron_pt_coco": "coco-17"},
)


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
    return videopose3d_files.read(LAYOUT, folder, detector, subjects, cameras)
