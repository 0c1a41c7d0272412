"""The detector `mmpose`: small networks of MMPose itself, with configurations and checkpoints as its users have them.

What needs MMPose is skipped where it is not installed; `.ci/optional` runs all of it.
"""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from checkpoints.card import card
from detectors import mmpose_package
from detectors.mmpose import MMPose
from detectors.mmpose_file import load
from detectors.mmpose_joints import match
from detectors.mmpose_model import NAMED, config_of
from pipeline.errors import InputError, MissingError, UsageError
from pipeline.results import ClipInfo
from pipeline.skeletons import skeleton

ROOT = Path(__file__).parent.parent
SIZE, CELLS = (96, 128), (24, 32)  # of the networks' pictures and heatmaps
HEATMAPS = "dict(type='HeatmapHead', in_channels=1280, out_channels={joints}, deconv_out_channels=(8, 8, 8), "
HEATMAPS += "deconv_kernel_sizes=(4, 4, 4), loss=dict(type='KeypointMSELoss'), decoder=codec)"
SIMCC = "dict(type='RTMCCHead', in_channels=1280, out_channels={joints}, input_size=(96, 128), "
SIMCC += "in_featuremap_size=(3, 4), simcc_split_ratio=2.0, final_layer_kernel_size=1, "
SIMCC += "gau_cfg=dict(hidden_dims=16, s=16, expansion_factor=2, "
SIMCC += "dropout_rate=0., drop_path=0., act_fn='SiLU', use_rel_bias=False, pos_enc=False), "
SIMCC += "loss=dict(type='KLDiscretLoss', use_target_weight=True), decoder=codec)"
CODECS = {
    "msra": "dict(type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=1)",
    "udp": "dict(type='UDPHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=1)",
    "simcc": "dict(type='SimCCLabel', input_size=(96, 128), sigma=(4.9, 5.66), simcc_split_ratio=2.0, normalize=False, "
    "use_dark=False)",
}
CONFIG = """
default_scope = 'mmpose'
codec = {codec}
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
                           bgr_to_rgb=True),
    backbone=dict(type='MobileNetV2', widen_factor=0.1, out_indices=(7,)),
    head={head},
    test_cfg=dict(flip_test=False))
train_dataloader = test_dataloader = dict(dataset=dict(
    type='CocoDataset', data_mode='topdown', metainfo=dict(from_file='configs/_base_/datasets/{data}.py'), pipeline=[
        dict(type='LoadImage'), dict(type='GetBBoxCenterScale', padding=1.25),
        dict(type='TopdownAffine', input_size=(96, 128), use_udp={udp}), dict(type='PackPoseInputs')]))
"""
BOXES = np.array([[10.5, 20, 60.25, 130], [70, 5, 170, 61], [-30, -20, 40, 90]])  # tall, wide, across the edge


def write_config(folder, kind="msra", data="coco", joints=17):
    head = (SIMCC if kind == "simcc" else HEATMAPS).format(joints=joints)
    path = folder / f"{kind}-{data}.py"
    path.write_text(CONFIG.format(codec=CODECS[kind], head=head, data=data, udp=kind == "udp"))
    return path


