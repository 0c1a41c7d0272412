"""Does a camera stand still?"""

import cv2
import numpy as np
import pytest

from multiview.stillness import displacement, moves

NOBODY = np.zeros((0, 4))


def scene(shift=(0.0, 0.0), turn=0.0, person=60, seed=0):
    """A textured wall filmed by a camera that moved by `shift` px and turned by `turn` degrees; a bright person."""
    random = np.random.default_rng(seed)
    wall = cv2.GaussianBlur(random.uniform(0, 255, (420, 560)).astype(np.float32), (0, 0), 3)
    wall = cv2.normalize(wall, None, 20, 200, cv2.NORM_MINMAX)
    change = cv2.getRotationMatrix2D((280, 210), turn, 1.0)
    change[:, 2] += shift
    picture = cv2.warpAffine(wall, change, (560, 420))[50:370, 40:520]
    picture[80:300, person : person + 120] = 230 + 20 * np.sin(np.arange(120) / 3)
    noise = np.random.default_rng(int(person + 7)).normal(0, 2, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def box(person=60):
    return np.array([[person, 80, person + 120, 300]], float)


def test_a_person_who_walks_does_not_move_the_camera():
    pairs = [(scene(person=60 + 15 * i), scene(person=75 + 15 * i), box(60 + 15 * i)) for i in range(4)]
    assert moves(pairs) is False


@pytest.mark.parametrize("change", [{"shift": (4.0, -1.0)}, {"turn": 0.6}])
def test_a_hand_held_camera_moves(change):
    assert moves([(scene(), scene(person=75, **change), box())] * 3) is True


def test_the_shift_is_measured():
    assert displacement(scene(), scene(shift=(6, 8)), box()) == pytest.approx(10 / np.hypot(480, 320), rel=0.05)


def test_a_blank_wall_tells_nothing():
    blank = np.full((320, 480), 128, np.uint8)
    assert displacement(blank, blank, NOBODY) is None
    assert moves([(blank, blank, NOBODY)]) is None
