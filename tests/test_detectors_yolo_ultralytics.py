"""The detector `yolo` against Ultralytics itself: real files, its own results, whole runs (requirements-yolo.txt)."""

import json
import os
import pathlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

ultralytics = pytest.importorskip("ultralytics", reason="needs requirements-yolo.txt")

import yolo_models as models  # noqa: E402 - what follows is of no use without it
from boards_seen import film  # noqa: E402
from test_detectors_yolo import CELLS, check, white_cells  # noqa: E402
from test_detectors_yolo_files import hostile  # noqa: E402

from detectors import yolo_file, yolo_network  # noqa: E402
from detectors.yolo import YOLO  # noqa: E402
from detectors.yolo_picture import Letterbox  # noqa: E402
from pipeline.errors import InputError  # noqa: E402
from pipeline.runner import run  # noqa: E402

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.optional
SIZES = [(640, 384), (1281, 719), (333, 187), (402, 923)]


@pytest.fixture(autouse=True)
def store(monkeypatch, tmp_path):
    """Nothing is kept between tests, and Ultralytics' own settings lie aside."""
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path / "store"))
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "settings"))


@pytest.fixture(scope="module")
def crafted(tmp_path_factory):
    return models.crafted(tmp_path_factory.mktemp("crafted") / "own-pose.pt")


# ---- the same as Ultralytics

KINDS = {
    "yolo11n-pose": {},
    "yolov8n-pose": {},
    "yolo12n-pose": {},
    "yolov8n-pose-p6": {},
    "yolo26n-pose": {},
    "yolo26n-pose, saved when folded": {"fused": True},
    "yolo26n-pose, one box a person": {"fused": True, "single": True},
}


def theirs(path, frames, threshold, overlap):
    """Boxes, scores, keypoints and theirs px in the frame, surest first, as Ultralytics predicts them."""
    model = ultralytics.YOLO(path, task="pose")
    found = []
    for frame in frames:
        (result,) = model.predict(frame, conf=threshold, iou=overlap, imgsz=640, device="cpu", verbose=False)
        data = result.keypoints.data.numpy() if len(result) else np.zeros((0, 17, 3))
        found.append((result.boxes.xyxy.numpy(), result.boxes.conf.numpy(), data[..., :2], data[..., 2]))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_people_are_those_of_ultralytics(tmp_path, kind):
    path = models.lively(tmp_path / "net.pt", kind.split(",")[0], **KINDS[kind])
    detector = YOLO(detector_weights=path, device="cpu", threshold=0.5, overlap=0.7, threads=1)
    detector._network = yolo_network.OnTorch(path, torch.device("cpu"))  # so that sums are rounded alike
    assert detector._network.head.single == KINDS[kind].get("single", False)
    seen = 0
    for seed, size in enumerate(SIZES):
        frame = models.clouds(size, seed)
        (ours,), ((boxes, box_scores, points, scores),) = detector.look(size, [frame]), theirs(path, [frame], 0.5, 0.7)
        assert len(ours) == len(boxes)
        seen += len(ours)
        # Ultralytics takes pixels' corners for their centres, and moves what lies outside the picture to its edge.
        shift = (np.array(size) / Letterbox.of(size, 640, 32).scaled - 1) / 2
        corners = np.clip(ours.boxes.reshape(-1, 2, 2) - shift, 0, np.array(size)).reshape(-1, 4)
        apart = np.abs(corners[:, None] - boxes).max(axis=2) + 100 * np.abs(ours.box_scores[:, None] - box_scores)
        same = linear_sum_assignment(apart.T)[1]  # equal scores may come in another order
        assert corners[same] == pytest.approx(boxes, abs=0.05)
        assert ours.box_scores[same] == pytest.approx(box_scores, abs=1e-3)
        assert np.clip(ours.keypoints[same] - shift, 0, np.array(size)) == pytest.approx(points, abs=0.05)
        assert ours.scores[same] == pytest.approx(scores, abs=1e-3)
    assert seen > 10  # else nothing was compared


@pytest.mark.parametrize("name", ["yolo11n-pose", "yolo26n-pose"])
def test_openvino_gives_what_pytorch_gives(tmp_path, name):
    path = models.lively(tmp_path / "net.pt", name)
    pictures = [models.clouds((640, 384), seed) for seed in range(5)]
    one = [[part.copy() for part in raw] for raw in yolo_network.OnOpenVINO(path, 2).run(pictures)]
    two = list(yolo_network.OnTorch(path, torch.device("cpu")).run(pictures))
    for left, right in zip(one, two, strict=True):
        for a, b in zip(left, right, strict=True):
            assert b.std() > 0.01  # not died out
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=5e-3)


# ---- real files


@pytest.mark.parametrize("size", [(640, 384), (1281, 719), (333, 187)])
def test_people_of_a_real_file_are_where_they_are(crafted, size):
    check(list(YOLO(detector_weights=crafted, device="cpu").look(size, white_cells(size, CELLS))), size, CELLS)


def test_what_trained_files_hold_beside_the_network_does_no_harm(tmp_path, crafted):
    from ultralytics.utils import IterableSimpleNamespace

    network, _ = yolo_file.load(crafted)
    network.args = IterableSimpleNamespace(box=7.5, save_dir=pathlib.PurePath("runs"))
    network.model[-1].detect = ultralytics.nn.modules.head.Detect.forward  # as files of 2023 have it
    more = {
        "train_args": {"imgsz": 1280, "project": Path("runs"), "model": "yolo11n-pose.pt"},
        "best_fitness": np.float64(0.5),
        "train_metrics": {"fitness": np.float32(0.5)},
        "optimizer": torch.optim.SGD(network.parameters(), 0.1).state_dict(),
    }
    loaded, head = yolo_file.load(models.save(tmp_path / "trained.pt", network.half(), **more))
    assert head.size == 1280
    assert next(loaded.parameters()).dtype == torch.float32
    assert {type(part).__module__.split(".")[0] for part in loaded.modules()} == {"torch", "ultralytics"}
    assert type(loaded) is ultralytics.nn.tasks.PoseModel


