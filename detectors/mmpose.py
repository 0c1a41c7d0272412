"""The detector `mmpose`: any top-down network of MMPose 1.x, in boxes that a person detector finds.

MMPose's configuration decides how a box is enlarged, cropped, normalised and decoded; all crops of several frames go
through the network together. MMPose's own person detectors need MMDetection, so YOLOX finds the boxes here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from detectors.looking import detections, look_through
from detectors.mmpose_model import NAMED, Network, config_file
from detectors.models import found
from pipeline.errors import InputError, MissingError, UsageError
from pipeline.results import Array, Detections

MODEL, BOXES = "human", "yolox-m-person"
WHOLE = "+whole_image"  # at the end of a model's name: nobody is searched for, one person fills the picture
FRAMES = 8  # at once
HINT = "a .pth file of MMPose, or a folder with it and a person detector's ONNX file"

Boxes = Callable[[Sequence[Array]], list[tuple[Array, Array]]]  # frames -> boxes (P,4) px, scores (P,) of each


class MMPose:
    """Everybody in each frame.

    Args:
        model: human (if None), body26, wholebody, vitpose[-s|-b|-l|-h], the name of one of MMPose's configurations,
            or the path of one; with `+whole_image` at its end, the whole picture is the box of one person.
        detector_weights: the network's `.pth` file, or a folder with that and the ONNX file of a person detector.
        device: auto, cpu or cuda.
        boxes: what finds people; None: a YOLOX.

    Attributes:
        skeleton: as the configuration's data set.
        device: what the network runs on.

    Raises:
        UsageError: no such model.
        MissingError: weights, a device or a package that cannot be had.
        InputError: a file that cannot be used.
    """

    name = "mmpose"
    packages = ("mmpose", "mmengine", "torch")
    install = "pip install -r requirements-mmpose.txt && pip install --no-deps -r requirements-mmpose-packages.txt"

    def __init__(
        self,
        model: str | None = None,
        detector_weights: Path | None = None,
        device: str = "auto",
        boxes: Boxes | None = None,
    ) -> None:
        from detectors.torch_parts import torch_device

        where = torch_device(device)
        network, finder, _ = _parts(model, detector_weights)
        self._boxes = boxes or (_whole if finder is None else _person_boxes(found(finder), device))
        self._network = Network(_plain(model), found(network), where)
        self.skeleton, self.device = self._network.skeleton, self._network.device

    @classmethod
    def uses(
        cls, model: str | None = None, detector_weights: Path | None = None, device: str = "auto", **choices: Any
    ) -> tuple:
        """Cards or files of the network and of the person detector, and the configuration where it is a file.

        Raises:
            UsageError: a model that has no weights of its own, and none are given.
            MissingError, InputError: a file or device that is not there, or a folder that does not hold the two.
        """
        from detectors.torch_parts import check_device

        check_device(device)
        return tuple(part for part in _parts(model, detector_weights) if part is not None)

    def detect(self, clip: Any, progress: Callable[[int], None] | None = None) -> list[Detections]:
        """One `Detections` per frame of the clip (what `pipeline.clip.open_clip` gives), people as the boxes come.

        Args:
            progress: called with the number of frames done.
        """
        return look_through(lambda frames: self._poses(frames, self._boxes(frames)), clip, FRAMES, progress)

    def poses(self, frames: Sequence[Array], boxes: Sequence[Array]) -> list[Detections]:
        """The pose in each box (P,4) px of each frame (H,W,3) BGR, in the boxes' order."""
        given = [np.asarray(rows, np.float32).reshape(-1, 4) for rows in boxes]
        return self._poses(frames, [(rows, np.full(len(rows), np.nan)) for rows in given])

    def _poses(self, frames: Sequence[Array], people: Sequence[tuple[Array, Array]]) -> list[Detections]:
        """Boxes that are no boxes get no keypoints."""
        everyone = np.concatenate([boxes for boxes, _ in people])
        owners = np.repeat(np.arange(len(frames)), [len(boxes) for boxes, _ in people])
        rows = np.flatnonzero(np.isfinite(everyone).all(axis=1) & (everyone[:, 2:] > everyone[:, :2]).all(axis=1))
        joints = self._network.joints
        points, scores = np.full((len(everyone), joints, 2), np.nan), np.zeros((len(everyone), joints))
        if len(rows):
            points[rows], scores[rows] = self._network.look((frames[owners[row]], everyone[row]) for row in rows)
        starts = np.searchsorted(owners, np.arange(len(frames) + 1))
        return [
            detections(self.skeleton, points[a:b], scores[a:b], *told)
            for told, a, b in zip(people, starts[:-1], starts[1:], strict=True)
        ]


def _plain(model: str | None) -> str:
    return (model or MODEL).removesuffix(WHOLE)


def _parts(model: str | None, given: Path | None) -> tuple[str | Path, str | Path | None, Path | None]:
    """The network's weights, the person detector's, and the configuration where it is a file; see `MMPose.uses`."""
    name, config = _plain(model), config_file(_plain(model))
    if config is not None and not config.is_file():
        raise MissingError(f"no configuration at {config}", "there is no such file", "a file for MMPose 1.x")
    if given is None:
        if name not in NAMED:
            near = get_close_matches(name, NAMED, n=1, cutoff=0.5)
            hint = "".join(near) or "--detector-weights FILE.pth"
            raise UsageError(f"mmpose has no weights for --model {name}", f"it has for {', '.join(NAMED)}", hint)
        network, finder = NAMED[name][1], BOXES
    else:
        network, finder = _given(Path(given))
    return network, None if (model or "").endswith(WHOLE) else finder, config


def _given(path: Path) -> tuple[Path, str | Path]:
    """Weights of the network and of the person detector in a file or folder of the user's."""
    if not path.is_dir():
        if not path.is_file():
            raise MissingError(f"no weights at {path}", "there is no such file", HINT)
        return path, BOXES
    networks, finders = sorted(path.glob("*.pth")), sorted(path.glob("*.onnx"))
    if len(networks) != 1 or len(finders) != 1:
        why = f"it holds {len(networks)} .pth files and {len(finders)} .onnx files"
        raise InputError(f"cannot use {path}", why, "a folder with one of each, or a .pth file")
    return networks[0], finders[0]


def _person_boxes(path: Path, device: str) -> Boxes:
    from detectors.person_boxes import PersonBoxes

    finder = PersonBoxes(path, device)
    return lambda frames: [(found.boxes, found.scores) for found in finder.look(frames)]


def _whole(frames: Sequence[Array]) -> list[tuple[Array, Array]]:
    """One person as large as the picture."""
    return [(np.array([[0, 0, frame.shape[1], frame.shape[0]]]), np.array([np.nan])) for frame in frames]
