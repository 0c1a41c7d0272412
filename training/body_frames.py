"""Random draws on any device, and the axes of bodies and heads: what views of motion and errors of detectors share."""

from __future__ import annotations

import torch
from torch import Tensor

from training.mocap import BODY

HEIGHT = 1.7  # metres of a body of standard size, in parts of which errors in the picture are told


class Draws:
    """Draws for windows of `length` frames from one generator, on its device."""

    def __init__(self, length: int, generator: torch.Generator) -> None:
        self.length, self.generator, self.device = length, generator, generator.device

    def _uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.device) * (high - low) + low

    def _normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.device) * scale

    def _chance(self, probability: float, *shape: int) -> Tensor:
        return self._uniform(*shape) < probability

    def _span(self, probability: float, shape: tuple[int, ...], shortest: int, longest: int) -> Tensor:
        """(B,L,...) bool: in some of (B,...) one stretch of time of random length."""
        length = self._uniform(*shape, low=shortest, high=longest)
        begin = self._uniform(*shape) * (self.length + length) - length
        begin = torch.where(self._chance(probability, *shape), begin, float(2 * self.length))
        clock = torch.arange(self.length, device=self.device).view(1, -1, *[1] * (len(shape) - 1))
        return (clock >= begin[:, None]) & (clock < (begin + length)[:, None])


def torso(joints: Tensor) -> Tensor:
    """(B,L,K,3) -> (B,L,3,3) whose rows are the body's left, up and forward."""
    shoulders, hips = BODY.index("left_shoulder", "right_shoulder"), BODY.index("left_hip", "right_hip")
    left = joints[:, :, shoulders[0]] - joints[:, :, shoulders[1]] + joints[:, :, hips[0]] - joints[:, :, hips[1]]
    return axes(left, joints[:, :, BODY.index("thorax")[0]] - joints[:, :, 0])


def axes(left: Tensor, up: Tensor) -> Tensor:
    up = torch.nn.functional.normalize(up, dim=-1)
    left = torch.nn.functional.normalize(left - (left * up).sum(-1, keepdim=True) * up, dim=-1)
    return torch.stack([left, up, torch.linalg.cross(left, up)], dim=-2)


def face_frame(joints: Tensor, yaw: Tensor) -> Tensor:
    """(B,L,3,3) left, up and forward of the head, which is turned by `yaw` (B,1) against the shoulders."""
    shoulders = BODY.index("left_shoulder", "right_shoulder")
    neck, top = BODY.index("neck_nose", "head_top")
    frame = axes(joints[:, :, shoulders[0]] - joints[:, :, shoulders[1]], joints[:, :, top] - joints[:, :, neck])
    return about(1, yaw[:, 0])[:, None] @ frame


def about(axis: int, angle: Tensor) -> Tensor:
    """(B,) -> (B,3,3) rotations about a coordinate axis."""
    cos, sin, one, zero = angle.cos(), angle.sin(), torch.ones_like(angle), torch.zeros_like(angle)
    rows = {
        0: (one, zero, zero, zero, cos, -sin, zero, sin, cos),
        1: (cos, zero, sin, zero, one, zero, -sin, zero, cos),
        2: (cos, -sin, zero, sin, cos, zero, zero, zero, one),
    }[axis]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def stretch(values: Tensor, length: int) -> Tensor:
    """(B,n,J,C) -> (B,length,J,C) by linear interpolation over time."""
    place = torch.linspace(0, values.shape[1] - 1.001, length, device=values.device)
    before = place.long()
    part = (place - before)[:, None, None]
    return values[:, before] * (1 - part) + values[:, before + 1] * part


def mixed(weights: Tensor, points: Tensor) -> Tensor:
    """Weights (N,M) or (B,N,M), points (B,L,M,3) -> (B,L,N,3) sums, by large products instead of B*L small ones."""
    size, length, count = points.shape[:3]
    flat = points.transpose(1, 2).reshape(size, count, 3 * length)
    return (weights @ flat).view(size, weights.shape[-2], length, 3).transpose(1, 2)
