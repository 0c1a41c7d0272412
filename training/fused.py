"""Views of the same moments from cameras that nobody knows, fused into one pose that every view may believe.

Every view's pose is turned and scaled onto the others' (weighted Procrustes with proper rotations: Kabsch 1976, Umeyama
1991) and the mean is taken. A single view knows a joint's place in the picture better than its depth, so across its
own line of sight it counts more than along it: the mean is weighted by information matrices.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

DEPTH = 10.0  # how much larger a lifter's errors are in depth than in the picture
TINY = 1e-9


@torch.no_grad()
def fuse(poses: Tensor, weights: Tensor, depth: float = DEPTH, reach: int = 0, rounds: int = 10) -> Tensor:
    """The fused pose as every view would see it, (...,V,T,J,3): in its axes and unit, about its weighted mean joint.

    Cameras may move: rotations and scales are of a frame. They are found from the first view that has the frame, then
    `rounds` times from the mean of all. A joint that a view does not see gets its place from the other views.

    Args:
        poses: (...,V,T,J,3) of one unit, camera axes (z is the depth), each view in its own; where they are is ignored.
        weights: (...,V,T,J) confidence in each joint; 0: not seen.
        depth: standard deviation of a view's error along z, in that of x and y; 1: they count the same.
        reach: frames before and after that share in finding a rotation, when cameras turn little within them.
    """
    seen = weights.sum(-1) > 0
    first = seen.int().argmax(-2, keepdim=True)
    mean = poses.take_along_dim(first[..., None, None], -4)
    trust = weights * weights.take_along_dim(first[..., None], -3)
    trust = torch.where(trust.sum(-1, keepdim=True) > 0, trust, weights)
    near = _neighbours(first, reach)
    sure = torch.tensor([1.0, 1.0, depth**-2]).to(poses)
    placed = _fit(mean, poses, trust, near, sure)
    for _ in range(rounds):
        mean = _mean(mean, placed.back(poses), placed.turn, weights, sure)
        placed = _fit(mean, poses, weights, near, sure, placed)
    return placed.onto(mean) - placed.middle


def centred(poses: Tensor, weights: Tensor) -> Tensor:
    """(...,J,3) about the weighted mean joint, as `fuse` returns poses."""
    return poses - _middle(poses, weights[..., None])


def rotations(product: Tensor) -> Tensor:
    """Sums (...,3,3) of target times source joint (an outer product) -> the proper rotations that turn sources best."""
    u, _, vt = torch.linalg.svd(product)
    sign = torch.ones_like(product[..., 0])
    sign[..., 2] = torch.linalg.det(u @ vt).sign()
    return (u * sign[..., None, :]) @ vt


class _Placed(NamedTuple):
    """What moves the fused pose onto each view, (...,V,T,...): rotation, scale, the view's and the pose's middle."""

    turn: Tensor
    scale: Tensor
    middle: Tensor
    other: Tensor

    def onto(self, mean: Tensor) -> Tensor:
        """The fused pose (...,1,T,J,3) as the views see it, (...,V,T,J,3)."""
        return (mean - self.other) @ self.turn.transpose(-1, -2) * self.scale + self.middle

    def back(self, poses: Tensor) -> Tensor:
        """What the views see (...,V,T,J,3), in the fused pose's frame."""
        return (poses - self.middle) @ self.turn / self.scale + self.other


def _fit(
    mean: Tensor, poses: Tensor, weights: Tensor, near: Tensor, sure: Tensor, before: _Placed | None = None
) -> _Placed:
    """Move the mean (...,1,T,J,3) onto each view, whose axes are as sure as `sure` (3,) says.

    A Procrustes fit with such weights has no closed form; a step of Koschat and Swayne (1991) fits plainly to what the
    view says where it is sure and to what the fit before says where it is not. Depths too flat turn no camera.
    """
    if before is not None:
        poses = poses + (1 - sure) * (before.onto(mean) - poses)
    w = weights[..., None]
    middle, other = _middle(poses, w), _middle(mean, w)
    target, source = poses - middle, mean - other
    product = (w * target).transpose(-1, -2) @ source
    turn = rotations(torch.einsum("...vts,...vsij->...vtij", near.to(product), product))
    turned = source @ turn.transpose(-1, -2)
    along, square = ((w * sure * turned * part).sum((-2, -1)) for part in (target, turned))
    scale = torch.where((along > 0) & (square > TINY), along / square.clamp_min(TINY), 1.0)
    return _Placed(turn, scale[..., None, None], middle, other)


def _middle(joints: Tensor, w: Tensor) -> Tensor:
    return (w * joints).sum(-2, keepdim=True) / w.sum(-2, keepdim=True).clamp_min(TINY)


def _neighbours(first: Tensor, reach: int) -> Tensor:
    """(...,1,T,T): which frames help to find a frame's rotation; those with the same first view (...,1,T)."""
    clock = torch.arange(first.shape[-1], device=first.device)
    return ((clock[:, None] - clock).abs() <= reach) & (first[..., :, None] == first[..., None, :])


def _mean(before: Tensor, placed: Tensor, turn: Tensor, weights: Tensor, sure: Tensor) -> Tensor:
    """(...,1,T,J,3): mean over views of poses in one frame, each as sure as `sure` in its axes; else as before."""
    matrix = turn.transpose(-1, -2) @ (sure[:, None] * turn)  # (...,V,T,3,3)
    total = torch.einsum("...vtj,...vtab->...tjab", weights, matrix)
    pull = torch.einsum("...vtj,...vtab,...vtjb->...tja", weights, matrix, placed)
    floor = 1e-6 * torch.eye(3).to(total)
    solved = torch.linalg.solve(total + floor, pull[..., None] + 1e-6 * before.squeeze(-4)[..., None])
    return solved[..., 0].unsqueeze(-4)
