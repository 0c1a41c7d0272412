"""The two BlazePose networks on OpenVINO: bytes in, decoded people out, several crops under way at once.

Float32 is forced: the bfloat16 that OpenVINO picks by itself on recent CPUs moves the 3D landmarks by 10 cm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor

from checkpoints.store import find
from detectors.blazepose_appearance import SIZE, appearance
from detectors.blazepose_decode import (
    BODY,
    DETECTION_SIZE,
    LANDMARK_SIZE,
    anchors,
    decode_boxes,
    decode_landmarks,
    weighted_suppression,
)
from detectors.blazepose_picture import Picture
from detectors.blazepose_region import Region, rotate

Array = NDArray[Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Pose:
    """One person as the landmark network sees them in one region."""

    region: Region
    points: Array  # (35+,2) float64 px: 33 of the body, then the centre and the top of the next region
    visibility: Array  # (33,) in [0,1]
    presence: Array  # (33,) in [0,1]
    world: Array  # (33,3) m, camera orientation, hip-centred
    flag: float  # how sure the network is that this is a person, in [0,1]
    looks: Array = field(default_factory=lambda: np.zeros(SIZE, np.float32))  # (54,) colours, see blazepose_appearance


@dataclass(frozen=True)
class Candidate:
    """A place where the detection network suspects a person."""

    region: Region
    score: float


class Networks:
    """Both networks, compiled for `threads` CPU threads; each thread works on a crop of its own.

    Raises:
        MissingError: the weights cannot be had.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        core = ov.Core()
        config = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
        }
        detection = _model(core, "blazepose-detection", ("Identity", "Identity_1"), (2 / 255, -1.0))
        # The segmentation (Identity_2) is not asked for, so nothing that only it needs is computed.
        heads = ("Identity", "Identity_1", "Identity_3", "Identity_4")
        landmark = _model(core, "blazepose-landmark-full", heads, (1 / 255, 0.0))
        self._detection = _Pool(core.compile_model(detection, "CPU", config), threads)
        self._landmark = _Pool(core.compile_model(landmark, "CPU", config), threads)
        self._anchors = anchors()
        self.device = _describe(core, self._landmark.compiled)

    def detect(
        self, picture: Picture, windows: Sequence[Region], threshold: float, hidden: Sequence[Array] = ()
    ) -> list[list[Candidate]]:
        """For each window (upright) of the picture the people it seems to hold, best first.

        Args:
            threshold: lowest score told.
            hidden: boxes (4,) x1 y1 x2 y2 px that are painted over first.
        """

        def start(window: Region) -> Job:
            return self._detection.start(_hide(picture.crop(window, DETECTION_SIZE, black=True), window, hidden))

        jobs = _a_few_ahead(start, windows, 2 * self.threads)
        return [self._candidates(job, window, threshold) for job, window in zip(jobs, windows, strict=True)]

    def _candidates(self, job: Job, window: Region, threshold: float) -> list[Candidate]:
        raw, logits = job.result()
        rows, scores = decode_boxes(raw[0], logits[0, :, 0], self._anchors, threshold)
        rows, scores = weighted_suppression(rows, scores)
        places = window.to_picture(rows[:, 2:4].astype(np.float64))
        found = [Candidate(Region.from_points(p[0], p[1]), float(s)) for p, s in zip(places, scores, strict=True)]
        return [candidate for candidate in found if candidate.region.finite()]

    def start_pose(self, picture: Picture, region: Region) -> PoseJob:
        """Begin to read the person in that region; `result()` of what is returned waits for it."""
        crop = picture.crop(region, LANDMARK_SIZE)
        return PoseJob(self._landmark.start(crop), region, crop)

    def poses(self, picture: Picture, regions: Sequence[Region]) -> list[Pose]:
        """The person in each region, in the same order."""
        jobs = _a_few_ahead(lambda region: self.start_pose(picture, region), regions, 2 * self.threads)
        return [job.result() for job in jobs]


class Job:
    """One crop under way."""

    def __init__(self, pool: _Pool, request: ov.InferRequest) -> None:
        self._pool, self._request, self._values = pool, request, None

    def result(self) -> list[Array]:
        """The outputs, copied; the same again when asked again."""
        if self._values is None:
            self._request.wait()
            self._values = [np.array(tensor.data) for tensor in self._request.output_tensors]
            self._pool.free.append(self._request)
        return self._values


@dataclass(frozen=True)
class PoseJob:
    """A landmark crop under way, with the crop (256,256,3) RGB itself."""

    job: Job
    region: Region
    crop: Array

    def result(self) -> Pose:
        raw, flag, heatmaps, world = self.job.result()
        places, visibility, presence = decode_landmarks(raw[0], heatmaps[0])
        turned = rotate(world.reshape(-1, 3)[:BODY].astype(np.float64), self.region.turn)
        points = self.region.to_picture(places)
        looks = appearance(self.crop, places)
        return Pose(self.region, points, visibility, presence, turned, float(flag.ravel()[0]), looks)


class _Pool:
    """As many requests of one compiled network as there are crops under way; `ready` of them warmed up."""

    def __init__(self, compiled: ov.CompiledModel, ready: int) -> None:
        self.compiled = compiled
        self.free: list[ov.InferRequest] = []
        empty = np.zeros(compiled.input(0).shape[1:], np.uint8)
        for job in [self.start(empty) for _ in range(ready)]:
            job.result()

    def start(self, crop: Array) -> Job:
        request = self.free.pop() if self.free else self.compiled.create_infer_request()
        request.set_input_tensor(ov.Tensor(np.ascontiguousarray(crop[None])))
        request.start_async()
        return Job(self, request)


def _hide(crop: Array, window: Region, boxes: Sequence[Array]) -> Array:
    for box in boxes:
        corners = (box.reshape(2, 2) - [window.x, window.y]) / window.side + 0.5
        (x1, y1), (x2, y2) = np.clip(corners * len(crop), 0, len(crop)).astype(int)
        crop[y1:y2, x1:x2] = 0
    return crop


def _a_few_ahead(start: Callable[[Region], T], regions: Sequence[Region], size: int) -> Iterator[T]:
    """Jobs in the order of their regions, `size` of them under way at most: requests hold megabytes each."""
    under_way: deque[T] = deque()
    for region in regions:
        under_way.append(start(region))
        if len(under_way) == size:
            yield under_way.popleft()
    yield from under_way


def _model(core: ov.Core, weights: str, outputs: tuple[str, ...], scale: tuple[float, float]) -> ov.Model:
    """The network cut down to `outputs`, fed with uint8 RGB; values become v * scale[0] + scale[1]."""
    read = core.read_model(str(find(weights)))
    cut = ov.Model([read.output(name).get_node() for name in outputs], read.get_parameters(), weights)
    graph = PrePostProcessor(cut)
    graph.input().tensor().set_element_type(ov.Type.u8)
    steps = graph.input().preprocess().convert_element_type(ov.Type.f32)
    steps.scale(1 / scale[0]).mean(-scale[1])
    return graph.build()


def _describe(core: ov.Core, compiled: ov.CompiledModel) -> str:
    devices = ",".join(compiled.get_property("EXECUTION_DEVICES"))
    precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    threads, streams = compiled.get_property("INFERENCE_NUM_THREADS"), compiled.get_property("NUM_STREAMS")
    name = core.get_property(devices.split(",")[0], "FULL_DEVICE_NAME")
    return f"OpenVINO {devices} ({name}), {precision}, {threads} threads, {streams} streams"
