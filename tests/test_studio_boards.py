"""Rendered boards: where the camera has them, and the same every time."""

import numpy as np
import pytest
from boards_seen import CHARUCO, CHECKERS, rig, wave

from pipeline.projection import project
from studio.boards import pictures, sheet, waved


@pytest.mark.parametrize("board", [CHARUCO, CHECKERS], ids=str)
def test_corners_of_the_print_lie_between_squares(board):
    grey, onto = sheet(board, 40)
    for point in board.points:
        x, y, _ = onto @ (*point[:2], 1)
        around = (
            grey[int(y - 4), int(x - 4)],
            grey[int(y - 4), int(x + 5)],
            grey[int(y + 5), int(x + 5)],
            grey[int(y + 5), int(x - 4)],
        )
        assert around[0] == around[2] != around[1] == around[3]


def test_the_picture_is_dark_and_bright_where_the_camera_says():
    camera = rig()[1]
    pose = waved(CHECKERS, 1, (0, -0.6, 1.0), tilt=0.2)[0]
    picture = next(pictures(CHECKERS, camera, pose[None], blur_px=0, noise=0))
    corner = CHECKERS.points.reshape(4, 7, 3)
    middles = (corner[:-1, :-1] + corner[1:, 1:]) / 2
    pixels = np.round(project(camera, middles @ pose[:3, :3].T + pose[:3, 3])[0]).astype(int)
    bright = (np.add.outer(np.arange(3), np.arange(6)) % 2).astype(bool)
    levels = picture[pixels[..., 1], pixels[..., 0], 0]
    assert levels[bright].min() > 200 and levels[~bright].max() < 40


def test_the_same_seed_gives_the_same_pictures():
    camera, poses = rig((160, 120))[0], wave(CHARUCO, 3)
    one, other, third = (np.stack(list(pictures(CHARUCO, camera, poses, seed=seed))) for seed in (1, 1, 2))
    assert one.shape == (3, 120, 160, 3) and one.dtype == np.uint8
    assert (one == other).all() and (one != third).any()
    assert (waved(CHARUCO, 4, seed=3) == waved(CHARUCO, 4, seed=3)).all()


def test_a_waved_board_is_shown_to_the_camera():
    for pose in wave(CHECKERS, 10):
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
        middle = pose[:3, :3] @ CHECKERS.points.mean(0) + pose[:3, 3]
        assert np.abs(middle - (0, -0.3, 1)).max() <= 0.3 + 1e-9
    assert waved(CHECKERS, 1, towards=(0, -1, 0), tilt=0)[0, :3, 2] == pytest.approx([0, 1, 0])
