"""DSTformer against the published numbers; whole tracks; the noise and masks of its pre-training."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from published import assert_entries, assert_published, filled, inputs, numbers

from lifters.networks import motionbert_noise as noise
from lifters.networks.motionbert import DSTformer, depth_offset, motionbert, motionbert_lite, relative

NUMBERS = numbers("motionbert")
FRAMES = 18


def small(dtype=torch.float64):
    """A narrow network for clips of up to 18 frames that is quick to run."""
    return filled(DSTformer(16, 2, depth=2, heads=4, representation=24, frames=FRAMES)).to(dtype)


@torch.no_grad()
def test_published_numbers():
    network, clip = filled(motionbert_lite()), inputs(2, 27, 17, 3)
    assert_published(network(clip), NUMBERS["dstformer_lite"])
    assert_published(network.represent(clip), NUMBERS["dstformer_lite_rep"])


@pytest.mark.parametrize(("name", "network"), [("mb_full", motionbert), ("mb_lite", motionbert_lite)])
def test_names_and_shapes_of_the_published_files(name, network):
    assert_entries(network(), name)


@torch.no_grad()
def test_streams_count_the_same_at_the_start():
    torch.manual_seed(0)
    network, clip = DSTformer(16, 2, depth=1, heads=2, frames=9), torch.randn(1, 9, 17, 3)
    seen = []
    network.norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    network(clip)
    x = network.joints_embed(clip) + network.pos_embed + network.temp_embed
    one, other = network.blocks_st[0](x), network.blocks_ts[0](x)
    assert (seen[0] - (one + other) / 2).abs().max() < 1e-6 < (one - other).abs().max()


def test_every_parameter_learns():
    torch.manual_seed(0)
    network = DSTformer(16, 2, depth=2, heads=2, frames=9)
    network(torch.randn(2, 9, 17, 3)).norm(dim=-1).mean().backward()
    assert all(value.grad.abs().max() > 0 for value in network.parameters())


@torch.no_grad()
def test_frames_and_joints_see_each_other():
    network, clip = small(), inputs(1, 9, 17, 3, name="clip")
    moved = clip.clone()
    moved[0, 4, 11] += 0.1
    change = (network(moved) - network(clip)).abs().amax(dim=-1)[0]
    assert (change > 1e-9).all()


@given(st.integers(1, 70), st.integers(1, 3), st.integers(1, 20), st.booleans())
@settings(max_examples=12)
def test_any_track_and_the_batch_does_not_matter(frames, people, batch, root_relative):
    network, track = small(), inputs(people, frames, 17, 3, name="track")
    whole = network.lift(track, root_relative)
    assert whole.shape == track.shape and whole.isfinite().all()
    assert (network.lift(track, root_relative, batch=batch) - whole).abs().max() < 1e-9
    alone = torch.cat([network.lift(one[None], root_relative) for one in track])
    assert (alone - whole).abs().max() < 1e-9
    close = small(torch.float32).lift(track.float(), root_relative)
    assert (close - whole).abs().max() < 1e-4


@pytest.mark.parametrize("root_relative", [True, False])
@pytest.mark.parametrize("frames", [1, 7, FRAMES])
@torch.no_grad()
def test_a_track_of_one_window_is_one_clip(frames, root_relative):
    network, track = small(), inputs(2, frames, 17, 3, name="track")
    assert torch.equal(network.lift(track, root_relative), relative(network(track), root_relative))


def test_the_two_kinds_of_weights():
    joints = inputs(2, 5, 17, 3, name="joints")
    local, world = relative(joints, True), relative(joints, False)
    assert (local[:, :, 0] == 0).all() and torch.allclose(local.diff(dim=2), joints.diff(dim=2))
    assert torch.equal(world[..., :2], joints[..., :2]) and (world[:, 0, 0, 2] == 0).all()
    assert torch.allclose(world[..., 2].diff(dim=1), joints[..., 2].diff(dim=1))


@pytest.mark.parametrize("root_relative", [True, False])
def test_inside_and_between_windows(root_relative):
    """Away from borders the result is a window's own, up to a depth per window; at borders it goes over evenly."""
    network, frames, overlap = small(), 32, 4  # windows begin at 0 and 14
    track = inputs(1, frames, 17, 3, name="track")
    whole = network.lift(track, root_relative, overlap)
    with torch.no_grad():
        one, two = (network(track[:, begin : begin + FRAMES]) for begin in (0, 14))
    if root_relative:
        one, two = relative(one, True), relative(two, True)
    else:
        first = one[:, :1, :1] * torch.tensor([0.0, 0.0, 1.0])
        two = two + depth_offset(one[:, 14:], two[:, :4]) - first
        one = one - first
        assert ((one[:, 14:, 0] - two[:, :4, 0])[..., 2]).mean().abs() < 1e-12
    assert (whole[:, :14] - one[:, :14]).abs().max() < 1e-12
    assert (whole[:, 18:] - two[:, 4:]).abs().max() < 1e-12
    share = torch.tensor([0.2, 0.4, 0.6, 0.8])[None, :, None, None]
    assert (whole[:, 14:18] - (one[:, 14:] * (1 - share) + two[:, :4] * share)).abs().max() < 1e-6


