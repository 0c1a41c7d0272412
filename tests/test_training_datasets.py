"""Readers of the field's data sets: what a file holds comes out, and what it should not hold is told."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.errors import InputError
from tests import dataset_files as files
from training.datasets import calibration, human36m, humaneva, motionbert, mpi_inf_3dhp, open_mocap, ski_pose

DETECTORS = (("gt", "h36m-17", 2), ("cpn_ft_h36m_dbb", "h36m-17", 2), ("detectron_pt_coco", "coco-17", 3))
DROPPED = {4, 5, 9, 10, 11, 16, *range(20, 25), *range(28, 32)}


def seen(world, place):
    """World joints in the frame of a camera, by SciPy's rotations."""
    w, *xyz = place["orientation"]
    turned = Rotation.from_quat([*xyz, w]).inv().apply((world - np.array(place["translation"]) / 1000).reshape(-1, 3))
    return turned.reshape(world.shape)


@pytest.mark.parametrize(("detector", "layout"), [(name, layout) for name, layout, _ in DETECTORS])
def test_human36m(tmp_path, detector, layout):
    motions, flat, cameras = files.write_human36m(tmp_path, DETECTORS)
    read = list(human36m.read(tmp_path, detector))
    names = [f"S1/Walking/{c}" for c in files.H36M_CAMERAS] + [f"S1/Walking 1/{c}" for c in files.H36M_CAMERAS]
    assert [s.name for s in read[:8]] == names
    assert len(read) == 16 and not any(s.subject == "S11" for s in read), "S11's Directions are damaged"
    assert {s.action for s in read if s.subject == "S9"} == {"Eating 2", "Directions"}
    for s in read:
        number = files.H36M_CAMERAS.index(s.camera)
        world = np.delete(motions[s.subject][s.action].astype(float), sorted(DROPPED), axis=1)
        place = cameras["h36m_extrinsics"][s.subject][number]
        np.testing.assert_allclose(s.joints, seen(world, place), atol=1e-9)
        np.testing.assert_array_equal(s.world, world)
        np.testing.assert_array_equal(s.keypoints, flat[detector][s.subject][s.action][number][: len(world)])
        assert (s.fps, s.size, s.skeleton_2d) == (50, files.H36M_SIZES[number], layout) and len(s) == len(world)
    assert {s.subject for s in human36m.read(tmp_path, detector, subjects=["S9"])} == {"S9"}


def test_human36m_cameras_from_the_source_of_videopose3d(tmp_path):
    _, _, cameras = files.write_human36m(tmp_path)
    expected = calibration.load_cameras(tmp_path / "cameras.json", "h36m")
    (tmp_path / "cameras.json").unlink()
    with pytest.raises(InputError, match=r"no camera table.*\n.*cameras\.json or h36m_dataset\.py"):
        next(human36m.read(tmp_path))
    path = tmp_path / "h36m_dataset.py"
    path.write_text(
        "raise SystemExit('never run')\n"
        f"h36m_cameras_intrinsic_params = {cameras['h36m_intrinsics']!r}\n"
        f"h36m_cameras_extrinsic_params = {cameras['h36m_extrinsics']!r}\n"
    )
    found = calibration.load_cameras(path, "h36m")
    assert set(found) == {"S1", "S9", "S11"}, "S2's are not known"
    np.testing.assert_array_equal(found["S9"][2].intrinsic(), expected["S9"][2].intrinsic())
    np.testing.assert_array_equal(found["S9"][2].position, expected["S9"][2].position)
    assert len(list(human36m.read(tmp_path))) == 16


