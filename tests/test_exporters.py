"""poses.npz and poses.csv: what is written comes back, byte for byte the same each time."""

import csv
import math
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as random_arrays

from exporters import EXPORTERS, npz
from pipeline.choices import choose
from pipeline.errors import OutputError, UsageError
from pipeline.results import Camera, ClipInfo, Motion3D, Scene, Track2D, View
from pipeline.skeletons import skeleton


def exporter(name):
    return choose("format", name, EXPORTERS)


def info(frames, path="clip.mp4"):
    return ClipInfo(path, 640, 480, np.arange(frames) / 30, 30.0)


def camera():
    pose = np.eye(4)
    pose[:3] = [[1, 0, 0, 0.5], [0, 0, 1, -4], [0, -1, 0, 1.5]]
    return Camera(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), (640, 480), camera_to_world=pose)


def person(number, first, joints, kind="h36m-23", contacts=None):
    frames = np.arange(first, first + len(joints), dtype=np.int32)
    scores = np.where(np.isnan(joints[..., 0]), 0, 0.75).astype(np.float32)
    return Motion3D(
        number, kind, "world", frames, joints, scores, joints[:, 0], np.arange(len(joints)) % 3 > 0, contacts
    )


def track(number, first, count, kind="blazepose-33"):
    joints = len(skeleton(kind))
    points = np.random.default_rng(number).uniform(0, 400, (count, joints, 2)).astype(np.float32)
    frames = np.arange(first, first + count, dtype=np.int32)
    boxes = np.concatenate([points.min(1), points.max(1)], 1)
    return Track2D(number, kind, frames, points, np.full((count, joints), 0.5, np.float32), np.ones(count, bool), boxes)


def random_scene(seed=0, spans=((0, 12), (5, 20))):
    draw = np.random.default_rng(seed)
    people = [person(n + 1, a, draw.normal(size=(b - a, 23, 3)).astype(np.float32)) for n, (a, b) in enumerate(spans)]
    return Scene(info(20), camera(), [track(n + 1, a, b - a) for n, (a, b) in enumerate(spans)], people)


def test_npz_follows_the_schema(tmp_path):
    scene = random_scene()
    npz.write(scene, tmp_path / "poses.npz")
    got = npz.read(tmp_path / "poses.npz")
    shapes = {
        "schema": (), "times": (20,), "frame_size": (2,), "person_ids": (2,), "observed": (2, 20),
        "joint_names": (23,), "joints_camera_m": (2, 20, 23, 3), "joints_world_m": (2, 20, 23, 3),
        "joint_scores": (2, 20, 23), "keypoint_names": (33,), "keypoints_px": (2, 20, 33, 2),
        "keypoint_scores": (2, 20, 33), "camera_matrix": (3, 3), "distortion": (5,), "camera_to_world": (4, 4),
    }  # fmt: skip
    assert {name: value.shape for name, value in got.items()} == shapes
    assert got["schema"] == 1
    assert got["frame_size"].tolist() == [640, 480]
    assert got["person_ids"].tolist() == [1, 2]
    assert got["joint_names"].tolist()[:17] == list(skeleton("h36m-17").joints)
    assert got["observed"].dtype == bool
    np.testing.assert_array_equal(got["joints_world_m"][1, 5:], scene.people[1].joints)
    assert np.isnan(got["joints_world_m"][1, :5]).all()
    assert np.isnan(got["keypoints_px"][0, 12:]).all()
    assert not got["observed"][1, :5].any()
    assert (got["joint_scores"][1, :5] == 0).all()


def test_camera_and_world_agree(tmp_path):
    npz.write(random_scene(), tmp_path / "poses.npz")
    got = npz.read(tmp_path / "poses.npz")
    ones = np.ones((*got["joints_camera_m"].shape[:3], 1))
    world = np.concatenate([got["joints_camera_m"], ones], -1) @ got["camera_to_world"].T
    np.testing.assert_allclose(world[..., :3], got["joints_world_m"], atol=1e-5)


def test_a_moving_camera_has_a_pose_per_frame():
    scene = random_scene()
    poses = np.repeat(np.eye(4)[None], 20, 0)
    poses[:, 0, 3] = np.arange(20)
    moving = Scene(scene.clip, Camera(np.eye(3), (640, 480), camera_to_world=poses), scene.tracks, scene.people)
    got = npz.arrays(moving)
    shift = got["joints_world_m"] - got["joints_camera_m"]
    np.testing.assert_allclose(shift[0, :12, :, 0], np.repeat(np.arange(12.0)[:, None], 23, 1), atol=1e-5)


