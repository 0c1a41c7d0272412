"""P-STMO's refinement: x and y of the lifted pose are mixed with those that the 2D keypoints give at its depths.

It needs the true depth of the root and the true camera. Its published result is therefore no measure of what can be
had from ordinary video.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Refine(nn.Module):
    """Learns, joint by joint, how far to trust the network's x and y.

    Args:
        joints: 3D joints.
    """

    def __init__(self, joints: int = 17) -> None:
        super().__init__()
        self.post_refine = nn.Sequential(
            nn.Linear(6 * joints, 1024), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1024, 2 * joints), nn.Sigmoid()
        )

    def forward(self, lifted: Tensor, back_projected: Tensor) -> Tensor:
        """Root-relative (B,T,J,3) m of the network and of `back_project` -> (B,T,J,3); depths are the network's."""
        gate = self.post_refine(torch.cat([lifted, back_projected], dim=-1).flatten(2)).unflatten(-1, (-1, 2))
        xy = gate * lifted[..., :2] + (1 - gate) * back_projected[..., :2]
        return torch.cat([xy, lifted[..., 2:]], dim=-1)


def back_project(points: Tensor, depths: Tensor, root_depth: Tensor, camera: Tensor) -> Tensor:
    """The pose that the 2D keypoints see at given depths; lens distortion is ignored, as published.

    Args:
        points: (B,T,J,2), screen-normalised.
        depths: (B,T,J) m, relative to the root, joint 0, whose own number is ignored.
        root_depth: (B,T) m from the camera, the true one.
        camera: (B,>=4): fx, fy, cx, cy in the units of `points`; what follows is ignored.

    Returns:
        (B,T,J,3) m in camera axes, relative to the root.
    """
    z = depths + root_depth[..., None]
    z = torch.cat([root_depth[..., None], z[..., 1:]], dim=-1)[..., None]
    focal, centre = camera[:, None, None, :2], camera[:, None, None, 2:4]
    joints = torch.cat([(points - centre) * z / focal, z], dim=-1)
    return joints - joints[:, :, :1]
