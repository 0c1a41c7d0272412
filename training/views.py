"""Endless random views of recorded motion, made on the device by tensor code: what a detector would see, and the truth.

A window of a clip is played at another speed, given limbs of another window and other proportions, tilted, seen by a
random camera, blurred by the errors that detectors make, and normalised exactly as at run time. Bodies are
scaled to one standard size, because a single camera cannot tell a small person from a far one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from training.body_frames import Draws, about, face_frame, mixed, torso
from training.broad_errors import FACE, FEET, BroadErrors
from training.detector_errors import DetectorErrors
from training.mocap import BODY, UNKNOWN, Mocap
from training.normalise import JOINTS, normalise

CHAIN = 1.59  # metres from ankle over knee, hip height, spine and neck to head top of a person 1.7 m tall
TORSO = JOINTS.index("pelvis", "spine", "thorax", "neck_nose", "head_top")
HANDS = JOINTS.index("left_hand", "right_hand")
# What different sources of 2D lack, and how often they are shown.
SOURCES: tuple[tuple[float, list[int]], ...] = (
    (0.50, TORSO),  # BlazePose
    (0.28, FACE),  # Human3.6M's joints with feet and hands
    (0.06, []),
    (0.08, TORSO + HANDS + FEET),  # COCO
    (0.08, FACE + HANDS + FEET),  # Human3.6M
)
SLOW = 0.3  # share of windows filmed at a lower frame rate, of which the lifter sees frames and straight lines between
FITTED = 0.6  # share of BlazePose's windows with its errors as measured; all others get broad errors
# Bones that change their length together, and limbs that another person's motion may replace (by the bones' ends).
GROUPS = ("hip", "knee", "ankle", "spine", "thorax", "neck_nose", "head_top", "shoulder", "elbow", "wrist", "heel",
          "toe", "hand")  # fmt: skip
LIMBS = (
    BODY.index("left_elbow", "left_wrist", "left_hand"),
    BODY.index("right_elbow", "right_wrist", "right_hand"),
    BODY.index("left_knee", "left_ankle", "left_heel", "left_toe"),
    BODY.index("right_knee", "right_ankle", "right_heel", "right_toe"),
    BODY.index("neck_nose", "head_top"),
)
LIMB_CHANCE = (0.25, 0.25, 0.12, 0.12, 0.15)
# How far a bone, with all that hangs on it, is bent away from the recorded pose: standard deviation in radians.
BEND = {"spine": 0.15, "neck_nose": 0.15, "elbow": 0.35, "wrist": 0.2, "knee": 0.25, "ankle": 0.12, "heel": 0.1}
BENT = 0.6  # share of windows in which that happens


@dataclass(frozen=True)
class Batch:
    """B windows: input (B,L,26,3), truth (B,T,23,3) m in the virtual cameras' axes, contacts (B,T,4)."""

    inputs: Tensor
    joints: Tensor
    contacts: Tensor


