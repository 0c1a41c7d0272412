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

from lifters.networks.sighted import BODY, CONTACTS, FEET, INPUT, SAME, Block, SightedModel
from pipeline.files import atomic

OPSET = 17
END = np.iinfo(np.int64).max


class _Graph:
    """Nodes and constants in the order in which they are added."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state = state
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

    def norm(self, name: str, x: str) -> str:
        parts = [self.constant(f"{name}.{part}", self.state[f"{name}.{part}"].numpy()) for part in ("weight", "bias")]
        return self.node("LayerNormalization", x, *parts, axis=-1, epsilon=1e-5)

    def linear(self, name: str, x: str) -> str:
        product = self.node("MatMul", x, self.weight(f"{name}.weight", self.state[f"{name}.weight"].T))
        return self.node("Add", product, self.constant(f"{name}.bias", self.state[f"{name}.bias"].numpy()))

    def per_joint(self, name: str, x: str) -> str:
        """(26,B,T,C) times (26,1,C,C') and more."""
        product = self.node("MatMul", x, self.weight(f"{name}.weight", self.state[f"{name}.weight"][:, None]))
        bias = self.constant(f"{name}.bias", self.state[f"{name}.bias"][:, None].numpy())
        return self.node("Add", product, bias)

    def crop(self, x: str, first: int, last: int, axis: int) -> str:
        limits = [np.array([value], np.int64) for value in (first, last, axis)]
        names = [self.constant(f"crop_{len(self.nodes)}_{i}", value) for i, value in enumerate(limits)]
        return self.node("Slice", x, *names)

    def neighbours(self, x: str, width: int, dilation: int) -> str:
        """Frames `dilation` apart side by side, for every frame that has them all."""
        if width == 1:
            return x
        lost = (width - 1) * dilation
        shifted = [self.crop(x, k * dilation, k * dilation - lost or END, 2) for k in range(width)]
        return self.node("Concat", *shifted, axis=3)

    def reshape(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.constant(f"shape_{len(self.nodes)}", np.array(shape, np.int64)))


def halve(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Matrices of a state dict in 16 bits, the few other numbers as they are."""
    small = {name: tensor.half() for name, tensor in state.items() if name.endswith("weight") and tensor.ndim > 1}
    return {name: tensor.contiguous() for name, tensor in (state | small).items()}


def onnx_model(model: SightedModel) -> onnx.ModelProto:
    """The network as ONNX: keypoints (B,T,26,3) -> joints (B,T',23,3), extra (B,T',4); batch and time are free."""
    graph = _Graph({name: tensor.detach().float() for name, tensor in model.state_dict().items()})
    x = graph.neighbours(graph.node("Transpose", "keypoints", perm=[2, 0, 1, 3]), model.widths[0], 1)
    x = graph.per_joint("embed", x)
    for number, block in enumerate(model.blocks):
        x = _block(graph, f"blocks.{number}", x, block, model.features)
    x = graph.per_joint("head", graph.norm("norm", x))
    _outputs(graph, graph.node("Transpose", x, perm=[1, 2, 0, 3]), (model.receptive_field - 1) // 2)
    return _finish(graph)


def _block(graph: _Graph, name: str, x: str, block: Block, features: int) -> str:
    flat = graph.reshape(graph.node("Transpose", graph.norm(f"{name}.before", x), perm=[1, 2, 0, 3]), 0, 0, -1)
    shared = graph.linear(f"{name}.spread", graph.node("Relu", graph.linear(f"{name}.gather", flat)))
    shared = graph.reshape(shared, 0, 0, len(INPUT), features)
    x = graph.node("Add", x, graph.node("Transpose", shared, perm=[2, 0, 1, 3]))
    y = graph.neighbours(graph.norm(f"{name}.between", x), block.width, block.dilation)
    y = graph.per_joint(f"{name}.down", graph.node("Relu", graph.per_joint(f"{name}.up", y)))
    return graph.node("Add", graph.crop(x, block.margin, -block.margin, 2) if block.margin else x, y)


def _outputs(graph: _Graph, x: str, margin: int) -> None:
    """What the last layer says (B,T',26,5) -> the joints with the sight of the middle frames, and the contacts."""
    body = graph.node("Gather", x, graph.constant("same", np.array(SAME)), axis=2)
    feet = graph.node("Gather", x, graph.constant("feet", np.array(FEET)), axis=2)
    graph.node("Squeeze", graph.crop(feet, 4, 5, 3), graph.constant("last", np.array([3])), output="extra")
    seen = graph.node("Gather", graph.crop("keypoints", margin, -margin, 1) if margin else "keypoints", "same", axis=2)
    places = graph.constant("places", np.array([1, 1, 0], np.float32))
    sight = graph.node("Mul", graph.node("Mul", seen, places), graph.crop(body, 3, 4, 3))
    graph.node("Add", graph.crop(body, 0, 3, 3), sight, output="joints")


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
