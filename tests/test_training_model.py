"""VideoPose3D's network against numbers of the published implementation, for weights and inputs made from names."""

import numpy as np
import pytest
import torch
from published import assert_entries, assert_published, filled, inputs, numbers

from lifters.networks.videopose3d import TemporalModel

NUMBERS = numbers("videopose3d")


def model(causal: bool = False, joints: int = 17, **options) -> TemporalModel:
    return filled(TemporalModel(17, 2, joints, causal=causal, **options))


@pytest.mark.parametrize(
    ("name", "causal", "joints"),
    [("arc3_3_3", False, 17), ("arc3_3_3_causal", True, 17), ("traj_arc3_3_3", False, 1)],
)
def test_published_numbers(name, causal, joints):
    expected = NUMBERS[f"videopose3d_{name}"]
    with torch.no_grad():
        out = model(causal, joints)(inputs(*expected["input_shape"]))[0]
    assert_published(out, expected)


@pytest.mark.parametrize(
    ("file", "joints", "widths"),
    [
        ("vp3d_3_3_3", 17, (3, 3, 3)),
        ("vp3d_3_3_3_3", 17, (3, 3, 3, 3)),
        ("vp3d_3_3_3_3_3", 17, (3, 3, 3, 3, 3)),
        ("vp3d_traj", 1, (3, 3, 3, 3, 3)),
        ("vp3d_he_17_15", 15, (3, 3, 3)),
    ],
)
def test_published_state_dicts(file, joints, widths):
    assert_entries(TemporalModel(17, 2, joints, widths), file)


@pytest.mark.parametrize(
    ("widths", "count", "field"),
    [
        ((1, 1, 1), 4_291_635, 1),
        ((3, 3), 4_357_171, 9),
        ((3, 3, 3), 8_555_571, 27),
        ((3, 3, 7), 12_749_875, 63),
        ((3, 3, 3, 3), 12_753_971, 81),
        ((3, 3, 3, 3, 3), 16_952_371, 243),
    ],
)
def test_published_sizes(widths, count, field):
    net = TemporalModel(17, 2, 17, widths)
    assert sum(p.numel() for p in net.parameters()) == count
    assert net.receptive_field == field
    assert net.padding == ((field - 1) // 2, (field - 1) // 2)
    assert TemporalModel(17, 2, 17, widths, causal=True).padding == (field - 1, 0)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("widths", [(3, 3, 3), (5, 3), (1, 7, 1, 3), (9,)])
def test_strided_windows_are_the_dilated_network(causal, widths):
    net = model(causal, widths=widths, channels=24)
    field = net.receptive_field
    x = inputs(2, field + 4, 17, 2)
    with torch.no_grad():
        whole = net(x)[0]
        windows = torch.cat([net.forward_strided(x[:, k : k + field])[0] for k in range(5)], dim=1)
    assert whole.shape == (2, 5, 17, 3)
    assert (whole - windows).abs().max() < 1e-12


@pytest.mark.parametrize("causal", [False, True])
def test_dense_filters_with_holes_are_the_dilated_network(causal):
    dilated, dense = (model(causal, widths=(3, 3, 5), channels=8, dense=flag) for flag in (False, True))
    assert [c.kernel_size[0] for c in dense.layers_conv] == [7, 1, 37, 1]
    state = dilated.state_dict()
    for name, step in (("layers_conv.0.weight", 3), ("layers_conv.2.weight", 9)):
        whole = torch.zeros_like(dense.state_dict()[name])
        whole[..., ::step] = state[name]
        state[name] = whole
    dense.load_state_dict(state)
    x = inputs(2, 50, 17, 2)
    with torch.no_grad():
        assert (dilated(x)[0] - dense(x)[0]).abs().max() < 1e-12
    with pytest.raises(ValueError, match="dense"):
        dense.forward_strided(x[:, :45])


def test_causal_looks_at_the_past_only():
    net = model(causal=True)
    x = inputs(2, 20, 17, 2)
    frames = torch.cat([x[:, :1].expand(-1, net.padding[0], -1, -1), x], dim=1)
    changed = frames.clone()
    changed[:, -1] += 1.0
    with torch.no_grad():
        before, after = net(frames)[0], net(changed)[0]
    assert before.shape[1] == 20
    assert torch.equal(before[:, :-1], after[:, :-1])
    assert not torch.equal(before[:, -1], after[:, -1])


@pytest.mark.parametrize("widths", [(3, 4), ()])
def test_even_widths_are_refused(widths):
    with pytest.raises(ValueError, match="odd"):
        TemporalModel(17, 2, 17, widths)


def test_too_few_frames_are_refused():
    net = model(channels=8)
    for run, frames in ((net, 26), (net.forward_strided, 26), (net.forward_strided, 54)):
        with pytest.raises(ValueError, match=str(frames)):
            run(inputs(1, frames, 17, 2))


def test_momentum_reaches_every_normalisation_and_dropout_is_for_training():
    net = model(channels=8)
    net.set_momentum(0.02)
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm1d)]
    assert [m.momentum for m in norms] == [0.02] * 5
    x = inputs(2, 27, 17, 2)
    with torch.no_grad():
        np.testing.assert_array_equal(net(x)[0], net(x)[0])
        net.train()
        assert not torch.equal(net(x)[0], net(x)[0])


def test_further_outputs_follow_the_joints():
    net = model(channels=8, extra_out=4)
    with torch.no_grad():
        joints, extra = net(inputs(2, 30, 17, 2))
    assert joints.shape == (2, 4, 17, 3) and extra.shape == (2, 4, 4)
    assert net.shrink.weight.shape == (55, 8, 1)
