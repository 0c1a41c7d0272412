"""The detector `blazepose` without its networks: anchors, boxes, refinement, regions, crops, windows, checks, sides."""

from __future__ import annotations

from itertools import pairwise
from math import pi, radians

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.blazepose_appearance import appearance
from detectors.blazepose_chain import Chain, Poses, next_region, predict, real
from detectors.blazepose_checks import LIMBS, MIRROR, plausible, same_body
from detectors.blazepose_decode import anchors, decode_boxes, decode_landmarks, refine, sigmoid, weighted_suppression
from detectors.blazepose_networks import Candidate, Pose, _a_few_ahead
from detectors.blazepose_pace import Pace
from detectors.blazepose_picture import Picture
from detectors.blazepose_reading import Reader
from detectors.blazepose_region import Region, rotate, wrap
from detectors.blazepose_search import _promising, confirmations
from detectors.blazepose_sides import SecondLook, decide, exchange, put_right
from detectors.blazepose_windows import OVERLAP, Sweep, cover, tiles
from pipeline.skeletons import skeleton

NAMES = skeleton("blazepose-33").joints
# A person facing the camera, 1.7 m, arms a little out: metres right (of the picture) and down from the hips.
FIGURE = {
    "nose": (0, -0.72), "shoulder": (0.18, -0.5), "elbow": (0.3, -0.25), "wrist": (0.4, -0.02), "pinky": (0.43, 0.05),
    "index": (0.42, 0.06), "thumb": (0.39, 0.04), "hip": (0.1, 0), "knee": (0.13, 0.42), "ankle": (0.14, 0.82),
    "heel": (0.14, 0.87), "toe": (0.18, 0.9), "ear": (0.07, -0.7), "mouth": (0.03, -0.67), "eye": (0.03, -0.75),
    "eye_inner": (0.02, -0.75), "eye_outer": (0.05, -0.75),
}  # fmt: skip


def person(x=500.0, y=500.0, scale=300.0, swing=0.0, flag=0.99):
    """A pose; the person's left is to the right of the picture. `swing` moves the left wrist up, in metres."""
    world = np.zeros((33, 3))
    for i, name in enumerate(NAMES):
        side, _, part = name.partition("_") if name.startswith(("left", "right")) else ("", "", name)
        across, down = FIGURE[part]
        world[i, :2] = across * {"left": 1, "right": -1, "": 1}[side], down
    world[NAMES.index("left_wrist"), 1] -= swing
    points = np.concatenate([world[:, :2], [[0, 0], [0, -0.95]]]) * scale + [x, y]
    region = Region.from_points(points[33], points[34])
    return Pose(region, points, np.full(33, 0.9), np.full(33, 0.95), world, flag)


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


@settings(max_examples=40, deadline=None)
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


# ---- checks --------------------------------------------------------------------------------------------------------


def test_a_person_is_plausible():
    assert plausible(person(), 1000, 1000, 0.5)


@pytest.mark.parametrize(
    "pose",
    [
        person(flag=0.5),
        person(scale=8),
        person(x=-400),
        Pose(person().region, person().points, np.full(33, 0.9), np.full(33, 0.1), person().world, 1.0),
        Pose(person().region, person().points, np.full(33, 0.9), np.full(33, 0.9), person().world * 0.1, 1.0),
        Pose(Region(500, 500, 9000), person().points, np.full(33, 0.9), np.full(33, 0.9), person().world, 1.0),
        Pose(person().region, person().points * np.nan, np.full(33, 0.9), np.full(33, 0.9), person().world, 1.0),
    ],
    ids=["not flagged", "too small", "outside", "absent", "doll", "speck in its region", "nan"],
)
def test_what_is_no_person_is_dropped(pose):
    assert not plausible(pose, 1000, 1000, 0.5)


def test_one_body_read_twice_is_recognised_whatever_its_sides():
    assert same_body(person(), person(x=510, y=495, scale=310))
    assert same_body(person(), exchange(person()))


def test_neighbours_and_people_far_behind_are_others():
    assert not same_body(person(), person(x=620))
    assert not same_body(person(), person(x=520, y=480, scale=100))


def test_a_candidate_speaks_only_for_the_nearest_pose():
    near, far = person(), person(x=640)
    candidate = Candidate(Region(510, 500, near.region.side), 0.9)
    assert confirmations([far, near], [candidate]) == [0.0, 0.9]


def test_a_candidate_does_not_speak_for_a_pose_the_other_way_up():
    upside = Candidate(Region(500, 500, person().region.side, pi), 0.9)
    assert confirmations([person()], [upside]) == [0.0]


@pytest.mark.parametrize(
    ("scores", "frames", "expected"),
    [
        ([0.9], 30, True),
        ([0.9], 2, False),
        ([0.72, 0, 0], 30, False),
        ([0.8, 0, 0.6, 0, 0.6, 0.6, 0, 0, 0.6, 0], 60, True),
        ([0.9, 0, 0, 0, 0, 0], 60, False),
    ],
    ids=["seen", "a moment", "never again", "half hidden", "gone"],
)
def test_phantoms_are_told_from_people_by_how_often_they_are_seen(scores, frames, expected):
    chain = Chain(0, confirmed=dict(enumerate(scores)))
    for i in range(frames):
        chain.poses[i] = person()
    assert real(chain, 30, 100) is expected


# ---- following -----------------------------------------------------------------------------------------------------


def test_prediction_goes_on_in_a_straight_line():
    region = predict([person(x=500 + 10 * t, y=400 - 4 * t) for t in range(5)], 2)
    assert (region.x, region.y) == pytest.approx((560, 376))
    assert region.side == pytest.approx(person().region.side)


