"""Detectors that read one file per clip: every form, every frame where it belongs, scores and ids."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keypoint_files import check_valid, clip, entry, people, save

from detectors.alphapose import AlphaPose, Coco, Halpe
from detectors.npz import Npz
from detectors.openpose import OpenPose
from detectors.sightings import frame_indices, number, unique_ids, unit
from pipeline.errors import InputError, UsageError
from pipeline.skeletons import coco_to_h36m


def read(kind, path, count=4, model=None, **more):
    found = kind(path, model).detect(clip(count, **more))
    check_valid(found, count)
    return found


@pytest.mark.parametrize(
    ("kind", "name"),
    [(AlphaPose, name) for name in ("coco-17", "halpe-26", "halpe-136", "coco-133", "coco-18")]
    + [(Halpe, "halpe-26"), (Halpe, "halpe-136"), (Coco, "coco-17"), (Coco, "coco-133")],
)
def test_the_number_of_joints_tells_the_skeleton(tmp_path, kind, name):
    rows = people(name, 3)
    rows[1, 4] = 0
    file = save(tmp_path / "a.json", [entry(rows[0], "0.jpg"), entry(rows[1], "2.jpg"), entry(rows[2], "2.jpg")])
    found = read(kind, file)
    assert [len(d) for d in found] == [1, 0, 2, 0] and {d.skeleton for d in found} == {name}
    np.testing.assert_array_equal(found[2].keypoints[1], rows[2, :, :2])
    np.testing.assert_array_equal(found[2].scores, rows[1:, :, 2])
    assert np.isnan(found[2].keypoints[0, 4]).all() and found[0].following is None
    assert (found[2].box_scores == np.float32(0.9)).all()
    seen = rows[2, :, :2]
    np.testing.assert_allclose(found[2].boxes[1], [*seen.min(0), *seen.max(0)])


def test_the_three_forms_of_alphapose_say_the_same(tmp_path):
    first, second = people("coco-18", 2)
    flat = [entry(first, "0.jpg"), entry(first, "1.jpg"), entry(second, "1.jpg")]
    as_list = lambda row: np.ravel(row).tolist()  # noqa: E731
    cmu = {
        "0.jpg": {"version": "AlphaPose v0.3", "bodies": [{"joints": as_list(first)}]},
        "1.jpg": {"version": "AlphaPose v0.3", "bodies": [{"joints": as_list(first)}, {"joints": as_list(second)}]},
    }
    named = {"bodies": "people", "joints": "pose_keypoints_2d"}
    as_open = json.loads("".join(named.get(word, word) for word in json.dumps(cmu).replace('"', '\0"\0').split("\0")))
    assert "people" in as_open["0.jpg"]
    results = [read(AlphaPose, save(tmp_path / "a.json", data), 2) for data in (flat, cmu, as_open)]
    for result in results:
        assert [len(d) for d in result] == [1, 2]
        for d, expected in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(d.keypoints, expected.keypoints)
            np.testing.assert_array_equal(d.scores, expected.scores)


@pytest.mark.parametrize(
    "names", [["10.jpg", "9.jpg"], ["frame_000010.png", "frame_000009.png"], ["a/cam2_10.jpg", "a/cam2_9.jpg"],
              [10, 9], ["v.mp4_10", "v.mp4_9"], [10.0, 9.0], ["0000010", "000009"]],
)  # fmt: skip
def test_frames_are_matched_by_number_in_any_order(tmp_path, names):
    later, earlier = people("coco-17", 2)
    found = read(AlphaPose, save(tmp_path / "a.json", [entry(later, names[0]), entry(earlier, names[1])]), 12)
    assert [n for n, d in enumerate(found) if len(d)] == [9, 10]
    np.testing.assert_array_equal(found[9].keypoints[0], earlier[:, :2])


def test_frames_count_from_zero_or_from_one():
    indices = lambda names, **more: frame_indices(names, clip(**more).info, Path("x")).tolist()  # noqa: E731
    assert indices(["1.jpg", "2.jpg", "3.jpg"], count=3) == [0, 1, 2]
    assert indices(["1.jpg", "2.jpg"], count=3) == [1, 2]
    for names, text in ((["0.jpg", "3.jpg"], "another clip"), (["1.jpg", "01.png"], "same frame")):
        with pytest.raises(InputError, match=text):
            indices(names, count=3)


def test_pictures_of_a_folder_are_found_by_their_names():
    indices = lambda names, pictures: frame_indices(  # noqa: E731
        names, clip(len(pictures), names=pictures).info, Path("x")
    ).tolist()
    assert indices(["101.jpg", "103.jpg"], ["0101.png", "0102.png", "0103.png"]) == [0, 2]
    assert indices(["b.jpg", "a_keypoints.json"], ["a.png", "b.png"]) == [1, 0]
    assert indices(["IMG_2034.jpg"], ["IMG_2034.jpg"]) == [0]
    assert indices(["0", "2"], ["x7.png", "x8.png", "x9.png"]) == [0, 2]


@given(st.text(max_size=30))
def test_every_name_has_a_number(name):
    assert number(name) >= 0


def test_ids_of_every_kind(tmp_path):
    rows = people("coco-17", 5)
    ids = [3, [4], [[5.0]], None, []]
    data = [entry(row, "0.jpg", **({} if id is None else {"idx": id})) for row, id in zip(rows, ids, strict=True)]
    assert read(AlphaPose, save(tmp_path / "a.json", data), 1)[0].following.tolist() == [3, 4, 5, -1, -1]
    for wrong in (0.5, 1e12, "x", [["x"]], float("nan")):
        with pytest.raises(InputError, match=r"a\.json"):
            read(AlphaPose, save(tmp_path / "a.json", [entry(rows[0], "0.jpg", idx=wrong)]), 1)


def test_ids_that_two_people_share_are_nobodys():
    """AlphaPose without a tracker gives everybody 0."""
    assert unique_ids(np.array([0, 0, 0, 7]), np.array([0, 1, 1, 1])).tolist() == [-1, -1, -1, 7]


def test_scores_beyond_one_keep_their_order(tmp_path):
    rows = people("halpe-26", 8)
    rows[..., 2] *= 1.7
    persons = np.linspace(1.2, 3.1, 8).tolist()
    data = [entry(row, f"{n}.jpg", score=score) for n, (row, score) in enumerate(zip(rows, persons, strict=True))]
    found = read(AlphaPose, save(tmp_path / "a.json", data), 8)
    scores = np.stack([d.scores[0] for d in found])
    assert scores.max() == 1 and (np.argsort(scores[scores < 1]) == np.argsort(rows[scores < 1, 2])).all()
    assert (np.diff([d.box_scores[0] for d in found]) >= 0).all() and found[0].box_scores[0] < 0.5


@given(st.lists(st.floats(-2, 50), min_size=1))
def test_scores_become_parts_of_one_monotonically(values):
    given = np.array(values)
    made = unit(given)
    assert ((made >= 0) & (made <= 1)).all() and (np.diff(made[np.argsort(given)]) >= 0).all()
    np.testing.assert_array_equal(unit(np.clip(given, 0, 1)), np.clip(given, 0, 1))


# ---- COCO and Halpe -------------------------------------------------------------------------------------------------


def test_annotations_name_their_pictures_and_flags_become_scores(tmp_path):
    row = people("coco-17")[0]
    row[:, 2] = [2] * 10 + [1] * 5 + [0] * 2
    person = {"image_id": 77, "id": 5, "keypoints": row.ravel().tolist(), "bbox": [1, 2, 30, 40], "track_id": 8}
    crowd = {"image_id": 77, "iscrowd": 1, "keypoints": [0] * 51}
    images = [{"id": n, "file_name": f"seq/{n - 75:06d}.jpg", "width": 320, "height": 240} for n in (78, 77, 75)]
    data = {"images": images, "annotations": [person, crowd]}
    found = read(Coco, save(tmp_path / "a.json", data))
    assert [len(d) for d in found] == [0, 0, 1, 0] and found[2].following.tolist() == [8]
    assert found[2].scores[0].tolist() == [1] * 10 + [0.5] * 5 + [0] * 2
    assert found[2].boxes.tolist() == [[1, 2, 31, 42]]
    with pytest.raises(InputError, match="another video"):
        read(Coco, tmp_path / "a.json", size=(640, 480))
    images[0]["id"] = 77
    with pytest.raises(InputError, match="twice"):
        read(Coco, save(tmp_path / "a.json", data))
    images[0] = images[1] | {"id": 79}
    with pytest.raises(InputError, match="same frame"):
        read(Coco, save(tmp_path / "a.json", data))


def test_halpe_reads_results_in_cocos_form(tmp_path):
    rows = people("halpe-136", 2)
    data = [entry(row, n, bbox=[0, 0, 10, 10]) for n, row in enumerate(rows)]
    found = read(Halpe, save(tmp_path / "a.json", data))
    assert [len(d) for d in found] == [1, 1, 0, 0] and found[0].skeleton == "halpe-136"
    with pytest.raises(InputError, match=r"51 numbers.*26, 136"):
        read(Halpe, save(tmp_path / "a.json", [entry(people("coco-17")[0], 0)]))


# ---- NumPy archives -------------------------------------------------------------------------------------------------


def test_kpts_of_one_person_and_of_several(tmp_path):
    rows = people("coco-17", 4)
    rows[1], rows[2, 3] = 0, np.nan
    np.savez(tmp_path / "a.npz", kpts=rows[..., :2])
    found = read(Npz, tmp_path / "a.npz", model="coco-17")
    assert [len(d) for d in found] == [1, 0, 1, 1] and found[0].following is None
    assert (found[0].scores == 1).all() and found[2].scores[0, 3] == 0
    rows = people("halpe-26", 8).reshape(2, 4, 26, 3)
    np.savez(tmp_path / "a.npz", kpts=rows)
    found = read(Npz, tmp_path / "a.npz")
    assert [d.following.tolist() for d in found] == [[0, 1]] * 4
    np.testing.assert_array_equal(found[3].keypoints, rows[:, 3, :, :2])
    np.testing.assert_array_equal(found[3].scores, rows[:, 3, :, 2])


def test_the_two_orders_of_17_are_told_apart(tmp_path):
    """Of a real person, bent over: Human3.6M's order makes bones of COCO's points that are about as long."""
    seen = np.array(
        [[930, 213], [926, 207], [922, 207], [917, 211], [908, 211], [921, 269], [882, 265], [937, 328], [849, 327],
         [977, 373], [823, 388], [901, 386], [890, 385], [905, 472], [925, 477], [837, 532], [944, 574]], float,
    )  # fmt: skip
    for name, points in (("coco-17", seen), ("h36m-17", coco_to_h36m(seen))):
        np.savez(tmp_path / "a.npz", kpts=np.tile(points, (4, 1, 1)))
        assert read(Npz, tmp_path / "a.npz", size=(1280, 720))[0].skeleton == name


def test_archives_that_cannot_be(tmp_path):
    rows = people("coco-17", 4)

    def fails(text, model="coco-17", **arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(InputError, match=text):
            read(Npz, tmp_path / "a.npz", model=model)

    fails("pickles", kpts=np.array([{"a": 1}], dtype=object))
    fails("neither `kpts`", points=rows)
    fails("array of", kpts=rows[..., 0])
    fails("array of", kpts=rows[0, 0])
    fails("array of", kpts=np.array(["a"]))
    fails("array of shape", kpts=rows[:0])
    fails("array of shape", kpts=np.concatenate([rows, rows], -1))
    fails("clip has 4 frames and they have 1", kpts=rows[:1])
    fails("they have 16", kpts=np.tile(rows, (4, 1, 1)))
    fails("not finite", kpts=np.where(rows > 100, np.inf, rows))
    fails("too large", kpts=rows * 1e6)
    fails("no pixels", kpts=rows[..., :2] / 320)
    fails("another video", kpts=rows[..., :2] * 9)
    fails("25 joints", model=None, kpts=people("body-25", 4))
    fails("order of the joints", model=None, kpts=rows)
    fails("5 joints", model=None, kpts=rows[:, :5])
    fails("has 17", kpts=people("halpe-26", 4))
    own = {"keypoints_px": rows[None, ..., :2], "keypoint_scores": rows[None, ..., 2], "person_ids": np.array([1])}
    fails("person_ids", **own | {"person_ids": np.array([1, 2])})
    fails("points", **own | {"keypoint_scores": rows[None, :2, :, 2]})
    fails("whose names", **own, keypoint_names=np.array(["a"] * 17))
    fails("another video", **own, frame_size=np.array([640, 480]))
    fails("frame_size", **own, frame_size=np.array([640]))
    fails("several cameras", **own, view_names=np.array(["a"]))


@given(end=st.integers(0, 1500))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_archive_cut_anywhere(tmp_path, end):
    np.savez(tmp_path / "a.npz", kpts=people("coco-17", 4))
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(content[: min(end, len(content) - 1)])
    with pytest.raises(InputError):
        read(Npz, tmp_path / "b.npz")


# ---- where files are ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "own", "ending"), [(AlphaPose, "alphapose-results.json", "json"), (Coco, "keypoints-coco.json", "json"),
                                (Npz, "poses.npz", "npz")],
)  # fmt: skip
def test_files_and_folders_called_like_the_clips(tmp_path, kind, own, ending):
    for name in (f"cam01.{ending}", f"cam02-x.{ending}", f"cam03/{own}", "cam03/report.json", f"cam04_x/b.{ending}"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    place = lambda path, clip: kind.place_of(tmp_path / path, clip)  # noqa: E731
    assert place("", "cam01") == (tmp_path / f"cam01.{ending}", False)
    assert place("", "cam02") == (tmp_path / f"cam02-x.{ending}", False)
    assert place("", "cam03") == (tmp_path / "cam03" / own, False)
    assert place("", "cam04") == (tmp_path / "cam04_x" / f"b.{ending}", False)
    assert place("cam03", "anything") == (tmp_path / "cam03" / own, True)
    with pytest.raises(InputError, match="no keypoints of cam0 "):
        place("", "cam0")
    with pytest.raises(InputError, match="does not exist"):
        place("none", "cam01")
    alone = kind(tmp_path / f"cam01.{ending}")
    alone.digest(Path("cam01.mp4"))
    with pytest.raises(InputError, match="there are several"):
        alone.digest(Path("cam02.mp4"))
    (tmp_path / "cam05").mkdir()
    with pytest.raises(InputError, match="cannot read keypoints"):
        kind(tmp_path).digest(Path("cam05.mp4"))


@pytest.mark.parametrize(("kind", "ending"), [(AlphaPose, "json"), (Npz, "npz"), (OpenPose, "json")])
def test_hidden_files_are_none_of_them(tmp_path, kind, ending):
    for name in (f"frame_0.{ending}", f"._frame_0.{ending}", f".clip.{ending}"):
        (tmp_path / "cam01" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "cam01" / name).touch()
    assert kind(tmp_path).files(kind.place_of(tmp_path, "cam01")[0]) == [tmp_path / "cam01" / f"frame_0.{ending}"]


def test_a_run_that_wrote_them_can_be_named(tmp_path):
    (tmp_path / "cam01" / "openpose").mkdir(parents=True)
    for name in ("report.json", "openpose/cam01_000000000000_keypoints.json"):
        (tmp_path / "cam01" / name).touch()
    assert OpenPose.place_of(tmp_path, "cam01") == (tmp_path / "cam01" / "openpose", False)
    assert OpenPose.place_of(tmp_path / "cam01", "cam01") == (tmp_path / "cam01" / "openpose", True)


@pytest.mark.parametrize("kind", [AlphaPose, Halpe, Coco, Npz, OpenPose])
def test_a_skeleton_that_files_of_a_kind_do_not_have(tmp_path, kind):
    with pytest.raises(UsageError, match="no --model smpl"):
        kind(tmp_path, model="smpl")
