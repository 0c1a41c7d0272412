"""VideoPose3D's semi-supervised recipe: what is left out of the data, what people without 3D teach, what is saved."""

import numpy as np
import pytest
import torch
from commandline import call
from recipe_runs import losses, rows

from lifters.networks.videopose3d import TemporalModel
from lifters.released import load_into, read_network, read_state
from pipeline.errors import InputError, UsageError
from training import losses as terms
from training import videopose3d_semi
from training.datasets.cameras import project
from training.datasets.clips import fixed_draw, shortened
from training.datasets.human36m import read as read_human36m
from training.run import Run
from training.settings import changed
from training.tracks import Tracks, around, read
from training.videopose3d_semi import Options, people, small

QUICK = ("channels=64", "batch=16", "epochs=12", "warmup=3", "decay=0.85")  # of 35 steps


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def runs(h36m, tmp_path_factory):
    """Folders of a run with all losses, one with none on people without 3D, one without that of their bones."""

    def run(*settings):
        out = tmp_path_factory.mktemp("semi")
        options = changed(small(Options(h36m, keypoints="gt")), (*QUICK, *settings))
        videopose3d_semi.train(options, Run(out, "cpu", log_every=35))
        return out

    return {"all": run(), "supervised": run("projection=no", "bone_length=no"), "no bones": run("bone_length=no")}


def column(out, name):
    return [float(row[name]) for row in rows(out, "lifter")]


def test_losses_fall_and_are_what_counts(runs):
    every, supervised = runs["all"], runs["supervised"]
    assert losses(every, "lifter")[:3] == losses(supervised, "lifter")[:3], "the first epochs are the same"
    names = ("position", "trajectory", "reprojection", "bones")
    for name in names:
        values = column(every, name)
        assert values[-1] < 0.7 * values[0], name
    for out, counted in ((every, names), (supervised, names[:2]), (runs["no bones"], names[:3])):
        for row in rows(out, "lifter")[3:]:
            assert float(row["loss"]) == pytest.approx(sum(float(row[name]) for name in counted), rel=1e-5)


@torch.no_grad()
def lifted(out, sequences, channels=64):
    """What both networks say of all windows, (T,1,17,3) and (T,1,1,3), and the windows."""
    path, tracks = out / "lifter.bin", Tracks(sequences)
    assert set(read_state(path)) == {"model_pos", "model_traj"}
    windows = tracks.windows(torch.arange(len(tracks.keypoints)), around(9))
    parts = []
    for name, joints in (("model_pos", 17), ("model_traj", 1)):
        network = TemporalModel(17, 2, joints, (3, 3), channels).eval()
        load_into(network, read_network(path, name), path)
        parts.append(network.forward_strided(windows.keypoints)[0])
    return *parts, windows


def test_people_without_3d_teach(runs, h36m):
    people_ = [list(part) for part in people(Options(h36m, keypoints="gt", subset=0.2), list(read(h36m, "train")))]

    def measured(name):
        (known, _, _), (others, roots, windows) = (lifted(runs[name], part) for part in people_)
        screen = terms.reprojection(others + roots, windows.keypoints[:, 4, None], windows.lens)
        return float(screen), float(terms.mean_bones(known, others))

    (screen, bones), (without, _), (_, loose) = map(measured, runs)
    assert screen < 0.8 * without, "their 2D is met better"
    assert bones < 0.8 * loose, "their bones are as long as those of the others"


def test_both_networks_lift_people_never_seen(runs, h36m):
    joints, roots, windows = lifted(runs["all"], read(h36m, "test"))
    truth, place = windows.relative[:, 4, None], windows.joints[:, 4, None, :1]
    assert terms.position(joints, truth) < 0.9 * terms.position(truth.mean(0), truth)
    assert terms.position(roots, place) < 0.95 * terms.position(place.mean(0), place)


def test_who_is_labelled(h36m):
    sequences = list(read(h36m, "train"))
    known, others = (list(part) for part in people(Options(h36m, keypoints="gt", subset=0.5), sequences))
    assert {some.subject for some in known} == {"S1"} and {len(some) for some in known} == {25}
    assert {some.subject for some in others} == {"S5", "S6", "S7", "S8"} and {len(some) for some in others} == {50}
    _, others = people(Options(h36m, keypoints="gt", unlabelled=("S8",), downsample=5), sequences)
    assert {(some.subject, len(some), some.fps) for some in others} == {("S8", 10, 10.0)}
    with pytest.raises(InputError, match="no subjects S2"):
        people(Options(h36m, keypoints="gt", labelled=("S2",)), sequences)
    with pytest.raises(InputError, match="no two groups"):
        people(Options(h36m, keypoints="gt", unlabelled=("S1", "S5")), sequences)


def test_a_subset_is_one_stretch_whose_place_hangs_on_the_length(h36m):
    whole = next(read_human36m(h36m, "gt", ("S1",)))
    part = shortened(whole, 0.3, 2)
    first = fixed_draw("50", 50 - 16 + 1)
    assert len(part) == 8 and part.fps == 25.0
    for name in ("keypoints", "joints", "world"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[first : first + 16 : 2])
    assert shortened(whole).keypoints is not None and len(shortened(whole)) == 50
    for share, step in ((0, 1), (1.1, 1), (1, 0)):
        with pytest.raises(UsageError):
            shortened(whole, share, step)


@pytest.mark.parametrize("distorted", [True, False])
def test_projection_is_that_of_the_data(distorted, h36m):
    tracks = Tracks(read(h36m, "train"))
    windows = tracks.windows(torch.tensor([3, 77, tracks.samples - 5]), around(3))
    seen = terms.project(windows.joints.double(), windows.lens.double(), distorted)
    for row in range(3):
        expected = project(windows.joints[row].double().numpy(), windows.lens[row].double().numpy(), distorted)
        np.testing.assert_allclose(seen[row].numpy(), expected, atol=1e-12)
    assert float(terms.reprojection(windows.joints, windows.keypoints, windows.lens)) < 1e-5


def test_command(h36m, tmp_path, capsys):
    line = ("train", "videopose3d-semi", "--data", h36m, "--tiny", "--device", "cpu", "--steps", "2")
    code, stdout, stderr = call(capsys, *line, "--out", tmp_path / "a", "--set", "keypoints=gt")
    assert code == 0 and stdout.strip() == str(tmp_path / "a" / "lifter.bin"), stderr
