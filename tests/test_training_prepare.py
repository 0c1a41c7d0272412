"""`prepare`: raw distributions come out in the papers' forms; what is wrong with them is told and nothing written."""

import errno
import json
import sys

import numpy as np
import pytest
from commandline import call
from scipy.io import loadmat, savemat
from scipy.spatial.transform import Rotation

from pipeline.skeletons import skeleton
from tests import dataset_files as files
from tests import raw_files
from training.datasets import human36m, mpi_inf_3dhp, prepare, prepare_human36m, prepare_mpi_inf_3dhp, ski_pose
from training.datasets.check import faults

pytest.importorskip("h5py")
JOINTS_3DHP = (
    "spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top", "left_clavicle", "left_shoulder",
    "left_elbow", "left_wrist", "left_hand", "right_clavicle", "right_shoulder", "right_elbow", "right_wrist",
    "right_hand", "left_hip", "left_knee", "left_ankle", "left_foot", "left_toe", "right_hip", "right_knee",
    "right_ankle", "right_foot", "right_toe",
)  # fmt: skip
DROPPED = sorted({4, 5, 9, 10, 11, 16, *range(20, 25), *range(28, 32)})


def prepared(capsys, *arguments):
    code, stdout, stderr = call(capsys, "prepare", *arguments)
    assert code == 0, stderr
    return stdout


def cameras_in(folder, subjects=raw_files.HUMAN36M):
    folder.mkdir(parents=True, exist_ok=True)
    table = files.camera_table("h36m", files.H36M_CAMERAS, subjects, files.H36M_SIZES)
    (folder / "cameras.json").write_text(json.dumps(table))
    return table


def seen(world, lens, place):
    """World joints (...,3) m -> px, by the formulas of VideoPose3D's paper code in SciPy's rotations."""
    w, *xyz = place["orientation"]
    points = Rotation.from_quat([*xyz, w]).inv().apply(world.reshape(-1, 3) - np.array(place["translation"]) / 1000)
    x, y = np.clip(points[:, :2] / points[:, 2:], -1, 1).T
    (k1, k2, k3), (p1, p2), r2 = lens["radial_distortion"], lens["tangential_distortion"], x * x + y * y
    bent = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * x + p2 * y
    columns = [
        f * (value * bent + p * r2) + c
        for f, c, value, p in zip(lens["focal_length"], lens["center"], (x, y), (p1, p2), strict=True)
    ]
    return np.stack(columns, axis=-1).reshape(*world.shape[:-1], 2)


@pytest.mark.parametrize("form", ["cdf.mat", "h5", "cdf"])
def test_human36m(capsys, tmp_path, form):
    if form == "cdf":
        pytest.importorskip("cdflib")
    raw, out, subjects = tmp_path / "raw", tmp_path / "out", ("S1", "S11")
    motions = raw_files.write_human36m(raw, form, subjects)
    table = cameras_in(raw)
    stdout = prepared(capsys, "human36m", raw, "--out", out, "--subjects", "S1,S11")
    assert "data_3d_h36m.npz: 2 subjects, 59 motions, 177 frames" in stdout
    read = list(human36m.read(out))
    assert len(read) == 59 * 4 and {s.name for s in read} >= {"S1/Photo/54138969", "S11/WalkDog 1/60457274"}
    assert "S11/Directions/54138969" not in {s.name for s in read}, "its video is damaged"
    for s in read:
        action = s.action.replace("Photo", "TakingPhoto").replace("WalkDog", "WalkingDog")
        number = files.H36M_CAMERAS.index(s.camera)
        world = (motions[s.subject][action] / np.float32(1000)).astype(float)
        np.testing.assert_array_equal(s.world, np.delete(world, DROPPED, axis=1))
        points = seen(s.world, table["h36m_intrinsics"][number], table["h36m_extrinsics"][s.subject][number])
        np.testing.assert_allclose(s.keypoints, points, rtol=1e-6, atol=1e-3)
        assert s.keypoints.dtype == np.float32 and not [fault for fault in faults(s, exact=True) if "px" in fault]
    with np.load(out / "data_3d_h36m.npz", allow_pickle=True) as stored:
        assert stored["positions_3d"].shape == () and stored["positions_3d"].item()["S1"]["Photo"].dtype == np.float32


