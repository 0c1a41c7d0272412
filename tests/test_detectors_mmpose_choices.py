"""The detector `mmpose`: what its choices lead to, and what is said of files that are wrong or not there."""

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from mmpose_networks import CODECS, CONFIG, HEATMAPS, pictures, run, write_config, write_weights

from checkpoints.card import card
from detectors import mmpose_package
from detectors.mmpose import MMPose
from detectors.mmpose_file import load
from detectors.mmpose_joints import match
from detectors.mmpose_model import NAMED, config_of
from pipeline.errors import InputError, MissingError, UsageError
from pipeline.skeletons import skeleton


@pytest.fixture
def installed():
    pytest.importorskip("mmpose")
    mmpose_package.load()


def test_joints_are_matched_by_name():
    names = list(skeleton("coco-17").joints)
    assert match(names, Path("a.py")) == ("coco-17", list(range(17)))
    name, order = match(names[::-1], Path("a.py"))
    assert name == "coco-17" and order == list(range(16, -1, -1))
    halpe = [{"head_top": "head", "pelvis": "hip"}.get(joint, joint) for joint in skeleton("halpe-26").joints]
    assert match(halpe, Path("a.py")) == ("halpe-26", list(range(26)))
    with pytest.raises(InputError, match=r"a\.py"):
        match([f"paw{n}" for n in range(17)], Path("a.py"))


def test_where_it_is_not_installed_the_install_lines_are_said(clip, tmp_path):
    if find_spec("mmpose"):
        pytest.skip("MMPose is installed here")
    done = run(clip, tmp_path)
    assert done.returncode == 4
    assert "requirements-mmpose.txt" in done.stderr and "--no-deps" in done.stderr


def test_what_a_choice_leads_to(tmp_path):
    config, weights = tmp_path / "net.py", tmp_path / "net.pth"
    config.touch(), weights.touch()
    assert MMPose.uses() == MMPose.uses(model="human") == ("mmpose-human", "yolox-m-person")
    assert MMPose.uses(model="vitpose-l+whole_image") == ("vitpose-l",)
    assert MMPose.uses(model=str(config), detector_weights=weights) == (weights, "yolox-m-person", config)
    assert MMPose.uses(model="td-hm_hrnet", detector_weights=weights) == (weights, "yolox-m-person")
    (tmp_path / "people.onnx").touch()
    both = (weights, tmp_path / "people.onnx")
    assert MMPose.uses(model="human", detector_weights=tmp_path) == both
    (tmp_path / "another.onnx").touch()
    with pytest.raises(InputError, match="cannot use"):
        MMPose.uses(detector_weights=tmp_path)


@pytest.mark.parametrize(
    ("model", "weights", "error", "hint"),
    [
        ("humann", None, UsageError, "human"),
        ("td-hm_hrnet", None, UsageError, "--detector-weights"),
        ("human", "gone.pth", MissingError, ".pth"),
        ("gone.py", "net.pth", MissingError, "MMPose"),
    ],
)
def test_what_is_not_there_is_said(tmp_path, model, weights, error, hint):
    (tmp_path / "net.pth").touch()
    with pytest.raises(error) as caught:
        MMPose.uses(model=model, detector_weights=weights and tmp_path / weights)
    assert hint in caught.value.hint


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_checkpoint_that_asks_for_code_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    trap, path = tmp_path / "trap", tmp_path / "evil.pth"
    for way in (True, False):
        torch.save({"state_dict": {"a": torch.ones(1)}, "meta": _Evil(trap)}, path, _use_new_zipfile_serialization=way)
        with pytest.raises(InputError, match="refused") as caught:
            load(path)
        assert "pathlib" in caught.value.why and not trap.exists()


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "nothing", "numbers"])
def test_a_file_that_is_no_checkpoint_is_said_to_be_none(tmp_path, damage):
    torch = pytest.importorskip("torch")
    path = tmp_path / "net.pth"
    torch.save({"state_dict": {"a": torch.ones(1000)}}, path)
    whole = path.read_bytes()
    if damage in ("nothing", "numbers"):
        torch.save({"state_dict": {} if damage == "nothing" else {"a": 1.0}}, path)
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"version https://git-lfs", "empty": b""}[damage])
    with pytest.raises(InputError, match=r"net\.pth"):
        load(path)


