"""Videos that belong to other cameras of the rig than they are given for."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from several_views import as_track, drifting, ring, seen, walker

from multiview.exchanged import better_order

TIMES = 40


def filmed(cameras, places=((0.0, 0.0), (1.0, -1.2)), noise=3.0):
    """[view][track] of people who walk about."""
    tracks = [[] for _ in cameras]
    for number, place in enumerate(places, 1):
        keypoints, scores = seen(cameras, walker(TIMES, number, place, phase=number), noise, seed=number)
        for view, row in enumerate(tracks):
            row.append(as_track(number, keypoints[view], scores[view], np.arange(TIMES)))
    return tracks


@pytest.mark.parametrize("places", [(0, 1), (0, 1, 3), (0, 1, 3, 4)])
def test_every_order_of_cameras_is_found(places):
    cameras = [ring(7)[i] for i in places]
    tracks, right = filmed(cameras), list(range(len(cameras)))
    for order in permutations(right):
        found = better_order([cameras[i] for i in order], tracks, TIMES)
        assert found is None if list(order) == right else [order[i] for i in found] == right


def test_pictures_of_several_sizes():
    cameras = [ring(7)[i] for i in (0, 1, 3)]
    half = np.diag([0.5, 0.5, 1.0])
    cameras[1] = replace(cameras[1], matrix=half @ cameras[1].matrix, size=(640, 360))
    given = [replace(cameras[1], matrix=np.linalg.inv(half) @ cameras[1].matrix, size=(1280, 720)),
             replace(cameras[0], matrix=half @ cameras[0].matrix, size=(640, 360)), cameras[2]]  # fmt: skip
    assert better_order(given, filmed(cameras), TIMES) == [1, 0, 2]
    assert better_order(cameras, filmed(cameras), TIMES) is None


def test_what_meets_in_no_order_tells_nothing():
    cameras = ring(3)
    elsewhere = [filmed([camera], [(0.0, 2.0 * v)])[0] for v, camera in enumerate(cameras)]
    assert better_order(cameras, elsewhere, TIMES) is None
    assert better_order(cameras, [[], *filmed(cameras)[1:]], TIMES) is None
    moving = [drifting(cameras[0], TIMES), *cameras[1:]]
    assert better_order(moving, filmed(moving), TIMES) is None
