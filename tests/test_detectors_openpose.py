"""The detector that reads OpenPose's files: every layout, every frame where it belongs, and what is wrong named."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from detectors.openpose import OpenPose
from detectors.plausible import layout_of
from detectors.sightings import number as frame_number
from pipeline.errors import InputError, UsageError
from pipeline.options import Options
from pipeline.results import ClipInfo
from pipeline.runner import Runner
from pipeline.skeletons import coco_to_h36m, pick, skeleton, to_h36m, to_lift
from trackers.offline import OfflineTracker

ROOT = Path(__file__).parent.parent
DATA = ROOT.parent / "shared" / "data" / "balance_4views"
NAMES = ["body-25", "body-25b", "coco-18", "halpe-26", "coco-17"]  # of whom OpenPose and Pose2Sim write files
OF_25 = ("body-25", "body-25b")
# A standing person seen from the front, in parts of the height: x to the right, y down; left is at larger x.
MIDDLE = {"nose": 0.07, "neck": 0.18, "mid_hip": 0.52, "pelvis": 0.52, "head_top": 0.0}
SIDES = {
    "eye": (0.02, 0.055), "ear": (0.045, 0.065), "shoulder": (0.11, 0.19), "elbow": (0.15, 0.35), "wrist": (0.17, 0.5),
    "hip": (0.06, 0.52), "knee": (0.065, 0.74), "ankle": (0.07, 0.95), "heel": (0.065, 0.98), "big_toe": (0.085, 1.0),
    "small_toe": (0.11, 0.99),
}  # fmt: skip


def person(name, at=(160, 20), height=200, seed=0, turn=0.0):
    """(J,3) of a skeleton, with some pixels of noise."""
    random = np.random.default_rng(seed)
    rows = []
    for joint in skeleton(name).joints:
        side, _, part = joint.partition("_")
        x, y = (0, MIDDLE[joint]) if joint in MIDDLE else SIDES[part]
        x = x if side == "left" else -x
        c, s = np.cos(turn), np.sin(turn)
        rows.append([c * x - s * (y - 0.5), s * x + c * (y - 0.5) + 0.5, random.uniform(0.5, 0.9)])
    rows = np.array(rows)
    rows[:, :2] = rows[:, :2] * height + at + random.normal(0, 0.01 * height, (len(rows), 2))
    return rows


def write(folder, frames, pattern="clip_{:012d}_keypoints.json"):
    """frames: number -> people."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, people in frames.items():
        rows = [{"person_id": [-1], "pose_keypoints_2d": np.ravel(row).tolist()} for row in people]
        (folder / pattern.format(number)).write_text(json.dumps({"version": 1.3, "people": rows}))
    return folder


def clip(count=4, size=(320, 240), path="clip.mp4"):
    return SimpleNamespace(info=ClipInfo(path, *size, np.arange(count) / 30, 30.0))


@pytest.mark.parametrize(
    "pattern", ["clip_{:012d}_keypoints.json", "cam01.{:04d}.json", "{}.json", "a7_{}-keypoints.json"]
)
@pytest.mark.parametrize("name", NAMES)
def test_people_come_frame_by_frame(tmp_path, name, pattern):
    first, second = person(name), person(name, (60, 40), 150, seed=3)
    second[4] = 0
    write(tmp_path, {0: [first], 2: [first, second], 3: []}, pattern)
    detector, done = OpenPose(tmp_path), []
    found = detector.detect(clip(), done.append)
    assert [len(d) for d in found] == [1, 0, 2, 0] and done == [4]
    assert {d.skeleton for d in found} == {detector.skeleton} == {name}
    np.testing.assert_allclose(found[2].keypoints[0], first[:, :2], rtol=1e-6)
    np.testing.assert_allclose(found[2].scores[0], first[:, 2], rtol=1e-6)
    assert np.isnan(found[2].keypoints[1, 4]).all() and found[2].scores[1, 4] == 0
    seen = np.delete(second, 4, axis=0)
    np.testing.assert_allclose(found[2].boxes[1], [*seen[:, :2].min(0), *seen[:, :2].max(0)], rtol=1e-6)
    assert np.isnan(found[2].box_scores).all()  # the files have none
    assert found[1].keypoints.shape == (0, len(skeleton(name)), 2) and found[1].boxes.dtype == np.float32


