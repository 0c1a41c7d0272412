"""The detector `blazepose` and pictures, without networks: anchors, boxes, refinement, regions, crops, windows."""

from __future__ import annotations

from itertools import pairwise
from math import pi, radians

import cv2
import numpy as np
import pytest
from blazepose_person import person
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.blazepose_appearance import appearance
from detectors.blazepose_decode import anchors, decode_boxes, decode_landmarks, refine, sigmoid, weighted_suppression
from detectors.blazepose_networks import _a_few_ahead
from detectors.blazepose_pace import Pace
from detectors.blazepose_picture import Picture
from detectors.blazepose_region import Region, rotate, wrap
from detectors.blazepose_windows import OVERLAP, Sweep, cover, tiles

# ---- numbers of the networks ---------------------------------------------------------------------------------------


def test_anchors_are_two_two_and_six_per_cell():
    table = anchors()
    assert table.shape == (2254, 2)
    assert np.allclose(table[:4], [[0.5 / 28, 0.5 / 28]] * 2 + [[1.5 / 28, 0.5 / 28]] * 2)
    assert np.allclose(table[56], [0.5 / 28, 1.5 / 28])  # the second row follows after 28 cells of two
    assert np.allclose(table[1568:1570], 0.5 / 14)
    assert np.allclose(table[1960:1966], 0.5 / 7)
    assert np.allclose(table[-1], 6.5 / 7)


def test_boxes_are_relative_to_their_anchor_in_units_of_the_input():
    raw = np.zeros((2, 12), np.float32)
    raw[1] = [22.4, 0, 44.8, 44.8, 0, 22.4, 0, -112, 0, 0, 0, 0]
    rows, scores = decode_boxes(raw, np.array([-5.0, 2.0]), np.array([[0.1, 0.1], [0.5, 0.25]]), 0.5)
    assert scores == pytest.approx([1 / (1 + np.exp(-2))])
    assert np.allclose(rows[0], [[0.5, 0.15], [0.7, 0.35], [0.5, 0.35], [0.5, -0.25], [0.5, 0.25], [0.5, 0.25]])


@pytest.mark.parametrize("size", [-1.0, np.nan])
def test_boxes_without_a_size_are_dropped(size):
    raw = np.ones((1, 12), np.float32)
    raw[0, 2] = size
    assert len(decode_boxes(raw, np.array([9.0]), np.zeros((1, 2)), 0.5)[1]) == 0


def test_logistic_function_neither_overflows_nor_warns():
    with np.errstate(all="raise"):
        assert np.allclose(sigmoid(np.array([-1e9, 0, 1e9], np.float32)), [0, 0.5, 1])


def rows_at(*corners):
    return np.array([[[x, y], [x + 0.2, y + 0.2]] + [[x, y]] * 4 for x, y in corners])


def test_overlapping_boxes_become_their_weighted_mean():
    rows, scores = weighted_suppression(rows_at((0.1, 0.1), (0.7, 0.7), (0.14, 0.1)), np.array([0.9, 0.8, 0.3]))
    assert scores == pytest.approx([0.9, 0.8])
    assert np.allclose(rows[0, 0], [(0.9 * 0.1 + 0.3 * 0.14) / 1.2, 0.1])
    assert np.allclose(rows[1], rows_at((0.7, 0.7))[0])


@given(st.lists(st.tuples(st.floats(0, 0.8), st.floats(0, 0.8), st.floats(0.5, 1)), max_size=12))
def test_suppression_leaves_nothing_new_and_keeps_the_best(found):
    scores = np.array([s for *_, s in found])
    rows = rows_at(*((x, y) for x, y, _ in found)).reshape(-1, 6, 2)
    kept, best = weighted_suppression(rows, scores)
    assert len(kept) <= len(rows) and (np.diff(best) <= 0).all()
    if found:
        assert best[0] == pytest.approx(scores.max())
        assert kept.min() >= rows.min() - 1e-6 and kept.max() <= rows.max() + 1e-6


