"""BoT-SORT: a camera that moves, and looks."""

import logging

import cv2
import numpy as np
import pytest
from boxed import box, detections, frames_of, ids_of, walker

from pipeline.errors import UsageError
from trackers.botsort import BotSort
from trackers.bytetrack import Seen
from trackers.camera_motion import CameraMotion

WIDTH, HEIGHT = 640, 360


def wall(size=(1600, 900), seed=0):
    """A picture with something to see everywhere."""
    rough = np.random.default_rng(seed).integers(0, 255, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    return cv2.GaussianBlur(cv2.resize(rough, size, interpolation=cv2.INTER_CUBIC), (0, 0), 2)


def shown(motion, size=(WIDTH, HEIGHT)):
    """The wall through a camera: (2,3) maps px of the first picture to px of this one."""
    return cv2.warpAffine(wall(), motion, size)


def jerking_camera(count=60):
    """Pictures and boxes of three people who stand close together before a camera in an unsteady hand."""
    rng = np.random.default_rng(4)
    shifts = np.cumsum(np.r_[0, rng.choice([-40, -20, 20, 40], count - 1)])
    shifts = np.abs((shifts + 150) % 600 - 300) - 150.0  # to and fro
    places = [(250, 180), (310, 185), (370, 175)]
    people = np.array([[box((x + s, y), 120) for s in shifts] for x, y in places])
    pictures = []
    for t, shift in enumerate(shifts):
        picture = cv2.warpAffine(wall(), np.array([[1, 0, shift - 400], [0, 1, -200.0]]), (WIDTH, HEIGHT))
        for k, (x0, y0, x1, y1) in enumerate(people[:, t].astype(int)):
            picture[max(y0, 0) : y1, max(x0, 0) : max(x1, 0)] = 60 * k + 40
        pictures.append(picture)
    return frames_of(people, 0.9), pictures


def test_a_jerking_camera_exchanges_nobody():
    frames, pictures = jerking_camera()
    assert all(ids.tolist() == [1, 2, 3] for ids in ids_of(BotSort(), frames, pictures=pictures))


def test_without_a_look_at_the_camera_they_are_exchanged():
    frames, _ = jerking_camera()
    assert any(ids.tolist() != [1, 2, 3] for ids in ids_of(BotSort(camera_motion=False), frames))


def test_frames_are_read_once_and_in_turn_and_have_to_be_there():
    frames, pictures = jerking_camera(12)
    asked = []

    def read(start, stop):
        asked.append((start, stop))
        yield from pictures[start:stop]

    tracks = BotSort().track(frames, np.arange(12) / 30, (WIDTH, HEIGHT), frames=read)
    assert asked == [(0, 12)] and [t.observed.sum() for t in tracks] == [12, 12, 12]
    with pytest.raises(ValueError, match="frames"):
        BotSort().track(frames, np.arange(12) / 30, (WIDTH, HEIGHT))
    with pytest.raises(ValueError, match="shorter"):
        BotSort().track(frames, np.arange(12) / 30, (WIDTH, HEIGHT), frames=lambda start, stop: iter(pictures[:5]))


@pytest.mark.parametrize("size", [(640, 360), (1280, 720)])
@pytest.mark.parametrize(
    ("angle", "zoom", "shift"), [(0, 1, (23, -9)), (2, 1, (0, 0)), (0, 1.04, (-5, 4)), (1, 0.97, (8, 3))]
)
def test_the_camera_s_motion_is_told(size, angle, zoom, shift):
    start = np.array([[1, 0, -160.0], [0, 1, -90.0]])
    move = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), angle, zoom) + np.array(
        [[0, 0, shift[0]], [0, 0, shift[1]]]
    )
    second = move @ np.vstack([start, [0, 0, 1]])
    camera = CameraMotion()
    people = np.array([box((300, 200), 150)])
    np.testing.assert_array_equal(camera.step(shown(start, size), people), np.eye(2, 3))
    found = camera.step(shown(second, size), people)
    corners = np.array([[0, 0, 1], [size[0], 0, 1], [0, size[1], 1], [*size, 1]])
    assert np.abs(corners @ (found - move).T).max() < 1.0
    assert camera.unknown == 0


def test_somebody_who_fills_half_of_the_picture_is_not_the_camera():
    """Their clothes have more corners than the pale wall behind them, and they walk."""
    pale = shown(np.array([[1, 0, -400.0], [0, 1, -200.0]])) // 6
    camera = CameraMotion()
    for k in range(4):
        picture = pale.copy()
        picture[20:340, 100:540] = wall(seed=1)[100:420, 100 + 8 * k : 540 + 8 * k]
        found = camera.step(picture, np.array([[100, 20, 540, 340]]))
        np.testing.assert_allclose(found, np.eye(2, 3), atol=0.5)


