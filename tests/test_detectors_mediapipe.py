"""The detector `mediapipe`: MediaPipe Tasks with the networks of its 0.10.14 wheel, which the store has.

What needs MediaPipe is skipped where it is not installed; `.ci/optional` runs all of it.
"""

import json
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import detectors_networks as networks
from detectors.mediapipe import MediaPipe, _people, stamps
from pipeline.errors import InputError, MissingError, UsageError
from pipeline.skeletons import skeleton

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "outputs" / "sample.mp4"


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """The full model as a task file: its two networks, of which the second lacks what tells how pictures go in."""
    pytest.importorskip("mediapipe")
    return networks.pose_landmarker(tmp_path_factory.mktemp("mediapipe") / "full.task")


@pytest.fixture(scope="module")
def seen(task):
    """What MediaPipe and our own BlazePose find in the sample, frame by frame, and its times."""
    from detectors.blazepose import BlazePose
    from pipeline.clip import open_clip

    done = []
    with open_clip(SAMPLE) as clip:
        theirs = MediaPipe(detector_weights=task).detect(clip, done.append)
        ours = BlazePose().detect(clip)
    assert done == list(range(1, len(ours) + 1))
    return theirs, ours


def pairs(seen):
    """MediaPipe's people with ours that are nearest: indices of frame, theirs and ours, median distance px."""
    for frame, (theirs, ours) in enumerate(zip(*seen, strict=True)):
        for p in range(len(theirs)):
            if len(ours):
                far = np.median(np.linalg.norm(ours.keypoints - theirs.keypoints[p], axis=-1), axis=1)
                yield frame, p, int(far.argmin()), float(far.min())


def test_the_same_people_as_our_own_way_through_the_same_networks(seen):
    theirs, ours = seen
    found = list(pairs(seen))
    assert len(found) == sum(map(len, theirs)) > 0.8 * sum(map(len, ours))
    near = [pair for pair in found if pair[3] < 15]
    assert len(near) > 0.95 * len(found)
    sure = [(f, p, q, ours[f].scores[q] > 0.9) for f, p, q, _ in near]
    moved = np.concatenate([(theirs[f].keypoints[p] - ours[f].keypoints[q])[s] for f, p, q, s in sure])
    assert np.median(np.linalg.norm(moved, axis=1)) < 3.5  # px of 1280x720
    assert np.abs(np.median(moved, axis=0)).max() < 0.3  # no shift: pixel centres are counted alike
    off = np.concatenate([(theirs[f].world[p] - ours[f].world[q])[s] for f, p, q, s in sure])
    size = np.concatenate([ours[f].world[q][s] for f, p, q, s in sure])
    assert np.median(np.linalg.norm(off, axis=1)) < 0.04 < 0.2 < np.median(np.linalg.norm(size, axis=1))  # m
    assert np.abs(np.median(off, axis=0)).max() < 0.01  # no axis turned round


def test_what_is_told_has_the_contract_s_form(seen):
    for people in seen[0]:
        count = len(people)
        assert people.skeleton == "blazepose-33" and people.keypoints.shape == (count, 33, 2)
        assert people.world.shape == (count, 33, 3) and people.presence.shape == people.scores.shape == (count, 33)
        for marks in (people.scores, people.presence):
            assert marks.dtype == np.float32 and (marks >= 0).all() and (marks <= 1).all()
        assert np.isnan(people.box_scores).all() and people.following is None
        np.testing.assert_allclose(people.boxes[:, :2], people.keypoints.min(axis=1), atol=1e-3)


def test_the_same_twice(task, clip):
    from pipeline.clip import open_clip

    detector = MediaPipe(detector_weights=task, people=1)
    with open_clip(clip) as film:
        once, again = detector.detect(film), detector.detect(film)
    assert sum(map(len, once)) > 6  # a video begins anew, and nothing of the last one is left
    assert all(np.array_equal(a.keypoints, b.keypoints) for a, b in zip(once, again, strict=True))


