"""A picture network in an ONNX file as a callable over batches: OpenVINO on the CPU, ONNX Runtime on a CUDA GPU.

Both compute in float32: OpenVINO's own choice on recent CPUs is bfloat16, CUDA's is TF32, and both move joints.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.errors import InputError, MissingError
from pipeline.results import Array

CUDA = "CUDAExecutionProvider"
BATCH = {"cpu": 8, "cuda": 64}  # crops: more of them need more memory and are no faster
Outputs = dict[str, Array]
Shape = tuple[int | None, ...]  # None: open


class _Runtime(Protocol):
    inputs: dict[str, Shape]
    device: str
    batch: int
    several: int  # batches that should be under way at once

    def start(self, batch: Array) -> Callable[[], Outputs]: ...


class Network:
    """A network whose one input is pictures (N,3,H,W).

    Args:
        path: the ONNX file.
        device: cpu, cuda, or auto: a CUDA GPU where ONNX Runtime can use one.
        size: (width, height) px of the pictures where the file leaves that open.

    Attributes:
        device: what it really runs on.
        size: (width, height) px that it wants.
        batch: how many pictures are best given at once.
        sample: the outputs by name for one grey picture: their true shapes, which files often leave open.

    Raises:
        MissingError: no such file, or no such device.
        InputError: no ONNX network, a damaged one, or one with other inputs.
    """

    def __init__(self, path: Path, device: str = "auto", size: tuple[int, int] = (640, 640)) -> None:
        if not path.is_file():
            raise MissingError(f"no weights at {path}", "there is no such file", "the path of an ONNX file")
        self.path, self._runtime = path, runtime(path, device)
        self._fixed, height, width = _picture_shape(self._runtime.inputs, path)
        self.size = width or size[0], height or size[1]
        self.device, self.batch = self._runtime.device, self._fixed or self._runtime.batch
        grey = np.full((1, 3, self.size[1], self.size[0]), 114, np.float32)
        try:
            self.sample = next(self.run([grey]))
        except Exception as error:  # neither runtime has a base for its own
            raise InputError(f"{path} cannot compute pictures of {width}x{height}", _line(error)) from error

    def run(self, batches: Iterable[Array]) -> Iterator[Outputs]:
        """The outputs by name for each batch, in order; the next batches are made while earlier ones are computed.

        Args:
            batches: (N,3,H,W) float32 each; N may differ from batch to batch.
        """
        waiting: deque[list[tuple[Callable[[], Outputs], int]]] = deque()
        for batch in batches:
            waiting.append([(self._runtime.start(piece), count) for piece, count in self._pieces(batch)])
            if len(waiting) >= self._runtime.several:
                yield _joined(waiting.popleft())
        while waiting:
            yield _joined(waiting.popleft())

    def _pieces(self, batch: Array) -> Iterator[tuple[Array, int]]:
        """A network of fixed batch size gets pieces of that, the last one filled up; any other the batch itself."""
        if self._fixed is None or len(batch) == self._fixed:
            yield batch, len(batch)
            return
        for begin in range(0, len(batch), self._fixed):
            piece = batch[begin : begin + self._fixed]
            lacking = self._fixed - len(piece)
            yield np.pad(piece, ((0, lacking), (0, 0), (0, 0), (0, 0))), len(piece)


def runtime(path: Path, device: str) -> _Runtime:
    """What computes the network. Raises MissingError where a GPU is asked for and none can be used, InputError."""
    if device == "cpu":
        return OpenVino(path)
    try:
        return OnnxRuntime(path)
    except MissingError:
        if device == "cuda":
            raise
        return OpenVino(path)


class OpenVino:
    """A network on the CPU. Raises InputError."""

    batch = BATCH["cpu"]

    def __init__(self, path: Path) -> None:
        import openvino as ov

        core = ov.Core()
        config = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
        try:
            model = core.read_model(path)
            self.inputs = {node.any_name: _shape(node.partial_shape) for node in model.inputs}
            graph = ov.preprocess.PrePostProcessor(model)
            for node in model.inputs:
                graph.input(node.any_name).tensor().set_element_type(ov.Type.f32)  # of networks in half precision
            self._compiled = core.compile_model(graph.build(), "CPU", config)
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        self._tensor, self._free = ov.Tensor, []
        self._names = [node.any_name for node in self._compiled.outputs]
        self.several = self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1
        self.device = _describe(core, self._compiled)

    def start(self, batch: Array) -> Callable[[], Outputs]:
        """Begin to compute a batch; what is returned waits for the outputs."""
        request = self._free.pop() if self._free else self._compiled.create_infer_request()
        request.set_input_tensor(self._tensor(np.ascontiguousarray(batch)))
        request.start_async()

        def outputs() -> Outputs:
            request.wait()
            values = [np.array(tensor.data) for tensor in request.output_tensors]
            self._free.append(request)
            return dict(zip(self._names, values, strict=True))

        return outputs


class OnnxRuntime:
    """A network on a CUDA GPU, or on what else ONNX Runtime has a provider for.

    Raises:
        MissingError: the package, its provider or a device is not there.
        InputError: no ONNX network.
    """

    batch = BATCH["cuda"]
    several = 2

    def __init__(self, path: Path, provider: str = CUDA) -> None:
        ort = _onnxruntime(provider)
        options = ort.SessionOptions()
        options.log_severity_level = 4  # what it complains of is told below
        # Searching for the fastest convolution anew at each batch size costs more than it wins, and is not repeatable.
        settings = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"} if provider == CUDA else {}
        try:
            self._session = ort.InferenceSession(str(path), options, providers=[(provider, settings)])
        except Exception as error:  # its errors have no base of their own
            raise _unreadable(path, error) from error
        if provider not in self._session.get_providers():
            why = f"onnxruntime {ort.__version__} has {provider}, but it found no device, or not the CUDA libraries"
            raise MissingError(NO_GPU, why, "a driver of NVIDIA's for CUDA 12, or --device cpu")
        self.inputs = {node.name: tuple(_open(size) for size in node.shape) for node in self._session.get_inputs()}
        self._names = [node.name for node in self._session.get_outputs()]
        half = any(node.type == "tensor(float16)" for node in self._session.get_inputs())
        self._type = np.float16 if half else np.float32
        self._thread = ThreadPoolExecutor(1)
        self.device = f"ONNX Runtime {ort.__version__}, {provider}, f32"

    def start(self, batch: Array) -> Callable[[], Outputs]:
        """Begin to compute a batch; what is returned waits for the outputs."""
        feed = {next(iter(self.inputs)): np.ascontiguousarray(batch, self._type)}
        values = self._thread.submit(self._session.run, self._names, feed)
        return lambda: dict(zip(self._names, values.result(), strict=True))


NO_GPU = "no CUDA GPU can be used"


def _onnxruntime(provider: str) -> Any:
    """The package. Raises MissingError."""
    hint = "pip install -r requirements-cuda.txt, or --device cpu"
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise MissingError(NO_GPU, "looked for the package onnxruntime-gpu, which is not installed", hint) from error
    known = ort.get_available_providers()
    if provider not in known:
        why = f"looked for {provider}; the onnxruntime {ort.__version__} that is installed has {', '.join(known)}"
        raise MissingError(NO_GPU, why, hint)
    if provider == CUDA and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # the CUDA libraries that pip installed
    return ort


def _picture_shape(inputs: dict[str, Shape], path: Path) -> Shape:
    """Batch size, height and width, None where open. Raises InputError."""
    shapes = list(inputs.values())
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] not in (3, None):
        told = ", ".join(f"{name} {_told(shape)}" for name, shape in inputs.items())
        raise InputError(f"{path} takes no pictures", f"expected one input (N,3,H,W); it has {told or 'none'}")
    batch, _, height, width = shapes[0]
    return batch, height, width


def _joined(jobs: list[tuple[Callable[[], Outputs], int]]) -> Outputs:
    parts = [(finish(), count) for finish, count in jobs]
    if len(parts) == 1:
        return {name: value[: parts[0][1]] for name, value in parts[0][0].items()}
    return {name: np.concatenate([part[name][:count] for part, count in parts]) for name in parts[0][0]}


def told(outputs: Outputs) -> str:
    """Names and shapes of outputs, for messages."""
    return ", ".join(f"{name} {_told(value.shape)}" for name, value in outputs.items())


def _told(shape: Shape) -> str:
    return f"({','.join('?' if size is None else str(size) for size in shape)})"


def _shape(partial: Any) -> Shape:
    if partial.rank.is_dynamic:
        return ()
    return tuple(None if size.is_dynamic else size.get_length() for size in partial)


def _open(size: Any) -> int | None:
    return size if isinstance(size, int) and size > 0 else None


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"cannot read {path}", f"it is no ONNX network, or it is damaged: {_line(error)}", "another file")


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def _describe(core: Any, compiled: Any) -> str:
    devices = ",".join(compiled.get_property("EXECUTION_DEVICES"))
    precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    threads, streams = compiled.get_property("INFERENCE_NUM_THREADS"), compiled.get_property("NUM_STREAMS")
    name = core.get_property(devices.split(",")[0], "FULL_DEVICE_NAME")
    return f"OpenVINO {devices} ({name}), {precision}, {threads} threads, {streams} streams"
