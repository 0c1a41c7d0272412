"""What a run says of itself: doubts about a person, and the floor's tilt."""

import dataclasses

import numpy as np
import pytest
from filmed import Pictures, scene_of

from motion.stance import CONTACT_JOINTS
from pipeline.measures import lowest
from pipeline.report import quality, warnings
from pipeline.skeletons import skeleton


def told(scene, placement=None):
    scene = dataclasses.replace(scene, provenance={"placement": placement or {"up": "feet"}})
    return " / ".join(warnings(dataclasses.replace(scene, quality=quality(scene))))


@pytest.fixture
def scene():
    return scene_of(Pictures(np.arange(40) / 30))


def moved(scene, offset, of_second=None):
    offsets = [offset, offset if of_second is None else of_second]
    people = [
        dataclasses.replace(motion, joints=motion.joints + np.array(by))
        for motion, by in zip(scene.people, offsets, strict=False)
    ]
    return dataclasses.replace(scene, people=people)


def test_a_good_scene_has_no_doubts(scene):
    assert "below the floor" not in told(scene) and "does not fit" not in told(scene)


def test_people_below_the_floor_are_told(scene):
    assert "person 1 is up to 0.40 m below the floor" in told(moved(scene, [0, 0, -0.4 - lowest(scene.people[0])]))


def test_two_floor_levels_are_told_once(scene):
    """A man on a treadmill hovers above the floor on which the other one stands; who is deep below is told as that."""
    level = moved(scene, [0, 0, -lowest(scene.people[0])])
    two = dataclasses.replace(
        level,
        people=[level.people[0], dataclasses.replace(level.people[0], id=2)],
        tracks=[level.tracks[0], dataclasses.replace(level.tracks[0], id=2)],
    )
    assert "higher" not in told(two) and "above the floor" not in told(two)
    higher = told(moved(two, [0, 0, 0], [0, 0, 0.1]))
    assert "person 2 stays 0.10 m higher than person 1: more than one level" in higher
    assert "above the floor" not in higher and "stays" not in told(moved(two, [0, 0, 0.05], [0, 0, 0.02]))
    assert "person 1 stays 0.10 m above the floor" in told(moved(level, [0, 0, 0.1]))
    assert "above the floor" not in told(moved(level, [0, 0, 0.1]), {"up": "feet", "rig_floor_m": 0.1})
    deep = told(moved(two, [0, 0, 0], [0, 0, -0.4]))
    assert "person 2 is up to 0.40 m below the floor" in deep and "higher" not in deep


def test_levels_that_no_stature_explains_are_told(scene):
    assert "people stand on different levels" in told(scene, {"up": "feet", "one_floor": False})
    assert "levels" not in told(scene, {"up": "feet", "one_floor": True})


def test_3d_that_does_not_fit_the_picture_is_told(scene):
    assert "person 1: the 3D pose does not fit the picture" in told(moved(scene, [2.0, 0, 0]))


def test_an_unknown_tilt_is_told(scene):
    text = told(scene, {"up": "prior", "tilt_error_deg": 7.35})
    assert "people may lean by 7 degrees or more" in text


def test_a_moment_below_the_floor_is_none(scene):
    motion = scene.people[0]
    joints = np.zeros((200, motion.joints.shape[1], 3))
    joints[7] -= 1
    assert lowest(dataclasses.replace(motion, joints=joints)) == 0
    assert np.isnan(lowest(dataclasses.replace(motion, joints=np.full(joints.shape, np.nan))))


def test_who_stands_on_ankles_stands_on_the_floor(scene):
    level = moved(scene, [0, 0, -lowest(scene.people[0])])
    joints = level.people[0].joints.copy()
    joints[:, skeleton("h36m-23").index(*CONTACT_JOINTS)] = np.nan
    bare = dataclasses.replace(level, people=[dataclasses.replace(level.people[0], joints=joints)])
    assert abs(lowest(bare.people[0])) < 0.03
    assert "stays" not in told(bare)


@pytest.mark.parametrize("zero", [-0.7, 0.5])
def test_heights_are_measured_from_the_floor_not_from_a_rigs_zero(scene, zero):
    placement = {"up": "feet", "rig_floor_m": zero}
    level = moved(scene, [0, 0, zero - lowest(scene.people[0])])
    assert "floor" not in told(level, placement)
    assert "person 1 is up to 0.40 m below the floor" in told(moved(level, [0, 0, -0.4]), placement)
    assert "person 1 stays 0.10 m above the floor" in told(moved(level, [0, 0, 0.1]), placement)


@pytest.mark.parametrize(("gone", "text"), [
    (slice(0, 0), ""),
    (slice(36, 40), ""),
    (slice(30, 40), "nobody is followed in 25% of the frames, the longest time from 1.0 s to 1.3 s"),
    (slice(0, 12), "nobody is followed in 30% of the frames, the longest time from 0.0 s to 0.4 s"),
])  # fmt: skip
def test_a_time_without_anybody_is_told(scene, gone, text):
    def without(person):
        rows = {field.name: getattr(person, field.name) for field in dataclasses.fields(person)}
        rows = {name: value for name, value in rows.items() if isinstance(value, np.ndarray) and len(value) == 40}
        return dataclasses.replace(person, **{name: np.delete(value, gone, axis=0) for name, value in rows.items()})

    one = {"people": [without(scene.people[0])], "tracks": [without(scene.tracks[0])]}
    found = told(dataclasses.replace(scene, **one))
    assert (text in found) if text else ("nobody" not in found)
