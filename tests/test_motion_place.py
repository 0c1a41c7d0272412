"""Placing: root path, up, floor and scale against people of known truth."""

from dataclasses import replace

import numpy as np
import people
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion.bones import bone_lengths, fit_bones, stature
from motion.place import placement, world_axes

TIMES = np.arange(120) / 30
PATHS = {
    "across": lambda t: np.stack([-1.2 + 0.6 * t, 5 + 0 * t], -1),
    "away": lambda t: np.stack([0.3 + 0 * t, 4 + 1.0 * t], -1),
    "round": lambda t: np.stack([1.1 * np.sin(1.2 * t), 5 + 1.1 * np.cos(1.2 * t)], -1),
    "still": lambda t: np.stack([0.5 + 0 * t, 4 + 0 * t], -1),
}


def height_of(joints):
    return stature(bone_lengths(joints, np.ones(joints.shape[:2]), people.H36M), people.H36M)


def run(joints, camera, contacts=None, times=TIMES, height=True, **noise):
    motion, track = people.observe(joints, camera, times, contacts=contacts, **noise)
    return placement([motion], [track], camera, times, height_of(joints) if height else None)


def up_error_deg(camera, truth):
    cosine = camera.camera_to_world[2, :3] @ truth.camera_to_world[2, :3]
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def root_error(placed, joints, camera):
    """m, in the camera's frame, where no choice of world matters."""
    found = people.to_camera(placed.motions[0].root, placed.camera)
    return np.linalg.norm(found - people.to_camera(joints, camera)[:, 0], axis=1)


@pytest.mark.parametrize("pitch", [0, 15, 30])
@pytest.mark.parametrize("name", PATHS)
def test_exact_input_gives_the_truth(name, pitch):
    joints, contacts = people.walker(PATHS[name], TIMES)
    camera = people.look(pitch, 1.5 if pitch < 20 else 3.0)
    placed = run(joints, camera, contacts)
    assert root_error(placed, joints, camera).mean() < 0.02
    undecided = name in ("across", "still")  # on one line or spot feet say little: the prior holds the camera level
    assert up_error_deg(placed.camera, camera) < (5 if undecided else 1)
    feet = placed.motions[0].joints[:, 17:21, 2][contacts > 0.5]
    assert abs(feet.mean() - people.SOLE) < 0.01
    height = placed.camera.camera_to_world[2, 3] - camera.camera_to_world[2, 3]
    assert abs(height) < (0.45 if undecided else 0.05)
    assert placed.quality["floor"] == "feet"


@pytest.mark.parametrize("name", PATHS)
def test_noise_moves_the_root_by_little(name):
    joints, contacts = people.walker(PATHS[name], TIMES)
    camera = people.look(10)
    placed = run(joints, camera, contacts, noise_px=2, pose_m=0.02)
    distance = np.linalg.norm(people.to_camera(joints, camera)[:, 0], axis=1)
    assert (root_error(placed, joints, camera) / distance).mean() < 0.03
    assert up_error_deg(placed.camera, camera) < 6


def test_walk_in_depth_tells_the_pitch_that_the_prior_does_not():
    joints, contacts = people.walker(PATHS["round"], TIMES)
    camera = people.look(35, 3.5)
    placed = run(joints, camera, contacts, noise_px=1, pose_m=0.01)
    assert up_error_deg(placed.camera, camera) < 3
    assert placed.quality["up"] == "feet"


def test_jump_keeps_its_height():
    joints, contacts = people.jumper(TIMES, rise=0.4)
    placed = run(joints, people.look(20, 2.5), contacts, noise_px=1)
    height = placed.motions[0].root[:, 2]
    assert height.max() - np.median(height) == pytest.approx(0.4, rel=0.1)


