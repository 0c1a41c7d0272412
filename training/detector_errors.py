"""Errors of BlazePose as measured on renderings with exact joints, drawn for training (`benchmarks.detector_errors`).

All are parts of the person's height in the picture, at 30 frames per second. A joint is found where the detector's own
idea of it lies: the true joint, pulled towards or away from others and moved along the axes of the body (for the face,
of the head). Around that place it errs by a sum of three parts of known size and correlation in time: one that stays
for the whole clip, a slow one and a quick one. Rarely a joint leaps away for some frames. All that is larger for joints
that the body hides. Rarely left and right are exchanged. The person is always found, because a run fills such gaps
before the lifter sees them; missing joints come from `training.broad_errors`.
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
# Bars that hide joints, from joint to joint of h36m-23, and half their widths in metres.
BARS = (
    BODY.index("pelvis", "neck_nose", "left_hip", "right_hip", "left_knee", "right_knee"),
    BODY.index("thorax", "head_top", "left_knee", "right_knee", "left_ankle", "right_ankle"),
)
WIDTHS = (0.15, 0.1, 0.085, 0.085, 0.06, 0.06)
SOFT = 0.05  # m over which a joint becomes hidden
SPARSE = 4  # frames from one look at what is hidden to the next
# Joints of one name after another leap together: the face, a wrist with its hand, an ankle with its foot.
LEAP = [0, 0, 0, 1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9, 10, 11, 12, 11, 12, 11, 12]
CHANCES = {
    "spread": ("clip", "joint", "score"),
    "exchanged": ("per_second", "frames", "whole"),
}
LEAD = 12  # frames before a window, in which something may begin that lasts into it
LEAPS = 8  # different ones in a window; the moment of its beginning tells which a leap is
DOUBT = 0.02  # m: real people's joints are not believed to be quite where actors' are
STRENGTH = 0.4  # real films are harder than renderings: spread of the logarithm of a window's common factor


def split(name: str) -> tuple[str, str]:
    """Side and part: ("left", "knee") of "left_knee", ("", "nose") of "nose"."""
    side, _, part = name.rpartition("_")
    return (side, part) if side in ("left", "right") else ("", name)


def neighbour(side: str, name: str) -> int:
    """The joint of h36m-23 that `name` means beside a joint of `side`: of this side, of the other, or a middle one."""
    if name.startswith("other_"):
        side, name = {"left": "right", "right": "left"}[side], name.removeprefix("other_")
    return BODY.joints.index(name if name in BODY.joints else f"{side}_{name}")


def hidden(points: Tensor, joints: Tensor) -> Tensor:
    """(...,21,3) and body (...,23,3) in camera axes -> (...,21) in 0 to 1: how far trunk, head or legs hide a joint.

    Each is a rounded bar, seen as from afar; a joint is hidden where it lies within a bar's width and behind it.
    """

    def beside(places: Tensor) -> Tensor:  # in metres at the root's depth, and the depth
        return torch.cat([places[..., :2] / places[..., 2:] * joints[..., :1, 2:], places[..., 2:]], dim=-1)

    begin, end, joint = beside(joints[..., BARS[0], :]), beside(joints[..., BARS[1], :]), beside(points)[..., None, :]
    along, away = (end - begin)[..., None, :, :], joint - begin[..., None, :, :]
    length = (along[..., :2] ** 2).sum(-1).clamp_min(1e-6)
    place = ((along[..., :2] * away[..., :2]).sum(-1) / length).clamp(0, 1)
    left = away - place[..., None] * along  # from the bar's nearest point to the joint
    inside = (left.new_tensor(WIDTHS) - left[..., :2].norm(dim=-1)) / SOFT
    return (inside.clamp(0, 1) * (left[..., 2] / SOFT).clamp(0, 1)).amax(-1)


def own_axes(joints: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
    """(B,L,23,3), (B,L,3,3) -> left, up and forward of the head, for the face, and of the trunk: (B,L,3,3) each."""
    neck, top = BODY.index("neck_nose", "head_top")
    return axes(face[:, :, 1] - face[:, :, 2], joints[:, :, top] - joints[:, :, neck]), torso(joints)


class DetectorErrors(Draws):
    """Sees windows of `length` frames as BlazePose would.

    Args:
        table: of the numbers that `benchmarks.detector_errors` writes; by default those in `FILE`.

    Raises:
        InputError: the table lacks something, cannot be read, or cannot be drawn from.
    """

    def __init__(self, length: int, generator: torch.Generator, table: dict[str, Any] | None = None) -> None:
        super().__init__(length, generator)
        try:
            self._read(table or json.loads(FILE.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError("cannot use the errors of BlazePose", repr(error), f"see {FILE.name}") from error

    def _read(self, table: dict[str, Any]) -> None:
        rows = [table["joints"][split(name)[1]] for name in SEEN]
        for name, keys in CHANCES.items():
            if missing := [key for key in keys if key not in table[name]]:
                raise KeyError(f"{name}: {', '.join(missing)}")
            if table[name].get("frames", 1) < 1:
                raise ValueError(f"{name}: frames below 1")
        columns = {key: torch.tensor([row[key] for row in rows]) for key in rows[0] if key not in ("mix", "offset")}
        self.table, self.column = table, {key: values.to(self.device) for key, values in columns.items()}
        self.select, self.pull, self.offset = (values.to(self.device) for values in _beliefs(rows))
        if columns["burst_frames"].min() < 1:
            raise ValueError("joints: burst_frames below 1")
        among = torch.tensor(table["correlation"])
        if among.shape != (len(SEEN), len(SEEN)):
            raise ValueError(f"correlation is {tuple(among.shape)}, not {len(SEEN), len(SEEN)}")
        self.in_time = _root(_covariance(columns, self.length), "covariance in time").float().to(self.device)
        self.among = _root(among, "correlation").to(self.device)

    def see(self, joints: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
        """Body (B,L,23,3) and face (B,L,3,3), camera axes -> rays (B,L,26,2) with z = 1, scores (B,L,26)."""
        size = len(joints)
        points = self._placed(joints, face)
        some = torch.linspace(0, self.length - 1, self.length // SPARSE + 2, device=self.device).long()
        cover = stretch(hidden(points[:, some], joints[:, some])[..., None], self.length)[..., 0]
        strength = torch.exp(self._normal(size, 1, 1, 1, scale=STRENGTH))
        harder = torch.exp(self.column["hidden"] * cover)[..., None]
        error = strength * harder * (self.draw(size) + self._leaps(size))
        height = HEIGHT / joints[:, :, 0, 2].mean(1)
        rays = self._exchanged(points[..., :2] / points[..., 2:] + error * height[:, None, None, None])
        scores = self._scores(error, cover)
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
        offset = self.offset * belief + self._normal(len(joints), len(SEEN), 3, scale=DOUBT)
        head, trunk = own_axes(joints, face)
        return points + torch.cat([offset[:, None, :FACE] @ head, offset[:, None, FACE:] @ trunk], dim=2)

    def _leaps(self, size: int) -> Tensor:
        """(B,L,21,2) in heights: 0, but for some frames."""
        count = len(SEEN)
        when, begin = self._spells(self.column["bursts_per_second"], self.column["burst_frames"], size, LEAP)
        leaps = (self.among @ self._normal(count, size * LEAPS * 2)).view(count, size, LEAPS, 2).permute(1, 2, 0, 3)
        leaps = leaps * self.column["burst_sd"][:, None]
        chosen = (begin % LEAPS)[..., None].expand(-1, -1, -1, 2)
        return when[..., None] * leaps.gather(1, chosen)

    def _exchanged(self, rays: Tensor) -> Tensor:
        """Left and right of the whole body, or of the legs only, exchanged for some frames of a few windows."""
        about, size = self.table["exchanged"], len(rays)
        when, _ = self._spells(about["per_second"], about["frames"], size, [0])
        which = self._uniform(size, 1, 1).expand(-1, 1, len(SEEN)) < about["whole"]
        which[..., LEGS] = True
        return torch.where((when & which)[..., None], rays[:, :, TWINS], rays)

    def _scores(self, error: Tensor, cover: Tensor) -> Tensor:
        """(B,L,21) in 0..1: how sure the detector is, less so of hidden joints and where it errs."""
        size, length, count = cover.shape
        noise = stretch(self._normal(size, length // 10 + 2, count, 1), length)[..., 0] * self.column["score_sd"]
        noise = noise + self._normal(size, 1, 1, scale=self.table["spread"]["score"])
        sure = self.column["score"] + self.column["score_hidden"] * cover + noise
        return torch.sigmoid(sure - self.column["score_error"] * error.norm(dim=-1))

    def _spells(
        self, per_second: Tensor | float, frames: Tensor | float, size: int, group: list[int]
    ) -> tuple[Tensor, Tensor]:
        """Stretches of time that begin so often and last so long in the mean, for J things, each group's together.

        Returns (B,L,J) bool where one is, and (B,L,J) int64 the moment of the last beginning.
        """
        count = LEAD + self.length
        begins, lasts = self._uniform(2, size, count, max(group) + 1)[..., group]
        clock = torch.arange(count, device=self.device)[:, None]
        begin = torch.where(begins < per_second / FPS, clock, -1).cummax(dim=1).values
        more = torch.log1p(-1 / torch.as_tensor(frames, device=self.device))  # of the chance to last another frame
        length = (1 + (torch.log(lasts) / more).floor()).gather(1, begin.clamp_min(0))
        when = (begin >= 0) & (clock - begin < length)
        return when[:, LEAD:], begin[:, LEAD:].clamp_min(0)


def _beliefs(rows: list[dict[str, Any]]) -> tuple[Tensor, Tensor, Tensor]:
    """(21,23) the joint itself (none for the face), (21,23) what is added, in rows of sum 0, and offsets (21,3)."""
    select, pull = torch.zeros(2, len(SEEN), len(BODY))
    offset = torch.tensor([row["offset"] for row in rows])
    for joint, (name, row) in enumerate(zip(SEEN, rows, strict=True)):
        side = split(name)[0]
        offset[joint, 0] *= -1 if side == "right" else 1
        if joint >= FACE:
            select[joint, BODY.joints.index(name)] = 1.0
        for other, weight in row["mix"].items():
            pull[joint, neighbour(side, other)] = weight
    return select, pull - select * pull.sum(1, keepdim=True), offset


def _root(matrix: Tensor, name: str) -> Tensor:
    """Its Cholesky factor. Raises ValueError."""
    try:
        return torch.linalg.cholesky(matrix)
    except torch.linalg.LinAlgError as error:
        raise ValueError(f"{name} is not positive definite") from error


def _covariance(columns: dict[str, Tensor], length: int) -> Tensor:
    """(21,L,L) of each joint's errors between moments."""
    lag = (torch.arange(length)[:, None] - torch.arange(length)).abs()
    total = columns["clip_sd"].double()[:, None, None] ** 2 + 1e-9 * torch.eye(length)
    for kind in ("slow", "quick"):
        sd, correlation = (columns[f"{kind}_{what}"].double()[:, None, None] for what in ("sd", "correlation"))
        total = total + sd**2 * correlation**lag
    return total
