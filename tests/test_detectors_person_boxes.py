"""Person boxes from YOLOX and RTMDet in the formats of their exports, and from RTMO with its joints."""

import numpy as np
import onnx_networks as networks
import pytest

from detectors.person_boxes import PersonBoxes, grid, letterbox
from detectors.rtmo import RTMO
from pipeline.errors import InputError, MissingError, UsageError

EXPORTS = {
    "yolox without suppression": lambda path: networks.yolox_grid(path, (416, 416)),
    "yolox with suppression": lambda path: networks.with_suppression(path, "yolox", (416, 416)),
    "rtmdet": lambda path: networks.with_suppression(path, "rtmdet", (416, 416)),
}
SIZES = [(416, 416), (640, 480), (517, 389), (201, 333), (1280, 721)]


@pytest.fixture(scope="module", params=EXPORTS)
def finder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("boxes") / "network.onnx"
    return PersonBoxes(EXPORTS[request.param](path), "cpu")


def pair(width, height):
    """A picture of the first and the last person, and their boxes."""
    frame = np.zeros((height, width, 3), np.uint8)
    boxes = np.array([(width // 8, height // 6, width // 3, height - 30), (width // 2, 11, width - 9, height // 2)])
    networks.draw(frame, 0, boxes[0])
    networks.draw(frame, 2, boxes[1])
    return frame, boxes


def letterboxed(boxes, width, height, side=416):
    """The first and last pixels of a letterboxed picture that show a box, told in pixels of the picture: the truth."""
    scale, share = min(side / width, side / height), 1 - (1 - 0.5**0.5 * networks.REACH / 100)
    least = np.ceil(scale * (boxes[:, :2] - share) - 1e-9)
    most = np.floor(scale * (boxes[:, 2:] + share) + 1e-9)
    return np.concatenate([least, most], axis=1) / scale


@pytest.mark.parametrize("size", SIZES)
def test_boxes_are_exact_in_pictures_of_any_size(finder, size):
    frame, boxes = pair(*size)
    (found,) = finder.look([frame])
    np.testing.assert_allclose(found.boxes, letterboxed(boxes, *size), atol=1e-3)
    np.testing.assert_allclose(found.scores, [0.9, 0.7], atol=1e-6)


def test_frames_without_anybody_between_others(finder):
    frame, _ = pair(416, 416)
    found = finder.look([np.zeros_like(frame), frame, frame * 0 + 114, frame])
    assert [len(some) for some in found] == [0, 2, 0, 2]


def test_a_threshold_leaves_the_unsure_away(tmp_path):
    path = networks.yolox_grid(tmp_path / "boxes.onnx", (416, 416))
    frame, _ = pair(416, 416)
    for threshold, count in ((0.3, 2), (0.8, 1), (0.95, 0)):
        assert len(PersonBoxes(path, "cpu", threshold).look([frame])[0]) == count


def test_the_double_that_the_network_gives_is_suppressed(tmp_path):
    path = networks.yolox_grid(tmp_path / "boxes.onnx", (416, 416))
    frame, _ = pair(416, 416)
    assert len(PersonBoxes(path, "cpu", overlap=0.45).look([frame])[0]) == 2
    assert len(PersonBoxes(path, "cpu", overlap=0.99).look([frame])[0]) == 4


def test_the_grid_is_ordered_by_stride_row_and_column():
    cells = grid((416, 320))
    assert len(cells) == 52 * 40 + 26 * 20 + 13 * 10
    assert cells[[53, 52 * 40, -1]].tolist() == [[1, 1, 8], [0, 0, 16], [12, 9, 32]]


def test_letterboxing_keeps_places_and_fills_with_grey():
    frame = np.zeros((100, 300, 3), np.uint8)
    frame[40, 200] = 255
    out = letterbox(frame, (600, 600))
    assert np.unravel_index(out[..., 0][:200].argmax(), (200, 600)) == (80, 400)
    assert (out[201:] == 114).all() and out.shape == (600, 600, 3)


# RTMO


@pytest.fixture(scope="module")
def rtmo(tmp_path_factory):
    return RTMO(detector_weights=networks.rtmo(tmp_path_factory.mktemp("rtmo") / "rtmo.onnx", (416, 416)), device="cpu")


def dotted(width, height, seed=0):
    """`pair` with joints at whole pixels of the letterboxed picture, some of them missing, and where they are."""
    frame, boxes = pair(width, height)
    scale, random, truth = min(416 / width, 416 / height), np.random.default_rng(seed), []
    radius = max(4.0, 4.5 / scale)
    for box in boxes:
        spans = [np.linspace(box[k] + 2 * radius, box[k + 2] - 2 * radius, count) for k, count in ((0, 3), (1, 6))]
        places = random.permutation(np.stack(np.meshgrid(*spans), -1).reshape(-1, 2))[:17]
        places = np.round(places * scale) / scale
        places[random.integers(17)] = np.nan
        truth.append(places)
    for who, box, joints in zip((0, 2), boxes, truth, strict=True):
        networks.draw(frame, who, box, np.nan_to_num(joints, nan=-1e4), radius)
    return frame, np.array(truth)


@pytest.mark.parametrize("size", SIZES)
def test_joints_of_one_stage_are_where_they_were_drawn(rtmo, size):
    frame, truth = dotted(*size)
    found, nobody = rtmo.look([frame, np.zeros_like(frame)])
    assert len(nobody) == 0 and nobody.keypoints.shape == (0, 17, 2)
    np.testing.assert_allclose(found.keypoints, truth, atol=1e-3)
    np.testing.assert_allclose(found.scores, np.where(np.isnan(truth[..., 0]), 0, 0.6), atol=1e-6)
    np.testing.assert_allclose(found.box_scores, [0.9, 0.7], atol=1e-6)
    assert rtmo.skeleton == found.skeleton == "coco-17"


def test_models_of_one_stage(tmp_path):
    assert RTMO.uses() == ("rtmo-m",) and RTMO.uses(model="l") == ("rtmo-l",)
    with pytest.raises(UsageError, match="known: s, m, l"):
        RTMO.uses(model="x")
    with pytest.raises(MissingError, match="no such file"):
        RTMO.uses(detector_weights=tmp_path / "none.onnx")


def test_another_network_in_the_place_of_the_one_stage(tmp_path):
    boxes = networks.with_suppression(tmp_path / "boxes.onnx", "yolox", (320, 320))
    with pytest.raises(InputError, match=r"expected dets \(1,M,5\) and keypoints.*it gives dets"):
        RTMO(detector_weights=boxes, device="cpu")
