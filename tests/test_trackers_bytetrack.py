"""ByteTrack: what boxes of low score are good for, and who is somebody."""

import numpy as np
from boxed import SIZE, box, detections, frames_of, ids_of, walker

from trackers.bytetrack import ByteTrack


def half_hidden():
    """Somebody walks past something that hides most of them for longer than lost people are waited for."""
    scores = np.full((1, 120), 0.9)
    scores[0, 30:75] = 0.2
    return frames_of([walker((200, 300), (5, 0), 120)], scores)


def test_low_scores_carry_somebody_through_an_occlusion():
    (track,) = ByteTrack().track(half_hidden(), np.arange(120) / 30, SIZE)
    assert len(track) == 120 and track.observed.all()


def test_without_the_second_round_they_are_somebody_else_afterwards():
    tracks = ByteTrack(low_threshold=0.5).track(half_hidden(), np.arange(120) / 30, SIZE)
    assert len(tracks) == 2 and not any(t.frames[0] < 30 and t.frames[-1] > 75 for t in tracks)


def test_a_box_of_low_score_is_never_somebody_new_nor_brings_a_lost_one_back():
    faint = frames_of([walker((200, 300), (0, 0), 30)], 0.3)
    assert (np.concatenate(ids_of(ByteTrack(), faint)) == -1).all()
    scores = np.full((1, 40), 0.9)
    scores[0, 25:] = 0.3
    people = np.array([walker((200, 300), (0, 0), 40)])
    people[0, 20:25] = np.nan
    ids = ids_of(ByteTrack(), frames_of(people, scores))
    assert ids[19].tolist() == [1] and all(i.tolist() == [-1] for i in ids[25:])


def test_a_box_of_one_frame_is_nobody_but_in_the_first_frame():
    people = np.array([walker((200, 300), (0, 0), 20), walker((800, 300), (0, 0), 20)])
    people[1, :10] = people[1, 11:] = np.nan
    ids = ids_of(ByteTrack(), frames_of(people))
    assert all(1 in i for i in ids)
    assert ids[10].tolist() == [1, -1]
    people[1, 12] = people[1, 10]
    assert ids_of(ByteTrack(), frames_of(people))[12].tolist() == [1, -1], "the next frame would have counted"
    people[1, 11] = people[1, 10]
    assert ids_of(ByteTrack(), frames_of(people))[11].tolist() == [1, 2]


def test_a_score_between_high_and_new_follows_but_does_not_begin():
    scores = np.full((1, 30), 0.55)
    still = [walker((200, 300), (0, 0), 30)]
    assert (np.concatenate(ids_of(ByteTrack(), frames_of(still, scores))) == -1).all()
    scores[0, 0] = 0.7
    assert (np.concatenate(ids_of(ByteTrack(), frames_of(still, scores))) == 1).all()


def test_of_two_boxes_as_near_the_surer_is_taken():
    frames = frames_of([walker((300, 300), (0, 0), 10)])
    frames.append(detections([box((290, 300), 160), box((310, 300), 160)], [0.55, 0.95]))
    assert ids_of(ByteTrack(), frames)[-1].tolist() == [-1, 1]


def test_of_two_in_one_place_the_older_goes_on():
    """A newcomer walks to where somebody was lost a moment ago; one track of the two is left."""
    way = np.array([box((max(300, 700 - 20 * k), 300), 160) for k in range(40)])
    people = np.full((2, 60, 4), np.nan)
    people[0, :30] = walker((300, 300), (0, 0), 30)
    people[1, 20:] = way
    tracker = ByteTrack()
    ids = ids_of(tracker, frames_of(people))
    assert ids[30].tolist() == [2] and ids[-1].tolist() == [1]
    assert len(tracker._targets) == 1


def test_the_size_of_who_is_lost_stays():
    """Somebody bends down and is lost in doing so: their box does not shrink to nothing meanwhile."""
    tall = [box((300, 300 + 2 * k), 160 - 4 * k) for k in range(20)]
    tracker = ByteTrack()
    ids_of(tracker, frames_of([tall]))
    nobody = detections(np.zeros((0, 4)), 0.9)
    for k in range(20, 45):
        tracker.update(nobody, k / 30)
    (target,) = tracker._targets
    assert target.mean[3] > 60
