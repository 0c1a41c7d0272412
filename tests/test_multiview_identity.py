"""Who is who in views of unknown cameras."""

import tracemalloc

import numpy as np
from filmed_people import circling, lifted, ring
from scipy.spatial.transform import Rotation

from multiview import identity
from pipeline.results import Motion3D


def identify(poses, times, moving=None):
    """Of whole tracks (N,T,K,3) in each view; frames in which nothing is known at begin and end are not the track's."""
    return identity.identify([[motion(track) for track in view] for view in poses], times, moving)


def motion(track):
    known = np.flatnonzero(np.isfinite(track).any((1, 2)))
    frames = np.arange(known[0], known[-1] + 1, dtype=np.int32)
    joints = track[frames].astype(np.float32)
    scores, root = np.ones(joints.shape[:2], np.float32), np.full((len(frames), 3), np.nan, np.float32)
    return Motion3D(1, "h36m-23", "root", frames, joints, scores, root, np.ones(len(frames), bool))


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


def test_somebody_along_a_corridor_is_one_person_though_far_views_never_meet():
    times, walk = circling(seconds=8.0)
    poses, _ = views_of([walk], times, angles=range(0, 320, 40))
    for view, tracks in enumerate(poses):
        tracks[:, : 12 * view] = tracks[:, 12 * view + 24 :] = np.nan
    found = identify(poses, times)
    assert found.groups == [dict.fromkeys(range(8), 0)] and found.similarity[0] > 0.1


def test_a_long_clip_and_a_short_meeting_in_it_take_little_memory():
    times, people = crowd()
    poses, orders = views_of(people, times, (0, 70))
    long = [np.tile(view, (1, 150, 1, 1)) for view in poses]
    late = int(np.flatnonzero(orders[0] == 2)[0])
    long[0][late, : len(long[0][0]) - 20] = np.nan
    for moving in (None, np.array([False, True])):
        tracemalloc.start()
        found = identify(long, np.arange(len(long[0][0])) / 15, moving)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sorted(tuple(people_in(group, orders)) for group in found.groups) == [(0,), (1,), (2,)]
        assert peak < 40e6
