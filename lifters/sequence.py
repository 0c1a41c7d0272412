"""Whole tracks through the networks of the field, with weights as their authors released them.

A lifter says how keypoints become a network's input and its output metres. What is the same for all stands here: the
skeleton of the file, stretches between long gaps, the frame rate of training, missing joints, the mirrored track, and
the way back to the clip's own frames. PyTorch is imported when a lifter is made, not before.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lifters.resample import from_grid, grid, to_grid
from pipeline.errors import InputError, MissingError, UsageError
from pipeline.results import Array, Camera, Motion3D, Track2D
from pipeline.skeletons import CONVERSIONS, Skeleton, h36m_to_mpi, skeleton, to_coco, to_h36m

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lifters.variants import Variant

BODY = skeleton("h36m-17")
GAP_S = 0.5  # a longer time without any keypoint splits a track; frames without keypoints are NaN in any case
INSTALL = "pip install -r requirements-train.txt"
NETWORKS = ("videopose3d", "rie", "pstmo", "motionbert")  # of `lifters.variants`; each has a lifter of its name


@dataclass(frozen=True)
class Convention:
    """What a released file takes and gives, of which the shapes in it tell nothing.

    Attributes:
        keypoints, joints: skeletons of input and output.
        metres: the unit of the output in metres.
        rate: frames per second of its training data.
    """

    keypoints: str = "h36m-17"
    joints: str = "h36m-17"
    metres: float = 1.0
    rate: float = 50.0


COCO = Convention("coco-17")


class SequenceLifter(ABC):
    """Lifts tracks of any skeleton with COCO's or Human3.6M's joints into h36m-17.

    Args:
        weights: a released checkpoint (`.bin`, `.pth`, `.pt`, `.safetensors`).
        flip: average with the lift of the mirrored track.
        device: auto (CUDA where there is one, else the CPU), cpu, cuda or mps.

    Raises:
        MissingError: no weights are given or there, no PyTorch, or no such device.
        InputError: a file that cannot be read, or of another network; it is told which.
    """

    name: str
    weights: tuple[str, ...] = ()  # nothing that a card names: the authors' licences are their own
    files: str  # what the authors released, for messages
    demo = True  # how COCO's keypoints become Human3.6M's, see `pipeline.skeletons.to_h36m`

    def __init__(self, weights: Path | None = None, flip: bool = True, device: str = "auto") -> None:
        if weights is None:
            what = f"the lifter {self.name} has no weights of its own"
            raise MissingError(what, f"it runs what its authors released: {self.files}", "--weights FILE")
        _check_torch(self.name)
        from lifters.released import load_into, read_network, read_told
        from lifters.variants import recognise

        self.file, self.flip = Path(weights), flip
        state, (self.options, fps) = read_network(self.file), read_told(self.file)
        self.variant = _fitting(recognise(state), self.name, self.file)
        self.convention = replace(self._convention(), rate=fps) if fps else self._convention()
        try:
            network = self._build(state)
        except ValueError as error:
            what = f"{self.file} does not fit the lifter {self.name}"
            raise InputError(what, f"it looks like {self.variant}, but {error}", self.files) from error
        load_into(network, state, self.file)
        self.device = _device(device)
        self._network: Any = network.eval().to(self.device)

    @property
    def about(self) -> dict[str, str]:
        """What the file was taken for, for reports."""
        return {
            "network": str(self.variant),
            "keypoints": self.convention.keypoints,
            "joints": self.convention.joints,
            "rate": f"{self.convention.rate:g} frames per second",
            "device": self.device,
        }

    def lift(self, track: Track2D, camera: Camera, times: Array) -> Motion3D:
        """Pelvis-relative joints (T,17,3) in metres and camera axes.

        Frames without any keypoint are NaN; where nothing is seen for more than `GAP_S` seconds, what lies before and
        what lies after know nothing of each other.

        Args:
            times: (T_clip,) s of all frames of the clip.

        Raises:
            UsageError: the track's skeleton lacks joints that the network takes.
        """
        own = np.asarray(times, float)[track.frames]
        seen = _known(np.concatenate([track.keypoints, track.scores[..., None]], axis=-1).astype(float))
        keypoints, scores = self._keypoints(seen, track.skeleton), _known(to_h36m(seen, track.skeleton, self.demo))
        blind = ~(keypoints[..., 2] > 0).any(axis=1)
        joints = np.full((len(track), len(BODY), 3), np.nan)
        for begin, end in _runs(~blind, own):
            rows = slice(begin, end)
            joints[rows] = self._lift_run(keypoints[rows], own[rows], camera)
        joints[blind] = np.nan
        return Motion3D(
            id=track.id, skeleton=BODY.name, frame="root", frames=track.frames, joints=joints.astype(np.float32),
            scores=scores[..., 2].astype(np.float32), root=np.full((len(track), 3), np.nan, np.float32),
            observed=track.observed,
        )  # fmt: skip

    # ---- what a lifter says of its network -----------------------------------------------------------------------

    @abstractmethod
    def _build(self, state: dict[str, Tensor]) -> nn.Module:
        """The network for a file, from `self.variant`. Raises ValueError for sizes that it cannot have."""

    @abstractmethod
    def _predict(self, inputs: Tensor, step: int) -> Tensor:
        """Tracks (B,N,J,F) at the rate of training -> (B,N,K,3); `step` as `_clock` gave it."""

    def _convention(self) -> Convention:
        """By `told`, see `by_name`, and `self.variant`."""
        return Convention()

    @property
    def told(self) -> str:
        """What tells what a file takes: the 2D that a recipe of this project names in it, else its own name."""
        return str(self.options.get("keypoints") or self.file.name)

    def _clock(self, own: Array) -> tuple[Array, int]:
        """Times of the frames that the network gets, and frames from one of a window's frames to the next."""
        return grid(own, self.convention.rate), 1

    def _inputs(self, keypoints: Array, camera: Camera) -> Array:
        """Keypoints (N,J,3) px with scores, NaN and 0 where missing -> (N,J,F): screen coordinates by default."""
        points = fill(keypoints, skeleton(self.convention.keypoints))
        return screen(points, *camera.size)

    def _joints(self, outputs: Array, keypoints: Array, camera: Camera) -> Array:
        """Outputs (N,K,3) for keypoints (N,J,3) px -> joints (N,K,3) m in camera axes."""
        return outputs * self.convention.metres

    # ---- the same for all ----------------------------------------------------------------------------------------

    def _keypoints(self, seen: Array, source: str) -> Array:
        """(T,J,3) of a track -> (T,17,3) in the file's skeleton."""
        try:
            if self.convention.keypoints == "coco-17":
                return _known(to_coco(seen, source))
            points = _known(to_h36m(seen, source, self.demo))
        except ValueError as error:
            what = f"{self.file.name} takes {self.convention.keypoints}, the 2D is {source}"
            raise UsageError(what, str(error), "another --detector") from error
        return h36m_to_mpi(points) if self.convention.keypoints == "mpi-inf-3dhp-17" else points

    def _lift_run(self, keypoints: Array, own: Array, camera: Camera) -> Array:
        """(T,J,3) px with scores at the times `own` (T,) -> (T,17,3) m, pelvis-relative."""
        even, step = self._clock(own)
        rate = 1 / (even[1] - even[0]) if len(even) > 1 else self.convention.rate
        points, scores = to_grid(keypoints[..., :2], keypoints[..., 2], own, even, rate)
        keypoints = np.concatenate([np.where(scores[..., None] > 0, points, np.nan), scores[..., None]], axis=-1)
        outputs = self._both_sides(self._inputs(keypoints, camera).astype(np.float32), step)
        joints = self._joints(outputs, keypoints, camera)
        if self.convention.joints != BODY.name:
            joints = CONVERSIONS[self.convention.joints, BODY.name](joints)
        return from_grid(joints - joints[:, :1], even, own)

    def _both_sides(self, inputs: NDArray[np.float32], step: int) -> Array:
        """(N,J,F) -> (N,K,3), averaged with the mirrored track's."""
        import torch

        ins, outs = skeleton(self.convention.keypoints), skeleton(self.convention.joints)
        sides = inputs[None]
        if self.flip:
            sides = np.stack([inputs, inputs[:, ins.mirror] * np.array([-1, 1, 1], np.float32)[: inputs.shape[-1]]])
        with torch.inference_mode():
            outputs = self._predict(torch.from_numpy(sides).to(self.device), step).double().cpu().numpy()
        if self.flip:
            outputs[1] = outputs[1][:, outs.mirror] * np.array([-1, 1, 1])
        return outputs.mean(axis=0)


