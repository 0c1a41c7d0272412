"""The detector `rtmpose`: person boxes, then a pose in each: 17 joints, 26 with feet, or 133 of the whole body.

Method: RTMPose (Jiang et al. 2023, arXiv 2303.07399) and RTMW (arXiv 2407.08634) top-down in boxes of YOLOX or RTMDet,
from their ONNX exports, with our own batching and decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detectors import simcc
from detectors.key_frames import boxes_of
from detectors.looking import batches, detections, held
from detectors.models import existing, found, model_of, named
from detectors.onnx_network import Network, told
from detectors.onnx_runtimes import Outputs, check_device, output_names
from detectors.person_boxes import Boxes, PersonBoxes
from detectors.suppression import suppress_poses
from pipeline.errors import InputError
from pipeline.results import Array, Detections
from pipeline.skeletons import skeleton

SIZES = {"lightweight": ("s", "tiny"), "balanced": ("m", "m"), "performance": ("x", "x")}
WHOLE = {"lightweight": "m", "balanced": "l", "performance": "x"}
MODELS = (
    {name: (f"rtmpose-{pose}-17", f"yolox-{box}-person") for name, (pose, box) in SIZES.items()}
    | {f"{name}-26": (f"rtmpose-{pose}-26", f"yolox-{box}-person") for name, (pose, box) in SIZES.items()}
    | {f"{name}-133": (f"rtmw-{WHOLE[name]}-133", f"yolox-{box}-person") for name, (_, box) in SIZES.items()}
)  # name: cards of the pose network and of the box network
DEFAULT = "balanced-26"  # heels and toes tell the lifter what a foot does
WINDOW = 16  # frames that are held at once
HINT = "the path of an ONNX file"
CROP = (192, 256)  # where a file leaves the size open


class RTMPose:
    """Everybody in a clip.

    Args:
        model: lightweight, balanced or performance for 17 joints, with -26 for Halpe's (feet), with -133 for a whole
            body; None: balanced-26.
        detector_weights: an ONNX file with SimCC heads in the place of the model's pose network, or a folder with
            such a file and one that finds people.
        device: cpu, cuda, or auto: a CUDA GPU where ONNX Runtime can use one.
        every: seconds from one frame that is searched for people to the next; more are where people come and go.
        threshold: least score of a person's box.
        channels: rgb as MMPose trains, bgr as rtmlib feeds the network.
        alike: object keypoint similarity above which two poses are one person's.

    Attributes:
        skeleton, device: see `detectors`.

    Raises:
        UsageError: no such model.
        MissingError: weights, or a device, that cannot be had.
        InputError: a file that is no such network.
    """

    name = "rtmpose"
    packages = ()

    @classmethod
    def uses(cls, model: str | None = None, detector_weights: Path | None = None, device: str = "auto") -> tuple:
        """Cards and files of the pose network and of the box network. Raises UsageError, MissingError, InputError."""
        check_device(device)
        pose, boxes = model_of(cls.name, MODELS, model or DEFAULT)
        if detector_weights is None:
            return pose, boxes
        given = Path(detector_weights)
        if not given.is_dir():
            return existing(given, HINT), boxes
        return pair(given)

    def __init__(
        self, model: str | None = None, detector_weights: Path | None = None, device: str = "auto",
        every: float = 0.15, threshold: float = 0.3, channels: str = "rgb", alike: float = 0.75,
    ) -> None:  # fmt: skip
        own = self.uses(model, detector_weights)
        pose, boxes = (found(weights) for weights in own)
        self._every, self._channels, self._alike = every, channels, alike
        self._pose = Network(pose, device, CROP)
        family = "yolox" if isinstance(own[1], str) else None
        self._boxes = PersonBoxes(boxes, device, threshold, family=family)
        joints = _heads(self._pose.sample, self._pose.size, pose)[0].shape[1]
        self.skeleton = named(joints, pose)
        self._sigmas = np.array(skeleton(self.skeleton).sigmas)
        self.device = self._pose.device

    def detect(self, clip: Any, progress: Callable[[int], None] | None = None) -> list[Detections]:
        """One `Detections` per frame of the clip (what `pipeline.clip.open_clip` gives); nobody where no box is.

        Args:
            progress: called with the number of frames done.
        """
        info, people = clip.info, []
        most = min(WINDOW, held(info))
        step = max(1, min(round(self._every * info.fps), most))
        times = np.concatenate([info.times[:1], info.times])  # of the frame before each, too
        last: Boxes | None = None
        for frames in batches(clip.frames(), most // step * step):
            here = times[len(people) : len(people) + len(frames) + 1]
            boxes = boxes_of(self._boxes.look, frames, here, step, last)
            last = boxes[-1]
            people += [self._distinct(found) for found in self._poses(frames, boxes)]
            del frames  # before the next ones are read
            if progress is not None:
                progress(len(people))
        return people

    def poses(self, frames: Sequence[Array], boxes: Sequence[Array]) -> list[Detections]:
        """The pose in each box (P,4) px of each frame (H,W,3) BGR, in the boxes' order, doubles and all."""
        given = [np.asarray(rows, np.float64).reshape(-1, 4) for rows in boxes]
        return self._poses(frames, [Boxes(rows, np.full(len(rows), np.nan)) for rows in given])

    def _poses(self, frames: Sequence[Array], people: Sequence[Boxes]) -> list[Detections]:
        """Crops of all people of all frames go through the network together, `batch` at a time."""
        everyone = np.concatenate([np.zeros((0, 4)), *(some.boxes for some in people)])
        centres, extents = simcc.regions(everyone, self._pose.size)
        usable = np.isfinite(everyone).all(axis=1) & (extents > 1e-3).all(axis=1)
        joints = len(self._sigmas)
        points, scores = np.full((len(everyone), joints, 2), np.nan), np.zeros((len(everyone), joints))
        owners = np.repeat(np.arange(len(frames)), [len(some) for some in people])
        rows = np.flatnonzero(usable)
        crops = ((frames[owners[row]], centres[row], extents[row]) for row in rows)
        done = [self._decoded(outputs) for outputs in self._pose.run(self._inputs(crops))]
        if done:
            inside, scores[rows] = (np.concatenate(part) for part in zip(*done, strict=True))
            points[rows] = simcc.to_picture(inside, centres[rows], extents[rows], self._pose.size)
        starts = np.searchsorted(owners, np.arange(len(frames) + 1))
        return [
            detections(self.skeleton, points[a:b], scores[a:b], some.boxes, some.scores)
            for some, a, b in zip(people, starts[:-1], starts[1:], strict=True)
        ]

    def _inputs(self, crops: Iterator[tuple[Array, Array, Array]]) -> Iterator[Array]:
        pictures = (simcc.crop(*where, self._pose.size) for where in crops)
        for some in batches(pictures, self._pose.batch):
            yield simcc.normalised(np.stack(some), self._channels)

    def _decoded(self, outputs: Outputs) -> tuple[Array, Array]:
        return simcc.decode(*_heads(outputs, self._pose.size, self._pose.path), self._pose.size)

    def _distinct(self, found: Detections) -> Detections:
        """Without doubles, and without boxes in which no joint is seen."""
        kept = suppress_poses(found.keypoints, found.scores, found.boxes, self._sigmas, self._alike)
        kept = kept[(found.scores[kept] > 0).any(axis=1)]
        rows = (getattr(found, name)[kept] for name in ("keypoints", "scores", "boxes", "box_scores"))
        return detections(self.skeleton, *rows)