def test_all_subjects_of_human36m_are_wanted(capsys, tmp_path):
    raw_files.write_human36m(tmp_path, "cdf.mat", raw_files.HUMAN36M[:-1])
    cameras_in(tmp_path)
    code, _, stderr = call(capsys, "prepare", "human36m", tmp_path, "--out", tmp_path / "out")
    assert code == 3 and "no S11/MyPoseFeatures/D3_Positions/*.cdf in" in stderr
    assert "vision.imar.ro/human3.6m" in stderr and not (tmp_path / "out").exists()
    raw_files.write_human36m(tmp_path, "cdf.mat", raw_files.HUMAN36M[-1:])
    assert "7 subjects, 209 motions" in prepared(capsys, "human36m", tmp_path, "--out", tmp_path / "out")


def spoil_human36m(folder, what):
    raw_files.write_human36m(folder, "cdf.mat", ["S9"])
    table = cameras_in(folder, ["S9"])
    path = folder / "S9/MyPoseFeatures/D3_Positions/Waiting 1.cdf.mat"
    if what == "missing":
        path.unlink()
    elif what == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif what == "key":
        savemat(path, {"pose": loadmat(path)["data"]})
    elif what == "shape":
        savemat(path, {"data": raw_files.cell([np.zeros((5, 51))])})
    elif what == "words":
        savemat(path, {"data": "Waiting"})
    elif what == "no_camera":
        table["h36m_extrinsics"] = {"S1": table["h36m_extrinsics"]["S9"]}
        (folder / "cameras.json").write_text(json.dumps(table))
    elif what == "no_lens":
        del table["h36m_intrinsics"][2]["radial_distortion"]
        (folder / "cameras.json").write_text(json.dumps(table))
    elif what == "no_table":
        (folder / "cameras.json").unlink()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", "holds 29 motions\n  expected are 30\n  try: get the rest from IMAR, http://vision.imar.ro"),
        ("truncated", "cannot read "),
        ("key", "Waiting 1.cdf.mat lacks data\n  it has pose"),
        ("shape", "data should be (frames,96) numbers, not float64 (5, 51)"),
        ("words", "data should be (frames,96) numbers, not <U7 (1,)"),
        ("no_camera", "cameras.json has no cameras of S9\n  it has those of S1"),
        ("no_lens", "the lens of camera 58860488 is not known"),
        ("no_table", "expected cameras.json or h36m_dataset.py"),
    ],
)
def test_what_is_wrong_with_raw_human36m_is_told(capsys, tmp_path, what, message):
    spoil_human36m(tmp_path / "raw", what)
    out = tmp_path / "out"
    code, stdout, stderr = call(capsys, "prepare", "human36m", tmp_path / "raw", "--out", out, "--subjects", "S9")
    assert code == 3 and message in stderr and stdout == ""
    assert not out.exists(), "nothing is written"


def test_a_cut_cdf_file_is_refused(capsys, tmp_path):
    pytest.importorskip("cdflib")
    raw_files.write_human36m(tmp_path, "cdf", ["S9"])
    cameras_in(tmp_path)
    path = tmp_path / "S9/MyPoseFeatures/D3_Positions/Waiting.cdf"
    for kept in (0, 100, len(path.read_bytes()) - 30):
        path.write_bytes(path.read_bytes()[:kept])
        code, _, stderr = call(capsys, "prepare", "human36m", tmp_path, "--out", tmp_path / "out", "--subjects", "S9")
        assert code == 3 and f"cannot read {path}" in stderr


def test_cdf_files_without_cdflib(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cdflib", None)
    folder = tmp_path / "S9/MyPoseFeatures/D3_Positions"
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"{number}.cdf").touch()
    cameras_in(tmp_path)
    code, _, stderr = call(capsys, "prepare", "human36m", tmp_path, "--out", tmp_path / "out", "--subjects", "S9")
    assert code == 4 and "cdflib" in stderr and "pip install -r requirements-train.txt" in stderr


