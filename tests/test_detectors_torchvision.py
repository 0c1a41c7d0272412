"""The detector `torchvision`: the package's own results, in the picture's pixels, with scores in [0,1]."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from boards_seen import film
from clips import turned
from commandline import call

from detectors.torchvision import BATCH, KeypointRCNN, _network
from pipeline.clip import open_clip
from pipeline.errors import InputError, MissingError
from pipeline.results import ClipInfo
from pipeline.runner import run

SMALL = {
    "min_size": 96,
    "max_size": 160,
    "rpn_post_nms_top_n_test": 20,
    "box_detections_per_img": 5,
}  # takes no minutes


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A state dict as torchvision writes it, random, for which everything is a person."""
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    torch.manual_seed(0)
    network = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    state = network.state_dict()
    state["roi_heads.box_predictor.cls_score.weight"] /= 10
    state["roi_heads.box_predictor.cls_score.bias"] += torch.tensor([-2.0, 2.0])
    state["roi_heads.keypoint_predictor.kps_score_lowres.weight"] *= 10
    path = tmp_path_factory.mktemp("weights") / "own.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def detector(weights):
    made = KeypointRCNN(detector_weights=weights, device="cpu", threshold=0.5)
    network = made._network
    network.transform.min_size, network.transform.max_size = (SMALL["min_size"],), SMALL["max_size"]
    network.rpn._post_nms_top_n["testing"] = SMALL["rpn_post_nms_top_n_test"]
    network.roi_heads.detections_per_img = SMALL["box_detections_per_img"]
    return made


def frames(size, count=3):
    """(H,W,3) uint8 of coloured noise, blue unlike red."""
    random = np.random.default_rng(sum(size))
    return [(random.uniform(0, (60, 130, 250), (size[1], size[0], 3))).astype(np.uint8) for _ in range(count)]


@pytest.fixture(scope="module")
def theirs(weights):
    """The package's own network, called as its documentation says: frame by frame, RGB in [0,1]."""
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    network = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, **SMALL)
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval()

    def look(frame):
        picture = torch.tensor(frame[..., ::-1].copy()).permute(2, 0, 1) / 255
        with torch.inference_mode():
            return {name: part.numpy() for name, part in network([picture])[0].items()}

    return look


@pytest.mark.parametrize("size", [(160, 96), (101, 77), (63, 131)])
def test_people_are_those_of_torchvision(detector, theirs, size):
    shown = frames(size, 2)
    for people, one in zip(detector.look(shown), map(theirs, shown), strict=True):
        sure = one["scores"] > 0.5
        assert len(people) == sure.sum() > 0
        # Two at a time sum in another order than one; what is exact is told by the heatmaps below.
        assert people.keypoints == pytest.approx(one["keypoints"][sure][..., :2], abs=0.02)
        assert people.boxes == pytest.approx(one["boxes"][sure], abs=0.02)
        assert people.box_scores == pytest.approx(one["scores"][sure], abs=1e-4)
        logits = one["keypoints_scores"][sure]
        assert logits.std() > 0.1  # else every score would be alike
        assert people.scores == pytest.approx(1 / (1 + np.exp(-(logits - 2) / 2)), abs=1e-4)
        assert people.skeleton == "coco-17"


def heatmaps(places, side=56):
    """(P,17,side,side) logits with a peak of 12 in the middle of those cells (P,17,2), steep on all sides."""
    rows, columns = np.indices((side, side))
    away = np.abs(columns - places[..., 0, None, None]) + np.abs(rows - places[..., 1, None, None])
    return torch.tensor(12.0 - 3 * away, dtype=torch.float32)


def test_keypoints_are_where_the_heatmaps_peak(detector, monkeypatch):
    """Through torchvision's own way back from heatmaps, in a frame that it scales and pads."""
    size = (101, 77)
    places = np.random.default_rng(0).integers(8, 48, (1, 17, 2))
    box = torch.tensor([[10.0, 12, 66, 68]])  # px of the scaled frame; as many as a heatmap has cells
    heads = detector._network.roi_heads
    monkeypatch.setattr(heads.keypoint_predictor, "forward", lambda features: heatmaps(places))
    found = [box], [torch.tensor([0.9])], [torch.tensor([1])]
    monkeypatch.setattr(heads, "postprocess_detections", lambda *arguments: found)
    (frame,) = frames(size, 1)
    (people,) = detector.look([frame])
    height, width = detector._network.transform([detector._given(frame)])[0].image_sizes[0]
    assert (height, width) in ((95, 125), (96, 125))
    scale = np.array(size) / [width, height]
    assert people.boxes == pytest.approx(box.numpy().reshape(2, 2).dot(np.diag(scale)).reshape(1, 4), abs=1e-3)
    assert people.keypoints == pytest.approx((places + np.array([10.5, 12.5])) * scale, abs=1e-3)
    assert people.scores == pytest.approx(np.full((1, 17), 1 / (1 + np.exp(-5.0))), abs=1e-3)


