"""The recipe: data, views, and a training run in seconds that learns, stops and goes on."""

import csv
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lifters.released import read_network
from pipeline.errors import InputError, UsageError
from pipeline.skeletons import skeleton
from training.datasets.open_mocap import SHORT
from training.mocap import BODY, UNKNOWN, load_mocap
from training.normalise import JOINTS
from training.run import Run
from training.videopose3d import Options, aligned, build, learning_rate, loss, small, train
from training.views import CHAIN, CHAIN_BONES, CHAIN_SHARE, Views


def motion(rng: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """A person that sways: joints (T,23,3) relative to the pelvis, root (T,3); Z up."""
    height = {"hip": 0, "knee": -0.42, "ankle": -0.84, "heel": -0.9, "toe": -0.9, "spine": 0.22, "thorax": 0.5,
              "neck_nose": 0.6, "head_top": 0.74, "shoulder": 0.49, "elbow": 0.2, "wrist": -0.05, "hand": -0.14,
              "pelvis": 0}  # fmt: skip
    time = np.arange(frames) / 30
    joints = np.zeros((frames, len(BODY), 3))
    for i, name in enumerate(BODY.joints):
        side, _, part = name.partition("_") if name.startswith(("left", "right")) else ("", "", name)
        sign = {"left": 1.0, "right": -1.0}.get(side, 0.0)
        joints[:, i] = [-0.15 * sign, 0.15 if part == "toe" else 0.0, height[part]]
        joints[:, i, 1] += sign * 0.2 * abs(height[part]) * np.sin(4 * time + rng.uniform(0, 0.1))
    root = np.stack([time * 0.5, 0 * time, 0.95 + 0 * time], axis=1)
    return joints, root


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("mocap") / "mocap.npz"
    clips = [motion(rng, n) for n in (50, 90, 20, 70)]
    length = np.array([len(root) for _, root in clips])
    write(
        path,
        rel=np.concatenate([j for j, _ in clips]).astype(np.float16),
        root=np.concatenate([r for _, r in clips]).astype(np.float32),
        contacts=rng.choice([0, 1, UNKNOWN], (length.sum(), 4)).astype(np.uint8),
        start=np.cumsum(length) - length, length=length, fps=np.float32(30),
        subject=np.array(["a", "b", "b", "cmu55"]), joints=np.array([SHORT[name] for name in BODY.joints]),
    )  # fmt: skip
    return path


def write(path, **arrays):
    np.savez(path, **arrays)


def changed(path, out, **arrays):
    data = dict(np.load(path)) | arrays
    write(out, **{key: value for key, value in data.items() if value is not None})
    return out


def test_test_subjects_are_never_trained_on(recorded):
    mocap = load_mocap(recorded)
    assert len(mocap.joints) == 2 * (50 + 90 + 20)
    assert mocap.weights.sum() == pytest.approx(1.0)
    assert mocap.first[55] == 50 and mocap.last[55] == 139


def test_mirrored_half(recorded):
    mocap = load_mocap(recorded)
    half = len(mocap.joints) // 2
    left, right = BODY.index("left_wrist", "right_wrist")
    assert torch.equal(mocap.joints[half:, left, 0], -mocap.joints[:half, right, 0])
    assert torch.equal(mocap.contacts[half:, 0], mocap.contacts[:half, 2])


def test_bad_data(recorded, tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        load_mocap(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(InputError, match="cannot read"):
        load_mocap(tmp_path / "text.npz")
    with pytest.raises(InputError, match="lacks contacts"):
        load_mocap(changed(recorded, tmp_path / "a.npz", contacts=None))
    with pytest.raises(InputError, match="other joints"):
        load_mocap(changed(recorded, tmp_path / "b.npz", joints=np.array(["x"] * 23)))
    with pytest.raises(InputError, match="nothing to train on"):
        load_mocap(changed(recorded, tmp_path / "c.npz", subject=np.array(["cmu55"] * 4)))


@pytest.fixture(scope="module")
def batch(recorded):
    return Views(load_mocap(recorded), 16, 9, torch.Generator().manual_seed(1)).batch(64)


def test_views_have_the_stated_shapes(batch):
    assert batch.inputs.shape == (64, 24, len(JOINTS), 3) and batch.inputs.isfinite().all()
    assert batch.joints.shape == (64, 16, len(BODY), 3) and batch.contacts.shape == (64, 16, 4)
    assert (batch.joints[:, :, 0] == 0).all()
    scores = batch.inputs[..., 2]
    assert scores.min() == 0 and scores.max() == 1
    assert (batch.inputs[..., :2][scores == 0] == 0).all()


def test_bodies_have_one_size_and_rigid_limbs(batch):
    parents = [max(p, 0) for p in BODY.parents]
    lengths = (batch.joints - batch.joints[:, :, parents]).norm(dim=-1)
    size = (lengths[..., CHAIN_BONES] * torch.tensor(CHAIN_SHARE)).sum(-1).mean(1)
    assert (size - CHAIN).abs().max() < 0.05
    shin = lengths[..., BODY.index("left_ankle")[0]]
    assert (shin.std(dim=1) / shin.mean(dim=1)).max() < 0.02
    assert shin.mean(1).std() > 0.01  # proportions vary between windows


def test_truth_lies_under_the_input(recorded, monkeypatch):
    """Seen exactly, the input's directions are those of the truth: about one scale and shift per frame."""
    monkeypatch.setattr("training.broad_errors.FLAWED", 0.0)
    monkeypatch.setattr("training.views.FITTED", 0.0)
    batch = Views(load_mocap(recorded), 16, 9, torch.Generator().manual_seed(2)).batch(64)
    names = [n for n in BODY.joints if n in JOINTS.joints]
    seen = batch.inputs[:, 4:-4][:, :, JOINTS.index(*names)]
    truth, known = batch.joints[:, :, BODY.index(*names)], seen[..., 2] > 0
    correlations = [
        torch.corrcoef(torch.stack([seen[b, t, known[b, t], a], truth[b, t, known[b, t], a]]))[0, 1]
        for b in range(64) for t in (0, 15) for a in (1,)
    ]  # fmt: skip
    assert torch.stack(correlations).median() > 0.98


def test_aligned_loss_is_the_metric():
    from training.metrics import p_mpjpe

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 17, 3)), rng.normal(size=(5, 17, 3))
    assert aligned(torch.from_numpy(a), torch.from_numpy(b)).item() == pytest.approx(p_mpjpe(a, b), abs=1e-9)


def test_unknown_contacts_do_not_count(batch, recorded):
    options = small(Options(recorded))
    options = replace(options, widths=(3, 3))
    torch.manual_seed(0)
    model = build(options).eval()
    unknown = replace(batch, contacts=torch.full_like(batch.contacts, UNKNOWN))
    assert loss(model, unknown)[-1] == 0
    assert loss(model, batch)[-1] > 0.1


def test_learning_rate_rises_stays_and_falls():
    options = Options(Path("x"), steps=100, warmup=10, decay=40, learning_rate=1.0)
    rates = [learning_rate(options, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[30] == 1.0 and rates[99] == pytest.approx(1 / 40)
    assert np.all(np.diff(rates[60:]) < 0)
    short = replace(options, steps=20)
    rates = [learning_rate(short, step) for step in range(20)]
    assert rates[0] == 0.5 and rates[1] == pytest.approx(0.95) and np.all(np.diff(rates[1:]) < 0)
    assert rates[-1] == pytest.approx(1 / 20)


def run(recorded, out, progress=None, seed=0, resume=False, log_every=10, save_minutes=3.0, **changes):
    """The weights of a quick run."""
    where = Run(out, "cpu", seed=seed, resume=resume, log_every=log_every, save_minutes=save_minutes, progress=progress)
    return read_network(train(replace(small(Options(recorded)), **changes), where))


def test_learns_and_is_deterministic(recorded, tmp_path):
    first, second = (run(recorded, tmp_path / n) for n in ("a", "b"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    with (tmp_path / "a" / "lifter.csv").open() as file:
        rows = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(rows) == 3 and rows[-1] < 0.8 * rows[0]
    other = run(recorded, tmp_path / "c", seed=1)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_resumed_run_is_the_same_run(recorded, tmp_path):
    whole = run(recorded, tmp_path / "whole")

    def stop(stage: str, step: int, mean: float) -> None:
        if step == 20:
            raise KeyboardInterrupt

    # The learning rate depends on the last step, so the first half is stopped rather than shortened.
    with pytest.raises(KeyboardInterrupt):
        run(recorded, tmp_path / "parts", stop, save_minutes=0.0)
    resumed = run(recorded, tmp_path / "parts", resume=True)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_ctrl_c_saves_and_the_run_goes_on_as_if_nothing_had_been(recorded, tmp_path):
    def ctrl_c(stage: str, step: int, mean: float) -> None:
        if step == 10:
            signal.getsignal(signal.SIGINT)(signal.SIGINT, None)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(recorded, tmp_path / "parts", ctrl_c, log_every=5)
    assert signal.getsignal(signal.SIGINT) is before
    resumed = run(recorded, tmp_path / "parts", resume=True, log_every=5)
    whole = run(recorded, tmp_path / "whole", log_every=5)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    logs = [[row["loss"] for row in csv.DictReader((tmp_path / n / "lifter.csv").open())] for n in ("parts", "whole")]
    assert logs[0] == logs[1] and len(logs[0]) == 6


def test_nothing_to_resume(recorded, tmp_path):
    with pytest.raises(InputError, match="nothing to resume"):
        run(recorded, tmp_path, resume=True)


def test_a_run_goes_on_with_its_own_options_only(recorded, tmp_path):
    run(recorded, tmp_path)
    for other in ({"seed": 1}, {"learning_rate": 9.0}, {"features": 32}):
        with pytest.raises(InputError, match=f"it has {next(iter(other))} "):
            run(recorded, tmp_path, resume=True, **other)
    run(recorded, tmp_path, resume=True, steps=32)
    with pytest.raises(InputError, match="it has made 32"):
        run(recorded, tmp_path, resume=True, steps=31)


def test_a_run_at_its_end_is_left_alone(recorded, tmp_path):
    run(recorded, tmp_path)
    (card,) = (tmp_path / "cards").iterdir()
    card.write_text("measured")
    run(recorded, tmp_path, resume=True)
    assert card.read_text() == "measured"


def test_a_run_tells_the_frame_rate_of_its_data(recorded, tmp_path):
    run(recorded, tmp_path, steps=1)
    assert torch.load(tmp_path / "lifter.bin", weights_only=True)["fps"] == load_mocap(recorded).fps


def test_two_processes_leave_one_card(recorded, tmp_path):
    program = f"""
from pathlib import Path
from training.videopose3d import main
main(Path({str(recorded)!r}), Path({str(tmp_path)!r}), tiny=True, device="cpu", steps=4, devices=2)
"""
    file = tmp_path / "two.py"
    file.write_text(program)
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, str(file)], env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "cards" / "videopose3d-open.toml").is_file() and (tmp_path / "videopose3d-open.onnx").is_file()
    with (tmp_path / "lifter.csv").open() as log:
        assert [row["step"] for row in csv.DictReader(log)] == ["4"]


def test_a_window_of_one_output_is_refused(recorded, tmp_path):
    with pytest.raises(UsageError, match="only one is an output"):
        run(recorded, tmp_path, frames=9, stride=9)


def test_command_leaves_what_a_run_needs(recorded, tmp_path):
    from checkpoints.card import card
    from lifters.videopose3d import VideoPose3D, track_from_h36m
    from pipeline.results import Camera
    from training.videopose3d import main

    assert main(recorded, tmp_path, tiny=True, device="cpu", steps=12) == tmp_path / "lifter.bin"
    path = tmp_path / "cards" / "videopose3d-open.toml"
    facts = card(path.stem, path.parent)
    assert facts.details["accuracy"] == {} and "# Not measured." in path.read_text()
    assert "studio" not in facts.trained_on, "the tiny recipe takes recorded poses only"
    lifter = VideoPose3D(tmp_path / facts.file)
    pixels = np.random.default_rng(0).uniform(0, 100, (5, len(BODY), 2))
    camera = Camera(np.array([[100.0, 0, 50], [0, 100, 50], [0, 0, 1]]), (100, 100))
    motion = lifter.lift(track_from_h36m(pixels, np.arange(5)), camera, np.arange(5) / 30)
    assert motion.joints.shape == (5, len(skeleton("h36m-23")), 3) and np.isfinite(motion.joints).all()


def test_published_files_are_whole_and_for_everybody(tmp_path):
    from checkpoints.card import card, write_accuracy
    from training.publish import publish

    told = {"steps": 30, "acted": 0.08, "widths": [3, 3], "precision": "32-true", "seed": 7, "commit": "abc"}
    path = publish(build(small(Options(tmp_path))), tmp_path, told)
    assert card(path.stem, path.parent).details["training"] == told
    for figure in (50.0, 40.04):
        write_accuracy(path, "Measured.", {"p_mpjpe_exact_mm": figure})
    plain = tmp_path / "plain"
    plain.touch()
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert sorted(p.suffix for p in files) == ["", ".onnx", ".safetensors", ".toml"]
    assert {p.stat().st_mode for p in files} == {plain.stat().st_mode}
    facts = card(path.stem, path.parent)
    assert facts.details["accuracy"] == {"p_mpjpe_exact_mm": 40.0}
    assert "acted by the studio (8% of the windows)" in facts.trained_on
    assert path.read_text().endswith("# Measured.\n[accuracy]\np_mpjpe_exact_mm = 40.0\n")
    assert "Not measured" not in path.read_text() and facts.details["training"] == told
    (tmp_path / "other.toml").write_text("[accuracy]\n[[sources]]\n")
    with pytest.raises(InputError, match="does not end in a table of accuracy"):
        write_accuracy(tmp_path / "other.toml", "", {})


def test_commit_is_told_in_a_checkout_only(tmp_path):
    from training.publish import commit

    assert commit(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@x.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    (tmp_path / "inside").mkdir()
    assert re.fullmatch("[0-9a-f]{40}", commit(tmp_path)) and commit(tmp_path / "inside") is None
    (tmp_path / "file").touch()
    subprocess.run([*git, "add", "file"], check=True)
    assert commit(tmp_path).endswith("-dirty")


def test_low_frame_rates_leave_straight_lines_alone_and_join_frames_by_them(recorded):
    views = Views(load_mocap(recorded), 8, 27, torch.Generator().manual_seed(0))
    frames, scores = torch.arange(views.length, dtype=torch.float32), torch.ones(64, views.length, len(JOINTS))
    line = frames[None, :, None, None].expand(64, -1, len(JOINTS), 2)
    straight, kept = views._slower(line, scores)
    torch.testing.assert_close(straight, line, atol=1e-4, rtol=0)
    assert torch.equal(kept, scores)
    noise = torch.randn(64, views.length, len(JOINTS), 2, generator=torch.Generator().manual_seed(1))
    slow, _ = views._slower(noise, scores)
    same = (slow == noise).all(dim=(2, 3))
    share = (~same.all(1)).float().mean()
    assert 0.1 < share < 0.5, "some windows are slow, most are not"
    assert (same.sum(1) >= views.length / 3 - 2).all(), "no slower than 10 frames/s: that many are still true frames"
