"""A picture network in an ONNX file as a callable over batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from detectors.onnx_runtimes import Outputs, Shape, line, runtime
from pipeline.errors import InputError, MissingError
from pipeline.results import Array


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
            raise InputError(f"{path} cannot compute pictures of {self.size[0]}x{self.size[1]}", line(error)) from error

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