def test_the_command_line_runs_all_of_it(task, clip, tmp_path):
    done = run(clip, tmp_path, "--detector-weights", task, "--lifter", "blazepose")  # its world is lifted, too
    assert done.returncode == 0, done.stderr
    kept = np.load(tmp_path / "out" / clip.stem / "poses.npz", allow_pickle=False)
    assert list(kept["keypoint_names"]) == list(skeleton("blazepose-33").joints)
    assert kept["observed"].mean() > 0.5 and np.isfinite(kept["joints_world_m"][kept["observed"]]).any()
    assert "MediaPipe" in json.dumps(json.loads((tmp_path / "out" / clip.stem / "report.json").read_text()))


def run(clip, folder, *options):
    command = [sys.executable, ROOT / "videopose.py", clip, "--detector", "mediapipe", "--quiet"]
    command += ["--formats", "npz", "--out", folder / "out", *options]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)


def test_where_it_is_not_installed_the_install_line_is_said(clip, tmp_path):
    if find_spec("mediapipe"):
        pytest.skip("MediaPipe is installed here")
    done = run(clip, tmp_path)
    assert done.returncode == 4 and "pip install -r requirements-mediapipe.txt" in done.stderr


def test_landmarks_become_pixels():
    mark = SimpleNamespace(x=0.25, y=0.5, z=-0.1, visibility=0.75, presence=1.2)
    result = SimpleNamespace(pose_landmarks=[[mark] * 33], pose_world_landmarks=[[mark] * 33])
    people = _people(result, 101, 67)
    np.testing.assert_allclose(people.keypoints, np.full((1, 33, 2), [25.25, 33.5]), atol=1e-3)
    np.testing.assert_allclose(people.world[0, 0], [0.25, 0.5, -0.1], rtol=1e-6)
    assert (people.scores == 0.75).all() and (people.presence == 1).all()
    nobody = _people(SimpleNamespace(pose_landmarks=[], pose_world_landmarks=[]), 101, 67)
    assert len(nobody) == 0 and nobody.world.shape == (0, 33, 3) and nobody.presence.shape == (0, 33)


def test_stamps_increase_whatever_the_clip_s_times():
    assert stamps(np.arange(4) / 25).tolist() == [0, 40, 80, 120]
    assert stamps(np.array([0, 0.0001, 0.0002, 0.5])).tolist() == [0, 1, 2, 500]
    random = np.sort(np.random.default_rng(0).uniform(0, 1, 700))
    close = stamps(random)
    assert (np.diff(close) > 0).all() and close.dtype == np.int64


def test_what_a_choice_leads_to(tmp_path):
    file = tmp_path / "own.task"
    file.touch()
    assert MediaPipe.uses() == MediaPipe.uses(model="full") == ("mediapipe-full",)
    assert MediaPipe.uses(model="heavy", device="cpu") == ("mediapipe-heavy",)
    assert MediaPipe.uses(detector_weights=file) == (file,)


@pytest.mark.parametrize(
    ("choices", "error", "word"),
    [
        ({"model": "lit"}, UsageError, "lite"),
        ({"model": "lite", "detector_weights": Path("a.task")}, UsageError, "one of them"),
        ({"detector_weights": Path("gone.task")}, MissingError, "gone.task"),
        ({"device": "cuda"}, MissingError, "--device cpu"),
    ],
)
def test_a_wrong_choice_is_named(choices, error, word):
    with pytest.raises(error) as caught:
        MediaPipe(**choices)
    assert word in str(caught.value)


def test_weights_that_are_not_here_are_said_to_be_absent(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path))
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1")
    with pytest.raises(MissingError, match=r"pose_landmarker_lite\.task") as caught:
        MediaPipe("lite")
    assert str(tmp_path) in caught.value.hint


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "another zip", "a bit", "no networks"])
def test_a_file_that_is_no_task_is_named(tmp_path, damage):
    path = tmp_path / "own.task"
    names = ["a.txt"] if damage == "another zip" else ["pose_detector.tflite", "pose_landmarks_detector.tflite"]
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"something" * 1000)
    whole = path.read_bytes()
    spoilt = {"text": b"version https://git-lfs", "empty": b"", "cut": whole[: len(whole) // 2]}
    path.write_bytes(spoilt.get(damage, whole[:2000] + b"?" + whole[2001:] if damage == "a bit" else whole))
    if damage == "no networks":
        pytest.importorskip("mediapipe")
    with pytest.raises(InputError, match=r"own\.task"):
        MediaPipe(detector_weights=path)
