"""The detector `yolo`: the pose models of Ultralytics, 17 keypoints of everybody in each frame by itself.

Ultralytics is used to open a model, nothing more: pictures, network and decoding are our own. Its code and its weights
are AGPL-3.0, which is why it is neither installed nor imported unless this detector is chosen.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from ctypes.util import find_library
from pathlib import Path
from typing import Any

from detectors.looking import detections
from detectors.models import existing, found
from detectors.torch_parts import check_device, torch_device
from detectors.yolo_decode import Raw, decode
from detectors.yolo_picture import Letterbox
from pipeline.errors import UsageError
from pipeline.results import Array, Detections

log = logging.getLogger("videopose")
MODEL = "yolo11n-pose"
HINT = "a .pt file of one of Ultralytics' pose models"
MOST = 300  # people in a frame


class YOLO:
    """Everybody in each frame.

    Args:
        model: name of a card of one of Ultralytics' pose models; None: yolo11n-pose.
        detector_weights: a `.pt` file in its place.
        device: auto, cpu or cuda.
        size: px that the longer side of a frame is scaled to; None: what the model was trained for, mostly 640.
        threshold: lowest score of a person.
        overlap: intersection over union above which the less sure of two boxes is left out.
        threads: CPU threads; 0 takes as many as this process may use, at most 8.

    Attributes:
        device: what the network really runs on.

    Raises:
        UsageError: a model and a file, or no such model.
        InputError: a file that cannot be used; see `detectors.yolo_file.load`.
        MissingError: the weights or the device cannot be had.
    """

    name = "yolo"
    skeleton = "coco-17"
    packages = ("ultralytics-opencv-headless", "torch")
    install = "pip install -r requirements-yolo.txt"

    def __init__(
        self,
        model: str | None = None,
        detector_weights: Path | None = None,
        device: str = "auto",
        size: int | None = None,
        threshold: float = 0.25,
        overlap: float = 0.7,
        threads: int = 0,
    ) -> None:
        (weights,) = self.uses(model, detector_weights)
        log.info("yolo: Ultralytics' code and models are AGPL-3.0; for closed use it sells licences")
        self._network = _network(found(weights), device, threads)
        self.device = self._network.device
        self._size = size or self._network.head.size
        self._threshold, self._overlap = threshold, overlap

    @classmethod
    def uses(
        cls, model: str | None = None, detector_weights: Path | None = None, device: str = "auto", **choices: Any
    ) -> tuple[str | Path]:
        """The name of the card, or the file.

        Raises:
            UsageError: a model and a file, or a model that is none of Ultralytics' for poses.
            MissingError: there is no such file, or device.
        """
        from difflib import get_close_matches

        from checkpoints.card import names

        check_device(device)
        if detector_weights is not None:
            if model is not None:
                raise UsageError("--model and --detector-weights both name a model", hint="one of them")
            return (existing(Path(detector_weights), HINT),)
        known = [name for name in names() if name.startswith("yolo") and name.endswith("-pose")]
        if model is not None and model not in known:
            near = get_close_matches(model, known, n=1, cutoff=0.4)
            raise UsageError(f"yolo has no model {model!r}", f"known: {', '.join(known)}", near[0] if near else "")
        return (model or MODEL,)

    def detect(self, clip: Any, progress: Callable[[int], None] | None = None) -> list[Detections]:
        """One `Detections` per frame of the clip (what `pipeline.clip.open_clip` gives), people by their score.

        Args:
            progress: called with the number of frames done.
        """
        found = []
        for people in self.look((clip.info.width, clip.info.height), clip.frames()):
            found.append(people)
            if progress is not None:
                progress(len(found))
        return found

    def look(self, size: tuple[int, int], frames: Iterable[Array]) -> Iterator[Detections]:
        """The people of each frame (H,W,3) uint8 BGR, all of `size` (width, height) px."""
        box = Letterbox.of(size, self._size, max(self._network.head.strides))
        for raw in self._network.run(box(frame) for frame in frames):
            yield self._people(raw, box)

    def _people(self, raw: Raw, box: Letterbox) -> Detections:
        head = self._network.head
        boxes, box_scores, points, scores = decode(raw, head, box.size, self._threshold, self._overlap, MOST)
        corners = box.to_frame(boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        return detections(self.skeleton, box.to_frame(points), scores, corners, box_scores)


def _network(path: Path, device: str, threads: int) -> Any:
    """PyTorch is imported where there is a driver of a graphics card, or one is asked for."""
    from detectors.yolo_network import OnOpenVINO, OnTorch

    if device == "cuda" or (device == "auto" and find_library("cuda")):
        found = torch_device(device)
        if found.type == "cuda":
            return OnTorch(path, found)
    return OnOpenVINO(path, threads or min(_cores(), 8))


def _cores() -> int:
    """How many processors this process may run on; not every system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
