"""Networks in the very formats of RTMPose, YOLOX, RTMDet and RTMO that find what `draw` draws, by its colours."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BODIES = np.array([(100, 0, 0), (0, 100, 0), (0, 0, 100)], np.float32)  # BGR: each person's rectangle
_LEVELS = [(b, g, r) for b in (0, 85, 170, 255) for g in (0, 85, 170, 255) for r in (0, 85, 170, 255)]
# BGR: each joint's disc; none is between black or a body's colour and another joint's
COLOURS = np.array([c for c in _LEVELS if max(c) == 255 and sum(np.sign(c)) > 1][:26], np.float32)
REACH = 25.0  # of a colour
RGB_MEAN, RGB_STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
BGR_MEAN, BGR_STD = np.array([103.53, 116.28, 123.675]), np.array([57.375, 57.12, 58.395])


def draw(frame, person, box, joints=(), radius=5.0):
    """A person into a frame (H,W,3) BGR: columns x1..x2 and rows y1..y2 of a box, discs round the joints (J,2) px.

    A disc darkens from its centre, so that its likeness to its colour falls to nothing within it and its centroid is
    exact to a small part of a pixel.
    """
    x1, y1, x2, y2 = box
    frame[max(y1, 0) : y2 + 1, max(x1, 0) : x2 + 1] = BODIES[person]
    reach = int(np.ceil(radius))
    for colour, (x, y) in zip(COLOURS, joints, strict=False):
        top, left = max(round(y) - reach, 0), max(round(x) - reach, 0)
        patch = frame[top : max(round(y) + reach + 1, 0), left : max(round(x) + reach + 1, 0)]
        rows, columns = np.mgrid[: patch.shape[0], : patch.shape[1]]
        away = np.hypot(columns + left - x, rows + top - y)
        shade = 1 - 1.2 * REACH / np.linalg.norm(colour) * away[..., None] / radius
        patch[away < radius] = np.round(colour * shade)[away < radius]
    return frame


class Graph:
    """Builds an ONNX graph, a node a call."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def const(self, values):
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def __call__(self, kind, *inputs, out=None, **attributes):
        inputs = [self.const(v) if isinstance(v, (np.ndarray, np.generic)) else v for v in inputs]
        name = out or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def save(self, path, inputs, outputs):
        """`inputs` and `outputs`: name to shape, or to (shape, type)."""

        def told(name, shape, kind=TensorProto.FLOAT):
            return helper.make_tensor_value_info(name, kind, shape)

        graph = helper.make_graph(
            self.nodes, "test", [told(n, s) for n, s in inputs.items()],
            [told(n, *(s if isinstance(s, tuple) else (s,))) for n, s in outputs.items()], self.constants,
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)
        return path


def _f(*values):
    return np.array(values, np.float32)


def _i(*values):
    return np.array(values, np.int64)


def likeness(g, pixels, colours):
    """(N,3,H,W) pixels of 0 to 255, colours (K,3) in their order of channels -> (N,K,H,W) in 0..1."""
    square = g("ReduceSum", g("Mul", pixels, pixels), _i(1), keepdims=1)
    cross = g("Conv", pixels, (-2 * colours)[:, :, None, None].astype(np.float32))
    distance = g("Add", g("Add", square, cross), (colours**2).sum(1).reshape(1, -1, 1, 1).astype(np.float32))
    return g("Clip", g("Sub", _f(1), g("Div", distance, _f(REACH**2))), np.float32(0), np.float32(1))


def denormalised(g, mean, std):
    """The input as pixels of 0 to 255; the first layer is a convolution, as in RTMDet and RTMPose."""
    return g("Conv", "input", np.diag(std)[:, :, None, None].astype(np.float32), mean.astype(np.float32))


