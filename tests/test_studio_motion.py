"""Bodies and motions of the studio: what must hold at every moment, whatever the frame rate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError, UsageError
from pipeline.skeletons import SKELETONS, skeleton
from studio.body import Proportions, build_body
from studio.gait import run, turn, walk
from studio.mocap import Recording, Replay, pose, read_recording
from studio.motions import GRAVITY, Stand, dance, jump, sit, squat, wave
from studio.paths import circle, line, through

RATE = 240
SQUARE = [(1.5, 1), (-1.5, 1), (-1.5, -1), (1.5, -1)]
MOTIONS = {
    "walk": walk(line((1, -2), 0.7)),
    "walk round": walk(circle(radius=1.2)),
    "walk loop": walk(through(SQUARE, closed=True), 0.3),
    "run": run(),
    "turn": turn(rate=-1.1),
    "stand": Stand(),
    "wave and squat": Stand((1, 2), 2.0, (wave(0.1, 1.5), squat(1.2, 1.6))),
    "jump": Stand((0, 1), -1, (jump(0.2, 0.3),)),
    "jump forward": Stand((0, 1), -1, (jump(0.2, 0.3, 0.5),)),
    "sit": Stand(actions=(sit(0.2, 3.0),)),
    "dance": Stand(heading=1, actions=(dance(0.1, 3.0),)),
}
TIMES = np.arange(3 * RATE) / RATE
H36M = skeleton("h36m-23")


@pytest.fixture(scope="module")
def body():
    return build_body(Proportions.random(4))


def feet(body, figure):
    return body.joints(figure)[:, H36M.index("left_heel", "left_toe", "right_heel", "right_toe")]


@pytest.mark.parametrize("name", MOTIONS)
def test_feet_on_the_ground_stand_still(name, body):
    figure = MOTIONS[name](body, TIMES)
    points, contacts = feet(body, figure), figure.contacts
    standing = contacts[1:] & contacts[:-1]
    speed = np.linalg.norm(np.diff(points, axis=0), axis=-1) * RATE
    assert standing.any()
    assert speed[standing].max() < 1e-6
    height = points[..., 2]
    assert np.ptp(height[contacts]) < 1e-9
    assert height.min() > height[contacts].min() - 1e-9, "a foot goes through the floor"


@pytest.mark.parametrize("name", MOTIONS)
def test_bones_keep_their_length(name, body):
    joints = body.joints(MOTIONS[name](body, TIMES[::5]))
    for parent, child in H36M.bones:
        assert np.ptp(np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)) < 1e-9


@pytest.mark.parametrize("name", MOTIONS)
def test_nothing_jumps(name, body):
    joints = body.joints(MOTIONS[name](body, TIMES))
    assert np.linalg.norm(np.diff(joints, axis=0), axis=-1).max() * RATE < 12


@settings(max_examples=25)
@given(name=st.sampled_from(sorted(MOTIONS)), times=st.lists(st.floats(0, 3), min_size=1, max_size=6))
def test_a_moment_does_not_depend_on_the_others(name, times):
    body = build_body(Proportions())
    together = MOTIONS[name](body, np.array(times))
    for i, time in enumerate(times):
        alone = MOTIONS[name](body, np.array([time]))
        np.testing.assert_allclose(alone.origins[0], together.origins[i], atol=1e-12)
        assert (alone.contacts[0] == together.contacts[i]).all()


def test_walking_goes_at_its_speed_and_never_flies_running_does(body):
    pelvis = body.place(walk(line(), speed=1.4)(body, np.array([0.0, 10.0])), "pelvis")
    assert np.linalg.norm(pelvis[1] - pelvis[0]) == pytest.approx(14, abs=0.1)
    assert walk()(body, TIMES).contacts.any(1).all()
    assert 0.1 < 1 - run()(body, TIMES).contacts.any(1).mean() < 0.5


def test_arms_swing_against_the_legs(body):
    figure = walk(line())(body, TIMES)
    ahead = {
        name: body.place(figure, name)[:, 0] for name in ("left_wrist", "left_ankle", "right_wrist", "right_ankle")
    }
    arms, legs = ahead["left_wrist"] - ahead["right_wrist"], ahead["left_ankle"] - ahead["right_ankle"]
    assert np.corrcoef(arms, legs)[0, 1] < -0.8


def test_knees_and_elbows_bend_the_right_way(body):
    for name in ("walk", "run", "wave and squat", "sit"):
        figure = MOTIONS[name](body, TIMES)
        for side in ("left_", "right_"):
            hip, knee, ankle = (body.place(figure, side + joint) for joint in ("hip", "knee", "ankle"))
            forward = figure.rotations[:, 0, :, 0]
            assert (((knee - (hip + ankle) / 2) * forward).sum(-1) > -0.03).all(), name


def test_the_pelvis_falls_freely_in_a_jump(body):
    figure = MOTIONS["jump"](body, TIMES)
    flying = np.flatnonzero(~figure.contacts.any(1))[5:-5]
    assert len(flying) > 60
    height = body.place(figure, "pelvis")[:, 2]
    fall = (height[flying + 1] - 2 * height[flying] + height[flying - 1]) * RATE**2
    np.testing.assert_allclose(fall, -GRAVITY, atol=0.1)


def test_a_jump_forward_lands_further_on(body):
    for name, way in (("jump", 0.0), ("jump forward", 0.5)):
        toes = feet(body, MOTIONS[name](body, TIMES))[:, 1, :2]
        assert np.linalg.norm(toes[-1] - toes[0]) == pytest.approx(way, abs=1e-9)


WHOLE_BODIES = ("coco-133", "halpe-136")  # actors have no fingers and no features of the face


def test_every_skeleton_has_its_joints_left_is_left_and_heights_fit():
    for seed in range(8):
        body = build_body(Proportions.random(seed))
        figure = Stand(seed=seed)(body, np.zeros(1))
        for name, named in SKELETONS.items():
            if name in WHOLE_BODIES:
                continue
            joints = body.joints(figure, name)
            assert joints.shape == (1, len(named), 3)
            assert np.isfinite(joints).all()
            sides = joints[0, list(named.left)][:, 1].min(), joints[0, list(named.right)][:, 1].max()
            assert sides[0] > 0 > sides[1], "facing x, the left side is at positive y"
        top = body.place(figure, "head_top")[0, 2]
        assert top == pytest.approx(body.proportions.height_m, rel=0.05)


@pytest.mark.parametrize("count", [17, 23])
@pytest.mark.parametrize("name", ["walk", "wave and squat"])
def test_a_recording_of_a_motion_gives_the_motion_back(body, count, name):
    times = np.arange(60) / 30
    joints = body.joints(MOTIONS[name](body, times))
    recording = Recording(joints[:, :count].astype(np.float32), 30.0)
    replay = recording.body()
    between = times[5:-5] + 0.011
    again = replay.joints(pose(replay, recording.at(between)))
    error = np.linalg.norm(again - body.joints(MOTIONS[name](body, between)), axis=-1)[:, :17]
    assert np.median(error) < 0.012
    assert error.max() < 0.06
    assert Replay(recording)(replay, times).contacts.mean() > 0.3


def test_recordings_are_read_and_refused(tmp_path):
    joints = np.random.default_rng(0).normal(size=(4, 17, 3))
    np.savez(tmp_path / "one.npz", joints=joints, fps=25.0)
    one = read_recording(str(tmp_path / "one.npz"))
    assert one.fps == 25
    np.testing.assert_array_equal(one.joints, joints)
    np.savez(tmp_path / "many.npz", rel=joints.astype("f2"), root=np.ones((4, 3), "f4"), start=[0, 2], length=[2, 2],
             name=["a", "b"], fps=30, joints=["x"])  # fmt: skip
    np.testing.assert_allclose(read_recording(str(tmp_path / "many.npz") + ":b").joints, joints[2:] + 1, atol=2e-3)
    for bad in ("many.npz:c", "many.npz:2", "none.npz"):
        with pytest.raises(InputError):
            read_recording(str(tmp_path / bad))
    with pytest.raises(InputError):
        Recording(joints[:, :5], 30)
    with pytest.raises(InputError):
        Recording(np.full((2, 17, 3), np.nan), 30)


def test_a_path_of_places_is_measured_in_metres():
    path = through(SQUARE, closed=True)
    s = np.linspace(-3, 30, 4000)
    places, headings = path(s)
    steps = np.diff(places, axis=0)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=-1), np.diff(s), rtol=0.01)
    along = np.stack([np.cos(headings), np.sin(headings)], axis=-1)[:-1]
    assert ((steps * along).sum(-1) / np.diff(s)).min() > 0.99
    with pytest.raises(UsageError):
        through([(0, 0)])
