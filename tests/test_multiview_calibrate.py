"""Lenses and rigs from boards: known truth comes back, and what cannot be known is said."""

from dataclasses import replace

import numpy as np
import pytest
from boards_seen import CHARUCO, CHECKERS, TURNABLE, every, rig, wave
from scipy.spatial.transform import Rotation

from multiview.calibrate import FACE_UP, calibrate
from multiview.intrinsics import coverage, fit_lens, varied
from pipeline.errors import InputError
from pipeline.results import Camera
from studio.boards import waved


def views(camera, board=CHARUCO, count=25, noise=0.1, seed=2, **how):
    return list(every(board, camera, wave(board, count, seed, **how), np.random.default_rng(seed), noise).values())


@pytest.mark.parametrize("board", [CHARUCO, CHECKERS, TURNABLE], ids=str)
def test_a_lens_comes_back(board):
    camera = rig()[1]
    lens = fit_lens(board, views(camera, board, reach_m=0.5), camera.size, "middle")
    assert lens.camera.matrix[0, 0] == pytest.approx(camera.matrix[0, 0], rel=0.005)
    assert lens.camera.matrix[:2, 2] == pytest.approx(camera.matrix[:2, 2], abs=6)
    assert lens.camera.distortion[0] == pytest.approx(-0.15, abs=0.03)
    assert lens.trusted and lens.focal_std < 0.01 and lens.rms_px < 0.2
    assert lens.camera.name == "middle" and "focal" in lens.free


def test_a_fisheye_comes_back():
    matrix = np.array([[220.0, 0, 319], [0, 221, 240], [0, 0, 1]])
    camera = Camera(matrix, (640, 480), np.array([0.03, -0.005, 0.001, 0]), rig()[1].camera_to_world, fisheye=True)
    boards = list(
        every(CHECKERS, camera, waved(CHECKERS, 25, (0, -1.3, 0.9), seed=3), np.random.default_rng(3), 0.05).values()
    )
    lens = fit_lens(CHECKERS, boards, camera.size, fisheye=True)
    np.testing.assert_allclose(lens.camera.matrix, matrix, rtol=0.005, atol=1.5)
    assert lens.trusted and lens.camera.fisheye and len(lens.camera.distortion) == 4


def test_boards_that_face_the_camera_tell_no_focal_length():
    camera = rig()[1]
    lens = fit_lens(CHARUCO, views(camera, tilt=0.005, noise=0.3), camera.size)
    assert not lens.trusted
    assert any("face the camera" in doubt for doubt in lens.doubts)


def test_few_and_small_views_free_few_numbers():
    camera = rig()[1]
    poses = waved(CHECKERS, 6, (0, 0.8, 1.0), reach_m=0.05, tilt=0.4, seed=5)
    lens = fit_lens(CHECKERS, list(every(CHECKERS, camera, poses, np.random.default_rng(5), 0.3).values()), camera.size)
    assert len(lens.free) <= 4 and lens.boards <= 6
    assert any("only" in doubt for doubt in lens.doubts) and any("cover" in doubt for doubt in lens.doubts)


def test_too_few_views_are_refused():
    camera = rig()[1]
    again = views(camera, count=1) * 30
    with pytest.raises(InputError, match="the lens of left cannot be had: 1 different board views"):
        fit_lens(CHARUCO, again, camera.size, "left")
    with pytest.raises(InputError, match="0 different"):
        fit_lens(CHARUCO, [], camera.size)


def test_one_wrong_detection_does_not_matter():
    camera, random = rig()[1], np.random.default_rng(0)
    boards = views(camera, reach_m=0.5)
    boards[3] = replace(boards[3], corners=boards[3].corners + random.normal(0, 8, boards[3].corners.shape))
    lens = fit_lens(CHARUCO, boards, camera.size)
    assert lens.camera.matrix[0, 0] == pytest.approx(camera.matrix[0, 0], rel=0.005) and lens.rms_px < 0.3


def test_varied_views_are_spread():
    camera = rig()[1]
    boards = views(camera, count=60)
    few = varied(CHARUCO, boards * 2, camera.size, 10)
    assert len(few) == 10
    assert coverage(few, camera.size) > coverage(boards[:10], camera.size) - 0.1
    assert coverage([], camera.size) == 0


# ---- rigs -----------------------------------------------------------------------------------------------------------


