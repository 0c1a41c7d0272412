"""RTMPose: crops, SimCC decoding and batching against known truth, from ONNX files in the real format."""

from types import SimpleNamespace

import numpy as np
import onnx_networks as networks
import pytest

from checkpoints.card import card, names
from detectors import simcc
from detectors.key_frames import boxes_of
from detectors.person_boxes import Boxes
from detectors.rtmpose import MODELS, SKELETONS, RTMPose
from pipeline.errors import InputError, MissingError, UsageError

SIZE = np.array([192, 256])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pose network and a box network."""
    path = tmp_path_factory.mktemp("networks")
    networks.rtmpose(path / "pose.onnx")
    networks.with_suppression(path / "boxes.onnx", "yolox", (320, 320))
    return path


@pytest.fixture(scope="module")
def detector(folder):
    return RTMPose(detector_weights=folder, device="cpu")


def film(frames, fps=30.0):
    """A clip of these frames."""
    height, width = frames[0].shape[:2]
    times = np.arange(len(frames)) / fps
    info = SimpleNamespace(width=width, height=height, times=times, fps=fps)
    return SimpleNamespace(info=info, frames=lambda: iter(frames))


def shown(box):
    """Centre, and picture pixels for a pixel of the crop: computed anew, from the definition of the crop."""
    x1, y1, x2, y2 = map(float, box)
    wide, high = 1.25 * (x2 - x1), 1.25 * (y2 - y1)
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2]), max(wide / 192, high / 256)


def lattice(box, seed=0, joints=26):
    """Joints (J,2) px of the picture that lie at half pixels of the crop of a box."""
    places = np.stack(np.meshgrid(np.linspace(16, 176, 5), np.linspace(16, 240, 6)), -1).reshape(-1, 2)[:joints]
    random = np.random.default_rng(seed)
    places = random.permutation(places) + random.integers(-8, 9, (joints, 2)) / 2
    places = np.round(2 * places) / 2
    centre, unit = shown(box)
    return centre + (places - SIZE / 2) * unit, unit


def person(frame, who, box, seed=0):
    """Draw one with joints on the lattice of the box's crop; where they are, NaN where that is not in the picture."""
    joints, unit = lattice(box, seed)
    radius = max(3.0, 4.5 * unit)
    size = np.array(frame.shape[1::-1])
    held = ((joints > radius + 2) & (joints < size - radius - 3)).all(1)
    body = np.round(box).astype(int)
    networks.draw(frame, who, body, np.where(held[:, None], joints, -1e4), radius)
    return np.where(held[:, None], joints, np.nan)


BOXES = {
    "as large as the crop": ((640, 480), (200, 100, 353.6, 304.8)),
    "odd picture, fractions": ((517, 389), (120.25, 60.7, 301.4, 333.1)),
    "wide": ((801, 601), (100, 250, 700, 420)),
    "tall and thin": ((331, 1001), (140, 90, 190, 910)),
    "enlarged": ((320, 240), (130.5, 80.25, 190.5, 170.75)),
    "beyond the left and top": ((640, 480), (-90, -60, 200, 330)),
    "beyond the right and bottom": ((640, 480), (450, 200, 760, 560)),
    "larger than the picture": ((320, 240), (-100, -100, 420, 340)),
}


@pytest.mark.parametrize("case", BOXES)
def test_joints_are_where_they_were_drawn(detector, case):
    (width, height), box = BOXES[case]
    frame = np.zeros((height, width, 3), np.uint8)
    truth = person(frame, 0, box)
    found = detector.poses([frame], [np.array([box])])[0]
    assert np.isfinite(truth).all(1).sum() >= 4
    np.testing.assert_array_equal(np.isnan(found.keypoints[0]), np.isnan(truth))
    np.testing.assert_allclose(found.keypoints[0], truth, atol=1e-3)
    np.testing.assert_allclose(found.boxes, [box], atol=1e-3)
    np.testing.assert_array_equal(found.scores[0] > 0, np.isfinite(truth).all(1))


