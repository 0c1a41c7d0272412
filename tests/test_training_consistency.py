"""Views of one moment: the published loss, this project's, and the fused pose, against loops, SciPy and known truth."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from published import signed
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

from training.consistency import ROUNDS, disagreement, orthogonal_fit, view_agreement
from training.fused import centred, fuse


def tensor(name, shape):
    return torch.from_numpy(signed(name, shape))


def everything(*shape):
    return torch.ones(shape, dtype=torch.bool)


def turned(pose, views, seed=0, sizes=(0.5, 2.0), spread=3.0):
    """(V,T,J,3): the pose (T,J,3) as V cameras see it, each frame turned, sized and placed anew; turns (V,T,3,3)."""
    rng = np.random.default_rng(seed)
    turns = Rotation.random(views * len(pose), random_state=seed).as_matrix().reshape(views, len(pose), 3, 3)
    scale, place = rng.uniform(*sizes, (views, len(pose), 1, 1)), rng.normal(0, spread, (views, len(pose), 1, 3))
    return torch.from_numpy(np.einsum("vtab,tjb->vtja", turns, pose.numpy()) * scale + place), torch.from_numpy(turns)


def test_published_alignment_of_two_views():
    base, other = tensor("base", (17, 3)), tensor("other", (17, 3))
    rotation, factor = orthogonal_fit(other, base)
    published = [
        [0.30318994707908314, -0.33589417537689303, 0.8917684446862089],
        [0.7008488992959291, 0.7126720453322462, 0.03015586439878372],
        [-0.6456676206422834, 0.6158519779539805, 0.45148606280183495],
    ]
    np.testing.assert_allclose(rotation, published, atol=1e-9)
    assert factor.item() == pytest.approx(0.21664582778978253, abs=1e-9)
    agreement = view_agreement(torch.stack([base, other])[:, None], everything(2, 1))
    assert agreement.item() == pytest.approx(24.27691709870158, abs=1e-9)


def test_published_views_are_compared_with_the_first_that_has_the_moment():
    """Two windows of a batch; in one moment nobody is there, in another one view."""
    poses, seen = tensor("views", (2, 4, 6, 17, 3)), signed("seen", (2, 4, 6)) > -0.3
    seen[:, :, 4], seen[:, 1:, 5] = False, False
    apart = []
    for window in range(2):
        for t in range(6):
            base, *others = np.flatnonzero(seen[window, :, t]).tolist() or [0]
            fixed = poses[window, base, t].numpy()
            for view in others:
                moved = poses[window, view, t].numpy()
                unit = [p - p.mean(0) for p in (fixed, moved)]
                rotation, total = orthogonal_procrustes(*(u / np.linalg.norm(u) for u in unit))
                apart.append(np.abs(moved @ rotation.T * total - fixed).sum())
    value = view_agreement(poses, torch.from_numpy(seen))
    assert len(apart) > 6 and value.item() == pytest.approx(np.mean(apart), abs=1e-9)
    assert view_agreement(poses, ~everything(2, 4, 6)).item() == 0


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), views=st.integers(2, 5))
def test_turned_copies_agree_and_mirrored_ones_do_not(seed, views):
    pose = torch.from_numpy(np.random.default_rng(seed).normal(0, 0.3, (4, 17, 3)))
    copies, _ = turned(pose, views, seed)
    assert disagreement(copies, everything(views, 4)) < 1e-6
    mirrored = copies * torch.where(torch.arange(views) == 1, -1.0, 1.0)[:, None, None, None]
    assert disagreement(mirrored, everything(views, 4)) > 0.01
    same_size, _ = turned(pose - pose.mean(1, keepdim=True), views, seed, (1.0, 1.0), 0.0)
    flipped = same_size * torch.tensor([1.0, 1.0, -1.0])
    flipped[0] = same_size[0]
    assert view_agreement(flipped, everything(views, 4)) < 1e-6, "the published loss does not tell mirror images"
    assert disagreement(flipped, everything(views, 4)) > 0.01


def differences(value, poses, step=1e-6):
    """Central differences of a function of the poses, number by number."""
    flat, out = poses.flatten(), []
    for i in range(len(flat)):
        move = torch.zeros_like(flat)
        move[i] = step
        high, low = (value((flat + sign * move).view_as(poses)) for sign in (1, -1))
        out.append((high - low) / (2 * step))
    return torch.stack(out).view_as(poses)


def test_gradients_are_those_with_rotations_held():
    poses, seen = tensor("views", (3, 2, 5, 3)), torch.tensor([[True, True], [True, True], [True, False]])
    weights = seen[..., None].expand(3, 2, 5).double()
    fixed = fuse(poses, weights, rounds=ROUNDS)
    rotation, factor = orthogonal_fit(poses, poses[:1])

    def ours(p):
        return (centred(p, weights) - fixed)[seen].norm(dim=-1).mean()

    def published(p):
        moved = p @ rotation.transpose(-1, -2) * factor[..., None, None]
        return (moved - p[:1]).abs().sum((-2, -1))[1:][seen[1:]].mean()

    for loss, held in ((disagreement, ours), (view_agreement, published)):
        given_ = poses.clone().requires_grad_()
        loss(given_, seen).backward()
        np.testing.assert_allclose(given_.grad, differences(held, poses), atol=1e-7)
        assert (given_.grad[seen].abs().sum((1, 2)) > 0).all() and (given_.grad[2, 1] == 0).all()


def test_what_is_not_seen_does_not_count():
    poses, seen = tensor("views", (2, 4, 6, 17, 3)), torch.from_numpy(signed("seen", (2, 4, 6)) > -0.3)
    spoilt = torch.where(seen[..., None, None], poses, 1e3)
    for loss in (disagreement, view_agreement):
        assert loss(spoilt, seen).item() == pytest.approx(loss(poses, seen).item(), rel=1e-9)
    alone = everything(1, 4, 6) & (torch.arange(4) == 2)[:, None]
    lonely = poses[:1].clone().requires_grad_()
    disagreement(lonely, alone).backward()
    assert (lonely.grad == 0).all(), "one view agrees with itself"
    assert disagreement(poses, seen & (torch.arange(4) < 1)[:, None]).item() == 0


def deep_views(seed, depth=0.12, flat=0.02, views=4, frames=30):
    """What V views say of a pose with errors mostly in depth, and the truth, in each view's axes."""
    rng = np.random.default_rng(seed)
    pose = torch.from_numpy(rng.normal(0, 0.3, (frames, 17, 3)))
    truth, turns = turned(pose, views, seed, (1.0, 1.0), 0.0)
    noise = torch.from_numpy(rng.normal(size=truth.shape)) * torch.tensor([flat, flat, depth])
    return truth + noise, truth, turns


