"""Alignment of point sets: proper, weighted, robust, over time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from multiview.procrustes import (
    align,
    align_robust,
    angle_between,
    blurred,
    common_turn,
    cross_matrix,
    exponential,
    nearest_rotation,
)


def cloud(rng, *shape):
    return rng.normal(size=(*shape, 3))


@given(st.integers(0, 10_000), st.floats(0.2, 5.0))
def test_a_similarity_comes_back(seed, scale):
    rng = np.random.default_rng(seed)
    points, turn, shift = cloud(rng, 2, 9), Rotation.random(2, rng).as_matrix(), rng.normal(size=(2, 3))
    found = align(points, scale * points @ np.swapaxes(turn, 1, 2) + shift[:, None], scale=True)
    np.testing.assert_allclose(found.rotation, turn, atol=1e-9)
    np.testing.assert_allclose(found.scale, scale)
    np.testing.assert_allclose(found.shift, shift, atol=1e-9)


@given(st.integers(0, 10_000))
def test_a_reflection_stays_a_rotation_and_no_rotation_fits_better(seed):
    rng = np.random.default_rng(seed)
    points = cloud(rng, 12)
    mirrored = points * (1, 1, -1)
    found = align(points, mirrored)
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    centred = points - points.mean(0)
    _, rssd = Rotation.align_vectors(mirrored - mirrored.mean(0), centred)
    assert np.linalg.norm(found(points) - mirrored) == pytest.approx(rssd)
    for other in Rotation.random(20, rng).as_matrix():
        assert np.linalg.norm(centred @ other.T - centred * (1, 1, -1)) >= rssd - 1e-9


def test_weights_and_unknown_points():
    rng = np.random.default_rng(3)
    points, turn = cloud(rng, 10), Rotation.random(random_state=3).as_matrix()
    target = points @ turn.T + 0.05 * cloud(rng, 10)
    weights = rng.uniform(0.1, 2, 10)
    x, y = (p - np.average(p, axis=0, weights=weights) for p in (points, target))
    theirs, _ = Rotation.align_vectors(y, x, weights)
    np.testing.assert_allclose(align(points, target, weights).rotation, theirs.as_matrix(), atol=1e-9)
    spoilt, marks = target.copy(), np.ones(10)
    spoilt[2], spoilt[5], marks[5] = np.nan, 100.0, 0.0
    kept = np.setdiff1d(np.arange(10), (2, 5))
    np.testing.assert_allclose(align(points, spoilt, marks).rotation, align(points[kept], target[kept]).rotation)
    with pytest.raises(ValueError, match="nothing to align"):
        align(points, np.full((10, 3), np.nan))


def test_wrong_points_do_not_pull():
    rng = np.random.default_rng(4)
    points, turn = cloud(rng, 30), Rotation.random(random_state=4).as_matrix()
    target = points @ turn.T + (1, 2, 3) + 0.01 * cloud(rng, 30)
    target[:8] += 3 * cloud(rng, 8)
    found, belief = align_robust(points, target)
    assert angle_between(found.rotation, turn) < np.radians(0.5) < angle_between(align(points, target).rotation, turn)
    assert belief[:8].max() < 0.1 < 0.3 < np.median(belief[8:])


def test_a_turning_camera_is_followed():
    rng = np.random.default_rng(5)
    times = np.arange(120) / 30
    turns = Rotation.from_rotvec(np.outer(0.4 * np.sin(times), [0.2, 1, 0.1])).as_matrix()
    body = cloud(rng, 120, 17)
    seen = np.einsum("tij,tkj->tki", turns, body) + 0.3 * cloud(rng, 120, 17)
    alone, smooth = (common_turn(body[None], seen[None], np.ones((1, 120, 17)), times, w, 1.0) for w in (1e-3, 0.15))
    assert angle_between(smooth, turns).mean() < 0.6 * angle_between(alone, turns).mean()
    still = common_turn(body[None], body[None] @ turns[7].T, np.ones((1, 120, 17)), times, np.inf, 1.0)
    np.testing.assert_allclose(still, turns[None, 7], atol=1e-9)


def test_blurring_is_a_gaussian_sum():
    times = np.array([0.0, 0.1, 0.15, 0.4, 2.0])
    values = np.random.default_rng(6).normal(size=(5, 2))
    kernel = np.exp(-0.5 * ((times[:, None] - times) / 0.2) ** 2)
    kernel[np.abs(times[:, None] - times) > 0.8] = 0
    np.testing.assert_allclose(blurred(values, times, 0.2), kernel @ values)
    np.testing.assert_allclose(blurred(values, times, np.inf), [values.sum(0)])


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_exponentials_are_scipys(vector):
    np.testing.assert_allclose(exponential(np.array(vector)), Rotation.from_rotvec(vector).as_matrix(), atol=1e-9)
    np.testing.assert_allclose(cross_matrix(np.array(vector)) @ (1, 2, 3), np.cross(vector, (1, 2, 3)), atol=1e-12)


def test_nothing_gives_a_proper_rotation_too():
    assert np.linalg.det(nearest_rotation(np.zeros((4, 3, 3)))) == pytest.approx(np.ones(4))