@pytest.mark.parametrize(("given", "copy"), [("mine.json", "cameras.json"), ("mine.py", "h36m_dataset.py")])
def test_a_camera_table_from_elsewhere_comes_along(capsys, tmp_path, given, copy):
    raw_files.write_human36m(tmp_path / "raw", "h5", ["S9"])
    table = cameras_in(tmp_path / "elsewhere")
    text = json.dumps(table) if given.endswith("json") else (
        f"h36m_cameras_intrinsic_params = {table['h36m_intrinsics']!r}\n"
        f"h36m_cameras_extrinsic_params = {table['h36m_extrinsics']!r}\n"
    )  # fmt: skip
    (tmp_path / given).write_text(text)
    arguments = ("human36m", tmp_path / "raw", "--out", tmp_path / "out", "--subjects", "S9")
    prepared(capsys, *arguments, "--cameras", tmp_path / given)
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {copy, "data_2d_h36m_gt.npz", "data_3d_h36m.npz"}
    assert len(list(human36m.read(tmp_path / "out"))) == 120
    prepared(capsys, *arguments)  # the table in --out will do now


@pytest.fixture
def short_takes(monkeypatch):
    """All takes have the 4 frames that `raw_files` writes."""
    for subject, takes in prepare_mpi_inf_3dhp.TAKES.items():
        monkeypatch.setitem(prepare_mpi_inf_3dhp.TAKES, subject, tuple((4, rate) for _, rate in takes))


def test_mpi_inf_3dhp(capsys, monkeypatch, short_takes, tmp_path):
    monkeypatch.setitem(prepare_mpi_inf_3dhp.TAKES, "S2", ((3, 25), (4, 25)))
    raw, out = tmp_path / "raw", tmp_path / "out"
    train = raw_files.write_3dhp_train(raw)
    test = raw_files.write_3dhp_test(raw / "mpi_inf_3dhp_test_set")
    stdout = prepared(capsys, "mpi-inf-3dhp", raw, "--out", out)
    assert "data_train_3dhp.npz: 16 sequences" in stdout and "data_test_3dhp.npz: 6 sequences" in stdout
    read = {s.name: s for s in mpi_inf_3dhp.read_train(out)}
    assert len(read) == 16 * 8 and {s.camera for s in read.values()} == {"0", "1", "2", "4", "5", "6", "7", "8"}
    kept = [JOINTS_3DHP.index(name) for name in skeleton("mpi-inf-3dhp-17").joints]
    for s in read.values():
        points, joints = train[s.subject, int(s.action[3:])][int(s.camera)]
        frames = 3 if (s.subject, s.action) == ("S2", "Seq1") else 4
        np.testing.assert_array_equal(s.keypoints, points[:frames, kept])
        np.testing.assert_array_equal(s.joints, joints[:frames, kept].astype(float) / 1000)
    fast = {"S1/Seq2", "S3/Seq1", "S3/Seq2", "S5/Seq1", "S5/Seq2"}
    assert all(s.fps == (50 if f"{s.subject}/{s.action}" in fast else 25) for s in read.values())
    scored = list(mpi_inf_3dhp.read_test(out))
    assert [s.subject for s in scored] == raw_files.TESTS_3DHP
    for s in scored:
        points, joints, valid = test[s.subject]
        np.testing.assert_array_equal(s.keypoints, points)
        np.testing.assert_array_equal(s.joints, joints.astype(float) / 1000)
        np.testing.assert_array_equal(s.valid, valid)


