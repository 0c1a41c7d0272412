"""Networks in ONNX files with random weights that do the work of trained ones and see people who are told them.

Layers are those of RTMPose (Jiang et al. 2023, arXiv 2303.07399) on CSPNeXt (Lyu et al. 2022, arXiv 2212.07784), and of
YOLOX (Ge et al. 2021, arXiv 2107.08430); inputs and outputs as MMDeploy exports them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.results import Array

STRIDES = (8, 16, 32)
SURE, DOUBLE, NOBODY = 4.0, 2.0, -8.0  # logits of a person's cell, of the cell beside it, of any other
JITTER = 3e-6  # of what the layers compute, in the answers: a picture moves boxes by less than a pixel or so
Layer = tuple[str, int]  # a node's output and its channels


class Graph:
    """Builds an ONNX graph, a node a call; arrays among the inputs become constants.

    Args:
        gain: of random weights: 2 keeps large numbers (pixels) as large through a convolution and a SiLU, about 2.5
            small ones.
    """

    def __init__(self, gain: float, seed: int = 0) -> None:
        self._gain = gain
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._random = np.random.default_rng(seed)

    def __call__(self, kind: str, *inputs: str | Array, out: str = "", **attributes: Any) -> str:
        """Append a node; the name of its output."""
        from onnx import helper, numpy_helper

        names = []
        for value in inputs:
            if not isinstance(value, str):
                self._constants.append(numpy_helper.from_array(value, f"k{len(self._constants)}"))
                value = self._constants[-1].name
            names.append(value)
        self._nodes.append(helper.make_node(kind, names, [out or f"n{len(self._nodes)}"], **attributes))
        return self._nodes[-1].output[0]

    def numbers(self, *shape: int, fan: int) -> Array:
        """Random weights of a layer that sums `fan` numbers."""
        return (self._random.standard_normal(shape) * (self._gain / fan) ** 0.5).astype(np.float32)

    def plain(self, layer: Layer, out: int, kernel: int = 1, stride: int = 1, apart: bool = False) -> Layer:
        """A convolution, of each channel by itself if `apart`."""
        name, channels = layer
        groups, pads = channels if apart else 1, [kernel // 2] * 4
        weights = self.numbers(out, channels // groups, kernel, kernel, fan=channels // groups * kernel**2)
        told = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads, "group": groups}
        return self("Conv", name, weights, **told), out

    def conv(self, layer: Layer, out: int, kernel: int = 1, stride: int = 1, apart: bool = False) -> Layer:
        """A convolution and a SiLU."""
        name, _ = self.plain(layer, out, kernel, stride, apart)
        return self("Mul", name, self("Sigmoid", name)), out

    def joined(self, *layers: Layer) -> Layer:
        """Channels of all layers."""
        return self("Concat", *(name for name, _ in layers), axis=1), sum(channels for _, channels in layers)

    def save(self, path: Path, size: tuple[int, int], outputs: dict[str, tuple], batch: Any = 1) -> Path:
        """Write the network: pictures of `size` (width, height), outputs with their shapes and types."""
        from onnx import helper, save

        given = helper.make_tensor_value_info("input", 1, [batch, 3, size[1], size[0]])
        told = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()]
        graph = helper.make_graph(self._nodes, "random", [given], told, self._constants)
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
        return path


def rtmpose(
    path: Path, size: tuple[int, int] = (192, 256), joints: int = 17, widen: float = 0.5, deepen: float = 1 / 3
) -> Path:
    """A pose network, as large as RTMPose-s unless told; without its attention over joints, a hundredth of the work."""
    g = Graph(2.5)
    layer = _backbone(g, ("input", 3), widen, deepen, next_kind=True)[-1]
    name, _ = g.plain(layer, joints, 7)
    cells = size[0] * size[1] // 1024
    flat = g("Reshape", name, np.array([0, joints, -1]))
    hidden = g("MatMul", flat, g.numbers(cells, 256, fan=cells))
    hidden = g("Mul", hidden, g("Sigmoid", hidden))
    for name, side in zip(("simcc_x", "simcc_y"), size, strict=True):
        g("MatMul", hidden, g.numbers(256, 2 * side, fan=4 * 256), out=name)
    heads = {n: (1, ["batch", joints, 2 * side]) for n, side in zip(("simcc_x", "simcc_y"), size, strict=True)}
    return g.save(path, size, heads, batch="batch")


def yolox(path: Path, people: Array, size: int = 416, widen: float = 0.375) -> Path:
    """A person detector with suppression, as large as YOLOX-tiny unless told.

    Args:
        people: (P,4) px x1 y1 x2 y2 of the network's picture; found in every picture, there to a pixel or so.
    """
    g = Graph(2)
    rows = _rows(g, _pyramid(g, widen), 6, STRIDES)
    prior, cells = _prior(people, size, STRIDES, 1)
    kept = _suppressed(g, g("Add", rows, prior), cells)
    g("Gather", np.zeros((1, len(cells)), np.int64), kept, axis=1, out="labels")
    return g.save(path, (size, size), {"dets": (1, [1, "count", 5]), "labels": (7, [1, "count"])})


def rtmo(path: Path, people: Array, size: int = 640, widen: float = 0.5, joints: int = 17) -> Path:
    """Boxes and poses at once, about as large as RTMO-s: YOLOX-s's layers at RTMO's two levels; see `yolox`."""
    g = Graph(2)
    rows = _rows(g, _pyramid(g, widen)[1:], 6 + 3 * joints, STRIDES[1:])
    prior, cells = _prior(people, size, STRIDES[1:], 1 + joints)
    rows = g("Add", rows, prior)
    kept = _suppressed(g, rows, cells)
    poses = g("Reshape", _part(g, rows, 6, 6 + 3 * joints), np.array([1, len(cells), joints, 3]))
    poses = g("Gather", poses, kept, axis=1)
    own = g("Gather", cells.reshape(1, -1, 1, 3), kept, axis=1)
    places = g("Mul", g("Add", _part(g, poses, 0, 2, 3), _part(g, own, 0, 2, 3)), _part(g, own, 2, 3, 3))
    g("Concat", places, g("Sigmoid", _part(g, poses, 2, 3, 3)), axis=3, out="keypoints")
    return g.save(path, (size, size), {"dets": (1, [1, "count", 5]), "keypoints": (1, [1, "count", joints, 3])})


def _backbone(g: Graph, layer: Layer, widen: float, deepen: float, next_kind: bool) -> list[Layer]:
    """Features at 1/8, 1/16 and 1/32 of the picture: of CSPNeXt, or of YOLOX's CSPDarknet."""
    wide, found = [round(widen * channels) for channels in (64, 128, 256, 512, 1024)], []
    if next_kind:
        layer = g.conv(g.conv(g.conv(layer, wide[0] // 2, 3, 2), wide[0] // 2, 3), wide[0], 3)
    else:
        layer = g.conv(_apart(g, layer), wide[0], 3)
    for stage, blocks in enumerate((3, 6, 6, 3) if next_kind else (3, 9, 9, 3)):
        layer = g.conv(layer, wide[stage + 1], 3, 2)
        if stage == 3:
            layer = _pooled(g, layer)
        layer = _csp(g, layer, wide[stage + 1], round(deepen * blocks), next_kind, add=stage < 3)
        found.append(layer)
    return found[1:]


def _apart(g: Graph, layer: Layer) -> Layer:
    """YOLOX's first layer: even and odd pixels apart."""
    end, axes, steps = np.array([10**6] * 2), np.array([2, 3]), np.array([2, 2])
    places = ((0, 0), (1, 0), (0, 1), (1, 1))
    return g.joined(*((g("Slice", layer[0], np.array(at), end, axes, steps), layer[1]) for at in places))


def _pooled(g: Graph, layer: Layer) -> Layer:
    """Maxima of several sizes beside each other."""
    half = g.conv(layer, layer[1] // 2)
    pools = [
        (g("MaxPool", half[0], kernel_shape=[k, k], pads=[k // 2] * 4, strides=[1, 1]), half[1]) for k in (5, 9, 13)
    ]
    return g.conv(g.joined(half, *pools), layer[1])


def _csp(g: Graph, layer: Layer, out: int, blocks: int, next_kind: bool = False, add: bool = False) -> Layer:
    """Half of the channels through residual blocks, half past them; CSPNeXt weighs the channels afterwards."""
    main, past = g.conv(layer, out // 2), g.conv(layer, out // 2)
    for _ in range(blocks):
        if next_kind:
            inner = g.conv(g.conv(g.conv(main, out // 2, 3), out // 2, 5, apart=True), out // 2)
        else:
            inner = g.conv(g.conv(main, out // 2), out // 2, 3)
        main = (g("Add", main[0], inner[0]), out // 2) if add else inner
    both = g.joined(main, past)
    if next_kind:
        weights, _ = g.plain((g("GlobalAveragePool", both[0]), out), out)
        both = g("Mul", both[0], g("HardSigmoid", weights, alpha=1 / 6)), out
    return g.conv(both, out)


def _pyramid(g: Graph, widen: float) -> list[Layer]:
    """YOLOX's features at 1/8, 1/16 and 1/32, each of which has seen the others."""
    fine, middle, coarse = _backbone(g, ("input", 3), widen, 1 / 3, next_kind=False)

    def up(layer: Layer) -> Layer:
        return g("Resize", layer[0], "", np.array([1, 1, 2, 2], np.float32), mode="nearest"), layer[1]

    coarse = g.conv(coarse, middle[1])
    middle = g.conv(_csp(g, g.joined(up(coarse), middle), middle[1], 1), fine[1])
    fine = _csp(g, g.joined(up(middle), fine), fine[1], 1)
    middle = _csp(g, g.joined(g.conv(fine, fine[1], 3, 2), middle), 2 * fine[1], 1)
    coarse = _csp(g, g.joined(g.conv(middle, middle[1], 3, 2), coarse), 2 * middle[1], 1)
    return [g.conv(layer, fine[1]) for layer in (fine, middle, coarse)]


def _rows(g: Graph, levels: Sequence[Layer], values: int, strides: Sequence[int]) -> str:
    """(1,A,values): each cell's box (x, y, log w, log h), whether there is something, whether a person, more."""
    rows = []
    for level in levels:
        kinds, boxes = (g.conv(g.conv(level, level[1], 3), level[1], 3) for _ in range(2))
        found = g.joined(g.plain(boxes, 5), g.plain(kinds, values - 5))
        rows.append(g("Transpose", g("Reshape", found[0], np.array([1, values, -1])), perm=[0, 2, 1]))
    return g("Mul", g("Concat", *rows, axis=1), np.float32([JITTER]))


def _prior(people: Array, size: int, strides: Sequence[int], poses: int) -> tuple[Array, Array]:
    """What makes cells see people: (1,A,values) to be added to the rows, and the cells (A,3): column, row, stride."""
    joints, cells = poses - 1, []
    for stride in strides:
        rows, columns = np.mgrid[: size // stride, : size // stride]
        cells.append(np.stack([columns, rows, np.full_like(rows, stride)], axis=-1).reshape(-1, 3))
    cells = np.concatenate(cells).astype(np.float32)
    prior = np.zeros((len(cells), 6 + 3 * joints), np.float32)
    prior[:, 4:6] = NOBODY
    figure = np.random.default_rng(0).uniform(-0.5, 0.5, (joints, 2))
    for x1, y1, x2, y2 in people:
        centre, extent = np.array([x1 + x2, y1 + y2]) / 2, np.array([x2 - x1, y2 - y1])
        far = np.abs(cells[:, :2] * 16 + 8 - centre).sum(axis=1) + 1e6 * (cells[:, 2] != 16)
        for cell, sure in zip(np.argsort(far)[:2], (SURE, DOUBLE), strict=True):
            prior[cell, :2], prior[cell, 2:4] = centre / 16 - cells[cell, :2], np.log(extent / 16)
            prior[cell, 4:6] = sure
            places = (centre + figure * extent) / 16 - cells[cell, :2]
            prior[cell, 6:] = np.concatenate([places, np.full((joints, 1), SURE)], axis=1).ravel()
    return prior[None], cells


def _suppressed(g: Graph, rows: str, cells: Array) -> str:
    """Boxes with scores into `dets`; the indices (M,) of the cells that are left."""
    strides = cells[None, :, 2:]
    centres = g("Mul", g("Add", _part(g, rows, 0, 2), cells[None, :, :2]), strides)
    halves = g("Mul", g("Exp", _part(g, rows, 2, 4)), strides / 2)
    boxes = g("Concat", g("Sub", centres, halves), g("Add", centres, halves), axis=2)
    scores = g("Mul", g("Sigmoid", _part(g, rows, 4, 5)), g("Sigmoid", _part(g, rows, 5, 6)))
    by_class, overlap, least = g("Transpose", scores, perm=[0, 2, 1]), np.float32([0.45]), np.float32([0.05])
    chosen = g("NonMaxSuppression", boxes, by_class, np.array([100]), overlap, least)
    kept = g("Reshape", _part(g, chosen, 2, 3, 1), np.array([-1]))
    g("Gather", g("Concat", boxes, scores, axis=2), kept, axis=1, out="dets")
    return kept


def _part(g: Graph, name: str, begin: int, end: int, axis: int = 2) -> str:
    return g("Slice", name, np.array([begin]), np.array([end]), np.array([axis]))
