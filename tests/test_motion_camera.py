"""The camera's focal length: who says it, and what is refused."""

import numpy as np
import pytest

from motion.camera import DEFAULT_FOV_DEG, default_camera
from pipeline.errors import UsageError


@pytest.mark.parametrize(
    ("options", "focal", "source"),
    [
        ({"focal_px": 900.0}, 900.0, "given"),
        ({"fov_deg": 90.0}, 640.0, "given"),
        ({"metadata_focal_px": 1000.0}, 1000.0, "metadata"),
        ({"focal_px": 900.0, "metadata_focal_px": 1000.0}, 900.0, "given"),
        ({}, 640 / np.tan(np.radians(DEFAULT_FOV_DEG / 2)), "default"),
    ],
)
def test_focal_length(options, focal, source):
    for size in ((1280, 720), (720, 1280)):
        camera = default_camera(size, **options)
        assert camera.matrix[0, 0] == camera.matrix[1, 1] == pytest.approx(focal)
        assert source in camera.source and camera.size == size
        np.testing.assert_allclose(camera.matrix[:2, 2], (np.array(size) - 1) / 2)


@pytest.mark.parametrize("options", [{"fov_deg": 0.0}, {"fov_deg": 180.0}, {"focal_px": -5.0}, {"focal_px": np.nan}])
def test_impossible_values(options):
    with pytest.raises(UsageError):
        default_camera((640, 480), **options)


def test_both_at_once():
    with pytest.raises(UsageError, match="twice"):
        default_camera((640, 480), fov_deg=60, focal_px=500)
