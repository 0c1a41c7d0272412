"""Views of the same moments from cameras that nobody knows, fused into one pose that every view may believe.

Every view's pose is turned and scaled onto the others' (weighted Procrustes with proper rotations: Kabsch 1976, Umeyama
1991) and the mean is taken. A single view knows a joint's place in the picture better than its depth, so across its
own line of sight it counts more than along it: the mean is weighted by information matrices.
"""

from __future__ import annotations

import torch
from torch import Tensor

DEPTH = 3.0  # how much larger a lifter's errors are in depth than in the picture
TINY = 1e-9


@torch.no_grad()
def fuse(poses: Tensor, weights: Tensor, depth: float = DEPTH, reach: int = 0, rounds: int = 3) -> Tensor:
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
    base = poses.take_along_dim(first[..., None, None], -4)
    trust = weights * weights.take_along_dim(first[..., None], -3)
    near = _neighbours(first, reach)
    turn, scale, middle, other = _fit(base, poses, torch.where(trust.sum(-1, keepdim=True) > 0, trust, weights), near)
    mean = base
    for _ in range(rounds):
        mean = _mean(mean, (poses - middle) @ turn / scale + other, turn, weights, depth)
        turn, scale, middle, other = _fit(mean, poses, weights, near, depth)
    return (mean - other) @ turn.transpose(-1, -2) * scale


def centred(poses: Tensor, weights: Tensor) -> Tensor:
    """(...,J,3) about the weighted mean joint, as `fuse` returns poses."""
    return poses - _middle(poses, weights[..., None])


def rotations(product: Tensor) -> Tensor:
    """Sums (...,3,3) of target times source joint (an outer product) -> the proper rotations that turn sources best."""
    u, _, vt = torch.linalg.svd(product)
    sign = torch.ones_like(product[..., 0])
    sign[..., 2] = torch.linalg.det(u @ vt).sign()
    return (u * sign[..., None, :]) @ vt


def _fit(
    mean: Tensor, poses: Tensor, weights: Tensor, near: Tensor, depth: float = 1.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What moves the mean (...,1,T,J,3) onto each view: rotation, scale, the view's and the mean's middle joint.

    The scale is that which fits best where a view is sure: a pose that is too flat in depth is no smaller person.
    """
    w = weights[..., None]
    middle, other = _middle(poses, w), _middle(mean, w)
    target, source = poses - middle, mean - other
    product = (w * target).transpose(-1, -2) @ source
    turn = rotations(torch.einsum("...vts,...vsij->...vtij", near.to(product), product))
    turned = source @ turn.transpose(-1, -2)
    sure = w * torch.tensor([1.0, 1.0, depth**-2]).to(w)
    along, square = (sure * turned * target).sum((-2, -1)), (sure * turned.square()).sum((-2, -1))
    fitted = along / square.clamp_min(TINY)
    scale = torch.where((along > 0) & (square > TINY), fitted, 1.0)
    return turn, scale[..., None, None], middle, other


def _middle(joints: Tensor, w: Tensor) -> Tensor:
    return (w * joints).sum(-2, keepdim=True) / w.sum(-2, keepdim=True).clamp_min(TINY)


def _neighbours(first: Tensor, reach: int) -> Tensor:
    """(...,1,T,T): which frames help to find a frame's rotation; those with the same first view (...,1,T)."""
    clock = torch.arange(first.shape[-1], device=first.device)
    return ((clock[:, None] - clock).abs() <= reach) & (first[..., :, None] == first[..., None, :])


def _mean(before: Tensor, placed: Tensor, turn: Tensor, weights: Tensor, depth: float) -> Tensor:
    """(...,1,T,J,3): mean over views of poses in one frame, every one less sure along its own z; else as before."""
    sure = torch.tensor([1.0, 1.0, depth**-2]).to(turn)
    matrix = turn.transpose(-1, -2) @ (sure[:, None] * turn)  # (...,V,T,3,3)
    total = torch.einsum("...vtj,...vtab->...tjab", weights, matrix)
    pull = torch.einsum("...vtj,...vtab,...vtjb->...tja", weights, matrix, placed)
    floor = 1e-6 * torch.eye(3).to(total)
    solved = torch.linalg.solve(total + floor, pull[..., None] + 1e-6 * before.squeeze(-4)[..., None])
    return solved[..., 0].unsqueeze(-4)
