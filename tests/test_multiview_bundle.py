"""Bundle adjustment: exact derivatives, exact cameras from exact observations, robust against some that are wrong."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from multiview.bundle import Boards, Observations, Points, adjust, lens_numbers
from multiview.derivatives import lens_pixels, rotation_derivative, skew
from pipeline.projection import project, to_camera
from pipeline.results import Camera
from studio.cameras import look_at

BENDS = {
    "usual": (np.array([-0.2, 0.08, -0.002, 0.003, -0.02]), False),
    "rational": (np.array([0.1, -0.05, 0.001, -0.002, 0.01, 0.05, 0.02, 0.001]), False),
    "fisheye": (np.array([0.05, -0.01, 0.004, -0.001]), True),
}


def rig(count=3, bend="usual"):
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    lens, fisheye = BENDS[bend]
    return [
        replace(look_at((3 * np.cos(a), 3 * np.sin(a), 1.2 + 0.2 * i), (0, 0, 0.5), (640, 480), 60), distortion=lens,
                fisheye=fisheye)
        for i, a in enumerate(angles)
    ]  # fmt: skip


def observed(cameras, world):
    camera, point = (part.ravel() for part in np.indices((len(cameras), len(world))))
    pixels = np.concatenate([project(one, world)[0] for one in cameras])
    return Observations(camera, point, pixels, np.ones(len(camera)))


def perturbed(cameras, random, turn=0.02, shift=0.05):
    out = []
    for one in cameras:
        pose = one.camera_to_world.copy()
        pose[:3, :3] = Rotation.from_rotvec(random.normal(0, turn, 3)).as_matrix() @ pose[:3, :3]
        pose[:3, 3] += random.normal(0, shift, 3)
        out.append(replace(one, camera_to_world=pose))
    return [cameras[0], *out[1:]]


def zoomed(camera, x, y=None):
    return camera.matrix + np.diag(np.diag(camera.matrix) * [x - 1, (y or x) - 1, 0])


def boards(random, count=8):
    y, x = np.mgrid[:4, :5] * 0.1
    corners = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)
    return Boards(corners, random.normal(0, 0.6, (count, 3)), random.normal((0, 0, 0.5), 0.3, (count, 3)))


@pytest.mark.parametrize("bend", BENDS)
def test_derivatives_are_those_of_the_camera_model(bend):
    cam = replace(rig(1, bend)[0], matrix=np.array([[500.0, 0, 310], [0, 510, 250], [0, 0, 1]]))
    local = to_camera(cam, np.random.default_rng(1).uniform(-0.6, 0.6, (20, 3)))
    lens = lens_numbers(cam)
    pixels, by_point, by_lens = lens_pixels(lens, cam.fisheye, local)
    expected, _ = project(replace(cam, camera_to_world=np.eye(4)), local)
    np.testing.assert_allclose(pixels, expected, atol=1e-9)
    for axis in range(3):
        step = np.eye(3)[axis] * 1e-6
        change = lens_pixels(lens, cam.fisheye, local + step)[0] - lens_pixels(lens, cam.fisheye, local - step)[0]
        np.testing.assert_allclose(by_point[:, :, axis], change / 2e-6, rtol=1e-5, atol=1e-4)
    for number in range(len(lens)):
        step = np.eye(len(lens))[number] * 1e-5
        change = lens_pixels(lens + step, cam.fisheye, local)[0] - lens_pixels(lens - step, cam.fisheye, local)[0]
        np.testing.assert_allclose(by_lens[:, :, number], change / 2e-5, rtol=1e-5, atol=1e-4)
    assert [part.shape for part in lens_pixels(lens, cam.fisheye, local[:0])] == [(0, 2), (0, 2, 3), (0, 2, len(lens))]


@pytest.mark.parametrize("bend", BENDS)
def test_a_point_behind_has_a_finite_price_that_its_depth_does_not_change(bend):
    cam = rig(1, bend)[0]
    local = np.array([[1e-4, 2e-4, -3.0], [1e-4, 2e-4, 1e-3]])
    pixels, by_point, _ = lens_pixels(lens_numbers(cam), cam.fisheye, local)
    np.testing.assert_array_equal(pixels[0], pixels[1])
    assert np.isfinite(by_point).all() and (by_point[0, :, 2] == 0).all()


@pytest.mark.parametrize("size", [0.0, 1e-6, 1e-3, 0.5, 2.5])
def test_derivative_of_a_rotation_is_opencvs(size):
    turn = size * np.array([0.6, -0.48, 0.64])
    matrix, theirs = cv2.Rodrigues(turn)
    point = np.array([[0.3, -0.2, 0.9]])
    ours = (-matrix @ skew(point) @ rotation_derivative(turn[None]))[0]
    np.testing.assert_allclose(ours, np.einsum("rij,j->ir", theirs.reshape(3, 3, 3), point[0]), atol=1e-7)


@pytest.mark.parametrize("bend", BENDS)
def test_exact_observations_of_boards_give_the_cameras_exactly(bend):
    random = np.random.default_rng(3)
    truth, scene = rig(3, bend), boards(random)
    seen = observed(truth, scene.world)
    start = replace(
        scene, turns=scene.turns + random.normal(0, 0.05, scene.turns.shape),
        places=scene.places + random.normal(0, 0.05, scene.places.shape),
    )  # fmt: skip
    done = adjust(perturbed(truth, random), start, seen)
    for one, other in zip(done.cameras, truth, strict=True):
        np.testing.assert_allclose(one.camera_to_world, other.camera_to_world, atol=1e-6)
    np.testing.assert_allclose(done.scene.world, scene.world, atol=1e-6)
    assert done.converged and np.abs(done.residuals).max() < 1e-5


def test_free_points_give_cameras_and_focal_lengths_up_to_scale():
    random = np.random.default_rng(4)
    truth, world = rig(4), random.uniform(-0.8, 0.8, (60, 3))
    seen = observed(truth, world)
    start = [replace(one, matrix=zoomed(one, 1.05)) for one in perturbed(truth, random)]
    done = adjust(
        start, Points(world + random.normal(0, 0.05, world.shape)), seen, [("centre", "focal")] * 4, steps=400
    )
    found, expected = ([one.camera_to_world[:3, 3] for one in cams] for cams in (done.cameras, truth))
    scale = np.linalg.norm(expected[1] - expected[0]) / np.linalg.norm(found[1] - found[0])
    np.testing.assert_allclose((np.array(found) - found[0]) * scale, np.array(expected) - expected[0], atol=1e-5)
    np.testing.assert_allclose([one.matrix for one in done.cameras], [one.matrix for one in truth], rtol=1e-4)


def test_lens_and_poses_come_from_boards_together():
    random = np.random.default_rng(5)
    truth, scene = rig(3), boards(random, 12)
    bent = [replace(one, distortion=one.distortion * 0, matrix=zoomed(one, 1.04, 1.02)) for one in truth]
    free = [("focal", "aspect", "0", "1", "2", "3", "4")] * 3
    done = adjust(perturbed(bent, random), scene, observed(truth, scene.world), free, steps=400)
    for one, other in zip(done.cameras, truth, strict=True):
        np.testing.assert_allclose(one.matrix, other.matrix, rtol=1e-5)
        np.testing.assert_allclose(one.distortion, other.distortion, atol=1e-4)


def test_a_known_focal_length_holds_it_back():
    random = np.random.default_rng(6)
    truth, scene = rig(2), boards(random, 3)
    start = [replace(one, matrix=zoomed(one, 1.05)) for one in truth]
    free, seen = [("focal",)] * 2, observed(truth, scene.world)
    loose, tight = (adjust(start, scene, seen, free, focal_sigma=s).cameras[1].matrix[0, 0] for s in (None, 1e-6))
    assert loose == pytest.approx(truth[1].matrix[0, 0], rel=1e-5)
    assert tight == pytest.approx(start[1].matrix[0, 0], rel=1e-3)


def test_some_wrong_observations_hardly_matter():
    random = np.random.default_rng(7)
    truth, scene = rig(3), boards(random, 10)
    seen = observed(truth, scene.world)
    wrong = random.random(len(seen)) < 0.1
    pixels = (
        seen.pixels + random.normal(0, 0.2, seen.pixels.shape) + wrong[:, None] * random.normal(0, 40, (len(seen), 2))
    )
    done = adjust(perturbed(truth, random), scene, replace(seen, pixels=pixels), loss_px=0.5)
    for one, other in zip(done.cameras, truth, strict=True):
        np.testing.assert_allclose(one.camera_to_world[:3, 3], other.camera_to_world[:3, 3], atol=0.01)


def test_a_bundle_needs_observations():
    empty = Observations(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 2)), np.zeros(0))
    with pytest.raises(ValueError, match="without observations"):
        adjust([Camera(np.eye(3), (1, 1))], Points(np.zeros((1, 3))), empty)
