"""Metrics: published values, and what each of them must not feel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.test_training_model import uniform
from training import metrics


def made_up(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return (2 * uniform(name, int(np.prod(shape))) - 1).reshape(shape)


def test_published_values():
    predicted, target = made_up("pred", (7, 17, 3)), made_up("target", (7, 17, 3))
    weights = made_up("w", (1, 7, 1))[0] + 2
    assert metrics.mpjpe(predicted, target) == pytest.approx(1.3861273467904653, abs=1e-9)
    assert metrics.p_mpjpe(predicted, target) == pytest.approx(0.8379709988374074, abs=1e-9)
    assert metrics.n_mpjpe(predicted, target) == pytest.approx(0.956076692342911, abs=1e-9)
    assert metrics.velocity(predicted, target) == pytest.approx(1.968892738275728, abs=1e-9)
    assert metrics.weighted(predicted, target, weights) == pytest.approx(2.7143915684393445, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5.0))
def test_alignment_ignores_similarity_but_not_reflection(seed, scale):
    rng = np.random.default_rng(seed)
    pose = rng.normal(size=(3, 17, 3))
    moved = scale * pose @ Rotation.random(random_state=seed).as_matrix().T + rng.normal(size=3)
    assert metrics.p_mpjpe(moved, pose) < 1e-9
    assert metrics.p_mpjpe(pose * [-1, 1, 1], pose) > 0.1
    assert metrics.n_mpjpe(scale * pose, pose) < 1e-9


def test_acceleration_of_even_and_shaking_motion():
    time = np.arange(10.0)[:, None, None] * np.ones((1, 2, 3))
    assert metrics.acceleration(time) == pytest.approx(0.0)
    shaking = np.zeros((10, 2, 3))
    shaking[::2, :, 0] = 1.0
    assert metrics.acceleration(shaking) == pytest.approx(2.0)
