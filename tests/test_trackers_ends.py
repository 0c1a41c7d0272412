"""Tracks are cut to the frames in which a body is in the picture."""

import numpy as np
import pytest

from pipeline.results import Track2D
from pipeline.skeletons import skeleton
from trackers.ends import trim

SIZE = (640, 480)


def walker(frames=30, step=40.0, first_x=-300.0):
    """Somebody who walks in from the left at the height of the picture, scores 1."""
    joints = len(skeleton("blazepose-33"))
    shape = np.stack([np.linspace(-40, 40, joints), np.linspace(100, 400, joints)], -1)
    points = (shape + np.arange(frames)[:, None, None] * [step, 0] + [first_x, 0]).astype(np.float32)
    scores = np.ones((frames, joints), np.float32)
    boxes = np.zeros((frames, 4), np.float32)
    times = np.arange(10, 10 + frames, dtype=np.int32)
    return Track2D(1, "blazepose-33", times, points, scores, np.ones(frames, bool), boxes, presence=scores)


def test_frames_outside_the_picture_are_cut_at_both_ends():
    track = walker()
    got = trim(track, SIZE)
    middle = got.keypoints[..., 0].mean(1)
    assert (np.diff(got.frames) == 1).all() and len(got) == len(got.presence) == len(got.boxes)
    assert -40 < middle[0] < 40 and 600 < middle[-1] < 680
    assert 0 < got.frames[0] - track.frames[0] < 12


def test_a_body_that_is_hardly_seen_does_not_begin_a_track():
    track = walker(first_x=200.0, step=0.0)
    track.scores[:5] = 0.2
    track.scores[20:] = 0.2
    assert trim(track, SIZE).frames.tolist() == list(range(15, 30))


@pytest.mark.parametrize("frames", [1, 8])
def test_a_portrait_stays(frames):
    track = walker(frames, first_x=200.0, step=0.0)
    track.scores[:] = 0.3
    assert len(trim(track, SIZE)) == frames


def test_what_is_seen_badly_in_between_stays():
    track = walker(first_x=200.0, step=0.0)
    track.scores[10:20] = 0.0
    assert len(trim(track, SIZE)) == 30
