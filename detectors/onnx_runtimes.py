"""What runs a network in an ONNX file: OpenVINO on the CPU, ONNX Runtime on a CUDA GPU.

Both compute in float32: OpenVINO's own choice on recent CPUs is bfloat16, CUDA's is TF32, and both move joints.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.errors import InputError, MissingError
from pipeline.results import Array

CUDA = "CUDAExecutionProvider"
NO_GPU = "no CUDA GPU can be used"
AT_ONCE = {"cpu": 16, "cuda": 64}  # pictures, of all streams together: as few as one person has in a window of frames
Outputs = dict[str, Array]
Shape = tuple[int | None, ...]  # None: open


class Runtime(Protocol):
    """A network that is ready to compute."""

    inputs: dict[str, Shape]
    device: str  # what it really runs on
    batch: int  # pictures that are best given at once
    several: int  # batches that should be under way at once

    def start(self, batch: Array) -> Callable[[], Outputs]:
        """Begin to compute a batch; what is returned waits for the outputs."""
        ...


def runtime(path: Path, device: str) -> Runtime:
    """What computes the network. Raises MissingError where a GPU is asked for and none can be used, InputError."""
    if device == "cpu":
        return OpenVino(path)
    try:
        return OnnxRuntime(path)
    except MissingError:
        if device == "cuda":
            raise
        return OpenVino(path)


def check_device(device: str) -> None:
    """Raise MissingError where cuda is asked for and ONNX Runtime has none, before there is a network to try it on."""
    if device == "cuda":
        _onnxruntime(CUDA)


class OpenVino:
    """A network on the CPU. Raises InputError."""

    def __init__(self, path: Path) -> None:
        import openvino as ov

        core = ov.Core()
        config = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
        try:
            model = core.read_model(path)
            self._names = output_names(model)
            self.inputs = {node.any_name: _shape(node.partial_shape) for node in model.inputs}
            graph = ov.preprocess.PrePostProcessor(model)
            for node in model.inputs:
                graph.input(node.any_name).tensor().set_element_type(ov.Type.f32)  # of networks in half precision
            self._compiled = core.compile_model(graph.build(), "CPU", config)
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        self._tensor, self._free = ov.Tensor, []
        self.batch = max(1, AT_ONCE["cpu"] // self._compiled.get_property("NUM_STREAMS"))
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

    batch = AT_ONCE["cuda"]
    several = 2

    def __init__(self, path: Path, provider: str = CUDA) -> None:
        ort = _onnxruntime(provider)
        # Searching for the fastest convolution anew at each batch size costs more than it wins, and is not repeatable.
        settings = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"} if provider == CUDA else {}
        why = f"onnxruntime {ort.__version__} has {provider}, but it found no device, or not the CUDA libraries"
        hint = "a driver of NVIDIA's for CUDA 12, or --device cpu"
        try:
            self._session = _session(ort, path, provider, settings)
        except Exception as error:  # its errors have no base of their own
            if provider == CUDA and _readable(ort, path):
                raise MissingError(NO_GPU, f"{why}: {line(error)}", hint) from error
            raise _unreadable(path, error) from error
        if provider not in self._session.get_providers():
            raise MissingError(NO_GPU, why, hint)
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


def _session(ort: Any, path: Path, provider: str, settings: dict[str, str]) -> Any:
    """Falling back to another provider by itself, it would print about that on stdout."""
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what it complains of, our errors tell
    return ort.InferenceSession(str(path), options, providers=[(provider, settings)], enable_fallback=0)


def _readable(ort: Any, path: Path) -> bool:
    try:
        ort.InferenceSession(str(path), ort.SessionOptions(), providers=["CPUExecutionProvider"])
    except Exception:  # its errors have no base of their own
        return False
    return True


def output_names(model: Any) -> list[str]:
    """As the file has them: of a compiled network's several names for an output, any may come first."""
    return [result.get_friendly_name().partition("/sink_port")[0] for result in model.get_results()]


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"cannot read {path}", f"it is no ONNX network, or it is damaged: {line(error)}", "another file")


def line(error: Exception) -> str:
    """The last line of what a runtime says, which tells the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def _shape(partial: Any) -> Shape:
    if partial.rank.is_dynamic:
        return ()
    return tuple(None if size.is_dynamic else size.get_length() for size in partial)


def _open(size: Any) -> int | None:
    return size if isinstance(size, int) and size > 0 else None


def _describe(core: Any, compiled: Any) -> str:
    devices = ",".join(compiled.get_property("EXECUTION_DEVICES"))
    precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    threads, streams = compiled.get_property("INFERENCE_NUM_THREADS"), compiled.get_property("NUM_STREAMS")
    name = core.get_property(devices.split(",")[0], "FULL_DEVICE_NAME")
    return f"OpenVINO {devices} ({name}), {precision}, {threads} threads, {streams} streams"
