"""Human3.6M as VideoPose3D stores it: `data_3d_h36m.npz`, `data_2d_h36m_DETECTOR.npz` and a camera table."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from training.datasets import videopose3d_files
from training.datasets.sequence import Sequence

HOLDER = "IMAR, http://vision.imar.ro/human3.6m/ (academic use)"
FPS = 50.0
LAYOUT = videopose3d_files.Layout(
    title="Human3.6M",
    name="h36m",
    table="h36m",
    holder=HOLDER,
    fps=FPS,
    skeleton="h36m-17",
    stored=32,
    kept=(0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27),
    detectors={
        "gt": "h36m-17",
        "cpn_ft_h36m_dbb": "h36m-17",
        "detectron_ft_h36m": "h36m-17",
        "detectron_pt_coco": "coco-17",
    },
    prepared="human36m",
)
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
    for sequence in videopose3d_files.read(LAYOUT, folder, detector, subjects, cameras):
        if (sequence.subject, sequence.action) != CORRUPT:
            yield sequence