def centroid(g, weights, axis, size):
    """(N,K,H,W) -> (N,K,1): mean place along x (axis 2 is summed away) or y (3), and (N,K,1) whether there is any."""
    line = g("ReduceSum", weights, _i(axis), keepdims=0)
    total = g("ReduceSum", line, _i(2), keepdims=1)
    moment = g("ReduceSum", g("Mul", line, np.arange(size, dtype=np.float32)), _i(2), keepdims=1)
    seen = g("Clip", g("Mul", total, _f(1000)), np.float32(0), np.float32(1))
    return g("Div", moment, g("Max", total, _f(1e-6))), seen


def rtmpose(path, joints=26, size=(192, 256), peaks=(0.9, 0.7), batch="batch", channels="rgb",
            order=("simcc_x", "simcc_y")):  # fmt: skip
    """SimCC heads whose maxima, `peaks` high, are at the discs; `channels` is the order that it was trained with."""
    g, (width, height) = Graph(), size
    colours = COLOURS[:joints, ::-1] if channels == "rgb" else COLOURS[:joints]
    maps = likeness(g, denormalised(g, RGB_MEAN, RGB_STD), colours)
    for name, axis, side, peak in zip(order, (2, 3), size, peaks, strict=True):
        place, seen = centroid(g, maps, axis, side)
        off = g("Sub", place, (np.arange(2 * side, dtype=np.float32) / 2).reshape(1, 1, -1))
        bell = g("Exp", g("Mul", g("Mul", off, off), _f(-1 / 18)))
        g("Mul", g("Mul", bell, seen), _f(peak), out=name)
    heads = {n: [batch, joints, 2 * side] for n, side in zip(order, size, strict=True)}
    return g.save(path, {"input": [batch, 3, height, width]}, heads)


def extents(g, maps, size):
    """(1,P,H,W) -> first and last column and row of each, (1,P,4) x1 y1 x2 y2, and (1,P,1) whether it is there."""
    mask = g("Cast", g("Greater", maps, _f(0.5)), to=TensorProto.FLOAT)
    firsts, lasts = [], []
    for axis, side in ((2, size[0]), (3, size[1])):
        line, steps = g("ReduceMax", mask, axes=[axis], keepdims=0), np.arange(side, dtype=np.float32)
        lasts.append(g("ReduceMax", g("Mul", line, steps), axes=[2], keepdims=1))
        far = g("ReduceMax", g("Mul", line, side - steps), axes=[2], keepdims=1)
        firsts.append(g("Sub", _f(side), far))
    seen = g("Reshape", g("ReduceMax", mask, axes=[2, 3], keepdims=0), _i(1, -1, 1))
    return g("Concat", *firsts, *lasts, axis=2), seen


def focus(g):
    """YOLOX's first layer: even and odd pixels apart, and together again."""
    places, end = ((0, 0), (0, 1), (1, 0), (1, 1)), _i(10**6, 10**6)
    parts = [g("Slice", "input", _i(*place), end, _i(2, 3), _i(2, 2)) for place in places]
    return g("DepthToSpace", g("Concat", *parts, axis=1), blocksize=2)


