"""What the detectors' benchmark compares: networks that see whom they are told, rates that are told right."""

import numpy as np
import onnx
import pytest
from clips import write

from benchmarks import detectors, detectors_rows
from benchmarks import detectors_onnx as networks
from benchmarks import detectors_sides as sides
from detectors.person_boxes import PersonBoxes
from detectors.rtmo import RTMO
from detectors.rtmpose import RTMPose, pair
from pipeline.clip import open_clip

PEOPLE = np.array([(10, 20, 40, 110), (60, 15, 95, 120), (100, 30, 120, 100)], float)  # px of 128 x 128


@pytest.fixture
def pictures():
    return list(np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3), np.uint8))


def scaled(found):
    return found[np.argsort(found[:, 0])] / 2  # the frames are twice as large as the network's pictures


def test_random_boxes_see_whom_they_are_told(tmp_path, pictures):
    path = networks.yolox(tmp_path / "boxes.onnx", PEOPLE, 128)
    finder = PersonBoxes(path, "cpu")
    assert (finder._mean == 0).all()  # known as a YOLOX
    for some in finder.look(pictures):
        np.testing.assert_allclose(scaled(some.boxes), PEOPLE, atol=1)
        assert (some.scores > 0.9).all()
    first, second = (scaled(some.boxes) for some in finder.look(pictures))
    assert (first != second).any()  # it does look at the picture


def test_random_one_stage_poses_are_within_their_boxes(tmp_path, pictures):
    path = networks.rtmo(tmp_path / "one.onnx", PEOPLE, 128)
    for some in RTMO(detector_weights=path, device="cpu").look(pictures):
        np.testing.assert_allclose(scaled(some.boxes), PEOPLE, atol=1)
        assert some.keypoints.shape == (3, 17, 2) and (some.scores > 0.9).all()
        low, high = some.boxes[:, None, :2] - 2, some.boxes[:, None, 2:] + 2
        assert ((some.keypoints > low) & (some.keypoints < high)).all()


def test_random_poses_are_seen_whole_and_differ(tmp_path, pictures):
    networks.rtmpose(tmp_path / "pose.onnx", size=(64, 64))
    networks.yolox(tmp_path / "boxes.onnx", PEOPLE, 128)
    assert [path.name for path in pair(tmp_path)] == ["pose.onnx", "boxes.onnx"]
    one, other = RTMPose(detector_weights=tmp_path, device="cpu").poses(pictures, [2 * PEOPLE] * 2)
    assert (one.scores > 0).all() and (one.keypoints != other.keypoints).any()


@pytest.mark.parametrize(("make", "parameters"), [
    (lambda path: networks.rtmpose(path), 5.0e6),  # RTMPose-s has 5.5 million with its attention over joints
    (lambda path: networks.yolox(path, PEOPLE), 5.06e6),  # YOLOX-tiny, as its authors tell
    (lambda path: networks.rtmo(path, PEOPLE), 8.5e6),  # YOLOX-s has 9.0 million, with one level more
])  # fmt: skip
def test_random_networks_are_as_large_as_those_they_stand_for(tmp_path, make, parameters):
    weights = onnx.load(make(tmp_path / "net.onnx")).graph.initializer
    kernels = sum(np.prod(each.dims) for each in weights if len(each.dims) in (2, 4) and each.dims[0] > 1)
    assert kernels == pytest.approx(parameters, rel=0.03)


def test_rates_and_their_ratio(tmp_path, monkeypatch):
    """On a clock that only the sides move; the first round is a warm-up."""
    clock = {"now": 0.0}
    monkeypatch.setattr(detectors.time, "perf_counter", lambda: clock["now"])

    def takes(seconds, people):
        spent = iter([100.0, *seconds])

        def run(_):
            clock["now"] += next(spent)
            return people

        return run

    row = sides.Row("", takes([1, 2, 6], 30), {"slow": takes([4, 10, 6], 15), "like": takes([1, 2, 6], 30)}, 30)
    told = detectors.compare(row, write(tmp_path / "a.mp4"), rounds=3)
    assert told == {"slow": (15.0, 5.0, 4.0, 1.0, 0.5), "like": (15.0, 15.0, 1.0, 1.0, 1.0)}


def test_what_is_not_installed_is_left_out(monkeypatch, capsys):
    missing = sides.Rival("rtmlib", ("no-such-package",), "pip install it")
    monkeypatch.setattr(detectors_rows, "RTMLIB", missing)
    monkeypatch.setattr("sys.argv", ["detectors", "none.mp4", "--detectors", "rtmpose", "rtmo"])
    detectors.main()
    why = "left out: the rival rtmlib needs no-such-package, which is not installed; pip install it"
    assert capsys.readouterr().out.splitlines()[1:] == [f"rtmpose      {why}", f"rtmo         {why}"]


def test_the_beginning_of_a_clip_of_odd_size(tmp_path):
    clip = write(tmp_path / "odd.mkv", "libx264rgb", "rgb24", size=(65, 49))
    with open_clip(detectors._beginning(clip, 5, tmp_path / "beginning.mkv")) as opened:
        assert len(opened) == 5 and (opened.info.width, opened.info.height) == (64, 48)
