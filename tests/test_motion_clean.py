"""Cleaning: filters, gaps, bones and standing feet, against exact truth."""

from dataclasses import replace

import numpy as np
import people
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion.bones import bone_lengths
from motion.clean import clean
from motion.feet import hold_feet
from motion.filters import lowpass
from motion.gaps import fill
from motion.stance import feet_of
from pipeline.errors import UsageError
from pipeline.results import Motion3D

TIMES = np.arange(150) / 30
FEET = feet_of(people.H36M, np.zeros((1, 23, 3)))


def world(joints, contacts=None, scores=None):
    frames = np.arange(len(joints), dtype=np.int32)
    scores = np.full(joints.shape[:2], 0.9, np.float32) if scores is None else scores
    joints = joints.astype(np.float32)
    return Motion3D(1, "h36m-23", "world", frames, joints, scores, joints[:, 0], frames >= 0, contacts)


def walk(times=TIMES):
    return people.walker(lambda t: np.stack([0.8 * t - 2, 4 + 0.2 * t], -1), times)


def noisy(joints, times, size, seed=0):
    return joints + size * people.slow_noise(np.random.default_rng(seed), joints.shape, times, 0.05)


def skating(joints, contacts, times):
    """m/s: mean horizontal speed of the foot points that truly stand."""
    speed = np.linalg.norm(np.diff(joints[:, 17:21, :2], axis=0), axis=-1) / np.diff(times)[:, None]
    return float(speed[(contacts[1:] > 0.5) & (contacts[:-1] > 0.5)].mean())


@pytest.mark.parametrize("fps", [30, 60, 120])
@pytest.mark.parametrize("hz", [1.0, 2.0])
def test_slow_motion_passes_without_delay(fps, hz):
    times = np.arange(5 * fps) / fps
    wave = np.sin(2 * np.pi * hz * times)[:, None]
    out = lowpass(wave, times, 6.0)
    inner = slice(fps, -fps)
    assert np.abs(out - wave)[inner].max() < 0.03


def test_cutoff_is_where_half_the_power_passes():
    times = np.arange(2000) / 100
    wave = np.sin(2 * np.pi * 6.0 * times)[:, None]
    gain = np.abs(lowpass(wave, times, 6.0))[500:1500].max()
    assert gain == pytest.approx(np.sqrt(0.5), abs=0.01)


def test_fast_jitter_goes():
    times = np.arange(300) / 60
    wave = np.sin(2 * np.pi * 20 * times)[:, None]
    assert np.abs(lowpass(wave, times, 6.0))[60:-60].max() < 0.02


def test_time_reversed_input_gives_reversed_output():
    rng = np.random.default_rng(1)
    values = np.cumsum(rng.normal(size=(200, 2)), axis=0)
    times = np.arange(200) / 30
    np.testing.assert_allclose(lowpass(values[::-1], times, 5.0)[::-1], lowpass(values, times, 5.0), atol=0.15)


def test_low_frame_rates_are_left_alone():
    times = np.arange(30) / 5
    values = np.random.default_rng(0).normal(size=(30, 3))
    np.testing.assert_array_equal(lowpass(values, times, 6.0), values)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_uneven_times_keep_lines_and_constants(seed, count):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.01, 0.06, count))
    line = np.stack([3 + 0 * times, 2 * times - 1], -1)
    out = lowpass(line, times, 4.0)
    assert out.shape == line.shape
    np.testing.assert_allclose(out, line, atol=0.05)


def test_uneven_times_filter_like_even_ones():
    rng = np.random.default_rng(2)
    uneven = np.sort(rng.uniform(0, 10, 600))
    jitter = 0.2 * np.sin(2 * np.pi * 15 * uneven)
    slow = np.sin(2 * np.pi * 0.8 * uneven)
    out = lowpass((slow + jitter)[:, None], uneven, 4.0)[:, 0]
    assert np.sqrt(np.mean((out - slow)[50:-50] ** 2)) < 0.5 * np.sqrt(np.mean(jitter**2))


def test_short_gaps_are_filled_and_long_ones_stay():
    joints, contacts = walk()
    holed = joints.copy()
    holed[40:48] = np.nan
    holed[80:120] = np.nan
    scores = np.where(np.isfinite(holed[..., 0]), 0.9, 0).astype(np.float32)
    out = clean([world(holed, contacts, scores)], TIMES, max_gap_s=0.5)[0]
    assert np.isfinite(out.joints[:80]).all() and np.isnan(out.joints[80:120]).all()
    assert np.linalg.norm(out.joints[40:48] - joints[40:48], axis=-1).mean() < 0.06
    assert (out.scores[80:120] == 0).all() and (out.scores[40:48] > 0).all()
    assert (out.scores[43, :] < out.scores[38, :]).all()
    assert np.isnan(out.root[100]).all()


