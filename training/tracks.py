"""Many tracks end to end on one device, and windows of them: what recipes in metres learn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import InputError
from pipeline.skeletons import skeleton
from training.datasets import filmed, human36m
from training.datasets.cameras import normalise_screen
from training.datasets.sequence import Sequence
from training.mocap import TEST_SUBJECTS

TRAINED, TESTED = ("S1", "S5", "S6", "S7", "S8"), ("S9", "S11")  # of Human3.6M, in all papers
MIRRORED_LENS = (1, 1, -1, 1, 1, 1, 1, -1, 1)  # what a mirrored picture does to fx, fy, cx, cy, k1, k2, k3, p1, p2


def read(data: Path, part: Literal["train", "test"], keypoints: str = "gt", cameras: int = 4) -> Iterator[Sequence]:
    """The sequences of a folder of Human3.6M's files, or of `open_mocap.npz` filmed by random cameras.

    Args:
        part: subjects that the papers train or test on; of motion capture, those that are kept for testing or not.
        keypoints: Human3.6M's 2D (see `human36m.read`); motion capture's is exact.
        cameras: that film every clip of motion capture.

    Raises:
        InputError: files that are missing, damaged or laid out differently.
    """
    if data.is_file() and not data.name.startswith("data_"):
        yield from filmed.read(data, cameras, wanted=lambda subject: (subject in TEST_SUBJECTS) == (part == "test"))
    else:
        folder = data.parent if data.is_file() else data
        yield from human36m.read(folder, keypoints, TRAINED if part == "train" else TESTED)


class Windows(NamedTuple):
    """B windows of T frames."""

    keypoints: Tensor  # (B,T,J,2) in halves of the picture's width
    joints: Tensor  # (B,T,17,3) m in the camera's frame, the root where it is
    lens: Tensor  # (B,9) see `Camera.intrinsic`

    @property
    def relative(self) -> Tensor:
        """(B,T,17,3) m, joints minus the root."""
        return self.joints - self.joints[:, :, :1]


class Tracks:
    """N frames, and each once more in the mirror: samples N to 2N.

    Raises:
        InputError: nothing to learn from, or tracks of different skeletons or frame rates.
    """

    def __init__(self, sequences: Iterable[Sequence], device: torch.device | str = "cpu") -> None:
        points, joints, lenses, layouts, rates = [], [], [], set(), set()
        for sequence in sequences:
            points.append(screen(sequence).astype(np.float32))
            joints.append(sequence.joints.astype(np.float32))
            lenses.append(sequence.lens.intrinsic().astype(np.float32))
            layouts.add(sequence.skeleton_2d)
            rates.add(sequence.fps)
        if len(layouts) != 1 or not sum(map(len, points)):
            raise InputError("no tracks to learn from", f"layouts of 2D: {', '.join(sorted(layouts)) or 'none'}")
        lengths = torch.tensor([len(track) for track in points])
        ends = lengths.cumsum(0)
        self.keypoints = torch.from_numpy(np.concatenate(points)).to(device)
        self.joints = torch.from_numpy(np.concatenate(joints)).to(device)
        self.lenses = torch.from_numpy(np.stack(lenses)).to(device)
        self.track = torch.repeat_interleave(torch.arange(len(lengths)), lengths).to(device)
        self.first, self.last = (ends - lengths).to(device), (ends - 1).to(device)
        self.layout, self.fps = layouts.pop(), one_rate(rates)
        self.mirror_2d = torch.tensor(skeleton(self.layout).mirror, device=device)
        self.mirror_3d = torch.tensor(skeleton("h36m-17").mirror, device=device)

    @property
    def samples(self) -> int:
        """Frames, mirrored ones too."""
        return 2 * len(self.keypoints)

    def windows(self, rows: Tensor, offsets: Tensor) -> Windows:
        """Frames at `offsets` (T,) from each sample of `rows` (B,); beyond its ends a track stands still."""
        mirrored = rows >= len(self.keypoints)
        middle = torch.where(mirrored, rows - len(self.keypoints), rows)
        track = self.track[middle]
        frames = middle[:, None] + offsets.to(middle)
        frames = torch.maximum(torch.minimum(frames, self.last[track, None]), self.first[track, None])
        flip = mirrored[:, None, None, None]
        points, joints, lens = self.keypoints[frames], self.joints[frames], self.lenses[track]
        return Windows(
            torch.where(flip, points[:, :, self.mirror_2d] * points.new_tensor([-1, 1]), points),
            torch.where(flip, joints[:, :, self.mirror_3d] * joints.new_tensor([-1, 1, 1]), joints),
            torch.where(mirrored[:, None], lens * lens.new_tensor(MIRRORED_LENS), lens),
        )


def one_rate(rates: set[float | None]) -> float | None:
    """Frames per second of all tracks; None where the data does not tell. Raises InputError: there are several."""
    if len(rates) > 1:
        told = ", ".join("not told" if rate is None else f"{rate:g}" for rate in sorted(rates, key=str))
        raise InputError("tracks of different frame rates", f"frames per second: {told}", "data of one rate")
    return next(iter(rates), None)


def screen(sequence: Sequence) -> np.ndarray:
    """(T,J,2) keypoints in halves of the picture's width; scores are left out, as in the papers.

    Raises:
        ValueError: a sequence without 2D.
    """
    if sequence.keypoints is None:
        raise ValueError(f"{sequence.name} has no 2D")
    points = sequence.keypoints[..., :2]
    return points if sequence.units == "normalised" else normalise_screen(points, *sequence.size)


def around(frames: int, step: int = 1, causal: bool = False) -> Tensor:
    """(frames,) offsets of a window around frame 0, every `step`-th; up to frame 0 where it is causal."""
    return step * (torch.arange(frames) - (frames - 1 if causal else frames // 2))
