"""People as boxes: the networks YOLOX and RTMDet from ONNX files.

Sources: YOLOX (Ge et al. 2021, arXiv 2107.08430) and RTMDet (Lyu et al. 2022, arXiv 2212.07784), as MMDeploy and the
authors' own tools export them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from detectors.onnx_network import Network, told
from detectors.onnx_runtimes import Outputs
from detectors.suppression import suppress_boxes
from pipeline.errors import InputError
from pipeline.results import Array

PERSON = 0  # class in COCO, Objects365 and Human-Art
STRIDES = (8, 16, 32)
RTMDET_MEAN = np.array([103.53, 116.28, 123.675], np.float32)  # of blue, green, red
RTMDET_STD = np.array([57.375, 57.12, 58.395], np.float32)


@dataclass(frozen=True)
class Boxes:
    """The people of one frame."""

    boxes: Array = field(default_factory=lambda: np.zeros((0, 4)))  # (P,4) float64 px x1 y1 x2 y2
    scores: Array = field(default_factory=lambda: np.zeros(0))  # (P,) in [0,1]

    def __len__(self) -> int:
        return len(self.boxes)


class PersonBoxes:
    """Finds people in pictures.

    Exports are told apart by what they give: one (1,A,5+C) of a grid with strides 8, 16, 32 is a YOLOX without
    suppression; (1,M,5) of boxes with scores, maybe with labels (1,M), is one with it. The latter is a YOLOX if its
    first layer takes the picture's even and odd pixels apart, and wants pixels of 0 to 255; else an RTMDet, and wants
    them normalised.

    Args:
        threshold: least score of a person.
        overlap: IoU above which two boxes are one person's.
        family: yolox or rtmdet; None: judged as above.

    Attributes:
        device: what it really runs on.

    Raises:
        MissingError: no such file or device.
        InputError: no such network.
    """

    def __init__(
        self, path: Path, device: str = "auto", threshold: float = 0.3, overlap: float = 0.45, family: str | None = None
    ) -> None:
        self._network = Network(path, device)
        self._threshold, self._overlap = threshold, overlap
        self.device, self._size = self._network.device, self._network.size
        self._grid = _kind(self._network)
        self._mean, self._std = np.float32(0), np.float32(1)
        if self._grid is None and not (family == "yolox" or (family is None and _takes_apart(path))):
            self._mean, self._std = RTMDET_MEAN, RTMDET_STD

    def look(self, frames: Sequence[Array]) -> list[Boxes]:
        """The people in each of the frames (H,W,3) BGR, best first."""
        inputs = (self._input(frame) for frame in frames)
        found = self._network.run(inputs)
        return [self._people(outputs, frame) for outputs, frame in zip(found, frames, strict=True)]

    def _input(self, frame: Array) -> Array:
        picture = letterbox(frame, self._size).astype(np.float32)
        return ((picture - self._mean) / self._std).transpose(2, 0, 1)[None]

    def _people(self, outputs: Outputs, frame: Array) -> Boxes:
        boxes, scores = self._boxes_and_scores(outputs)
        fine = np.isfinite(boxes).all(axis=1) & (scores > self._threshold) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        boxes, scores = boxes[fine], scores[fine]
        kept = suppress_boxes(boxes, scores, self._overlap)
        return Boxes(boxes[kept] / shrinkage(frame, self._size), np.clip(scores[kept], 0, 1))

    def _boxes_and_scores(self, outputs: Outputs) -> tuple[Array, Array]:
        """(P,4) letterboxed px, (P,) of people."""
        rows = main_output(outputs)[0].astype(np.float64)
        if self._grid is not None:
            return decode_grid(rows, self._grid)
        labels = next((value[0] for value in outputs.values() if value.ndim == 2), np.full(len(rows), PERSON))
        rows = rows[labels == PERSON]
        return rows[:, :4], rows[:, 4]


def letterbox(frame: Array, size: tuple[int, int]) -> Array:
    """The frame (H,W,3) in the top left of a grey picture of `size` (width, height); x there is x * `shrinkage`.

    Not `cv2.resize`, which would round the size and put pixel centres half a pixel elsewhere.
    """
    matrix = np.diag([shrinkage(frame, size)] * 2 + [1.0])[:2]
    return cv2.warpAffine(frame, matrix, size, borderMode=cv2.BORDER_CONSTANT, borderValue=(114, 114, 114))


def shrinkage(frame: Array, size: tuple[int, int]) -> float:
    """Pixels of a letterboxed picture for one of the frame."""
    height, width = frame.shape[:2]
    return min(size[0] / width, size[1] / height)


def grid(size: tuple[int, int]) -> Array:
    """(A,3): column, row and stride of each cell, as the outputs of YOLOX are ordered."""
    cells = []
    for stride in STRIDES:
        rows, columns = np.mgrid[: size[1] // stride, : size[0] // stride]
        cells.append(np.stack([columns, rows, np.full_like(rows, stride)], axis=-1).reshape(-1, 3))
    return np.concatenate(cells).astype(np.float64)


def decode_grid(rows: Array, cells: Array) -> tuple[Array, Array]:
    """YOLOX's outputs (A,5+C): x y w h, person or not, classes -> boxes (A,4) px x1 y1 x2 y2, scores (A,) of people."""
    centres = (rows[:, :2] + cells[:, :2]) * cells[:, 2:]
    halves = np.exp(np.minimum(rows[:, 2:4], 20)) * cells[:, 2:] / 2
    return np.concatenate([centres - halves, centres + halves], axis=1), rows[:, 4] * rows[:, 5 + PERSON]


def main_output(outputs: Outputs) -> Array:
    """The boxes: what is called dets, or else comes first."""
    return outputs.get("dets", next(iter(outputs.values())))


def _kind(network: Network) -> Array | None:
    """The grid of an export without suppression, None of one with it. Raises InputError."""
    sample, cells = main_output(network.sample), grid(network.size)
    if sample.ndim == 3 and sample.shape[2] == 5:
        return None
    if sample.ndim == 3 and sample.shape[1] == len(cells) and sample.shape[2] > 5:
        return cells
    why = f"expected boxes (1,M,5), or YOLOX's grid (1,{len(cells)},5+C); it gives {told(network.sample)}"
    raise InputError(f"{network.path} finds no people", why, "an ONNX export of YOLOX or RTMDet")


def _takes_apart(path: Path) -> bool:
    """Does the first layer take even and odd pixels apart, as YOLOX's does?"""
    import openvino

    model = openvino.Core().read_model(path)  # named, for its nodes live no longer than it does
    kinds = {reader.get_node().get_type_name() for reader in model.inputs[0].get_target_inputs()}
    return bool(kinds) and kinds <= {"StridedSlice", "Slice", "SpaceToDepth"}
