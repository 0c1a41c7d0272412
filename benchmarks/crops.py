"""What does it bring to give a pose network crops of many people and frames at once?

    python -m benchmarks.crops                 a network of random numbers, about as large as RTMPose-s
    python -m benchmarks.crops rtmpose.onnx    your own

The same crops go through the network on the CPU in three ways: one after the other in ONNX Runtime (where it is
installed), as most programs do with each person; one after the other in OpenVINO; and as the detector `rtmpose` does.
Wall time, the median of alternating rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from detectors.onnx_network import Network
from detectors.onnx_runtimes import OnnxRuntime
from pipeline.errors import MissingError
from pipeline.results import Array

CROPS, ROUNDS = 64, 5
WIDTHS = ((24, 2), (48, 2), (96, 2), (96, 1), (192, 2), (192, 1), (384, 2), (384, 1))  # channels, stride


def main() -> None:
    """Print milliseconds a crop for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path, nargs="?")
    given = parser.parse_args().network
    with tempfile.TemporaryDirectory(prefix="videopose-crops-") as scratch:
        measured = times(given or random_network(Path(scratch) / "random.onnx"))
    ours = measured["batched"]
    for way, seconds in measured.items():
        print(f"{way:28s} {1000 * seconds:7.2f} ms a crop, {seconds / ours:.2f} times ours")


def times(path: Path) -> dict[str, float]:
    """Median seconds a crop, by way."""
    network = Network(path, "cpu")
    width, height = network.size
    crops = np.random.default_rng(0).standard_normal((CROPS, 3, height, width)).astype(np.float32)
    ways: dict[str, Callable[[], object]] = {
        "batched": lambda: list(network.run(crops[n : n + network.batch] for n in range(0, CROPS, network.batch))),
        "OpenVINO, one at a time": lambda: [list(network.run([crop[None]])) for crop in crops],
    }
    try:
        runtime = OnnxRuntime(path, "CPUExecutionProvider")
        ways["ONNX Runtime, one at a time"] = lambda: [runtime.start(crop[None])() for crop in crops]
    except MissingError as error:
        print(f"without ONNX Runtime: {error.why}")
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, run in ways.items():
            taken[way].append(_seconds(run) / CROPS)
    return {way: statistics.median(seconds) for way, seconds in taken.items()}


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def random_network(path: Path, size: tuple[int, int] = (192, 256), joints: int = 17, seed: int = 0) -> Path:
    """A pose network as RTMPose is exported, of random numbers: convolutions to 1/32 of the picture, SimCC heads."""
    from onnx import TensorProto, helper, numpy_helper, save

    random, nodes, constants = np.random.default_rng(seed), [], []

    def constant(values: Array) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values), f"k{len(constants)}"))
        return constants[-1].name

    def node(kind: str, *inputs: str, out: str = "", **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [out or f"n{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def numbers(*shape: int, scale: float) -> str:
        return constant((scale * random.standard_normal(shape)).astype(np.float32))

    layer, channels = "input", 3
    for width, stride in WIDTHS:
        weights = numbers(width, channels, 3, 3, scale=(2 / (9 * channels)) ** 0.5)
        layer = node("Relu", node("Conv", layer, weights, strides=[stride] * 2, pads=[1] * 4, kernel_shape=[3, 3]))
        channels = width
    last = node("Conv", layer, numbers(joints, channels, 1, 1, scale=1 / channels))
    flat = node("Reshape", last, constant(np.array([0, joints, -1])))
    heads = []
    for name, side in zip(("simcc_x", "simcc_y"), size, strict=True):
        node("MatMul", flat, numbers(size[0] * size[1] // 1024, 2 * side, scale=1 / 8), out=name)
        heads.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", joints, 2 * side]))
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, size[1], size[0]])
    graph = helper.make_graph(nodes, "random", [given], heads, constants)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


if __name__ == "__main__":
    main()
