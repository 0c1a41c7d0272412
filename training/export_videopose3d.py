"""Trained weights -> what a run needs: an ONNX file, and the same numbers as safetensors for training to start from.

Weights are kept as 16-bit floats in both files (the network computes with 32 bits); the ONNX graph is written node by
node, so that it says exactly what `lifters.networks.sighted` computes and nothing depends on a tracer.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save

from lifters.networks.sighted import BODY, CONTACTS, INPUT, SAME, SightedModel
from pipeline.files import atomic

OPSET = 17


class _Graph:
    """Nodes and constants in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: object) -> str:
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, value: torch.Tensor) -> str:
        """A constant stored in 16 bits, used in 32."""
        stored = self.constant(f"{name}.half", value.numpy().astype(np.float16))
        return self.node("Cast", stored, output=name, to=TensorProto.FLOAT)

    def crop(self, x: str, first: int, last: int, axis: int) -> str:
        limits = [np.array([value], np.int64) for value in (first, last, axis)]
        names = [self.constant(f"crop_{len(self.nodes)}_{i}", value) for i, value in enumerate(limits)]
        return self.node("Slice", x, *names)

    def reshape(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.constant(f"shape_{len(self.nodes)}", np.array(shape, np.int64)))


def halve(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Floats of a state dict in 16 bits, except the running variances and means, which need their range."""
    small = {name: tensor.half() for name, tensor in state.items() if tensor.ndim > 1 and tensor.is_floating_point()}
    return {name: tensor.contiguous() for name, tensor in (state | small).items()}


def onnx_model(model: SightedModel) -> onnx.ModelProto:
    """The network as ONNX: keypoints (B,T,26,3) -> joints (B,T',23,3), extra (B,T',4); batch and time are free."""
    graph, state = _Graph(), {name: tensor.detach().float() for name, tensor in model.state_dict().items()}
    temporal = model.temporal

    def convolve(x: str, name: str, dilation: int = 1) -> str:
        return graph.node("Conv", x, graph.weight(name, state[f"temporal.{name}"]), dilations=[dilation])

    def activate(x: str, name: str) -> str:
        parts = [graph.constant(f"{name}.{p}", state[f"temporal.{name}.{p}"].numpy()) for p in _NORM]
        return graph.node("Relu", graph.node("BatchNormalization", x, *parts, epsilon=1e-5))

    x = graph.node("Transpose", graph.reshape("keypoints", 0, 0, 3 * len(INPUT)), perm=[0, 2, 1])
    x = activate(convolve(x, "expand_conv.weight"), "expand_bn")
    dilation = temporal.widths[0]
    for i, width in enumerate(temporal.widths[1:]):
        y = activate(convolve(x, f"layers_conv.{2 * i}.weight", dilation), f"layers_bn.{2 * i}")
        y = activate(convolve(y, f"layers_conv.{2 * i + 1}.weight"), f"layers_bn.{2 * i + 1}")
        margin = (width - 1) * dilation // 2
        if margin:
            x = graph.crop(x, margin, -margin, 2)
        x = graph.node("Add", x, y)
        dilation *= width
    bias = graph.constant("shrink.bias", state["temporal.shrink.bias"].numpy())
    x = graph.node("Conv", x, graph.weight("shrink.weight", state["temporal.shrink.weight"]), bias)
    _outputs(graph, graph.node("Transpose", x, perm=[0, 2, 1]), (model.receptive_field - 1) // 2)
    return _finish(graph)


def _outputs(graph: _Graph, x: str, margin: int) -> None:
    """What the last layer says (B,T',3*23+4+23) -> the joints with the sight of the middle frames, and the contacts."""
    joints = 3 * len(BODY)
    added = graph.reshape(graph.crop(x, 0, joints, 2), 0, 0, len(BODY), 3)
    graph.node("Identity", graph.crop(x, joints, joints + CONTACTS, 2), output="extra")
    worth = graph.reshape(graph.crop(x, joints + CONTACTS, joints + CONTACTS + len(BODY), 2), 0, 0, len(BODY), 1)
    same, places = graph.constant("same", np.array(SAME)), graph.constant("places", np.array([1, 1, 0], np.float32))
    seen = graph.node("Gather", graph.crop("keypoints", margin, -margin, 1) if margin else "keypoints", same, axis=2)
    sight = graph.node("Mul", graph.node("Mul", seen, places), worth)
    graph.node("Add", added, sight, output="joints")


_NORM = ("weight", "bias", "running_mean", "running_var")


def _finish(graph: _Graph) -> onnx.ModelProto:
    keypoints = helper.make_tensor_value_info("keypoints", TensorProto.FLOAT, ["batch", "frames", len(INPUT), 3])
    outputs = [
        helper.make_tensor_value_info("joints", TensorProto.FLOAT, ["batch", "kept", len(BODY), 3]),
        helper.make_tensor_value_info("extra", TensorProto.FLOAT, ["batch", "kept", CONTACTS]),
    ]
    made = helper.make_model(
        helper.make_graph(graph.nodes, "videopose3d", [keypoints], outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9, producer_name="videopose",
    )  # fmt: skip
    onnx.checker.check_model(made)
    return made


def export(model: SightedModel, folder: Path, name: str) -> dict[str, str | int]:
    """Write `<name>.onnx` and `<name>.safetensors`; returns what a card says of them.

    The model's weights are rounded to what the files hold, so that it goes on computing what they compute.
    """
    state = halve(model.state_dict())
    model.load_state_dict(state)
    weights, graph = folder / f"{name}.safetensors", folder / f"{name}.onnx"
    with atomic(weights) as temporary:
        temporary.write_bytes(save(state))
    with atomic(graph) as temporary:
        onnx.save(onnx_model(model.eval()), temporary)
    facts: dict[str, str | int] = {}
    for key, path in (("", graph), ("safetensors_", weights)):
        data = path.read_bytes()
        facts |= {f"{key}file": path.name, f"{key}bytes": len(data), f"{key}sha256": hashlib.sha256(data).hexdigest()}
    return facts
