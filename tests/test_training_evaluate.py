"""`evaluate` on generated data sets gives what the test computes from the same arrays on its own."""

import json

import numpy as np
import pytest
from commandline import call
from scipy.io import loadmat
from scipy.spatial.transform import Rotation

from tests import dataset_files as files

DROPPED = sorted({4, 5, 9, 10, 11, 16, *range(20, 25), *range(28, 32)})


def relative_to_camera(world, place):
    """World joints (T,J,3) turned into a camera's axes, minus the root."""
    w, *xyz = place["orientation"]
    turned = Rotation.from_quat([*xyz, w]).inv().apply(world.reshape(-1, 3)).reshape(world.shape)
    return turned - turned[:, :1]


def guesses(names, joints=17):
    """Predictions by name: small random poses around the origin."""
    return {name: 0.1 * files.rng_of(name, "guess").normal(size=(frames, joints, 3)) for name, frames in names}


def aligned_error(predicted, target):
    """(T,) P-MPJPE by SciPy's rotation fit and the least-squares scale."""
    errors = []
    for p, t in zip(predicted - predicted.mean(1, keepdims=True), target - target.mean(1, keepdims=True), strict=True):
        p = Rotation.align_vectors(t, p)[0].apply(p)
        scale = (p * t).sum() / (p * p).sum()
        errors.append(np.linalg.norm(scale * p - t, axis=-1).mean())
    return np.array(errors)


def run(capsys, *arguments):
    code, stdout, stderr = call(capsys, "evaluate", *arguments, "--json")
    assert code == 0, stderr
    return json.loads(stdout)


@pytest.fixture
def human(tmp_path):
    motions, _, cameras = files.write_human36m(tmp_path, (("cpn_ft_h36m_dbb", "h36m-17", 2), ("gt", "h36m-17", 2)))
    names = [(f"S9/{a}/{c}", n) for a, n in files.H36M_SUBJECTS["S9"].items() for c in files.H36M_CAMERAS]
    stored = guesses(names)
    np.savez(tmp_path / "mine.npz", **stored)
    truth = {}
    for name in stored:
        _, action, camera = name.split("/")
        place = cameras["h36m_extrinsics"]["S9"][files.H36M_CAMERAS.index(camera)]
        truth[name] = relative_to_camera(np.delete(motions["S9"][action].astype(float), DROPPED, axis=1), place)
    return tmp_path, stored, truth


def test_human36m(capsys, human):
    folder, stored, truth = human
    result = run(capsys, folder, "--predictions", folder / "mine.npz")
    groups = {"Eating": [], "Directions": []}
    for name, target in truth.items():
        groups[name.split("/")[1].split()[0]].append((stored[name], target))
    for action, pairs in groups.items():
        row = result["table"]["rows"][action]
        first = np.concatenate([np.linalg.norm(p - t, axis=-1).mean(-1) for p, t in pairs])
        second = np.concatenate([aligned_error(p, t) for p, t in pairs])
        scaled = np.concatenate(
            [np.linalg.norm((p * t).sum((1, 2), keepdims=True) / (p * p).sum((1, 2), keepdims=True) * p - t, axis=-1)
             for p, t in pairs]
        )  # fmt: skip
        steps = np.concatenate([np.linalg.norm(np.diff(p - t, axis=0), axis=-1) for p, t in pairs])
        expected = [1000 * values.mean() for values in (first, second, scaled, steps)]
        given = [row[key] for key in ("mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm", "mpjve_mm")]
        assert given == pytest.approx(expected, abs=1e-6)
    rows = result["table"]["rows"]
    assert result["table"]["mean"]["mpjpe_mm"] == pytest.approx(
        np.mean([r["mpjpe_mm"] for r in rows.values()]), abs=1e-9
    )
    assert result["table"]["frames"] == 40 and result["published_frames"] == 543344
    assert {"method": "RIE, 243 frames", "mpjpe_mm": 44.3, "p_mpjpe_mm": 35.0, "from": "P-STMO's paper"} in result[
        "published"
    ]


