"""Metrics: published values, and what each of them must not feel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import signed
from scipy.spatial.transform import Rotation

from training import metrics


def test_published_values():
    predicted, target = signed("pred", (7, 17, 3)), signed("target", (7, 17, 3))
    weights = signed("w", (1, 7, 1))[0] + 2
    assert metrics.mpjpe(predicted, target) == pytest.approx(1.3861273467904653, abs=1e-9)
    assert metrics.p_mpjpe(predicted, target) == pytest.approx(0.8379709988374074, abs=1e-9)
    assert metrics.n_mpjpe(predicted, target) == pytest.approx(0.956076692342911, abs=1e-9)
    assert metrics.velocity(predicted, target) == pytest.approx(1.968892738275728, abs=1e-9)
    assert metrics.weighted(predicted, target, weights) == pytest.approx(2.7143915684393445, abs=1e-9)


@settings(max_examples=30)
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


def test_third_derivative_and_errors_over_time():
    rng = np.random.default_rng(1)
    predicted, target = rng.normal(size=(2, 9, 4, 3))
    second = [
        np.linalg.norm((p[t + 2] - 2 * p[t + 1] + p[t]) - (g[t + 2] - 2 * g[t + 1] + g[t]))
        for p, g in zip(predicted.swapaxes(0, 1), target.swapaxes(0, 1), strict=True)
        for t in range(7)
    ]
    assert metrics.acceleration_error(predicted, target) == pytest.approx(np.mean(second), abs=1e-12)
    time = np.arange(9.0) / 50
    cubic = np.stack([time**3, 0 * time, time**2], axis=-1)[:, None]
    assert metrics.jitter(cubic, fps=50) == pytest.approx(6.0, rel=1e-6)
    assert np.isnan(metrics.velocity(predicted[:1], target[:1]))
    assert np.isnan(metrics.acceleration_error(predicted[:2], target[:2])) and np.isnan(metrics.jitter(predicted[:3]))


def test_share_of_correct_joints():
    target = np.zeros((1, 4, 3))
    predicted = target + np.array([[[0.0], [0.0049], [0.151], [0.0751]]]) * [1, 0, 0]
    assert metrics.pck(predicted, target) == 0.75
    assert metrics.pck(target + np.array([0.25, 0, 0]), target, threshold=0.25) == 0.0, "closer than, not as close as"
    # of 31 thresholds the first joint fails at 0 only, the second likewise, the fourth up to 75 mm (16 of them)
    assert metrics.auc(predicted, target) == pytest.approx((30 + 30 + 0 + 15) / 4 / 31, abs=1e-12)


def test_bone_lengths():
    target = np.array([[[0, 0, 0], [0, 0, 1.0], [0, 2.0, 1.0]]])
    predicted = np.array([[[0, 0, 0], [0, 0, 1.5], [0, 1.0, 1.5]]])
    bones = ((0, 1), (1, 2))
    assert metrics.bone_lengths(target, bones).tolist() == [[1, 2]]
    assert metrics.bone_length_error(predicted, target, bones) == pytest.approx((0.5 + 1.0) / 2)
    assert metrics.bone_length_error(target + 7.0, target, bones) == pytest.approx(0, abs=1e-12)
