"""Units and axes that were mixed up are put right and said; what was right is left alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigs import apart, extrinsics, posed, ring

from multiview.rig import load_rig, write_rig
from multiview.rig_camera import Fault
from multiview.rig_checks import check
from multiview.rig_fit import turned
from pipeline.errors import InputError
from studio.cameras import look_at

FLIP = np.diag([1.0, -1, -1])


def centre_given(turn, shift):
    return turn, -turn.T @ shift


MISTAKES = {
    "camera to world instead": lambda turn, shift: (turn.T, -turn.T @ shift),
    "with transposed rotations,": lambda turn, shift: (turn.T, shift),
    "with camera centres": centre_given,
    "OpenGL": lambda turn, shift: (FLIP @ turn, FLIP @ shift),
    "camera to world in OpenGL": lambda turn, shift: (turn.T @ FLIP, -turn.T @ shift),
}


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 8), radius=st.floats(1.5, 30), east=st.floats(-9, 9))
def test_a_good_rig_is_left_alone(seed, count, radius, east):
    rig = ring(count, radius, target=(east, 1.5, 1.0), seed=seed)
    same, warnings = check(rig)
    assert warnings == [] and all(a is b for a, b in zip(rig, same, strict=True))


@pytest.mark.parametrize("target", [(2.0, -1.5, 1.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_poses_read_otherwise_are_put_right_and_said(mistake, target):
    """The hardest place is the world's origin: cameras that look there still do so when rotations are transposed."""
    for seed in range(6):
        rig = ring(4, target=target, seed=seed)
        given = [posed(camera, *MISTAKES[mistake](*extrinsics(camera))) for camera in rig]
        fixed, warnings = check(given)
        assert mistake in warnings[0] and len(warnings) == 1
        for a, b in zip(rig, fixed, strict=True):
            np.testing.assert_allclose(a.camera_to_world, b.camera_to_world, atol=1e-9)


def test_cameras_on_their_sides_are_no_mistake():
    """Phones held upright, whose players do not turn the picture."""
    for ways in (("clockwise",) * 4, ("clockwise", "", "", "anticlockwise"), ("", "clockwise", "", "")):
        rig = [turned(camera, way) if way else camera for camera, way in zip(ring(4), ways, strict=True)]
        same, _ = check(rig)
        assert all(a is b for a, b in zip(rig, same, strict=True))


def test_cameras_that_look_apart_are_no_mistake_of_reading():
    """Two parallel cameras, and four that look out of the middle of a room."""
    pair = [replace(look_at((x, -4, 1.5), (x, 0, 1.5)), name=str(x)) for x in (0.0, 0.3)]
    assert check(pair)[1] == []
    ways = [(np.cos(a), np.sin(a)) for a in (0.1, 1.3, 2.6, 4.0, 5.2)]
    out = [replace(look_at((x, y, 1.5), (9 * x, 9 * y, 1.5)), name=f"{x}") for x, y in ways]
    same, warnings = check(out)
    assert all(a is b for a, b in zip(out, same, strict=True)) and "look away" in " ".join(warnings)


@pytest.mark.parametrize(("unit", "factor"), [("cm", 100.0), ("mm", 1000.0)])
@pytest.mark.parametrize("radius", [2.5, 4.0])
def test_other_units_are_judged_and_said(tmp_path, unit, factor, radius):
    rig = ring(4, radius)
    large = [posed(camera, extrinsics(camera)[0], factor * extrinsics(camera)[1]) for camera in rig]
    write_rig(tmp_path / "rig.toml", large, "pose2sim")
    metres, warnings = load_rig(tmp_path / "rig.toml")
    assert len(warnings) == 1 and f"taken for {unit}" in warnings[0]
    assert apart(rig, metres) < 1e-6
    metres, warnings = load_rig(tmp_path / "rig.toml", unit=unit)
    assert warnings == [] and apart(rig, metres) < 1e-6


def test_a_unit_that_cannot_be(tmp_path):
    write_rig(tmp_path / "rig.toml", ring(4), "pose2sim")
    with pytest.raises(InputError, match="m large"):
        load_rig(tmp_path / "rig.toml", unit="mm")
    far = [posed(camera, extrinsics(camera)[0], 1e7 * extrinsics(camera)[1]) for camera in ring(3)]
    with pytest.raises(Fault, match="m large"):
        check(far)


def test_a_world_with_another_axis_up_is_said():
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    rig = [posed(camera, extrinsics(camera)[0] @ turn, extrinsics(camera)[1]) for camera in ring(4)]
    assert any("not the world's Z" in text for text in check(rig)[1])


def test_a_lens_far_from_the_middle_is_said():
    rig = ring(3)
    rig[1].matrix[0, 2] = 1200
    assert any("cam_02" in text and "middle" in text for text in check(rig)[1])