@pytest.mark.parametrize("damage", ["short", "no_id", "orientation", "no_table", "no_json", "no_place"])
def test_camera_tables_are_checked(tmp_path, damage):
    cameras = files.camera_table("h36m", files.H36M_CAMERAS, ["S1"], files.H36M_SIZES)
    lens, place = cameras["h36m_intrinsics"][0], cameras["h36m_extrinsics"]["S1"][0]
    text = None
    if damage == "short":
        lens["focal_length"] = [1.0]
    elif damage == "no_id":
        del lens["id"]
    elif damage == "orientation":
        place["orientation"] = [1.0, 1.0, 0, 0]
    elif damage == "no_place":
        del place["translation"]
    elif damage == "no_table":
        del cameras["h36m_extrinsics"]
    else:
        text = "{"
    path = tmp_path / "cameras.json"
    path.write_text(text or json.dumps(cameras))
    with pytest.raises(InputError, match="cannot read the cameras"):
        calibration.load_cameras(path, "h36m")


def test_humaneva(tmp_path):
    motions, flat, cameras = files.write_humaneva(tmp_path)
    read = list(humaneva.read(tmp_path))
    assert len(read) == 15 and read[0].name == "Train/S1/Walking 1 chunk0/C1"
    for s in read:
        number, world = int(s.camera[1]) - 1, motions[s.subject][s.action].astype(float)
        np.testing.assert_allclose(
            s.joints, seen(world, cameras["humaneva_extrinsics"][s.subject[-2:]][number]), atol=1e-9
        )
        np.testing.assert_array_equal(s.keypoints, flat[s.subject][s.action][number])
        assert (s.fps, s.size, s.skeleton_3d, s.skeleton_2d) == (60, (640, 480), "humaneva-15", "coco-17")
    assert len(list(humaneva.read(tmp_path, subjects=["Validate/S2"]))) == 3


def test_mpi_inf_3dhp(tmp_path):
    train, test = files.write_3dhp(tmp_path)
    read = {s.name: s for s in mpi_inf_3dhp.read_train(tmp_path)}
    assert list(read) == ["S1/Seq1/0", "S1/Seq1/1", "S1/Seq1/8", "S1/Seq2/0", "S1/Seq2/4", "S3/Seq1/7"]
    given = train["S1 Seq2"][0]["4"]
    np.testing.assert_allclose(read["S1/Seq2/4"].joints, given["data_3d"] / 1000, rtol=1e-6)
    np.testing.assert_array_equal(read["S1/Seq2/4"].keypoints, given["data_2d"])
    assert (read["S1/Seq2/4"].fps, read["S1/Seq1/0"].fps) == (50, 25)
    assert [s.name for s in mpi_inf_3dhp.read_train(tmp_path, ["S3"])] == ["S3/Seq1/7"]
    scored = list(mpi_inf_3dhp.read_test(tmp_path))
    assert [(s.subject, s.size) for s in scored] == [("TS1", (2048, 2048)), ("TS5", (1920, 1080))]
    assert scored[0].valid.tolist() == test["TS1"]["valid"].ravel().astype(bool).tolist()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_motionbert(tmp_path, protocol):
    path, data = files.write_motionbert(tmp_path, protocol)
    first, second = motionbert.read(path, "test")
    assert (first.name, second.name) == ("S9/Discussion 2/60457274", "S11/WalkTogether 1/58860488")
    assert first.source == "s_09_act_03_subact_02_ca_04" and (len(first), len(second)) == (12, 7)
    test = data["test"]
    np.testing.assert_array_equal(second.keypoints[..., :2], test["joint_2d"][12:])
    np.testing.assert_array_equal(second.keypoints[..., 2], test["confidence"][12:])
    np.testing.assert_allclose(second.joints * 1000, test["joints_2.5d_image"][12:], rtol=1e-6)
    given, label = motionbert.screen(first)
    width, height = first.size
    np.testing.assert_allclose(given[..., 0], test["joint_2d"][:12, :, 0] / width * 2 - 1, atol=1e-6)
    np.testing.assert_allclose(given[..., 1], test["joint_2d"][:12, :, 1] / width * 2 - height / width, atol=1e-6)
    np.testing.assert_allclose(label[..., 2], test["joint3d_image"][:12, :, 2] / width * 2, atol=1e-6)
    back = motionbert.pixels(label, first.size) * first.factor[:, None, None]
    np.testing.assert_allclose(back, test["joints_2.5d_image"][:12], rtol=1e-5)
    assert [s.camera for s in motionbert.read(path, "train")] == ["54138969", "55011271"]