def test_the_table_shows_the_papers_beside_ours(capsys, human):
    folder, *_ = human
    out = folder / "result.json"
    arguments = ("evaluate", folder, "--predictions", folder / "mine.npz", "--keypoints", "gt", "--out", out)
    code, stdout, _ = call(capsys, *arguments)
    result = json.loads(out.read_text())
    assert code == 0 and "human36m, 2D gt: 40 frames" in stdout and "P-STMO-S, 243 frames (its paper)" in stdout
    assert f"{result['table']['mean']['mpjpe_mm']:.2f}" in stdout and "29.30" in stdout
    code, stdout, _ = call(capsys, *arguments, "--actions", "Eat")
    assert code == 0 and "Eating" in stdout and "Directions" not in stdout
    assert "P-STMO" not in stdout, "papers tell of all actions"


def test_humaneva(capsys, tmp_path):
    motions, _, cameras = files.write_humaneva(tmp_path)
    names = [
        (f"{s}/{a}/C{c + 1}", n)
        for s, actions in files.EVA_SUBJECTS.items()
        for a, n in actions.items()
        for c in range(3)
    ]
    stored = guesses(names, joints=15)
    np.savez(tmp_path / "mine.npz", **stored)
    subjects = "Validate/S1,Validate/S2"
    result = run(
        capsys, tmp_path, "--predictions", tmp_path / "mine.npz", "--protocol", "humaneva", "--subjects", subjects
    )
    cells = {"Jog S1": [], "Jog S2": []}
    for name, predicted in stored.items():
        part, person, action, camera = name.split("/")
        if part == "Validate":
            place = cameras["humaneva_extrinsics"][person][int(camera[1]) - 1]
            target = relative_to_camera(motions[f"{part}/{person}"][action].astype(float), place)
            cells[f"Jog {person}"].append(np.linalg.norm(predicted - target, axis=-1).mean(-1))
    expected = {name: 1000 * np.concatenate(errors).mean() for name, errors in cells.items()}
    rows = result["table"]["rows"]
    assert {name: row["mpjpe_mm"] for name, row in rows.items()} == pytest.approx(expected, abs=1e-6)
    assert result["table"]["mean"]["mpjpe_mm"] == pytest.approx(np.mean(list(expected.values())), abs=1e-6)
    code, _, stderr = call(
        capsys, "evaluate", tmp_path, "--predictions", tmp_path / "mine.npz", "--protocol", "humaneva"
    )
    assert code == 3 and "no subject Validate/S3" in stderr, "the papers' subjects are not all there"


def test_mpi_inf_3dhp_and_its_matlab_file(capsys, tmp_path):
    _, test = files.write_3dhp(tmp_path)
    stored = {
        f"{name}/test/0": entry["data_3d"] / 1000
        + 0.1 * files.rng_of(name, "guess").normal(size=entry["data_3d"].shape)
        for name, entry in test.items()
    }
    np.savez(tmp_path / "mine.npz", **stored)
    mat = tmp_path / "inference_data.mat"
    arguments = (tmp_path, "--predictions", tmp_path / "mine.npz", "--protocol", "mpi-inf-3dhp", "--mat", mat)
    result = run(capsys, *arguments)
    rows, weights = [], []
    for name, entry in test.items():
        valid = entry["valid"].ravel() == 1
        predicted, target = 1000 * stored[f"{name}/test/0"][valid], entry["data_3d"][valid].astype(float)
        errors = np.linalg.norm(predicted - predicted[:, [14]] - target + target[:, [14]], axis=-1)
        limbs = errors[:, :14]
        area = np.mean([100 * (limbs < threshold).mean() for threshold in range(0, 155, 5)])
        rows.append((100 * (limbs < 150).mean(), area, errors.mean()))
        weights.append(valid.sum())
        given = loadmat(mat)[name]  # the official script subtracts the pelvis from the truth only
        assert given.shape == (3, 17, 1, valid.sum()) and given.dtype == np.float64
        official = np.linalg.norm(given[:, :, 0] - (target - target[:, [14]]).transpose(2, 1, 0), axis=0)
        np.testing.assert_allclose(official.T, errors, atol=1e-6)
    mean = [result["table"]["mean"][key] for key in ("pck_percent", "auc_percent", "mpjpe_mm")]
    assert mean == pytest.approx(np.average(rows, axis=0, weights=weights), abs=1e-4)
    code, _, stderr = call(capsys, "evaluate", *arguments[:3], "--mat", mat)
    assert code == 2 and "--mat" in stderr


