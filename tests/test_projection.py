"""One camera model: the same as OpenCV's, and there and back again."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.projection import centre, during, project, rays, to_camera
from pipeline.results import Camera

MATRIX = np.array([[1100.0, 0, 630], [0, 1090, 370], [0, 0, 1]])
BENDS = {
    "none": (np.zeros(5), False),
    "usual": (np.array([-0.33, 0.12, -0.004, 0.003, -0.02]), False),
    "rational": (np.array([0.1, -0.05, 0.001, -0.002, 0.01, 0.05, 0.02, 0.001]), False),
    "fisheye": (np.array([0.05, -0.01, 0.004, -0.001]), True),
}


TURN = (0.3, -0.5, 0.2)


def pose(turn=TURN, eye=(1.0, -4.0, 1.5)):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = cv2.Rodrigues(np.array(turn))[0], eye
    return matrix


def camera(kind):
    bend, fisheye = BENDS[kind]
    return Camera(MATRIX, (1280, 720), bend, pose(), fisheye=fisheye)


def before(given, seed=0, count=50):
    """Points in the world that lie in the camera's picture."""
    random = np.random.default_rng(seed)
    depth = random.uniform(2, 8, count)
    local = np.c_[random.uniform(-0.5, 0.5, (count, 2)) * depth[:, None], depth]
    return local @ given.camera_to_world[:3, :3].T + given.camera_to_world[:3, 3]


def assert_opencvs(cam, points, turn=TURN):
    model = cv2.fisheye if cam.fisheye else cv2
    theirs, _ = model.projectPoints(
        points[:, None], -np.array(turn), cam.world_to_camera[:3, 3], cam.matrix, cam.distortion
    )
    ours, depth = project(cam, points)
    np.testing.assert_allclose(ours, theirs[:, 0], atol=1e-7)
    np.testing.assert_allclose(depth, to_camera(cam, points)[:, 2])


@pytest.mark.parametrize("kind", BENDS)
def test_projection_is_opencvs(kind):
    assert_opencvs(camera(kind), before(camera(kind)))


@given(
    bend=st.tuples(*[st.floats(-0.2, 0.2)] * 2, *[st.floats(-0.01, 0.01)] * 2, st.floats(-0.1, 0.1)),
    fisheye=st.booleans(),
    turn=st.tuples(*[st.floats(-3, 3)] * 3),
    eye=st.tuples(*[st.floats(-9, 9)] * 3),
)
def test_projection_is_opencvs_through_any_lens_from_anywhere(bend, fisheye, turn, eye):
    cam = Camera(MATRIX, (1280, 720), np.array(bend[: 4 if fisheye else 5]), pose(turn, eye), fisheye=fisheye)
    assert_opencvs(cam, before(cam), turn)


@pytest.mark.parametrize("kind", BENDS)
def test_a_ray_goes_through_its_point(kind):
    cam, points = camera(kind), before(camera(kind), seed=1)
    local = to_camera(cam, points)
    np.testing.assert_allclose(rays(cam, project(cam, points)[0]), local[:, :2] / local[:, 2:], atol=1e-8)


@given(st.integers(0, 1000), st.sampled_from(sorted(BENDS)))
def test_pixels_come_back(seed, kind):
    cam = camera(kind)
    pixels, _ = project(cam, before(cam, seed, 5))
    there = rays(cam, pixels)
    local = np.c_[there, np.ones(len(there))] * 3.0
    again, _ = project(replace(cam, camera_to_world=np.eye(4)), local)
    np.testing.assert_allclose(again, pixels, atol=1e-6)


def test_a_moving_camera_is_one_per_time():
    poses = np.stack([pose(eye=(x, -4, 1.5)) for x in (0.0, 0.5, 1.0)])
    points = np.random.default_rng(2).uniform(-0.5, 0.5, (3, 6, 3))
    moving = Camera(MATRIX, (1280, 720), camera_to_world=poses)
    each = [project(replace(moving, camera_to_world=p), x) for p, x in zip(poses, points, strict=True)]
    pixels, depth = project(moving, points)
    np.testing.assert_allclose(pixels, [one for one, _ in each])
    np.testing.assert_allclose(depth, [one for _, one in each])
    np.testing.assert_allclose(centre(moving), poses[:, :3, 3])
    later, _ = project(during(moving, np.array([2, 1])), points[[2, 1]])
    np.testing.assert_array_equal(later, pixels[[2, 1]])
    assert during(camera("usual"), np.array([2, 1])).camera_to_world.shape == (4, 4)
    assert project(during(moving, np.zeros(0, int)), np.zeros((0, 6, 3)))[0].shape == (0, 6, 2)


def test_what_is_unknown_or_behind_stays_unknown():
    cam = replace(camera("usual"), camera_to_world=np.eye(4))
    assert np.isnan(project(cam, np.array([0, 0, -1.0]))[0]).all()
    found = rays(cam, np.array([[np.nan, 3.0], [630.0, 370.0]]))
    assert np.isnan(found[0]).all() and np.allclose(found[1], 0)


def test_pixels_that_no_ray_of_a_fisheye_reaches_are_unknown():
    """With this lens no angle is farther from the middle than about 0.8 focal lengths."""
    cam = Camera(np.diag([300.0, 300.0, 1.0]), (640, 480), np.array([-0.3, 0.0, 0.0, 0.0]), np.eye(4), fisheye=True)
    found = rays(cam, np.array([[900.0, 0.0], [30.0, 0.0]]))
    assert np.isnan(found[0]).all() and np.isfinite(found[1]).all()