def same_rig(found, truth, position, degrees):
    """After moving the one whole rig onto the other's first camera."""
    onto = truth[0].camera_to_world @ np.linalg.inv(found[0].camera_to_world)
    for one, other in zip(found, truth, strict=True):
        moved = onto @ one.camera_to_world
        assert np.linalg.norm(moved[:3, 3] - other.camera_to_world[:3, 3]) < position
        turn = Rotation.from_matrix(moved[:3, :3].T @ other.camera_to_world[:3, :3]).magnitude()
        assert np.degrees(turn) < degrees


@pytest.mark.parametrize("board", [CHARUCO, CHECKERS, TURNABLE], ids=str)
def test_a_rig_comes_back_exactly(board):
    truth, poses = rig(), wave(board)
    random = np.random.default_rng(8)
    found = [every(board, c, poses, turns=random.random(len(poses)) < 0.5) for c in truth]
    done = calibrate(board, truth, found)
    same_rig(done.cameras, truth, 1e-5, 1e-4)
    assert max(done.rms_px) < 1e-3 and done.dropped == 0 and not done.warnings
    first = done.boards[min(done.boards)]
    np.testing.assert_allclose(first, FACE_UP, atol=1e-6)


def test_noise_and_gross_errors():
    truth, poses = rig(), wave(CHARUCO, 20)
    random = np.random.default_rng(9)
    found = [every(CHARUCO, c, poses, random, 0.3) for c in truth]
    for boards in found[:2]:
        corners = boards[5].corners
        corners[:3] += 30
    done = calibrate(CHARUCO, truth, found)
    same_rig(done.cameras, truth, 0.01, 0.3)
    assert 5 <= done.dropped <= 12 and all(0.2 < e < 0.6 for e in done.rms_px)


def test_cameras_that_share_boards_through_a_third():
    truth, poses = rig(), wave(CHARUCO, 16)
    found = [every(CHARUCO, c, poses) for c in truth]
    found[0] = {m: one for m, one in found[0].items() if m < 8}
    found[2] = {m: one for m, one in found[2].items() if m >= 8}
    done = calibrate(CHARUCO, truth, found)
    same_rig(done.cameras, truth, 1e-4, 1e-3)
    assert done.shared[0, 2] == 0 and done.shared[0, 1] > 0


def test_groups_that_share_nothing_are_named():
    truth, poses = rig(), wave(CHARUCO, 16)
    found = [every(CHARUCO, c, poses) for c in truth]
    found[2] = {100 + m: one for m, one in found[2].items()}
    with pytest.raises(InputError, match=r"share no board: left middle \| right"):
        calibrate(CHARUCO, truth, found)


def test_the_floor_is_where_the_board_lay():
    truth = rig()
    poses = wave(CHARUCO)
    poses[6] = np.diag([1.0, -1, -1, 1])
    poses[6][:3, 3] = -0.2, 0.1, 0.6  # face up, 0.6 m above the world's own zero
    found = [every(CHARUCO, c, poses) for c in truth]
    done = calibrate(CHARUCO, truth, found, floor=6)
    for one, other in zip(done.cameras, truth, strict=True):
        expected = other.camera_to_world[:3, 3] - (-0.2, 0.1, 0.6)
        np.testing.assert_allclose(one.camera_to_world[:3, 3], expected, atol=1e-4)
    with pytest.raises(InputError, match="in frame 77"):
        calibrate(CHARUCO, truth, found, floor=77)


def test_videos_that_are_not_synchronous_are_told():
    truth, poses = rig(), wave(CHARUCO, 20)
    found = [every(CHARUCO, c, poses) for c in truth]
    found[2] = {(m + 5) % 20: one for m, one in found[2].items()}
    done = calibrate(CHARUCO, truth, found)
    assert any("right" in text and "synchronous" in text for text in done.warnings)


def test_a_board_that_stands_still_may_be_turned_either_way():
    truth = rig()
    poses = np.repeat(wave(TURNABLE, 1, tilt=0.1), 6, axis=0)
    found = [every(TURNABLE, c, poses) for c in truth]
    assert all(len(boards) == 6 for boards in found)
    assert any("move the board more" in text for text in calibrate(TURNABLE, truth, found).warnings)


def test_one_camera_stands_to_its_board():
    truth, poses = rig()[:1], wave(CHARUCO, 5)
    done = calibrate(CHARUCO, truth, [every(CHARUCO, truth[0], poses)])
    first = min(done.boards)
    expected = FACE_UP @ np.linalg.inv(poses[first]) @ truth[0].camera_to_world
    np.testing.assert_allclose(done.cameras[0].camera_to_world, expected, atol=1e-5)