def slow_refine(point, logits, window=9, least=0.5):
    """The definition, cell by cell."""
    column, row = int(point[0] * 64), int(point[1] * 64)
    if not (0 <= column < 64 and 0 <= row < 64):
        return point
    half = window // 2
    cells = [
        (1 / (1 + np.exp(-float(logits[r, c]))), c, r)
        for r in range(max(0, row - half), min(64, row + half + 1))
        for c in range(max(0, column - half), min(64, column + half + 1))
    ]
    total = sum(w for w, _, _ in cells)
    if max(w for w, _, _ in cells) < least:
        return point
    return np.array([sum(w * c for w, c, _ in cells), sum(w * r for w, _, r in cells)]) / total / 64


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.floats(-6, 1))
def test_refinement_is_the_centre_of_mass_of_the_neighbourhood(seed, x, y, level):
    heatmaps = (np.random.default_rng(seed).normal(0, 1.5, (64, 64, 2)) + level).astype(np.float32)
    points = np.array([[x, y], [y, x]])
    expected = [slow_refine(point, heatmaps[..., i]) for i, point in enumerate(points)]
    assert np.allclose(refine(points, heatmaps), expected, atol=1e-6)


def test_points_outside_the_crop_are_not_refined():
    points = np.array([[-0.02, 0.5], [1.01, 0.5], [-0.2, 1.3]])
    assert np.array_equal(refine(points, np.full((64, 64, 3), 5.0)), points)


def test_landmarks_are_crop_pixels_and_logits():
    raw = np.zeros((39, 5))
    raw[7] = [128, 64, -20, 3, -3]
    places, visibility, presence = decode_landmarks(raw.ravel(), np.full((64, 64, 39), -20.0))
    assert np.allclose(places[7], [0.5, 0.25])
    assert visibility[7] == pytest.approx(sigmoid(np.array(3.0)))
    assert presence[7] == pytest.approx(sigmoid(np.array(-3.0)))
    assert visibility.shape == (33,)


# ---- regions and crops ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("top", "turn"),
    [((0, -100), 0), ((100, 0), pi / 2), ((-100, 0), -pi / 2), ((50, -50 * 3**0.5), radians(30))],
    ids=["upright", "head to the right", "head to the left", "leaning right"],
)
def test_region_follows_the_body(top, turn):
    region = Region.from_points(np.array([300.0, 200.0]), np.array([300.0, 200.0]) + top)
    assert (region.x, region.y) == (300, 200)
    assert region.side == pytest.approx(250)
    assert region.turn == pytest.approx(turn)


@given(st.floats(-20, 20))
def test_wrapped_angles_are_the_same_angle(angle):
    assert -pi <= wrap(angle) < pi
    assert np.cos(wrap(angle)) == pytest.approx(np.cos(angle), abs=1e-9)


@given(st.floats(0, 500), st.floats(0, 500), st.floats(10, 900), st.floats(-pi, pi), st.floats(0, 1), st.floats(0, 1))
def test_crop_positions_go_to_the_picture_as_published(x, y, side, turn, i, j):
    region = Region(x, y, side, turn)
    u, v = (i - 0.5) * side, (j - 0.5) * side
    expected = [x + np.cos(turn) * u - np.sin(turn) * v, y + np.sin(turn) * u + np.cos(turn) * v]
    assert np.allclose(region.to_picture(np.array([i, j])), expected)
    matrix = region.matrix(256)
    assert np.allclose(matrix[:, :2] @ [256 * i, 256 * j] + matrix[:, 2], expected)


def test_world_vectors_turn_clockwise_and_keep_their_depth():
    assert np.allclose(rotate(np.array([0.0, -1.0, 0.3]), pi / 2), [1, 0, 0.3])


def gradient(width=64, height=48):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3, y * 4, 255 - x * 3], axis=-1).astype(np.uint8)


def test_crop_of_native_size_is_the_picture_in_red_green_blue():
    picture = gradient(64, 64)
    crop = Picture(picture).crop(Region.whole(64, 64), 64)
    assert np.array_equal(crop, picture[..., ::-1])


