"""A frame that is said to show the board on the floor, and does not."""

from dataclasses import replace

import numpy as np
import pytest
from boards_seen import CHARUCO, TURNABLE, every, rig, wave
from scipy.spatial.transform import Rotation

from multiview.calibrate import FACE_UP, calibrate
from multiview.floor_board import floor_doubts

FLOOR, LAID = 6, range(2, 12)


def told(board=CHARUCO, still=LAID, turn=None, height=0.0, cameras=None, noise=0.1, around=5):
    """Of a recording in which the board lies in the frames `still`, turned and raised, and is waved in the others."""
    cameras, poses = cameras or rig(), wave(board, 24)
    lies = np.array(FACE_UP)
    if turn is not None:
        lies[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ lies[:3, :3]
    lies[:3, 3] = -0.2, 0.1, height
    poses[list(still)] = lies
    found = [every(board, c, poses, np.random.default_rng(n), noise) for n, c in enumerate(cameras)]
    return floor_doubts(board, found, calibrate(board, cameras, found, FLOOR), FLOOR, around)


@pytest.mark.parametrize("board", [CHARUCO, TURNABLE], ids=str)
def test_a_board_on_the_floor_is_believed(board):
    assert told(board, height=0.5) == []


def test_cameras_on_their_sides_are_level_too():
    quarter = np.eye(4)
    quarter[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    cameras = [replace(c, camera_to_world=c.camera_to_world @ quarter, size=(640, 480)) for c in rig()]
    assert told(cameras=cameras, height=0.5) == []


def test_a_board_in_hands_moves_and_others_are_below_it():
    doubts = told(still=[FLOOR], height=1.3)
    assert any("the board moves there" in text for text in doubts)
    assert any("below it" in text for text in doubts)
    assert not any("moves" in text for text in told(still=[FLOOR], height=1.3, around=0))  # photos


def test_a_board_that_is_held_still_but_not_level():
    doubts = told(turn=(0, 50, 0), height=0.9)
    assert any("tilted to the side" in text for text in doubts)
    assert not any("moves" in text for text in doubts)


def test_a_camera_below_the_floor():
    """As one that did not see the board there, on the other side of it."""
    cameras, poses = rig(), wave(CHARUCO, 24)
    poses[list(LAID)] = FACE_UP
    poses[list(LAID), 2, 3] = 0.5
    found = [every(CHARUCO, camera, poses) for camera in cameras]
    done = calibrate(CHARUCO, cameras, found, FLOOR)
    pose = done.cameras[2].camera_to_world.copy()
    pose[2, 3] = -0.3
    below = replace(done, cameras=[*done.cameras[:2], replace(done.cameras[2], camera_to_world=pose)])
    assert floor_doubts(CHARUCO, found, done, FLOOR, 5) == []
    assert ["a camera would be below it" in text for text in floor_doubts(CHARUCO, found, below, FLOOR, 5)] == [True]
