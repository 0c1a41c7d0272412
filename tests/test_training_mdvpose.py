"""MDVPose's recipe: what is learnt from which windows, that runs stop and go on, and EgoBody's evaluation."""

from dataclasses import replace
from functools import partial

import acted
import numpy as np
import pytest
import torch
from commandline import call
from recipe_runs import losses, rows, same
from test_training_scenes import write_egobody, write_ski

from benchmarks import mdvpose as mdvpose_benchmark
from lifters.networks.motionbert import DSTformer
from lifters.released import read_network
from lifters.variants import recognise
from pipeline.choices import lifter_class
from pipeline.errors import InputError, UsageError
from tests import dataset_files as files
from training import mdvpose, scenes
from training.consistency import disagreement, view_agreement
from training.mdvpose import Options, filled, shared_out, small, stage, supervised
from training.mdvpose_network import build, lift
from training.run import Run
from training.scenes import Scenes
from training.settings import changed

pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = ("channels=32", "cameras=3", "frames=9", "stride=9", "batch=8", "epochs=16", "scratch_epochs=40", "warmup=0")
NARROW = ("network=motionbert", "channels=16", "depth=2", "heads=2", "representation=16")


@pytest.fixture(scope="module")
def mocap(tmp_path_factory):
    return acted.write_mocap(tmp_path_factory.mktemp("mocap") / "open_mocap.npz", seconds=1.0, fps=30)


def quick(data, out, *settings, seed=0, resume=False, **run):
    options = changed(small(Options(data)), (*QUICK, *settings))
    return mdvpose.train(options, Run(out, "cpu", seed=seed, resume=resume, log_every=2, **run))


@pytest.fixture(scope="module")
def whole(mocap, tmp_path_factory):
    """Folder and last file of a quick run."""
    out = tmp_path_factory.mktemp("mdvpose")
    return out, quick(mocap, out)


def test_it_learns_from_both_kinds_of_windows(whole):
    out, path = whole
    assert path == out / "finetune.bin" and not list(out.glob("*.last.pt"))
    first, second = ([float(row["loss"]) for row in rows(out, name)] for name in mdvpose.STAGES)
    assert first[-1] < 0.7 * first[0]
    agreed = [float(row["consistency"]) for row in rows(out, "finetune")]
    assert len(second) >= 4 and agreed[-1] < 0.9 * agreed[0]
    for row in rows(out, "finetune"):
        parts = {name: float(row[name]) for name in ("position", "scale", "velocity", "consistency")}
        told = parts["position"] + 0.5 * parts["scale"] + parts["velocity"] + 2 * parts["consistency"]
        assert float(row["loss"]) == pytest.approx(told, rel=1e-5)


class Killed(Exception):
    """Ends a run as a lost machine does."""


@pytest.mark.parametrize("name", mdvpose.STAGES)
def test_killed_and_resumed_is_the_same_run(name, whole, mocap, tmp_path):
    out, path = whole

    def kill(at, step, mean):
        if at == name and step == 4:
            raise Killed

    with pytest.raises(Killed):
        quick(mocap, tmp_path, save_minutes=0.0, progress=kill)
    assert not (tmp_path / f"{name}.bin").exists()
    with pytest.raises(InputError, match="batch 8, not 4"):
        quick(mocap, tmp_path, "batch=4", resume=True)
    again = quick(mocap, tmp_path, resume=True)
    assert same(again, path) and losses(tmp_path, "finetune") == losses(out, "finetune")


def test_without_consistency_the_same_windows_are_drawn(whole, mocap, tmp_path):
    out, path = whole
    other = quick(mocap, tmp_path, "consistency=0")
    assert losses(tmp_path, "scratch") == losses(out, "scratch") and not same(other, path)
    first, second = rows(tmp_path, "finetune")[0], rows(out, "finetune")[0]
    assert float(first["position"]) == pytest.approx(float(second["position"]), rel=0.1)
    assert float(rows(tmp_path, "finetune")[-1]["consistency"]) > float(rows(out, "finetune")[-1]["consistency"])


def test_what_is_left_reads_like_a_published_file(whole, mocap, tmp_path):
    _, path = whole
    found = recognise(read_network(path))
    assert found.network == "videopose3d" and found.facts["frames"] == 9
    held = torch.load(path, weights_only=True)
    assert (held["recipe"], held["stage"], held["fps"]) == ("mdvpose", "finetune", 30)
    assert held["config"]["consistency"] == 2.0 and held["config"]["metres"] is False
    path = quick(mocap, tmp_path, *NARROW, "steps=1")
    assert recognise(read_network(path)).network == "motionbert"
    assert lifter_class("motionbert", path)(weights=path).convention.rate == 30


def of(mocap, *settings, part="train"):
    options = filled(changed(small(Options(mocap)), (*QUICK, *settings)))
    return options, Scenes(scenes.read(mocap, part, cameras=3), options.frames, options.stride, options.metres)


