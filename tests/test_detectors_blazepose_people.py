"""The detector `blazepose` and people, without networks: what is one, following, left and right, second looks."""

from __future__ import annotations

from math import pi, radians

import numpy as np
import pytest
from blazepose_person import person

from detectors.blazepose_chain import Chain, Poses, next_region, predict, real
from detectors.blazepose_checks import LIMBS, MIRROR, plausible, same_body
from detectors.blazepose_networks import Candidate, Pose
from detectors.blazepose_pace import Pace
from detectors.blazepose_reading import Reader
from detectors.blazepose_region import Region
from detectors.blazepose_search import _promising, confirmations
from detectors.blazepose_sides import SecondLook, decide, exchange, put_right

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
