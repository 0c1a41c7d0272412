"""The lifter `videopose3d` (default): temporal convolutions over a whole track, with our own weights.

Network: `lifters/networks/sighted.py`, after VideoPose3D (Pavllo et al., CVPR 2019) and RIE (Shan et al., ACM MM 2021);
trained by `training/videopose3d.py`. Runs on OpenVINO; PyTorch is not needed.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifters.normalise import JOINTS, RATE, normalise
from lifters.resample import from_grid, grid, to_grid
from pipeline.errors import InputError, MissingError
from pipeline.projection import rays
from pipeline.results import Array, Camera, Motion3D, Track2D
from pipeline.skeletons import skeleton, to_lift

WEIGHTS = "videopose3d-open"
BODY = skeleton("h36m-23")
# An output joint is as sure as the input joints of its name, or as these.
EVIDENCE = {
    "pelvis": ("left_hip", "right_hip"),
    "spine": ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    "thorax": ("left_shoulder", "right_shoulder"),
    "neck_nose": ("nose", "left_ear", "right_ear"),
    "head_top": ("nose", "left_ear", "right_ear"),
}


class VideoPose3D:
    """Lifts tracks of any skeleton that `pipeline.skeletons.to_lift` can read.

    Args:
        weights: an ONNX file; by default the one that the card `videopose3d-open` names.
        flip: average with the lift of the mirrored track.
        chunk: frames that are computed at once, which bounds the memory; the numbers do not depend on it.

    Raises:
        MissingError: the weights cannot be had.
        InputError: the file is not a network of this kind.
    """

    name = "videopose3d"
    weights = (WEIGHTS,)

    def __init__(self, weights: Path | None = None, flip: bool = True, chunk: int = 1024) -> None:
        if weights is not None and not Path(weights).is_file():
            raise MissingError(f"no weights at {weights}", "there is no such file", "an ONNX file, or none")
        self._file, self.flip, self.chunk = weights, flip, chunk
        if weights is not None:
            _ = self._model

    @cached_property
    def _model(self) -> Any:
        import openvino

        from checkpoints.store import find

        path = self._file or find(WEIGHTS)
        try:
            model = openvino.Core().read_model(path)
        except RuntimeError as error:
            raise InputError(f"cannot read {path}", "it is no ONNX network", "another file, or none") from error
        given = {name for output in model.outputs for name in output.names}
        if not given >= {"joints", "extra"}:
            what = f"{path} does not fit the lifter {self.name}"
            raise InputError(
                what, f"it gives {', '.join(sorted(given))}, not joints and extra", "another file, or none"
            )
        return model

    @cached_property
    def _network(self) -> Any:
        import openvino

        return openvino.Core().compile_model(self._model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    @cached_property
    def receptive_field(self) -> int:
        """Frames that one output depends on: those that the output of a long input lacks."""
        long, probe = 4096, self._model.clone()
        probe.reshape([1, long, len(JOINTS), 3])
        return long - probe.output("joints").shape[1] + 1

    def lift(self, track: Track2D, camera: Camera, times: Array) -> Motion3D:
        """Pelvis-relative joints (T,23,3) in metres and camera axes, for a person of average height.

        Frames without any keypoint are NaN. Contacts are the network's belief that heels and toes stand.

        Args:
            times: (T_clip,) s of all frames of the clip.
        """
        own = np.asarray(times, float)[track.frames]
        even = grid(own, RATE)
        rays, scores = rays_and_scores(track, camera)
        inputs, turn = normalise(*to_grid(rays, scores, own, even, RATE))
        del rays  # the longest clips fill the memory
        joints, contacts = self._lift(inputs)
        joints = from_grid(joints @ turn, even, own)
        contacts = from_grid(contacts, even, own)
        blind = ~(scores > 0).any(axis=1)
        joints[blind], contacts[blind] = np.nan, np.nan
        return Motion3D(
            id=track.id, skeleton=BODY.name, frame="root", frames=track.frames, joints=joints.astype(np.float32),
            scores=_scores(scores), root=np.full((len(track), 3), np.nan, np.float32), observed=track.observed,
            contacts=np.clip(contacts, 0.0, 1.0).astype(np.float32),
        )  # fmt: skip

    def _lift(self, inputs: NDArray[np.float32]) -> tuple[Array, Array]:
        """Normalised input (N,26,3) -> joints (N,23,3) in the virtual cameras' axes, contacts (N,4) in 0..1."""
        sides = inputs[None]
        if self.flip:
            sides = np.stack([inputs, inputs[:, JOINTS.mirror] * np.array([-1, 1, 1], np.float32)])
        joints, logits = self._whole(sides)
        contacts = 1 / (1 + np.exp(-logits.astype(float)))
        if self.flip:
            joints[1] = joints[1][:, BODY.mirror] * np.array([-1, 1, 1], np.float32)
            contacts[1] = contacts[1][:, [2, 3, 0, 1]]
        joints = joints.mean(axis=0, dtype=float)
        return joints - joints[:, :1], contacts.mean(axis=0)

    def _whole(self, inputs: NDArray[np.float32]) -> tuple[Array, Array]:
        """(B,N,26,3) -> (B,N,23,3), (B,N,4): ends repeated, computed piece by piece."""
        reach, frames = (self.receptive_field - 1) // 2, inputs.shape[1]
        padded = np.pad(inputs, ((0, 0), (reach, reach), (0, 0), (0, 0)), "edge")
        pieces = [
            self._run(padded[:, begin : min(begin + self.chunk, frames) + 2 * reach])
            for begin in range(0, frames, self.chunk)
        ]
        joints, extra = (np.concatenate(part, axis=1) for part in zip(*pieces, strict=True))
        return joints, extra

    def _run(self, inputs: NDArray[np.float32]) -> tuple[Array, Array]:
        result = self._network(np.ascontiguousarray(inputs))
        return np.array(result["joints"]), np.array(result["extra"])


def track_from_h36m(pixels: Array, frames: Array) -> Track2D:
    """Exact 2D (T,23,2) px of the joints of h36m-23 as a track, everything seen: for measuring the lift alone."""
    count = len(pixels)
    boxes = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
    return Track2D(1, BODY.name, frames, pixels, np.ones((count, len(BODY)), np.float32), np.ones(count, bool), boxes)


def rays_and_scores(track: Track2D, camera: Camera) -> tuple[Array, Array]:
    """(T,26,2) directions with z = 1, and (T,26), 0 where a joint is missing."""
    both = to_lift(np.concatenate([track.keypoints, track.scores[..., None]], axis=-1).astype(float), track.skeleton)
    scores = np.where(np.isfinite(both).all(-1), np.clip(both[..., 2], 0.0, 1.0), 0.0)
    return rays(camera, np.where(scores[..., None] > 0, both[..., :2], 0.0)), scores


def _scores(scores: Array) -> NDArray[np.float32]:
    """(T,26) of the input -> (T,23): the mean over what each joint is known from."""
    columns = []
    for name in BODY.joints:
        direct = scores[:, JOINTS.joints.index(name)]
        others = scores[:, JOINTS.index(*EVIDENCE.get(name, (name,)))].mean(axis=1)
        columns.append(np.maximum(direct, others))
    return np.stack(columns, axis=1).astype(np.float32)
