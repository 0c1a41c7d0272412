"""A network for MMPose that finds each of 17 coloured discs, and a person made of such discs.

A configuration imports it (`custom_imports`), as users' own networks are; its colours are the checkpoint's.
"""

from __future__ import annotations

import numpy as np
import torch
from mmpose.models import HeatmapHead
from mmpose.registry import MODELS

LEVELS = (40, 140, 240)
COLOURS = np.array([(r, g, b) for r in LEVELS for g in LEVELS for b in LEVELS][1:18], np.float32)
MEAN, STD = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
# Of a standing person seen from the front, in parts of the height: nose, eyes, ears, shoulders, ..., left before right.
ACROSS = np.array([0, 0.03, 0.055, 0.11, 0.15, 0.17, 0.06, 0.065, 0.07])
DOWN = np.array([0.07, 0.045, 0.07, 0.19, 0.35, 0.5, 0.52, 0.74, 0.95])


@MODELS.register_module(force=True)
class Colours(torch.nn.Module):
    """(N,3,H,W) normalised RGB -> (N,17,H/4,W/4) how much of each colour there is, in [0,1]."""

    def __init__(self, init_cfg=None):
        super().__init__()
        self.colours = torch.nn.Parameter(torch.zeros(17, 3))

    def forward(self, pictures):
        pixels = pictures * STD[:, None, None] + MEAN[:, None, None]
        far = (pixels[:, None] - self.colours[:, :, None, None]).pow(2).sum(2) / 30**2
        return (torch.nn.functional.avg_pool2d((1 - far).clamp(min=0), 5, 4, 2),)


@MODELS.register_module(force=True)
class AsTheyAre(HeatmapHead):
    """The heatmaps are the features; only their height is stretched to a score."""

    def forward(self, features):
        return (features[-1] * 4).clamp(max=1)


def joints(step):
    """(17,2) px of the person in a picture of 240x320, `step` frames after the first."""
    x = np.concatenate([[0], *([a, -a] for a in ACROSS[1:])])
    y = np.concatenate([[DOWN[0]], *([d, d] for d in DOWN[1:])])
    y[15:] += 0.02 * np.sin(0.5 * step + np.array([0, np.pi]))
    return np.stack([120 + 260 * x + 1.5 * step, 20 + 260 * y], axis=1)


def picture(step):
    """(320,240,3) uint8 BGR: discs where `joints` are."""
    frame = np.zeros((320, 240, 3), np.uint8)
    rows, columns = np.mgrid[:320, :240]
    for colour, (x, y) in zip(COLOURS, joints(step), strict=True):
        frame[np.hypot(columns - x, rows - y) < 4.5] = colour[::-1]
    return frame