def write_weights(config, seed=0, folder=None):
    """Random weights, beside the configuration unless told, in the form of MMEngine's own checkpoints."""
    import torch
    from mmengine.logging import MessageHub

    torch.manual_seed(seed)
    network = mmpose_package.load().init_model(str(config), None, device="cpu")
    curves = MessageHub.get_instance("curves")
    curves.update_scalar("loss", 0.5)
    meta = {"epoch": 1, "dataset_meta": {"sigmas": np.ones(17, np.float32), "colours": np.zeros((2, 3), np.uint8)}}
    path = (folder or config.parent) / f"{config.stem}.pth"
    torch.save({"meta": meta, "state_dict": network.state_dict(), "message_hub": curves.state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes detectors whose person detector gives `BOXES` in every frame; once of each kind."""
    pytest.importorskip("mmpose")
    folder, known = tmp_path_factory.mktemp("mmpose"), {}

    def make(kind="msra", data="coco", joints=17):
        if (kind, data) not in known:
            config = write_config(folder, kind, data, joints)
            boxes = lambda frames: [(BOXES, np.array([0.9, 0.8, 0.7]))] * len(frames)  # noqa: E731
            known[kind, data] = MMPose(str(config), write_weights(config), "cpu", boxes)
        return known[kind, data]

    return make


def film(frames):
    height, width = frames[0].shape[:2]
    info = ClipInfo("clip.mp4", width, height, np.arange(len(frames)) / 30, 30.0)
    return SimpleNamespace(info=info, frames=lambda: iter(frames))


def pictures(count, size=(181, 133), seed=0):
    return list(np.random.default_rng(seed).integers(0, 255, (count, *size, 3), np.uint8))


def region(box):
    """Corner and extent (2,), (2,) px of the part of the picture that a box becomes: MMPose's rule, written anew."""
    centre, extent = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * 1.25
    ratio = SIZE[0] / SIZE[1]
    extent = np.array([max(extent[0], extent[1] * ratio), max(extent[1], extent[0] / ratio)])
    return centre - extent / 2, extent


def answers(kind, boxes, random):
    """What a head shall give for boxes, and where in the picture that is: (N,17,2) px, and the scores (N,17)."""
    marks = random.uniform(0.2, 1.0, (len(boxes), 17)).astype(np.float32)
    if kind == "simcc":
        bins = np.array(SIZE) * 2
        cells = random.integers(0, bins, (len(boxes), 17, 2))
        out = [np.zeros((len(boxes), 17, count), np.float32) for count in bins]
        for axis in (0, 1):
            np.put_along_axis(out[axis], cells[..., axis, None], marks[..., None], axis=-1)
        share = cells / bins
    else:
        cells = random.integers(7, np.array(CELLS) - 7, (len(boxes), 17, 2))  # the edge disturbs UDP's blur
        rows, columns = np.mgrid[: CELLS[1], : CELLS[0]]
        far = (rows - cells[..., 1, None, None]) ** 2 + (columns - cells[..., 0, None, None]) ** 2
        out = marks[..., None, None] * np.exp(-far / 2).astype(np.float32)
        share = cells / (np.array(CELLS) - (kind == "udp"))
    corners, extents = (np.stack(part)[:, None] for part in zip(*(region(box) for box in boxes), strict=True))
    return out, corners + share * extents, marks


@pytest.mark.parametrize("kind", list(CODECS))
def test_keypoints_lie_where_the_heads_say(made, monkeypatch, kind):
    import torch

    detector, random = made(kind), np.random.default_rng(1)
    boxes = np.concatenate([BOXES, BOXES + np.array([3, 7, 41, 2.5])])  # odd sizes, fractions, outside
    out, truth, marks = answers(kind, boxes, random)
    fed = tuple(map(torch.from_numpy, out)) if kind == "simcc" else torch.from_numpy(out)
    monkeypatch.setattr(detector._network._model.head, "forward", lambda features: fed)
    found = detector.poses(pictures(2), [boxes[:2], boxes[2:]])
    assert [len(people) for people in found] == [2, 4]
    points = np.concatenate([people.keypoints for people in found])
    np.testing.assert_allclose(points, truth, atol=1e-3)
    np.testing.assert_allclose(np.concatenate([people.scores for people in found]), marks, rtol=1e-5)
    assert np.isnan(found[0].box_scores).all() and found[0].keypoints.dtype == np.float32
    np.testing.assert_allclose(found[1].boxes, boxes[2:], rtol=1e-6)


@pytest.fixture
def blue(made, monkeypatch):
    """Makes a detector whose network sees nothing but blue: its heatmaps are the crops' blue channel, made smaller."""
    import torch

    def heatmaps(features):
        return torch.nn.functional.avg_pool2d(features[-1][:, 2:] + 3, 5, 4, 2).repeat(1, 17, 1, 1)

    def make(kind):
        model = made(kind)._network._model
        monkeypatch.setattr(model.backbone, "forward", lambda pictures: (pictures,))  # red, green, blue
        monkeypatch.setattr(model.head, "forward", heatmaps)
        return made(kind)

    return make


@pytest.mark.parametrize("kind", ["msra", "udp"])
def test_a_blue_spot_is_found_where_it_is_in_the_picture(blue, kind):
    """The other half of the way: what the network is shown is the part of the picture that it is said to be."""
    rows, columns = np.mgrid[:150, :181]
    for box, (x, y) in zip(BOXES, [(30, 71), (120, 40), (12, 33)], strict=True):
        picture = np.zeros((150, 181, 3), np.uint8)
        picture[..., 0] = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 50)
        (found,) = blue(kind).poses([picture], [box])
        cell = region(box)[1][0] / CELLS[0]
        assert np.linalg.norm(found.keypoints[0] - (x, y), axis=1).max() < 0.75 * cell


def test_scores_are_clipped_and_boxes_that_are_none_get_no_pose(made, monkeypatch):
    import torch

    detector = made()
    monkeypatch.setattr(detector._network._model.head, "forward", lambda features: torch.full((1, 17, 32, 24), 1.05))
    boxes = [[[20, 20, 60, 90], [50, 50, 50, 80], [np.nan, 0, 9, 9]], np.zeros((0, 4))]
    first, second = detector.poses(pictures(2), boxes)
    assert (first.scores[0] == 1).all() and (first.scores[1:] == 0).all()
    assert np.isfinite(first.keypoints[0]).all() and np.isnan(first.keypoints[1:]).all()
    assert len(second) == 0 and second.keypoints.shape == (0, 17, 2)


@pytest.mark.parametrize("kind", ["msra", "udp"])
def test_batches_give_what_mmpose_gives_one_by_one(blue, kind):
    apis = mmpose_package.load()
    detector, done = blue(kind), []
    frames = [cv2.GaussianBlur(picture, (0, 0), 9) for picture in pictures(11)]
    found = detector.detect(film(frames), done.append)
    assert len(found) == 11 and done[-1] == 11
    for frame, people in zip(frames, found, strict=True):
        one_by_one = [apis.inference_topdown(detector._network._model, frame, box[None])[0] for box in BOXES]
        points = np.concatenate([sample.pred_instances.keypoints for sample in one_by_one])
        np.testing.assert_allclose(people.keypoints, points, atol=0.01)
        np.testing.assert_allclose(people.box_scores, [0.9, 0.8, 0.7])
    again = detector.detect(film(frames))
    assert all(np.array_equal(a.keypoints, b.keypoints) for a, b in zip(found, again, strict=True))


@pytest.mark.parametrize(("data", "name", "joints"), [("halpe26", "halpe-26", 26), ("coco_wholebody", "coco-133", 133)])
def test_other_data_sets_give_their_skeletons(made, data, name, joints):
    detector = made("simcc", data, joints)
    assert detector.skeleton == name
    assert detector.poses(pictures(1), [BOXES])[0].keypoints.shape == (3, joints, 2)


def test_joints_are_matched_by_name():
    names = list(skeleton("coco-17").joints)
    assert match(names, Path("a.py")) == ("coco-17", list(range(17)))
    name, order = match(names[::-1], Path("a.py"))
    assert name == "coco-17" and order == list(range(16, -1, -1))
    halpe = [{"head_top": "head", "pelvis": "hip"}.get(joint, joint) for joint in skeleton("halpe-26").joints]
    assert match(halpe, Path("a.py")) == ("halpe-26", list(range(26)))
    with pytest.raises(InputError, match=r"a\.py"):
        match([f"paw{n}" for n in range(17)], Path("a.py"))


def test_the_command_line_runs_all_of_it(tmp_path):
    """A network of the user's own, its configuration and checkpoint, pictures in, joints and 3D out."""
    pytest.importorskip("mmpose")
    mmpose_package.load()
    import mmpose_colours as drawn
    import torch

    config, weights, film = tmp_path / "own.py", tmp_path / "own.pth", tmp_path / "film"
    text = CONFIG.replace("dict(type='MobileNetV2', widen_factor=0.1, out_indices=(7,))", "dict(type='Colours')")
    head = "dict(type='AsTheyAre', in_channels=17, out_channels=17, deconv_out_channels=None, "
    head += "loss=dict(type='KeypointMSELoss'), decoder=codec)"
    own = "custom_imports = dict(imports=['mmpose_colours'], allow_failed_imports=False)"
    config.write_text(own + text.format(codec=CODECS["msra"], head=head, data="coco", udp=False))
    random = torch.nn.Conv2d(17, 17, 1).state_dict()
    state = {f"head.final_layer.{name}": value for name, value in random.items()}
    torch.save({"state_dict": state | {"backbone.colours": torch.from_numpy(drawn.COLOURS)}}, weights)
    film.mkdir()
    for step in range(12):
        cv2.imwrite(str(film / f"{step:03d}.png"), drawn.picture(step))
    done = run(film, tmp_path, "--model", f"{config}+whole_image", "--detector-weights", weights)
    assert done.returncode == 0, done.stderr
    kept = np.load(tmp_path / "out" / "film" / "poses.npz", allow_pickle=False)
    assert list(kept["keypoint_names"]) == list(skeleton("coco-17").joints)
    truth = np.stack([drawn.joints(step) for step in range(12)])
    cell = 1.25 * 320 / CELLS[1]
    assert np.linalg.norm(kept["keypoints_px"][0] - truth, axis=-1).max() < 0.75 * cell
    assert np.isfinite(kept["joints_world_m"]).all()
    assert json.loads((tmp_path / "out" / "film" / "report.json").read_text())["quality"] is not None


def test_a_folder_brings_its_own_person_detector(tmp_path):
    """A YOLOX in ONNX beside the network: people are where they were drawn."""
    pytest.importorskip("mmpose")
    drawn = pytest.importorskip("onnx_networks")
    drawn.with_suppression(tmp_path / "people.onnx", "yolox")
    config, frames = write_config(tmp_path), []
    write_weights(config)
    for step in range(3):
        frames.append(np.zeros((241, 333, 3), np.uint8))
        for person, box in enumerate([(20 + 5 * step, 30, 80 + 5 * step, 200), (200, 50, 260, 230)]):
            drawn.draw(frames[-1], person, box)
    detector = MMPose(str(config), tmp_path, "cpu")
    found = detector.detect(film(frames))
    for step, people in enumerate(found):
        order = np.argsort(people.boxes[:, 0])
        wanted = [[20 + 5 * step, 30, 80 + 5 * step, 200], [200, 50, 260, 230]]
        np.testing.assert_allclose(people.boxes[order], wanted, atol=1.5)
        assert (people.box_scores > 0.5).all() and people.keypoints.shape == (2, 17, 2)
    again = detector.poses(frames, [people.boxes for people in found])
    np.testing.assert_allclose(again[1].keypoints, found[1].keypoints, atol=1e-3)


def run(clip, folder, *options):
    command = [sys.executable, ROOT / "videopose.py", clip, "--detector", "mmpose", "--device", "cpu", "--quiet"]
    command += ["--formats", "npz", "--out", folder / "out", *options]
    own = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT, env=own)


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