def test_no_jump_where_windows_say_different_depths():
    """A network that is right but for a depth that it makes up anew for every window."""
    times = torch.arange(60.0, dtype=torch.float64)[None, :, None]
    truth = torch.stack([torch.sin(times / 9 + k) * torch.ones(1, 1, 17) for k in range(3)], dim=-1)
    network = DSTformer(16, 2, depth=1, heads=2, frames=FRAMES).double().eval()
    network.forward = lambda clip: relative(clip, False)
    assert (network.lift(truth, False) - relative(truth, False)).abs().max() < 1e-12


def test_misuse_is_told():
    network = small()
    with pytest.raises(ValueError, match="1 to 18"):
        network(torch.zeros(1, 19, 17, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="at least one frame"):
        network.lift(torch.zeros(1, 0, 17, 3), True)
    with pytest.raises(ValueError, match="at least one window"):
        network.lift(torch.zeros(1, 30, 17, 3), True, batch=0)
    with pytest.raises(ValueError, match="cannot share 9"):
        network.lift(torch.zeros(1, 30, 17, 3), True, overlap=9)
    with pytest.raises(RuntimeError, match="evaluation"):
        network.train().lift(torch.zeros(1, 30, 17, 3), True)


def test_noise_is_as_described():
    points = torch.zeros(400, 27, 17, 2, dtype=torch.float64)
    spoilt = noise.add_noise(points, torch.Generator().manual_seed(0))
    error, confidence = spoilt[..., :2], spoilt[..., 2]
    assert spoilt.dtype == torch.float64 and confidence.min() >= 0 and confidence.max() <= 1
    common = torch.tensor(noise.COMMON)[:, None]
    near = torch.tensor((noise.DEVIATION_X, noise.DEVIATION_Y)).T
    # At the key frames: a mixture of a normal and an even spread, and the small error of every frame.
    mean = common * noise.MEAN
    square = common * (near**2 + noise.MEAN**2) + (1 - common) * noise.FAR**2 / 3 + noise.JITTER**2
    assert (error.mean(dim=(0, 1)) - mean).abs().max() < 1e-3
    assert (error.square().mean(dim=(0, 1)) / square - 1).abs().max() < 0.2
    close = confidence[error.norm(dim=-1) < 0.004]
    distant = confidence[(error.norm(dim=-1) > 0.03) & (error.norm(dim=-1) < 0.035)]
    assert close.mean() > 0.85 and abs(distant.mean() - (0.028 / 0.060 + 1.1 * 0.032)) < 0.03


@given(st.integers(1, 60), st.integers(1, 3), st.integers(0, 2**31))
@settings(max_examples=20)
def test_noise_of_any_clip_repeats(frames, batch, seed):
    points = inputs(batch, frames, 17, 2, name="points")
    spoilt = noise.add_noise(points, torch.Generator().manual_seed(seed))
    assert spoilt.shape == (batch, frames, 17, 3)
    assert torch.equal(spoilt, noise.add_noise(points, torch.Generator().manual_seed(seed)))
    assert (spoilt[..., :2] - points).abs().max() < noise.FAR + 10 * noise.JITTER + 0.02


def test_slow_errors_are_linear_between_27_key_frames():
    keys = inputs(2, 27, 17, 2, name="keys")
    lines = noise._between(keys, 26 * 9 + 1)
    assert (lines[:, ::9] - keys).abs().max() < 1e-12
    assert (lines[:, 3] - (keys[:, 0] * 2 + keys[:, 1]) / 3).abs().max() < 1e-12


def test_masks():
    joints, frames = noise.draw_masks(8, 500, 17, torch.Generator().manual_seed(0))
    assert joints.shape == (8, 500, 17) and frames.shape == (500,)
    assert abs(joints.double().mean() - 0.05) < 0.005 and abs(frames.double().mean() - 0.1) < 0.04
    motion = inputs(8, 500, 17, 3, name="motion")
    shown = noise.hide(motion, joints, frames)
    gone = joints | frames[None, :, None]
    assert (shown[gone] == 0).all() and torch.equal(shown[~gone], motion[~gone])


def test_noise_needs_the_seventeen_joints():
    with pytest.raises(ValueError, match="17 joints"):
        noise.add_noise(torch.zeros(1, 5, 16, 2), torch.Generator())