def by_name(name: str, *known: tuple[str, Convention]) -> Convention:
    """The convention whose pattern the name has, in any case; Human3.6M's otherwise."""
    return next((convention for part, convention in known if re.search(part, name.lower())), Convention())


def screen(points: Array, width: int, height: int) -> Array:
    """(...,2) px -> x in [-1,1], y in [-h/w,h/w], as VideoPose3D has it: both divided by half the width."""
    return points * (2 / width) - np.array([1, height / width])


def fill(keypoints: Array, bones: Skeleton) -> Array:
    """(N,J,3) px with scores -> (N,J,2), nothing missing; at least one joint is seen.

    In time a joint moves evenly from where it was to where it is seen next, and rests before and after. One that is
    never seen is where the nearest joint along the bones is.
    """
    points, seen = keypoints[..., :2].copy(), keypoints[..., 2] > 0
    time = np.arange(len(points))
    ever = seen.any(axis=0)
    for joint in np.nonzero(ever & ~seen.all(axis=0))[0]:
        at = time[seen[:, joint]]
        points[:, joint] = np.stack([np.interp(time, at, points[at, joint, axis]) for axis in (0, 1)], axis=-1)
    while not ever.all():
        near = [(a, b) for bone in bones.bones for a, b in (bone, bone[::-1]) if ever[a] and not ever[b]]
        for a, b in near:
            points[:, b] = points[:, a]
        ever[[b for _, b in near]] = True
    return points