def test_without_contacts_from_the_lifter_feet_are_judged_by_speed():
    joints, contacts = people.walker(PATHS["across"], TIMES)
    placed = run(joints, people.look(10), None, noise_px=1)
    feet = placed.motions[0].joints[:, 17:21, 2][contacts > 0.5]
    assert placed.quality["stances"] > 4
    assert abs(feet.mean() - people.SOLE) < 0.03


def test_one_frame():
    joints, contacts = people.walker(PATHS["still"], TIMES)
    camera = people.look(5)
    placed = run(joints[:1], camera, contacts[:1], times=TIMES[:1])
    assert root_error(placed, joints[:1], camera)[0] < 0.05
    assert placed.quality["up"] == "prior"
    assert np.isfinite(placed.motions[0].joints).all()


def test_half_bodies_fall_back_to_a_guessed_floor():
    joints, contacts = people.walker(PATHS["still"], TIMES)
    camera = people.look(5)
    motion, track = people.observe(joints, camera, TIMES, contacts=contacts)
    legs = people.BLAZE.index(*(f"{s}_{j}" for s in ("left", "right") for j in ("knee", "ankle", "heel", "toe")))
    scores = track.scores.copy()
    scores[:, legs] = 0.0
    placed = placement([motion], [replace(track, scores=scores)], camera, TIMES, height_of(joints))
    assert placed.quality["floor"] == "guess" and placed.quality["stances"] == 0
    assert up_error_deg(placed.camera, camera) < 6
    assert abs(placed.motions[0].joints[:, 17:21, 2].min()) < 0.1


def test_stature_sets_the_scale():
    joints, contacts = people.walker(PATHS["across"], TIMES)
    camera = people.look(10)
    small = run(joints * 0.8, camera, contacts, height=False)
    assert small.quality["stature_m"][1] == pytest.approx(1.70, abs=0.01)
    measured = height_of(small.motions[0].joints)
    assert measured == pytest.approx(1.70, abs=0.01)


def test_a_child_beside_an_adult_is_small():
    """Seen from above, the shared floor tells who is tall: the lifter thinks that both are."""
    camera = people.look(35, 3.2)
    adult, ca = people.walker(lambda t: np.stack([-0.8 + 0.4 * t, 4.5 + 0.2 * t], -1), TIMES, 1.75)
    child, cc = people.walker(lambda t: np.stack([0.8 - 0.4 * t, 4.2 + 0.2 * t], -1), TIMES, 1.15)
    pairs = [people.observe(j, camera, TIMES, n, contacts=c) for n, (j, c) in enumerate([(adult, ca), (child, cc)], 1)]
    motions = [pairs[0][0], replace(pairs[1][0], joints=pairs[1][0].joints * np.float32(1.75 / 1.15))]
    placed = placement(motions, [t for _, t in pairs], camera, TIMES)
    ratio = placed.quality["stature_m"][2] / placed.quality["stature_m"][1]
    assert ratio == pytest.approx(1.15 / 1.75, abs=0.12)


def test_a_jump_from_a_roof_neither_tips_the_world_nor_stretches_people():
    """Two levels of ground, 2 m apart, and somebody else on the lower one."""
    camera = people.look(2, 1.6)
    high, ca = people.walker(lambda t: np.stack([-1 + 0.1 * t, 7 + 0 * t], -1), TIMES)
    drop = 2.0 * (1 - np.clip((TIMES - 3.0) / 0.64, 0, 1) ** 2)
    high = high + np.stack([0 * drop, 0 * drop, drop], -1)[:, None]
    ca = ca * ((TIMES < 3.0) | (TIMES > 3.64))[:, None]
    low, cb = people.walker(lambda t: np.stack([1.5 - 0.7 * t, 5 + 0.3 * t], -1), TIMES)
    pairs = [
        people.observe(j, camera, TIMES, n, contacts=c.astype(np.float32)) for n, j, c in ((1, high, ca), (2, low, cb))
    ]
    placed = placement([m for m, _ in pairs], [t for _, t in pairs], camera, TIMES)
    assert up_error_deg(placed.camera, camera) < 10
    assert all(pixels < 25 for pixels in placed.quality["reprojection_px"].values())
    assert all(1.5 < stature_m < 1.95 for stature_m in placed.quality["stature_m"].values())


