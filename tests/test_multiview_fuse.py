"""Lifted motions of several unknown cameras become one."""

import numpy as np
import pytest
from filmed_people import circling, lifted, ring
from scipy.spatial.transform import Rotation

from multiview.fuse import fuse
from multiview.procrustes import align, angle_between

ANGLES = (0, 80, 170, 260)


def scene(angles=ANGLES, seed=0, **errors):
    """Poses (1,V,T,K,3), scores, times, and the truth (T,K,3) in the axes of view 0, relative to the pelvis."""
    times, joints = circling()
    rng, cameras = np.random.default_rng(seed), ring(angles)
    poses = np.stack([lifted(joints, camera, times, rng, **errors) for camera in cameras])[None]
    truth = (joints - joints[:, :1]) @ cameras[0].world_to_camera[:3, :3].T
    return poses, np.full(poses.shape[:-1], 0.9), times, truth, cameras


def miss(ours, truth):
    """m, the mean over joints after one rotation for the whole clip."""
    known = np.isfinite(ours).all(-1)
    found = align(ours[known], truth[known])
    return np.linalg.norm(found(ours[known]) - truth[known], axis=-1).mean()


def test_fused_is_better_than_every_view_and_knows_the_turns():
    poses, scores, times, truth, cameras = scene()
    fused = fuse(poses, scores, times)
    single = [miss(pose, truth) for pose in poses[0]]
    assert miss(fused.joints[0], truth) < 0.5 * min(single)
    turns = np.stack([c.world_to_camera[:3, :3] for c in cameras])
    wanted = turns @ turns[0].T
    assert np.degrees(angle_between(fused.rotations, wanted)).max() < 3
    np.testing.assert_allclose(np.linalg.det(fused.rotations), 1)
    np.testing.assert_allclose(fused.rotations[0], np.eye(3), atol=1e-12)


def test_information_beats_the_plain_mean():
    poses, scores, times, truth, _ = scene(seed=1)
    fused = fuse(poses, scores, times)
    plain = np.einsum("vji,vtkj->vtki", fused.rotations, poses[0]).mean(0)
    assert miss(fused.joints[0], truth) < 0.85 * miss(plain, truth)


def test_a_view_that_takes_left_for_right_is_left_out():
    poses, scores, times, truth, _ = scene(seed=2)
    clean = miss(fuse(poses, scores, times).joints[0], truth)
    wrong = poses.copy()
    facing = Rotation.from_euler("y", 180, degrees=True).as_matrix()
    wrong[0, 1, 10:30] = wrong[0, 1, 10:30] @ facing.T
    wrong[0, 3, :, 5] += (0.5, 0.3, -0.6)
    fused = fuse(wrong, scores, times)
    assert miss(fused.joints[0], truth) < 1.25 * clean
    assert fused.belief[0, 1, 12:28, 1:].mean() < 0.05 < 0.5 < fused.belief[0, 0, 12:28, 1:].mean()


def test_moving_cameras_are_followed():
    poses, scores, times, truth, _ = scene(angles=(0, 90), seed=3)
    sway = Rotation.from_rotvec(np.outer(0.4 * np.sin(2 * times), [0, 1, 0.3])).as_matrix()
    poses[0, 1] = np.einsum("tij,tkj->tki", sway, poses[0, 1])
    still = fuse(poses, scores, times)
    moving = fuse(poses, scores, times, np.array([False, True]))
    assert moving.rotations.shape == (2, len(times), 3, 3)
    assert miss(moving.joints[0], truth) < 0.8 * miss(still.joints[0], truth)


def test_what_some_views_do_not_see_comes_from_the_others():
    poses, scores, times, truth, _ = scene(seed=4)
    poses[0, 0, :20] = poses[0, 2, 30:] = np.nan
    poses[0, :, 25, 6] = np.nan
    fused = fuse(poses, scores, times)
    known = np.isfinite(fused.joints[0]).all(-1)
    assert known.sum() == known.size - 1 and not known[25, 6]
    assert np.isnan(fused.spread[0, 25, 6])
    assert miss(fused.joints[0], truth) < 0.03
    assert np.median(fused.spread[0, :20, 1:]) > np.nanmedian(fused.spread[0, 20:30, 1:])


@pytest.mark.parametrize(("across", "along"), [(0.032, 0.095), (0.012, 0.036), (0.03, 0.05)])
def test_the_spread_says_how_far_off_joints_are(across, along):
    poses, scores, times, truth, _ = scene(seed=5, across=across, along=along)
    fused = fuse(poses, np.ones_like(scores), times)
    found = align(fused.joints[0].reshape(-1, 3), truth.reshape(-1, 3))
    off = np.linalg.norm(found(fused.joints[0].reshape(-1, 3)) - truth.reshape(-1, 3), axis=-1).reshape(truth.shape[:2])
    ratio = np.sqrt((off[:, 1:] ** 2).mean() / (fused.spread[0, :, 1:] ** 2).mean())
    assert 0.7 < ratio < 1.4


def test_views_without_a_common_moment_are_named():
    poses, scores, times, *_ = scene(angles=(0, 90, 180))
    poses[0, 2] = np.nan
    with pytest.raises(ValueError, match="view 3:"):
        fuse(poses, scores, times)
