"""What a run says of itself: doubts about a person, and the floor's tilt."""

import dataclasses

import numpy as np
import pytest
from filmed import Pictures, scene_of

from pipeline.measures import lowest
from pipeline.report import quality, warnings


def told(scene, placement=None):
    scene = dataclasses.replace(scene, provenance={"placement": placement or {"up": "feet"}})
    return " / ".join(warnings(dataclasses.replace(scene, quality=quality(scene))))


@pytest.fixture
def scene():
    return scene_of(Pictures(np.arange(40) / 30))


def moved(scene, offset):
    people = [dataclasses.replace(motion, joints=motion.joints + np.array(offset)) for motion in scene.people]
    return dataclasses.replace(scene, people=people)


def test_a_good_scene_has_no_doubts(scene):
    assert "below the floor" not in told(scene) and "does not fit" not in told(scene)


def test_people_below_the_floor_are_told(scene):
    assert "person 1 is up to 0.40 m below the floor" in told(
        moved(scene, [0, 0, -0.4 - lowest(scene.people[0].joints)])
    )


def test_3d_that_does_not_fit_the_picture_is_told(scene):
    assert "person 1: the 3D pose does not fit the picture" in told(moved(scene, [2.0, 0, 0]))


def test_an_unknown_tilt_is_told(scene):
    text = told(scene, {"up": "prior", "tilt_error_deg": 7.35})
    assert "people may lean by 7 degrees or more" in text


def test_a_moment_below_the_floor_is_none():
    joints = np.zeros((200, 17, 3))
    joints[7] -= 1
    assert lowest(joints) == 0 and np.isnan(lowest(np.full((3, 17, 3), np.nan)))