@pytest.mark.parametrize("raised", [0.0, 1.0])
def test_a_stage_that_no_stature_explains_is_told(raised):
    camera, pairs = people.look(12, 1.6), []
    for n, (x, up) in enumerate([(-1.0, raised), (1.0, 0.0)], 1):
        path = lambda t, x=x: np.stack([x + 0.2 * t, 5 + 0.3 * t], -1)  # noqa: E731
        joints, contacts = people.walker(path, TIMES)
        pairs.append(people.observe(joints + np.array([0, 0, up]), camera, TIMES, n, contacts=contacts))
    placed = placement([m for m, _ in pairs], [t for _, t in pairs], camera, TIMES)
    assert placed.quality["one_floor"] == (raised == 0)


@settings(max_examples=8)
@given(st.permutations([0, 1, 2]), st.booleans())
def test_the_order_of_people_does_not_matter(order, given_height):
    camera = people.look(12)
    pairs = []
    for k, shift in enumerate((-1.0, 0.0, 1.2)):
        path = lambda t, k=k, s=shift: np.stack([s + 0.3 * t, 4.5 + 0.8 * k + 0.1 * t], -1)  # noqa: E731
        joints, contacts = people.walker(path, TIMES[:60], 1.6 + 0.1 * k)
        pairs.append(people.observe(joints, camera, TIMES[:60], k + 1, contacts=contacts))
    height = 1.8 if given_height else None
    plain = placement([m for m, _ in pairs], [t for _, t in pairs], camera, TIMES, height)
    mixed = [pairs[k] for k in order]
    other = placement([m for m, _ in mixed], [t for _, t in mixed], camera, TIMES, height)
    np.testing.assert_allclose(other.camera.camera_to_world, plain.camera.camera_to_world, atol=1e-3)
    for motion in other.motions:
        np.testing.assert_allclose(motion.joints, plain.motions[motion.id - 1].joints, atol=5e-3)


def test_world_is_right_handed_with_the_camera_above_its_origin():
    for pitch in (-20, 0, 45):
        camera = people.look(pitch, 2.0, roll_deg=7)
        pose = world_axes(camera.camera_to_world[2, :3], 2.0)
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
        np.testing.assert_allclose(pose[:3, 3], (0, 0, 2))
        np.testing.assert_allclose(pose, camera.camera_to_world, atol=1e-9)


def test_uneven_times_and_missing_2d():
    rng = np.random.default_rng(3)
    times = np.sort(rng.uniform(0, 4, 100))
    joints, contacts = people.walker(PATHS["across"], times)
    camera = people.look(10)
    motion, track = people.observe(joints, camera, times, contacts=contacts)
    keypoints, scores = track.keypoints.copy(), track.scores.copy()
    keypoints[40:46], scores[40:46] = np.nan, 0
    placed = placement([motion], [replace(track, keypoints=keypoints, scores=scores)], camera, times, height_of(joints))
    assert root_error(placed, joints, camera).max() < 0.08


@pytest.mark.parametrize("lens", [[-0.3, 0.1, 0.001, 0.001, 0.0], [0.05, -0.01, 0.004, -0.001]])
def test_distorted_pictures_are_undistorted(lens):
    import cv2

    model = cv2.fisheye if len(lens) == 4 else cv2
    joints, contacts = people.walker(PATHS["across"], TIMES)
    camera = people.look(10)
    bent = replace(camera, distortion=np.array(lens), fisheye=len(lens) == 4)
    motion, track = people.observe(joints, camera, TIMES, contacts=contacts)
    points = people.to_camera(people.blaze(joints), camera).reshape(-1, 3)
    pixels = model.projectPoints(points[:, None], np.zeros(3), np.zeros(3), bent.matrix, bent.distortion)[0]
    track = replace(track, keypoints=pixels.reshape(track.keypoints.shape).astype(np.float32))
    placed = placement([motion], [track], bent, TIMES, height_of(joints))
    assert root_error(placed, joints, camera).mean() < 0.02