def test_weights_of_another_network_are_refused(made, tmp_path):
    weights = write_weights(write_config(tmp_path, "simcc"))
    with pytest.raises(InputError, match=r"simcc-coco\.pth is not of msra-coco\.py"):
        MMPose(f"{write_config(tmp_path)}+whole_image", weights, "cpu")


def test_a_configuration_that_cannot_be_used_is_named(made, tmp_path):
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


def test_an_unknown_configuration_gets_the_nearest(made, tmp_path):
    weights = write_weights(write_config(tmp_path))
    with pytest.raises(UsageError) as caught:
        MMPose("td-hm_hrnet-w32_8xb64-210e_coco-256x193+whole_image", weights, "cpu")
    assert caught.value.hint == "td-hm_hrnet-w32_8xb64-210e_coco-256x192"


@pytest.mark.parametrize("name", ["human", "body26", "wholebody", "vitpose-s"])
def test_named_models_are_built(made, tmp_path, name):
    """With random weights: the true ones cannot be had everywhere."""
    skeletons = {"human": "coco-17", "body26": "halpe-26", "wholebody": "coco-133", "vitpose-s": "coco-17"}
    made()
    weights = write_weights(config_of(name), folder=tmp_path)
    detector = MMPose(f"{name}+whole_image", weights, "cpu")
    assert detector.skeleton == skeletons[name]
    (found,) = detector.poses(pictures(1), [BOXES[:1]])
    assert np.isfinite(found.keypoints).all() and found.keypoints.shape[1] == len(skeleton(detector.skeleton))