@pytest.mark.parametrize("lost", ["left_hand", "right_ankle"])
def test_a_joint_that_is_lost_for_a_while_changes_nothing_else(lost):
    """Its frames are solved as their neighbours are, and the feet that are known stand in them too."""
    joints, contacts = walk(TIMES[:90])
    before = noisy(joints, TIMES[:90], 0.02)
    holed = before.copy()
    holed[40:60, people.H36M.joints.index(lost)] = np.nan
    whole, out = (clean([world(j, contacts)], TIMES[:90])[0].joints for j in (before, holed))
    others = [k for k, name in enumerate(people.H36M.joints) if name != lost]
    assert np.isnan(out[40:60, people.H36M.index(lost)]).all() and np.isfinite(out[:, others]).all()
    beside = ("left_wrist", "right_knee", "right_hip", "right_heel", "right_toe")
    far = [k for k in others if people.H36M.joints[k] not in beside]
    np.testing.assert_allclose(out[:, far], whole[:, far], atol=0.008)
    stands = contacts[:, :2] > 0.5
    np.testing.assert_allclose(out[:, 17:19][stands], whole[:, 17:19][stands], atol=2e-4)
    head = np.linalg.norm(np.diff(out[:, people.H36M.joints.index("head_top")], axis=0), axis=-1)
    kept = np.linalg.norm(np.diff(whole[:, people.H36M.joints.index("head_top")], axis=0), axis=-1)
    assert np.abs(head - kept)[[39, 59]].max() < 0.004


def test_bridge_follows_a_curve_better_than_a_line():
    times = np.arange(60) / 30
    arc = np.stack([np.cos(2 * times), np.sin(2 * times), 0 * times], -1)[:, None]
    holed = arc.copy()
    holed[20:32] = np.nan
    filled, _ = fill(holed, np.isfinite(holed[..., 0]) * 1.0, times, 0.5)
    assert np.abs(filled - arc).max() < 0.01


@pytest.mark.parametrize("size", [0.005, 0.015])
def test_standing_feet_stop_sliding_and_sinking(size):
    joints, contacts = walk()
    before = noisy(joints, TIMES, size)
    after = clean([world(before, contacts)], TIMES)[0].joints
    assert skating(after, contacts, TIMES) < 0.35 * skating(before, contacts, TIMES)
    standing = after[:, 17:21, 2][contacts > 0.5]
    assert abs(standing.mean() - people.SOLE) < 0.01 and standing.std() < 0.01
    assert np.linalg.norm(after - joints, axis=-1).mean() < np.linalg.norm(before - joints, axis=-1).mean() + 0.002


@settings(max_examples=10)
@given(st.integers(0, 1000), st.floats(0.002, 0.03))
def test_bones_are_constant_after_all(seed, size):
    joints, contacts = walk(TIMES[:60])
    out = clean([world(noisy(joints, TIMES[:60], size, seed), contacts)], TIMES)[0].joints
    for parent, child in people.H36M.bones:
        length = np.linalg.norm(out[:, child] - out[:, parent], axis=-1)
        assert np.ptp(length) < 1e-5


@pytest.mark.parametrize("rise", [0.1, 0.25, 0.5])
def test_jumps_stay_jumps(rise):
    joints, contacts = people.jumper(TIMES, rise=rise)
    out = clean([world(noisy(joints, TIMES, 0.005), contacts)], TIMES)[0]
    height = out.root[:, 2]
    assert height.max() - np.median(height) == pytest.approx(rise, rel=0.1, abs=0.01)
    air = contacts[:, 0] < 0.5
    lowest = out.joints[air][:, 17:21, 2].max(0)
    assert lowest.max() == pytest.approx(people.SOLE + rise, rel=0.15, abs=0.02)


def test_nothing_moves_that_is_already_clean():
    joints, contacts = walk()
    out = clean([world(joints, contacts)], TIMES)[0].joints
    assert np.linalg.norm(out - joints, axis=-1)[10:-10].mean() < 0.004


def test_a_foot_that_sinks_does_not_jump():
    """A moving foot, ever deeper: on the floor as long as it is not far in it, left where it is in the end."""
    joints, _ = people.walker(lambda t: np.stack([0.3 + 0 * t, 4 + 0 * t], -1), TIMES)
    depth = np.linspace(0, 0.3, len(TIMES))
    sinking = joints - depth[:, None, None] * [0, 0, 1]
    lengths = bone_lengths(joints, np.ones(joints.shape[:2]), people.H36M)
    out = hold_feet(sinking, np.zeros((len(TIMES), 4)), TIMES, lengths, people.H36M, FEET)
    lowest = out[:, 17:21, 2].min(1)
    assert np.abs(np.diff(lowest)).max() < 0.01
    assert np.abs(lowest[depth < 0.09]).max() < 0.03
    np.testing.assert_allclose(out[depth > 0.23], sinking[depth > 0.23], atol=1e-6)


