"""Endless pairs of 2D poses: one person at two moments, before one camera, as detectors see them.

What `training.pose_similarity` learns from. People come in groups that share camera and detector, so that what tells
two people apart is never the camera; which way each faces, and where each stands, is drawn.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from trackers.pose_similarity import JOINTS, MIDDLE, normalised
from training.body_frames import HEIGHT, Draws, about, face_frame
from training.mocap import BODY, Mocap

GROUP = 8  # people before one camera
NOSE = (0.0, 0.07, 0.13)  # m to the left, up and forward of the joint between neck and nose
TURNED = 0.35  # rad, standard deviation of the head against the shoulders
NOISE = 0.012  # standard deviation of a keypoint in heights of the body
WILD, WILDER = 0.05, 4.0  # share of keypoints whose error is larger, by that factor
UNSEEN = 0.06  # share of keypoints that are not seen
NO_HEAD_TOP = 0.6  # share of detectors without one
EXCHANGED = 0.02  # share of poses with left and right exchanged
# Joints that are hidden together in a pose, and how often.
HIDDEN = (
    (("left_elbow", "left_wrist"), 0.08),
    (("right_elbow", "right_wrist"), 0.08),
    (("left_knee", "left_ankle"), 0.06),
    (("right_knee", "right_ankle"), 0.06),
    (("left_knee", "left_ankle", "right_knee", "right_ankle"), 0.05),
)


class Pairs(NamedTuple):
    """B people, GROUP after GROUP before a camera each: nodes (B,15,3) of an earlier and a later moment."""

    first: Tensor
    second: Tensor


class PosePairs(Draws):
    """Draws pairs of moments that lie at most `later_s` apart."""

    def __init__(self, mocap: Mocap, later_s: float, generator: Generator) -> None:
        super().__init__(2, generator)
        self.mocap, self.longest = mocap, later_s * mocap.fps
        self.cumulative = mocap.weights.cumsum(0)

    def pairs(self, groups: int, between: tuple[float, float] = (0.0, 1.0)) -> Pairs:
        """Of GROUP people each. `between`: shortest and longest time between the moments, in parts of `later_s`."""
        size = groups * GROUP
        points = self._detect(self._film(self._moments(size, between)))
        graphs = torch.from_numpy(normalised(points.flatten(0, 1).cpu().numpy())).to(self.device)
        return Pairs(*graphs.unflatten(0, (size, 2)).unbind(1))

    def _moments(self, size: int, between: tuple[float, float]) -> Tensor:
        """(B,2,23,3) m, from the mean pelvis of both. In a clip that is too short its first and last frame."""
        draw = self._uniform(size).double() * self.cumulative[-1]
        first = torch.searchsorted(self.cumulative, draw).clamp_max(len(self.cumulative) - 1)
        later = (self._uniform(size, low=between[0], high=between[1]) * self.longest).ceil().long().clamp_min(1)
        begin, end = self.mocap.first[first], self.mocap.last[first]
        second = torch.minimum(first + later, end)
        joints = self.mocap.joints[torch.stack([torch.maximum(second - later, begin), second], dim=1)]
        return joints - joints[:, :, :1].mean(1, keepdim=True)

    def _film(self, joints: Tensor) -> Tensor:
        """(B,2,23,3) world -> (B,2,15,3) in the axes of a camera that each group shares, in front of it."""
        size = len(joints)
        groups = size // GROUP
        face = face_frame(joints, self._normal(size, 1, scale=TURNED))
        nose = joints[:, :, BODY.index("neck_nose")[0]] + torch.tensor(NOSE, device=self.device) @ face
        shoulders = joints[:, :, BODY.index("left_shoulder", "right_shoulder")].mean(2)
        known = {"nose": nose, "neck": shoulders}
        points = [known[name] if name in known else joints[:, :, BODY.joints.index(name)] for name in JOINTS]
        to_camera = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], device=self.device)
        usual, wide = self._uniform(groups, low=-0.2, high=0.5), self._uniform(groups, low=-0.4, high=1.1)
        elevation = torch.where(self._chance(0.1, groups), wide, usual)
        camera = about(2, self._normal(groups, scale=0.05)) @ about(0, elevation) @ to_camera
        turn = camera.repeat_interleave(GROUP, 0) @ about(2, self._uniform(size, high=2 * math.pi))
        away = torch.exp(self._uniform(size, low=math.log(2.2), high=math.log(12.0)))
        place = torch.stack([self._uniform(size, low=-0.5, high=0.5) * away, torch.zeros_like(away), away], dim=-1)
        return torch.stack(points, dim=2) @ turn.transpose(-1, -2)[:, None] + place[:, None, None]

    def _detect(self, points: Tensor) -> Tensor:
        """(B,2,15,3) in camera axes -> (B,2,15,2) in the picture (z = 1), with a detector's errors; NaN: not seen."""
        size, depth = len(points), points[..., 2:].clamp_min(0.3)
        rays = points[..., :2] / depth
        height = HEIGHT / depth.mean(2, keepdim=True)
        wild = torch.where(self._chance(WILD, size, 2, len(JOINTS), 1), WILDER, 1.0)
        rays = rays + self._normal(*rays.shape, scale=NOISE) * height * wild
        rays = torch.where(self._chance(EXCHANGED, size, 2, 1, 1), rays[:, :, MIRROR], rays)
        unseen = self._chance(UNSEEN, size, 2, len(JOINTS))
        for names, chance in HIDDEN:
            unseen[..., [JOINTS.index(name) for name in names]] |= self._chance(chance, size, 2, 1)
        unseen[..., MIDDLE] = unseen[..., SHOULDERS].any(-1)
        lacks = self._chance(NO_HEAD_TOP, size // GROUP).repeat_interleave(GROUP, 0)
        unseen[..., JOINTS.index("head_top")] |= lacks[:, None]
        return torch.where(unseen[..., None], float("nan"), rays)


def _other_side(name: str) -> str:
    side, _, part = name.partition("_")
    return {"left": f"right_{part}", "right": f"left_{part}"}.get(side, name)


MIRROR = [JOINTS.index(_other_side(name)) for name in JOINTS]
SHOULDERS = [JOINTS.index("left_shoulder"), JOINTS.index("right_shoulder")]