def yolox_grid(path, size=(640, 640), scores=(0.9, 0.8, 0.7), classes=80):
    """A YOLOX without suppression: each person in one cell, and in another, shifted by 3 px and less sure."""
    g = Graph()
    box, seen = extents(g, likeness(g, focus(g), BODIES), size)
    cells = [(s, c, r) for s in (8, 16, 32) for r in range(size[1] // s) for c in range(size[0] // s)]
    low = g("Slice", box, _i(0), _i(2), _i(2))
    high = g("Slice", box, _i(2), _i(4), _i(2))
    middle, extent = g("Mul", g("Add", low, high), _f(0.5)), g("Max", g("Sub", high, low), _f(1e-3))
    rows = None
    for first, shift, share in ((101, 0.0, 1.0), (len(cells) - 50, 3.0, 0.6)):
        own = np.array(cells[first : first + len(BODIES)], np.float32)
        spread = np.zeros((1, len(cells), len(BODIES)), np.float32)
        spread[0, np.arange(first, first + len(BODIES)), np.arange(len(BODIES))] = 1
        place = g("Sub", g("Div", g("Add", middle, _f(shift)), own[None, :, :1]), own[None, :, 1:])
        sure = g("Mul", seen, (share * np.array(scores, np.float32)).reshape(1, -1, 1))
        kinds = g("Mul", sure, np.eye(1, classes, dtype=np.float32)[None])
        wanted = g("Concat", place, g("Log", g("Div", extent, own[None, :, :1])), seen, kinds, axis=2)
        placed = g("MatMul", spread, wanted)
        rows = placed if rows is None else g("Add", rows, placed)
    g("Identity", rows, out="output")
    return g.save(path, {"input": [1, 3, size[1], size[0]]}, {"output": [1, len(cells), 5 + classes]})


def suppressed(g, box, seen, scores):
    """Boxes (1,P,4) through ONNX's own suppression -> indices (M,), those that are there."""
    sure = g("Mul", seen, np.array(scores, np.float32).reshape(1, -1, 1))
    chosen = g("NonMaxSuppression", box, g("Transpose", sure, perm=[0, 2, 1]), _i(100), _f(0.5), _f(0.05))
    kept = g("Reshape", g("Slice", chosen, _i(2), _i(3), _i(1)), _i(-1))
    g("Gather", g("Concat", box, sure, axis=2), kept, axis=1, out="dets")
    return kept


def with_suppression(path, family, size=(640, 640), scores=(0.9, 0.8, 0.7)):
    """A YOLOX or RTMDet with suppression; of the RTMDet's classes the last box, of the whole picture, is no person."""
    g = Graph()
    pixels = focus(g) if family == "yolox" else denormalised(g, BGR_MEAN, BGR_STD)
    box, seen = extents(g, likeness(g, pixels, BODIES), size)
    whole = _f(0, 0, *size).reshape(1, 1, 4)
    box, seen = g("Concat", box, whole, axis=1), g("Concat", seen, _f(1).reshape(1, 1, 1), axis=1)
    kept = suppressed(g, box, seen, (*scores, 0.99))
    g("Gather", _i(*[0] * len(BODIES), 7).reshape(1, -1), kept, axis=1, out="labels")
    outputs = {"dets": [1, "count", 5], "labels": ([1, "count"], TensorProto.INT64)}
    return g.save(path, {"input": [1, 3, size[1], size[0]]}, outputs)


def rtmo(path, size=(640, 640), scores=(0.9, 0.8, 0.7), joints=17):
    """Everybody with the discs within their own columns, in whole pixels of the letterboxed picture; score 0.6."""
    g = Graph()
    box, seen = extents(g, likeness(g, focus(g), BODIES), size)
    kept = suppressed(g, box, seen, scores)
    maps = likeness(g, "input", COLOURS[:joints])
    people = []
    for person in range(len(BODIES)):
        left = g("Reshape", g("Slice", box, _i(person, 0), _i(person + 1, 1), _i(1, 2)), _i(1, 1, 1, 1))
        right = g("Reshape", g("Slice", box, _i(person, 2), _i(person + 1, 3), _i(1, 2)), _i(1, 1, 1, 1))
        columns = np.arange(size[0], dtype=np.float32).reshape(1, 1, 1, -1)
        within = g("And", g("GreaterOrEqual", columns, left), g("LessOrEqual", columns, right))
        own = g("Mul", maps, g("Cast", within, to=TensorProto.FLOAT))
        (x, there), (y, _) = centroid(g, own, 2, size[0]), centroid(g, own, 3, size[1])
        rows = g("Concat", g("Round", x), g("Round", y), g("Mul", there, _f(0.6)), axis=2)
        people.append(g("Reshape", rows, _i(1, 1, joints, 3)))
    g("Gather", g("Concat", *people, axis=1), kept, axis=1, out="keypoints")
    outputs = {"dets": [1, "count", 5], "keypoints": [1, "count", joints, 3]}
    return g.save(path, {"input": [1, 3, size[1], size[0]]}, outputs)
