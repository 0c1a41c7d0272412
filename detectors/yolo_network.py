"""A YOLO network at work: pictures in, the raw outputs of its head out, on OpenVINO or on PyTorch with CUDA.

For OpenVINO the network is translated once from PyTorch and kept in the store's folder under the hash of its file, so
that later runs import neither PyTorch nor Ultralytics.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import tempfile
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from checkpoints.store import folder, sha256
from detectors.torch_parts import described
from detectors.yolo_decode import Head, Raw
from pipeline.results import Array

log = logging.getLogger("videopose")
FORM = 1  # of what is kept; another number makes it anew
BATCH = 16  # pictures at a time on a graphics card


class OnOpenVINO:
    """On the CPU, several pictures under way at once, in float32.

    Args:
        path: the `.pt` file.
        threads: CPU threads; each works on a picture of its own.

    Raises:
        InputError: see `detectors.yolo_file.load`.
    """

    def __init__(self, path: Path, threads: int) -> None:
        import openvino as ov

        self._core, self._threads = ov.Core(), threads
        self._model, self.head = translated(path)
        self._compiled: tuple[tuple[int, ...], Any] | None = None  # for pictures of that shape
        name = self._core.get_property("CPU", "FULL_DEVICE_NAME")
        self.device = f"OpenVINO CPU ({name}), f32, {threads} threads, {threads} streams"

    def run(self, pictures: Iterable[Array]) -> Iterator[Raw]:
        """The head's outputs for each picture (H,W,3) uint8 BGR, all of one size; valid until the next is asked for."""
        import openvino as ov

        under_way: deque[Any] = deque()
        idle: list[Any] = []
        for picture in pictures:
            request = idle.pop() if idle else self._for(picture.shape).create_infer_request()
            request.set_input_tensor(ov.Tensor(np.ascontiguousarray(picture[None])))
            request.start_async()
            under_way.append(request)
            if len(under_way) > self._threads:  # one more, so that no stream waits for its next picture
                yield _finish(under_way[0])
                idle.append(under_way.popleft())
        while under_way:
            yield _finish(under_way.popleft())

    def _for(self, shape: tuple[int, ...]) -> Any:
        """The network compiled for pictures of that shape."""
        if self._compiled is None or self._compiled[0] != shape:
            config = {
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": self._threads,
                "NUM_STREAMS": self._threads,
            }
            self._compiled = shape, self._core.compile_model(_fed_with(self._model, shape), "CPU", config)
        return self._compiled[1]


class OnTorch:
    """On PyTorch, `BATCH` pictures at a time, in float32.

    Args:
        device: a `torch.device`.

    Raises:
        InputError: see `detectors.yolo_file.load`.
    """

    def __init__(self, path: Path, device: Any) -> None:
        from detectors.yolo_file import load

        network, self.head = load(path)
        self._network, self._device = _raw(network).to(device), device
        self.device = described(device)

    def run(self, pictures: Iterable[Array]) -> Iterator[Raw]:
        """As `OnOpenVINO.run`."""
        import torch

        waiting = iter(pictures)
        while batch := list(islice(waiting, BATCH)):
            given = torch.from_numpy(np.stack(batch)).to(self._device).flip(-1).permute(0, 3, 1, 2)
            with torch.inference_mode():
                found = [part.cpu().numpy() for part in self._network(given.float() / 255)]
            yield from zip(*found, strict=True)


def translated(path: Path) -> tuple[Any, Head]:
    """The network as an `openvino.Model` for pictures (B,3,H,W) in [0,1], RGB, and how its outputs are read.

    Raises:
        InputError: see `detectors.yolo_file.load`.
    """
    place = folder() / "openvino" / f"yolo-{sha256(path)[:16]}-{FORM}"
    if kept := _kept(place):
        return kept
    from detectors.yolo_file import load

    log.info("translating %s for OpenVINO, once", path.name)
    network, head = load(path)
    model = _translate(network, 2 * max(head.strides))
    try:
        _keep(place, model, head)
    except OSError as error:
        log.warning("cannot keep the translated network in %s, so it is made anew every time: %s", place.parent, error)
    return model, head


def _translate(network: Any, side: int) -> Any:
    import openvino as ov
    import torch

    example = torch.zeros(1, 3, side, side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapes that only Ultralytics' own decoding looks at
        traced = torch.jit.trace(_raw(network), example, check_trace=False)
    return ov.convert_model(traced, example_input=example, input=[-1, 3, -1, -1])


def _raw(network: Any) -> Any:
    """The network up to the head's outputs, before Ultralytics decodes them."""
    import torch

    class Raw(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pictures: Any) -> tuple[Any, Any, Any]:
            found = self.network(pictures)[1]
            found = found.get("one2one") or found.get("one2many") or found
            return found["boxes"], found["scores"], found["kpts"]

    return Raw().eval()


def _kept(place: Path) -> tuple[Any, Head] | None:
    """What was kept there; None where there is nothing, or it is damaged."""
    import openvino as ov

    if not place.is_dir():
        return None
    try:
        noted = json.loads((place / "head.json").read_text(encoding="utf-8"))
        if any(sha256(place / name) != digest for name, digest in noted["sha256"].items()):
            raise ValueError("not what was written")
        head = Head(**noted["head"] | {"strides": tuple(noted["head"]["strides"])})
        return ov.Core().read_model(place / "network.xml"), head
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        log.warning("%s is damaged and made anew: %s", place, error)
        shutil.rmtree(place, ignore_errors=True)
        return None


def _keep(place: Path, model: Any, head: Head) -> None:
    """Whole or not at all; another process that was quicker wins. Raises OSError."""
    import openvino as ov

    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".making-", ignore_cleanup_errors=True) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        ov.save_model(model, made / "network.xml", compress_to_fp16=False)
        digests = {name: sha256(made / name) for name in ("network.xml", "network.bin")}
        noted = {"head": dataclasses.asdict(head), "sha256": digests}
        (made / "head.json").write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")
        with suppress(FileExistsError) if os.name == "nt" else suppress(OSError):
            made.rename(place)


def _fed_with(model: Any, shape: tuple[int, ...]) -> Any:
    """A copy of the network that takes pictures (1,H,W,3) uint8 BGR."""
    import openvino as ov
    from openvino.preprocess import ColorFormat, PrePostProcessor

    own = model.clone()
    own.reshape([1, 3, *shape[:2]])
    graph = PrePostProcessor(own)
    tensor = graph.input().tensor()
    tensor.set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(ColorFormat.BGR)
    graph.input().preprocess().convert_element_type(ov.Type.f32).convert_color(ColorFormat.RGB).scale(255.0)
    graph.input().model().set_layout(ov.Layout("NCHW"))
    return graph.build()


def _finish(request: Any) -> Raw:
    request.wait()
    boxes, scores, points = (tensor.data[0] for tensor in request.output_tensors)
    return boxes, scores, points
