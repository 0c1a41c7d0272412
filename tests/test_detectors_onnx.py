"""ONNX files as networks: what runs them agrees, and what cannot be run says why. Doubles of a person."""

import sys

import numpy as np
import onnx
import onnx_networks as networks
import pytest
from onnx import TensorProto, helper

from benchmarks import detectors_onnx as random_networks
from detectors.onnx_network import Network
from detectors.onnx_runtimes import CUDA, OnnxRuntime, runtime
from detectors.suppression import similarity, suppress_boxes, suppress_poses
from pipeline.errors import InputError, MissingError
from pipeline.skeletons import skeleton

CPU = "CPUExecutionProvider"
BUILT = {
    "convolutions": random_networks.rtmpose,
    "simcc": networks.rtmpose,
    "yolox": lambda path: networks.yolox_grid(path, (320, 320)),
    "yolox with suppression": lambda path: networks.with_suppression(path, "yolox", (320, 320)),
    "rtmdet": lambda path: networks.with_suppression(path, "rtmdet", (320, 320)),
    "rtmo": lambda path: networks.rtmo(path, (320, 320)),
}


@pytest.mark.parametrize("name", BUILT)
def test_openvino_agrees_with_onnxruntime(tmp_path, name):
    pytest.importorskip("onnxruntime")
    path = BUILT[name](tmp_path / "network.onnx")
    network, oracle = Network(path, "cpu"), OnnxRuntime(path, CPU)
    frame = np.random.default_rng(0).integers(0, 60, (network.size[1], network.size[0], 3)).astype(np.uint8)
    joints = np.stack([np.linspace(40, 150, 26), np.linspace(30, 220, 26)], axis=1)
    networks.draw(frame, 1, (20, 10, 180, 230), joints, 4.0)
    batch = ((frame.astype(np.float32) - 110) / 57).transpose(2, 0, 1)[None]
    if "simcc" not in name and name != "convolutions":
        batch = frame.astype(np.float32).transpose(2, 0, 1)[None]
    (ours,), theirs = network.run([batch]), oracle.start(batch)()
    assert list(ours) == list(theirs)
    for output, value in theirs.items():
        assert ours[output].shape == value.shape and value.any()
        np.testing.assert_allclose(ours[output], value, atol=1e-4, rtol=1e-5)


def test_batches_come_back_in_order_and_whole(tmp_path):
    network = Network(random_networks.rtmpose(tmp_path / "net.onnx", size=(64, 64)), "cpu")
    pictures = np.random.default_rng(0).standard_normal((23, 3, 64, 64)).astype(np.float32)
    singly = np.concatenate([out["simcc_x"] for out in network.run(p[None] for p in pictures)])
    together = np.concatenate([out["simcc_x"] for out in network.run(np.array_split(pictures, 5))])
    np.testing.assert_allclose(together, singly, atol=1e-5)
    assert list(network.run([])) == []


def test_few_batches_are_made_ahead(tmp_path):
    network = Network(random_networks.rtmpose(tmp_path / "net.onnx", size=(64, 64)), "cpu")
    made = []

    def pictures():
        for number in range(100):
            made.append(number)
            yield np.zeros((1, 3, 64, 64), np.float32)

    for number, _ in enumerate(network.run(pictures())):
        assert len(made) <= number + 1 + network._runtime.several


def test_half_precision_is_fed_and_read(tmp_path):
    graph = networks.Graph()
    graph("ReduceMean", "input", out="mean", axes=[2, 3], keepdims=0)
    shape = (["n", 3, 4, 4], TensorProto.FLOAT16)
    values = [helper.make_tensor_value_info(n, s[1], s[0]) for n, s in (("input", shape), ("mean", (["n", 3], 10)))]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "half", values[:1], values[1:]), opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )  # fmt: skip
    onnx.save(model, tmp_path / "half.onnx")
    batch = np.arange(96, dtype=np.float32).reshape(2, 3, 4, 4)
    (out,) = Network(tmp_path / "half.onnx", "cpu").run([batch])
    np.testing.assert_allclose(out["mean"], batch.mean((2, 3)))


def wrong_inputs(path, shapes):
    graph = networks.Graph()
    for name in shapes:
        graph("Identity", name, out=f"{name}_out")
    return graph.save(path, shapes, {f"{name}_out": shape for name, shape in shapes.items()})


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ({"rays": [1, 45, 26, 3]}, r"expected one input \(N,3,H,W\); it has rays \(1,45,26,3\)"),
        ({"picture": ["n", 1, 64, 64]}, r"picture \(\?,1,64,64\)"),
        ({"a": [1, 3, 8, 8], "b": [1, 3, 8, 8]}, r"a \(1,3,8,8\), b \(1,3,8,8\)"),
        ({"x": [3]}, r"x \(3\)"),
    ],
)
def test_other_inputs_are_told(tmp_path, shapes, told):
    with pytest.raises(InputError, match=told) as caught:
        Network(wrong_inputs(tmp_path / "net.onnx", shapes), "cpu")
    assert caught.value.exit_code == 3