def test_outside_is_black_for_detection_and_the_edge_for_landmarks():
    picture = np.full((48, 64, 3), 200, np.uint8)
    assert Picture(picture).crop(Region.whole(64, 48), 64, black=True)[0].max() == 0
    assert Picture(picture).crop(Region.whole(64, 48), 64)[0].min() == 200


def test_turned_crop_shows_the_leaning_body_upright():
    picture = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(picture, (150, 100), 6, (255, 255, 255), -1)  # the head of somebody lying to the right
    crop = Picture(picture).crop(Region(100, 100, 160, pi / 2), 64)
    row, column = np.unravel_index(crop[..., 0].argmax(), (64, 64))
    assert abs(row - 12) <= 3 and abs(column - 32) <= 3


@pytest.mark.parametrize("black", [True, False])
def test_crop_out_of_planes_is_the_crop_out_of_colours(black):
    picture = cv2.GaussianBlur(gradient(96, 64), (0, 0), 2)
    stored = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    planes = stored[:64], stored[64:80].reshape(32, 48), stored[80:].reshape(32, 48)
    region = Region(50, 30, 90, 0.4)
    one, other = (Picture(p).crop(region, 64, black).astype(int) for p in (picture, planes))
    assert Picture(planes).width == 96 and Picture(planes).height == 64
    assert np.abs(one - other).mean() < 6  # colours have half the resolution, and edges differ
    assert np.median(np.abs(one - other)) <= 2


def test_appearance_is_the_colours_of_torso_and_thighs():
    crop = np.zeros((256, 256, 3), np.uint8)
    pose = person(x=128, y=128, scale=110)
    crop[:128], crop[128:] = (255, 0, 0), (0, 0, 255)  # red above the hips, blue below
    looks = appearance(crop, pose.points / 256).reshape(2, 3, 3, 3)
    assert looks.sum(axis=(1, 2, 3)) == pytest.approx([1, 1])
    assert looks[0, 2, 0, 0] > 0.95 and looks[1, 0, 0, 2] > 0.85
    darker = appearance((crop * 0.9).astype(np.uint8), pose.points / 256).reshape(2, 3, 3, 3)
    assert np.abs(darker - looks).sum() < 1  # of 4 for other colours altogether


def test_only_a_few_crops_are_under_way():
    started, most = [], 0

    class Job:
        def result(self):
            return started.pop(0)

    for number, job in enumerate(_a_few_ahead(lambda region: started.append(region) or Job(), range(9), 4)):
        most = max(most, len(started))
        assert job.result() == number
    assert most == 4 and not started


# ---- windows -------------------------------------------------------------------------------------------------------


@given(st.integers(100, 4000), st.integers(100, 4000), st.floats(0.15, 1))
def test_tiles_cover_the_picture_and_overlap(width, height, level):
    side = level * max(width, height)
    squares = cover(width, height, side)
    for length, middles in ((width, {s.x for s in squares}), (height, {s.y for s in squares})):
        ends = sorted(middles)
        assert ends[0] - side / 2 <= 1e-6 and ends[-1] + side / 2 >= length - 1e-6
        assert all(b - a <= side * (1 - OVERLAP) + 1e-6 for a, b in pairwise(ends))


def test_sweep_looks_at_the_whole_each_time_and_at_every_tile_in_turn():
    sweep = Sweep(1920, 1080, 4)
    rounds = [sweep.due() for _ in range(4)]
    assert all(windows[0] == Region.whole(1920, 1080) for windows in rounds)
    assert sorted(map(repr, (w for windows in rounds for w in windows[1:]))) == sorted(map(repr, tiles(1920, 1080)))


def test_tiny_pictures_have_no_tiles():
    assert tiles(8, 8) == []


def test_pace_follows_the_frame_rate():
    slow, fast, still = Pace.of(5, 100), Pace.of(60, 100), Pace.of(30, 1)
    assert (slow.ahead, fast.ahead) == (1, 4)
    assert fast.period == 30 and slow.period == 2
    assert still.sweep == 1  # the only search looks at everything
