"""Do views of the same moments say the same pose? Losses that need no 3D and no cameras: MDVPose (Gu et al. 2024).

Rotations and scales between the views, and what the views are drawn to, are found without gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.fused import DEPTH, centred, fuse

ROUNDS = 5  # of fusing for a loss; the next step goes on from there


def disagreement(poses: Tensor, seen: Tensor, depth: float = DEPTH, reach: int = 0) -> Tensor:
    """Mean distance of every view's joints from the fused pose of all views, in the unit of the poses.

    Only rotations are allowed, no reflections, and the fused pose has the view's own size. `depth` and `reach` as in
    `fuse`. 0 where no moment is seen by two views.

    Args:
        poses: (...,V,T,J,3) joints in each view's own axes; where they are is ignored.
        seen: (...,V,T) bool, frames that a view has.
    """
    together = seen & (seen.sum(-2, keepdim=True) > 1)
    if not together.any():
        return poses.sum() * 0
    weights = seen[..., None].expand(poses.shape[:-1]).to(poses)
    apart = centred(poses, weights) - fuse(poses.detach(), weights, depth, reach, ROUNDS)
    return apart[together].norm(dim=-1).mean()


def view_agreement(poses: Tensor, seen: Tensor) -> Tensor:
    """The published loss: every view turned and scaled onto the first view that has the moment.

    The rotation, which may be a reflection, and the scale are found between centred poses of unit size, and are
    applied to the poses as they are. Mean over pairs of views of the summed differences.

    Args:
        poses: (...,V,T,J,3) root-relative joints of V views.
        seen: (...,V,T) bool, frames that the view has.
    """
    first = seen.int().argmax(-2, keepdim=True)
    base = poses.take_along_dim(first[..., None, None], -4)
    with torch.no_grad():
        rotation, factor = orthogonal_fit(poses, base)
    moved = poses @ rotation.transpose(-1, -2) * factor[..., None, None]
    apart = (moved - base).abs().sum((-2, -1))
    other = seen & (torch.arange(seen.shape[-2], device=poses.device)[:, None] != first)
    return apart[other].mean() if other.any() else poses.sum() * 0


def orthogonal_fit(poses: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
    """Orthogonal matrices (...,3,3) and scales (...) that turn centred poses (...,J,3) of unit size onto the base."""
    unit = [x - x.mean(-2, keepdim=True) for x in (base, poses)]
    unit = [x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-12) for x in unit]
    u, s, vt = torch.linalg.svd(unit[0].transpose(-1, -2) @ unit[1])
    return u @ vt, s.sum(-1)