def test_motionbert_clips(tmp_path):
    clips = files.write_clips(tmp_path / "train", frames=27)
    read = list(motionbert.read_clips(tmp_path / "train"))
    assert [s.action for s in read] == ["00000000", "00000001", "00000002"] and read[1].keypoints is None
    np.testing.assert_array_equal(read[2].image_joints, clips[2]["data_label"])
    np.testing.assert_array_equal(read[2].keypoints, clips[2]["data_input"])
    assert all(s.units == "normalised" and len(s) == 27 for s in read)


def test_ski_pose(tmp_path):
    h5py = pytest.importorskip("h5py")
    rows, folder = files.ski_pose_rows(), tmp_path / "test"
    folder.mkdir()
    with h5py.File(folder / "labels.h5", "w") as file:
        for key, values in rows.items():
            file[key] = values
    read = list(ski_pose.read(folder))
    assert len(read) == 12 and read[0].name == "test/3/0" and all(len(s) == 5 for s in read)
    for s in read:
        here = (rows["seq"] == int(s.action)) & (rows["cam"] == int(s.camera))
        mine = [np.flatnonzero(here & (rows["frame"] == frame))[0] for frame in range(5)]
        np.testing.assert_array_equal(s.joints, rows["3D"][mine].reshape(5, 17, 3))
        np.testing.assert_allclose(s.keypoints, rows["2D"][mine].reshape(5, 17, 2) * 256)
    with h5py.File(folder / "labels.h5", "a") as file:
        del file["seq"]
    with pytest.raises(InputError, match="lacks seq"):
        list(ski_pose.read(folder))
    (folder / "labels.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match="cannot read"):
        list(ski_pose.read(folder / "labels.h5"))


def test_open_mocap(tmp_path):
    path = files.write_open_mocap(tmp_path / "mocap.npz")
    first, second = open_mocap.read(path)
    assert (first.name, second.name) == ("cmu01/0/", "cmu55/1/") and (len(first), len(second)) == (6, 9)
    with np.load(path) as data:
        np.testing.assert_allclose(second.world[2], data["rel"][8] + data["root"][8].astype(float), atol=1e-6)
    assert second.fps == 30 and second.skeleton_3d == "h36m-23"
    with np.load(path) as data:
        arrays = dict(data)
    np.savez(path, **(arrays | {"length": np.array([6, 10])}))
    with pytest.raises(InputError, match="not whole"):
        list(open_mocap.read(path))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="cannot read"):
        list(open_mocap.read(path))


@pytest.mark.parametrize(
    ("read", "file", "holder"),
    [
        (human36m.read, "data_3d_h36m.npz", "vision.imar.ro/human3.6m"),
        (humaneva.read, "data_3d_humaneva15.npz", "humaneva.is.tue.mpg.de"),
        (mpi_inf_3dhp.read_train, "data_train_3dhp.npz", "vcai.mpi-inf.mpg.de/3dhp-dataset"),
        (mpi_inf_3dhp.read_test, "data_test_3dhp.npz", "vcai.mpi-inf.mpg.de/3dhp-dataset"),
        (lambda folder: motionbert.read(folder / motionbert.FILE, "test"), motionbert.FILE, "vision.imar.ro/human3.6m"),
        (ski_pose.read, "labels.h5", "epfl.ch/labs/cvlab/data/ski-poseptz-dataset"),
    ],
)
def test_a_missing_file_is_named_with_its_licence_holder(tmp_path, read, file, holder):
    with pytest.raises(InputError) as told:
        list(read(tmp_path))
    assert f"no {file}" in str(told.value) and holder in str(told.value)


