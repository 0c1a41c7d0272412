"""Clocks of several views: found where motion tells them, refused where it does not."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from people import observe, walker
from scipy.interpolate import CubicSpline

from multiview.sync import synchronise
from multiview.sync_epipolar import essential, fundamental, refine, sampson
from pipeline.results import Camera

H = 7.0  # s


def camera(angle, height=1.6, distance=5.0, size=(1280, 720)):
    """A still camera that looks at the middle of the room from that side."""
    eye = np.array([distance * np.cos(angle), distance * np.sin(angle), height])
    ahead = np.array([0, 0, 0.9]) - eye
    z = ahead / np.linalg.norm(ahead)
    x = np.cross(z, [0, 0, 1.0])
    x /= np.linalg.norm(x)
    pose = np.eye(4)
    pose[:3] = np.column_stack([x, np.cross(z, x), z, eye])
    matrix = np.array([[1000.0, 0, size[0] / 2], [0, 1000, size[1] / 2], [0, 0, 1]])
    return Camera(matrix, size, camera_to_world=pose)


@cache
def restless(seed=0, place=(0.0, 0.0), begin=-6.0, end=60.0):
    """Somebody who walks about and waves, never twice in the same way: scene times (T,) s -> (T,23,3) m."""
    times = np.arange(begin, end, 1 / 60)
    rng = np.random.default_rng(seed)
    phase, pace = rng.uniform(0, 6, (3, 2, 3)), rng.uniform(0.5, 2.5, (3, 2, 3))

    def path(t):
        return np.stack([place[k] + 0.5 * np.sin(pace[0, k, 0] * t + phase[0, k, 0]) for k in (0, 1)], -1)

    joints = walker(path, times)[0]
    for side, name in enumerate(((12, 13, 22), (15, 16, 21))):
        for depth, joint in enumerate(name):
            swing = sum(np.sin(2 * np.pi * pace[1:, side] * times[:, None, None] + phase[1:, side]).transpose(1, 0, 2))
            joints[:, joint] += 0.09 * (depth + 1) * swing
    return CubicSpline(times, joints)


def view(eye, own, begin=0.0, rate=1.0, seeds=(0,), noise=1.0, missing=0.0, seed=0):
    """Own times (T,) s of a clock whose scene time is begin + rate * own -> motions, tracks, times."""
    rng = np.random.default_rng([seed, 3])
    motions, tracks = [], []
    for number, person in enumerate(seeds):
        joints = restless(person, (0.8 * (person % 2), -0.8 * (person // 2)))(begin + rate * own)
        motion, track = observe(joints, eye, own, number + 1, noise, 0.015, rng=rng)
        lost = rng.random(len(own)) < missing
        track.keypoints[lost], track.scores[lost] = np.nan, 0
        motion.joints[lost] = np.nan
        motions.append(replace(motion, observed=~lost))
        tracks.append(replace(track, observed=~lost))
    return motions, tracks, own


def sync(*views, **more):
    return synchronise(*(list(part) for part in zip(*views, strict=True)), **more)


@pytest.mark.parametrize("known", [False, True])
def test_a_shift_by_fractions_of_a_frame_with_a_fifth_missing(known):
    own, eyes = np.arange(0, H, 1 / 30), [camera(0.3), camera(2.0)]
    views = [view(eyes[0], own, missing=0.2), view(eyes[1], own, 7.4 / 30, missing=0.2, seed=1)]
    clocks = sync(*views, cameras=eyes if known else None)
    assert clocks.reliable.all() and clocks.methods[1] == ("known cameras" if known else "two-view geometry")
    assert abs(clocks.offset_s[1] * 30 - 7.4) < (0.1 if known else 0.3)
    assert clocks.offset_s[0] == 0 and clocks.rate.tolist() == [1, 1]


def test_other_frame_rates_uneven_times_and_partial_overlap():
    uneven = np.cumsum(np.random.default_rng(5).uniform(0.02, 0.05, 150))
    views = [
        view(camera(0.1), np.arange(0, H, 1 / 29.97)),
        view(camera(1.5), np.arange(0, 6, 1 / 25), 3.217, seed=1),
        view(camera(3.9), uneven, -1.083, seed=2),
    ]
    clocks = sync(*views)
    assert clocks.reliable.all()
    np.testing.assert_allclose(clocks.offset_s, [0, 3.217, -1.083], atol=0.3 / 29.97)


def test_several_people_whose_order_nobody_knows():
    own = np.arange(0, H, 1 / 30)
    views = [view(camera(0.2), own, seeds=(0, 1, 2)), view(camera(1.9), own, 0.61, seeds=(2, 0, 1), seed=1)]
    clocks = sync(*views)
    assert clocks.reliable.all() and abs(clocks.offset_s[1] - 0.61) < 0.03
    assert sorted(clocks.relations[0].people) == sorted((first, second) for second, first in enumerate((2, 0, 1)))


def test_a_drifting_clock():
    eyes = [camera(0.3), camera(2.0)]
    own = np.arange(0, 40, 1 / 25)
    clocks = sync(view(eyes[0], own), view(eyes[1], own, 0.5, 1.002, seed=1))
    assert clocks.reliable.all()
    scene = clocks.offset_s[1] + clocks.rate[1] * own
    assert abs(clocks.rate[1] - 1.002) < 2e-4
    assert np.abs(scene - (0.5 + 1.002 * own)).max() < 0.3 / 25


def test_a_pair_that_contradicts_the_others_is_left_out(monkeypatch):
    from multiview import sync as module

    def one(first, second, lag):
        return module.Relation(first, second, lag, agreement=0.8, ratio=3.0, sigma=0.01)

    true = np.array([0, 0.3, -0.2, 0.7])
    pairs = [one(i, j, true[i] - true[j]) for i in range(4) for j in range(i + 1, 4)]
    pairs[4] = replace(pairs[4], lag=pairs[4].lag + 0.8, ratio=1.5)
    kept = module._consistent(pairs, 4)
    assert [bool(p.reason) for p in kept] == [False] * 4 + [True, False]
    np.testing.assert_allclose(module._solve(kept, 4)[0], true, atol=1e-9)


@pytest.mark.parametrize("drift", [0.0, 0.002, -0.003])
def test_a_drift_far_from_the_clocks_zero_contradicts_nobody(drift):
    from multiview import sync as module

    one = module.Relation(0, 1, 0.4, drift, 60.0, agreement=0.8, ratio=3.0, sigma=0.01)
    assert module._consistent([one], 2) == [one]
    heard = (0.4 - 40 * drift, 5.0, 20.0)  # the sound was that of the first 40 s
    assert module._with_sound(one, heard) == one
    assert module._with_sound(one, (heard[0] + 0.2, *heard[1:])).reason


def test_the_middle_of_what_both_heard():
    from multiview import sync as module

    one, other = (np.zeros(8000), 1000.0, 2.0), (np.zeros(4000), 1000.0, 5.0)  # 2 to 10 s; on that clock 4.5 to 8.5 s
    assert module._middle(one, other, 0.5) == 6.5


def test_rates_and_offsets_are_those_of_a_chain():
    from multiview import sync as module

    offset, rate = np.array([0, 2.0, -1.0]), np.array([1, 1.01, 0.98])

    def one(first, second, middle):
        met = (offset[first] + rate[first] * middle - offset[second]) / rate[second]
        return module.Relation(first, second, met - middle, rate[first] / rate[second] - 1, middle, sigma=0.01)

    found = module._solve([one(0, 1, 3.0), one(1, 2, 10.0)], 3)
    np.testing.assert_allclose(found, [offset, rate])


OWN = np.arange(0, H, 1 / 30)


def still(given):
    motions, tracks, times = given
    rest = [replace(m, joints=np.repeat(m.joints[:1], len(m), 0)) for m in motions]
    return rest, [replace(t, keypoints=np.repeat(t.keypoints[:1], len(t), 0)) for t in tracks], times


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (lambda: view(camera(2.0), OWN, seeds=(9,)), "do not agree"),
        (lambda: view(camera(2.0), OWN, 40.0), "do not agree"),
        (lambda: still(view(camera(2.0), OWN)), "nobody moves"),
        (lambda: ([], [], OWN), "nobody was found"),
        (lambda: view(camera(2.0), OWN[:5]), "long enough"),
    ],
    ids=["another scene", "another time", "frozen", "nobody", "short"],
)
def test_refusals(other, why):
    clocks = sync(view(camera(0.3), OWN), other())
    assert clocks.reliable.tolist() == [True, False]
    assert np.isnan(clocks.offset_s[1]) and clocks.confidence[1] == 0 and why in clocks.reasons[1]


def test_a_refused_view_does_not_spoil_the_others():
    clocks = sync(view(camera(0.3), OWN), view(camera(1.0), OWN, seeds=(9,)), view(camera(2.0), OWN, 0.4, seed=2))
    assert clocks.reliable.tolist() == [True, False, True]
    assert abs(clocks.offset_s[2] - 0.4) < 0.01 and 0 < clocks.confidence[2] < 1


def test_the_same_twice_and_nothing_changed():
    views = [view(camera(0.3), OWN), view(camera(2.0), OWN, 0.4, seed=1)]
    before = [part.joints.copy() for part in views[0][0]]
    one, two = sync(*views), sync(*views)
    assert one.offset_s.tobytes() == two.offset_s.tobytes()
    np.testing.assert_array_equal(before[0], views[0][0][0].joints)


def test_refinement_is_the_same_from_either_side():
    (_, one, own), (_, other, fine) = (
        view(camera(0.3), OWN, noise=0.3),
        view(camera(2.0), np.arange(0, H, 1 / 50), 0.2, noise=0.3),
    )
    eyes = camera(0.3), camera(2.0)
    forth = refine([(one[0], other[0])], (own, fine), eyes, -0.19)
    back = refine([(other[0], one[0])], (fine, own), eyes[::-1], 0.19)
    for there, here in zip(forth, back, strict=True):  # by a fitted geometry, by the cameras
        assert [w.lag for w in there] == [-w.lag for w in here] and abs(there[0].lag + 0.2) < 0.003
    (unknown,), nothing = refine([(one[0], other[0])], (own, fine), None, -0.19)
    assert abs(unknown.lag - forth[0][0].lag) < 1e-4 and nothing == []


def test_the_fundamental_matrix_of_exact_points_with_some_wrong():
    rng = np.random.default_rng(0)
    one, other = camera(0.3), camera(1.4)
    points = np.c_[rng.normal(size=(400, 3)) * 0.6 + [0, 0, 0.9], np.ones(400)]
    x, y = ((points @ c.world_to_camera.T)[:, :3] for c in (one, other))
    x, y = x / x[:, 2:], y / y[:, 2:]
    assert np.abs(sampson(essential(one, other), x, y)[0]).max() < 1e-12
    wrong = y.copy()
    wrong[:60, :2] += rng.normal(size=(60, 2)) * 0.2
    found = fundamental(x * [5, 5, 1], wrong * [5, 5, 1], np.ones(400))
    assert np.abs(sampson(found, x * [5, 5, 1], y * [5, 5, 1])[0][60:]).max() < 1e-3
    assert abs(np.linalg.det(found)) < 1e-9
