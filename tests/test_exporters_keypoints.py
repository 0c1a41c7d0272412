"""2D as AlphaPose, OpenPose and COCO write it: what others read, and read back it is identical."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as random_arrays
from keypoint_files import check_valid, clip, track

from detectors.alphapose import AlphaPose, Coco
from detectors.npz import Npz
from detectors.openpose import OpenPose
from exporters import EXPORTERS
from exporters.keypoints import exact, ordered
from pipeline.choices import choose
from pipeline.errors import OutputError
from pipeline.files import remove
from pipeline.results import Camera, ClipInfo, Motion3D, Scene, View
from pipeline.skeletons import SKELETONS, skeleton

COUNT = 12
SAME = [(form, name) for form, names in {
    "alphapose": ("coco-17", "halpe-26", "halpe-136", "coco-133"),
    "openpose": ("body-25", "body-25b", "coco-18"),
    "coco": ("coco-17",),
    "npz": ("blazepose-33", "coco-17", "body-25b", "halpe-26", "coco-133"),
}.items() for name in names]  # fmt: skip
READERS = {"alphapose": AlphaPose, "openpose": OpenPose, "coco": Coco, "npz": Npz}
NAMES = {"alphapose": "a.json", "openpose": "folder", "coco": "c.json", "npz": "p.npz"}


def scene_of(tracks, info=None):
    """People in 3D, too, whom `poses.npz` asks for."""
    people = [
        Motion3D(t.id, "h36m-23", "world", t.frames, np.zeros((len(t), 23, 3), np.float32),
                 np.zeros((len(t), 23), np.float32), np.zeros((len(t), 3), np.float32), t.observed)
        for t in tracks
    ]  # fmt: skip
    return Scene(info or clip(COUNT).info, Camera(np.diag([300.0, 300, 1]), (320, 240)), tracks, people)


def written(folder, form, scene):
    path = folder / NAMES[form]
    remove(path)
    choose("format", form, EXPORTERS).write(scene, path)
    return path


def assert_same(found, tracks, size=COUNT):
    """Every person where somebody is known, and nobody else; points, scores and ids to the last bit."""
    check_valid(found, size)
    for frame, one in enumerate(found):
        there = [t for t in tracks if t.frames[0] <= frame <= t.frames[-1]]
        rows = {t.id: frame - int(t.frames[0]) for t in there}
        there = [t for t in there if (t.scores[rows[t.id]] > 0).any()]
        assert len(one) == len(there)
        for person, t in enumerate(there):
            np.testing.assert_array_equal(one.keypoints[person], t.keypoints[rows[t.id]])
            np.testing.assert_array_equal(one.scores[person], t.scores[rows[t.id]])
            assert one.following[person] == t.id


@pytest.mark.parametrize(("form", "name"), SAME)
@given(seed=st.integers(0, 10**6), spans=st.lists(st.tuples(st.integers(0, 8), st.integers(1, 4)), min_size=1,
                                                   max_size=3), holes=st.sampled_from([0.0, 0.4, 0.97]),
       size=st.sampled_from([(320, 240), (3840, 2160)]))  # fmt: skip
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_read_back_is_identical(tmp_path, form, name, seed, spans, holes, size):
    tracks = [track(n, name, first, count, seed, holes, size) for n, (first, count) in enumerate(spans, 1)]
    assume(any((t.scores > 0).any() for t in tracks))
    path = written(tmp_path, form, scene_of(tracks, clip(COUNT, size).info))
    detector = READERS[form](path, None if form == "npz" else name)
    assert_same(detector.detect(clip(COUNT, size)), tracks)
    assert detector.skeleton == name


@given(random_arrays(np.float32, 50, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_every_float32_survives_as_text(values):
    again = np.array(json.loads(json.dumps(exact(values).tolist())), np.float64).astype(np.float32)
    np.testing.assert_array_equal(again, values)


def test_decimals_are_short():
    assert json.dumps(exact(np.float32([0.1, 123.456, 1e5])).tolist()) == "[0.1, 123.456, 100000.0]"


# ---- as the programs themselves write -------------------------------------------------------------------------------


def test_alphapose_as_it_writes_itself(tmp_path):
    t = track(3, "coco-17", 2, 2)
    t.boxes[1] = np.nan
    data = json.loads(written(tmp_path, "alphapose", scene_of([t])).read_text())
    assert [(e["image_id"], e["category_id"], e["idx"]) for e in data] == [("2.jpg", 1, 3), ("3.jpg", 1, 3)]
    assert len(data[0]["keypoints"]) == 51 and data[0]["box"] == [1, 2, 299.5, 198.25]
    low, high = t.keypoints[1].min(0), t.keypoints[1].max(0)
    np.testing.assert_allclose(data[1]["box"], [*low, *(high - low)], rtol=1e-6)
    s = t.scores[0].astype(float)
    assert data[0]["score"] == pytest.approx(1 + s.mean() + 1.25 * s.max(), abs=1e-5)


def test_openpose_as_it_writes_itself(tmp_path):
    t = track(3, "body-25", 2, 2, holes=0.3)
    folder = written(tmp_path, "openpose", scene_of([t], clip(COUNT, path="some/walk.mp4").info))
    files = sorted(folder.iterdir())
    assert [f.name for f in files] == [f"walk_{n:012d}_keypoints.json" for n in range(COUNT)]
    assert json.loads(files[0].read_text()) == {"version": 1.3, "people": []}
    (person,) = json.loads(files[2].read_text())["people"]
    keys = [f"{part}_keypoints_{n}d" for n in (2, 3) for part in ("pose", "face", "hand_left", "hand_right")]
    assert sorted(person) == sorted([*keys, "person_id"]) and person["person_id"] == [3]
    lost = np.flatnonzero(t.scores[0] == 0)
    assert len(lost) and all(person["pose_keypoints_2d"][3 * j : 3 * j + 3] == [0, 0, 0] for j in lost)


def test_coco_as_its_evaluation_reads_it(tmp_path):
    t = track(3, "halpe-26", 2, 2)
    data = json.loads(written(tmp_path, "coco", scene_of([t])).read_text())
    assert [(e["image_id"], e["category_id"], e["track_id"]) for e in data] == [(2, 1, 3), (3, 1, 3)]
    assert data[0]["bbox"] == [1, 2, 299.5, 198.25] and 0 < data[0]["score"] <= 1
    np.testing.assert_array_equal(np.float32(data[1]["keypoints"]).reshape(17, 3)[:, :2], t.keypoints[1, :17])


def test_frames_that_are_pictures_keep_their_names(tmp_path):
    names = [f"img{n}.png" for n in range(7, 7 + COUNT)]
    info = clip(COUNT, names=names).info
    scene = scene_of([track(1, "coco-17", 2, 3)], info)
    assert json.loads(written(tmp_path, "alphapose", scene).read_text())[0]["image_id"] == "img9.png"
    assert json.loads(written(tmp_path, "coco", scene).read_text())[0]["image_id"] == 9
    assert (written(tmp_path, "openpose", scene) / "img9_keypoints.json").is_file()
    for form, name in (("alphapose", None), ("coco", None), ("openpose", "body-25")):
        found = READERS[form](tmp_path / NAMES[form], name).detect(clip(COUNT, names=names))
        assert [n for n, d in enumerate(found) if len(d)] == [2, 3, 4], form


def test_pictures_of_one_name_and_two_endings_stay_apart(tmp_path):
    names = ["a.jpg", "a.png", *(f"b{n}.png" for n in range(2, COUNT))]
    tracks = [track(1, "coco-17", 0, 3)]
    scene = scene_of(tracks, clip(COUNT, names=names).info)
    for form, name in (("alphapose", None), ("coco", None), ("openpose", "body-25")):
        found = READERS[form](written(tmp_path, form, scene), name).detect(clip(COUNT, names=names))
        assert [n for n, d in enumerate(found) if len(d)] == [0, 1, 2], form
        assert form != "openpose" or len(list((tmp_path / NAMES[form]).iterdir())) == COUNT


def test_nobody(tmp_path):
    assert json.loads(written(tmp_path, "alphapose", scene_of([])).read_text()) == []
    assert json.loads(written(tmp_path, "coco", scene_of([])).read_text()) == []
    for form, detector in READERS.items():
        found = detector(written(tmp_path, form, scene_of([]))).detect(clip(COUNT))
        assert [len(d) for d in found] == [0] * COUNT


# ---- other skeletons ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SKELETONS)
def test_joints_keep_their_names_in_every_form(tmp_path, name):
    """What is there by name is there; what is not is 0 0 0, or where another joint tells it."""
    t, own = track(1, name, 0, 1), skeleton(name).joints
    scene = scene_of([t])
    lists = [json.loads(written(tmp_path, form, scene).read_text())[0]["keypoints"] for form in ("alphapose", "coco")]
    file = written(tmp_path, "openpose", scene) / "clip_000000000000_keypoints.json"
    lists.append(json.loads(file.read_text())["people"][0]["pose_keypoints_2d"])
    counts = [len(numbers) // 3 for numbers in lists]
    feet = {f"{s}_{p}" for s in ("left", "right") for p in ("big_toe", "small_toe", "heel")} <= set(own)
    assert counts[0] == {"halpe-136": 136, "coco-133": 133}.get(name, 26 if feet else 17) and counts[1] == 17
    kinds = {17: "coco-17", 18: "coco-18", 26: "halpe-26", 133: "coco-133", 136: "halpe-136"}
    kinds[25] = "body-25b" if name == "body-25b" else "body-25"
    for numbers, count in zip(lists, counts, strict=True):
        rows = np.float32(numbers).reshape(count, 3)
        for joint, row in zip(skeleton(kinds[count]).joints, rows, strict=True):
            if joint in own:
                at = own.index(joint)
                np.testing.assert_array_equal(row, [*t.keypoints[0, at], t.scores[0, at]])
            elif joint in ("mid_hip", "pelvis", "neck", "left_big_toe", "right_big_toe") and row[2]:
                continue
            else:
                assert not row.any(), joint


def test_middles_are_as_sure_as_their_less_sure_end():
    t = track(1, "coco-17", 0, 3)
    left, right = skeleton("coco-17").index("left_hip", "right_hip")
    t.scores[1, left], t.keypoints[1, left] = 0, np.nan
    rows = ordered(t.keypoints, t.scores, "coco-17", ["mid_hip", "neck", "left_heel"])
    np.testing.assert_allclose(rows[0, 0, :2], t.keypoints[0, [left, right]].mean(0), rtol=1e-6)
    assert rows[0, 0, 2] == t.scores[0, [left, right]].min()
    assert not rows[1, 0].any() and rows[:, 1, 2].all() and not rows[:, 2].any()


def test_blazepose_keeps_its_toes_and_heels_for_openpose():
    t = track(1, "blazepose-33", 0, 1)
    rows = ordered(t.keypoints, t.scores, "blazepose-33", ["left_big_toe", "left_small_toe", "left_heel"])[0]
    toe, heel = skeleton("blazepose-33").index("left_toe", "left_heel")
    np.testing.assert_array_equal(rows[[0, 2], :2], t.keypoints[0, [toe, heel]])
    assert not rows[1].any()


@pytest.mark.parametrize("name", ["halpe-136", "coco-133"])
def test_faces_and_hands_go_where_openpose_has_them(tmp_path, name):
    t, own = track(1, name, 0, 1), skeleton(name).joints
    file = written(tmp_path, "openpose", scene_of([t])) / "clip_000000000000_keypoints.json"
    (person,) = json.loads(file.read_text())["people"]
    first = len(own) - 110
    for part, begin, count in (("face", first, 68), ("hand_left", first + 68, 21), ("hand_right", first + 89, 21)):
        rows = np.float32(person[f"{part}_keypoints_2d"]).reshape(-1, 3)
        np.testing.assert_array_equal(rows[:count, :2], t.keypoints[0, begin : begin + count])
        assert len(rows) == (70 if part == "face" else 21) and not rows[count:].any()


# ---- several views --------------------------------------------------------------------------------------------------


def views_of(tracks):
    scene = scene_of(tracks)
    clips = [ClipInfo(path, 320, 240, scene.clip.times, 30.0) for path in ("a/cam1.mp4", "b/cam1.mp4", "cam2.mp4")]
    seen = [tracks, [track(1, "coco-17", 3, 2, seed=9)], []]
    return replace(scene, views=tuple(View(c, scene.camera, t) for c, t in zip(clips, seen, strict=True)))


def test_each_view_has_a_file_or_folder_of_its_own(tmp_path):
    tracks = [track(1, "coco-17", 0, 4)]
    scene = views_of(tracks)
    for form in ("alphapose", "coco"):
        folder = tmp_path / form
        choose("format", form, EXPORTERS).write(scene, folder)
        assert sorted(p.name for p in folder.iterdir()) == ["cam1.json", "cam1_2.json", "cam2.json"]
        assert_same(READERS[form](folder).detect(clip(COUNT, path="cam1.mp4")), tracks)
    choose("format", "openpose", EXPORTERS).write(scene, tmp_path / "openpose")
    assert sorted(p.name for p in (tmp_path / "openpose").iterdir()) == ["cam1", "cam1_2", "cam2"]
    assert len(list((tmp_path / "openpose" / "cam2").iterdir())) == COUNT


@pytest.mark.parametrize("form", ["alphapose", "openpose", "coco"])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path, form):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine.json").touch()
    with pytest.raises(OutputError, match="cannot write"):
        choose("format", form, EXPORTERS).write(views_of([track(1, "coco-17", 0, 4)]), tmp_path / "x")
    assert [p.name for p in tmp_path.rglob("*")] == ["x", "mine.json"]


@pytest.mark.parametrize("form", ["alphapose", "openpose", "coco"])
def test_the_same_scene_gives_the_same_bytes(tmp_path, form):
    scene = scene_of([track(n, "halpe-26", n, 6, holes=0.2) for n in (1, 2)])
    first, second = (written(tmp_path / name, form, scene) for name in ("1", "2"))
    files = [path.relative_to(first) for path in first.rglob("*")] if first.is_dir() else [""]
    assert all((first / f).read_bytes() == (second / f).read_bytes() for f in files)
