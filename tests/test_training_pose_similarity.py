"""The recipe of LightTrack's pose similarity: pairs, the loss, a run in seconds, weights that NumPy computes with."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from acted import write_mocap
from recipe_runs import losses

from benchmarks.pose_similarity import auc
from checkpoints.card import card
from checkpoints.store import sha256
from trackers.pose_similarity import JOINTS, SAME_PERSON, load
from training.mocap import load_mocap
from training.pose_pairs import GROUP, PosePairs
from training.pose_similarity import Network, Options, contrast, distances, equal_error, folded, small, train
from training.run import Run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return write_mocap(tmp_path_factory.mktemp("mocap") / "mocap.npz", subjects=("a", "b", "c", "cmu55"))


def pairs(mocap, groups=64, seed=0, **between):
    return PosePairs(mocap, 1.0, torch.Generator().manual_seed(seed)).pairs(groups, **between)


def test_pairs_are_nodes_of_one_person_that_part_with_time(recorded):
    mocap = load_mocap(recorded)
    found = pairs(mocap)
    for part in found:
        assert part.shape == (64 * GROUP, len(JOINTS), 3) and part.isfinite().all()
        assert part[..., :2].abs().max() <= 0.5 + 1e-6 and set(part[..., 2].unique().tolist()) == {0.0, 1.0}
    assert all(torch.equal(a, b) for a, b in zip(found, pairs(mocap), strict=True))

    def apart(first, second):
        both = first[..., 2] * second[..., 2]
        return float(((first - second)[..., :2].norm(dim=-1) * both).sum() / both.sum())

    near, far = apart(*pairs(mocap, between=(0.0, 0.05))), apart(*pairs(mocap, between=(0.7, 1.0)))
    assert 1.3 * near < far < apart(found.first, found.second.roll(1, 0))


def test_a_camera_is_shared_by_a_group_alone(recorded):
    """Whether a detector has head tops is drawn per camera."""
    head = pairs(load_mocap(recorded)).first[:, JOINTS.index("head_top"), 2].view(-1, GROUP)
    without = (head == 0).all(1)
    assert 0.4 < without.float().mean() < 0.8 and head[~without].mean() > 0.8


def test_the_loss_draws_one_person_together_and_others_a_margin_apart():
    same = torch.zeros(2, 2, 3, 4)
    told = contrast(same, 0.2)
    assert told["near"] == pytest.approx(0, abs=1e-9) and told["far"] == pytest.approx(0.04, abs=1e-4)
    parted = torch.eye(3).expand(2, 2, 3, 3)
    assert contrast(parted, 0.2)["loss"] == pytest.approx(0, abs=1e-9)
    moved = torch.stack([parted[:, 0], parted[:, 1] + torch.tensor([0.3, 0, 0])], dim=1)
    assert contrast(moved, 0.2)["near"] == pytest.approx(0.09, abs=1e-5)


def test_equal_error_is_where_both_shares_are_alike():
    same, different = torch.linspace(0, 1, 1001), torch.linspace(0.5, 2.5, 1001)
    limit = equal_error(same, different)  # 1 - d = (d - 0.5) / 2
    assert limit == pytest.approx(2.5 / 3, abs=2e-3)


def test_numpy_computes_what_pytorch_learnt(tmp_path):
    torch.manual_seed(0)
    network, x = Network(16, 8), torch.rand(32, 15, 3)
    for _ in range(5):
        network(x)  # statistics of the norm
    for layer in network.layers:
        torch.nn.init.uniform_(layer.importance, 0.5, 1.5)
    network.eval()
    np.savez(tmp_path / "w.npz", **folded(network))
    x[..., 2] = 1
    with torch.no_grad():
        wanted = network(x).numpy()
    np.testing.assert_allclose(load(tmp_path / "w.npz").embed(x.numpy()), wanted, atol=1e-5)


def test_a_run_learns_and_leaves_weights_and_their_card(recorded, tmp_path):
    options = small(Options(recorded))
    path = train(replace(options, steps=120), Run(tmp_path / "a", "cpu", log_every=10))
    first, last = (float(losses(tmp_path / "a", "similarity")[k][1]) for k in (0, -1))
    assert last < 0.8 * first
    of = card("pose-similarity", tmp_path / "a" / "cards")
    assert of.sha256 == sha256(path) and of.bytes == path.stat().st_size
    assert of.details["training"]["steps"] == 120 and of.details["acknowledgement"]
    unseen = pairs(load_mocap(recorded, test=True), seed=5)
    same, different = distances(lambda x: torch.from_numpy(load(path).embed(x.numpy())), *unseen)
    same, different = same[same.isfinite()].numpy(), different[different.isfinite()].numpy()
    assert auc(same, different) > 0.75  # untrained: 0.53
    assert (np.mean(same <= SAME_PERSON) + np.mean(different > SAME_PERSON)) / 2 > 0.65


def test_the_same_seed_leaves_the_same_file(recorded, tmp_path):
    options = replace(small(Options(recorded)), steps=5)
    one, other, third = (train(options, Run(tmp_path / str(n), "cpu", seed=n // 2)) for n in range(3))
    assert one.read_bytes() == other.read_bytes() != third.read_bytes()
