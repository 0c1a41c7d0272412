"""EgoBody: people filmed by five Kinects that stand and by one head-mounted camera that moves with its wearer.

How MDVPose's authors prepared it was not published. The layout here is this project's own: a folder `train` or `test`
of .npz files, one for each recording and person, that V cameras see on one clock of T frames:

    views      (V,)          names; the Kinects' begin with `kinect`, as `kinect_master`, the other is `egocentric`
    size       (V,2)         width, height px
    matrix     (V,3,3)       px; NaN where the lens is not known. Pictures are without distortion
    keypoints  (V,T,17,3)    x, y px and score, the joints of Human3.6M
    joints     (V,T,17,3)    m in the axes of each camera
    seen       (V,T) bool    frames that the view has and sees the person in; what else holds there is ignored
    fps        ()            frames per second

The file's name is the action, a text `subject` in it names the person; `joints` may be NaN where there is no truth.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from training.datasets.arrays import numbers, require
from training.datasets.cameras import Camera
from training.datasets.sequence import Sequence
from training.datasets.unpickle import load_npz

HOLDER = "ETH Zurich, https://egobody.ethz.ch (research use, after registration)"
KEYS = ("views", "size", "matrix", "keypoints", "joints", "seen", "subject", "fps")
ABSENT = np.array([0.0, 0.0, 1.0])  # m, stands where there is no truth; in front of the camera


def read(folder: Path, views: Collection[str] = ()) -> Iterator[Sequence]:
    """Every recording in front of each of its cameras, one after another, the frames that a camera has.

    Args:
        folder: of one part, with its .npz files.
        views: by the beginnings of their names; none: all.

    Raises:
        InputError: no such files (the licence holder's address is told), or damaged or laid out differently.
    """
    paths = sorted(require(folder, HOLDER).glob("*.npz"))
    if not paths:
        raise InputError(f"no recordings in {folder}", f"the data set is offered by {HOLDER}", "see docs/datasets.md")
    for path in paths:
        yield from _recording(path, tuple(views) or ("",))


def _recording(path: Path, wanted: tuple[str, ...]) -> Iterator[Sequence]:
    data = load_npz(path, KEYS)
    names = [str(name) for name in np.ravel(data["views"])]
    count = len(names)
    keypoints = numbers(data["keypoints"], path, "keypoints", count, None, 17, 3)
    joints = numbers(data["joints"], path, "joints", count, keypoints.shape[1], 17, 3)
    seen = numbers(data["seen"], path, "seen", count, keypoints.shape[1]).astype(bool)
    size, matrix = (numbers(data[key], path, key, count, *s) for key, s in (("size", (2,)), ("matrix", (3, 3))))
    fps, subject = float(numbers(data["fps"], path, "fps")), str(data["subject"])
    for view, name in enumerate(names):
        rows = np.flatnonzero(seen[view])
        if not name.startswith(wanted) or not len(rows):
            continue
        width, height = (int(number) for number in size[view])
        points, truth = keypoints[view, rows].astype(np.float64), joints[view, rows].astype(np.float64)
        valid = np.isfinite(truth).all((1, 2))
        yield Sequence(
            subject, path.stem, name, points, np.where(valid[:, None, None], truth, ABSENT),
            lens=_lens(name, (width, height), matrix[view]), size=(width, height), fps=fps, valid=valid, frames=rows,
        )  # fmt: skip


def _lens(name: str, size: tuple[int, int], matrix: np.ndarray) -> Camera | None:
    """Where the camera is, is not told: it is taken to be the world."""
    if not np.isfinite(matrix).all():
        return None
    focal, centre = np.diag(matrix)[:2].astype(float), matrix[:2, 2].astype(float)
    return Camera(name, size, np.array([1.0, 0, 0, 0]), np.zeros(3), focal, centre, np.zeros(3), np.zeros(2))