def test_prediction_goes_on_turning_across_the_half_circle():
    def turned(angle):
        points = person().points.copy()
        points[34] = points[33] + 285 * np.array([np.sin(angle), -np.cos(angle)])
        return Pose(person().region, points, np.ones(33), np.ones(33), person().world, 1.0)

    region = predict([turned(radians(a)) for a in (150, 160, 170)], 2)
    assert region.turn == pytest.approx(radians(190 - 360))


def test_poses_survive_packing():
    poses = Poses()
    for i in range(40):
        poses[i] = person(x=500 + i)
    assert list(poses) == list(range(40)) and (poses.first, poses.last) == (0, 39)
    for i in (0, 39):
        assert np.allclose(poses[i].points, person(x=500 + i).points, atol=1e-3)
        assert np.allclose(poses[i].world, person().world, atol=1e-6)
        assert next_region(poses[i]).x == pytest.approx(500 + i, abs=1e-3)
    assert [p.region.x for p in poses.until(39, 3)] == pytest.approx([537, 538, 539])
    assert [p.region.x for p in poses.opening(3)] == pytest.approx([502, 501, 500])
    poses.end_at(20)
    assert poses.last == 20 and len(poses) == 21 and 21 not in poses


# ---- left and right ------------------------------------------------------------------------------------------------


def walk(count, wrong=()):
    poses = [person(x=300 + 4 * t, swing=0.1 * np.sin(t / 3)) for t in range(count)]
    return [exchange(p) if i in wrong else p for i, p in enumerate(poses)]


@pytest.mark.parametrize("wrong", [set(), {7}, set(range(10, 22)), {5, *range(12, 16), 30}, {39}])
def test_exchanged_sides_are_found_over_time(wrong):
    bits = decide(walk(40, wrong), [None] * 40)
    assert {i for i, bit in enumerate(bits) if bit} == wrong


def test_somebody_seen_from_behind_all_the_time_is_left_alone():
    assert not any(decide(walk(40, set(range(40))), [None] * 40))


def test_second_looks_decide_which_part_is_wrong():
    wrong = set(range(12, 40))  # most of the clip: the jump alone would blame the beginning
    looks = [SecondLook(person(x=300 + 4 * t), 0.15) if t in range(12, 20) else None for t in range(40)]
    assert {i for i, bit in enumerate(decide(walk(40, wrong), looks)) if bit} == wrong


def test_putting_right_exchanges_everything_and_takes_the_better_depth():
    poses = dict(enumerate(walk(20, {5, 6})))
    truth = walk(20)
    depth = truth[5].world + np.array([0, 0, 0.01])
    look = SecondLook(Pose(truth[5].region, truth[5].points, truth[5].visibility, truth[5].presence, depth, 1.0), 0.15)
    assert put_right(poses, {5: look}) == [5, 6]
    for i in (5, 6):
        assert np.allclose(poses[i].points[:33], truth[i].points[:33])
    assert np.allclose(poses[5].world, depth)
    assert np.allclose(poses[6].world, truth[6].world)


def test_exchange_twice_is_nothing():
    pose = person(swing=0.3)
    twice = exchange(exchange(pose))
    assert np.array_equal(twice.points, pose.points) and np.array_equal(twice.world, pose.world)
    assert not np.allclose(exchange(pose).points[LIMBS], pose.points[LIMBS])
    assert np.array_equal(MIRROR[MIRROR], np.arange(33))


class Answers:
    """Networks that read the same person wherever they look, and note what they were asked."""

    def __init__(self, pose):
        self.pose, self.asked, self.heard = pose, [], 0

    def start_pose(self, picture, region):
        self.asked.append(region)
        return self

    def result(self):
        self.heard += 1
        return self.pose


def doubtful_chain(poses):
    chain = Chain(0)
    for i in range(poses):
        chain.poses[i] = person()
    return chain


def test_a_second_look_is_heard_with_the_next_pose():
    networks, chain = Answers(exchange(person())), doubtful_chain(5)
    reader = Reader(networks, Pace.of(30, 100), (1000, 1000))
    reader.add(chain, 5, None, person(), 4)
    assert len(networks.asked) == 1 and not networks.heard and not chain.looks
    chain.calm = 50
    reader.add(chain, 6, None, person(), 5)
    assert list(chain.looks) == [5]
    assert chain.calm == 1  # the look saw the sides exchanged: doubt begins anew


def test_a_second_look_at_a_pose_that_is_gone_is_forgotten():
    networks, chain = Answers(person()), doubtful_chain(5)
    reader = Reader(networks, Pace.of(30, 100), (1000, 1000))
    reader.look_again(chain, 4, None)
    chain.end_at(3)
    reader.settle(chain)
    assert networks.heard == 1 and not chain.pending and not chain.looks


def test_unsure_finds_are_seen_again_before_they_are_read():
    asked = []

    class Networks:
        def detect(self, picture, windows, threshold):
            asked.extend(windows)
            return [[Candidate(Region(100, 100, 90), 0.6)] if w.x == 100 else [] for w in windows]

    sure, again, never = Region(500, 500, 90), Region(100, 100, 90), Region(300, 100, 90)
    fresh = [(Candidate(sure, 0.8), True), (Candidate(never, 0.72), True), (Candidate(again, 0.6), False)]
    assert [c.region for c, _ in _promising(Networks(), None, fresh)] == [sure, again]
    assert [window.x for window in asked] == [300, 100]


def test_only_a_few_crops_are_under_way():
    started, most = [], 0

    class Job:
        def result(self):
            return started.pop(0)

    for number, job in enumerate(_a_few_ahead(lambda region: started.append(region) or Job(), range(9), 4)):
        most = max(most, len(started))
        assert job.result() == number
    assert most == 4 and not started
