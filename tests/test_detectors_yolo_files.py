"""The detector `yolo` without Ultralytics: files that are no models, and what its choices lead to."""

import importlib.util
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yolo_models as models
from commandline import call

from detectors import yolo_file
from detectors.yolo import YOLO
from pipeline.errors import InputError, MissingError, UsageError

ROOT = Path(__file__).parent.parent
WITHOUT = importlib.util.find_spec("ultralytics") is None


@pytest.fixture
def marked(monkeypatch, tmp_path):
    return models.prepare(monkeypatch, tmp_path)


# ---- files that are none


class Runs:
    def __init__(self, what, *arguments):
        self.what, self.arguments = what, arguments

    def __reduce__(self):
        return self.what, self.arguments


def hostile(folder):
    import os

    return f"touch {folder / 'ran'}" if os.name != "nt" else f"type nul > {folder / 'ran'}"


def saved(path, held):
    torch.save(held, path)
    return path


@pytest.mark.parametrize("where", ["model", "train_args", "aside"])
def test_a_pickle_that_runs_something_is_refused(tmp_path, where):
    import os

    path = saved(tmp_path / "evil.pt", {"model": None, where: Runs(os.system, hostile(tmp_path))})
    with pytest.raises(InputError, match="refused to open") as caught:
        yolo_file.load(path)
    assert re.search(r"asks for (posix|nt)\.system", caught.value.why)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)  # it would have
    assert (tmp_path / "ran").exists()


def test_a_pickle_that_evaluates_is_refused(tmp_path):
    path = saved(tmp_path / "evil.pt", {"model": Runs(eval, f"__import__('os').system({hostile(tmp_path)!r})")})
    with pytest.raises(InputError, match="refused to open"):
        yolo_file.load(path)
    assert not (tmp_path / "ran").exists()


def test_a_layer_that_is_called_is_refused(tmp_path):
    path = saved(tmp_path / "calls.pt", {"model": Runs(torch.nn.Linear, 2, 3)})
    with pytest.raises(InputError, match="refused to open") as caught:
        yolo_file.load(path)
    assert "calls torch.nn.modules.linear.Linear" in caught.value.why


def test_what_is_found_by_name_is_never_more_than_a_layer(tmp_path):
    path = saved(tmp_path / "got.pt", {"model": Runs(getattr, torch.nn.Linear, "__init__")})
    with pytest.raises(InputError, match="no network in"):
        yolo_file.load(path)


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


BAD = {
    "the file is empty": lambda at: at.touch() or at,
    "the file was cut short": lambda at: cut(saved(at, {"model": torch.zeros(9999)})),
    "TorchScript": lambda at: torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)), str(at)) or at,
    "a zip of something else": lambda at: np.savez(at.open("wb"), a=1) or at,
    "no network in": lambda at: saved(at, {"conv.weight": torch.zeros(3)}),
    "weights alone": lambda at: saved(at, torch.nn.ReLU().state_dict()),
    "no pickle of PyTorch": lambda at: at.write_bytes(pickle.dumps({"model": 1})) and at,
    "it begins with": lambda at: at.write_text("a letter") and at,
    "do not fit together": lambda at: saved(at, {"model": torch.nn.ReLU()}),
    "No such file": lambda at: at,
    "Is a directory": lambda at: at.mkdir() or at,
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("says", BAD)
def test_files_that_are_no_models(tmp_path, says):
    path = BAD[says](tmp_path / "bad.pt")
    with pytest.raises(InputError) as caught:
        yolo_file.load(path)
    assert says in f"{caught.value.what} {caught.value.why}"
    assert str(path) in caught.value.what


# ---- choices


def test_a_model_or_a_file(tmp_path):
    with pytest.raises(MissingError, match="no weights at"):
        YOLO.uses(detector_weights=tmp_path / "own.pt")
    (tmp_path / "own.pt").touch()
    assert YOLO.uses(detector_weights=tmp_path / "own.pt", device="cpu") == (tmp_path / "own.pt",)
    with pytest.raises(UsageError, match="both name a model"):
        YOLO.uses("yolo11n-pose", tmp_path / "own.pt")


def test_models_are_those_of_the_cards():
    assert YOLO.uses() == ("yolo11n-pose",)
    sizes = [f"yolo{family}{size}-pose" for family in ("v8", "11") for size in "nsmlx"]
    assert [YOLO.uses(name) for name in sizes] == [(name,) for name in sizes]


def test_an_unknown_model_gets_the_nearest(monkeypatch):
    monkeypatch.setattr("checkpoints.card.names", lambda: ["rtmo-s", "yolo11n-pose", "yolov8x-pose"])
    assert YOLO.uses() == ("yolo11n-pose",)
    assert YOLO.uses("yolov8x-pose", None) == ("yolov8x-pose",)
    with pytest.raises(UsageError) as caught:
        YOLO.uses("yolo8x-pose")
    assert caught.value.hint == "yolov8x-pose"
    assert caught.value.why == "known: yolo11n-pose, yolov8x-pose"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a graphics card")
def test_a_graphics_card_that_is_absent(marked):
    with pytest.raises(MissingError, match="cuda"):
        YOLO(detector_weights=marked[0], device="cuda")
    with pytest.raises(MissingError, match="cuda"):  # before weights are fetched, too
        YOLO.uses(device="cuda")


def test_the_licence_is_told(marked, caplog):
    with caplog.at_level("INFO", "videopose"):
        YOLO(detector_weights=marked[0], device="cpu")
    assert "AGPL-3.0" in caplog.text


@pytest.mark.skipif(not WITHOUT, reason="Ultralytics is installed")
def test_without_ultralytics_the_install_line_is_told(capsys, clip, tmp_path):
    code, _, text = call(capsys, clip, "--detector", "yolo", "--out", tmp_path / "out")
    assert code == 4
    assert "pip install -r requirements-yolo.txt" in text


def test_nothing_heavy_is_imported_before_it_is_needed():
    modules = ", ".join(
        f"detectors.{name}" for name in ("yolo", "yolo_file", "yolo_network", "torch_parts", "torchvision")
    )
    code = f"import sys, {modules}\n"
    code += "print([name for name in ('torch', 'ultralytics', 'openvino') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_requirements_are_apart_and_agree():
    text = {path.name: path.read_text() for path in ROOT.glob("requirements*.txt")}
    pins = {name: dict(re.findall(r"^([\w-]+)==([\w.]+)", lines, re.M)) for name, lines in text.items()}
    apart = pins.pop("requirements-yolo.txt")
    assert "ultralytics-opencv-headless" in apart
    for name, others in pins.items():
        assert not any("ultralytics" in package for package in others), name
        assert "requirements-yolo" not in text[name]
        assert all(others.get(package, version) == version for package, version in apart.items()), name
