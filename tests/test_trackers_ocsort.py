"""OC-SORT: momentum, recovery and re-update, each on its own."""

import numpy as np
import pytest
from boxed import SIZE, box, detections, frames_of, ids_of, walker

from trackers.bytetrack import ByteTrack
from trackers.ocsort import OCSort


def turned_behind_a_post():
    """Somebody walks behind something, turns round there and comes out where they went in."""
    out = walker((300, 300), (6, 0), 40)
    people = np.full((1, 100, 4), np.nan)
    people[0, :40] = out
    people[0, 60:] = out[::-1] - np.array([6, 0, 6, 0])
    return frames_of(people)


def test_who_turns_while_hidden_is_found_where_they_were_seen_last():
    tracks = OCSort().track(turned_behind_a_post(), np.arange(100) / 30, SIZE)
    assert len(tracks) == 1 and tracks[0].observed.sum() == 80
    assert len(ByteTrack().track(turned_behind_a_post(), np.arange(100) / 30, SIZE)) == 2


def test_who_is_found_again_is_as_if_they_had_been_seen_on_the_way():
    """The re-update leaves the state of a filter that saw the straight line of boxes."""
    first = walker((300, 300), (6, 0), 20)
    last = box((first[-1][0] + 10, 320), 180)
    line = np.array([first[-1] + (last - first[-1]) * k / 16 for k in range(1, 17)])
    seen = np.concatenate([first, line])[None]
    lost = seen.copy()
    lost[0, 20:35] = np.nan
    states = []
    for people in (seen, lost):
        tracker = OCSort()
        assert ids_of(tracker, frames_of(people))[-1].tolist() == [1]
        states.append(tracker._targets[0])
    np.testing.assert_allclose(states[1].mean, states[0].mean, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(states[1].covariance, states[0].covariance, rtol=1e-9)
    assert np.array_equal(states[1].missed, [])


def test_a_direction_is_worth_half_the_inertia_either_way():
    tracker = OCSort(inertia=0.2)
    ids_of(tracker, frames_of([walker((300, 300), (4, 0), 10)]))
    ahead, behind, aside, same = (box(at, 160) for at in ((400, 300), (200, 300), (328, 400), (328, 300)))
    bonus = tracker._momentum(tracker._targets, np.array([ahead, behind, aside, same]), 10 / 30)
    np.testing.assert_allclose(bonus, [[0.1, -0.1, 0, 0]], atol=1e-5)


@pytest.mark.parametrize(("inertia", "taken"), [(0.2, [1, -1]), (0.0, [-1, 1])])
def test_of_two_boxes_the_one_straight_on_is_taken(inertia, taken):
    frames = frames_of([walker((300, 300), (3, 0), 20)])
    expected = 300 + 3 * 20
    frames.append(detections([box((expected + 12, 300), 160), box((expected - 11, 300), 160)], 0.9))
    assert ids_of(OCSort(inertia=inertia), frames)[-1].tolist() == taken


def test_newcomers_are_seen_three_times_before_they_are_somebody():
    people = np.array([walker((200, 300), (0, 0), 20), walker((800, 300), (0, 0), 20)])
    people[1, :10] = np.nan
    ids = ids_of(OCSort(), frames_of(people))
    assert [i.tolist() for i in ids[9:13]] == [[1], [1, -1], [1, -1], [1, 2]]
    people[1, 14:16] = np.nan
    assert ids_of(OCSort(), frames_of(people))[16].tolist() == [1, 2], "once somebody, always somebody"


def test_low_scores_count_where_that_is_wanted():
    scores = np.full((1, 120), 0.9)
    scores[0, 30:75] = 0.2
    frames = frames_of([walker((200, 300), (5, 0), 120)], scores)
    (track,) = OCSort(use_byte=True).track(frames, np.arange(120) / 30, SIZE)
    assert track.observed.all()
    assert len(OCSort().track(frames, np.arange(120) / 30, SIZE)) == 2