def test_labels_are_looked_at_in_their_share_only(mocap):
    """The truth of the other windows could be anything; their 2D could not."""
    options, found = of(mocap, "labelled=0.3")
    known, others = shared_out(found.samples, 0.3, 5, torch.device("cpu"))
    assert len(known) == round(0.3 * found.samples) and sorted([*known.tolist(), *others.tolist()]) == list(
        range(found.samples)
    )
    network = build(options, 0, None)
    taught = stage(options, "finetune", found, network, 5)
    assert taught.samples == len(known)

    def outcome():
        drawn = taught.draw(torch.arange(4), torch.Generator().manual_seed(3))
        return {name: loss.item() for name, loss in taught.loss(network.eval(), drawn).items()}

    before = outcome()
    there = torch.zeros(len(found.truth), dtype=torch.bool)
    there[found.index[known].flatten()] = True
    found.truth[~there] = 99.0
    assert outcome() == before
    found.motion[~there] *= 0.5
    assert outcome()["consistency"] != before["consistency"] and outcome()["position"] == before["position"]


def test_frames_that_are_not_there_teach_nothing(mocap):
    options, found = of(mocap)
    views = found.windows(torch.arange(6))
    known = views.known.clone()
    known[1], known[2, 0, 3:5] = False, False
    views, predicted = views._replace(known=known), torch.randn(views.truth.shape, requires_grad=True)
    parts = supervised(options, predicted, views)
    parts["loss"].backward()
    assert torch.equal((predicted.grad != 0).any(-1).any(-1), known)
    truth = views.truth - views.truth[:, :, :, :1]
    apart = (predicted - truth).norm(dim=-1)[known]
    assert parts["position"].item() == pytest.approx(apart.mean().item(), rel=1e-6)
    steps = [
        (predicted - truth)[b, v, t + 1].sub((predicted - truth)[b, v, t]).norm(dim=-1)
        for b, v, t in np.ndindex(6, 3, 8) if known[b, v, t] and known[b, v, t + 1]
    ]  # fmt: skip
    assert parts["velocity"].item() == pytest.approx(torch.stack(steps).mean().item(), rel=1e-5)
    nothing = supervised(options, predicted, views._replace(known=torch.zeros_like(known)))
    assert all(part.item() == 0 for part in nothing.values())


@pytest.mark.parametrize("published", [True, False])
def test_the_consistency_is_the_one_asked_for(mocap, published):
    options, found = of(mocap, "metres=yes", f"published={published}", "labelled=1")
    assert options.consistency == (0.01 if published else 2.0)
    network = build(options, 0, None).eval()
    taught = stage(options, "finetune", found, network, 0)
    drawn = taught.draw(torch.arange(5), torch.Generator().manual_seed(3))
    assert len(drawn) == 1
    said = lift(network, drawn[0].motion)
    loss = view_agreement(said - said[:, :, :, :1], drawn[0].seen) if published else disagreement(said, drawn[0].seen)
    parts = taught.loss(network, drawn)
    assert parts["consistency"].item() == pytest.approx(loss.item(), rel=1e-5)
    rest = parts["position"] + 0.5 * parts["scale"] + parts["velocity"]
    assert (parts["loss"] - rest).item() == pytest.approx(options.consistency * loss.item(), rel=1e-4)


def test_frozen_levels_stay(mocap, tmp_path):
    begun = quick(mocap, tmp_path / "a", *NARROW, "steps=1")
    start = f"start={begun}"
    path = quick(mocap, tmp_path / "b", *NARROW, start, "steps=3", "frozen=1", "hidden_views=0.5", "centred=yes")
    assert not (tmp_path / "b" / "scratch.csv").exists()
    before, after = read_network(begun), read_network(path)
    kept = {name for name in before if name.startswith(("joints_embed", "blocks_st.0", "blocks_ts.0"))}
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert kept and not kept & moved and {n.partition(".")[0] for n in moved} >= {"blocks_st", "blocks_ts", "head"}
    with pytest.raises(UsageError, match=r"cannot keep 3 levels .*\n.*has 2"):
        quick(mocap, tmp_path / "c", *NARROW, start, "frozen=3")
    with pytest.raises(InputError, match="does not fit"):
        quick(mocap, tmp_path / "d", *NARROW, start, "channels=32")