def test_contacts_where_they_are_known():
    scene = random_scene()
    contacts = np.random.default_rng(1).uniform(size=(12, 4)).astype(np.float32)
    with_feet = person(1, 0, scene.people[0].joints, contacts=contacts)
    got = npz.arrays(Scene(scene.clip, scene.camera, scene.tracks, [with_feet, scene.people[1]]))
    np.testing.assert_array_equal(got["contacts"][0, :12], contacts)
    assert np.isnan(got["contacts"][1]).all()
    assert got["contact_names"].tolist() == ["left_heel", "left_toe", "right_heel", "right_toe"]


@pytest.mark.parametrize("format", ["npz", "csv"])
def test_nobody(tmp_path, format):
    scene = Scene(info(7, "täglich 走.mp4"), camera(), [], [])
    exporter(format).write(scene, tmp_path / f"niemand ñ.{format}")
    if format == "npz":
        got = npz.read(tmp_path / "niemand ñ.npz")
        assert got["joints_world_m"].shape == (0, 7, 23, 3)
        assert got["keypoints_px"].shape[:2] == (0, 7)
        assert len(got["times"]) == 7
    else:
        assert (tmp_path / "niemand ñ.csv").read_text().splitlines() == ["time_s,frame,person,joint,x_m,y_m,z_m,score"]