@given(name=st.sampled_from(OF_25), seed=st.integers(0, 10**6), turn=st.floats(-3.2, 3.2))
@settings(max_examples=60)
def test_the_two_orders_of_25_are_told_apart(name, seed, turn):
    """Upside down, too."""
    assert layout_of(person(name, seed=seed, turn=turn)[None], OF_25, Path("x")) == name


@given(
    name=st.sampled_from(OF_25),
    seed=st.integers(0, 10**6),
    turn=st.floats(-3.2, 3.2),
    unseen=st.sets(st.integers(0, 24)),
)
@example("body-25b", 0, 0.0, {0, 1, 4, 5, 7, 9, 11, 14, 15, 16})
@settings(max_examples=60)
def test_of_people_half_seen_the_order_is_right_or_asked_for(name, seed, turn, unseen):
    rows = person(name, seed=seed, turn=turn)
    rows[list(unseen)] = 0
    try:
        assert layout_of(rows[None], OF_25, Path("x")) == name
    except InputError as error:
        assert "--model" in error.hint


def test_an_order_that_cannot_be_told_must_be_named(tmp_path):
    dot = person("body-25", height=1e-6)
    dot[:, :2] = 100.0
    write(tmp_path, {0: [dot]})
    with pytest.raises(InputError, match="order of the joints") as caught:
        OpenPose(tmp_path).detect(clip())
    assert "--model body-25b" in caught.value.hint
    assert OpenPose(tmp_path, model="body-25b").detect(clip())[0].skeleton == "body-25b"
    with pytest.raises(UsageError):
        OpenPose(tmp_path, model="body-26")


def test_a_small_person_of_low_scores_is_followed(tmp_path):
    """What OpenPose is half sure of, as somebody far behind, is a person: the joints' scores count once."""
    far = person("body-25b", (60, 40), 80)
    far[:, 2] = 0.33
    write(tmp_path, {number: [person("body-25b"), far] for number in range(12)})
    found = OpenPose(tmp_path).detect(clip(12))
    tracks = OfflineTracker().track(found, np.arange(12) / 30, (320, 240))
    assert [len(track) for track in tracks] == [12, 12]


def test_frames_counted_from_one(tmp_path):
    write(tmp_path, {number: [person("coco-18", (100 + number, 20))] for number in (1, 2, 3, 4)})
    found = OpenPose(tmp_path).detect(clip(4))
    assert [len(d) for d in found] == [1, 1, 1, 1] and found[0].keypoints[0, 0, 0] < found[3].keypoints[0, 0, 0]
    with pytest.raises(InputError, match="another clip"):
        OpenPose(tmp_path).detect(clip(3))


def test_nobody_in_any_frame(tmp_path):
    write(tmp_path, {0: [], 1: [np.zeros((25, 3))]})
    assert [len(d) for d in OpenPose(tmp_path).detect(clip(2))] == [0, 0]