def test_one_set_of_mpi_inf_3dhp_alone(capsys, short_takes, tmp_path):
    raw_files.write_3dhp_test(tmp_path / "raw")
    stdout = prepared(capsys, "mpi-inf-3dhp", tmp_path / "raw", "--out", tmp_path / "out")
    assert "data_test_3dhp.npz: 6" in stdout and [p.name for p in (tmp_path / "out").iterdir()] == [
        "data_test_3dhp.npz"
    ]
    raw_files.write_3dhp_train(tmp_path / "raw", raw_files.TAKES_3DHP[2:4])
    arguments = ("mpi-inf-3dhp", tmp_path / "raw", "--out", tmp_path / "out")
    code, _, stderr = call(capsys, "prepare", *arguments)
    assert code == 3 and "no S1/Seq1/annot.mat in" in stderr and "vcai.mpi-inf.mpg.de/3dhp-dataset" in stderr
    assert "data_train_3dhp.npz: 2" in prepared(capsys, *arguments, "--subjects", "S2")
    code, _, stderr = call(capsys, "prepare", *arguments, "--subjects", "S2,S9")
    assert code == 2 and "no subject S9" in stderr


def spoil_3dhp(folder, what):
    raw_files.write_3dhp_train(folder, raw_files.TAKES_3DHP[:2])
    raw_files.write_3dhp_test(folder, ["TS1"])
    train, test = folder / "S1/Seq2/annot.mat", folder / "TS1/annot_data.mat"
    if what == "missing":
        train.unlink()
    elif what == "missing_test":
        test.unlink()
    elif what in ("truncated", "truncated_test"):
        path = train if what == "truncated" else test
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 4])
    elif what == "version":
        train.write_bytes(test.read_bytes())
    elif what in ("key", "cameras", "shape", "lengths", "short"):
        arrays = {key: value for key, value in loadmat(train).items() if not key.startswith("__")}
        if what == "key":
            del arrays["univ_annot3"]
        elif what == "cameras":
            arrays["annot2"] = arrays["annot2"][:8]
        elif what == "shape":
            arrays["annot2"][5, 0] = arrays["annot2"][5, 0][:, :34]
        elif what == "short":
            for key in ("annot2", "univ_annot3"):
                arrays[key][8, 0] = arrays[key][8, 0][:3]
        else:
            arrays["univ_annot3"][7, 0] = arrays["univ_annot3"][7, 0][:3]
        savemat(train, arrays)
    else:
        import h5py

        with h5py.File(test, "a") as file:
            if what == "shape_test":
                joints = file["univ_annot3"][:]
                del file["univ_annot3"]
                file["univ_annot3"] = joints.T  # as MATLAB shows it
            else:
                del file["valid_frame"]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", "no S1/Seq2/annot.mat in"),
        ("missing_test", "no TS1/annot_data.mat in"),
        ("truncated", "annot.mat\n  damaged or cut off: "),
        ("truncated_test", "annot_data.mat\n  damaged or cut off: "),
        ("version", "annot.mat is laid out differently\n  Please use HDF reader"),
        ("version", "save it with -v7"),
        ("short", "annot.mat is cut short\n  annot2 of camera 8 has 3 frames, this take 4"),
        ("key", "annot.mat lacks univ_annot3\n  it has annot2, annot3, frames, cameras"),
        ("cameras", "annot2 should be a cell for each of 14 cameras"),
        ("shape", "annot2 of camera 5 should be (frames,56) numbers, not float64 (4, 34)"),
        ("lengths", "univ_annot3 of camera 7 should be (4,84) numbers, not float64 (3, 84)"),
        ("shape_test", "univ_annot3 should be (5,1,17,3) numbers, not float64 (3, 17, 1, 5)"),
        ("key_test", "annot_data.mat lacks valid_frame\n  it has activity_annotation, annot2"),
    ],
)
def test_what_is_wrong_with_raw_3dhp_is_told(capsys, short_takes, tmp_path, what, message):
    spoil_3dhp(tmp_path / "raw", what)
    out = tmp_path / "out"
    arguments = ("mpi-inf-3dhp", tmp_path / "raw", "--out", out, "--subjects", "S1,TS1")
    code, stdout, stderr = call(capsys, "prepare", *arguments)
    assert code == 3 and message in stderr and stdout == ""
    assert "missing" not in what or "vcai.mpi-inf.mpg.de" in stderr
    assert not out.exists(), "nothing is written"