def test_weights_of_another_network_are_refused(installed, tmp_path):
    weights = write_weights(write_config(tmp_path, "simcc"))
    with pytest.raises(InputError, match=r"simcc-coco\.pth is not of msra-coco\.py"):
        MMPose(f"{write_config(tmp_path)}+whole_image", weights, "cpu")


def test_a_configuration_that_cannot_be_used_is_named(installed, tmp_path):
    weights = write_weights(write_config(tmp_path))
    texts = {
        "builds": CONFIG.replace("MobileNetV2", "MobileNetV9"),
        "people": CONFIG.replace("TopdownPoseEstimator", "BottomupPoseEstimator"),
        "joints": CONFIG,
        "program": "1 / 0",
    }
    for name, text in texts.items():
        data = "mpii" if name == "joints" else "coco"
        path = tmp_path / f"{name}.py"
        head = HEATMAPS.format(joints=17)
        path.write_text(text.format(codec=CODECS["msra"], head=head, data=data, udp=False) if "{" in text else text)
        with pytest.raises(InputError, match=name):
            MMPose(f"{path}+whole_image", weights, "cpu")


def test_an_unknown_configuration_gets_the_nearest(installed, tmp_path):
    weights = write_weights(write_config(tmp_path))
    with pytest.raises(UsageError) as caught:
        MMPose("td-hm_hrnet-w32_8xb64-210e_coco-256x193+whole_image", weights, "cpu")
    assert caught.value.hint == "td-hm_hrnet-w32_8xb64-210e_coco-256x192"


@pytest.mark.parametrize("name", ["human", "body26", "wholebody", "vitpose-s"])
def test_named_models_are_built(installed, tmp_path, name):
    """With random weights: the true ones cannot be had everywhere."""
    skeletons = {"human": "coco-17", "body26": "halpe-26", "wholebody": "coco-133", "vitpose-s": "coco-17"}
    weights = write_weights(config_of(name), folder=tmp_path)
    detector = MMPose(f"{name}+whole_image", weights, "cpu")
    assert detector.skeleton == skeletons[name]
    (found,) = detector.poses(pictures(1), [[[10.5, 20, 60.25, 130]]])
    assert np.isfinite(found.keypoints).all() and found.keypoints.shape[1] == len(skeleton(detector.skeleton))


@pytest.mark.parametrize("name", list(NAMED))
def test_names_lead_to_the_weights_of_their_configurations(installed, name):
    """As MMPose's own index of its models has them."""
    config, of = config_of(name), card(NAMED[name][1])
    index = "\n".join(file.read_text() for file in config.parent.glob("*.yml"))
    told = re.search(rf"Name: {re.escape(config.stem)}\n(?:(?!- Config:).*\n)*?  Weights: (\S+)", index)
    assert told[1] == of.sources[0]["url"] and told[1].endswith(f"/{of.file}")


def test_what_a_missing_package_would_do_is_said_when_it_is_used():
    with pytest.raises(MissingError, match=r"mmdet\.utils\.reduce_mean"):
        mmpose_package._Absent("mmdet.utils").reduce_mean(1)


def test_weights_that_are_not_here_are_said_to_be_absent(installed, monkeypatch, tmp_path):
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path))
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1")
    for model, word in (("human+whole_image", "rtmpose-m"), ("human", "yolox-m-person")):
        with pytest.raises(MissingError, match=word) as caught:
            MMPose(model, device="cpu")
        assert str(tmp_path) in caught.value.hint


def test_what_takes_the_place_of_missing_packages_is_gone_after_the_import(installed):
    assert not {"mmdet", "xtcocotools", "mmcv._ext"} & set(sys.modules)


def test_the_graphics_card_that_is_not_there(installed, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a graphics card")
    config = write_config(tmp_path)
    with pytest.raises(MissingError, match="cuda"):
        MMPose(str(config), write_weights(config), "cuda")
    with pytest.raises(MissingError, match="cuda"):  # before weights are fetched, too
        MMPose.uses(device="cuda")