def test_crops_of_all_people_and_frames_go_together_and_come_back_in_order(detector):
    random, frames, boxes, truths = np.random.default_rng(1), [], [], []
    for number in range(9):  # 0, 1 or 2 people: more crops than a batch holds
        frame, here, joints = np.zeros((300, 520, 3), np.uint8), [], []
        for who in range(number % 3):
            x, y = 40 + 260 * who + random.uniform(0, 20), random.uniform(20, 60)
            here.append((x, y, x + 120, y + 200))
            joints.append(person(frame, who, here[-1], seed=10 * number + who))
        frames.append(frame), boxes.append(np.array(here).reshape(-1, 4)), truths.append(joints)
    found = detector.poses(frames, boxes)
    assert [len(some) for some in found] == [len(some) for some in boxes]
    for some, joints in zip(found, truths, strict=True):
        for points, truth in zip(some.keypoints, joints, strict=True):
            np.testing.assert_allclose(points, truth, atol=1e-3)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_network_of_fixed_batch_size_gives_the_same(folder, detector, tmp_path, batch):
    networks.rtmpose(tmp_path / "pose.onnx", batch=batch)
    (tmp_path / "boxes.onnx").write_bytes((folder / "boxes.onnx").read_bytes())
    fixed = RTMPose(detector_weights=tmp_path, device="cpu")
    frames, boxes = [], []
    for seed in range(5):
        frames.append(np.zeros((300, 300, 3), np.uint8))
        boxes.append(np.array([(60, 40, 180, 260)]))
        person(frames[-1], 0, boxes[-1][0], seed)
    for one, other in zip(fixed.poses(frames, boxes), detector.poses(frames, boxes), strict=True):
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


def test_a_box_without_extent_or_number_is_nobody_seen(detector):
    frame = np.zeros((100, 100, 3), np.uint8)
    boxes = np.array([[10, 10, 10, 10], [np.nan, 0, 50, 50], [60, 60, 20, 20], [0, 0, np.inf, 9]])
    found = detector.poses([frame], [boxes])[0]
    assert len(found) == 4 and np.isnan(found.keypoints).all() and (found.scores == 0).all()
    assert detector.poses([], []) == [] and len(detector.poses([frame], [np.zeros((0, 4))])[0]) == 0


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_channels_reach_the_network_in_the_order_that_is_chosen(folder, tmp_path, channels):
    networks.rtmpose(tmp_path / "pose.onnx", channels=channels)
    (tmp_path / "boxes.onnx").write_bytes((folder / "boxes.onnx").read_bytes())
    frame = np.zeros((300, 300, 3), np.uint8)
    box = (60, 40, 180, 260)
    truth = person(frame, 0, box)
    for given in ("rgb", "bgr"):
        found = RTMPose(detector_weights=tmp_path, device="cpu", channels=given).poses([frame], [np.array([box])])[0]
        right = np.allclose(found.keypoints[0], truth, atol=1e-3)
        assert right == (given == channels)


def test_normalisation_is_that_of_training():
    pixel = np.array([[[[10, 20, 30]]]], np.uint8)  # BGR
    rgb, bgr = (simcc.normalised(pixel, order)[0, :, 0, 0] for order in ("rgb", "bgr"))
    np.testing.assert_allclose(rgb, [(30 - 123.675) / 58.395, (20 - 116.28) / 57.12, (10 - 103.53) / 57.375], rtol=1e-6)
    np.testing.assert_allclose(bgr, [(10 - 123.675) / 58.395, (20 - 116.28) / 57.12, (30 - 103.53) / 57.375], rtol=1e-6)


def test_decoding_takes_the_lower_peak_as_score_and_nothing_for_a_joint():
    x, y = np.full((1, 4, 384), -1.0), np.full((1, 4, 512), -1.0)
    for joint, (column, row, across, along) in enumerate([(0, 511, 0.8, 0.6), (383, 7, 1.4, 1.2), (5, 5, 0.9, 0.0)]):
        x[0, joint, column], y[0, joint, row] = across, along
    points, scores = simcc.decode(x, y, (192, 256))
    np.testing.assert_array_equal(points[0], [[0, 255.5], [191.5, 3.5], [np.nan, np.nan], [np.nan, np.nan]])
    np.testing.assert_allclose(scores[0], [0.6, 1, 0, 0])


def test_bins_of_another_width_are_read_from_the_heads():
    x, y = np.zeros((1, 1, 3 * 192)), np.zeros((1, 1, 3 * 256))
    x[0, 0, 100], y[0, 0, 200] = 1, 1
    np.testing.assert_allclose(simcc.decode(x, y, (192, 256))[0][0, 0], [100 / 3, 200 / 3])


