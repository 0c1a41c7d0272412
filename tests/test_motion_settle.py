"""Up and floor of people whom several cameras measured."""

from dataclasses import replace

import numpy as np
import people
import pytest

from motion.settle import settle
from motion.stance import CONTACT_JOINTS, feet_of
from pipeline.projection import to_camera
from pipeline.results import Motion3D
from pipeline.skeletons import skeleton
from studio.scenes import build


def measured(name, seed=1):
    """The actors of a scene in the first camera's axes, exactly, that camera, and the times."""
    truth = build(name, seed=seed).truth()
    camera, motions = truth.cameras[0][0], []
    for number, joints in zip(truth.ids, truth.joints, strict=True):
        local = to_camera(camera, joints).astype(np.float32)
        frames, ones = np.arange(len(local), dtype=np.int32), np.ones(local.shape[:2], np.float32)
        contacts = truth.contacts[list(truth.ids).index(number)].astype(np.float32)
        motions.append(
            Motion3D(int(number), "h36m-23", "camera", frames, local, ones, local[:, 0], ones[:, 0] > 0, contacts)
        )
    return motions, camera, truth.times


@pytest.mark.parametrize("name", ["walk", "multiview4"])
def test_the_floor_is_where_people_stand(name):
    motions, camera, times = measured(name)
    pose, about = settle(motions, times)
    assert about["floor"] == "feet"
    tilt = np.arccos(pose[2, :3] @ camera.camera_to_world[2, :3])
    assert np.degrees(tilt) < 2.5
    assert pose[2, 3] == pytest.approx(camera.camera_to_world[2, 3], abs=0.05)


def test_without_contacts_slow_low_feet_are_taken():
    motions, camera, times = measured("walk")
    pose, _ = settle([replace(motion, contacts=None) for motion in motions], times)
    assert pose[2, 3] == pytest.approx(camera.camera_to_world[2, 3], abs=0.08)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("contacts", [True, False])
@pytest.mark.parametrize("unknown", [*people.UNKNOWN.values(), ("pelvis",)], ids=[*people.UNKNOWN, "a pelvis"])
def test_joints_that_are_never_known_are_not_needed(unknown, contacts):
    motions, camera, times = measured("walk")
    if not contacts:
        motions = [replace(motion, contacts=None) for motion in motions]
    pose, about = settle([people.without(motion, unknown) for motion in motions], times)
    assert about["floor"] == "feet" and about["stances"] > 3
    assert np.degrees(np.arccos(pose[2, :3] @ camera.camera_to_world[2, :3])) < 2.5
    assert pose[2, 3] == pytest.approx(camera.camera_to_world[2, 3], abs=0.08)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unknown", ["feet", "everything"])
def test_who_has_no_feet_tells_no_floor(unknown):
    motions, camera, times = measured("walk")
    feet = [name for name in people.H36M.joints if name.endswith(("ankle", "heel", "toe"))]
    lost = feet if unknown == "feet" else people.H36M.joints
    pose, about = settle([people.without(motion, lost) for motion in motions], times)
    assert about["floor"] == "guess" and about["stances"] == 0 and about["up"] == "prior"
    if unknown == "feet":  # which way is up the trunk tells still
        assert np.degrees(np.arccos(pose[2, :3] @ camera.camera_to_world[2, :3])) < 10


@pytest.mark.filterwarnings("error")
def test_who_was_never_seen_to_stand_is_above_the_lowest_feet():
    motions, camera, times = measured("walk")
    runs = replace(people.without(motions[0], people.UNKNOWN["a leg"]), contacts=np.zeros((len(times), 4), np.float32))
    pose, about = settle([runs], times)
    assert about["floor"] == "lowest"
    assert pose[2, 3] == pytest.approx(camera.camera_to_world[2, 3], abs=0.15)


def test_nobody_leaves_a_level_camera():
    pose, about = settle([], np.arange(3) / 30)
    assert about == {"up": "prior", "tilt_error_deg": about["tilt_error_deg"], "floor": "guess", "stances": 0}
    np.testing.assert_allclose(pose[:3, 2], [0, 1, 0], atol=1e-6)


def test_motions_of_another_frame_are_refused():
    motions, _, times = measured("walk")
    with pytest.raises(ValueError, match="camera's frame"):
        settle([replace(motions[0], frame="world")], times)


def test_toes_of_one_frame_do_not_replace_the_ankles():
    body = skeleton("h36m-23")
    joints = np.zeros((60, 23, 3))
    joints[1:, body.index(*CONTACT_JOINTS)] = np.nan
    assert feet_of(body, joints).joints == body.index("left_ankle", "right_ankle")
    assert feet_of(body, np.zeros((60, 23, 3))).joints == body.index(*CONTACT_JOINTS)
