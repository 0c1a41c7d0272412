"""P-STMO against the published numbers, and whole tracks against one window per frame."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from published import assert_entries, assert_published, filled, inputs, numbers
from torch.utils.flop_counter import FlopCounterMode

from lifters.networks.pstmo import PSTMO, STRIDES, pstmo, pstmo_s
from lifters.networks.pstmo_masked import MaskedPSTMO, draw_masks
from lifters.networks.pstmo_refine import Refine, back_project
from pipeline.errors import UsageError

NUMBERS = numbers("pstmo")


def field(joints):
    """(B,T,J,C) in the layout of the published program, (B,C,T,J,1)."""
    return joints.permute(0, 3, 1, 2)[..., None]


def windows(frames):
    return inputs(2, 2, frames, 17, 1)[..., 0].permute(0, 2, 3, 1)


def small(strides=(3, 3), dtype=torch.float64):
    """A narrow network that is quick to run."""
    return filled(PSTMO(2, strides, channels=16, hidden=32, heads=4)).to(dtype)


def window_by_window(network, track, step):
    """The slow, plain way: one window around every frame, the ends repeated."""
    reach = network.frames // 2 * step
    ends = [track[:, :1]] * reach + [track] + [track[:, -1:]] * reach
    padded = torch.cat(ends, dim=1)
    with torch.no_grad():
        outs = [network(padded[:, t : t + 2 * reach + 1 : step])[0] for t in range(track.shape[1])]
    return torch.cat(outs, dim=1)


@torch.no_grad()
def test_published_numbers():
    single, sequence = filled(pstmo_s(81))(windows(81))
    assert_published(field(single), NUMBERS["pstmo_L3_f81_single"])
    assert_published(field(sequence), NUMBERS["pstmo_L3_f81_sequence"])


@torch.no_grad()
def test_published_numbers_of_the_masked_network():
    frame = torch.arange(243)
    hidden_joints = torch.zeros(243, 17, dtype=torch.bool)
    hidden_joints[frame, frame % 16] = hidden_joints[frame, (frame + 5) % 16] = True
    restored, order = filled(MaskedPSTMO())(windows(243), frame % 5 != 0, hidden_joints)
    assert_published(field(restored), NUMBERS["pstmo_mae_L3_f243"])
    assert order.tolist() == [*range(0, 243, 5), *(t for t in range(243) if t % 5)]


@torch.no_grad()
def test_published_numbers_of_the_refinement():
    x, x1 = inputs(2, 1, 17, 3, name="x"), inputs(2, 1, 17, 3, name="x1")
    assert_published(filled(Refine())(x, x1), NUMBERS["pstmo_refine"])
    seen, truth, camera = inputs(2, 1, 17, 3, name="uvd"), inputs(2, 1, 17, 3, name="gt"), inputs(2, 9, name="cam") + 2
    pose = back_project(seen[..., :2], seen[..., 2], truth[:, :, 0, 2] + 5, camera)
    assert_published(pose, NUMBERS["pstmo_uvd2xyz"])


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("pstmo_L3_f81", lambda: pstmo_s(81)),
        ("pstmo_L3_f243", pstmo_s),
        ("pstmo_L4_f243", pstmo),
        ("pstmo_mae_L3_f243", MaskedPSTMO),
        ("pstmo_refine", Refine),
    ],
)
def test_names_and_shapes_of_the_published_files(name, network):
    assert_entries(network(), name)


def test_sizes_of_the_paper():
    assert sum(p.numel() for p in pstmo_s(27).parameters()) == 4_682_598
    for frames in STRIDES:
        single, sequence = small(STRIDES[frames])(inputs(1, frames, 17, 2, name="any"))
        assert single.shape == (1, 1, 17, 3) and sequence.shape == (1, frames, 17, 3)


def test_other_skeletons_and_scores():
    network = PSTMO(1, (3,), joints_in=13, joints_out=15, features_in=3, channels=16, hidden=16, heads=2)
    single, sequence = network(torch.zeros(4, 3, 13, 3))
    assert single.shape == (4, 1, 15, 3) and sequence.shape == (4, 3, 15, 3)


def test_every_parameter_but_the_unused_norms_learns():
    torch.manual_seed(0)
    network = PSTMO(2, (3, 3, 3), channels=16, hidden=32, heads=4)
    single, sequence = network(torch.randn(3, 27, 17, 2))
    (single.norm(dim=-1).mean() + sequence.norm(dim=-1).mean()).backward()
    without = [name for name, value in network.named_parameters() if value.grad is None]
    assert without == [
        f"{part}.model.norm.{n}" for part in ("Transformer", "Transformer_reduce") for n in ("a_2", "b_2")
    ]


def test_the_masked_network_sees_nothing_hidden():
    network = filled(MaskedPSTMO(2, 9, channels=16, hidden=32, heads=4))
    generator = torch.Generator().manual_seed(3)
    frames, joints = draw_masks(9, 17, 0.5, 4, generator)
    track = inputs(2, 9, 17, 2, name="track")
    other = track + 10 * (frames[:, None] | joints)[..., None]
    assert torch.equal(network(track, frames, joints)[0], network(other, frames, joints)[0])
    assert not torch.allclose(network(track, frames, joints)[0], network(track + 0.1, frames, joints)[0])


def test_a_pretrained_encoder_fits():
    network, masked = small(), filled(MaskedPSTMO(2, 9, channels=16, hidden=32, heads=4))
    shared = {name: value for name, value in masked.state_dict().items() if name in network.state_dict()}
    assert {name.split(".")[0] for name in shared} == {"encoder", "Transformer"}
    assert network.load_state_dict(shared, strict=False).unexpected_keys == []


@given(st.integers(1, 60), st.floats(0, 0.99), st.integers(0, 16), st.integers(0, 2**31))
@settings(max_examples=30)
def test_drawn_masks(frames, share, joints, seed):
    hidden_frames, hidden_joints = draw_masks(frames, 17, share, joints, torch.Generator().manual_seed(seed))
    again = draw_masks(frames, 17, share, joints, torch.Generator().manual_seed(seed))
    assert torch.equal(hidden_frames, again[0]) and torch.equal(hidden_joints, again[1])
    assert hidden_frames.sum() == int(frames * share)
    assert (hidden_joints.sum(dim=1) == joints).all() and not hidden_joints[:, 16].any()


def test_masks_are_drawn_evenly():
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_masks(10, 17, 0.3, 4, generator) for _ in range(2000)]
    often = torch.stack([frames for frames, _ in drawn]).double().mean(dim=0)
    assert (often - 0.3).abs().max() < 0.05
    often = torch.stack([joints for _, joints in drawn]).double().mean(dim=(0, 1))
    assert (often[:16] - 0.25).abs().max() < 0.02


def test_back_projection_returns_the_true_pose():
    generator = torch.Generator().manual_seed(1)
    pose = torch.randn(2, 5, 17, 3, generator=generator, dtype=torch.float64) * 0.5
    pose[:, :, 0] = 0
    root = torch.tensor([0.3, -0.2, 5.0])
    camera = torch.tensor([[2.2, 2.3, 0.02, 0.03, -0.2, 0.2, 0.0, 0.0, 0.0]] * 2, dtype=torch.float64)
    placed = pose + root
    points = placed[..., :2] / placed[..., 2:] * camera[0, :2] + camera[0, 2:4]
    back = back_project(points, pose[..., 2], placed[:, :, 0, 2], camera)
    assert (back - pose).abs().max() < 1e-12


@given(st.integers(1, 30), st.integers(1, 3), st.sampled_from([(3,), (3, 3), (1, 3)]), st.integers(1, 3))
@settings(max_examples=12)
def test_whole_tracks_are_one_window_per_frame(frames, people, strides, step):
    network, track = small(strides), inputs(people, frames, 17, 2, name="track")
    whole = network.lift(track, step=step)
    assert whole.shape == (people, frames, 17, 3)
    assert (whole - window_by_window(network, track, step)).abs().max() < 1e-6
    alone = torch.cat([network.lift(one[None], step=step) for one in track])
    assert (whole - alone).abs().max() < 1e-9


def test_whole_track_of_the_published_network():
    network, track = filled(pstmo_s(27)), inputs(1, 8, 17, 2, name="track")
    whole = network.lift(track, step=2, batch=3, block=5)
    assert (whole - window_by_window(network, track, 2)).abs().max() < 1e-6
    close = network.float().lift(track.float(), step=2)
    assert (whole - close).abs().max() < 1e-4


@given(st.integers(1, 40), st.integers(1, 50), st.integers(1, 50), st.integers(1, 3))
@settings(max_examples=12)
def test_chunks_do_not_matter(frames, batch, block, step):
    network, track = small(), inputs(2, frames, 17, 2, name="track")
    assert (network.lift(track, step, batch, block) - network.lift(track, step)).abs().max() < 1e-9
    fast = network.lift_fast(track, step)
    assert fast.shape == (2, frames, 17, 3)
    assert (network.lift_fast(track, step, batch=batch) - fast).abs().max() < 1e-9
    close = small(dtype=torch.float32)
    assert (close.lift(track.float(), step) - network.lift(track, step)).abs().max() < 1e-4
    assert (close.lift_fast(track.float(), step) - fast).abs().max() < 1e-4


@torch.no_grad()
def test_the_fast_way_on_one_window_is_the_sequence_head():
    network, track = small(), inputs(2, 18, 17, 2, name="track")
    assert (network.lift_fast(track[:, :9]) - network(track[:, :9])[1]).abs().max() < 1e-12
    woven = torch.stack([network(track[:, ::2])[1], network(track[:, 1::2])[1]], dim=2).flatten(1, 2)
    assert (network.lift_fast(track, step=2) - woven).abs().max() < 1e-12


@torch.no_grad()
def test_the_fast_way_repeats_the_ends_of_short_tracks():
    network, track = small(), inputs(1, 4, 17, 2, name="track")
    window = torch.cat([track[:, :1]] * 2 + [track] + [track[:, -1:]] * 3, dim=1)
    assert (network.lift_fast(track) - network(window)[1][:, 2:6]).abs().max() < 1e-12


def test_a_frame_is_encoded_once():
    network, track = small(), inputs(1, 50, 17, 2, name="track")
    seen = []
    network.encoder.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape[1]))
    network.lift(track, block=25)
    assert sum(seen) == 50 + 2 * 8  # two blocks, four frames around each


@torch.no_grad()
def test_the_first_projections_are_computed_once():
    """Windows of shared projections are the network, and cost what is left after queries, keys and values."""
    network, window = small(), inputs(2, 9, 17, 2)
    features = network.encode(window)
    with FlopCounterMode(display=False) as plain:
        expected = network.Transformer(features)
    shared = network.Transformer.shared(features)
    with FlopCounterMode(display=False) as rest:
        tokens = network.Transformer.forward_shared(shared)
    assert (tokens - expected).abs().max() < 1e-12
    windows, position = 2 * 2 * 9 * 3 * 16 * 16, 2 * 9 * 3 * 16 * 16 + 2 * 3 * 16 * 16  # and the norm's own offset
    assert plain.get_total_flops() - rest.get_total_flops() == windows - position


def test_misuse_is_told():
    network = small()
    track = inputs(1, 5, 17, 2, name="track")
    with pytest.raises(ValueError, match="needs a frame"):
        network.lift(track[:, :0])
    with pytest.raises(ValueError, match="at least 1"):
        network.lift_fast(track, step=0)
    with pytest.raises(RuntimeError, match="evaluation"):
        network.train().lift(track)
    with pytest.raises(ValueError, match="odd"):
        PSTMO(3, (2, 3))
    with pytest.raises(UsageError, match="100 frames"):
        pstmo(100)
    with pytest.raises(ValueError, match="hide"):
        draw_masks(9, 17, 0.5, 17, torch.Generator())