@pytest.mark.parametrize("lifted", [0.0, 0.1])
def test_a_moment_of_doubt_does_not_replant_a_foot(lifted):
    """The lifter loses sight of a standing foot for 3 frames and sees it 3 cm elsewhere; or it was lifted."""
    joints, _ = people.walker(lambda t: np.stack([0.3 + 0 * t, 4 + 0 * t], -1), TIMES)
    feet = slice(17, 21)
    seen = joints + np.where(TIMES > 2.5, 0.03, 0.0)[:, None, None] * np.array([1.0, 0, 0])
    doubt = (TIMES > 2.45) & (TIMES < 2.55)
    seen[doubt, feet, 2] += lifted
    contact = np.where(doubt[:, None], 0.0, np.ones(4))
    lengths = bone_lengths(joints, np.ones(joints.shape[:2]), people.H36M)
    out = hold_feet(seen, contact, TIMES, lengths, people.H36M, FEET)[:, feet]
    hop = np.linalg.norm(np.diff(out, axis=0), axis=-1).max()
    assert hop < 0.001 if not lifted else hop > 0.01


def test_a_step_above_the_floor_is_not_pulled_down():
    joints, contacts = people.walker(lambda t: np.stack([0.3 + 0 * t, 4 + 0 * t], -1), TIMES)
    raised = joints + np.array([0, 0, 0.4])
    out = clean([world(raised, contacts)], TIMES)[0].joints
    np.testing.assert_allclose(out, raised, atol=0.01)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_frames(count):
    joints, contacts = walk(TIMES[:count])
    out = clean([world(joints, contacts)], TIMES)[0].joints
    assert out.shape == joints.shape and np.abs(out - joints).max() < 0.02


def test_order_of_people_does_not_matter_and_the_input_stays():
    joints, contacts = walk()
    one = world(noisy(joints, TIMES, 0.01), contacts)
    two = replace(world(noisy(joints, TIMES, 0.01, 5) + np.array([1, 1, 0]), contacts), id=2)
    kept = one.joints.copy()
    forth, back = clean([one, two], TIMES), clean([two, one], TIMES)
    np.testing.assert_array_equal(forth[0].joints, back[1].joints)
    np.testing.assert_array_equal(one.joints, kept)


def test_missing_contacts_and_all_nan():
    joints, contacts = walk()
    out = clean([world(noisy(joints, TIMES, 0.005))], TIMES)[0].joints
    assert skating(out, contacts, TIMES) < 0.6 * skating(noisy(joints, TIMES, 0.005), contacts, TIMES)
    empty = world(np.full_like(joints, np.nan))
    assert np.isnan(clean([empty], TIMES)[0].joints).all()


def test_wrong_options():
    with pytest.raises(UsageError):
        clean([], TIMES, cutoff_hz=-1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bones", [True, False])
@pytest.mark.parametrize("feet", [True, False])
@pytest.mark.parametrize("unknown", [*people.UNKNOWN.values(), ("pelvis",)], ids=[*people.UNKNOWN, "a pelvis"])
def test_joints_that_are_never_known_stay_so_and_change_little_else(unknown, feet, bones):
    joints, contacts = walk(TIMES[:90])
    motion = world(noisy(joints, TIMES[:90], 0.01), contacts)
    motions = [motion, people.without(motion, unknown)]
    whole, out = clean(motions, TIMES, feet=feet, bones=bones)
    lost = people.H36M.index(*unknown)
    rest = np.setdiff1d(np.arange(23), lost)
    assert np.isnan(out.joints[:, lost]).all() and not out.scores[:, lost].any()
    assert np.isfinite(out.joints[:, rest]).all() and (out.scores[:, rest] > 0).all()
    away = np.linalg.norm(out.joints - whole.joints, axis=-1)[:, rest]
    assert away.max() < 1e-5 if not bones else away.mean() < 0.005
    for parent, child in people.H36M.bones if bones else ():
        if {parent, child} <= set(rest):
            assert np.ptp(np.linalg.norm(out.joints[:, child] - out.joints[:, parent], axis=-1)) < 1e-5


@pytest.mark.filterwarnings("error")
def test_without_heels_and_toes_ankles_stand():
    joints, contacts = walk()
    before = people.without(world(noisy(joints, TIMES, 0.01)), people.UNKNOWN["heels and toes"])
    after = clean([before], TIMES)[0].joints
    ankles, stands = people.H36M.index("left_ankle", "right_ankle"), contacts[:, ::2] > 0.5
    stands = stands[1:] & stands[:-1]
    sliding = [
        np.linalg.norm(np.diff(j[:, ankles, :2], axis=0), axis=-1)[stands].mean() for j in (before.joints, after)
    ]
    assert sliding[1] < 0.6 * sliding[0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bones", [True, False])
def test_a_person_without_a_pose_stays_unknown(bones):
    joints = walk()[0]
    motions = [world(np.full_like(joints, np.nan)), world(joints)]
    broken, whole = clean(motions, TIMES, bones=bones)
    assert np.isnan(broken.joints).all() and np.isnan(broken.root).all() and not broken.scores.any()
    assert np.isfinite(whole.joints).all()
