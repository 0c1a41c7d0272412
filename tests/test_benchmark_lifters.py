"""What the lifters' benchmark counts and compares."""

import pytest
import torch

from benchmarks.lifters import _flops
from benchmarks.lifters_networks import CASES, WINDOW, difference, random_network


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def test_operations_of_videopose3d_are_those_of_its_layers():
    """Channels 1024: one wide layer and one narrow one in each of four blocks; two operations a product."""
    wide, narrow, first, last = 3 * 1024**2, 1024**2, 3 * 34 * 1024, 1024 * 51
    strided = 2 * (81 * first + (27 + 9 + 3 + 1) * (wide + narrow) + last)
    loop, whole = _flops(CASES["videopose3d-strided"])
    assert loop == strided
    assert whole > 2 * (first + 4 * (wide + narrow) + last)  # and a little for the margins of its one chunk
    assert whole < 1.25 * 2 * (first + 4 * (wide + narrow) + last)


def test_what_is_shared_of_rie_is_its_first_layer():
    loop, whole = _flops(CASES["rie"], 64)
    once, centre = 2 * 256 * 6 * 34 * (64 + 240) / 64, 2 * 256 * 34  # margins of 240 frames
    assert whole == loop - 2 * 81 * 256 * 9 * 34 + once + centre


@pytest.mark.parametrize("name", ["videopose3d-strided", "pstmo-fast"])
def test_the_largest_difference_is_found(name):
    case = CASES[name]
    network, track = random_network(case), 2 * torch.rand(1, WINDOW + 60, 17, 2) - 1
    lifted = case.whole(network, track, None)
    assert 0.1 < lifted.abs().max() < 100
    assert difference(case, network, track, lifted) < 1e-4
    lifted[0, WINDOW // 2 if case.clip is None else 3, 5] += 0.5
    assert difference(case, network, track, lifted) == pytest.approx(0.5, abs=1e-3)
