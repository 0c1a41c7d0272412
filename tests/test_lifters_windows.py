"""Overlapping windows: every frame is covered, weights sum to one, borders fade, chunks do not matter."""

from itertools import pairwise

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lifters.networks.windows import blend, fades, starts

WINDOW = 12


@given(st.integers(1, 200), st.integers(1, 30), st.integers(0, 10))
@settings(max_examples=100)
def test_windows_cover_and_weights_sum_to_one(frames, window, overlap):
    overlap = min(overlap, window // 3)
    begins = starts(frames, window, overlap)
    if frames <= window:
        assert begins == [0]
        return
    assert begins[0] == 0 and begins[-1] == frames - window
    total = torch.zeros(frames, dtype=torch.float64)
    for begin, following in pairwise(begins):
        assert 0 < following - begin <= window - overlap
    for begin, weights in zip(begins, fades(begins, window, overlap), strict=True):
        assert (weights >= 0).all()
        total[begin : begin + window] += weights
    assert (total - 1).abs().max() < 1e-12


def numbered(at):
    """A network that says of all frames the number of the window's first."""
    return at[:, :1].expand_as(at)


@given(st.integers(WINDOW + 1, 100), st.integers(0, WINDOW // 3))
@example(21, 4)
@settings(max_examples=50)
def test_borders_fade(frames, overlap):
    track = torch.arange(frames, dtype=torch.float64).reshape(1, -1, 1, 1)
    whole = blend(numbered, track, WINDOW, overlap).flatten()
    steps = whole.diff()
    assert (steps >= -1e-9).all()
    widest = max(after - before for before, after in pairwise(starts(frames, WINDOW, overlap)))
    assert steps.max() <= 2 * widest / (overlap + 1) + 1e-9  # one fade may end with the step that the next begins with


def test_offsets_between_windows_are_taken_out():
    track = torch.sin(torch.arange(100.0, dtype=torch.float64)).reshape(1, -1, 1, 1)

    def lift(windows):
        return windows - windows[:, :1]

    def meet(before, after):
        return (before - after).mean(dim=1, keepdim=True)

    for batch in (1, 3, 100):
        whole = blend(lift, track, WINDOW, 3, batch, align=meet)
        assert (whole - (track - track[:, :1])).abs().max() < 1e-12


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 3))
@settings(max_examples=40)
def test_the_batch_does_not_matter(frames, batch, people):
    track = torch.rand(people, frames, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(frames))

    def lift(windows):
        return windows.cumsum(dim=1)[..., :1]

    sizes = []

    def counted(windows):
        sizes.append(len(windows))
        return lift(windows)

    whole = blend(counted, track, WINDOW, 4, batch)
    assert whole.shape == (people, frames, 2, 1) and max(sizes) <= max(batch, people)
    assert torch.equal(whole, blend(lift, track, WINDOW, 4, 1000))
    if frames <= WINDOW:
        assert torch.equal(whole, lift(track))


def test_misuse_is_told():
    with pytest.raises(ValueError, match="at least one frame"):
        blend(numbered, torch.zeros(1, 0, 1, 1), WINDOW, 2)
    with pytest.raises(ValueError, match="cannot share 5"):
        starts(40, WINDOW, 5)
