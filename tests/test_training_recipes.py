"""The papers' recipes: they learn, stop and go on; what they leave is read like a published file, and it lifts."""

import signal
from dataclasses import replace
from functools import cache

import acted
import numpy as np
import pytest
import torch
from commandline import call
from recipe_runs import LAST, QUICK, losses, quick, rows, same

from lifters.pstmo import PSTMOLifter
from lifters.released import read_network, read_state
from lifters.variants import recognise
from pipeline.choices import lifter_class
from pipeline.errors import InputError, UsageError
from pipeline.results import Camera, Track2D
from training import pstmo, rie, videopose3d_h36m
from training.datasets import human36m
from training.motion_clips import Clips, in_picture, mirrored
from training.settings import changed
from training.tracks import Tracks, around, read

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(h36m, tmp_path_factory):
    """The folder and last file of a quick run of a recipe, made once."""

    @cache
    def run(name):
        out = tmp_path_factory.mktemp(name)
        return out, quick(name, h36m, out)

    return run


@pytest.fixture(params=QUICK)
def whole(request, trained):
    """Every recipe's name, with its folder and last file."""
    return request.param, *trained(request.param)


def test_the_loss_falls(whole):
    name, out, path = whole
    assert path == out / f"{LAST[name]}.bin"
    for table in sorted(out.glob("*.csv")):
        values = [float(loss) for _, loss in losses(out, table.stem)]
        assert len(values) >= 4 and values[-1] < 0.85 * values[0], table.name


class Killed(Exception):
    """Ends a run as a lost machine does."""


def test_killed_and_resumed_is_the_same_run(whole, h36m, tmp_path):
    name, out, path = whole
    last = LAST[name]

    def kill(stage, step, mean):
        if stage == last and step == 10:
            raise Killed  # a step is logged before it is saved

    # Saved at every step, the last time before step 10; what was logged of step 10 is made again.
    with pytest.raises(Killed):
        quick(name, h36m, tmp_path, save_minutes=0.0, progress=kill)
    assert not (tmp_path / f"{last}.bin").exists()
    again = quick(name, h36m, tmp_path, resume=True)
    assert same(again, path)
    assert losses(tmp_path, last) == losses(out, last)


