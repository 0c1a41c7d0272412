"""Networks compiled by OpenVINO: on a CPU the same numbers in float32, faster than PyTorch computes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Run = Callable[..., Tensor]  # computes a batch of windows


class Compiled:
    """One method of a network, with the weights that it has now. Call it as the method; batches may vary in size.

    The first call compiles, and so does every later one whose tensors differ in more than the first axis.

    Args:
        network: in evaluation mode, on the CPU; it is left as it is.
        method: takes tensors and returns one, each with the batch as its first axis.
        threads: by default as many as PyTorch uses.

    Raises:
        RuntimeError: the network is in training mode.
    """

    def __init__(self, network: nn.Module, method: str = "forward", threads: int | None = None) -> None:
        if network.training:
            raise RuntimeError("only what is in evaluation mode can be compiled: call eval() first")
        self._module = _Method(deepcopy(network).float(), method)
        self._threads = threads or torch.get_num_threads()
        self._shapes: list[torch.Size] = []
        self._inputs: list[Tensor] = []
        self._compiled: Any = None

    def __call__(self, *tensors: Tensor) -> Tensor:
        """Tensors of any floating type -> the method's result in that type."""
        shapes = [tensor.shape[1:] for tensor in tensors]
        if shapes != self._shapes:
            self._compiled, self._shapes = self._compile(shapes), shapes
            self._inputs = [torch.empty(0, *shape) for shape in shapes]
        result = self._compiled([self._place(number, tensor) for number, tensor in enumerate(tensors)])
        return torch.from_numpy(result[0].copy()).to(tensors[0])

    def _place(self, number: int, tensor: Tensor) -> NDArray[np.float32]:
        """An input at the same place every time: of arrays that come and go the C library keeps holes, without end."""
        if len(tensor) > len(self._inputs[number]):
            self._inputs[number] = torch.empty(tensor.shape)
        return self._inputs[number][: len(tensor)].copy_(tensor.detach()).numpy()

    def _compile(self, shapes: list[torch.Size]) -> Any:
        import openvino

        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # sizes after the first axis are meant to be fixed
            warnings.simplefilter("ignore", DeprecationWarning)  # tracing is old, and keeps batches free
            example = tuple(torch.zeros(2, *shape) for shape in shapes)
            traced = torch.jit.trace(self._module, example, check_trace=False)
            model = openvino.convert_model(traced, example_input=example)
        model.reshape({port: [-1, *shape] for port, shape in zip(model.inputs, shapes, strict=True)})
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": self._threads}
        return openvino.Core().compile_model(model, "CPU", options)


class _Method(nn.Module):
    """A method as a module, which is what can be traced."""

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network, self.method = network, method

    def forward(self, *tensors: Tensor) -> Tensor:
        return getattr(self.network, self.method)(*tensors)
