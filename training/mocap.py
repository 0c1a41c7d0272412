"""Motion capture as tensors: all clips end to end, each also mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import InputError
from training.datasets.open_mocap import BODY, read_arrays

TEST_SUBJECTS = frozenset({"cmu55", "cmu91", "cmu127", "cmu131", "cmu135"})
UNKNOWN = 255  # a contact label that nobody knows


@dataclass(frozen=True)
class Mocap:
    """N frames of C clips: joints in metres, Z up; contacts l_heel, l_toe, r_heel, r_toe as 0, 1 or UNKNOWN."""

    joints: Tensor  # (N,23,3) float32
    contacts: Tensor  # (N,4) uint8
    first: Tensor  # (N,) int64: first frame of the clip a frame belongs to
    last: Tensor  # (N,) int64: its last frame
    weights: Tensor  # (N,) float64, sum 1: how often a frame is drawn as the middle of a window
    fps: float

    def to(self, device: torch.device) -> Mocap:
        """The same on another device."""
        tensors = (self.joints, self.contacts, self.first, self.last, self.weights)
        return Mocap(*(tensor.to(device) for tensor in tensors), fps=self.fps)


def load_mocap(path: Path, test: bool = False) -> Mocap:
    """Read the training subjects of a motion capture file; those kept for testing are left out, or taken alone.

    Raises:
        InputError: no such file, not the expected arrays or joints, or nothing to train on.
    """
    data = read_arrays(path)
    taken = np.isin(data["subject"], sorted(TEST_SUBJECTS)) == test
    if not taken.any():
        kept, use = ("none", "test") if test else ("all", "train")
        raise InputError(f"{path} holds nothing to {use} on", f"{kept} of its subjects are kept for testing")
    start, length, subject = (data[key][taken] for key in ("start", "length", "subject"))
    take = np.concatenate([np.arange(s, s + n) for s, n in zip(start, length, strict=True)])
    joints = (data["rel"][take].astype(np.float32) + data["root"][take, None]).astype(np.float32)
    contacts = data["contacts"][take]
    end = np.cumsum(length)
    first, last = np.repeat(end - length, length), np.repeat(end - 1, length)
    weights = _balance(np.repeat(subject, length), joints)
    mirrored = joints[:, BODY.mirror] * np.array([-1, 1, 1], np.float32)
    count = len(joints)
    return Mocap(
        joints=torch.from_numpy(np.concatenate([joints, mirrored])),
        contacts=torch.from_numpy(np.concatenate([contacts, contacts[:, [2, 3, 0, 1]]])),
        first=torch.from_numpy(np.concatenate([first, first + count])),
        last=torch.from_numpy(np.concatenate([last, last + count])),
        weights=torch.from_numpy(np.tile(weights, 2) / 2),
        fps=float(data["fps"]),
    )


def _balance(subject: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Much recorded people count less (square root of their frames), low and tilted bodies three times as much."""
    _, inverse, counts = np.unique(subject, return_inverse=True, return_counts=True)
    weights = counts[inverse] ** -0.5
    trunk = joints[:, BODY.index("thorax")[0]] - joints[:, 0]
    upright = trunk[:, 2] / np.linalg.norm(trunk, axis=-1)
    leg = np.linalg.norm(np.diff(joints[:, BODY.index("left_hip", "left_knee", "left_ankle")], axis=1), axis=-1).sum(1)
    hanging = joints[:, 0, 2] - joints[..., 2].min(axis=1)
    rare = (upright < 0.7) | (hanging < 0.75 * leg)
    weights = weights * np.where(rare, 3.0, 1.0)
    return weights / weights.sum()
