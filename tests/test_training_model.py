"""The network against numbers of the published implementation, for weights and inputs made from their names alone."""

import zlib

import numpy as np
import pytest
import torch

from training.temporal_model import TemporalModel

# First six and last three outputs, mean, standard deviation: (2,31,17,2) in, (2,5,K,3) out, arc 3,3,3, float64.
PUBLISHED = {
    "pose": (
        (False, 17),
        [0.39639502493507817, -1.167490109055177, -1.7240292275286004, -0.9642119334231972, 1.8433303961722616,
         -0.4493829037951268],
        [-0.20663474679792013, 0.16834328636021512, 0.1913518997824059],
        0.009485227774686179, 0.7623953166857875,
    ),
    "causal": (
        (True, 17),
        [0.22888969189124053, -0.19650937090822165, -0.8430964229966452, -0.45881779171672304, 2.216729277631154,
         0.22807504765357467],
        [-0.006597015412923941, 0.530995849013252, 0.043008234997208517],
        0.059533773231707374, 0.7876694029621072,
    ),
    "trajectory": (
        (False, 1),
        [0.39639502493507817, -1.167490109055177, -1.7240292275286004, 0.4463774178219186, -0.43246081436628997,
         -2.251928214121939],
        [0.25671123608919527, 0.20834340849177177, -1.8976488660165127],
        -0.4081003586127728, 0.8362613002243463,
    ),
}  # fmt: skip


def uniform(name: str, count: int) -> np.ndarray:
    """Numbers in [0,1) by the splitmix64 generator, seeded by the name's checksum."""
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()) * 1000003 % 2**64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(float) / 2.0**53


def made_up(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The value of a state dict entry that the published numbers were computed with."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    part = uniform(name, int(np.prod(shape)))
    signed = 2 * part - 1
    if name.endswith("running_var"):
        values = 0.5 + part
    elif len(shape) > 1:
        values = signed * np.sqrt(3.0 / np.prod(shape[1:]))
    elif name.endswith(".weight"):
        values = 1 + 0.1 * signed
    else:
        values = 0.1 * signed
    return torch.from_numpy(values.reshape(shape))


def model(causal: bool = False, joints: int = 17, **options) -> TemporalModel:
    net = TemporalModel(17, 2, joints, causal=causal, **options).double().eval()
    net.load_state_dict({name: made_up(name, tuple(value.shape)) for name, value in net.state_dict().items()})
    return net


def inputs(frames: int) -> torch.Tensor:
    return torch.from_numpy(2 * uniform("input", 2 * frames * 34) - 1).reshape(2, frames, 17, 2)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers(name):
    (causal, joints), first, last, mean, std = PUBLISHED[name]
    with torch.no_grad():
        out = model(causal, joints)(inputs(31))[0]
    assert out.shape == (2, 5, joints, 3)
    flat = out.flatten().numpy()
    np.testing.assert_allclose(flat[:6], first, atol=1e-6)
    np.testing.assert_allclose(flat[-3:], last, atol=1e-6)
    np.testing.assert_allclose([flat.mean(), flat.std()], [mean, std], atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_strided_windows_are_the_dilated_network(causal):
    net, x = model(causal), inputs(27 + 4)
    with torch.no_grad():
        whole = net(x)[0]
        windows = torch.cat([net.forward_strided(x[:, k : k + 27])[0] for k in range(5)], dim=1)
    assert (whole - windows).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("widths", "count", "field"),
    [((1, 1, 1), 4_291_635, 1), ((3, 3), 4_357_171, 9), ((3, 3, 3), 8_555_571, 27), ((3, 3, 3, 3, 3), 16_952_371, 243)],
)
def test_published_sizes(widths, count, field):
    net = TemporalModel(17, 2, 17, widths)
    assert sum(p.numel() for p in net.parameters()) == count
    assert net.receptive_field == field
    assert net.padding == ((field - 1) // 2, (field - 1) // 2)


def test_published_state_dict_names():
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    expected = {f"expand_bn.{n}" for n in norm} | {"shrink.weight", "shrink.bias", "expand_conv.weight"}
    expected |= {f"layers_conv.{k}.weight" for k in range(4)} | {f"layers_bn.{k}.{n}" for k in range(4) for n in norm}
    state = TemporalModel(17, 2, 17).state_dict()
    assert set(state) == expected
    assert state["layers_conv.2.weight"].shape == (1024, 1024, 3)
    assert state["layers_conv.3.weight"].shape == (1024, 1024, 1)


def test_causal_looks_at_the_past_only():
    net = model(causal=True)
    frames = torch.cat([inputs(20)[:, :1].expand(-1, net.padding[0], -1, -1), inputs(20)], dim=1)
    changed = frames.clone()
    changed[:, -1] += 1.0
    with torch.no_grad():
        before, after = net(frames)[0], net(changed)[0]
    assert before.shape[1] == 20
    assert torch.equal(before[:, :-1], after[:, :-1])
    assert not torch.equal(before[:, -1], after[:, -1])


def test_even_widths_are_refused():
    with pytest.raises(ValueError, match="odd"):
        TemporalModel(17, 2, 17, (3, 4))