@pytest.mark.parametrize("name", list(NAMED))
def test_names_lead_to_the_weights_of_their_configurations(made, name):
    """As MMPose's own index of its models has them."""
    made()
    config, of = config_of(name), card(NAMED[name][1])
    index = "\n".join(file.read_text() for file in config.parent.glob("*.yml"))
    told = re.search(rf"Name: {re.escape(config.stem)}\n(?:(?!- Config:).*\n)*?  Weights: (\S+)", index)
    assert told[1] == of.sources[0]["url"] and told[1].endswith(f"/{of.file}")


def test_what_a_missing_package_would_do_is_said_when_it_is_used():
    with pytest.raises(MissingError, match=r"mmdet\.utils\.reduce_mean"):
        mmpose_package._Absent("mmdet.utils").reduce_mean(1)


def test_weights_that_are_not_here_are_said_to_be_absent(made, monkeypatch, tmp_path):
    made()
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path))
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1")
    for model, word in (("human+whole_image", "rtmpose-m"), ("human", "yolox-m-person")):
        with pytest.raises(MissingError, match=word) as caught:
            MMPose(model, device="cpu")
        assert str(tmp_path) in caught.value.hint


def test_what_takes_the_place_of_missing_packages_is_gone_after_the_import(made):
    made()
    assert not {"mmdet", "xtcocotools", "mmcv._ext"} & set(sys.modules)


def test_the_graphics_card_that_is_not_there(made, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a graphics card")
    config = write_config(tmp_path)
    with pytest.raises(MissingError, match="cuda"):
        MMPose(str(config), write_weights(config), "cuda")
