"""Where and how the papers' recipes run: shares of a batch, processes, precisions, Ctrl-C, logs."""

import os
import signal
import struct
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from commandline import call
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from recipe_runs import losses, quick, rows

from pipeline.errors import MissingError, UsageError
from training import journal, motionbert, pstmo, rie, videopose3d_h36m
from training.loop import share, teach
from training.motion_clips import Clips
from training.run import Run, start
from training.settings import changed
from training.tracks import Tracks, read

ROOT = Path(__file__).parent.parent
SMALL = ("--set", "keypoints=gt", "--set", "channels=16")  # for runs of the command line


pytestmark = pytest.mark.usefixtures("one_thread")


def close(one, other, tolerance=1e-4):
    """The rows of two logs, but for the seconds."""
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for name in a.keys() - {"seconds"}:
            assert float(a[name]) == pytest.approx(float(b[name]), rel=tolerance), name


def stages(data, folder):
    """Every kind of stage, its network in evaluation mode, where batch norm does not look at the batch."""
    tracks, clips = Tracks(read(data, "train")), Clips(read(data, "train"), 9, 5)
    networks = {"channels": 16, "dropout": 0.0}
    p = pstmo.small(pstmo.Options(data, keypoints="gt", **networks, spatial=16))
    m = changed(motionbert.small(motionbert.Options(data)), ("channels=32", "heads=2", "frames=9"))
    r = rie.Options(data, latent=8, widths=(3, 3), hidden=16, **networks)
    torch.manual_seed(0)
    yield rie.stage(r, 1, "stage_1", rie.begin(r, 1, None), tracks)
    yield pstmo.masked(p, tracks)
    yield (lifting := pstmo.lifting(p, tracks, None))
    torch.save({"model_pos": lifting.network.state_dict()}, folder / "stage_2.bin")
    yield pstmo.refining(p, tracks, folder / "stage_2.bin", torch.device("cpu"))
    yield motionbert.lifting(m, clips, motionbert.begin(m, 0, None), "scratch")
    yield motionbert.pretraining(m, clips, motionbert.begin(m, 0, None))
    yield videopose3d_h36m.stage(videopose3d_h36m.Options(data, widths=(3, 3), **networks), tracks)


def test_every_loss_is_the_mean_over_shares(h36m, tmp_path):
    for stage in stages(h36m, tmp_path):
        stage.network.eval()
        drawn = stage.draw(torch.randperm(stage.samples)[:24], torch.Generator().manual_seed(1))
        whole = stage.loss(stage.network, drawn)
        parts = [stage.loss(stage.network, share(drawn, number, 3)) for number in range(3)]
        for name in whole:
            mean = sum(float(part[name].detach()) for part in parts) / 3
            assert mean == pytest.approx(float(whole[name].detach()), rel=1e-5), (stage.name, name)


def test_accumulated_gradients_are_the_whole_batch(h36m, tmp_path):
    quick("motionbert", h36m, tmp_path / "whole")
    quick("motionbert", h36m, tmp_path / "shares", "accumulate=3")  # of 16 clips: 6, 5 and 5
    for stage in ("pretrain", "finetune"):
        close(rows(tmp_path / "shares", stage), rows(tmp_path / "whole", stage))
    with pytest.raises(UsageError, match="a batch of 16 is too small"):
        quick("motionbert", h36m, tmp_path / "many", "accumulate=17")


class Killed(Exception):
    """Ends a run as a lost machine does."""


def kill(stage, step, mean):
    if step == 15:
        raise Killed


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_half_precision_learns_and_goes_on_exactly(precision, h36m, tmp_path):
    options = videopose3d_h36m.Options(h36m, widths=(3, 3), channels=32, batch=64, epochs=4, epoch_windows=640)

    def train(out, **run):
        fabric = Fabric(accelerator="cpu", plugins=MixedPrecision(precision, "cpu"))
        fabric.launch()
        torch.manual_seed(0)
        stage = videopose3d_h36m.stage(options, tracks)
        out.mkdir(exist_ok=True)
        teach(fabric, Run(out, precision=precision, log_every=5, **run), stage, "videopose3d-h36m", options)

    tracks = Tracks(read(h36m, "train"))
    train(tmp_path / "a")
    values = [float(loss) for _, loss in losses(tmp_path / "a", "lifter")]
    assert values[-1] < 0.8 * values[0]
    with pytest.raises(Killed):
        train(tmp_path / "b", save_minutes=0.0, progress=kill)
    held = torch.load(tmp_path / "b" / "lifter.last.pt", weights_only=True)
    assert held["config"]["precision"] == precision and bool(held["scaler"]) == (precision == "16-mixed")
    train(tmp_path / "b", resume=True)
    assert losses(tmp_path / "b", "lifter") == losses(tmp_path / "a", "lifter")