def test_folders_called_like_the_clips(tmp_path):
    for name in ("cam01_json", "cam010", "cam02"):
        write(tmp_path / name, {0: [person("coco-18")]})
    places = [OpenPose.place_of(tmp_path, name)[0].name for name in ("cam01", "cam02")]
    assert places == ["cam01_json", "cam02"]
    assert OpenPose.place_of(tmp_path / "cam02", "cam01") == (tmp_path / "cam02", True)
    with pytest.raises(InputError, match="no keypoints of cam03"):
        OpenPose.place_of(tmp_path, "cam03")
    with pytest.raises(InputError):
        OpenPose.place_of(tmp_path / "none", "cam03")
    detector = OpenPose(tmp_path / "cam02")
    detector.detect(clip(path="cam02.mp4"))
    with pytest.raises(InputError, match="there are several"):
        detector.detect(clip(path="cam03.mp4"))
    with pytest.raises(InputError, match="there are several"):
        detector.digest(Path("cam03.mp4"))
    cached = OpenPose(tmp_path / "cam02")
    cached.digest(Path("cam02.mp4"))
    cached.digest(Path("cam02.mp4"))
    with pytest.raises(InputError, match="there are several"):
        cached.digest(Path("cam03.mp4"))
    several = OpenPose(tmp_path)  # with a folder for each
    assert several.digest(Path("cam01.mp4")) == several.digest(Path("cam02.mp4"))


def test_the_digest_is_of_names_and_contents(tmp_path):
    write(tmp_path, {0: [person("coco-18")], 1: []})
    first = OpenPose(tmp_path).digest(Path("clip.mp4"))
    assert first == OpenPose(tmp_path).digest(Path("clip.mp4"))
    write(tmp_path, {1: [person("coco-18")]})
    assert first != OpenPose(tmp_path).digest(Path("clip.mp4"))
    assert OpenPose(tmp_path, "coco-18").digest(Path("clip.mp4")) != OpenPose(tmp_path).digest(Path("clip.mp4"))


# ---- damage ---------------------------------------------------------------------------------------------------------


def with_number(value):
    rows = person("coco-18")
    rows[3, 1] = value
    return rows


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "cut off"),
        ('{"people": [', "cut off"),
        ("[]", "no list"),
        ('{"people": 3}', "no list"),
        ('{"people": [3]}', "no list"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "3 numbers"),
        ('{"people": [{"pose_keypoints_2d": "abc"}]}', "no numbers"),
        ('{"people": [{"pose_keypoints_2d": [[1, 2], [3]]}]}', "no numbers"),
        (json.dumps({"people": [{"pose_keypoints_2d": [0.5] * 135}]}), "135 numbers"),
        (json.dumps({"people": [{"pose_keypoints_2d": np.ravel(with_number(np.nan)).tolist()}]}), "not finite"),
        (json.dumps({"people": [{"pose_keypoints_2d": np.ravel(with_number(1e30)).tolist()}]}), "too large"),
        ("[" * 100_000, "cut off"),
    ],
)
def test_damaged_files_are_named(tmp_path, text, why):
    write(tmp_path, {0: [person("coco-18")]})
    (tmp_path / "clip_1_keypoints.json").write_text(text)
    with pytest.raises(InputError) as caught:
        OpenPose(tmp_path).read(tmp_path)
    assert "clip_1_keypoints" in caught.value.what and why in caught.value.why


@given(end=st.integers(0, 400))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_anywhere(tmp_path, end):
    file = write(tmp_path, {0: [person("coco-18")]}) / "clip_000000000000_keypoints.json"
    file.write_text(file.read_text()[:end])
    with pytest.raises(InputError):
        OpenPose(tmp_path).read(tmp_path)


