"""Person-centred 2D, in PyTorch, for batches: the same numbers as `lifters.normalise`, which explains the method."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.skeletons import skeleton

JOINTS = skeleton("lift-26")
CORE = JOINTS.index("left_shoulder", "right_shoulder", "left_hip", "right_hip")
CENTRE_REACH, SIZE_REACH, FLOOR = 8, 30, 1e-3


def normalise(rays: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Rays (B,T,26,2) with z = 1 and scores (B,T,26) -> network input (B,T,26,3), virtual cameras (B,T,3,3)."""
    seen = scores > 0
    rays = torch.where(seen[..., None], rays, 0.0)
    weights = scores * torch.full_like(scores[0, 0], FLOOR).index_fill(0, torch.tensor(CORE, device=rays.device), 1.0)
    total = weights.sum(-1)
    middle = (rays * weights[..., None]).sum(-2)
    smooth = _smooth(torch.cat([middle, total[..., None]], dim=-1), CENTRE_REACH)
    turn = look_at(smooth[..., :2] / smooth[..., 2:].clamp_min(1e-9))
    turned = rays @ turn[..., :2].transpose(-1, -2) + turn[:, :, None, :, 2]
    points = turned[..., :2] / turned[..., 2:].clamp_min(1e-2)
    spread = (points.norm(dim=-1) * scores).sum(-1)
    smooth = _smooth(torch.stack([spread, scores.sum(-1)], dim=-1), SIZE_REACH)
    size = (smooth[..., 0] / smooth[..., 1].clamp_min(1e-9)).clamp_min(1e-4)
    points = torch.where(seen[..., None], points / size[..., None, None], 0.0)
    return torch.cat([points, scores[..., None]], dim=-1), turn


def look_at(centre: Tensor) -> Tensor:
    """(...,2) ray -> (...,3,3) rotation whose rows are the axes of a camera that looks along it without roll."""
    forward = functional.normalize(torch.cat([centre, torch.ones_like(centre[..., :1])], dim=-1), dim=-1)
    down = torch.zeros_like(forward)
    down[..., 1] = 1.0
    right = functional.normalize(torch.linalg.cross(down, forward), dim=-1)
    return torch.stack([right, torch.linalg.cross(forward, right), forward], dim=-2)


def _smooth(values: Tensor, reach: int) -> Tensor:
    """Sums of (B,T,C) under a Hann window of 2*reach+1 frames; nothing beyond the ends. One matrix product."""
    clock = torch.arange(values.shape[1], dtype=values.dtype, device=values.device)
    apart = (clock[:, None] - clock).abs()
    window = torch.where(apart <= reach, 0.5 + 0.5 * torch.cos(torch.pi * apart / (reach + 1)), 0.0)
    return window @ values
