"""Weights and inputs made from names alone, and what the published P-STMO and DSTformer make of them in float64."""

import json
import zlib
from pathlib import Path

import numpy as np
import torch

PUBLISHED = json.loads((Path(__file__).parent / "attention_published.json").read_text())


def uniform(name, shape):
    """Numbers in [0,1) by the splitmix64 generator, seeded by the name's checksum."""
    with np.errstate(over="ignore"):
        z = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64)
        z += np.uint64(zlib.crc32(name.encode()) * 1000003 % 2**64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return torch.from_numpy(((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(float) / 2.0**53).reshape(shape)


def made_up(name, *shape):
    """Inputs in [-1,1)."""
    return 2 * uniform(name, shape) - 1


def weight(name, shape):
    """The value of a state dict entry."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith("running_var"):
        return 0.5 + uniform(name, shape)
    signed = made_up(name, *shape)
    if len(shape) >= 2 and name.endswith(".weight"):
        return signed * np.sqrt(3.0 / np.prod(shape[1:]))
    if len(shape) == 1 and name.endswith((".weight", ".a_2")):
        return 1 + 0.1 * signed
    return 0.1 * signed


def filled(network):
    """The network in float64 and evaluation mode, its weights made from their names."""
    network = network.double().eval()
    network.load_state_dict({name: weight(name, tuple(value.shape)) for name, value in network.state_dict().items()})
    return network


def check_output(name, output):
    """Against the published numbers: shape, first six, last three, mean, deviation, sum of magnitudes."""
    wanted = PUBLISHED["outputs"][name]
    assert list(output.shape) == wanted["output_shape"]
    flat = output.detach().numpy().ravel()
    np.testing.assert_allclose(flat[:6], wanted["first6"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(flat[-3:], wanted["last3"], rtol=0, atol=1e-6)
    np.testing.assert_allclose([flat.mean(), flat.std()], [wanted["mean"], wanted["std"]], rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.abs(flat).sum(), wanted["abs_sum"], rtol=1e-9)


def check_names(name, network):
    """Names, shapes and order of the state dict."""
    have = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert list(have.items()) == list(PUBLISHED["state_dicts"][name].items())
