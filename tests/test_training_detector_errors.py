"""Errors of the detector: what is drawn has the stated size and rhythm, and the fit finds what was drawn."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from acted import write_mocap

from benchmarks.detector_errors import describe, written
from benchmarks.detector_errors_film import LIFT, Sample, compare, load, save, scenes
from benchmarks.detector_errors_fit import OFFSET, autocovariance, exact, exchanged, fit
from pipeline.errors import InputError
from pipeline.results import Track2D
from training import detector_errors, views
from training.detector_errors import FILE, LEGS, SEEN, TWINS, DetectorErrors, split
from training.mocap import BODY
from training.normalise import JOINTS
from training.procedural import procedural

QUIET = {"mix": {}, "offset": [0.0, 0.0, 0.0], "hidden": 0.0, "bursts_per_second": 0.0, "burst_frames": 1.0,
         "burst_sd": 0.0, "clip_sd": 0.0, "slow_sd": 0.0, "slow_correlation": 0.9, "quick_sd": 0.0,
         "quick_correlation": 0.0, "score": 2.0, "score_hidden": 0.0, "score_error": 0.0, "score_sd": 0.0}  # fmt: skip
NEVER = {"per_second": 0.0, "frames": 1.0}
MIX = {"elbow": {"wrist": 0.2, "shoulder": -0.05}, "knee": {"ankle": 0.1}}


def table(parts=None, **common):
    """Errors of the same kind for every joint, and nothing else wrong."""
    return {
        "joints": {split(n)[1]: QUIET | common | (parts or {}).get(split(n)[1], {}) for n in SEEN},
        "correlation": np.eye(len(SEEN)).tolist(),
        "spread": {"clip": 0.0, "joint": 0.0, "score": 0.0},
        "exchanged": NEVER | {"whole": 0.5},
    }


def errors(numbers, length=60, seed=0):
    return DetectorErrors(length, torch.Generator().manual_seed(seed), numbers)


@pytest.fixture(scope="module")
def filmed():
    """Exact samples of 24 acted clips, without rendering."""
    found = []
    for scene in scenes(None, 24, seed=3):
        camera = scene.cameras[0](0.0).world_to_camera
        joints = scene.actors[0].body.joints(scene.figures()[0], LIFT.name) @ camera[:3, :3].T + camera[:3, 3]
        found.append(Sample(joints, joints[..., :2] / joints[..., 2:], np.ones(joints.shape[:2])))
    return found


def seen(samples, numbers, seed=0):
    """The samples as a detector with these errors sees them."""
    out = []
    for number, sample in enumerate(samples):
        joints = torch.from_numpy(sample.joints).float()[None]
        body, face = joints[:, :, LIFT.index(*BODY.joints)], joints[:, :, :3]
        rays, scores = errors(numbers, len(sample.joints), seed + number).see(body, face)
        rays = torch.where((scores > 0)[..., None], rays, np.nan)
        out.append(replace(sample, rays=rays[0].double().numpy(), scores=scores[0].double().numpy()))
    return out


@pytest.fixture
def plain(monkeypatch):
    """Without what is added because real films are harder."""
    monkeypatch.setattr(detector_errors, "STRENGTH", 0.0)
    monkeypatch.setattr(detector_errors, "DOUBT", 0.0)


def test_drawn_errors_have_the_stated_size_and_correlation_in_time():
    numbers = table(clip_sd=0.01, slow_sd=0.02, slow_correlation=0.9, quick_sd=0.015, quick_correlation=0.3)
    drawn = errors(numbers).draw(120).double().numpy()
    assert drawn.shape == (120, 60, len(SEEN), 2)
    found = autocovariance([drawn[b, :, j] for b in range(120) for j in range(len(SEEN))], lags=20)
    lag = np.arange(21)
    expected = 0.01**2 + 0.02**2 * 0.9**lag + 0.015**2 * 0.3**lag
    np.testing.assert_allclose(found, expected, rtol=0.12)


def test_drawn_errors_go_together_as_stated():
    numbers, apart = table(slow_sd=0.02), np.eye(len(SEEN))
    knee, ankle = SEEN.index("left_knee"), SEEN.index("left_ankle")
    apart[knee, ankle] = apart[ankle, knee] = 0.6
    drawn = errors(numbers | {"correlation": apart.tolist()}).draw(400)
    both = torch.corrcoef(drawn[:, ::10].permute(2, 0, 1, 3).reshape(len(SEEN), -1))
    assert both[knee, ankle].item() == pytest.approx(0.6, abs=0.05)
    assert abs(both[knee, SEEN.index("right_knee")].item()) < 0.06


def test_joints_are_found_where_the_detector_believes_them(filmed, plain):
    sample = filmed[0]
    found = seen([sample], table({"hip": {"mix": {"other_hip": 0.2}}, "nose": {"offset": [0.0, 0.0, 0.05]}}))[0]
    left, right = LIFT.index("left_hip", "right_hip")
    between = 0.8 * sample.joints[:, left] + 0.2 * sample.joints[:, right]
    np.testing.assert_allclose(found.rays[:, left], between[:, :2] / between[:, 2:], atol=2e-4)
    moved = np.linalg.norm(found.rays[:, 0] - exact(sample)[:, 0], axis=-1) / sample.height
    assert moved.max() < 0.05 and moved.max() > 0.005
    others = [i for i in range(len(SEEN)) if i not in (0, left, right)]
    np.testing.assert_allclose(found.rays[:, others], exact(sample)[:, others], atol=2e-4)


def test_sides_exchanged(filmed, plain):
    always = {"per_second": 1e6, "frames": 1e6}
    found = seen(filmed[:1], table() | {"exchanged": always | {"whole": 0.0}})[0]
    legs, arms = exchanged(found)
    apart = np.linalg.norm(exact(found) - exact(found)[:, TWINS], axis=-1)[:, LEGS].mean(1) / found.height > 0.06
    assert apart.any() and legs[apart].all() and not arms.any()


def test_joints_that_blazepose_lacks_are_missing(filmed):
    found = seen(filmed[:1], table(quick_sd=0.01))[0]
    assert (found.scores[:, : len(SEEN)] > 0).all() and (found.scores[:, len(SEEN) :] == 0).all()
    assert JOINTS.joints[len(SEEN) :] == ("pelvis", "spine", "thorax", "neck_nose", "head_top")


def test_fit_finds_what_was_drawn(filmed, plain):
    parts = {part: {"mix": mix} for part, mix in MIX.items()}
    parts |= {"hand": {"hidden": 0.8}, "ear": {"offset": [-0.02, 0.0, 0.03]}}
    numbers = table(
        parts, slow_sd=0.008, quick_sd=0.004,
        slow_correlation=0.88, score=1.5, score_hidden=-0.6, bursts_per_second=0.15, burst_frames=4.0, burst_sd=0.15,
    )  # fmt: skip
    numbers |= {"spread": {"clip": 0.3, "joint": 0.2, "score": 0.4}}
    numbers |= {"exchanged": {"per_second": 0.3, "frames": 6.0, "whole": 1.0}}
    found = fit([clip for seed in (0, 100, 200) for clip in seen(filmed, numbers, seed)])
    for part, mix in MIX.items():
        for name, weight in found["joints"][part]["mix"].items():
            assert weight == pytest.approx(mix.get(name, 0.0), abs=0.04), (part, name)
    np.testing.assert_allclose(found["joints"]["ear"]["offset"], [-0.02, 0.0, 0.03], atol=0.005)
    rows = found["joints"].values()

    def mean(name):
        return np.mean([row[name] for row in rows])

    assert mean("slow_sd") == pytest.approx(0.008, rel=0.25)
    assert mean("quick_sd") == pytest.approx(0.004, rel=0.25)
    assert found["joints"]["hand"]["hidden"] == pytest.approx(0.8, abs=0.2)
    assert found["joints"]["elbow"]["hidden"] < 0.2
    assert mean("burst_sd") == pytest.approx(0.15, rel=0.2) and mean("burst_frames") == pytest.approx(4, rel=0.3)
    assert mean("bursts_per_second") == pytest.approx(0.15, rel=0.3)
    assert mean("score") == pytest.approx(1.5, abs=0.2) and mean("score_hidden") == pytest.approx(-0.6, abs=0.1)
    assert found["spread"]["clip"] == pytest.approx(0.3, rel=0.3)
    assert found["spread"]["joint"] == pytest.approx(0.2, rel=0.4)
    assert 0.1 < found["exchanged"]["per_second"] < 0.4
    assert describe(filmed, found).count("\n") > 15
    assert DetectorErrors(9, torch.Generator(), json.loads(written(found))).draw(2).isfinite().all()


def test_leaps_of_hidden_joints_are_larger_as_the_fit_takes_for_granted(filmed, plain):
    always = table(bursts_per_second=1e6, burst_frames=1e6, burst_sd=0.01, hidden=1.5)
    joints = torch.from_numpy(filmed[0].joints).float()
    body, points = joints[:, LIFT.index(*BODY.joints)], joints[:, : len(SEEN)]
    rays, _ = errors(always, len(joints)).see(body.expand(64, -1, -1, -1), points[:, :3].expand(64, -1, -1, -1))
    away = (rays[:, :, : len(SEEN)].double().numpy() - exact(filmed[0])) / filmed[0].height
    size, cover = np.sqrt((away**2).mean((0, -1))), detector_errors.hidden(points, body).numpy()
    assert size[cover < 0.01].mean() == pytest.approx(0.01, rel=0.1)
    assert (cover > 0.99).sum() > 20
    assert size[cover > 0.99].mean() == pytest.approx(0.01 * np.exp(1.5), rel=0.15)


def test_the_table_is_complete():
    numbers = json.loads(FILE.read_text(encoding="utf-8"))
    assert FILE.stat().st_size < 100_000 and numbers["clips"] >= 30
    assert set(numbers["joints"]) == {split(name)[1] for name in SEEN}
    for part, row in numbers["joints"].items():
        assert set(row) == set(QUIET), part
        assert 0.003 < sum(row[f"{kind}_sd"] ** 2 for kind in ("clip", "slow", "quick")) ** 0.5 < 0.06, part
        assert all(abs(weight) < 0.5 for weight in row["mix"].values()) and max(map(abs, row["offset"])) < 0.08
        assert part in OFFSET or not any(row["offset"])
    among = np.array(numbers["correlation"])
    assert among.shape == (len(SEEN), len(SEEN)) and np.linalg.eigvalsh(among).min() > 0
    np.testing.assert_allclose(among, among[np.ix_(TWINS, TWINS)], atol=2e-3)


def test_an_incomplete_table_is_refused():
    with pytest.raises(InputError, match="errors of BlazePose"):
        errors({name: value for name, value in table().items() if name != "correlation"})
    with pytest.raises(InputError, match="errors of BlazePose"):
        errors(table() | {"exchanged": {}})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"correlation": np.ones((21, 21)).tolist()}, "correlation is not positive definite"),
        ({"correlation": np.eye(20).tolist()}, r"correlation is \(20, 20\), not \(21, 21\)"),
        ({"exchanged": NEVER | {"frames": 0.0, "whole": 0.5}}, "exchanged: frames below 1"),
        ({"joints": table({"knee": {"burst_frames": 0.9}})["joints"]}, "joints: burst_frames below 1"),
        ({"joints": table({"knee": {"slow_sd": 0.1, "slow_correlation": 3.0}})["joints"]}, "in time is not positive"),
    ],
)
def test_a_table_that_cannot_be_drawn_from_is_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        errors(table() | wrong)


def test_a_track_is_compared_with_its_actor(tmp_path):
    """Found 0.02 heights to the right of the truth, in all frames but the first two."""
    scene = scenes(None, 1, seed=5)[0]
    truth = scene.truth()
    pixels = truth.keypoints[0, 0, 2:]
    camera = truth.cameras[0][0]
    depth = (truth.points[0] @ camera.world_to_camera[2, :3] + camera.world_to_camera[2, 3]).mean()
    shift = 0.02 * scene.actors[0].body.proportions.height_m * camera.matrix[0, 0] / depth
    frames = np.arange(2, len(truth.times), dtype=np.int32)
    scores, found = np.ones(pixels.shape[:2], np.float32), np.ones(len(frames), bool)
    boxes = np.zeros((len(frames), 4))
    track = Track2D(4, "blazepose-33", frames, pixels + np.array([shift, 0]), scores, found, boxes)
    far = replace(track, id=5, keypoints=pixels + 900)
    assert compare(scene, [far]) is None
    sample = compare(scene, [far, track])
    assert len(sample.rays) == len(frames)
    off = (sample.rays[:, :9] - exact(sample)[:, :9]) / sample.height
    np.testing.assert_allclose(off.mean((0, 1)), [0.02, 0.0], atol=0.002)
    save([sample, sample], tmp_path / "kept.npz")
    again = load(tmp_path / "kept.npz")
    assert len(again) == 2 and np.array_equal(again[1].rays, sample.rays, equal_nan=True)


def test_views_see_by_fitted_errors_where_the_source_is_blazepose(monkeypatch):
    """With all sources but BlazePose gone, every window lacks the torso, and the same seed gives the same batch."""
    monkeypatch.setattr(views, "SOURCES", ((1.0, views.TORSO), (0.0, [])))
    mocap = procedural(30.0, clips=2)
    for share, broad in ((1.0, 0), (0.0, 40)):
        monkeypatch.setattr(views, "FITTED", share)
        made = views.Views(mocap, 16, 9, torch.Generator().manual_seed(4))
        rows = []
        monkeypatch.setattr(made.broad, "see", _counted(made.broad.see, rows))
        batch = made.batch(40)
        assert sum(rows) == broad
        assert batch.inputs.isfinite().all() and (batch.inputs[:, :, len(SEEN) :] == 0).all()
        again = views.Views(mocap, 16, 9, torch.Generator().manual_seed(4)).batch(40)
        assert torch.equal(batch.inputs, again.inputs)


def _counted(see, rows):
    def count(joints, face):
        rows.append(len(joints))
        return see(joints, face)

    return count


@pytest.mark.slow
def test_command_measures_a_clip_and_writes_what_training_reads(tmp_path, capsys):
    from benchmarks.detector_errors import main

    data, out, kept = write_mocap(tmp_path / "mocap.npz"), tmp_path / "errors.json", tmp_path / "kept.npz"
    main(["--data", str(data), "--clips", "2", "--out", str(out), "--keep", str(kept)])
    assert "| wrist |" in capsys.readouterr().out
    numbers = json.loads(out.read_text())
    assert numbers["clips"] == 2 and DetectorErrors(9, torch.Generator(), numbers).draw(2).isfinite().all()
    sample = load(kept)[0]
    size = np.linalg.norm(sample.rays[:, : len(SEEN)] - exact(sample), axis=-1) / sample.height
    assert np.nanmedian(size) < 0.05 and (sample.scores > 0).any()