def test_ski_pose(capsys, tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "out"
    for part, frames in (("train", 5), ("test", 4)):
        raw_files.write_ski_pose(raw / part / "labels.h5", files.ski_pose_rows(frames))
    stdout = prepared(capsys, "ski-pose", raw, "--out", out)
    assert "train/labels.h5: 60 rows" in stdout and "test/labels.h5: 48 rows" in stdout
    for part in ("train", "test"):
        given, made = list(ski_pose.read(raw / part)), list(ski_pose.read(out / part))
        assert [s.name for s in made] == [s.name for s in given] and len(made) == 12
        for one, other in zip(given, made, strict=True):
            np.testing.assert_array_equal(other.joints, one.joints)
            np.testing.assert_array_equal(other.keypoints, one.keypoints)
    assert "test/labels.h5" in prepared(capsys, "ski-pose", raw, "--out", tmp_path / "one", "--subjects", "test")
    assert not (tmp_path / "one/train").exists()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", "no test/labels.h5 in"),
        ("truncated", "labels.h5\n  damaged or cut off: "),
        ("cam", "labels.h5 lacks cam\n  it has 2D, 3D"),
        ("2D", "2D should be (48,34) numbers, not float64 (47, 34)"),
        ("3D", "3D should be (48,51) numbers, not float64 (48, 48)"),
    ],
)
def test_what_is_wrong_with_raw_ski_pose_is_told(capsys, tmp_path, what, message):
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw_files.write_ski_pose(raw / "train/labels.h5", files.ski_pose_rows())
    rows = files.ski_pose_rows(4)
    path = raw / "test/labels.h5"
    if what == "cam":
        del rows["cam"]
    elif what == "2D":
        rows["2D"] = rows["2D"][:-1]
    elif what == "3D":
        rows["3D"] = rows["3D"][:, :48]
    raw_files.write_ski_pose(path, rows)
    if what == "missing":
        path.unlink()
    elif what == "truncated":
        path.write_bytes(path.read_bytes()[:-2000])
    code, _, stderr = call(capsys, "prepare", "ski-pose", raw, "--out", out)
    assert code == 3 and message in stderr
    assert what != "missing" or "epfl.ch/labs/cvlab/data/ski-poseptz-dataset" in stderr
    assert not out.exists(), "nothing is written"


def test_raw_files_are_never_overwritten(capsys, tmp_path):
    raw_files.write_ski_pose(tmp_path / "train/labels.h5", files.ski_pose_rows())
    code, _, stderr = call(capsys, "prepare", "ski-pose", tmp_path, "--out", tmp_path / "train" / "..")
    assert code == 2 and "overwritten" in stderr


def test_a_full_disk_leaves_nothing_half_written(capsys, monkeypatch, tmp_path):
    raw_files.write_human36m(tmp_path / "raw", "h5", ["S9"])
    cameras_in(tmp_path / "raw")

    def full(path, **values):
        if "positions_2d" in values:
            path.write_bytes(b"the beginning")
            raise OSError(errno.ENOSPC, "no space")
        prepare.save_npz(path, **values)

    monkeypatch.setattr(prepare_human36m, "save_npz", full)
    arguments = ("human36m", tmp_path / "raw", "--out", tmp_path / "out", "--subjects", "S9")
    code, _, stderr = call(capsys, "prepare", *arguments)
    assert code == 1 and "the disk is full" in stderr and list((tmp_path / "out").iterdir()) == []


def test_wrong_choices_are_told(capsys, tmp_path):
    code, _, stderr = call(capsys, "prepare", "human3.6m", tmp_path, "--out", tmp_path)
    assert code == 2 and "try: human36m" in stderr
    code, _, stderr = call(capsys, "prepare", "human36m", tmp_path / "none", "--out", tmp_path)
    assert code == 3 and "no folder" in stderr
    for name in ("mpi-inf-3dhp", "ski-pose"):
        code, _, stderr = call(capsys, "prepare", name, tmp_path, "--out", tmp_path, "--cameras", tmp_path)
        assert code == 2 and "no camera table" in stderr
