"""Triangulation: exact without noise, as OpenCV's, robust, and indifferent to what should not matter."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from several_views import drifting, ring, seen, walker

from multiview.triangulate import LEAST_ANGLE, triangulate
from pipeline.projection import project, rays

POINTS = walker(12)


def errors_mm(result, points=POINTS):
    return 1000 * np.linalg.norm(result.points - points, axis=-1)


@pytest.mark.parametrize("views", [2, 3, 4, 8])
@pytest.mark.parametrize("moving", [False, True])
def test_without_noise_it_is_exact(views, moving):
    cameras = ring(views)
    if moving:
        cameras = [drifting(c, len(POINTS)) if i % 2 else c for i, c in enumerate(cameras)]
    result = triangulate(cameras, *seen(cameras, POINTS))
    assert errors_mm(result).max() < 1e-3
    assert (result.views == views).all() and result.used.all()
    assert np.isfinite(result.covariance).all() and result.error_px.max() < 1e-4


@settings(max_examples=20)
@given(st.permutations(range(5)), st.integers(0, 1000))
def test_the_order_of_views_does_not_matter(order, seed):
    cameras = ring(5)
    keypoints, scores = seen(cameras, POINTS[:3], 3.0, seed)
    keypoints[seed % 5, :, ::4] += 120
    one = triangulate(cameras, keypoints, scores)
    other = triangulate([cameras[i] for i in order], keypoints[list(order)], scores[list(order)])
    np.testing.assert_allclose(other.points, one.points, atol=1e-9)
    np.testing.assert_array_equal(other.used, one.used[list(order)])


@settings(max_examples=20)
@given(st.integers(0, 4), st.integers(0, 1000), st.sampled_from(["nan", "unscored"]))
def test_a_view_that_sees_nothing_changes_nothing(at, seed, how):
    cameras = ring(4)
    keypoints, scores = seen(cameras, POINTS[:3], 2.0, seed)
    blind = np.full((1, *keypoints.shape[1:]), np.nan if how == "nan" else 17.0)
    marks = np.full((1, *scores.shape[1:]), 0.9 if how == "nan" else 0.0)
    wider = triangulate(
        [*cameras[:at], ring(7)[5], *cameras[at:]],
        np.insert(keypoints, at, blind, axis=0),
        np.insert(scores, at, marks, axis=0),
    )
    one = triangulate(cameras, keypoints, scores)
    np.testing.assert_allclose(wider.points, one.points, atol=1e-12)
    np.testing.assert_allclose(wider.scores, one.scores, atol=1e-12)


def test_two_views_are_opencvs():
    cameras = ring(2, bend=(0, 0, 0, 0, 0))
    keypoints, scores = seen(cameras, POINTS)
    projections = [c.matrix @ c.world_to_camera[:3] for c in cameras]
    theirs = cv2.triangulatePoints(*projections, *(k.reshape(-1, 2).T for k in keypoints))
    theirs = (theirs[:3] / theirs[3]).T.reshape(POINTS.shape)
    np.testing.assert_allclose(triangulate(cameras, keypoints, scores).points, theirs, atol=1e-8)


def test_with_noise_it_is_the_least_reprojection_error():
    """As SciPy's least squares finds it, where no error is large enough for Huber's weights."""
    cameras = ring(4)
    keypoints, scores = seen(cameras, POINTS[:1, :4], 1.0, 3)
    ours = triangulate(cameras, keypoints, scores).points[0]
    for j, start in enumerate(POINTS[0, :4]):
        found = least_squares(
            lambda x, seen=keypoints[:, 0, j]: np.concatenate([project(c, x)[0] for c in cameras]) - seen.ravel(),
            start,
            xtol=1e-14,
            ftol=1e-14,
        ).x
        np.testing.assert_allclose(ours[j], found, atol=2e-5)


@pytest.mark.parametrize("views", [4, 8])
def test_wrong_joints_of_a_view_hardly_hurt(views):
    cameras = ring(views)
    keypoints, scores = seen(cameras, POINTS, 1.0)
    clean = errors_mm(triangulate(cameras, keypoints, scores)).mean()
    random = np.random.default_rng(5)
    wrong = random.random(scores[1].shape) < 0.3
    angle = random.uniform(0, 2 * np.pi, wrong.sum())
    keypoints[1, wrong] += 200 * np.stack([np.cos(angle), np.sin(angle)], -1)
    result = triangulate(cameras, keypoints, scores)
    assert errors_mm(result).mean() < 1.5 * clean
    assert not result.used[1, wrong].any() and result.used[[0, 2]].all()
    assert (result.scores[wrong] < result.scores[~wrong].min()).all()


def test_one_view_or_rays_too_parallel_give_no_point():
    near = ring(2, bend=(0, 0, 0, 0, 0))[:1] * 2
    shifted = near[0].camera_to_world.copy()
    shifted[:3, 3] += 0.02 * shifted[:3, 0]
    near[1] = replace(near[0], camera_to_world=shifted)
    result = triangulate(near, *seen(near, POINTS))
    assert np.isnan(result.points).all() and (result.scores == 0).all() and not result.used.any()
    assert np.isfinite(triangulate(near, *seen(near, POINTS), least_angle_rad=LEAST_ANGLE / 50).points).all()
    assert np.isnan(triangulate(near[:1], *seen(near[:1], POINTS)).points).all()


def test_views_that_contradict_each_other_give_no_point():
    cameras = ring(3)[:2]
    keypoints, scores = seen(cameras, POINTS)
    keypoints[1, :, 3, 1] += 150
    result = triangulate(cameras, keypoints, scores)
    assert np.isnan(result.points[:, 3]).all() and (result.views[:, 3] == 0).all()
    assert np.isfinite(result.points[:, 4:]).all()


def test_the_covariance_is_that_of_the_noise():
    cameras = ring(4, bend=(0, 0, 0, 0, 0), size=(1920, 1080))
    point = np.repeat(POINTS[:1, :1], 4000, axis=0)
    keypoints, scores = seen(cameras, point, 3.0, 7)  # NOISE * THRESHOLD_PX
    result = triangulate(cameras, keypoints, np.ones_like(scores))
    measured = np.cov((result.points - point)[:, 0].T)
    told = result.covariance[:, 0].mean(axis=0)
    np.testing.assert_allclose(measured, told, atol=0.25 * np.trace(told))


def test_an_empty_time_and_wrong_shapes():
    cameras = ring(3)
    nothing = triangulate(cameras, np.zeros((3, 0, 33, 2)), np.zeros((3, 0, 33)))
    assert nothing.points.shape == (0, 33, 3) and nothing.used.shape == (3, 0, 33)
    with pytest.raises(ValueError, match="2 cameras"):
        triangulate(cameras[:2], *seen(cameras, POINTS))
    with pytest.raises(ValueError, match="poses"):
        triangulate([drifting(c, 5) for c in cameras], *seen(cameras, POINTS))


def test_fisheye_and_portrait():
    cameras = [replace(c, fisheye=True, distortion=np.array([0.05, -0.01, 0.004, -0.001])) for c in
               ring(3, size=(720, 1280), fov=40)]  # fmt: skip
    keypoints, scores = seen(cameras, POINTS)
    assert np.isfinite(rays(cameras[0], keypoints[0])).all()
    assert errors_mm(triangulate(cameras, keypoints, scores)).max() < 1e-2
