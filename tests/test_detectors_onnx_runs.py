"""Whole runs by the command line with networks in ONNX files, of an upright film and one of a phone held sideways."""

import sys

import av
import numpy as np
import onnx_networks as networks
import pytest
from clips import turned
from commandline import call

from pipeline.skeletons import skeleton

SIZE, COUNT = (360, 480), 12
HALPE = {  # a person who faces the camera, in heads' widths from the pelvis; right is the person's right
    "nose": (0, -6.6), "left_eye": (0.9, -7.6), "left_ear": (1.6, -6.4), "left_shoulder": (1.9, -4.9),
    "left_elbow": (2.6, -2.9), "left_wrist": (2.9, -0.9), "left_hip": (1, 0.2), "left_knee": (1.1, 3.4),
    "left_ankle": (1.2, 6.6), "head_top": (0, -9), "neck": (0, -5), "pelvis": (0, 0.2), "left_big_toe": (1.1, 8.2),
    "left_small_toe": (2.2, 7.9), "left_heel": (2.3, 6.8),
}  # fmt: skip


def joints(x, y, unit=20.0):
    """(26,2) px of a person whose pelvis is at x, y."""
    places = []
    for name in skeleton("halpe-26").joints:
        side = -1 if name.startswith("right_") else 1
        across, down = HALPE[name.replace("right_", "left_")]
        places.append((x + side * across * unit, y + down * unit))
    return np.array(places)


def pictures():
    """Frames (H,W,3) BGR of one who moves sideways, and the joints (T,26,2) px, at half pixels of the box's crop."""
    frames, truth = [], []
    for number in range(COUNT):
        places = joints(140 + 5 * number, 240)
        box = np.round([*(places.min(0) - 8), *(places.max(0) + 8)]).astype(int)
        centre, unit = (box[:2] + box[2:]) / 2, 1.25 * max((box[2] - box[0]) / 192, (box[3] - box[1]) / 256)
        places = centre + np.round(2 * (places - centre) / unit) / 2 * unit
        frames.append(networks.draw(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), 0, box, places, 7.0))
        truth.append(places)
    return frames, np.array(truth)


def write(path, frames, rate=15):
    """A film without loss of colour."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv444p"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="bgr24")))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """The film upright, the film as a phone held sideways stores it, and the joints."""
    folder = tmp_path_factory.mktemp("films")
    frames, truth = pictures()
    upright = write(folder / "upright.mp4", frames)
    sideways = turned(write(folder / "sideways.mp4", [np.rot90(frame) for frame in frames]), 90)
    return {"upright": upright, "sideways": sideways}, truth


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    networks.rtmpose(folder / "pose.onnx")
    networks.with_suppression(folder / "boxes.onnx", "rtmdet", (480, 480))
    return folder


def run(capsys, clip, out, detector, weights):
    """Keypoints (T,J,2) px and scores (T,J) of the one person whom a run finds, and what it said on the way."""
    choices = ("--detector", detector, "--detector-weights", weights, "--device", "cpu", "--formats", "npz")
    code, said, told = call(capsys, "run", clip, *choices, "--out", out)
    assert code == 0, told
    assert "1 person, 12 frames" in said
    with np.load(next(out.rglob("poses.npz")), allow_pickle=False) as saved:
        assert saved["observed"].all() and saved["joints_world_m"].shape[:2] == (1, COUNT)
        assert np.isfinite(saved["joints_world_m"]).all()
        return saved["keypoints_px"][0], saved["keypoint_scores"][0], told


@pytest.mark.parametrize("held", ["upright", "sideways"])
def test_a_film_becomes_motion_with_rtmpose(film, weights, tmp_path, capsys, held):
    clips, truth = film
    keypoints, scores, told = run(capsys, clips[held], tmp_path, "rtmpose", weights)
    assert "rtmpose on OpenVINO CPU" in told
    np.testing.assert_allclose(keypoints, truth, atol=1e-3)
    np.testing.assert_allclose(scores, 0.7, atol=0.01)


def test_a_film_becomes_motion_with_rtmo(film, tmp_path, capsys):
    clips, truth = film
    path = networks.rtmo(tmp_path / "rtmo.onnx", (480, 480))
    keypoints, scores, _ = run(capsys, clips["sideways"], tmp_path, "rtmo", path)
    np.testing.assert_allclose(keypoints, np.round(truth[:, :17]), atol=1e-3)  # whole pixels of a picture of that size
    np.testing.assert_allclose(scores, 0.6, atol=1e-3)


def test_what_is_wrong_with_weights_or_device_is_said(film, weights, tmp_path, capsys, monkeypatch):
    clip = film[0]["upright"]
    (tmp_path / "text.onnx").write_text("<html>404</html>")
    for path, code, text in (
        (tmp_path / "text.onnx", 3, "it is no ONNX network, or it is damaged"),
        (tmp_path / "none.onnx", 4, "there is no such file"),
        (weights / "boxes.onnx", 3, "expected dets (1,M,5) and keypoints"),
    ):
        got, _, err = call(capsys, "run", clip, "--detector", "rtmo", "--detector-weights", path, "--out", tmp_path)
        assert got == code and text in err and "Traceback" not in err
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    given = ("--detector-weights", weights, "--device", "cuda", "--out", tmp_path)
    got, _, err = call(capsys, "run", clip, "--detector", "rtmpose", *given)
    assert got == 4 and "looked for the package onnxruntime-gpu" in err and "requirements-cuda.txt" in err
    for detector in ("rtmpose", "rtmo"):  # before weights are fetched, too
        got, _, err = call(capsys, "run", clip, "--detector", detector, "--device", "cuda", "--out", tmp_path)
        assert got == 4 and "requirements-cuda.txt" in err and "no weights" not in err