def test_a_network_that_cannot_compute_such_pictures_names_their_size(tmp_path):
    graph = networks.Graph()
    graph("Reshape", "input", np.array([1, 3, 7], np.int64), out="out")
    path = graph.save(tmp_path / "net.onnx", {"input": ["n", 3, "h", "w"]}, {"out": [1, 3, 7]})
    with pytest.raises(InputError, match="cannot compute pictures of 64x32"):
        Network(path, "cpu", size=(64, 32))


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "garbled"])
def test_damaged_files_are_told(tmp_path, damage):
    path = random_networks.rtmpose(tmp_path / "net.onnx", size=(64, 64))
    data = path.read_bytes()
    ruined = {"cut": data[: len(data) // 2], "text": b"<html>404 Not Found</html>", "empty": b"",
              "garbled": data[-100:] + data}  # fmt: skip
    path.write_bytes(ruined[damage])
    for run in (lambda: Network(path, "cpu"), lambda: OnnxRuntime(path, CPU)):
        with pytest.raises(InputError, match="no ONNX network, or it is damaged"):
            run()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingError, match="there is no such file"):
        Network(tmp_path / "none.onnx", "cpu")


@pytest.fixture
def net(tmp_path):
    return random_networks.rtmpose(tmp_path / "net.onnx", size=(64, 64))


def test_a_gpu_without_the_package(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingError, match="onnxruntime-gpu, which is not installed") as caught:
        Network(net, "cuda")
    assert caught.value.exit_code == 4 and "requirements-cuda.txt" in caught.value.hint
    assert "OpenVINO CPU" in Network(net, "auto").device


def test_a_gpu_with_a_package_that_has_no_provider_for_it(net, monkeypatch):
    ort = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CPU])
    with pytest.raises(MissingError, match=f"looked for {CUDA}.*has {CPU}"):
        Network(net, "cuda")
    assert "OpenVINO CPU" in Network(net).device


@pytest.mark.parametrize("way", ["raises", "goes to the CPU"])
def test_a_gpu_that_is_absent(net, monkeypatch, way):
    """The provider is there and binds no device: ONNX Runtime fails, or goes to the CPU, which nobody asked for."""
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession

    def open_session(path, options, providers, **settings):
        if way == "raises" and providers != [CPU]:
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        return session(path, options, [CPU])

    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(ort, "InferenceSession", open_session)
    with pytest.raises(MissingError, match="no CUDA-capable device" if way == "raises" else "found no device"):
        runtime(net, "cuda")
    assert "OpenVINO CPU" in runtime(net, "auto").device
    net.write_bytes(b"no network")
    with pytest.raises(InputError, match="no ONNX network"):
        runtime(net, "cuda")


# Doubles


def test_the_best_of_boxes_that_overlap_is_kept():
    boxes = np.array([(0, 0, 10, 10), (0, 0, 10, 11), (50, 50, 60, 60), (0, 5, 10, 15)], float)
    assert suppress_boxes(boxes, np.array([0.5, 0.9, 0.7, 0.6]), 0.45).tolist() == [1, 2, 3]
    assert suppress_boxes(boxes[:0], np.zeros(0), 0.45).tolist() == []


def test_similarity_is_cocos():
    sigmas = np.array(skeleton("coco-17").sigmas)
    one = np.random.default_rng(0).uniform(0, 200, (17, 2))
    moved = one + np.array([3.0, 4.0])
    scores = np.ones((2, 17))
    scores[1, :5] = 0.1  # not seen there, so not compared
    found = similarity(np.stack([one, moved]), scores, np.array([8000.0, 12000.0]), sigmas)
    np.testing.assert_allclose(found[0, 1], np.exp(-25 / (2 * 10000 * (2 * sigmas[5:]) ** 2)).mean())
    np.testing.assert_allclose(np.diag(found), 1)
    scores[1, 3:] = 0  # three joints are too few
    assert similarity(np.stack([one, moved]), scores, np.ones(2), sigmas)[0, 1] == 0


def test_the_surer_of_two_like_poses_stays():
    sigmas = np.array(skeleton("coco-17").sigmas)
    one = np.random.default_rng(0).uniform(0, 200, (17, 2))
    poses, boxes = np.stack([one, one + 1, one + np.array([40, 0])]), np.array([(0, 0, 200, 200)] * 3, float)
    scores = np.array([[0.5] * 17, [0.9] * 17, [0.7] * 17])
    assert suppress_poses(poses, scores, boxes, sigmas, 0.75).tolist() == [1, 2]
    poses[0, 0] = np.nan  # one missing joint
    scores[0, 0] = 0
    assert suppress_poses(poses, scores, boxes, sigmas, 0.75).tolist() == [1, 2]
    assert suppress_poses(poses[:0], scores[:0], boxes[:0], sigmas, 0.75).tolist() == []