def pad_ends(inputs: Tensor, left: int, right: int) -> Tensor:
    """(B,N,...) -> (B,left+N+right,...): the first and the last frame repeated."""
    import torch

    frames = torch.arange(-left, inputs.shape[1] + right, device=inputs.device).clamp(0, inputs.shape[1] - 1)
    return inputs[:, frames]


def _known(keypoints: Array) -> Array:
    """(T,J,3): NaN with score 0 wherever a number is missing or the score is 0, scores in [0,1]."""
    there = np.isfinite(keypoints).all(axis=-1) & (keypoints[..., 2] > 0)
    points = np.where(there[..., None], keypoints[..., :2], np.nan)
    scores = np.where(there, np.clip(keypoints[..., 2], 0.0, 1.0), 0.0)
    return np.concatenate([points, scores[..., None]], axis=-1)


def _runs(seen: Array, times: Array) -> list[tuple[int, int]]:
    """[begin, end) of the stretches that begin and end with a seen frame and have no gap longer than GAP_S."""
    rows = np.nonzero(seen)[0]
    if not len(rows):
        return []
    breaks = np.nonzero((np.diff(rows) > 1) & (np.diff(times[rows]) > GAP_S + 1e-9))[0]
    first, last = [0, *(breaks + 1)], [*breaks, len(rows) - 1]
    return [(int(rows[a]), int(rows[b]) + 1) for a, b in zip(first, last, strict=True)]


def _check_torch(name: str) -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingError(f"the lifter {name} with released weights needs PyTorch", str(error), INSTALL) from error


def _fitting(variant: Variant | None, name: str, file: Path) -> Variant:
    """The variant, if it is of the network that this lifter runs. Raises InputError."""
    what = f"{file} does not fit the lifter {name}"
    if variant is None:
        raise InputError(what, "no known network has parameters of these names", "another file")
    if variant.network == name.partition("-")[0]:
        return variant
    lifts = variant.network in NETWORKS
    hint = f"--lifter {variant.network}" if lifts else "the file of the network that lifts; this one is made to help it"
    raise InputError(what, f"it looks like {variant}", hint)


def _device(wanted: str) -> str:
    """Raises MissingError for one that is not there, UsageError for an unknown name."""
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return "cuda" if there["cuda"] else "cpu"
    if wanted not in there:
        raise UsageError(f"unknown device {wanted!r}", f"known: auto, {', '.join(there)}")
    if not there[wanted]:
        raise MissingError(f"no {wanted} device here", "PyTorch finds none", "auto or cpu")
    return wanted