def test_options_are_the_papers_for_the_data(mocap, h36m, tmp_path):
    def told(data, *settings):
        o = filled(changed(Options(data), settings))
        return o.epochs, o.learning_rate, o.decay, o.consistency, o.root_relative, o.frozen, o.metres, o.centred

    (tmp_path / "ski").mkdir()
    ski = write_ski(tmp_path / "ski", files.ski_pose_rows(3))
    ego = write_egobody(tmp_path / "ego")
    asked = partial(told, ski, "published=yes")
    assert asked() == (60, 3e-4, 0.97, 0.002, True, 0, True, False)
    assert asked("epochs=7", "metres=no", "consistency=0") == (7, 3e-4, 0.97, 0, True, 0, False, False)
    assert told(h36m, "published=yes") == (60, 1e-4, 0.95, 0.01, True, 0, False, True)
    assert told(ego, "published=yes") == told(ego) == (200, 4e-4, 0.98, 0, False, 4, False, False)
    assert told(ego, "views=kinect", "published=yes") == (200, 4e-4, 0.98, 0.01, False, 4, False, False)
    assert told(ego, "views=kinect")[3] == told(ski)[3] == told(mocap)[3] == 2.0
    for wrong in ("metres=yes", "labelled=0", "labelled=1.5"):
        with pytest.raises(UsageError):
            told(ego, wrong)
    with pytest.raises(UsageError, match="no network called 'rie'"):
        quick(mocap, tmp_path / "out", "network=rie")


@pytest.mark.parametrize("kind", ["ski", "egobody", "human36m"])
def test_every_data_set_is_learnt_from(kind, tmp_path, h36m):
    (tmp_path / "data").mkdir()
    data, settings = h36m, ("keypoints=gt", *NARROW)
    if kind == "ski":
        data, settings = write_ski(tmp_path / "data", files.ski_pose_rows(5)), ("labelled=1",)
    elif kind == "egobody":
        data, settings = write_egobody(tmp_path / "data" / "ego"), (*NARROW, "frozen=1")
    path = quick(data, tmp_path / "out", *settings, "steps=2")
    state = read_network(path)
    assert all(torch.isfinite(value).all() for value in state.values())
    assert len(rows(tmp_path / "out", "finetune")) == 1


def test_global_weights_say_where_the_root_is(tmp_path):
    data = write_egobody(tmp_path / "ego")
    options = filled(changed(small(Options(data)), (*NARROW, "frames=8", "stride=8")))
    assert isinstance(build(options, 0, None), DSTformer)
    found = Scenes(scenes.read(data, "train"), 8, 8)
    views = found.windows(torch.tensor([0]))
    exact = views.truth - torch.tensor([0.0, 0, 1]) * views.truth[:, :, :1, :1]
    assert supervised(options, exact, views)["loss"].item() == pytest.approx(0, abs=1e-5)
    assert supervised(replace(options, root_relative=True), exact, views)["position"] > 0.01


def test_egobody_is_scored_where_there_is_truth(tmp_path, capsys):
    folder = write_egobody(tmp_path / "ego", part="test")
    stored, expected = {}, []
    for s in scenes.read(folder, "test"):
        rng = files.rng_of(s.name)
        stored[s.name] = 0.1 * rng.normal(size=s.joints.shape)
        apart = stored[s.name] - stored[s.name][:, :1] - s.joints + s.joints[:, :1]
        expected.append(np.linalg.norm(apart[s.valid], axis=-1).mean())
    np.savez(tmp_path / "mine.npz", **stored)
    line = ("evaluate", folder, "--predictions", tmp_path / "mine.npz", "--protocol", "egobody")
    code, stdout, stderr = call(capsys, *line)
    assert code == 0, stderr
    mean = stdout.splitlines()[-1].split()
    assert mean[0] == "mean" and float(mean[1]) == pytest.approx(1000 * np.mean(expected), abs=0.006)


def test_the_benchmark_prints_its_table(mocap, capsys):
    mdvpose_benchmark.main(["--data", str(mocap), "--steps", "3", "--seeds", "2", "--labelled", "0.2", "--published"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("70 windows of four views, 14 with labels")
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    assert [row[0] for row in table] == ["seed", "---", "0", "1", "mean ± sd"] and {len(row) for row in table} == {8}
    errors = np.array([row[1:] for row in table[2:4]], float)
    assert (errors > 20).all() and (errors < 1000).all() and (errors[0] != errors[1]).any()
    means = [float(cell.split()[0]) for cell in table[-1][1:]]
    np.testing.assert_allclose(means, errors.mean(0), atol=0.11)
    with pytest.raises(SystemExit, match="--data names it"):
        mdvpose_benchmark.main(["--data", str(mocap.parent)])


def test_command(mocap, tmp_path, capsys):
    line = ("train", "mdvpose", "--data", mocap, "--tiny", "--device", "cpu", "--steps", "2", "--out", tmp_path / "a")
    code, stdout, stderr = call(capsys, *line)
    assert code == 0 and stdout.strip() == str(tmp_path / "a" / "finetune.bin"), stderr
    code, stdout, _ = call(capsys, "train", "mdvpose", "--help")
    assert code == 0 and "labelled=1.0" in stdout and "hidden_views=0.0" in stdout
