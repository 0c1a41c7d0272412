"""`train --check`: what data holds, and what is wrong with it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commandline import call

from pipeline.errors import InputError
from tests import dataset_files as files
from training.datasets import human36m, motionbert
from training.datasets.check import check

ROOT = Path(__file__).parent.parent


def make_exact(folder):
    """Put what the cameras see of the 3D into Human3.6M's exact 2D."""
    motions, flat, _ = files.write_human36m(folder)
    for sequence in human36m.read(folder):
        views = flat["gt"][sequence.subject][sequence.action]
        views[files.H36M_CAMERAS.index(sequence.camera)] = sequence.lens.to_pixels(sequence.joints).astype(np.float32)
    write_flat(folder, flat["gt"])
    return motions, flat["gt"]


def write_flat(folder, flat):
    arrays = {"positions_2d": files.object_array(flat), "metadata": files.metadata("h36m-17")}
    np.savez(folder / "data_2d_h36m_gt.npz", **arrays)


def test_human36m_is_described(capsys, tmp_path):
    make_exact(tmp_path)
    (found,) = check(tmp_path)
    assert (found.dataset, found.part) == ("Human3.6M", "2D: gt") and found.faults == []
    assert found.subjects == {"S1": 4 * 12, "S9": 4 * 10} and (found.sequences, found.frames) == (16, 88)
    assert found.fps == {50} and found.actions == {"Walking", "Walking 1", "Eating 2", "Directions"}
    code, stdout, _ = call(capsys, "train", "--check", tmp_path / "data_3d_h36m.npz")
    assert code == 0
    for words in ("Human3.6M, 2D: gt", "S1 (48 frames), S9 (40 frames)", "88 in 16 sequences", "3D h36m-17, metres"):
        assert words in stdout
    assert "faults    none" in stdout


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda motions, flat: motions["S1"].update({a: m * 1000 for a, m in motions["S1"].items()}),
            "is this in metres",
        ),
        (lambda motions, flat: flat["S9"]["Eating 2"].reverse(), "from where the cameras see"),
        (lambda motions, flat: flat["S1"]["Walking"][2].__setitem__((3, 5), np.nan), "1 of 7 frames of keypoints"),
        (
            lambda motions, flat: motions["S9"].pop("Eating 2") is flat["S9"].pop("Directions"),
            "no cameras of S9/Directions",
        ),
        (lambda motions, flat: motions["S1"]["Walking"].fill(0), "all joints in one place"),
    ],
)
def test_faults_are_told(capsys, tmp_path, spoil, message):
    motions, flat = make_exact(tmp_path)
    spoil(motions, flat)
    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d=files.object_array(motions))
    write_flat(tmp_path, flat)
    code, stdout, _ = call(capsys, "train", "--check", tmp_path)
    assert code == 3 and message in stdout and "faults    none" not in stdout


def test_every_data_set_is_known(tmp_path):
    makers = {
        "HumanEva-I": files.write_humaneva,
        "MPI-INF-3DHP": files.write_3dhp,
        "Human3.6M of MotionBERT": files.write_motionbert,
        "clips of MotionBERT": lambda folder: files.write_clips(folder / "train"),
        "motion capture": lambda folder: files.write_open_mocap(folder / "any.npz"),
    }
    for name, make in makers.items():
        folder = tmp_path / name
        folder.mkdir()
        make(folder)
        found = check(folder)
        assert {part.dataset for part in found} == {name}
        assert all(part.frames and part.faults == [] for part in found), [part.faults for part in found]
    assert [part.part for part in check(tmp_path / "MPI-INF-3DHP" / "data_test_3dhp.npz")] == ["test"]
    assert len(check(tmp_path / "Human3.6M of MotionBERT" / motionbert.FILE)) == 2
    assert check(tmp_path / "motion capture" / "any.npz")[0].subjects == {"cmu01": 6, "cmu55": 9}


def test_ski_pose_is_known(tmp_path):
    h5py = pytest.importorskip("h5py")
    (tmp_path / "test").mkdir()
    with h5py.File(tmp_path / "test" / "labels.h5", "w") as file:
        for key, values in files.ski_pose_rows().items():
            file[key] = values
    (found,) = check(tmp_path)
    assert (found.dataset, found.part, found.frames) == ("Ski-Pose PTZ", "test", 60)
    assert check(tmp_path / "test" / "labels.h5")[0].frames == 60


def test_what_is_missing_is_a_fault_or_an_error(capsys, tmp_path):
    with pytest.raises(InputError, match=r"nothing known in .*\n.*data_3d_h36m\.npz"):
        check(tmp_path)
    code, _, stderr = call(capsys, "train", "--check", tmp_path / "none")
    assert code == 3 and "no file or folder" in stderr
    files.write_human36m(tmp_path)
    (tmp_path / "data_2d_h36m_gt.npz").rename(tmp_path / "data_2d_h36m_hourglass.npz")
    (found,) = check(tmp_path)
    assert found.sequences == 0 and "no 2D called hourglass" in found.faults[0]
    (tmp_path / "data_2d_h36m_hourglass.npz").unlink()
    assert "no data_2d_h36m_gt.npz" in check(tmp_path)[0].faults[0]


def test_training_needs_a_recipe_and_data(capsys):
    code, _, stderr = call(capsys, "train", "videopose3d")
    assert code == 2 and "--data" in stderr and "--check" in stderr


def test_checking_needs_no_torch(tmp_path):
    files.write_3dhp(tmp_path)
    code = (
        "import sys; sys.modules['torch'] = None; import videopose;"
        f"videopose.main(['train', '--check', {str(tmp_path)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "MPI-INF-3DHP, train" in done.stdout, done.stderr
