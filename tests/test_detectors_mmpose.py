"""The detector `mmpose`: small networks of MMPose itself, with configurations and checkpoints as its users have them.

What needs MMPose is skipped where it is not installed; `.ci/optional` runs all of it.
"""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmpose_networks import CELLS, CODECS, CONFIG, SIZE, pictures, run, write_config, write_weights

from detectors import mmpose_package
from detectors.mmpose import MMPose
from pipeline.results import ClipInfo
from pipeline.skeletons import skeleton

BOXES = np.array([[10.5, 20, 60.25, 130], [70, 5, 170, 61], [-30, -20, 40, 90]])  # tall, wide, across the edge


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


def test_a_pose_that_mmpose_cannot_decode_costs_no_other_one(blue, monkeypatch, caplog):
    """Its refinement of UDP's heatmaps inverts matrices, of which one that is singular ends all of a batch."""
    detector, frames = blue("udp"), [cv2.GaussianBlur(picture, (0, 0), 9) for picture in pictures(2)]
    whole, step = detector.poses(frames, [BOXES, BOXES]), detector._network._model.test_step

    def singular(batch):
        if any(sample.gt_instances.bboxes[0, 0] == BOXES[1, 0] for sample in batch["data_samples"]):
            raise np.linalg.LinAlgError("Singular matrix")
        return step(batch)

    monkeypatch.setattr(detector._network._model, "test_step", singular)
    for some, all_of_them in zip(detector.poses(frames, [BOXES, BOXES]), whole, strict=True):
        assert np.isnan(some.keypoints[1]).all() and (some.scores[1] == 0).all()
        np.testing.assert_allclose(some.keypoints[[0, 2]], all_of_them.keypoints[[0, 2]], atol=0.01)
    assert "could not decode" in caplog.text


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
