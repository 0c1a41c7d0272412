"""Numbers, parameter names and shapes of the published networks, and weights and inputs made from names alone."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLDER = Path(__file__).parent


def uniform(name: str, count: int) -> np.ndarray:
    """Numbers in [0,1) by the splitmix64 generator, seeded by the name's checksum."""
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()) * 1000003 % 2**64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(float) / 2.0**53


def signed(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in [-1,1) that depend on the name only."""
    return (2 * uniform(name, int(np.prod(shape))) - 1).reshape(shape)


def inputs(*shape: int, name: str = "input") -> Tensor:
    """The same as a tensor: what networks are fed with."""
    import torch

    return torch.from_numpy(signed(name, shape))


def made_up(name: str, shape: tuple[int, ...]) -> Tensor:
    """The value of a state dict entry that the published numbers were computed with."""
    import torch

    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    values = signed(name, shape)
    if name.endswith("running_var"):
        values = 1 + values / 2
    elif len(shape) > 1 and name.endswith(".weight"):
        values *= np.sqrt(3.0 / np.prod(shape[1:]))
    elif len(shape) == 1 and name.endswith((".weight", ".a_2")):
        values = 1 + 0.1 * values
    else:
        values *= 0.1
    return torch.from_numpy(values)


def filled(net: nn.Module) -> nn.Module:
    """The network with made-up weights, in float64, ready to compute."""
    net = net.double().eval()
    net.load_state_dict({name: made_up(name, tuple(value.shape)) for name, value in net.state_dict().items()})
    return net


def numbers(file: str) -> dict[str, dict]:
    """Published results by name; of networks: shapes, first six and last three numbers, mean, std, sum of |x|."""
    return json.loads((FOLDER / f"{file}.json").read_text(encoding="utf-8"))


def entries(file: str) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of a published state dict, in its order."""
    lines = (FOLDER / f"{file}.txt").read_text(encoding="utf-8").split("\n")
    pairs = (line.split("\t") for line in lines if line)
    return [(name, tuple(int(n) for n in shape.strip("()").split(",") if n.strip())) for name, shape in pairs]


def assert_published(out: Tensor, expected: dict) -> None:
    """Compare an output with what was published for it."""
    assert list(out.shape) == expected["output_shape"]
    flat = out.detach().flatten().numpy()
    np.testing.assert_allclose(flat[:6], expected["first6"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(flat[-3:], expected["last3"], atol=1e-6, rtol=0)
    own = [flat.mean(), flat.std(), np.abs(flat).sum()]
    np.testing.assert_allclose(own, [expected[k] for k in ("mean", "std", "abs_sum")], atol=1e-6, rtol=0)


def assert_entries(network: nn.Module, file: str) -> None:
    """Compare names, shapes and order of a state dict with the published ones."""
    assert [(name, tuple(value.shape)) for name, value in network.state_dict().items()] == entries(file)