@pytest.mark.parametrize("file", ["data_3d_h36m.npz", "data_2d_h36m_gt.npz"])
def test_a_cut_off_file_is_refused(tmp_path, file):
    files.write_human36m(tmp_path)
    whole = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=f"cannot read .*{file}"):
        list(human36m.read(tmp_path))


def spoil_human36m(folder, what):
    motions, flat, _ = files.write_human36m(folder)
    flat, meta = flat["gt"], files.metadata("h36m-17").item()
    if what == "joints":
        motions["S1"]["Walking"] = motions["S1"]["Walking"][:, :17]
    elif what == "short":
        flat["S9"]["Eating 2"][3] = flat["S9"]["Eating 2"][3][:4]
    elif what == "no_action":
        del flat["S1"]["Walking 1"]
    elif what == "camera":
        flat["S1"]["Walking"] = flat["S1"]["Walking"][:3]
    elif what == "order":
        meta["keypoints_symmetry"] = meta["keypoints_symmetry"][::-1]
    elif what == "texts":
        motions["S1"]["Walking"] = np.full((7, 32, 3), "x")
    np.savez(folder / "data_3d_h36m.npz", positions_3d=files.object_array(motions))
    arrays = {"positions_2d": files.object_array(flat), "metadata": files.object_array(meta)}
    np.savez(folder / "data_2d_h36m_gt.npz", **arrays)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("joints", r"S1/Walking should be \(frames,32,3\) numbers, not float32 \(7, 17, 3\)"),
        ("short", "S9/Eating 2 has fewer frames than the motion\n  4 and 6"),
        ("no_action", "has no cameras of S1/Walking 1"),
        ("camera", "has 4 cameras of S1, .*gt.npz 3"),
        ("order", "other joints than h36m-17"),
        ("texts", r"S1/Walking should be \(frames,32,3\) numbers, not <U1"),
    ],
)
def test_another_layout_is_refused(tmp_path, what, message):
    spoil_human36m(tmp_path, what)
    with pytest.raises(InputError, match=message):
        list(human36m.read(tmp_path))


def test_unknown_detectors_and_subjects_are_named(tmp_path):
    files.write_human36m(tmp_path)
    with pytest.raises(InputError, match="no 2D called hourglass\n  known: gt"):
        next(human36m.read(tmp_path, "hourglass"))
    with pytest.raises(InputError, match="no subject S7\n  it has S1, S9, S11"):
        next(human36m.read(tmp_path, subjects=["S1", "S7"]))


def test_other_layouts_of_3dhp_and_motionbert_are_refused(tmp_path):
    train, test = files.write_3dhp(tmp_path)
    test["TS1"]["data_3d"] = test["TS1"]["data_3d"][:-1]
    np.savez(tmp_path / "data_test_3dhp.npz", data=files.object_array(test))
    with pytest.raises(InputError, match=r"TS1/test/0/data_3d should be \(8,17,3\)"):
        list(mpi_inf_3dhp.read_test(tmp_path))
    del train["S1 Seq1"][0]["1"]["data_2d"]
    np.savez(tmp_path / "data_train_3dhp.npz", data=files.object_array(train))
    with pytest.raises(InputError, match="S1/Seq1/1 lacks data_2d\n  it has data_3d"):
        list(mpi_inf_3dhp.read_train(tmp_path))
    path, data = files.write_motionbert(tmp_path)
    data["train"]["camera_name"][9] = "0"
    path.write_bytes(files.pickle.dumps(data))
    with pytest.raises(InputError, match="s_01_act_02_subact_01_ca_02 is of an unknown camera 0"):
        list(motionbert.read(path, "train"))
    data["test"]["confidence"] = data["test"]["confidence"][:-1]
    path.write_bytes(files.pickle.dumps(data))
    with pytest.raises(InputError, match=r"confidence should be \(19,17\)"):
        list(motionbert.read(path, "test"))
