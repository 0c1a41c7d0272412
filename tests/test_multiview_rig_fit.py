"""A rig put to videos: by name or order, and to pictures that were scaled, cut or turned."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from rigs import BEND, FISHEYE, points, ring

from multiview.rig_fit import TURNS, fit_rig, turned
from pipeline.errors import InputError, UsageError
from pipeline.projection import project

SIZE = (1280, 720)


def names(*given):
    rig = ring(3)
    fitted, warnings = fit_rig(rig, [SIZE] * len(given), given)
    return [camera.name for camera in fitted], warnings


def test_videos_find_their_cameras_by_name():
    assert names("cam03.mp4", "take2/cam1.mov", "walk_CAM_02-raw.mp4") == (["cam_03", "cam_01", "cam_02"], [])
    assert names("cam_02/video.mp4", "cam_01/video.mp4", "cam_03/video.mp4")[0] == ["cam_02", "cam_01", "cam_03"]
    found, warnings = names("cam1.mp4", "cam3.mp4")
    assert found == ["cam_01", "cam_03"] and "no video of camera cam_02" in warnings[0]


def test_ten_is_not_one():
    rig = [replace(camera, name=f"cam{number}") for number, camera in zip((1, 10, 2), ring(3), strict=True)]
    fitted, _ = fit_rig(rig, [SIZE] * 3, ["cam10.mp4", "cam2.mp4", "cam1.mp4"])
    assert [camera.name for camera in fitted] == ["cam10", "cam2", "cam1"]


def test_other_names_are_taken_in_order_and_said():
    found, warnings = names("left.mp4", "right.mp4", "top.mp4")
    assert found == ["cam_01", "cam_02", "cam_03"] and "in the rig's order" in warnings[0]
    assert names("cam_01.mp4", "right.mp4", "top.mp4")[0] == found


@pytest.mark.parametrize(
    "given", [("a", "b"), ("a", "b", "c", "d"), ("cam2", "cam3", "cam4"), ("cam1", "cam1b cam1", "c")]
)
def test_names_that_do_not_go_together(given):
    with pytest.raises(InputError):
        names(*given)


def seen(camera):
    return project(camera, points())[0]


def test_a_scaled_picture_scales_the_lens():
    """The middle of pixel i of a picture of half the size lies between 2i and 2i + 1."""
    (camera,), warnings = fit_rig(ring(1), [(640, 360)], ["a.mp4"])
    np.testing.assert_allclose(seen(camera), (seen(ring(1)[0]) + 0.5) / 2 - 0.5, atol=1e-9)
    assert camera.size == (640, 360) and "scaled by 0.5" in warnings[-1]
    rounded = fit_rig(ring(1), [(854, 480)], ["a.mp4"])[0][0]
    np.testing.assert_allclose(seen(rounded)[:, 0], (seen(ring(1)[0])[:, 0] + 0.5) * 854 / 1280 - 0.5, atol=1e-9)


@pytest.mark.parametrize(("crop", "shift"), [("right", 0), ("symmetric", 4), ("left", 8)])
def test_a_cut_picture(crop, shift):
    (camera,), warnings = fit_rig(ring(1), [(1272, 720)], ["takes/a.mp4"], crop=crop)
    np.testing.assert_allclose(seen(camera), seen(ring(1)[0]) - [shift, 0], atol=1e-9)
    assert camera.size == (1272, 720) and "8 px" in warnings[-1]
    assert warnings[-1].startswith("cam_01: a.mp4 (1272x720) against the rig's 1280x720: ")


def test_a_padded_picture_is_not_a_scaled_one():
    (camera,), warnings = fit_rig(ring(1), [(1280, 736)], ["a.mp4"])
    np.testing.assert_allclose(seen(camera), seen(ring(1)[0]), atol=1e-9)
    assert "padded" in warnings[-1]


@pytest.mark.parametrize("way", TURNS)
@pytest.mark.parametrize("lens", [(BEND, False), (FISHEYE, True)])
def test_a_turned_camera_sees_the_turned_picture(way, lens):
    """As OpenCV turns pictures: the pixel that was at x, y."""
    camera = replace(ring(1)[0], distortion=lens[0], fisheye=lens[1])
    x, y = seen(camera).T
    wanted = np.stack([719 - y, x] if way == "clockwise" else [y, 1279 - x], axis=-1)
    np.testing.assert_allclose(seen(turned(camera, way)), wanted, atol=1e-8)
    marks = np.arange(720 * 1280, dtype=np.int32).reshape(720, 1280)
    code = cv2.ROTATE_90_CLOCKWISE if way == "clockwise" else cv2.ROTATE_90_COUNTERCLOCKWISE
    u, v = (719 - 17, 5) if way == "clockwise" else (17, 1279 - 5)
    assert cv2.rotate(marks, code)[v, u] == marks[17, 5]
    other = TURNS[1 - TURNS.index(way)]
    back = turned(turned(camera, way), other)
    np.testing.assert_allclose(seen(back), seen(camera), atol=1e-9)


@pytest.mark.parametrize("way", TURNS)
def test_the_turn_that_holds_the_camera_upright_is_taken(way):
    """Cameras calibrated lying on their side, whose videos a player holds upright."""
    upright = ring(3)
    lying = [turned(camera, TURNS[1 - TURNS.index(way)]) for camera in upright]
    fitted, warnings = fit_rig(lying, [SIZE] * 3, ["cam1", "cam2", "cam3"])
    for camera, wanted in zip(fitted, upright, strict=True):
        np.testing.assert_allclose(seen(camera), seen(wanted), atol=1e-8)
    assert len(warnings) == 3 and way in warnings[0]
    other = fit_rig(lying, [SIZE] * 3, ["cam1", "cam2", "cam3"], turn=TURNS[1 - TURNS.index(way)])[0]
    assert other[0].camera_to_world[2, 1] > 0.5  # upside down, as was asked


def test_a_turn_that_cannot_be_judged_must_be_said():
    """Looking straight down, no side of the picture is up."""
    pose = np.diag([1.0, -1, -1, 1])
    rig = [replace(ring(1)[0], camera_to_world=pose)]
    with pytest.raises(InputError) as caught:
        fit_rig(rig, [(720, 1280)], ["a"])
    assert "turn the video back" in caught.value.hint
    assert fit_rig(rig, [(720, 1280)], ["a"], turn="clockwise")[0][0].size == (720, 1280)


def test_turned_and_smaller():
    (camera,), _ = fit_rig([turned(ring(1)[0], "clockwise")], [(640, 360)], ["a"])
    np.testing.assert_allclose(seen(camera), (seen(ring(1)[0]) + 0.5) / 2 - 0.5, atol=1e-8)


def test_a_rig_without_sizes_takes_the_videos():
    rig = [replace(ring(1)[0], size=(0, 0))]
    (camera,), warnings = fit_rig(rig, [SIZE], ["a"])
    assert camera.size == SIZE and "does not tell" in warnings[-1]
    with pytest.raises(InputError, match="does not fit"):
        fit_rig(rig, [(320, 180)], ["a"])


@pytest.mark.parametrize("size", [(640, 480), (1920, 1440), (720, 720), (1000, 720)])
def test_other_shapes_are_refused(size):
    with pytest.raises(InputError) as caught:
        fit_rig(ring(1), [size], ["a.mp4"])
    assert f"{size[0]}x{size[1]}" in caught.value.why and "1280x720" in caught.value.why


def test_unknown_choices():
    for choice in ({"crop": "top"}, {"turn": "round"}):
        with pytest.raises(UsageError):
            fit_rig(ring(1), [SIZE], ["a"], **choice)