def test_motionbert_scores_whole_windows(capsys, tmp_path):
    _, data = files.write_motionbert(tmp_path, test=(500, 243))
    test = data["test"]
    names = ("S9/Discussion 2/60457274", "S11/WalkTogether 1/58860488")
    stored = guesses([(names[0], 500), (names[1], 243)])
    stored[names[0]][486:] = np.nan  # no window reaches the rest
    np.savez(tmp_path / "mine.npz", **stored)
    result = run(capsys, tmp_path, "--predictions", tmp_path / "mine.npz", "--protocol", "human36m-motionbert")
    expected = []
    for name, rows in zip(names, (slice(0, 486), slice(500, 743)), strict=True):
        predicted = stored[name][: rows.stop - rows.start] * 500 * test["2.5d_factor"][rows, None, None]
        target = test["joints_2.5d_image"][rows].astype(float)
        apart = predicted - predicted[:, :1] - target + target[:, :1]
        expected.append(np.linalg.norm(apart, axis=-1).mean())
    rows = result["table"]["rows"]
    assert [rows[a]["mpjpe_mm"] for a in ("Discussion", "WalkTogether")] == pytest.approx(expected, abs=1e-4)
    assert result["table"]["mean"]["mpjpe_mm"] == pytest.approx(np.mean(expected), abs=1e-4)
    assert result["table"]["frames"] == 729


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.pop("S9/Eating 2/54138969"), "it has no S9/Eating 2/54138969; it holds S9/"),
        (
            lambda s: s.update({k: v[:-1] for k, v in s.items()}),
            "S9/Eating 2/54138969: predicted joints (5, 17, 3), true ones (6, 17, 3)",
        ),
        (lambda s: s.update({k: v + 3.0 for k, v in s.items()}), "not root-relative: its root is 5."),
        (
            lambda s: s["S9/Directions/60457274"].fill(np.nan),
            "S9/Directions/60457274: predicted joints that are no numbers",
        ),
        (lambda s: s.update({k: v.astype(str) for k, v in s.items()}), "instead of floating-point numbers"),
    ],
)
def test_predictions_that_do_not_fit_are_told(capsys, human, spoil, message):
    folder, stored, _ = human
    spoil(stored)
    np.savez(folder / "mine.npz", **stored)
    code, stdout, stderr = call(capsys, "evaluate", folder, "--predictions", folder / "mine.npz", "--subjects", "S9")
    assert code == 3 and message in stderr and stdout == ""


def test_unknown_protocols_are_told(capsys, human):
    folder, *_ = human
    code, _, stderr = call(capsys, "evaluate", folder, "--predictions", folder / "mine.npz", "--protocol", "h36m")
    assert code == 2 and "human36m-motionbert" in stderr
    files.write_3dhp(folder)
    arguments = ("evaluate", folder, "--predictions", folder / "mine.npz", "--protocol", "mpi-inf-3dhp")
    code, _, stderr = call(capsys, *arguments, "--keypoints", "gt")
    assert code == 2 and "--keypoints" in stderr


def test_a_data_set_may_be_named_by_its_file(capsys, human):
    folder, *_ = human
    by_folder, by_file = (
        run(capsys, data, "--predictions", folder / "mine.npz") for data in (folder, folder / "data_3d_h36m.npz")
    )
    assert by_folder == by_file
    code, _, stderr = call(capsys, "evaluate", folder / "none", "--predictions", folder / "mine.npz")
    assert code == 3 and "no file or folder" in stderr