def _heads(outputs: Outputs, size: tuple[int, int], path: Path) -> tuple[Array, Array]:
    """(N,J,Bx), (N,J,By). Raises InputError."""
    heads = [outputs.get(name) for name in ("simcc_x", "simcc_y")]
    x, y = heads if all(head is not None for head in heads) else [*outputs.values(), None, None][:2]
    if (
        any(head is None or head.ndim != 3 for head in (x, y))
        or x.shape[:2] != y.shape[:2]
        or any(head.shape[2] % side for head, side in zip((x, y), size, strict=True))
    ):
        why = f"expected SimCC heads (N,J,k*{size[0]}) and (N,J,k*{size[1]}); it gives {told(outputs)}"
        raise InputError(f"{path} is no pose network", why, "an ONNX export of RTMPose or RTMW")
    return x, y


def pair(folder: Path) -> tuple[Path, Path]:
    """The pose network and the box network in a folder, told apart by their outputs. Raises InputError."""
    import openvino

    core, files = openvino.Core(), sorted(folder.glob("*.onnx"))
    try:
        heads = [output_names(core.read_model(file)) for file in files]
    except RuntimeError as error:
        raise InputError(f"cannot read the networks in {folder}", str(error).strip().splitlines()[-1]) from error
    order = sorted(zip(("simcc_x" not in names for names in heads), files, strict=True))
    if [second for second, _ in order] != [False, True]:
        why = f"it holds {len(files)} ONNX files, {sum('simcc_x' in names for names in heads)} of them with SimCC heads"
        raise InputError(f"cannot use {folder}", why, "a folder with one pose network and one that finds people")
    return order[0][1], order[1][1]