class Views(Draws):
    """Draws batches. The generator's state is all that must be saved to go on exactly where a run stopped."""

    def __init__(self, mocap: Mocap, frames: int, field: int, generator: torch.Generator) -> None:
        """`frames` of truth per window, and `field - 1` more of input (the network's receptive field)."""
        super().__init__(frames + field - 1, generator)
        self.mocap, self.frames = mocap, frames
        self.cumulative = mocap.weights.cumsum(0)
        self.parents = torch.tensor([max(p, 0) for p in BODY.parents], device=self.device)
        self.accumulate = _ancestors(BODY.parents).to(self.device)
        self.group = torch.tensor([_group(name) for name in BODY.joints], device=self.device)
        self.broad = BroadErrors(self.length, generator)
        self.fitted = DetectorErrors(self.length, generator)

    def batch(self, size: int) -> Batch:
        """Draw `size` windows."""
        joints, contacts = self._play(size)
        joints, contacts = self._reshape(joints, contacts)
        joints = self._film(joints)
        inputs, turn = normalise(*self._slower(*self._detect(joints)))
        inputs = self._hold(inputs)
        middle = slice((self.length - self.frames) // 2, (self.length + self.frames) // 2)
        relative = (joints - joints[:, :, :1])[:, middle]
        return Batch(inputs, relative @ turn[:, middle].transpose(-1, -2), contacts[:, middle])

    def _play(self, size: int) -> tuple[Tensor, Tensor]:
        """Windows at random places and speeds: joints (B,L,23,3), contacts (B,L,4)."""
        draw = self._uniform(size).double() * self.cumulative[-1]
        middle = torch.searchsorted(self.cumulative, draw).clamp_max(len(self.cumulative) - 1)
        speed = torch.exp(self._normal(size, 1, scale=0.25)).clamp(0.4, 2.0)
        time = middle[:, None] + (torch.arange(self.length, device=self.device) - self.length // 2) * speed
        time = torch.maximum(torch.minimum(time, self.mocap.last[middle, None]), self.mocap.first[middle, None])
        before = time.floor().long()
        after = torch.minimum(before + 1, self.mocap.last[middle, None])
        part = (time - before)[..., None, None].float()
        joints = self.mocap.joints[before] * (1 - part) + self.mocap.joints[after] * part
        return joints, self.mocap.contacts[time.round().long()]

    def _reshape(self, joints: Tensor, contacts: Tensor) -> tuple[Tensor, Tensor]:
        """Limbs of other windows, other proportions, standard size, the window's mean pelvis as origin."""
        size, root = len(joints), joints[:, :, :1]
        bones = joints - joints[:, :, self.parents]
        frame = torso(joints)
        donated = bones.roll(1, 0) @ (frame.roll(1, 0).transpose(-1, -2) @ frame)
        swap = torch.zeros(size, len(BODY), dtype=torch.bool, device=self.device)
        for ends, chance in zip(LIMBS, LIMB_CHANCE, strict=True):
            swap[:, ends] = self._chance(chance, size)[:, None]
        bones = torch.where(swap[:, None, :, None], donated, bones)
        bent = self._chance(BENT, size)
        bones = (bones.transpose(1, 2) @ self._bends(bent).transpose(-1, -2)).transpose(1, 2)
        feet = swap[:, BODY.index("left_heel", "left_toe", "right_heel", "right_toe")] | bent[:, None]
        contacts = torch.where(feet[:, None], UNKNOWN, contacts)
        factors = torch.exp(self._normal(size, len(GROUPS), scale=0.08))[:, self.group]
        bones = bones * factors[:, None, :, None]
        lengths = bones[:, ::8].norm(dim=-1).mean(1)
        scale = CHAIN / lengths[:, CHAIN_BONES].mul(torch.tensor(CHAIN_SHARE, device=self.device)).sum(1)
        root = root - root.mean(1, keepdim=True)
        return (root + mixed(self.accumulate, bones)) * scale[:, None, None, None], contacts

    def _bends(self, bent: Tensor) -> Tensor:
        """(B,23,3,3): how each bone is turned, together with the bones that it hangs on."""
        size = len(bent)
        amount = bent * self._uniform(size)
        turns: list[Tensor] = []
        for name, parent in zip(BODY.joints, BODY.parents, strict=True):
            before = turns[parent] if parent >= 0 else torch.eye(3, device=self.device).expand(size, 3, 3)
            spread = BEND.get(_part(name), 0.0)
            turns.append(
                before @ _rotation(self._normal(size, 3, scale=spread) * amount[:, None]) if spread else before
            )
        return torch.stack(turns, dim=1)

    def _film(self, joints: Tensor) -> Tensor:
        """Tilt the body, place a camera: world (B,L,23,3) around the origin -> camera axes, in front of it."""
        size = len(joints)
        tilt = torch.where(self._chance(0.12, size), self._normal(size, scale=0.7), self._normal(size, scale=0.12))
        around = self._uniform(size, high=2 * math.pi)
        azimuth = self._uniform(size, high=2 * math.pi)
        elevation = torch.where(
            self._chance(0.1, size), self._uniform(size, low=-0.5, high=1.2), self._uniform(size, low=-0.2, high=0.65)
        )
        roll = self._normal(size, scale=0.07)
        # The body turns about a random horizontal axis, then about the vertical; then the camera's axes.
        turn = about(2, azimuth) @ about(0, tilt) @ about(2, around)
        to_camera = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], device=self.device)
        turn = about(2, roll) @ about(0, elevation) @ to_camera @ turn
        joints = joints @ turn.transpose(-1, -2)[:, None]
        distance = torch.exp(self._uniform(size, low=math.log(1.8), high=math.log(10.0)))
        nearest = joints[..., 2].amin(dim=(1, 2))
        distance = distance + (0.7 - distance - nearest).clamp_min(0.0)
        return joints + distance[:, None, None, None] * torch.tensor([0.0, 0.0, 1.0], device=self.device)

    def _detect(self, joints: Tensor) -> tuple[Tensor, Tensor]:
        """(B,L,23,3) in camera axes -> what a source of 2D sees: rays (B,L,26,2) with z = 1, scores (B,L,26)."""
        size, face = len(joints), self._face(joints)
        chances = torch.tensor([chance for chance, _ in SOURCES], device=self.device)
        source = torch.multinomial(chances, size, replacement=True, generator=self.generator)
        fitted = (source == 0) & self._chance(FITTED, size)
        rays = joints.new_zeros(size, self.length, len(JOINTS), 2)
        scores = rays.new_zeros(rays.shape[:3])
        for errors, rows in ((self.fitted, fitted.nonzero()[:, 0]), (self.broad, (~fitted).nonzero()[:, 0])):
            rays[rows], scores[rows] = errors.see(joints[rows], face[rows])
        lacking = torch.zeros(len(SOURCES), len(JOINTS), dtype=torch.bool, device=self.device)
        for row, (_, absent) in enumerate(SOURCES):
            lacking[row, absent] = True
        return rays, torch.where(lacking[source][:, None], 0.0, scores)

    def _slower(self, rays: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Some windows as cameras of 10 to 30 frames/s give them, brought to the even rate as by `lifters.resample`."""
        size, clock = len(rays), torch.arange(self.length, device=self.device)
        step = torch.where(self._chance(SLOW, size, 1), self._uniform(size, 1, low=1.0, high=3.0), 1.0)
        first = self._uniform(size, 1) * (step - 1)
        count = ((clock - first) / step).floor()
        before = (first + count * step).round().clamp(0, self.length - 1)
        after = (first + (count + 1) * step).round().clamp(0, self.length - 1)
        part = ((clock - before) / (after - before).clamp_min(1)).clamp(0, 1)[..., None]
        row = torch.arange(size, device=self.device)[:, None]
        left, right = before.long(), after.long()
        told = scores[row, left] * (1 - part) + scores[row, right] * part
        lost = ((scores[row, left] <= 0) & (part < 1)) | ((scores[row, right] <= 0) & (part > 0))
        between = rays[row, left] * (1 - part[..., None]) + rays[row, right] * part[..., None]
        return between, torch.where(lost, 0.0, told)

    def _face(self, joints: Tensor) -> Tensor:
        """(B,L,23,3) -> (B,L,3,3): nose, left and right ear, a little elsewhere on every head."""
        size = len(joints)
        frame = face_frame(joints, self._normal(size, 1, scale=0.35))
        places = torch.tensor([[0.0, 0.07, 0.13], [0.075, 0.085, 0.02], [-0.075, 0.085, 0.02]], device=self.device)
        varied = self._normal(size, 3, scale=0.025)[:, None] * torch.tensor([0.2, 1.0, 1.0], device=self.device)
        return joints[:, :, BODY.index("neck_nose")] + (places + varied)[:, None] @ frame

    def _hold(self, inputs: Tensor) -> Tensor:
        """Some windows begin or end within a clip: its first or last frame is repeated, as at run time."""
        size = len(inputs)
        reach = (self.length - self.frames) // 2 + self.frames // 2
        before = torch.where(self._chance(0.08, size), self._uniform(size, high=reach), 0.0).long()
        after = torch.where(self._chance(0.08, size), self._uniform(size, high=reach), 0.0).long()
        clock = torch.arange(self.length, device=self.device)[None]
        clock = torch.maximum(torch.minimum(clock, self.length - 1 - after[:, None]), before[:, None])
        return inputs[torch.arange(size, device=self.device)[:, None], clock]


CHAIN_BONES = BODY.index(
    "left_knee", "right_knee", "left_ankle", "right_ankle", "spine", "thorax", "neck_nose", "head_top"
)
CHAIN_SHARE = (0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0)


def _group(name: str) -> int:
    """Which bones a joint's bone changes its length with; the pelvis has none, so any will do."""
    part = _part(name)
    return GROUPS.index(part) if part in GROUPS else 0


def _part(name: str) -> str:
    """A joint's name without its side."""
    return name.partition("_")[2] if name.startswith(("left_", "right_")) else name


def _ancestors(parents: tuple[int, ...]) -> Tensor:
    """(K,K) with a row per joint: the bones between the root and it."""
    table = torch.zeros(len(parents), len(parents))
    for joint in range(len(parents)):
        bone = joint
        while parents[bone] >= 0:
            table[joint, bone] = 1.0
            bone = parents[bone]
    return table


def _rotation(vector: Tensor) -> Tensor:
    """(B,3) axis times angle -> (B,3,3), by Rodrigues' formula."""
    angle = vector.norm(dim=-1).clamp_min(1e-8)[:, None, None]
    x, y, z = (vector / angle[:, 0]).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.eye(3, device=vector.device) + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)