def test_places_that_do_not_exist_are_told(h36m, tmp_path, monkeypatch, capsys):
    with pytest.raises(UsageError, match="no precision called 'half'"):
        start(Run(tmp_path, "cpu", precision="half"), ("a",))
    with pytest.raises(UsageError, match="no 16-mixed on this device"), pytest.warns(match="not supported on CPU"):
        start(Run(tmp_path, "cpu", precision="16-mixed"), ("a",))
    with pytest.raises(UsageError, match="cannot train on abacus"):
        start(Run(tmp_path, "abacus"), ("a",))
    code, _, stderr = call(capsys, "train", "rie", "--data", h36m, "--out", tmp_path / "a", "--precision", "64")
    assert code == 2 and "try: 32-true" in stderr
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="4 processes on each of 2 machines"):
        start(Run(tmp_path, "cpu", devices=2), ("a",))
    assert not (tmp_path / "a").exists()


def command(*arguments, program=(sys.executable, "videopose.py"), **options):
    """A process of the command line in a session of its own."""
    line = [*program, "train", *(str(argument) for argument in arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        line, cwd=ROOT, env=environment, start_new_session=True, text=True, stdout=subprocess.PIPE, **options
    )


TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "videopose.py")


@pytest.mark.slow
@pytest.mark.parametrize("way", ["devices", "torchrun"])
def test_two_processes_make_the_run_of_one(way, h36m, tmp_path, capsys):
    line = ("motionbert", "--data", h36m, "--device", "cpu", "--tiny", "--steps", "60", *SMALL)
    code, _, stderr = call(capsys, "train", *line, "--out", tmp_path / "one")
    assert code == 0, stderr
    where = {"args": ("--devices", 2)} if way == "devices" else {"program": TORCHRUN}
    process = command(*line, "--out", tmp_path / "two", *where.pop("args", ()), **where)
    stdout, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and stdout.split() == [str(tmp_path / "two" / "scratch.bin")]
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["scratch.bin", "scratch.csv"]
    close(rows(tmp_path / "two", "scratch"), rows(tmp_path / "one", "scratch"), 1e-3)


@pytest.mark.slow
def test_ctrl_c_saves_and_the_command_goes_on(h36m, tmp_path, capsys):
    line = ("videopose3d-h36m", "--data", h36m, "--device", "cpu", "--tiny", "--steps", "800", *SMALL)
    process = command(*line, "--out", tmp_path / "b", stderr=subprocess.PIPE)
    told = []
    for text in process.stderr:
        told.append(text)
        if "lifter, step 50:" in text:
            process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130 and any("saving after this step" in text for text in told), told
    assert process.stdout.read() == "" and not (tmp_path / "b" / "lifter.bin").exists()
    assert 50 <= torch.load(tmp_path / "b" / "lifter.last.pt", weights_only=True)["step"] < 800
    for out, more in (("a", ()), ("b", ("--resume",))):
        code, stdout, stderr = call(capsys, "train", *line, "--out", tmp_path / out, *more)
        assert code == 0 and stdout.strip() == str(tmp_path / out / "lifter.bin"), stderr
    assert losses(tmp_path / "b", "lifter") == losses(tmp_path / "a", "lifter")
    assert rows(tmp_path / "a", "lifter")[-1]["step"] == "800"


def test_tensorboard_needs_its_package(h36m, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    line = ("train", "rie", "--data", h36m, "--tiny", "--device", "cpu", "--steps", "1", *SMALL)
    code, _, stderr = call(capsys, *line, "--out", tmp_path / "a", "--tensorboard")
    assert code == 4 and "try: pip install -r requirements-train.txt" in stderr and not (tmp_path / "a").exists()


def test_tensorboard_gets_the_rows_of_the_table(h36m, tmp_path, monkeypatch):
    class Writer:
        made, told, closed = [], [], 0

        def __init__(self, folder, purge_step=None):
            self.made.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            self.told.append((step, name, f"{value:.9g}"))

        def close(self):
            type(self).closed += 1

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))
    quick("videopose3d-h36m", h36m, tmp_path, tensorboard=True)
    assert Writer.made == [(str(tmp_path / "tensorboard" / "lifter"), None)] and Writer.closed == 1
    table = rows(tmp_path, "lifter")
    assert Writer.told == [(int(row["step"]), name, row[name]) for row in table for name in list(row)[1:]]
    journal.Journal(tmp_path / "lifter.csv", 10, tensorboard=True).close()
    assert Writer.made[-1][1] == 11 and [row["step"] for row in rows(tmp_path, "lifter")] == ["5", "10"]


def test_tensorboard_reads_its_files(h36m, tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    quick("videopose3d-h36m", h36m, tmp_path, tensorboard=True)
    (file,) = (tmp_path / "tensorboard" / "lifter").iterdir()
    data, place, told = file.read_bytes(), 0, []
    while place < len(data):  # length, its checksum, an event, its checksum
        (length,) = struct.unpack_from("<Q", data, place)
        event = Event.FromString(data[place + 12 : place + 12 + length])
        told += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
        place += 16 + length
    wanted = [(int(row["step"]), float(row["loss"])) for row in rows(tmp_path, "lifter")]
    assert [(step, pytest.approx(value)) for step, tag, value in told if tag == "loss"] == wanted


def test_without_a_writer_the_error_is_ours(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingError, match="needs tensorboardX"):
        journal.summary_writer()