def test_a_clip_from_end_to_end(detector, monkeypatch):
    """One walks through all frames, one is there from frame 11 to 27, and nobody else ever."""
    frames, truth, looked = [], [], []
    for number in range(40):
        frame = np.zeros((300, 520, 3), np.uint8)
        people = [(20 + 4 * number, 60, 100 + 4 * number, 240)]
        if 11 <= number <= 27:
            people.append((400, 80, 480, 260))
        for who, box in enumerate(people):
            person(frame, who, box, seed=who)
        frames.append(frame), truth.append(people)
    look = detector._boxes.look
    monkeypatch.setattr(detector._boxes, "look", lambda some: looked.append(len(some)) or look(some))
    done = []
    found = detector.detect(film(frames), done.append)
    assert [len(some) for some in found] == [len(people) for people in truth] and done == [16, 32, 40]
    assert sum(looked) < 20
    for some, people in zip(found, truth, strict=True):
        order = np.argsort(some.boxes[:, 0])
        np.testing.assert_allclose(some.boxes[order], people, atol=2)  # letterboxed to 320 px, whole pixels there
        for points, box in zip(some.keypoints[order], people, strict=True):
            joints = lattice(box, seed=int(box[0] == 400))[0]
            assert np.nanmax(np.abs(points - joints)) < 1.2
    assert found[0].skeleton == "halpe-26"


def test_nobody_is_where_no_box_is(detector):
    found = detector.detect(film([np.full((120, 160, 3), 60, np.uint8)] * 7))
    assert [len(some) for some in found] == [0] * 7 and found[0].keypoints.shape == (0, 26, 2)


def test_one_person_in_two_boxes_is_one(detector, monkeypatch):
    frame = np.zeros((300, 560, 3), np.uint8)
    boxes = np.array([(60.0, 40, 180, 260), (80, 40, 300, 300), (400, 40, 520, 260)])
    person(frame, 0, boxes[0])
    person(frame, 1, boxes[2], seed=3)
    monkeypatch.setattr(detector._boxes, "look", lambda some: [Boxes(boxes, np.array([0.9, 0.5, 0.8]))] * len(some))
    found = detector.detect(film([frame]))[0]
    assert len(found) == 2
    np.testing.assert_allclose(found.boxes[1], boxes[2])
    assert len(detector.poses([frame], [boxes])[0]) == 3  # who asks for boxes gets all of them


def test_a_box_without_any_joint_is_nobody(detector):
    frame = np.zeros((300, 520, 3), np.uint8)
    person(frame, 0, (60, 40, 180, 260))
    networks.draw(frame, 1, (330, 40, 450, 260))
    assert len(detector._boxes.look([frame])[0]) == 2 and len(detector.detect(film([frame]))[0]) == 1


# The frames between key frames.


def people(*boxes):
    return Boxes(np.array(boxes, float).reshape(-1, 4), np.linspace(0.9, 0.5, len(boxes)))


def followed(truth, step, before=None, times=None):
    """Boxes of frames that are told apart by their number, and which of them were looked at."""
    looked = []

    def look(frames):
        looked.extend(int(frame[0, 0, 0]) for frame in frames)
        return [truth[int(frame[0, 0, 0])] for frame in frames]

    frames = [np.full((1, 1, 3), number, np.uint8) for number in range(len(truth))]
    times = np.arange(-1, len(truth)) / 30 if times is None else times
    return boxes_of(look, frames, times, step, before), looked


@pytest.mark.parametrize("even", [True, False])
def test_boxes_between_key_frames_are_interpolated_in_time(even):
    times = np.arange(-1, 13) / 30 + (0 if even else np.random.default_rng(0).uniform(0, 0.03, 14))
    truth = [people((10 + 30 * t, 0, 50 + 30 * t, 90), (200, 30 * t, 240, 90 + 30 * t)) for t in times[1:]]
    found, looked = followed(truth, 6, times=times)
    assert sorted(looked) == [0, 5, 11, 12]
    for some, real in zip(found, truth, strict=True):
        np.testing.assert_allclose(some.boxes, real.boxes, atol=1e-9)
        np.testing.assert_allclose(some.scores, real.scores)


