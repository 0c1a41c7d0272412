"""Choosing people: whole tracks are compared, so that the choice never changes from frame to frame."""

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.results import Track2D
from pipeline.skeletons import skeleton
from trackers.select import select

SIZE = (640, 480)
COCO = skeleton("coco-17")
STANDING = np.stack([np.tile([0.2, 0.8], 9)[:17], np.linspace(0, 1, 17)], axis=-1)  # of the box


def person(number, left, top, height, frames=range(60), width=None):
    """Somebody who stands still in a box at (left, top) px."""
    count = len(frames)
    points = np.array([left, top]) + STANDING * [width or 0.4 * height, height]
    points = np.repeat(points[None], count, axis=0).astype(np.float32)
    boxes = np.concatenate([points.min(1), points.max(1)], axis=1)
    scores, seen = np.full((count, 17), 0.9, np.float32), np.ones(count, bool)
    return Track2D(number, "coco-17", np.array(frames, np.int32), points, scores, seen, boxes)


def hide(track, joints, rows=slice(None)):
    track.scores[rows, COCO.index(*joints)] = 0.1
    return track


def chosen(tracks, rule):
    return [track.id for track in select(tracks, rule, SIZE)]


def test_all_an_id_and_mistakes():
    both = [person(1, 10, 10, 300), person(2, 300, 10, 200)]
    assert chosen(both, "all") == [1, 2] and chosen(both, "2") == [2]
    with pytest.raises(UsageError, match="no person 3"):
        select(both, "3", SIZE)
    with pytest.raises(UsageError, match="unknown choice"):
        select(both, "tallest", SIZE)


@pytest.mark.parametrize("rule", ["all", "largest", "longest", "central", "complete", "first"])
def test_nobody_is_chosen_of_nobody(rule):
    assert select([], rule, SIZE) == []


def test_largest_and_longest():
    both = [person(1, 10, 10, 400, range(30)), person(2, 300, 10, 200)]
    assert chosen(both, "largest") == [1] and chosen(both, "longest") == [2]


def test_central_is_not_who_passes_the_middle_for_a_moment():
    passing, near, edge = person(1, 300, 140, 200, range(3)), person(2, 380, 150, 200), person(3, 0, 0, 200)
    assert chosen([passing, near, edge], "central") == [2]


def test_complete_is_who_shows_most_of_the_body_for_longest():
    legless = hide(person(1, 10, 10, 450), ("left_knee", "right_knee", "left_ankle", "right_ankle"))
    cut = person(2, 300, 200, 400)  # the picture ends at the knees
    whole = person(3, 450, 100, 200)
    assert chosen([legless, cut, whole], "complete") == [3]


def test_first_is_the_largest_of_the_first_complete_people():
    later_and_larger = person(1, 10, 10, 450, range(20, 60))
    cut = person(2, 100, 300, 400)
    small, large = person(3, 300, 100, 150), person(4, 400, 100, 200)
    assert chosen([later_and_larger, cut, small, large], "first") == [4]


def test_first_does_not_take_one_lucky_frame_for_a_complete_person():
    flickering = hide(person(1, 10, 10, 450), ("left_ankle",), slice(1, None))
    assert chosen([flickering, person(2, 300, 100, 150)], "first") == [2]


def test_first_says_when_nobody_is_ever_complete():
    with pytest.raises(UsageError, match="seen whole") as caught:
        select([hide(person(1, 10, 10, 300), ("right_ankle",))], "first", SIZE)
    assert "--person" in caught.value.hint


def test_a_person_whom_a_view_never_saw_is_chosen_last():
    empty = person(1, 10, 10, 300, range(0))
    for rule in ("largest", "longest", "central", "complete", "first"):
        assert chosen([empty, person(2, 300, 100, 150)], rule) == [2]
