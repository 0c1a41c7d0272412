"""Heights over the ground: what a clip tells of how tall people are, and when it keeps silent."""

import numpy as np
import people
import pytest
from test_trackers_offline import SIZE, crossing, people_at

from trackers.linking import Tracklet, link
from trackers.pool import gather
from trackers.stature import apart, stature, with_ground

TIMES = np.arange(240) / 30
HEIGHTS = (1.6, 1.72, 1.84)


def there_and_back(away, swing, phase):
    return lambda t: np.stack([np.sin(0.8 * t + phase), away + swing * np.sin(0.9 * t + 2 * phase)], -1)


def walkers(swing=1.0):
    """Three of known height who come nearer and go away, each from another distance."""
    paths = [there_and_back(away, swing, away) for away in (4.5, 5.5, 6.5)]
    return np.stack([people.walker(path, TIMES, height)[0] for path, height in zip(paths, HEIGHTS, strict=True)])


def grounded(joints, hidden=()):
    """A pool with ground of the people at these joints, and the rows of each."""
    detections, truth = people_at(joints, missed=0, wrong_hint=False)
    for frame in detections:
        frame.scores[:, people.BLAZE.index(*hidden)] = 0.1
    pool = gather(detections, np.arange(len(detections)) / 30)
    who = np.concatenate(truth)
    rows = [np.flatnonzero(who == k) for k in range(len(joints))]
    return with_ground(pool, [Tracklet(of.tolist()) for of in rows], SIZE), rows


def test_heights_are_told_apart_wherever_people_walk():
    pool, rows = grounded(walkers())
    found = np.array([stature(pool, of)[0] for of in rows])
    assert np.diff(found) == pytest.approx(np.diff(np.log(HEIGHTS)), abs=0.02)


def test_one_person_is_as_tall_near_as_far_and_another_is_not():
    pool, rows = grounded(walkers())
    near, far = [], []
    for of in rows:
        order = np.argsort(pool.size[of])
        far.append(stature(pool, of[order[:60]]))
        near.append(stature(pool, of[order[-60:]]))
    near, far = np.stack(near), np.stack(far)
    assert (apart(pool.ground, near, far) < 2).all()
    assert (apart(pool.ground, near[[0, 2]], far[[2, 0]]) > 8).all()


def test_nothing_is_told_where_nobody_changed_their_distance():
    """Three who only stand: the ground's slope is unknown, so sizes at different places cannot be compared."""
    joints = walkers()[:, :1].repeat(60, axis=1)
    pool, rows = grounded(joints)
    found = np.stack([stature(pool, of) for of in rows])
    assert (apart(pool.ground, found[[0, 1]], found[[2, 2]]) < 1).all()


def test_without_feet_nothing_is_told():
    ankles = ("left_ankle", "right_ankle")
    pool, rows = grounded(crossing(0)[0][:2, :60], hidden=ankles)
    assert pool.ground is None and stature(pool, rows[0]) is None
    pool, rows = grounded(walkers())
    assert np.isnan(stature(pool, rows[0][:4])).all()


@pytest.mark.parametrize("tilt", [60, 120])
def test_of_a_camera_that_moves_nothing_is_told(tilt):
    """Feet move in the picture and sizes do not, as if the ground were seen from far above."""
    joints = walkers()[:, :1].repeat(180, axis=1)
    detections, _ = people_at(joints, missed=0, wrong_hint=False)
    for number, frame in enumerate(detections):
        frame.keypoints[..., 1] += tilt * np.sin(2 * np.pi * number / 90)
    pool = gather(detections, np.arange(180) / 30)
    assert with_ground(pool, link(pool, np.arange(180) / 30), SIZE).ground is None


def test_a_pause_makes_nobody_surer():
    joints = walkers()
    sure, _ = grounded(joints)
    detections, truth = people_at(joints, missed=0, wrong_hint=False)
    times = np.arange(240) / 30 + np.where(np.arange(240) < 120, 0, 60)
    pool = gather(detections, times)
    who = np.concatenate(truth)
    tracklets = [Tracklet(np.flatnonzero(who == k).tolist()) for k in range(3)]
    assert with_ground(pool, tracklets, SIZE).ground.doubt == pytest.approx(sure.ground.doubt, rel=0.2)


@pytest.mark.parametrize("far", [2000, 20000])
def test_a_foot_far_outside_of_the_picture_tells_nothing(far):
    joints = walkers()[:, :1].repeat(60, axis=1)
    pool, rows = grounded(joints)
    pool.keypoints[rows[0][20], people.BLAZE.index("left_ankle", "right_ankle")] = far
    pool = with_ground(pool, [Tracklet(of.tolist()) for of in rows], SIZE)
    found = np.stack([stature(pool, of) for of in rows])
    assert (apart(pool.ground, found[[0, 1]], found[[2, 2]]) < 1).all()