def apart(poses, truth):
    ones = torch.ones(poses.shape[:-1], dtype=torch.double)
    return (centred(poses, ones) - centred(truth, ones)).norm(dim=-1).mean().item()


def test_fusing_lowers_errors_and_more_where_depth_is_doubted():
    said, truth, _ = deep_views(1)
    ones = torch.ones(said.shape[:-1], dtype=torch.double)
    alone, plain, doubted = (apart(p, truth) for p in (said, fuse(said, ones, depth=1.0), fuse(said, ones, depth=4.0)))
    assert doubted < 0.8 * plain < 0.8 * 0.75 * alone
    exact = fuse(truth, ones)
    assert apart(exact, truth) < 1e-6, "views without errors stay as they are"


def test_poses_that_are_too_flat_in_depth_regain_it():
    """What all views get wrong alike is undone, since each sees the others' depth in its picture."""
    pose = torch.from_numpy(np.random.default_rng(5).normal(0, 0.3, (20, 17, 3)))
    truth, _ = turned(pose, 4, 6, (1.0, 1.0), 0.0)
    said = truth * torch.tensor([1.0, 1.0, 0.7])
    ones = torch.ones(said.shape[:-1], dtype=torch.double)
    alone, few, many = (apart(p, truth) for p in (said, fuse(said, ones, rounds=3), fuse(said, ones, rounds=40)))
    assert many < 0.6 * few < 0.6 * 0.6 * alone


def test_frames_nearby_help_cameras_that_hardly_turn():
    rng = np.random.default_rng(2)
    pose = torch.from_numpy(rng.normal(0, 0.3, (40, 17, 3)))
    fixed = torch.from_numpy(Rotation.random(3, random_state=3).as_matrix())
    truth = torch.einsum("vab,tjb->vtja", fixed, pose)
    said = truth + torch.from_numpy(rng.normal(size=truth.shape)) * torch.tensor([0.02, 0.02, 0.15])
    ones = torch.ones(said.shape[:-1], dtype=torch.double)
    one, several = (apart(fuse(said, ones, reach=reach), truth) for reach in (0, 8))
    assert several < 0.9 * one


def test_a_joint_that_one_view_misses_is_told_by_the_others():
    _, truth, _ = deep_views(4)
    said, weights = truth.clone(), torch.ones(truth.shape[:-1], dtype=torch.double)
    said[1, :, 13], weights[1, :, 13] = 9.0, 0.0
    said[2, 5:9], weights[2, 5:9] = 7.0, 0.0  # and one that is away for a while
    fused = fuse(said, weights)
    mean = (weights[..., None] * truth).sum(-2, keepdim=True) / weights.sum(-1).clamp_min(1)[..., None, None]
    here = weights.sum(-1) > 0
    np.testing.assert_allclose(fused[here], (truth - mean)[here], atol=1e-5)
    assert torch.isfinite(fused).all()
