"""Errors of any 2D detector, chosen by hand and broad: what a detector nobody has measured might see."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.body_frames import HEIGHT, Draws, mixed, stretch
from training.mocap import BODY
from training.normalise import JOINTS

FLAWED = 0.7  # share of windows with any error; the others are seen exactly
FACE = JOINTS.index("nose", "left_ear", "right_ear")
FEET = JOINTS.index("left_heel", "left_toe", "right_heel", "right_toe")
KNEES_DOWN = [*JOINTS.index("left_knee", "right_knee", "left_ankle", "right_ankle"), *FEET]
LEGS = [*JOINTS.index("left_hip", "right_hip"), *KNEES_DOWN]


class BroadErrors(Draws):
    """Misplaced joints, quick and slow errors, bursts, left and right exchanged, joints not seen."""

    def __init__(self, length: int, generator: torch.Generator) -> None:
        """For windows of `length` frames."""
        super().__init__(length, generator)
        self.select, self.neighbours = _selection(self.device)

    def see(self, joints: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
        """Body (B,L,23,3) and face (B,L,3,3), camera axes -> rays (B,L,26,2) with z = 1, scores (B,L,26)."""
        flawed = self._chance(FLAWED, len(joints))
        seen = self._detectable(joints, face, flawed)
        rays = seen[..., :2] / seen[..., 2:]
        return self._detect(rays, HEIGHT / joints[:, :, 0, 2].mean(1), flawed)

    def _detectable(self, joints: Tensor, face: Tensor, flawed: Tensor) -> Tensor:
        """(B,L,26,3): the face, and joints where a detector's own idea of them lies."""
        size = len(joints)
        mix = self.select.expand(size, -1, -1) + self._misplacement(flawed)
        seen = mixed(mix, joints)
        seen[:, :, : len(FACE)] = face
        return seen + self._normal(size, 1, len(JOINTS), 3, scale=0.012) * self._amount(flawed)[:, None, None, None]

    def _amount(self, flawed: Tensor) -> Tensor:
        """(B,) how large one kind of error is in each window: 0 to 1."""
        return flawed * self._uniform(len(flawed))

    def _misplacement(self, flawed: Tensor) -> Tensor:
        """(B,26,23) changes of `select` that pull joints towards or away from their neighbours; rows sum to 0."""
        size = len(flawed)
        pull = self._normal(size, *self.neighbours.shape) * self.neighbours * self._amount(flawed)[:, None, None]
        return pull - self.select * pull.sum(-1, keepdim=True)

    def _detect(self, rays: Tensor, height: Tensor, flawed: Tensor) -> tuple[Tensor, Tensor]:
        """A detector's errors, in parts of the person's height (B,): rays (B,L,26,2), scores (B,L,26)."""
        size, length, count = rays.shape[:3]
        quick = self._normal(size, length + 2, count, 2)
        quick = (quick[:, :-2] + quick[:, 1:-1] + quick[:, 2:]) / math.sqrt(3)
        slow = stretch(self._normal(size, length // 10 + 2, count, 2), length)
        joint = torch.exp(self._normal(size, 1, count, 1, scale=0.4))
        error = joint * (quick * self._strength(flawed, 0.025) + slow * self._strength(flawed, 0.02))
        bursts = self._span(0.3, (size, count), 3, 20) & flawed[:, None, None]
        error = error + bursts[..., None] * self._normal(size, 1, count, 2, scale=0.08)
        rays = rays + error * height[:, None, None, None]
        turned = (self._span(0.12, (size, 1), 2, 25) & flawed[:, None, None])[..., None]
        whole = self._chance(0.5, size, 1, 1, 1)
        exchanged = rays[:, :, JOINTS.mirror]
        legs = torch.zeros(count, 1, dtype=torch.bool, device=self.device).index_fill(
            0, torch.tensor(LEGS, device=self.device), True
        )
        rays = torch.where(turned & (whole | legs), exchanged, rays)
        return rays, self._scores(error, bursts, flawed)

    def _strength(self, flawed: Tensor, largest: float) -> Tensor:
        return (self._amount(flawed) * largest)[:, None, None, None]

    def _scores(self, error: Tensor, bursts: Tensor, flawed: Tensor) -> Tensor:
        """How sure the detector is: less so the larger the error, or always 1; 0 where it sees nothing."""
        size, length, count = bursts.shape
        told = self._uniform(size, 1, 1, low=0.5) - error.norm(dim=-1) * self._uniform(size, 1, 1, high=8.0)
        told = told + stretch(self._normal(size, length // 10 + 2, count, 1, scale=0.12), length)[..., 0]
        told = (told - bursts * self._uniform(size, 1, 1, high=0.6)).clamp(0.05, 1.0)
        scores = torch.where(self._chance(0.45, size, 1, 1), 1.0, told)
        lost = self._span(0.06, (size, count), 3, 40) | self._span(0.08, (size, 1), 1, 15)
        for limb in (LEGS, KNEES_DOWN, [5, 7, 9], [6, 8, 10], [13, 15, 17, 19], [14, 16, 18, 20]):
            lost[:, :, limb] |= self._span(0.03, (size, 1), 5, 3 * length)
        return torch.where(lost & flawed[:, None, None], 0.0, scores)


def _selection(device: torch.device) -> tuple[Tensor, Tensor]:
    """(26,23) the body joint that each input joint is (none for the face), and how far neighbours may pull it."""
    select, pull = torch.zeros(len(JOINTS), len(BODY)), torch.zeros(len(JOINTS), len(BODY))
    for row, name in enumerate(JOINTS.joints[len(FACE) :], start=len(FACE)):
        column = BODY.joints.index(name)
        select[row, column] = 1.0
        for parent, child in BODY.bones:
            if column in (parent, child):
                pull[row, child if column == parent else parent] = 0.05
        other = BODY.mirror[column]
        if name.endswith("hip"):
            pull[row, other], pull[row, BODY.index("thorax")[0]] = 0.25, 0.06
        if name.endswith("shoulder"):
            pull[row, other], pull[row, 0] = 0.06, 0.05
    return select.to(device), pull.to(device)