def test_bones_become_constant_and_symmetric():
    joints, _ = people.walker(PATHS["round"], TIMES)
    noisy = joints + 0.02 * np.random.default_rng(0).normal(size=joints.shape)
    lengths = bone_lengths(noisy, np.ones(noisy.shape[:2]), people.H36M)
    again = fit_bones(noisy, lengths, people.H36M)
    for parent, child in people.H36M.bones:
        np.testing.assert_allclose(
            np.linalg.norm(again[:, child] - again[:, parent], axis=1), lengths[child], atol=1e-9
        )
    np.testing.assert_allclose(lengths, lengths[list(people.H36M.mirror)])


def test_strangers_are_refused():
    joints, contacts = people.walker(PATHS["still"], TIMES)
    motion, track = people.observe(joints, people.look(), TIMES, contacts=contacts)
    with pytest.raises(ValueError, match="same people"):
        placement([motion], [replace(track, id=9)], people.look(), TIMES)
    with pytest.raises(ValueError, match="relative to the pelvis"):
        placement([replace(motion, frame="world")], [track], people.look(), TIMES)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "lost", [people.H36M.joints, people.H36M.joints[1:], ("pelvis",)], ids=["all", "pose", "pelvis"]
)
def test_a_person_without_a_pose_is_nowhere_and_leaves_the_others_alone(lost):
    camera = people.look()
    joints, contacts = people.walker(PATHS["across"], TIMES)
    whole = people.observe(joints, camera, TIMES, number=1, contacts=contacts)
    motion, track = people.observe(joints, camera, TIMES, number=2)
    broken = people.without(motion, lost)
    both = placement([broken, whole[0]], [track, whole[1]], camera, TIMES)
    alone = placement([whole[0]], [whole[1]], camera, TIMES)
    assert both.motions[0].frame == "world" and np.isnan(both.motions[0].joints).all()
    assert not both.motions[0].scores.any()
    np.testing.assert_array_equal(both.motions[1].joints, alone.motions[0].joints)
    np.testing.assert_array_equal(both.camera.camera_to_world, alone.camera.camera_to_world)
    nobody = placement([broken], [track], camera, TIMES, height_m=1.8)
    assert np.isnan(nobody.motions[0].joints).all() and np.isfinite(nobody.camera.camera_to_world).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("unknown", people.UNKNOWN.values(), ids=people.UNKNOWN)
def test_joints_that_are_never_known_are_not_needed(unknown, told):
    joints, contacts = people.walker(PATHS["away"], TIMES)
    camera = people.look(10)
    motion, track = people.observe(joints, camera, TIMES, contacts=contacts if told else None)
    placed = placement([people.without(motion, unknown)], [track], camera, TIMES, height_of(joints))
    found, lost = placed.motions[0], people.H36M.index(*unknown)
    assert np.isnan(found.joints[:, lost]).all() and np.isfinite(np.delete(found.joints, lost, axis=1)).all()
    assert placed.quality["floor"] == "feet" and up_error_deg(placed.camera, camera) < 3
    assert found.contacts is None or found.contacts.shape == contacts.shape
    # without a trunk there is no height to measure, and the lift is taken to be of 1.70 m, 3 % more than the walker
    assert root_error(placed, joints, camera).mean() < (0.25 if unknown == ("thorax",) else 0.01)


def test_quality_is_none_where_no_joint_is_seen_well():
    joints, _ = people.walker(PATHS["across"], TIMES)
    motion, track = people.observe(joints, people.look(), TIMES, score=0.2)
    assert placement([motion], [track], people.look(), TIMES).quality["reprojection_px"] == {1: None}
