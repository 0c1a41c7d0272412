"""Clips of equal length in the picture's own units, as MotionBERT learns from them.

That is x, y and depth in halves of the width. Its own files come so. Of data in metres it is made: x and y are the
projection, and the depth has the scale that the picture has at the root, so that a pose keeps its proportions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from pipeline.errors import InputError
from pipeline.skeletons import skeleton
from training import tracks
from training.datasets import motionbert
from training.datasets.cameras import project
from training.datasets.clips import split_clips
from training.datasets.sequence import Sequence

Array = NDArray[np.floating]
BODY = skeleton("h36m-17")


def read(data: Path, part: Literal["train", "test"], keypoints: str = "gt", cameras: int = 4) -> Iterator[Sequence]:
    """MotionBERT's pickle of frames or folder of clips (all of which are of one part), or what `tracks.read` reads.

    Raises:
        InputError: files that are missing, damaged or laid out differently.
    """
    pickle = data / motionbert.FILE if data.is_dir() else data
    if pickle.suffix == ".pkl" and pickle.exists():
        return motionbert.read(pickle, part)
    if data.is_dir() and next(data.glob("*.pkl"), None):
        return motionbert.read_clips(data)
    return tracks.read(data, part, keypoints, cameras)


class Clips:
    """M clips of T frames on one device.

    Args:
        frames: T. A sequence that is shorter is stretched to it.
        stride: frames from one clip of a sequence to the next.

    Raises:
        InputError: nothing to learn from, 2D of other joints than Human3.6M's, or different frame rates.
    """

    def __init__(
        self, sequences: Iterable[Sequence], frames: int, stride: int, device: torch.device | str = "cpu"
    ) -> None:
        motions, truths, names, rates = [], [], [], set()
        for sequence in sequences:
            if sequence.skeleton_2d != BODY.name:
                raise InputError(f"MotionBERT lifts {BODY.name}, not {sequence.skeleton_2d}", "choose other keypoints")
            motion, truth = in_picture(sequence)
            motions.append(motion.astype(np.float32))
            truths.append(truth.astype(np.float32))
            names += [sequence.source or sequence.name] * len(motion)
            rates.add(sequence.fps)
        index = split_clips(names, frames, stride)
        if not index:
            raise InputError("no clips to learn from", "the data holds no sequence of this part")
        self.motion = torch.from_numpy(np.concatenate(motions)).to(device)
        self.truth = torch.from_numpy(np.concatenate(truths)).to(device)
        self.index = torch.from_numpy(np.stack(index)).to(device)
        self.fps = tracks.one_rate(rates)

    @property
    def samples(self) -> int:
        """Clips."""
        return len(self.index)

    def clips(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Input x, y, confidence and truth x, y, depth of clips (B,): (B,T,17,3) each."""
        frames = self.index[rows]
        return self.motion[frames], self.truth[frames]

    def draw(self, rows: Tensor, random: Generator) -> tuple[Tensor, Tensor]:
        """The same, each clip mirrored or not by chance."""
        flip = (torch.rand(len(rows), generator=random, device=rows.device) < 0.5)[:, None, None, None]
        motion, truth = (torch.where(flip, mirrored(part), part) for part in self.clips(rows))
        return motion, truth


def mirrored(joints: Tensor) -> Tensor:
    """(...,17,3) in the mirror: truth, results, or 2D with its confidence."""
    return joints[..., list(BODY.mirror), :] * joints.new_tensor([-1, 1, 1])


def in_picture(sequence: Sequence) -> tuple[Array, Array]:
    """What the network reads, x, y, confidence, and what it is taught, x, y, depth: (T,17,3) each, halves of the width.

    2D without a score has confidence 1. Of joints in metres, a joint's depth from its root is scaled by focal length
    over the root's depth, and the root's own by focal length over its mean depth, which is 0.

    Raises:
        InputError: a clip without 2D.
    """
    if sequence.units == "normalised":
        if sequence.keypoints is None or sequence.image_joints is None:
            raise InputError(f"{sequence.name} has no 2D", "it is made for pre-training on 3D alone", "other clips")
        return sequence.keypoints, sequence.image_joints
    if sequence.image_joints is not None:
        return motionbert.screen(sequence)
    points = tracks.screen(sequence)
    lens = sequence.lens.intrinsic()
    root = sequence.joints[:, :1, 2]
    focal, mean = lens[0], root.mean()
    depth = (sequence.joints[..., 2] - root) * focal / root + (root - mean) * focal / mean
    seen = project(sequence.joints, lens, distorted=False)
    confidence = np.ones((*points.shape[:2], 1))
    return np.concatenate([points, confidence], axis=-1), np.concatenate([seen, depth[..., None]], axis=-1)
