"""Errors of BlazePose as measured on renderings with exact joints, drawn for training (`benchmarks.detector_errors`).

All are parts of the person's height in the picture, at 30 frames per second. A joint is found where the detector's own
idea of it lies: the true joint, pulled towards or away from others and moved along the axes of the body (for the face,
of the head). Around that place it errs by a sum of three parts of known size and correlation in time: one that stays
for the whole clip, a slow one and a quick one, larger for joints that are farther away than their twins. Rarely a
joint leaps away for some frames, left and right are exchanged, or nobody is found.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.errors import InputError
from training.body_frames import HEIGHT, Draws, axes, mixed, stretch, torso
from training.mocap import BODY
from training.normalise import JOINTS

FILE = Path(__file__).with_name("blazepose_errors.json")
FPS = 30.0
SEEN = JOINTS.joints[:21]  # what BlazePose has of lift-26; the first three are the face
FACE = 3
TWINS = list(JOINTS.mirror[: len(SEEN)])
LEGS = [i for i, name in enumerate(SEEN) if name.endswith(("hip", "knee", "ankle", "heel", "toe"))]
REACH = 0.35  # m: being farther behind the twin makes no more difference
STRENGTH = 0.4  # real films are harder than renderings: spread of the logarithm of a window's common factor


def split(name: str) -> tuple[str, str]:
    """ "left_knee" -> ("left", "knee"), "nose" -> ("", "nose")."""
    side, _, part = name.rpartition("_")
    return (side, part) if side in ("left", "right") else ("", name)


def neighbour(side: str, name: str) -> int:
    """The joint of h36m-23 that `name` means beside a joint of `side`: of this side, of the other, or a middle one."""
    if name.startswith("other_"):
        side, name = {"left": "right", "right": "left"}[side], name.removeprefix("other_")
    return BODY.joints.index(name if name in BODY.joints else f"{side}_{name}")


def behind(points: Tensor) -> Tensor:
    """(...,21,3) in camera axes -> (...,21) in -1 to 1: how far a joint is behind its twin (the nose: the ears)."""
    z = points[..., 2]
    twin = torch.cat([(z[..., 1:2] + z[..., 2:3]) / 2, z[..., TWINS[1:]]], dim=-1)
    return ((z - twin) / REACH).clamp(-1, 1)


def own_axes(joints: Tensor, face: Tensor) -> Tensor:
    """(B,L,23,3), (B,L,3,3) -> (B,L,21,3,3): left, up and forward of the head for the face, else of the trunk."""
    neck, top = BODY.index("neck_nose", "head_top")
    head = axes(face[:, :, 1] - face[:, :, 2], joints[:, :, top] - joints[:, :, neck])
    parts = ((head, FACE), (torso(joints), len(SEEN) - FACE))
    return torch.cat([frame[:, :, None].expand(-1, -1, count, -1, -1) for frame, count in parts], dim=2)


class DetectorErrors(Draws):
    """Sees windows of `length` frames as BlazePose would.

    Args:
        table: of the numbers that `benchmarks.detector_errors` writes; by default those in `FILE`.

    Raises:
        InputError: the table lacks something, or cannot be read.
    """

    def __init__(self, length: int, generator: torch.Generator, table: dict[str, Any] | None = None) -> None:
        super().__init__(length, generator)
        try:
            self._read(table or json.loads(FILE.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError("cannot read the errors of BlazePose", repr(error), f"see {FILE.name}") from error

    def _read(self, table: dict[str, Any]) -> None:
        rows = [table["joints"][split(name)[1]] for name in SEEN]
        column = {key: torch.tensor([row[key] for row in rows]) for key in rows[0] if key not in ("mix", "offset")}
        self.table, self.column = table, {key: values.to(self.device) for key, values in column.items()}
        self.select, self.pull = torch.zeros(len(SEEN), len(BODY)), torch.zeros(len(SEEN), len(BODY))
        self.offset = torch.tensor([row["offset"] for row in rows])
        for joint, (name, row) in enumerate(zip(SEEN, rows, strict=True)):
            side = split(name)[0]
            self.offset[joint, 0] *= -1 if side == "right" else 1
            if joint >= FACE:
                self.select[joint, BODY.joints.index(name)] = 1.0
            for other, weight in row["mix"].items():
                self.pull[joint, neighbour(side, other)] = weight
        self.pull -= self.select * self.pull.sum(1, keepdim=True)
        lag = (torch.arange(self.length)[:, None] - torch.arange(self.length)).abs()
        covariance = column["clip_sd"].double()[:, None, None] ** 2 + 1e-9 * torch.eye(self.length)
        for kind in ("slow", "quick"):
            sd, correlation = (column[f"{kind}_{what}"].double()[:, None, None] for what in ("sd", "correlation"))
            covariance = covariance + sd**2 * correlation**lag
        self.in_time = torch.linalg.cholesky(covariance).float().to(self.device)
        self.among = torch.linalg.cholesky(torch.tensor(table["correlation"])).to(self.device)
        self.select, self.pull, self.offset = (v.to(self.device) for v in (self.select, self.pull, self.offset))

    def see(self, joints: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
        """Body (B,L,23,3) and face (B,L,3,3), camera axes -> rays (B,L,26,2) with z = 1, scores (B,L,26)."""
        size = len(joints)
        points = self._placed(joints, face)
        far = behind(points)
        strength = torch.exp(self._normal(size, 1, 1, 1, scale=STRENGTH))
        error = strength * (torch.exp(self.column["behind"] * far)[..., None] * self.draw(size) + self._leaps(size))
        height = HEIGHT / joints[:, :, 0, 2].mean(1)
        rays = self._exchanged(points[..., :2] / points[..., 2:] + error * height[:, None, None, None])
        lost = self._spell(self.table["lost"]["per_second"], self.table["lost"]["frames"], size, 1)
        scores = torch.where(lost, 0.0, self._scores(error, far))
        absent = len(JOINTS) - len(SEEN)
        return torch.nn.functional.pad(rays, (0, 0, 0, absent)), torch.nn.functional.pad(scores, (0, absent))

    def draw(self, size: int) -> Tensor:
        """(B,L,21,2) errors around the detector's own idea of every joint, in heights; no leaps among them."""
        white = self.among @ self._normal(len(SEEN), self.length * size * 2)
        error = (self.in_time @ white.view(len(SEEN), self.length, -1)).view(len(SEEN), self.length, size, 2)
        spread = self.table["spread"]
        scale = self._normal(size, 1, 1, 1, scale=spread["clip"])
        scale = scale + self._normal(size, 1, len(SEEN), 1, scale=spread["joint"])
        return error.permute(2, 1, 0, 3) * torch.exp(scale)

    def _placed(self, joints: Tensor, face: Tensor) -> Tensor:
        """(B,L,21,3) where the detector believes the joints to be, more or less so in each window."""
        belief = torch.exp(self._normal(len(joints), 1, 1, scale=STRENGTH))
        points = mixed(self.select + self.pull * belief, joints)
        points[:, :, :FACE] += face
        return points + ((self.offset * belief)[:, None, :, None] @ own_axes(joints, face))[..., 0, :]

    def _leaps(self, size: int) -> Tensor:
        """(B,L,21,2) in heights: 0, but for some frames."""
        when = self._spell(self.column["bursts_per_second"], self.column["burst_frames"], size, len(SEEN))
        return when[..., None] * self._normal(size, 1, len(SEEN), 2) * self.column["burst_sd"][:, None]

    def _exchanged(self, rays: Tensor) -> Tensor:
        """Left and right of the whole body, or of the legs only, exchanged for some frames of a few windows."""
        about, size = self.table["exchanged"], len(rays)
        when = self._spell(about["per_second"], about["frames"], size, 1)
        which = self._uniform(size, 1, 1).expand(-1, 1, len(SEEN)) < about["whole"]
        which[..., LEGS] = True
        return torch.where((when & which)[..., None], rays[:, :, TWINS], rays)

    def _scores(self, error: Tensor, far: Tensor) -> Tensor:
        """(B,L,21) in 0..1: how sure the detector is, less so of far joints and where it errs."""
        size, length, count = far.shape
        noise = stretch(self._normal(size, length // 10 + 2, count, 1), length)[..., 0] * self.column["score_sd"]
        noise = noise + self._normal(size, 1, 1, scale=self.table["spread"]["score"])
        sure = self.column["score"] + self.column["score_behind"] * far + noise
        return torch.sigmoid(sure - self.column["score_error"] * error.norm(dim=-1))

    def _spell(self, per_second: Tensor | float, frames: Tensor | float, size: int, count: int) -> Tensor:
        """(B,L,count) bool: at most one stretch of time in each window, of random length with mean `frames`."""
        length = 0.5 - (frames - 0.5) * torch.log1p(-self._uniform(size, count))
        reach = self.length + length
        begin = self._uniform(size, count) * reach - length
        happens = self._uniform(size, count) < 1 - torch.exp(-per_second / FPS * reach)
        clock = torch.arange(self.length, device=self.device)[:, None]
        return (clock >= begin[:, None]) & (clock < (begin + length)[:, None]) & happens[:, None]
