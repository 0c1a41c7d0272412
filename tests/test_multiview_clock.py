"""Tracks and motions on another clock: exact where times agree, true in between, silent where nothing is known."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import look, observe, walker

from multiview.clock import motion_on_clock, on_clock
from pipeline.results import Motion3D, Track2D


def polynomial(times, degree=2, joints=4, seed=0, first=0):
    """A track and a motion whose joints are polynomials of time."""
    powers = np.random.default_rng(seed).normal(size=(joints, 3, degree + 1))
    points = sum(powers[..., k] * times[:, None, None] ** k for k in range(degree + 1))
    frames = np.arange(first, first + len(times), dtype=np.int32)
    scores, seen = np.full(points.shape[:2], 0.8), np.ones(len(times), bool)
    boxes = np.concatenate([points.min(1)[:, :2], points.max(1)[:, :2]], 1)
    track = Track2D(1, "coco-17", frames, points[..., :2].copy(), scores.copy(), seen.copy(), boxes)
    return track, Motion3D(1, "h36m-17", "root", frames, points, scores, points[:, 0].copy(), seen, scores + 0), powers


def uneven(seed, count=40):
    return np.concatenate([[0], np.cumsum(np.random.default_rng(seed).uniform(0.01, 0.06, count - 1))])


@pytest.mark.parametrize("move", [on_clock, motion_on_clock])
@pytest.mark.parametrize("offset", [0.0, 0.25])
def test_equal_clocks_keep_every_byte(move, offset):
    times = np.arange(50) / 29.97
    joints, contacts = walker(lambda t: np.stack([t, 4 + 0 * t], -1), times)
    motion, track = observe(joints, look(), times, contacts=contacts, noise_px=1)
    track.keypoints[7, 3:9], track.scores[7, 3:9] = np.nan, 0
    motion.joints[20:23] = np.nan
    motion.scores[20:23] = 0
    given = track if move is on_clock else motion
    moved = move(given, times, times + offset, offset)
    for field in fields(given):
        one, other = getattr(given, field.name), getattr(moved, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype and one.tobytes() == other.tobytes(), field.name
        else:
            assert one == other


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.floats(-0.8, 0.8), st.floats(0.9, 1.1))
def test_parabolas_come_back_at_any_time_within_and_nothing_far_beyond(seed, offset, rate):
    own, scene = uneven(seed), np.arange(0, 60) / 25
    track, motion, powers = polynomial(own, seed=seed)
    at = (scene - offset) / rate
    half = np.median(np.diff(own)) / 2
    inside = (at >= own[0] - half) & (at <= own[-1] + half)
    truth = sum(powers[..., k] * at[inside, None, None] ** k for k in range(3))
    moved, lifted = on_clock(track, own, scene, offset, rate), motion_on_clock(motion, own, scene, offset, rate)
    np.testing.assert_array_equal(moved.frames, np.flatnonzero(inside))
    away = (at[inside] >= own[1]) & (at[inside] <= own[-2])  # at the ends the slope is the line's
    np.testing.assert_allclose(moved.keypoints[away], truth[away][..., :2], atol=2e-6)
    np.testing.assert_allclose(lifted.joints[away], truth[away], atol=2e-6)
    np.testing.assert_allclose(lifted.root[away], truth[away][:, 0], atol=2e-6)
    assert np.allclose(moved.scores, 0.8) and moved.observed.all()
    np.testing.assert_array_equal(np.diff(moved.frames), 1)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(-0.3, 0.3))
def test_there_and_back_again(seed, offset):
    own = np.arange(60) / 60
    scene = own[5:-5] + offset
    smooth = np.sin(2 * np.pi * own[:, None, None] * np.random.default_rng(seed).uniform(0.5, 2.5, (1, 4, 3)))
    track = replace(polynomial(own)[0], keypoints=smooth[..., :2])
    there = on_clock(track, own, scene + 0.004, offset)
    back = on_clock(there, scene + 0.004, own, -offset)  # the scene's clock is the view's again
    assert len(back) >= 45
    np.testing.assert_allclose(back.keypoints[2:-2], smooth[back.frames][2:-2, :, :2], atol=2e-3)


def test_a_long_gap_stays_a_gap_and_a_short_one_is_bridged():
    own = np.arange(60) / 30
    track, motion, _ = polynomial(own)
    track.keypoints[10:13, 0], track.scores[10:13, 0] = np.nan, 0  # 0.13 s from seen to seen
    track.keypoints[30:45, 1], track.scores[30:45, 1] = np.nan, 0
    motion.joints[30:45] = np.nan
    scene = own + 0.5 / 30
    moved, lifted = on_clock(track, own, scene, 0.0), motion_on_clock(motion, own, scene, 0.0)
    assert np.isfinite(moved.keypoints[:, 0]).all() and (moved.scores[:, 0] > 0).all()
    lost = np.isnan(moved.keypoints[:, 1, 0])
    np.testing.assert_array_equal(np.flatnonzero(lost), np.arange(29, 45))
    assert (moved.scores[lost, 1] == 0).all()
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(lifted.joints[:, 2, 0])), np.arange(29, 45))


def test_unobserved_frames_and_boxes_are_told():
    own = np.arange(20) / 20
    track, _, _ = polynomial(own, first=5)
    track.observed[8] = False
    track.boxes[8:] = np.nan
    moved = on_clock(track, np.arange(30) / 20, np.arange(40) / 40, -0.25)
    assert moved.frames[0] == 0 and not moved.observed[[15, 16, 17]].any() and moved.observed[[14, 18]].all()
    assert np.isnan(moved.boxes[15:]).all() and np.isfinite(moved.boxes[:15]).all()


@pytest.mark.parametrize("late", [0.4, -0.4])
def test_a_part_of_a_frame_at_the_ends_is_on_the_line_of_the_outermost_two(late):
    own = np.arange(20) / 20
    track, motion, powers = polynomial(own, degree=1)
    track.scores[[0, -1]] = 0.3
    moved, lifted = on_clock(track, own, own, late / 20), motion_on_clock(motion, own, own, late / 20)
    truth = powers[..., 0] + powers[..., 1] * (own - late / 20)[:, None, None]
    np.testing.assert_array_equal(moved.frames, np.arange(20))
    np.testing.assert_allclose(moved.keypoints, truth[..., :2], atol=1e-6)
    np.testing.assert_allclose(lifted.joints, truth, atol=1e-6)
    end = 0 if late > 0 else -1
    np.testing.assert_allclose(moved.scores[end], 0.3)  # as sure as the outermost frame, not less and less
    np.testing.assert_array_equal(moved.boxes[end], track.boxes[end])
    far = on_clock(track, own, own, 1.5 * late / 20)
    assert len(far) == 19


def test_a_track_of_one_frame_holds():
    own = np.arange(20) / 20
    track = polynomial(own[:1], first=7)[0]
    moved = on_clock(track, own, own, 0.02)
    assert moved.frames.tolist() == [7]
    np.testing.assert_array_equal(moved.keypoints, track.keypoints)


def test_no_common_time_is_an_empty_track():
    own = np.arange(20) / 20
    track, motion, _ = polynomial(own)
    assert len(on_clock(track, own, own, 100.0)) == 0 and on_clock(track, own, own, 100.0).keypoints.shape == (0, 4, 2)
    assert motion_on_clock(motion, own, own, -100.0).joints.shape == (0, 4, 3)
    assert len(on_clock(on_clock(track, own, own, 100.0), own, own, 0.0)) == 0