def test_what_is_no_person_is_left_out(detector, monkeypatch):
    found = {"labels": np.array([2, 1]), "boxes": np.eye(2, 4, dtype=np.float32), "scores": np.array([0.9, 0.8])}
    found |= {"keypoints": np.ones((2, 17, 3)) * [[[1]], [[2]]], "keypoints_scores": np.full((2, 17), 2.0)}
    answer = [{name: torch.tensor(part) for name, part in found.items()}]
    monkeypatch.setattr(detector, "_network", lambda pictures: answer)
    (people,) = detector.look(frames((64, 48), 1))
    assert len(people) == 1
    assert (people.keypoints == 2).all()
    assert people.scores == pytest.approx(np.full((1, 17), 0.5))
    found = {name: part[:0] for name, part in answer[0].items()}
    answer[0] = found
    assert detector.look(frames((64, 48), 1))[0].keypoints.shape == (0, 17, 2)


def test_frames_keep_their_order_whatever_the_batch(detector, monkeypatch):
    monkeypatch.setitem(BATCH, "cpu", 2)
    shown = frames((96, 64), 3)
    clip = SimpleNamespace(info=ClipInfo("a.mp4", 96, 64, np.arange(3) / 30, 30.0), frames=lambda: iter(shown))
    told = []
    found = detector.detect(clip, told.append)
    assert told == [2, 3]
    for people, alone in zip(found, (detector.look([frame])[0] for frame in shown), strict=True):
        assert people.keypoints == pytest.approx(alone.keypoints, abs=0.02)


def test_films_of_turned_cameras(detector, theirs, tmp_path):
    path = turned(film(tmp_path / "a.mp4", frames((96, 64), 2)), 90)
    with open_clip(path) as clip:
        assert (clip.info.width, clip.info.height) == (64, 96)
        upright = list(clip.frames())
        found = detector.detect(clip)
    for people, frame in zip(found, upright, strict=True):
        one = theirs(frame)
        assert people.keypoints == pytest.approx(one["keypoints"][one["scores"] > 0.5][..., :2], abs=0.02)


def test_the_released_file_is_run_as_it_was_trained(weights, tmp_path):
    from torchvision.ops import FrozenBatchNorm2d

    released = tmp_path / "keypointrcnn_resnet50_fpn_coco-fc266e95.pth"
    released.symlink_to(weights)
    for path, eps in ((released, 0.0), (weights, 1e-5)):
        assert {part.eps for part in _network(path, 0.5).modules() if isinstance(part, FrozenBatchNorm2d)} == {eps}


@pytest.mark.slow
def test_a_whole_run(weights, tmp_path):
    path = film(tmp_path / "a.mp4", frames((96, 64), 3))
    scene = run(path, out=tmp_path / "out", detector="torchvision", detector_weights=weights, formats=("npz",))
    assert len(scene.clip.times) == 3
    assert (tmp_path / "out" / "a" / "poses.npz").is_file()


# ---- bad files


class Runs:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.system, (f"touch {self.folder / 'ran'}",)


def other_network():
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    return keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_keypoints=21).state_dict()


BAD = {
    "asks for posix.system": lambda at: torch.save({"a": Runs(at.parent)}, at),
    "more than weights": lambda at: torch.save(torch.nn.ReLU(), at),
    "size mismatch": lambda at: torch.save(other_network(), at),
    "Missing key": lambda at: torch.save({"conv1.weight": torch.zeros(1)}, at),
    "something else than tensors": lambda at: torch.save({"epoch": 3}, at),
    "the file is empty": lambda at: at.touch(),
    "it begins with": lambda at: at.write_text("<html>not found</html>"),
    "the file was cut short": lambda at: at.write_bytes(b"PK\3\4" + bytes(99)),
}


@pytest.mark.parametrize("says", BAD)
def test_files_that_are_no_weights(tmp_path, says):
    path = tmp_path / "bad.pth"
    BAD[says](path)
    with pytest.raises(InputError) as caught:
        KeypointRCNN(detector_weights=path, device="cpu")
    assert says in f"{caught.value.what} {caught.value.why}"
    assert not (tmp_path / "ran").exists()


def test_no_file_at_all(capsys, clip, tmp_path):
    given = ("--detector", "torchvision", "--detector-weights", tmp_path / "none.pth")
    code, _, text = call(capsys, clip, *given, "--out", tmp_path / "out")
    assert code == 4
    assert f"no weights at {tmp_path / 'none.pth'}" in text


def test_files_of_before_pytorch_1_6_are_opened(weights, tmp_path):
    old = tmp_path / "old.pth"
    torch.save(torch.load(weights, weights_only=True), old, _use_new_zipfile_serialization=False)
    assert old.read_bytes()[:1] == b"\x80"
    assert KeypointRCNN(detector_weights=old, device="cpu").device.startswith("PyTorch CPU")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a graphics card")
def test_a_graphics_card_that_is_absent(weights):
    with pytest.raises(MissingError, match="cuda"):
        KeypointRCNN(detector_weights=weights, device="cuda")
    with pytest.raises(MissingError, match="cuda"):  # before weights are fetched, too
        KeypointRCNN.uses(device="cuda")


def test_the_card_or_the_file(weights):
    assert KeypointRCNN.uses() == ("keypointrcnn",)
    assert KeypointRCNN.uses(detector_weights=weights, device="cpu") == (weights,)