def test_a_network_that_is_built_by_the_pickle_is_refused(tmp_path):
    """Ultralytics evaluates a text of a network's plan while it builds the network."""
    plan = {"activation": f"__import__('os').system({hostile(tmp_path)!r})", "nc": 1, "backbone": [], "head": []}

    class Builds:
        def __reduce__(self):
            return ultralytics.nn.tasks.PoseModel, (plan,)

    path = models.save(tmp_path / "evil.pt", Builds())
    with pytest.raises(InputError, match="refused to open") as caught:
        yolo_file.load(path)
    assert "it calls ultralytics.nn.tasks.PoseModel" in caught.value.why
    assert not (tmp_path / "ran").exists()


def test_a_real_network_with_something_hidden_is_refused(tmp_path, crafted):
    class Runs:
        def __reduce__(self):
            return os.system, (hostile(tmp_path),)

    network, _ = yolo_file.load(crafted)
    network.model[0].hidden = Runs()
    with pytest.raises(InputError, match="refused to open"):
        YOLO(detector_weights=models.save(tmp_path / "evil.pt", network), device="cpu")
    assert not (tmp_path / "ran").exists()


def test_methods_that_a_file_puts_aside_are_put_back(tmp_path, crafted):
    network, _ = yolo_file.load(crafted)
    network.__dict__["fuse"] = torch.nn.Identity()  # past the module's own bookkeeping
    network.model[0].__dict__["forward"] = torch.nn.Identity()
    path = models.save(tmp_path / "odd.pt", network)
    frames = white_cells((640, 384), CELLS)
    check(list(YOLO(detector_weights=path, device="cpu").look((640, 384), frames)), (640, 384), CELLS)


def test_other_keypoints_are_told(tmp_path):
    for shape in ([21, 3], [17, 2]):
        with pytest.raises(InputError, match="cannot use") as caught:
            yolo_file.load(models.crafted(tmp_path / "hand.pt", kpt_shape=shape))
        assert f"its keypoints are {shape[0]} of {shape[1]} numbers" in caught.value.why


def test_other_networks_are_told(tmp_path):
    network = ultralytics.nn.tasks.DetectionModel("yolo11n.yaml", verbose=False)
    with pytest.raises(InputError, match="finds no keypoints") as caught:
        yolo_file.load(models.save(tmp_path / "yolo11n.pt", network))
    assert "its head is Detect" in caught.value.why


def test_other_classes_are_told(tmp_path, crafted):
    network, _ = yolo_file.load(models.crafted(tmp_path / "two.pt", nc=2))
    network.names = {0: "cat", 1: "dog"}
    with pytest.raises(InputError, match="cannot use") as caught:
        yolo_file.load(models.save(tmp_path / "pets.pt", network))
    assert "none of its 2 classes is called person" in caught.value.why
    network.names = {0: "cat", 1: "Person"}
    assert yolo_file.load(models.save(tmp_path / "both.pt", network))[1].person == 1


def test_layers_of_another_version_are_told(tmp_path, crafted, monkeypatch):
    network, _ = yolo_file.load(crafted)
    monkeypatch.setattr(ultralytics.nn.modules.conv, "Conv9", type("Conv9", (torch.nn.Identity,), {}), raising=False)
    ultralytics.nn.modules.conv.Conv9.__module__ = "ultralytics.nn.modules.conv"
    network.model.append(ultralytics.nn.modules.conv.Conv9())
    path = models.save(tmp_path / "newer.pt", network)
    monkeypatch.delattr(ultralytics.nn.modules.conv, "Conv9")
    with pytest.raises(InputError, match="cannot use") as caught:
        yolo_file.load(path)
    assert "ultralytics.nn.modules.conv.Conv9" in caught.value.why


# ---- whole runs


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """A film in which a white square goes from cell to cell."""
    cells = [(4 + step // 2, 5) for step in range(20)]
    return film(tmp_path_factory.mktemp("film") / "walk.mp4", white_cells((640, 384), cells)), cells


def test_a_whole_run_by_the_command_line(tmp_path, crafted, walk):
    path, cells = walk
    command = [sys.executable, "videopose.py", str(path), "--detector", "yolo", "--detector-weights", str(crafted)]
    command += ["--out", str(tmp_path / "out"), "--formats", "npz,mp4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "AGPL-3.0" in done.stderr
    assert "OpenVINO CPU" in done.stderr
    with np.load(tmp_path / "out" / "walk" / "poses.npz") as poses:
        assert list(poses["keypoint_names"][:2]) == ["nose", "left_eye"]
        truth = np.array([models.truth(cell)[1] for cell in cells])
        assert poses["keypoints_px"][0] == pytest.approx(truth, abs=1e-3)
        assert np.isfinite(poses["joints_world_m"]).all()
    report = json.loads((tmp_path / "out" / "walk" / "report.json").read_text())
    assert "yolo" in json.dumps(report)


def test_a_second_run_needs_no_pytorch(tmp_path, crafted, walk):
    choices = {"detector": "yolo", "detector_weights": crafted, "formats": ("npz",), "overwrite": True}
    run(walk[0], out=tmp_path / "out", **choices)
    code = (
        f"import sys; from pipeline import run; run({str(walk[0])!r}, out={str(tmp_path / 'out')!r}, detector='yolo', "
    )
    code += f"detector_weights={str(crafted)!r}, formats=('npz',), overwrite=True)\n"
    code += "print([name for name in ('torch', 'ultralytics') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
