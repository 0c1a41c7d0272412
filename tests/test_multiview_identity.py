"""Who is who in views of unknown cameras."""

import numpy as np
from filmed_people import circling, lifted, ring
from scipy.spatial.transform import Rotation

from multiview.identity import identify


def views_of(people, times, angles=(0, 70, 160), seed=0, along=0.06):
    """Per view (N,T,23,3): everybody, in an order of its own, and that order."""
    rng = np.random.default_rng(seed)
    out, orders = [], []
    for camera in ring(angles):
        order = rng.permutation(len(people))
        out.append(np.stack([lifted(people[p], camera, times, rng, 0.02, along) for p in order]))
        orders.append(order)
    return out, orders


def people_in(group, orders):
    return {int(orders[view][track]) for view, track in group.items()}


def crowd():
    times, first = circling()
    return times, [first, circling(start=2.0, radius=0.7)[1], circling(start=4.4, radius=1.4)[1]]


def test_everybody_is_found_in_every_view():
    times, people = crowd()
    poses, orders = views_of(people, times)
    found = identify(poses, times)
    assert [len(group) for group in found.groups] == [3, 3, 3]
    assert sorted(people_in(group, orders).pop() for group in found.groups) == [0, 1, 2]
    assert all(len(people_in(group, orders)) == 1 for group in found.groups)
    assert not found.doubtful


def test_the_same_motion_in_other_directions_is_told_apart_by_one_turn_for_all():
    times, first = circling(radius=0.8)
    turned = first @ Rotation.from_euler("z", 100, degrees=True).as_matrix().T
    other = circling(start=3.0, radius=1.3)[1]
    for seed in range(4):
        poses, orders = views_of([first, turned, other], times, seed=seed)
        found = identify(poses, times)
        assert all(len(people_in(group, orders)) == 1 for group in found.groups), seed


def test_without_another_person_the_same_motion_is_doubtful():
    times, first = circling(radius=0.8)
    poses, _ = views_of([first, first @ Rotation.from_euler("z", 100, degrees=True).as_matrix().T], times, (0, 70))
    poses = [poses[0], poses[1][:1]]
    assert identify(poses, times).doubtful == [(0, 1)]


def test_absent_people_and_bystanders_stay_apart():
    times, people = crowd()
    poses, orders = views_of(people, times, seed=2)
    gone = int(np.flatnonzero(orders[1] == 2)[0])
    poses[1] = np.delete(poses[1], gone, axis=0)
    orders[1] = np.delete(orders[1], gone)
    standing = np.repeat(people[0][:1], len(times), axis=0)
    rng = np.random.default_rng(9)
    poses[2] = np.concatenate([poses[2], lifted(standing, ring((160,))[0], times, rng)[None]])
    orders[2] = np.append(orders[2], 3)
    found = identify(poses, times)
    assert [people_in(group, orders) for group in found.groups if len(group) == 2] == [{2}]
    assert [people_in(group, orders) for group in found.groups if len(group) == 1] == [{3}]
    assert sum(len(group) == 3 for group in found.groups) == 2


def test_moving_cameras_and_an_empty_view():
    times, people = crowd()
    poses, orders = views_of(people, times, (0, 90), seed=3)
    sway = Rotation.from_rotvec(np.outer(0.5 * np.sin(times), [0, 1, 0.2])).as_matrix()
    poses[1] = np.einsum("tij,ntkj->ntki", sway, poses[1])
    poses.append(np.zeros((0, *poses[0].shape[1:])))
    found = identify(poses, times, np.array([False, True, False]))
    assert all(len(group) == 2 and len(people_in(group, orders)) == 1 for group in found.groups)