def test_a_window_goes_on_from_the_one_before():
    truth = [people((10 + n, 0, 50 + n, 90)) for n in range(8)]
    found, looked = followed(truth, 4, people((9, 0, 49, 90)))
    assert sorted(looked) == [3, 7]
    np.testing.assert_allclose([some.boxes[0] for some in found], [some.boxes[0] for some in truth], atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_who_comes_and_goes_is_there_in_those_frames_and_no_others(seed):
    random = np.random.default_rng(seed)
    stays = [sorted(random.integers(0, 41, 2)) for _ in range(3)]
    stays = [(a, b) for a, b in stays if b - a >= 6]  # nobody is looked for who is there for less than a step
    truth = [
        people(*((150 * who, 0, 150 * who + 60, 90) for who, (a, b) in enumerate(stays) if a <= n < b))
        for n in range(40)
    ]
    found, _ = followed(truth, 6)
    for some, real in zip(found, truth, strict=True):
        np.testing.assert_allclose(some.boxes, real.boxes)


def test_people_who_run_across_each_other_keep_their_boxes():
    truth = [people((10 + 6 * n, 0, 50 + 6 * n, 90), (190 - 6 * n, 0, 230 - 6 * n, 90)) for n in range(31)]
    found, looked = followed(truth, 6)
    assert {12, 13, 14, 15, 16} <= set(looked)
    for some, real in zip(found, truth, strict=True):
        np.testing.assert_allclose(np.sort(some.boxes, axis=0), np.sort(real.boxes, axis=0), atol=1e-9)


def test_people_who_stand_close_are_no_reason_to_look_twice():
    truth = [people((100, 0, 140, 90), (115 + 0.1 * n, 0, 155 + 0.1 * n, 90)) for n in range(13)]
    found, looked = followed(truth, 6)
    assert sorted(looked) == [0, 5, 11, 12]
    np.testing.assert_allclose([some.boxes for some in found], [some.boxes for some in truth], atol=1e-9)


# What is chosen, and what is wrong with it.


def test_models_are_cards_of_the_store():
    assert RTMPose.uses() == ("rtmpose-m-26", "yolox-m-person")
    assert RTMPose.uses(model="lightweight") == ("rtmpose-s-17", "yolox-tiny-person")
    assert RTMPose.uses(model="performance-133") == ("rtmw-x-133", "yolox-x-person")
    assert RTMPose.uses(model="balanced-133", device="cpu")[0] == "rtmw-l-133" and len(MODELS) == 9


@pytest.mark.skipif("rtmpose-m-26" not in names(), reason="the store's cards of these models are not here yet")
@pytest.mark.parametrize("model", MODELS)
def test_cards_name_the_skeleton_that_the_model_gives(model):
    pose, boxes = (card(name) for name in MODELS[model])
    joints = int(pose.name.rpartition("-")[2])
    assert pose.details["output_skeleton"] == SKELETONS[joints] and boxes.format == pose.format == "onnx"


def test_files_take_the_place_of_models(folder):
    pose, boxes = folder / "pose.onnx", folder / "boxes.onnx"
    assert RTMPose.uses(detector_weights=pose) == (pose, "yolox-m-person")
    assert RTMPose.uses(detector_weights=folder) == (pose, boxes)


def test_an_unknown_model_gets_the_nearest():
    with pytest.raises(UsageError, match="balanced-26") as caught:
        RTMPose.uses(model="balancd")
    assert caught.value.hint == "balanced"


def test_a_file_that_is_not_there():
    with pytest.raises(MissingError, match="there is no such file") as caught:
        RTMPose.uses(detector_weights="nowhere/pose.onnx")
    assert caught.value.exit_code == 4


def test_a_folder_without_both_networks(folder, tmp_path):
    (tmp_path / "one.onnx").write_bytes((folder / "boxes.onnx").read_bytes())
    (tmp_path / "two.onnx").write_bytes((folder / "boxes.onnx").read_bytes())
    with pytest.raises(InputError, match="2 ONNX files, 0 of them with SimCC heads"):
        RTMPose.uses(detector_weights=tmp_path)


def test_another_network_in_the_place_of_the_pose_network(folder, monkeypatch):
    import checkpoints.store

    monkeypatch.setattr(checkpoints.store, "find", lambda name: folder / "boxes.onnx")
    with pytest.raises(InputError, match=r"expected SimCC heads \(N,J,k\*320\).*it gives dets"):
        RTMPose(detector_weights=folder / "boxes.onnx", device="cpu")
    with pytest.raises(InputError, match=r"finds no people(.|\n)*expected boxes \(1,M,5\)"):
        monkeypatch.setattr(checkpoints.store, "find", lambda name: folder / "pose.onnx")
        RTMPose(detector_weights=folder / "pose.onnx", device="cpu")


def test_a_network_for_other_joints(folder, tmp_path):
    networks.rtmpose(tmp_path / "hand.onnx", joints=21)
    (tmp_path / "boxes.onnx").write_bytes((folder / "boxes.onnx").read_bytes())
    with pytest.raises(InputError, match="has 21 joints"):
        RTMPose(detector_weights=tmp_path, device="cpu")
