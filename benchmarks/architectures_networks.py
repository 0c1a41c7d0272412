"""The networks that `benchmarks.architectures` compares: the field's, reading lift-26 and giving h36m-23, and ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lifters.networks.motionbert import DSTformer
from lifters.networks.pstmo import PSTMO, STRIDES
from lifters.networks.rie import RIE
from lifters.networks.sighted import BODY, CONTACTS, INPUT, SAME, SightedModel
from lifters.networks.videopose3d import TemporalModel

WINDOW = 27
GROUPS = {
    "torso": INPUT.index("pelvis", "spine", "thorax", "neck_nose", "head_top", "nose", "left_ear", "right_ear"),
    "larm": INPUT.index("left_shoulder", "left_elbow", "left_wrist", "left_hand"),
    "rarm": INPUT.index("right_shoulder", "right_elbow", "right_wrist", "right_hand"),
    "lleg": INPUT.index("left_hip", "left_knee", "left_ankle", "left_heel", "left_toe"),
    "rleg": INPUT.index("right_hip", "right_knee", "right_ankle", "right_heel", "right_toe"),
}
Run = Callable[[nn.Module, Tensor, int], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Candidate:
    """A network and how it runs.

    Args:
        forward: the network, (B,L,26,3) and a stride -> joints (B,N,23,3) and logits of contacts (B,N,4) of every so-
            many-th of the L - field + 1 frames that have all their neighbours.
        field: frames that one output depends on; 1 for networks that see a whole window at once.
        frames, stride, batch: outputs of a training window, every so-many-th of which counts; windows per step.
        clip: frames of the windows that a whole track is cut into; 0: the track is one window.
    """

    title: str
    make: Callable[[], nn.Module]
    forward: Run
    field: int = WINDOW
    frames: int = 28
    stride: int = 9
    batch: int = 256
    learning_rate: float = 1e-3
    clip: int = 0

    def whole(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(B,T + field - 1,26,3) -> (B,T,23,3); of overlapping windows the middle third counts."""
        if not self.clip:
            return self.forward(network, inputs, 1)[0]
        third, frames = self.clip // 3, inputs.shape[1]
        spare = -frames % third
        padded = nn.functional.pad(inputs.flatten(2).transpose(1, 2), (third, third + spare), mode="replicate")
        windows = padded.transpose(1, 2).unfold(1, self.clip, third).transpose(2, 3)
        joints = self.forward(network, windows.flatten(0, 1).unflatten(2, (len(INPUT), 3)), 1)[0]
        middle = joints[:, third : 2 * third].unflatten(0, windows.shape[:2]).flatten(1, 2)
        return middle[:, :frames]


def _plain(network: TemporalModel, inputs: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    return network(inputs, stride)


def _each(lift: Callable[[nn.Module, Tensor], Tensor], network: nn.Module, inputs: Tensor, stride: int) -> tuple:
    """Networks of one output per window: cut the windows out, in pieces that bound the memory."""
    windows = inputs.unfold(1, WINDOW, stride).movedim(-1, 2)
    pieces = [lift(network, piece) for piece in windows.flatten(0, 1).split(1024)]
    joints = torch.cat(pieces).unflatten(0, windows.shape[:2])
    return joints, joints.new_zeros(*joints.shape[:2], CONTACTS)


def _rie(network: RIE, windows: Tensor) -> Tensor:
    return network(windows)[:, 0][:, SAME]


def _pstmo(network: PSTMO, windows: Tensor) -> Tensor:
    return network(windows)[0][:, 0]


def _dstformer(network: DSTformer, inputs: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    pieces = [network(piece)[:, ::stride][:, :, SAME] for piece in inputs.split(64)]
    joints = torch.cat(pieces)
    return joints, joints.new_zeros(*joints.shape[:2], CONTACTS)


def _temporal(widths: tuple[int, ...], channels: int) -> TemporalModel:
    return TemporalModel(len(INPUT), 3, len(BODY), widths, channels, dropout=0.0, extra_out=CONTACTS)


def _sighted(title: str, widths: tuple[int, ...], features: int, summary: int, **training: int) -> Candidate:
    return Candidate(
        title, partial(SightedModel, widths, features, summary), lambda n, x, stride: n(x, stride), **training
    )


CANDIDATES = {
    "videopose3d": Candidate("VideoPose3D 27, 512 channels", partial(_temporal, (3, 3, 3), 512), _plain),
    "rie": Candidate(
        "RIE 27, 128 channels",
        lambda: RIE(3, 128, (3, 3, 3), 128, GROUPS, 3, 0.0, 512, 0.0), partial(_each, _rie), batch=64,
    ),
    "pstmo": Candidate(
        "P-STMO-S 27, 128 channels",
        lambda: PSTMO(3, STRIDES[27], len(INPUT), len(BODY), 3, 128, 256, 8, 256), partial(_each, _pstmo), batch=64,
    ),
    "motionbert": Candidate(
        "DSTformer 27, 64 channels, depth 3",
        lambda: DSTformer(64, 2, 3, 8, 64, WINDOW, len(INPUT)), _dstformer,
        field=1, frames=WINDOW, stride=3, batch=32, learning_rate=5e-4, clip=WINDOW,
    ),
    "narrow": _sighted("ours, 27 frames, 32 features", (9, 3, 1, 1), 32, 128),
    "short": _sighted("ours, 27 frames, 48 features", (9, 3, 1, 1), 48, 256, batch=128),
    "every-frame": _sighted("ours, 27 frames, trained on every frame", (9, 3, 1, 1), 48, 256, stride=1, batch=32),
    "default": _sighted("ours, 45 frames, 64 features (the default)", (9, 5, 1, 1, 1), 64, 256, field=45, batch=128),
    "long": _sighted("ours, 81 frames, 64 features", (9, 3, 3, 1, 1), 64, 256, field=81, batch=128),
}  # fmt: skip
