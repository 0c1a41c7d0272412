"""The studio's cameras: where they look, the rays of their pixels, how they move."""

import cv2
import numpy as np
import pytest

from pipeline.projection import project, to_pixels
from studio.cameras import look_at, moving, orbit, ray_grid, shaken, still


def test_the_target_is_in_the_middle_and_up_is_up():
    camera = look_at((4, -3, 1.5), (0.5, 0.2, 1), (641, 359))
    pixels, _ = project(camera, np.array([[0.5, 0.2, 1], [0.5, 0.2, 1.5]]))
    np.testing.assert_allclose(pixels[0], (320, 179), atol=1e-9)
    assert pixels[1, 1] < 179
    assert pixels[1, 0] == pytest.approx(320)


def test_what_is_behind_has_no_pixel():
    pixels, depth = project(look_at((4, 0, 1), (0, 0, 1)), np.array([[9.0, 0, 1]]))
    assert np.isnan(pixels).all()
    assert depth[0] < 0


@pytest.mark.parametrize("bend", [(0, 0, 0, 0, 0), (-0.2, 0.05, 0.002, -0.001, 0.01)])
def test_the_ray_of_a_pixel_comes_back_to_it(bend):
    camera = look_at((4, 0, 1), (0, 0, 1), (93, 57), 70, distortion=bend)
    u, v = ray_grid(camera)
    assert u.shape == v.shape == (57, 93)
    pixels = to_pixels(camera, np.stack([u, v], axis=-1).astype(np.float64))
    np.testing.assert_allclose(pixels, np.stack(np.meshgrid(np.arange(93), np.arange(57)), axis=-1), atol=1e-3)


def test_a_distortion_without_an_inverse_is_refused():
    with pytest.raises(ValueError, match="distortion"):
        ray_grid(look_at((4, 0, 1), (0, 0, 1), (64, 48), 110, distortion=(-0.9, 0, 0, 0, 0)))
    with pytest.raises(ValueError, match="target"):
        look_at((0, 0, 3), (0, 0, 1))


def test_moving_cameras():
    fixed = look_at((4, 0, 1), (0, 0, 1))
    assert still(fixed)(0.0) is still(fixed)(2.0)
    round_it = orbit((0, 0, 1), 4, 1.5, np.pi)
    np.testing.assert_allclose(round_it(0).camera_to_world[:3, 3], (4, 0, 1.5))
    np.testing.assert_allclose(round_it(1).camera_to_world[:3, 3], (-4, 0, 1.5), atol=1e-12)
    dolly = moving(lambda t: (4 - t, 0, 1), lambda t: (0, t, 1))
    np.testing.assert_allclose(dolly(1.0).camera_to_world[:3, 3], (3, 0, 1))
    hand = shaken(still(fixed), 0.01, seed=3)
    angles = [np.linalg.norm(cv2.Rodrigues(fixed.camera_to_world[:3, :3].T @ hand(t).camera_to_world[:3, :3])[0])
              for t in np.linspace(0, 5, 50)]  # fmt: skip
    assert 0 < max(angles) < 0.02
    np.testing.assert_array_equal(hand(1.3).camera_to_world, shaken(still(fixed), 0.01, seed=3)(1.3).camera_to_world)