def test_what_does_not_belong_together(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        OpenPose(tmp_path).read(write(tmp_path / "empty", {}))
    write(tmp_path / "two", {0: [person("coco-18")]})
    write(tmp_path / "two", {0: [person("coco-18")]}, "other_{}.json")
    with pytest.raises(InputError, match="same frame 0"):
        OpenPose(tmp_path / "two").detect(clip())
    write(tmp_path / "mixed", {0: [person("coco-18")], 1: [person("body-25")]})
    with pytest.raises(InputError, match="several models"):
        OpenPose(tmp_path / "mixed").detect(clip())


def test_keypoints_of_another_picture(tmp_path):
    write(tmp_path, {0: [person("body-25", (900, 300), 600)]})
    with pytest.raises(InputError, match="another video"):
        OpenPose(tmp_path).detect(clip(1))
    write(tmp_path, {0: [person("body-25", (0.5, 0.1), 0.5)]})
    with pytest.raises(InputError, match="no pixels"):
        OpenPose(tmp_path, model="body-25").detect(clip(1))


# ---- in the pipeline ------------------------------------------------------------------------------------------------


def test_files_and_detectors_go_together():
    with pytest.raises(UsageError, match="reads keypoints"):
        Options(detector="openpose")
    with pytest.raises(UsageError, match="finds keypoints itself"):
        Options(keypoints=Path("x"))


@pytest.mark.parametrize("name", ["body-25", "body-25b", "coco-18"])
def test_every_layout_becomes_human36m_and_input_of_the_lifter(name):
    rows = person(name, seed=4)[None]
    coco = pick(rows, name, "coco-17")
    made = to_h36m(rows, name)
    limbs = [joint for joint in range(17) if joint != skeleton("h36m-17").index("head_top")[0]]
    np.testing.assert_allclose(made[:, limbs], coco_to_h36m(coco)[:, limbs])
    head = made[0, skeleton("h36m-17").index("head_top")[0]]
    if name == "body-25b":
        np.testing.assert_array_equal(head, rows[0, 18])
    lift = dict(zip(skeleton("lift-26").joints, to_lift(rows, name)[0], strict=True))
    np.testing.assert_array_equal(lift["left_knee"], coco[0, skeleton("coco-17").index("left_knee")[0]])
    assert np.isfinite(lift["left_heel"]).all() == (name != "coco-18")


def test_a_run_reads_the_files_and_notices_when_they_change(tmp_path, clip):
    """A person who walks to the right at half a metre a second, say OpenPose's files of a film of 12 frames."""
    frames = {t: [person("body-25b", (120 + 5 * t, 20), 180, seed=t)] for t in range(12)}
    write(tmp_path / "json", frames)
    options = Options(out=tmp_path / "out", detector="openpose", keypoints=tmp_path / "json", formats=())
    scene = Runner(options).run(clip)
    assert len(scene.people) == 1 and scene.tracks[0].skeleton == "body-25b" and len(scene.tracks[0]) == 12
    np.testing.assert_allclose(scene.tracks[0].keypoints[5, 16], frames[5][0][16, :2], atol=12)
    assert np.isfinite(scene.people[0].joints[:, :17]).all()
    assert "detect" in Runner(options).run(clip).provenance["reused_stages"]
    write(tmp_path / "json", {11: []})
    again = Runner(options).run(clip)
    assert "detect" not in again.provenance["reused_stages"] and again.tracks[0].observed.sum() == 11


def test_the_command_line_takes_the_folder(tmp_path, clip):
    write(tmp_path / "json", {t: [person("coco-18", (120 + 5 * t, 20), 180, seed=t)] for t in range(12)})
    given = [str(clip), "--detector", "openpose", "--keypoints", str(tmp_path / "json"), "--out", str(tmp_path)]
    run = [sys.executable, "videopose.py", *given, "--formats", "csv"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "1 person, 12 frames" in done.stdout, done.stderr
    lone = subprocess.run([*run[:3], "--detector", "openpose"], cwd=ROOT, capture_output=True, text=True)
    assert lone.returncode == 2 and "--keypoints" in lone.stderr


@pytest.mark.skipif(not DATA.is_dir(), reason="needs balance_4views of the shared data")
def test_real_files_are_of_body_25b():
    folder = DATA / "openpose_json"
    for number in range(1, 5):
        detector = OpenPose(folder)
        seen = detector.read(OpenPose.place_of(folder, f"cam{number:02d}")[0])
        assert sorted(map(frame_number, seen.frames)) == list(range(100))
        assert layout_of(seen.joints, OF_25, DATA) == "body-25b"
