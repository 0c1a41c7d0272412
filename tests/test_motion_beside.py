"""Somebody whom one camera alone saw, beside the others."""

from dataclasses import replace

import numpy as np
import people
import pytest

from motion.beside import beside
from pipeline.projection import to_camera
from pipeline.results import Motion3D, Track2D
from studio.scenes import build


def seen(scale=1.0):
    """A walking actor as a perfect lifter that takes everybody for `scale` times their size gives it."""
    truth = build("walk", seed=1).truth()
    camera, joints = truth.cameras[0][0], truth.joints[0]
    local = to_camera(camera, joints)
    frames, ones = np.arange(len(local), dtype=np.int32), np.ones(local.shape[:2], np.float32)
    there, pose = ones[:, 0] > 0, (scale * (local - local[:, :1])).astype(np.float32)
    contacts = truth.contacts[0].astype(np.float32)
    motion = Motion3D(1, "h36m-23", "root", frames, pose, ones, np.full((len(local), 3), np.nan), there, contacts)
    points = truth.keypoints[0, 0].astype(np.float32)
    scores = np.ones(points.shape[:2], np.float32)
    boxes = np.c_[points.min(1), points.max(1)].astype(np.float32)
    return motion, Track2D(1, truth.skeleton, frames, points, scores, there, boxes), camera, truth


@pytest.mark.parametrize("scale", [0.9, 1.0, 1.15])
def test_the_floor_tells_how_tall_and_how_far(scale):
    motion, track, camera, truth = seen(scale)
    found = beside(motion, track, camera, truth.times)
    assert found.frame == "world"
    away = np.linalg.norm(found.joints - truth.joints[0], axis=-1)
    assert np.median(away) < 0.12 + 0.6 * abs(scale - 1)
    assert abs(np.percentile(found.joints[..., 2].min(1), 20)) < 0.06


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unknown", people.UNKNOWN.values(), ids=people.UNKNOWN)
def test_joints_that_are_never_known_are_not_needed(unknown):
    motion, track, camera, truth = seen()
    found = beside(people.without(motion, unknown), track, camera, truth.times).joints
    lost = people.H36M.index(*unknown)
    assert np.isnan(found[:, lost]).all()
    away = np.linalg.norm(np.delete(found - truth.joints[0], lost, axis=1), axis=-1)
    assert np.median(away) < 0.15


def test_an_empty_motion_is_nowhere():
    motion, track, camera, truth = seen()
    assert beside(replace(motion, joints=np.full_like(motion.joints, np.nan)), track, camera, truth.times) is None


def test_a_motion_in_the_world_is_refused():
    motion, track, camera, truth = seen()
    with pytest.raises(ValueError, match="relative to the pelvis"):
        beside(replace(motion, frame="world"), track, camera, truth.times)
