"""RIE's network against published numbers, and that a whole track is one window per frame at less work."""

import pytest
import torch
from published import assert_entries, assert_published, filled, inputs, numbers
from torch.utils.flop_counter import FlopCounterMode

from lifters.networks.rie import ENCODERS, GROUPS, RIE

NUMBERS = numbers("rie")
FLOPS = {(256, 3): 190.2e6, (512, 3): 212.4e6}  # published, of one window


def small(stage: int = 3, widths: tuple[int, ...] = (3, 3, 3), **options) -> RIE:
    return filled(RIE(stage, 8, widths, 16, hidden=24, **options))


def flops(run, *args) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run(*args)
    return counter.get_total_flops()


def windows(net: RIE, x: torch.Tensor) -> torch.Tensor:
    """One window per frame, each on its own."""
    field = net.receptive_field
    with torch.no_grad():
        return torch.cat([net(x[:, k : k + field]) for k in range(x.shape[1] - field + 1)], dim=1)


@pytest.mark.parametrize("name", NUMBERS)
def test_published_numbers(name):
    latent, stage = (int(part[-3:] if part.startswith("lfd") else part[-1]) for part in name.split("_")[1:])
    with torch.no_grad():
        assert_published(filled(RIE(stage, latent))(inputs(2, 243, 17, 2)), NUMBERS[name])


@pytest.mark.parametrize(
    ("latent", "stage", "count"), [(256, 1, 23_385_651), (256, 3, 41_783_091), (512, 3, 52_861_491)]
)
def test_published_state_dicts_and_sizes(latent, stage, count):
    net = RIE(stage, latent)
    assert_entries(net, f"rie_lfd{latent}_stage{stage}")
    assert sum(p.numel() for p in net.parameters()) == count
    if (latent, stage) in FLOPS:
        assert flops(net.eval(), torch.zeros(1, 243, 17, 2)) == pytest.approx(FLOPS[latent, stage], rel=1e-3)


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("widths", [(3, 3, 3), (1, 5), (5, 1, 3), (7,)])
def test_a_track_is_one_window_per_frame(stage, widths):
    net = small(stage, widths)
    x = inputs(2, net.receptive_field + 12, 17, 2)
    expected = windows(net, x)
    assert expected.shape == (2, 13, 17, 3)
    with torch.no_grad():
        for together in (256, 8, 1):
            assert (net.forward_sequence(x, together) - expected).abs().max() < 1e-9
    shortest = x[:, : net.receptive_field]
    assert (net.forward_sequence(shortest) - expected[:, :1]).abs().max() < 1e-9


def test_a_track_computes_the_first_layer_once_per_frame():
    net, frames = small(widths=(3, 3, 3, 3)), 81 + 99
    x = inputs(1, frames, 17, 2)
    features, channels, count = 34, 16, 100
    one, track = flops(net, x[:, :81]), flops(net.forward_sequence, x)
    per_window = 2 * channels * 3 * features * 81
    shared = 2 * channels * 2 * features * 3 * (frames - 2)
    centres = 2 * channels * features * count
    assert track == count * (one - per_window) + shared + centres
    assert shared + centres < 0.07 * count * per_window


def test_published_size_on_a_track():
    net = RIE().eval()
    x = inputs(1, 243 + 3, 17, 2).float()
    with torch.no_grad():
        assert (net.forward_sequence(x) - windows(net, x)).abs().max() < 1e-5


def test_other_skeletons():
    groups = {"Torso": (0, 1, 14), "LArm": (2, 3, 4), "RArm": (5, 6, 7), "LLeg": (8, 9, 10), "RLeg": (11, 12, 13)}
    net = small(groups=groups)
    x = inputs(2, 30, 15, 2)
    assert (net.forward_sequence(x) - windows(net, x)).abs().max() < 1e-9
    assert net(x[:, :27]).shape == (2, 1, 15, 3)
    with pytest.raises(ValueError, match="every joint once"):
        RIE(groups={"Torso": (0, 1), "LArm": (1, 2)})


def test_each_decoder_gives_its_own_joints():
    net = small()
    x = inputs(1, 27, 17, 2)
    before = net(x)
    with torch.no_grad():
        net.Integration_LLeg.fc_2.bias += 1.0
    moved = (net(x) - before)[0, 0]
    others = [joint for joint in range(17) if joint not in GROUPS["LLeg"]]
    assert torch.allclose(moved[list(GROUPS["LLeg"])], torch.ones(3, 3).double())
    assert not moved[others].any()


def test_stage_two_keeps_the_encoders():
    net = RIE(2, 256)
    taken = [name for name in net.state_dict() if name.startswith(ENCODERS)]
    assert taken == list(net.state_dict())[:317]
    net.freeze_encoders()
    parameters = list(net.named_parameters())
    assert [name for name, p in parameters if not p.requires_grad] == [name for name, _ in parameters[:167]]
    net.set_momentum(0.01)
    norms = {name: m.momentum for name, m in net.named_modules() if isinstance(m, torch.nn.BatchNorm1d)}
    assert {name for name, value in norms.items() if value == 0.01} == {n for n in norms if n.startswith("LocalLayer")}


def test_it_learns():
    torch.manual_seed(0)
    net = RIE(1, 8, (3, 3), 16, dropout=0.0, hidden=64)
    x, truth = torch.rand(32, 9, 17, 2), torch.rand(32, 1, 17, 3)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3)
    losses = []
    for _ in range(40):
        loss = (net(x) - truth).norm(dim=-1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_refusals():
    net = small()
    with pytest.raises(ValueError, match="windows of 26 frames"):
        net(inputs(1, 26, 17, 2))
    with pytest.raises(ValueError, match="26 frames"):
        net.forward_sequence(inputs(1, 26, 17, 2))
    with pytest.raises(ValueError, match="training True"):
        net.train().forward_sequence(inputs(1, 40, 17, 2))
    with pytest.raises(ValueError, match="odd"):
        RIE(widths=(3, 4))
    with pytest.raises(ValueError, match="stages 1, 2 and 3"):
        RIE(4)