def test_ctrl_c_saves_and_the_run_goes_on(whole, h36m, tmp_path):
    name, out, path = whole
    first = FIRST.get(name) or min(out.glob("*.csv")).stem

    def interrupt(stage, step, mean):
        if stage == first and step == 5:
            signal.getsignal(signal.SIGINT)(signal.SIGINT, None)  # as Python calls it; a real one ends some test runs

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        quick(name, h36m, tmp_path, progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    held = torch.load(tmp_path / f"{first}.last.pt", weights_only=True)
    assert 5 <= held["step"] <= 6 and held["recipe"] == name and held["config"]["keypoints"] == "gt"
    assert same(quick(name, h36m, tmp_path, resume=True), path)
    assert losses(tmp_path, first) == losses(out, first)
    assert not list(tmp_path.glob("*.last.pt"))


def test_another_seed_is_another_run(whole, h36m, tmp_path):
    name, _, path = whole
    assert not same(quick(name, h36m, tmp_path, seed=1), path)


def test_what_is_left_reads_like_a_published_file(whole):
    name, _, path = whole
    assert list(read_state(path)) == ["model_pos", "model_traj"][: 1 + (name == "videopose3d-semi")]
    found = recognise(read_network(path))
    assert found is not None and found.network == NETWORK.get(name, name)
    held = torch.load(path, weights_only=True)
    assert held["recipe"] == name and held["stage"] == LAST[name] and held["config"]["seed"] == 0
    assert held["fps"] == 50


FIRST = {"pstmo": "stage_1", "motionbert": "pretrain"}
NETWORK = {"videopose3d-h36m": "videopose3d", "videopose3d-semi": "videopose3d", "pstmo": "pstmo-refine"}


@pytest.fixture(scope="module")
def slow_mocap(tmp_path_factory):
    """Motion capture of 30 frames per second."""
    return acted.write_mocap(tmp_path_factory.mktemp("mocap") / "open_mocap.npz", seconds=1.0, fps=30)


@pytest.mark.parametrize("name", QUICK)
def test_lifters_know_the_frame_rate_of_the_data(name, slow_mocap, tmp_path):
    special = {"pstmo": ("refine=no",), "videopose3d-semi": ("labelled=a",)}
    path = quick(name, slow_mocap, tmp_path, "steps=1", *special.get(name, ()))
    lifter = lifter_class(name.partition("-")[0], path)(weights=path)
    assert lifter.convention.rate == 30 and lifter.about["rate"] == "30 frames per second"


def test_pstmo_of_30_frames_per_second_sees_its_windows_in_clips_of_that_rate(slow_mocap, tmp_path):
    """Every second frame of 30; in clips of 15 every one; a clip of 60 is brought to 30."""
    path = quick("pstmo", slow_mocap, tmp_path, "steps=1", "refine=no", "temporal_step=2")
    lifter = PSTMOLifter(path, flip=False)
    sequence = next(read(slow_mocap, "test", cameras=1))
    count, camera = len(sequence), Camera(np.array([[1145, 0, 500], [0, 1145, 500], [0, 0, 1.0]]), sequence.size)
    seen = np.ones((count, 17)), np.ones(count, bool), np.full((count, 4), np.nan)
    track = Track2D(1, "h36m-17", np.arange(count), sequence.keypoints, *seen)
    for fps, step in ((30, 2), (15, 1)):
        windows = Tracks([sequence]).windows(torch.arange(count), around(9, step))
        with torch.no_grad():
            joints = lifter._network(windows.keypoints)[0][:, 0]
        lifted = lifter.lift(track, camera, np.arange(count) / fps).joints
        np.testing.assert_allclose(lifted, joints - joints[:, :1], atol=1e-5)
    even, step = lifter._clock(np.arange(count) / 60)
    assert step == 2 and np.diff(even) == pytest.approx(1 / 30)


def test_data_of_several_frame_rates_is_refused(h36m):
    sequences = list(read(h36m, "train"))
    mixed = [replace(sequences[0], fps=25.0), *sequences[1:]]
    for make in (Tracks, lambda some: Clips(some, 9, 5)):
        with pytest.raises(InputError, match=r"different frame rates\n.*: 25, 50"):
            make(mixed)


def test_a_folder_that_holds_a_run_is_left_alone(h36m, tmp_path):
    with pytest.raises(InputError, match="nothing to resume"):
        quick("rie", h36m, tmp_path, resume=True)
    quick("rie", h36m, tmp_path, "steps=2")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="holds a run already"):
        quick("rie", h36m, tmp_path, "steps=2")
    with pytest.raises(InputError, match="latent 8, not 16"):
        quick("rie", h36m, tmp_path, "steps=2", "latent=16", resume=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_rie_keeps_the_encoders_of_stage_1_in_stage_2(trained):
    out, _ = trained("rie")
    first, second, third = (read_network(out / f"{name}.bin") for name in rie.STAGES)
    weights = [name for name in first if name.startswith(rie.ENCODERS) and not name.endswith(STATISTICS)]
    assert len(weights) == 5 * 11 + 22
    assert all(torch.equal(first[name], second[name]) for name in weights)
    assert not any(torch.equal(second[name], third[name]) for name in weights if name.endswith("conv.weight"))
    moved = "LocalLayer_Torso.expand_bn.running_mean"
    assert not torch.equal(first[moved], second[moved])


STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def test_pstmo_lifts_with_the_encoder_of_stage_1(h36m, tmp_path):
    quick("pstmo", h36m, tmp_path, "refine=no", "steps=3")
    first = recognise(read_network(tmp_path / "stage_1.bin"))
    assert first.network == "pstmo-masked" and first.facts["frames"] == 9
    assert recognise(read_network(tmp_path / "stage_2.bin")).network == "pstmo"
    options = changed(pstmo.small(pstmo.Options(h36m, keypoints="gt")), QUICK["pstmo"][1])
    stage = pstmo.lifting(options, Tracks(read(h36m, "train")), tmp_path / "stage_1.bin")
    before, now = read_network(tmp_path / "stage_1.bin"), stage.network.state_dict()
    shared = [name for name in now if name in before]
    assert {name.partition(".")[0] for name in shared} == {"encoder", "Transformer"}
    assert all(torch.equal(now[name], before[name]) for name in shared)


def test_pstmo_in_the_wild_takes_coco(h36m, tmp_path):
    settings = ("keypoints=detectron_pt_coco", "temporal_step=2")
    path = quick("pstmo", h36m, tmp_path / "a", *settings, "refine=no")
    for stage in ("stage_1", "stage_2"):
        values = [float(loss) for _, loss in losses(tmp_path / "a", stage)]
        assert values[-1] < 0.85 * values[0], stage
    with pytest.raises(UsageError, match="no refinement of coco-17"):
        quick("pstmo", h36m, tmp_path / "b", *settings)
    # The program's own lifter knows from the file what it takes, and how its windows are made.
    lifter = PSTMOLifter(path, flip=False)
    assert lifter.convention.keypoints == "coco-17" and lifter.convention.joints == "h36m-17"
    sequence = next(human36m.read(h36m, "detectron_pt_coco", ("S9",)))
    count, camera = len(sequence), Camera(np.array([[1145, 0, 512], [0, 1144, 516], [0, 0, 1.0]]), sequence.size)
    seen = np.ones((count, 17)), np.ones(count, bool), np.full((count, 4), np.nan)
    track = Track2D(1, "coco-17", np.arange(count), sequence.keypoints, *seen)
    motion = lifter.lift(track, camera, np.arange(count) / 50)
    windows = Tracks([sequence]).windows(torch.arange(count), around(9, 2))
    with torch.no_grad():
        joints = lifter._network(windows.keypoints)[0][:, 0]
    np.testing.assert_allclose(motion.joints, joints - joints[:, :1], atol=1e-5)


def test_refinement_undoes_what_the_picture_tells_better(trained):
    out, _ = trained("pstmo")
    after = rows(out, "refine")[-1]
    assert float(after["loss"]) < 0.9 * float(after["unrefined"])


def test_made_pictures_keep_a_pose_proportions(h36m):
    for sequence in list(read(h36m, "test"))[:4]:
        motion, truth = in_picture(sequence)
        np.testing.assert_allclose(motion[..., :2], truth[..., :2], atol=0.02)  # but for the lens' distortion
        assert (motion[..., 2] == 1).all() and abs(truth[:, 0, 2].mean()) < 0.05
        factor = sequence.joints[:, 0, 2] / sequence.lens.intrinsic()[0]  # metres for half a width, at the root
        pose = (truth - truth[:, :1]) * factor[:, None, None]
        real = sequence.joints - sequence.joints[:, :1]
        np.testing.assert_allclose(pose[..., 2], real[..., 2], atol=1e-9)
        assert np.linalg.norm(pose - real, axis=-1).mean() < 0.08  # perspective remains
    clips = Clips(read(h36m, "test"), 9, 5)
    motion, truth = clips.clips(torch.tensor([0]))
    assert motion.shape == truth.shape == (1, 9, 17, 3)
    assert torch.equal(mirrored(motion)[0, :, 4, 0], -motion[0, :, 1, 0])


def test_motionbert_fine_tunes_a_file_and_reads_its_own_data(tmp_path, trained):
    import pickle

    _, start = trained("motionbert")
    folder = tmp_path / "clips"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(16):
        clip = {"data_input": rng.normal(size=(9, 17, 3)), "data_label": rng.normal(size=(9, 17, 3))}
        (folder / f"{number:08}.pkl").write_bytes(pickle.dumps(clip))
    path = quick("motionbert", folder, tmp_path / "out", "pretrain=no", f"start={start}", "steps=1", "learning_rate=0")
    assert path.name == "finetune.bin" and same(path, start)
    with pytest.raises(InputError, match="does not fit"):
        quick("motionbert", folder, tmp_path / "other", "pretrain=no", f"start={start}", "channels=16")


def test_videopose3d_causal_looks_back_only(h36m, tmp_path):
    path = quick("videopose3d-h36m", h36m, tmp_path, "causal=yes", "steps=2")
    assert recognise(read_network(path)).facts["frames"] == 9
    tracks = Tracks(read(h36m, "train"))
    options = videopose3d_h36m.Options(h36m, widths=(3, 3), channels=16, causal=True, dropout=0.0, batch=8)
    stage = videopose3d_h36m.stage(options, tracks)
    stage.network.eval()
    loss = stage.loss(stage.network, stage.draw(torch.tensor([30]), torch.Generator()))["loss"]
    joints, _ = stage.network(tracks.keypoints[None, 22:31])
    truth = tracks.joints[30] - tracks.joints[30, :1]
    assert loss.item() == pytest.approx((joints[0, 0].detach() - truth).norm(dim=-1).mean().item(), rel=1e-5)


def test_commands(h36m, tmp_path, capsys):
    line = ("train", "rie", "--data", h36m, "--tiny", "--device", "cpu", "--steps", "2", "--set", "keypoints=gt")
    code, stdout, stderr = call(capsys, *line, "--out", tmp_path / "a")
    assert code == 0 and stdout.strip() == str(tmp_path / "a" / "stage_3.bin"), stderr
    code, _, stderr = call(capsys, "train", "rei", "--data", h36m)
    assert code == 2 and stderr.splitlines()[-1].strip() == "try: rie"
    code, _, stderr = call(capsys, *line, "--out", tmp_path / "b", "--set", "latend=3")
    assert code == 2 and "try: latent=" in stderr
    code, _, stderr = call(capsys, *line, "--out", tmp_path / "b", "--set", "latent=many")
    assert code == 2 and "latent" in stderr
    code, _, stderr = call(capsys, "train", "rie", "--data", tmp_path / "none", "--out", tmp_path / "b")
    assert code == 3 and "data_3d_h36m.npz" in stderr


def test_settings_are_read_as_their_types():
    options = rie.Options("x")
    new = changed(options, ["epochs=1,2,3", "decay=.5", "keypoints=gt", "epoch_windows=none", "steps=7", "data=y"])
    assert (new.epochs, new.decay, new.keypoints, new.epoch_windows, new.steps) == ((1, 2, 3), 0.5, "gt", None, 7)
    assert str(new.data) == "y"
    assert replace(new, epochs=options.epochs, decay=options.decay) != options
    with pytest.raises(UsageError):
        changed(options, ["batch"])


def test_motion_capture_is_filmed_exactly(tmp_path):
    path = acted.write_mocap(tmp_path / "mocap.npz", seconds=0.5)
    train, test = (list(read(path, part, cameras=3)) for part in ("train", "test"))
    assert {s.subject for s in train} == {"a", "b"} and {s.subject for s in test} == {"cmu55"}
    assert len(train) == 2 * 7 * 3 and len({s.name for s in train}) == len(train)
    for sequence in train:
        assert sequence.joints[..., 2].min() > 1.5
        inside = (sequence.keypoints > 0) & (sequence.keypoints < 1000)
        assert inside.all(), sequence.name
        ray = sequence.joints[..., :2] / sequence.joints[..., 2:]
        np.testing.assert_allclose(sequence.keypoints, 1145 * ray + 500, atol=1e-6)
        np.testing.assert_allclose(sequence.lens.to_world(sequence.joints), sequence.world, atol=1e-9)
        assert (sequence.joints[:, 10, 1] < sequence.joints[:, 0, 1]).mean() > 0.9, "heads are up, and y is down"
    again = list(read(path, "train", cameras=3))
    assert all(np.array_equal(a.keypoints, b.keypoints) for a, b in zip(train, again, strict=True))


def test_windows_stand_still_beyond_the_ends_and_mirror(h36m):
    tracks = Tracks(read(h36m, "test"))
    count = len(tracks.keypoints)
    windows = tracks.windows(torch.tensor([0, 49, 50, count]), around(5))
    points, joints = windows.keypoints, windows.joints
    assert torch.equal(points[0, 0], tracks.keypoints[0]) and torch.equal(points[0, 2], tracks.keypoints[0])
    assert torch.equal(points[1, 4], tracks.keypoints[49]), "the next track is another one"
    assert torch.equal(points[2, 0], tracks.keypoints[50])
    left, right = 11, 14
    assert torch.equal(points[3, 2, left], tracks.keypoints[0, right] * torch.tensor([-1, 1]))
    assert torch.equal(joints[3, 2, left], tracks.joints[0, right] * torch.tensor([-1, 1, 1]))
    # A mirrored person in front of the mirrored lens is where the mirrored 2D says.
    from training.datasets.cameras import project

    for row in (0, 3):
        seen = project(joints[row].double().numpy(), windows.lens[row].double().numpy())
        np.testing.assert_allclose(points[row], seen, atol=2e-6)
    assert around(5, 2).tolist() == [-4, -2, 0, 2, 4] and around(3, causal=True).tolist() == [-2, -1, 0]
