"""How MotionBERT's pre-training spoils 2D motion, which the network then lifts (Zhu et al., ICCV 2023).

Exact 2D gets slow errors as a detector makes them, and the confidence that a detector would give them. Then joints and
frames are hidden. The numbers are those of the published program.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

# Per joint of Human3.6M's 17, in the unit of the normalised image: deviation of the common errors in x and in y, and
# how often an error is a common one. The others are spread evenly within +-FAR.
DEVIATION_X = (
    0.0037, 0.0071, 0.0061, 0.0090, 0.0067, 0.0070, 0.0095, 0.0066, 0.0055, 0.0053, 0.0034, 0.0080, 0.0052, 0.0050,
    0.0078, 0.0060, 0.0054,
)  # fmt: skip
DEVIATION_Y = (
    0.0036, 0.0051, 0.0050, 0.0053, 0.0053, 0.0049, 0.0056, 0.0050, 0.0053, 0.0049, 0.0035, 0.0061, 0.0048, 0.0051,
    0.0079, 0.0057, 0.0057,
)  # fmt: skip
COMMON = (
    0.9987, 0.9670, 0.8896, 0.8938, 0.9746, 0.8767, 0.8210, 0.9578, 0.9183, 0.9679, 0.9841, 0.8910, 0.8016, 0.7028,
    0.8809, 0.8246, 0.7287,
)  # fmt: skip
MEAN = 0.002  # of the common errors; the published table has one number per joint and axis, all near this one
FAR = 0.03
JITTER = 0.002
KEY_FRAMES = 27
# Confidence over distance d: A / (d + A) + B d, and a normal error of this mean and deviation.
A, B, CONFIDENCE_MEAN, CONFIDENCE_DEVIATION = 0.028, 1.1, -0.00459, 0.1431


def add_noise(points: Tensor, generator: Generator) -> Tensor:
    """Exact 2D (B,T,17,2) -> spoilt 2D with confidence (B,T,17,3).

    Errors are drawn at 27 key frames and are linear in between; every frame has a little more, the same for the batch.

    Args:
        points: in the paper's normalised image.
        generator: on any device; the result is on that of `points`.

    Raises:
        ValueError: not 17 joints, for which alone the errors are known.
    """
    batch, frames, joints = points.shape[:3]
    if joints != len(COMMON):
        raise ValueError(f"the errors of {len(COMMON)} joints are known, not of {joints}")
    slow = _between(_key_errors(batch, generator), frames)
    error = (slow + JITTER * _normal((frames, joints, 2), generator)).to(points)
    distance = error.norm(dim=-1, keepdim=True)
    spread = (CONFIDENCE_MEAN + CONFIDENCE_DEVIATION * _normal((batch, frames, joints, 1), generator)).to(points)
    confidence = (A / (distance + A) + B * distance + spread).clamp(0, 1)
    return torch.cat([points + error, confidence], dim=-1)


def draw_masks(
    batch: int, frames: int, joints: int, generator: Generator, joint_share: float = 0.05, frame_share: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Draws what is hidden, every joint and every frame by itself.

    Returns:
        hidden joints (B,T,J) bool, and hidden frames (T,) bool, the same for the batch.
    """
    hidden_joints = _even((batch, frames, joints), generator) < joint_share
    return hidden_joints, _even((frames,), generator) < frame_share


def hide(motion: Tensor, hidden_joints: Tensor, hidden_frames: Tensor) -> Tensor:
    """(B,T,J,3) with the masks of `draw_masks` -> the same where what is hidden has zeros, confidence too."""
    hidden = (hidden_joints | hidden_frames[:, None]).to(motion.device)
    return motion.masked_fill(hidden[..., None], 0.0)


def _key_errors(batch: int, generator: Generator) -> Tensor:
    """(B,27,17,2): common or far errors; which of the two is drawn per joint."""
    shape = (batch, KEY_FRAMES, len(COMMON))
    deviation = torch.tensor((DEVIATION_X, DEVIATION_Y), device=generator.device).T
    common = _even((*shape, 1), generator) < torch.tensor(COMMON, device=generator.device)[:, None]
    near = MEAN + deviation * _normal((*shape, 2), generator)
    return torch.where(common, near, FAR * (2 * _even((*shape, 2), generator) - 1))


def _between(keys: Tensor, frames: int) -> Tensor:
    """(B,K,J,2) at even distances from the first to the last frame -> (B,frames,J,2), linear in between."""
    rows = keys.flatten(2).transpose(1, 2)
    lines = functional.interpolate(rows, size=frames, mode="linear", align_corners=True)
    return lines.transpose(1, 2).unflatten(2, keys.shape[2:])


def _normal(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)


def _even(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)