@pytest.mark.parametrize("format", ["npz", "csv"])
def test_the_same_scene_gives_the_same_bytes(tmp_path, format, monkeypatch):
    exporter(format).write(random_scene(), tmp_path / "a")
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    exporter(format).write(random_scene(), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@settings(max_examples=25)
@given(
    joints=random_arrays(
        np.float32, (4, 17, 3), elements=st.one_of(st.floats(-100, 100, width=32), st.just(float("nan")))
    ),
    first=st.integers(0, 6),
)
def test_csv_round_trip(tmp_path_factory, joints, first):
    path = tmp_path_factory.mktemp("csv") / "poses.csv"
    scene = Scene(info(10), camera(), [], [person(3, first, joints, "h36m-17")])
    exporter("csv").write(scene, path)
    rows = rows_of(path)
    assert len(rows) == 4 * 17
    names = skeleton("h36m-17").joints
    for number, row in enumerate(rows):
        frame, joint = first + number // 17, number % 17
        assert (int(row["frame"]), int(row["person"]), row["joint"]) == (frame, 3, names[joint])
        assert float(row["time_s"]) == pytest.approx(frame / 30, abs=1e-6)
        for axis, value in zip(("x_m", "y_m", "z_m"), joints[frame - first, joint], strict=True):
            assert row[axis] == "" if math.isnan(value) else float(row[axis]) == pytest.approx(value, abs=6e-5)


def test_csv_is_sorted_by_frame_and_person(tmp_path, monkeypatch):
    module = exporter("csv")
    module.write(random_scene(), tmp_path / "a.csv")
    order = [(int(row["frame"]), int(row["person"])) for row in rows_of(tmp_path / "a.csv")]
    assert order == sorted(order)
    assert len(order) == (12 + 15) * 23
    monkeypatch.setattr(module, "_CHUNK", 4)
    module.write(random_scene(), tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_mixed_skeletons_are_refused(tmp_path):
    joints = np.zeros((3, 17, 3), np.float32)
    scene = Scene(info(5), camera(), [], [person(1, 0, joints, "h36m-17"), person(2, 0, np.zeros((3, 23, 3), "f4"))])
    with pytest.raises(ValueError, match="different skeletons"):
        npz.write(scene, tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


def test_foreign_files_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", times=np.zeros(3))
    with pytest.raises(ValueError, match="schema"):
        npz.read(tmp_path / "a.npz")


@pytest.mark.parametrize("format", EXPORTERS)
def test_unwritable(tmp_path, format):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        exporter(format).write(random_scene(), tmp_path / "file" / "poses")


@pytest.mark.parametrize("format", ["npz", "csv"])
def test_joints_that_are_never_known_are_written_as_unknown(tmp_path, format):
    """As a person of whom a camera sees no hands and one leg only."""
    scene, names = random_scene(), skeleton("h36m-23").joints
    lost = [k for k, name in enumerate(names) if "hand" in name or name in ("right_knee", "right_ankle", "right_toe")]
    joints = scene.people[0].joints.copy()
    joints[:, lost] = np.nan
    scene = replace(scene, people=[person(1, 0, joints), scene.people[1]])
    exporter(format).write(scene, tmp_path / "poses")
    if format == "npz":
        np.testing.assert_array_equal(npz.read(tmp_path / "poses")["joints_world_m"][0, :12], joints)
        return
    rows = list(csv.DictReader((tmp_path / "poses").open(encoding="utf-8")))
    blank = {row["joint"] for row in rows if row["x_m"] == row["y_m"] == row["z_m"] == "" and row["score"] == "0.000"}
    assert blank == {names[k] for k in lost} and len(rows) == 23 * (12 + 15)


def test_unknown_format():
    with pytest.raises(UsageError, match="npz"):
        exporter("bvh2")


def test_many_people_of_a_long_clip_need_little_memory(tmp_path):
    spans = tuple((20 * n, 20 * n + 10) for n in range(100))
    scene = replace(random_scene(spans=spans), clip=info(3000))
    tracemalloc.start()
    npz.write(scene, tmp_path / "poses.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    got = npz.read(tmp_path / "poses.npz")
    whole = got["joints_world_m"].nbytes
    assert peak < whole / 10, f"{peak} bytes while {whole} are written"
    np.testing.assert_array_equal(got["joints_world_m"][99, 1980:1990], scene.people[99].joints)
    assert np.isnan(got["joints_world_m"][99, 1990:]).all()


def views_of(scene, offsets=(0.0, 0.25)):
    """The same scene as two cameras filmed it: the second saw only the first person, and that one late."""
    pose = np.eye(4)
    pose[0, 3] = 3
    bend = np.array([0.1, -0.02, 0.003, 0.001])
    second = Camera(np.diag([700.0, 710, 1]), (800, 600), bend, pose, name="left", fisheye=True, offset_s=offsets[1])
    late, nobody = track(1, 4, 6), track(2, 0, 0)
    clip = ClipInfo("other.mp4", 800, 600, np.arange(30) / 25, 25.0)
    views = View(scene.clip, scene.camera, scene.tracks), View(clip, second, [late, nobody])
    return replace(scene, views=views)


def test_several_views_follow_their_schema(tmp_path):
    scene = views_of(random_scene())
    npz.write(scene, tmp_path / "poses.npz")
    got = npz.read(tmp_path / "poses.npz")
    of_views = {
        "schema": (), "view_names": (2,), "time_offset_s": (2,), "clock_rate": (2,), "fisheye": (2,),
        "frame_size": (2, 2),
        "keypoints_px": (2, 2, 20, 33, 2), "keypoint_scores": (2, 2, 20, 33), "camera_matrix": (2, 3, 3),
        "distortion": (2, 5), "camera_to_world": (2, 4, 4),
    }  # fmt: skip
    one = npz.arrays(random_scene())
    shared = {name: value.shape for name, value in one.items() if name not in of_views}
    assert {name: value.shape for name, value in got.items()} == of_views | shared
    assert one["schema"] == got["schema"] == 1
    assert got["view_names"].tolist() == ["clip", "left"]
    assert got["frame_size"].tolist() == [[640, 480], [800, 600]]
    assert got["time_offset_s"].tolist() == [0, 0.25]
    assert got["clock_rate"].tolist() == [1, 1]
    assert got["fisheye"].tolist() == [False, True]
    assert got["distortion"].tolist() == [[0] * 5, [0.1, -0.02, 0.003, 0.001, 0]]
    np.testing.assert_array_equal(got["keypoints_px"][0], one["keypoints_px"])
    np.testing.assert_array_equal(got["keypoints_px"][1, 0, 4:10], scene.views[1].tracks[0].keypoints)
    assert np.isnan(got["keypoints_px"][1, 1]).all() and (got["keypoint_scores"][1, 1] == 0).all()
    assert np.isnan(got["keypoints_px"][1, 0, :4]).all()
    np.testing.assert_array_equal(got["joints_camera_m"], one["joints_camera_m"])
    for name, value in npz.arrays(scene).items():
        np.testing.assert_array_equal(value, got[name])


def test_one_moving_camera_gives_every_view_a_pose_per_frame():
    scene = views_of(random_scene())
    poses = np.repeat(np.eye(4)[None], 20, 0)
    poses[:, 1, 3] = np.arange(20)
    moving = replace(scene.views[1].camera, camera_to_world=poses, distortion=np.arange(8) / 100, fisheye=False)
    got = npz.arrays(replace(scene, views=(scene.views[0], replace(scene.views[1], camera=moving))))
    assert got["camera_to_world"].shape == (2, 20, 4, 4)
    np.testing.assert_array_equal(got["camera_to_world"][0], np.repeat(scene.camera.camera_to_world[None], 20, 0))
    np.testing.assert_array_equal(got["camera_to_world"][1], poses)
    np.testing.assert_array_equal(got["distortion"], [[0] * 8, np.arange(8) / 100])


def test_several_views_without_people(tmp_path):
    scene = views_of(random_scene())
    views = tuple(replace(view, tracks=[]) for view in scene.views)
    npz.write(replace(scene, people=[], tracks=[], views=views), tmp_path / "poses.npz")
    got = npz.read(tmp_path / "poses.npz")
    assert got["keypoints_px"].shape[:3] == (2, 0, 20)
    assert got["joints_world_m"].shape == (0, 20, 23, 3)
    exporter("csv").write(views_of(random_scene()), tmp_path / "several.csv")
    exporter("csv").write(random_scene(), tmp_path / "one.csv")
    assert (tmp_path / "several.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
