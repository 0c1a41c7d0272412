"""The detector `rtmo`: everybody of a picture with 17 joints in one stage.

Method: RTMO (Lu et al. 2024, arXiv 2312.07526) from its ONNX export, with our own decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detectors.looking import detections, look_through
from detectors.models import existing, found, model_of, named
from detectors.onnx_network import Network, told
from detectors.onnx_runtimes import Outputs, check_device
from detectors.person_boxes import letterbox, shrinkage
from detectors.suppression import suppress_boxes
from pipeline.errors import InputError
from pipeline.results import Array, Detections

MODELS = {size: f"rtmo-{size}" for size in ("s", "m", "l")}
DEFAULT = "m"
HINT = "the path of an ONNX file"
BATCH = 8  # frames


class RTMO:
    """Everybody in a clip.

    Args:
        model: s, m or l; None: m.
        detector_weights: an ONNX file in the place of the model's own.
        device: cpu, cuda, or auto: a CUDA GPU where ONNX Runtime can use one.
        threshold: least score of a person.
        overlap: IoU above which two boxes are one person's.

    Attributes:
        skeleton, device: see `detectors`.

    Raises:
        UsageError: no such model.
        MissingError: weights, or a device, that cannot be had.
        InputError: a file that is no such network.
    """

    name = "rtmo"
    packages = ()

    @classmethod
    def uses(cls, model: str | None = None, detector_weights: Path | None = None, device: str = "auto") -> tuple:
        """Card or file of the network. Raises UsageError, MissingError."""
        check_device(device)
        own = model_of(cls.name, MODELS, model or DEFAULT)
        return (own if detector_weights is None else existing(Path(detector_weights), HINT),)

    def __init__(
        self, model: str | None = None, detector_weights: Path | None = None, device: str = "auto",
        threshold: float = 0.3, overlap: float = 0.45,
    ) -> None:  # fmt: skip
        (path,) = (found(weights) for weights in self.uses(model, detector_weights))
        self._network, self._threshold, self._overlap = Network(path, device), threshold, overlap
        self.skeleton = named(_heads(self._network.sample, path)[1].shape[2], path)
        self.device = self._network.device

    def detect(self, clip: Any, progress: Callable[[int], None] | None = None) -> list[Detections]:
        """One `Detections` per frame of the clip (what `pipeline.clip.open_clip` gives).

        Args:
            progress: called with the number of frames done.
        """
        return look_through(self.look, clip, BATCH, progress)

    def look(self, frames: Sequence[Array]) -> list[Detections]:
        """The people in each of the frames (H,W,3) uint8 BGR."""
        size = self._network.size
        inputs = (letterbox(frame, size).astype(np.float32).transpose(2, 0, 1)[None] for frame in frames)
        outputs = self._network.run(inputs)
        return [self._people(values, frame) for values, frame in zip(outputs, frames, strict=True)]

    def _people(self, outputs: Outputs, frame: Array) -> Detections:
        dets, joints = (value[0].astype(np.float64) for value in _heads(outputs, self._network.path))
        fine = np.isfinite(dets).all(axis=1) & (dets[:, 4] > self._threshold) & (dets[:, 2:4] > dets[:, :2]).all(axis=1)
        dets, joints = dets[fine], joints[fine]
        kept = suppress_boxes(dets[:, :4], dets[:, 4], self._overlap)
        dets, joints = dets[kept], joints[kept]
        scale, scores = shrinkage(frame, self._network.size), joints[..., 2]
        points = np.where((scores > 0)[..., None], joints[..., :2] / scale, np.nan)
        return detections(self.skeleton, points, scores, dets[:, :4] / scale, np.clip(dets[:, 4], 0, 1))


def _heads(outputs: Outputs, path: Path) -> tuple[Array, Array]:
    """dets (1,M,5), keypoints (1,M,J,3). Raises InputError."""
    dets, joints = [*(outputs.get(name) for name in ("dets", "keypoints")), None][:2]
    if dets is None or joints is None or dets.shape[2:] != (5,) or joints.ndim != 4 or joints.shape[3] != 3:
        why = f"expected dets (1,M,5) and keypoints (1,M,17,3); it gives {told(outputs)}"
        raise InputError(f"{path} is no one-stage pose network", why, "an ONNX export of RTMO")
    return dets, joints
