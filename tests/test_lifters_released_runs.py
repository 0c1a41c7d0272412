"""Whole runs with released checkpoints: files, report, cache and errors of every lifter of the field."""

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from commandline import call
from released_files import FILES, pstmo, rie, several, wrapped, write

import pipeline
from checkpoints.store import local
from exporters.npz import read
from pipeline.errors import MissingError, UsageError
from pipeline.skeletons import skeleton

RUNS = [(lifter, name) for name, (lifter, _, _) in FILES.items()] + [
    ("pstmo-fast", "PSTMOS_no_refine_28_4306_h36m_cpn.pth")
]
PSTMO = "PSTMOS_no_refine_28_4306_h36m_cpn.pth"


@pytest.fixture(scope="module")
def detected(clip, tmp_path_factory):
    """An output folder in which the clip's 2D stages are done."""
    out = tmp_path_factory.mktemp("detected")
    pipeline.run(clip, out=out, formats=("npz",))
    return out


@pytest.fixture
def out(detected, tmp_path):
    return shutil.copytree(detected, tmp_path / "out")


def report(out):
    return json.loads((out / "walk" / "report.json").read_text())


@pytest.mark.parametrize(("lifter", "name"), RUNS)
def test_a_run_of_every_released_kind(clip, out, tmp_path, capsys, lifter, name):
    file = write(tmp_path, name)
    arguments = (clip, "--lifter", lifter, "--weights", file, "--formats", "npz,csv", "--out", out)
    code, stdout, stderr = call(capsys, *arguments)
    assert (code, "1 person, 12 frames" in stdout) == (0, True), stderr
    poses = read(out / "walk" / "poses.npz")
    assert tuple(poses["joint_names"]) == skeleton("h36m-17").joints and "contacts" not in poses
    for array in ("joints_world_m", "joints_camera_m"):
        assert poses[array].shape == (1, 12, 17, 3) and np.isfinite(poses[array][0, poses["observed"][0]]).all()
    assert poses["keypoints_px"].shape == (1, 12, 33, 2)
    with (out / "walk" / "poses.csv").open(newline="") as table:
        assert {row["joint"] for row in csv.DictReader(table)} == set(skeleton("h36m-17").joints)
    about = report(out)
    assert about["options"]["lifter"] == lifter and about["options"]["weights"] == str(file)
    used = about["weights"][name]
    assert used["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest() and used["path"] == str(file)
    assert used["keypoints"] in ("h36m-17", "coco-17", "mpi-inf-3dhp-17") and "videopose3d-open" not in about["weights"]
    assert "detect" in about["reused_stages"] and "lift" not in about["reused_stages"]
    code, _, _ = call(capsys, *arguments)
    assert code == 0 and {"lift", "npz", "csv"} <= set(report(out)["reused_stages"])


def test_films_of_seventeen_joints(clip, out, tmp_path):
    file = write(tmp_path, "best_epoch.bin")
    scene = pipeline.run(clip, lifter="motionbert", weights=str(file), out=out, formats=("mp4", "gif"))
    assert scene.people[0].skeleton == "h36m-17" and scene.people[0].frame == "world"
    assert {"side_by_side.mp4", "skeleton.gif"} <= {p.name for p in (out / "walk").iterdir()}


def test_results_belong_to_the_bytes_and_the_name_of_the_file(clip, out, tmp_path):
    def joints(path):
        pipeline.run(clip, lifter="pstmo", weights=path, out=out, formats=("npz",))
        return read(out / "walk" / "poses.npz")["joints_world_m"]

    path = tmp_path / PSTMO
    torch.save(several(pstmo()), path)
    first = joints(path)
    torch.save(several(pstmo(seed=5)), path)
    assert not np.array_equal(joints(path), first, equal_nan=True)
    assert "lift" not in report(out)["reused_stages"]
    torch.save(several(pstmo()), path)
    elsewhere = tmp_path / "other" / PSTMO
    elsewhere.parent.mkdir()
    shutil.copy(path, elsewhere)
    assert np.array_equal(joints(elsewhere), first, equal_nan=True)
    assert "lift" in report(out)["reused_stages"]
    wild = shutil.copy(path, tmp_path / "PSTMOS_in_the_wild.pth")
    assert not np.array_equal(joints(wild), first, equal_nan=True)
    assert report(out)["weights"]["PSTMOS_in_the_wild.pth"]["keypoints"] == "coco-17"


def test_own_weights_given_as_a_file_change_nothing(clip, out, detected):
    from checkpoints.store import find

    path = find("videopose3d-open")
    pipeline.run(clip, weights=path, out=out, formats=("npz",))
    assert (out / "walk" / "poses.npz").read_bytes() == (detected / "walk" / "poses.npz").read_bytes()
    assert list(report(out)["weights"])[-1] == path.name


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--lifter", "rie"), 4, ("rie has no weights of its own", "cpn_pretrained.bin", "--weights FILE")),
        (("--lifter", "rie", "--weights", "nowhere.bin"), 4, ("no weights at nowhere.bin",)),
        (("--weights", "nowhere.bin"), 4, ("no weights at nowhere.bin",)),
        (("--lifter", "blazepose", "--weights", "a.bin"), 2, ("blazepose takes no weights", "a.bin")),
        (("--lifter", "pstm", "--weights", "a.bin"), 2, ("no lifter called 'pstm'", "try: pstmo")),
    ],
)
def test_errors_come_before_the_work(clip, tmp_path, capsys, arguments, code, words):
    found, stdout, stderr = call(capsys, clip, *arguments, "--out", tmp_path / "out")
    assert found == code and not stdout and all(word in stderr for word in words), stderr
    assert len(stderr.strip().splitlines()) <= 4
    assert not (tmp_path / "out" / "walk" / "poses.npz").exists()


def test_weights_of_another_network(clip, tmp_path, capsys):
    file = tmp_path / "epoch_20.bin"
    torch.save(wrapped(rie().state_dict()), file)
    code, _, stderr = call(capsys, clip, "--lifter", "motionbert", "--weights", file, "--out", tmp_path / "out")
    assert code == 3 and "looks like RIE" in stderr and "--lifter rie" in stderr
    file.write_bytes(file.read_bytes()[:1000])
    code, _, stderr = call(capsys, clip, "--lifter", "rie", "--weights", file, "--out", tmp_path / "out")
    assert code == 3 and "cut short" in stderr
    onnx = tmp_path / "a.onnx"
    shutil.copy(local("blazepose-landmark-full"), onnx)
    code, _, stderr = call(capsys, clip, "--weights", onnx, "--out", tmp_path / "out")
    assert code == 3 and ("no ONNX network" in stderr or "not joints and extra" in stderr)
    onnx.write_bytes(b"this is no network")
    code, _, stderr = call(capsys, clip, "--weights", onnx, "--out", tmp_path / "out")
    assert code == 3 and "no ONNX network" in stderr


def test_several_clips_with_one_file(clip, out, tmp_path, capsys):
    file = write(tmp_path, "cpn_pretrained.bin")
    other = shutil.copy(clip, tmp_path / "again.mp4")
    code, stdout, _ = call(capsys, clip, other, "--lifter", "rie", "--weights", file, "--formats", "npz", "--out", out)
    assert code == 0 and stdout.count("1 person") == 2
    np.testing.assert_array_equal(*(read(out / name / "poses.npz")["joints_world_m"] for name in ("walk", "again")))
    with pytest.raises(MissingError):
        pipeline.run(clip, lifter="rie", out=out)
    with pytest.raises(UsageError):
        pipeline.run(clip, lifter="blazepose", weights=str(file), out=out)
