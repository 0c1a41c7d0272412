"""Filling short gaps of a 2D track, suppressing wild keypoints."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.results import Track2D
from trackers.complete import complete

TIMES = np.arange(90) / 30


def smooth_track(times=TIMES, number=1, height=300.0, first=0):
    joints = np.linspace(0, 1, 17)[None, :, None] * [0.3 * height, height]
    move = np.stack([100 + 80 * times, 200 + 30 * np.sin(3 * times)], -1)[:, None]
    points = (joints + move).astype(np.float32)
    count = len(times)
    boxes = np.concatenate([points.min(1), points.max(1)], 1)
    frames = np.arange(first, first + count, dtype=np.int32)
    return Track2D(
        number, "coco-17", frames, points, np.full((count, 17), 0.8, np.float32), np.ones(count, bool), boxes
    )


def hide(track, rows, joints=slice(None)):
    track.keypoints[rows, joints], track.scores[rows, joints] = np.nan, 0
    return track


@settings(max_examples=25)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 16))
def test_short_gaps_are_bridged_with_falling_scores(begin, length, joint):
    truth = smooth_track().keypoints
    out = complete(hide(smooth_track(), slice(begin, begin + length), joint), TIMES, max_gap_s=0.5)
    assert np.abs(out.keypoints - truth).max() < 8
    assert (out.scores[begin : begin + length, joint] < 0.8).all() and (out.scores > 0).all()


def test_small_joints_do_not_change_what_is_done_with_the_body():
    """Faces and hands make a skeleton's joints many, but no body smaller: what is wild stays the same."""
    body, random = smooth_track(), np.random.default_rng(0)
    body.keypoints[:] += random.normal(0, 1, body.keypoints.shape)
    body.keypoints[40, 10] += [0, 30]  # less than what is wild of such a body
    face = body.keypoints[:, :1] + random.normal(0, 8, (len(body), 116, 2)).astype(np.float32)
    whole = replace(
        body, skeleton="coco-133", keypoints=np.concatenate([body.keypoints, face], 1),
        scores=np.full((len(body), 133), 0.8, np.float32),
    )  # fmt: skip
    np.testing.assert_array_equal(complete(whole, TIMES).keypoints[:, :17], complete(body, TIMES).keypoints)


def test_long_gaps_stay_missing():
    out = complete(hide(smooth_track(), slice(20, 60)), TIMES, max_gap_s=0.5)
    assert np.isnan(out.keypoints[20:60]).all() and (out.scores[20:60] == 0).all()


def test_nothing_is_invented_before_the_first_and_after_the_last():
    out = complete(hide(hide(smooth_track(), slice(0, 5)), slice(85, 90)), TIMES)
    assert np.isnan(out.keypoints[:5]).all() and np.isnan(out.keypoints[85:]).all()


def test_gaps_count_in_seconds():
    times = np.concatenate([np.arange(45) / 30, 5 + np.arange(45) / 30])
    out = complete(hide(smooth_track(), slice(44, 46)), times, max_gap_s=0.5)
    assert np.isnan(out.keypoints[44:46]).all()


@settings(max_examples=25)
@given(st.integers(3, 86), st.integers(0, 16), st.floats(120, 1000), st.floats(0, 6.28))
def test_a_keypoint_that_leaps_away_for_a_frame_is_put_back(frame, joint, far, angle):
    truth = smooth_track().keypoints
    track = smooth_track()
    track.keypoints[frame, joint] += far * np.array([np.cos(angle), np.sin(angle)])
    out = complete(track, TIMES)
    assert np.abs(out.keypoints - truth).max() < 5
    assert out.scores[frame, joint] < 0.8


def test_fast_hands_are_not_wild():
    track = smooth_track()
    track.keypoints[:, 9] += np.stack([60 * np.sin(12 * TIMES), 60 * np.cos(12 * TIMES)], -1)
    out = complete(track, TIMES)
    np.testing.assert_allclose(out.keypoints, track.keypoints)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_frames_and_unseen_people(count):
    track = smooth_track(TIMES[:count])
    np.testing.assert_array_equal(complete(track, TIMES).keypoints, track.keypoints)
    assert np.isnan(complete(hide(track, slice(None)), TIMES).keypoints).all()


def test_the_frames_of_the_clip_give_the_times():
    track = hide(smooth_track(TIMES[:20], first=50), slice(8, 11))
    assert np.isfinite(complete(track, TIMES).keypoints).all()