def test_expectations_and_doubts_go_with_the_picture():
    """A turn by 90 degrees and a zoom of 2: x and y, and width and height, change places, and grow."""
    tracker = BotSort()
    still = shown(np.array([[1, 0, -400.0], [0, 1, -200.0]]))
    tracker.update(detections([box((300, 200), 150)], 0.9), 0.0, still)
    (target,) = tracker._targets
    tracker._expect(1.0, 1 / 30)
    before, doubt = target.mean.copy(), target.covariance.copy()
    tracker._camera.step = lambda frame, people: np.array([[0, -2.0, 700], [2, 0, 10]])
    tracker._follow_camera(still, Seen(np.zeros((0, 4)), np.zeros(0)))
    x, y, w, h = before[:4]
    np.testing.assert_allclose(target.mean[:4], [700 - 2 * y, 10 + 2 * x, -2 * h, 2 * w])
    np.testing.assert_allclose(np.diag(target.covariance), 4 * np.diag(doubt)[[1, 0, 3, 2, 5, 4, 7, 6]])


def test_a_blank_wall_and_a_cut_count_as_still_and_are_told(caplog):
    blank = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    people = frames_of([walker((300, 180), (1, 0), 6, 120)])
    with caplog.at_level(logging.WARNING, "videopose"):
        (track,) = BotSort().track(people, np.arange(6) / 30, (WIDTH, HEIGHT), lambda start, stop: iter([blank] * 6))
    assert track.observed.all() and "in 5 of 6 frames" in caplog.text
    camera = CameraMotion()
    camera.step(shown(np.array([[1, 0, -400.0], [0, 1, -200.0]])), np.zeros((0, 4)))
    other = cv2.warpAffine(wall(seed=9), np.array([[1, 0, -100.0], [0, 1, 0]]), (WIDTH, HEIGHT))
    np.testing.assert_array_equal(camera.step(other, np.zeros((0, 4))), np.eye(2, 3))
    assert camera.unknown == 1


def bounce(looks):
    """Two people walk up to each other, are lost for two frames, and go back where they came from."""
    way = 335 + 5 * np.arange(31)  # to 485
    left = np.concatenate([way, [np.nan, np.nan], way[::-1] - 1])
    frames = []
    for x in left:
        there = [] if np.isnan(x) else [box((x, 300), 160), box((980 - x, 300), 160)]
        frames.append(detections(there, 0.9, appearance=looks[: len(there)]))
    return frames


def test_looks_tell_who_turned_round():
    looks = np.array([[1, 0, 0.2], [0, 1, 0.2]], np.float32)
    ids = {k: ids_of(BotSort(camera_motion=False, reidentify=k), bounce(looks)) for k in (True, False)}
    assert ids[True][0].tolist() == ids[True][-1].tolist() == [1, 2]
    assert ids[False][-1].tolist() == [2, 1]


def test_looks_count_only_of_who_is_near_and_alike():
    tracker = BotSort(camera_motion=False, reidentify=True)
    tracker.update(detections([box((300, 300), 160)], 0.9, appearance=np.array([[1, 0]], np.float32)), 0.0)
    near, far = box((310, 300), 160), box((350, 300), 160)
    looks = np.array([[1, 0], [0.6, 0.8], [0, 1], [1, 0]], float)  # half distances 0, 0.2, 0.5, 0
    seen = Seen(np.array([near, near, near, far]), np.array([0.6, 0.6, 0.6, 0.6]), looks)
    cost = tracker._cost(tracker._targets, seen, np.arange(4))
    np.testing.assert_allclose(cost, [[0, 0.2, 1 - 0.6 * 54 / 74, 1 - 0.6 * 14 / 114]], atol=1e-5)


def test_looks_that_are_unknown_change_nothing():
    unknown = np.full((2, 3), np.nan, np.float32)
    same = ids_of(BotSort(camera_motion=False, reidentify=True), bounce(unknown))
    plain = ids_of(BotSort(camera_motion=False), bounce(unknown))
    assert [i.tolist() for i in same] == [i.tolist() for i in plain]


def test_a_look_changes_slowly():
    """Nine parts of the old and one of the new, of unit length."""
    tracker = BotSort(camera_motion=False, reidentify=True)
    place = walker((300, 300), (0, 0), 1)
    for k, look in enumerate([[2, 0], [0, 5]]):
        tracker.update(detections(place, 0.9, appearance=np.array([look], np.float32)), k / 30)
    np.testing.assert_allclose(tracker._targets[0].look, np.array([0.9, 0.1]) / np.hypot(0.9, 0.1))


def test_looks_that_are_not_there_are_told():
    with pytest.raises(UsageError, match="look"):
        ids_of(BotSort(camera_motion=False, reidentify=True), frames_of([walker((300, 300), (0, 0), 3)]))
