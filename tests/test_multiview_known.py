"""From keypoints of known cameras to whole motion: smooth, constant bones, every joint of every frame."""

from dataclasses import replace

import numpy as np
import pytest
from several_views import SKELETON, drifting, ring, seen, walker

from multiview.complete import NothingSeen, complete, converted
from multiview.known import reconstruct
from multiview.refine import refine
from multiview.triangulate import triangulate
from pipeline.projection import project, to_camera
from pipeline.skeletons import blazepose_to_h36m, skeleton

BLAZEPOSE, H36M = skeleton(SKELETON), skeleton("h36m-23")
TIMES = np.arange(45) / 30
POINTS = walker(45)
TRUE = blazepose_to_h36m(POINTS)


def lifted(cameras, truth=TRUE, noise=0.03, scale=0.9):
    """(V,T,23,3): what a lifter says, of another size and worse along the line of sight."""
    random = np.random.default_rng(2)
    local = np.stack([to_camera(c, truth) for c in cameras])
    return scale * (local - local[:, :, :1] + noise * random.standard_normal(local.shape) * [1, 1, 2.5])


def rebuilt(cameras, keypoints, scores, poses=None):
    return reconstruct(cameras, keypoints, scores, TIMES, BLAZEPOSE, H36M, blazepose_to_h36m, poses)


def test_what_is_exact_stays_so():
    cameras = [ring(4)[0], drifting(ring(4)[1], 45), *ring(4)[2:]]
    result = rebuilt(cameras, *seen(cameras, POINTS))
    assert not result.motion.completed.any() and not result.exchanged.any()
    assert np.linalg.norm(result.motion.points - TRUE, axis=-1).max() < 0.012
    assert np.linalg.norm(result.found.points - POINTS, axis=-1).max() < 1e-6


def test_noise_gets_less_over_time():
    cameras = ring(4)
    result = rebuilt(cameras, *seen(cameras, POINTS, 6.0))
    plain = converted(result.found, blazepose_to_h36m).points
    before, after = (np.linalg.norm(p - TRUE, axis=-1).mean() for p in (plain, result.motion.points))
    assert after < 0.85 * before


@pytest.mark.parametrize("moving", [False, True])
def test_joints_that_one_view_or_none_sees_come_from_the_lifted_poses(moving):
    cameras = [drifting(c, 45) if moving else c for c in ring(3)]
    keypoints, scores = seen(cameras, POINTS, 1.0)
    arm = BLAZEPOSE.index("left_elbow", "left_wrist", "left_pinky", "left_index", "left_thumb")
    for view in (0, 1):
        scores[view][:, arm] = 0
    poses = lifted(cameras)
    result = rebuilt(cameras, keypoints, scores, poses)
    gone = H36M.index("left_elbow", "left_wrist", "left_hand")
    assert result.motion.completed[:, gone].all() and result.motion.completed.sum() == 45 * len(gone)
    assert np.isfinite(result.motion.points).all() and (result.motion.scores > 0).all()
    assert (result.motion.scores[:, gone] < 0.31).all()
    error = np.linalg.norm(result.motion.points - TRUE, axis=-1)
    assert error[:, gone].mean() < 0.05 and np.delete(error, gone, axis=1).mean() < 0.01


@pytest.mark.parametrize("unknown", [slice(17, 23), slice(0, 0)])
def test_a_lifter_without_hands_and_feet_carries_frames_that_one_view_sees(unknown):
    cameras = ring(3)
    keypoints, scores = seen(cameras, POINTS, 1.0)
    scores[1:, 35:] = 0
    poses = lifted(cameras)
    poses[:, :, unknown] = np.nan
    motion = rebuilt(cameras, keypoints, scores, poses).motion
    assert np.isfinite(motion.points[35:]).all() and motion.completed[35:].all() and (motion.scores[35:] > 0).all()
    local = [p - p[:, :1] for p in (motion.points[35:, :17], TRUE[35:, :17])]
    assert np.linalg.norm(local[0] - local[1], axis=-1).mean() < 0.08


LEG = ("right_hip", "right_knee", "right_ankle", "right_heel", "right_toe")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unknown", [("right_hand",), ("left_hand", "right_hand"), LEG, ("pelvis",)])
def test_joints_of_which_nobody_tells_are_unknown_and_pull_nothing(unknown):
    cameras = ring(3)
    found = converted(triangulate(cameras, *seen(cameras, POINTS, 1.0)), blazepose_to_h36m)
    points, lost = found.points.copy(), H36M.index(*unknown)
    points[:, lost] = np.nan
    whole, part = (complete(f, TIMES, H36M) for f in (found, replace(found, points=points)))
    assert np.isnan(part.points[:, lost]).all() and not part.scores[:, lost].any() and not part.completed.any()
    rest = np.setdiff1d(np.arange(23), lost)
    assert (part.scores[:, rest] > 0).all()
    assert np.linalg.norm((part.points - whole.points)[:, rest], axis=-1).max() < 0.01


def test_a_lift_tells_of_a_joint_only_where_it_hangs_on_something_known():
    cameras = ring(3)
    found = converted(triangulate(cameras, *seen(cameras, POINTS)), blazepose_to_h36m)
    points, poses = found.points.copy(), lifted(cameras)
    points[:, H36M.index("left_elbow", "left_wrist", "left_hand")] = np.nan
    scores = np.ones(poses.shape[:3])
    scores[..., H36M.index("left_elbow")] = 0  # nobody tells of the elbow, so the hand may be anywhere
    part = complete(replace(found, points=points), TIMES, H36M, cameras, poses, scores)
    assert np.isnan(part.points[:, H36M.index("left_elbow", "left_wrist", "left_hand")]).all()
    scores[..., H36M.index("left_elbow")] = 1
    whole = complete(replace(found, points=points), TIMES, H36M, cameras, poses, scores)
    assert np.isfinite(whole.points).all()


@pytest.mark.parametrize("moving", [False, True])
def test_who_walks_on_before_one_view_alone_is_followed(moving):
    cameras = [drifting(c, 45) if moving else c for c in ring(3)]
    keypoints, scores = seen(cameras, POINTS, 1.0)
    scores[1:, 15:] = 0
    motion = rebuilt(cameras, keypoints, scores, lifted(cameras)).motion
    assert motion.completed[15:].all()
    off = np.linalg.norm(motion.points - TRUE, axis=-1)[15:]
    gone = np.linalg.norm(TRUE[44, 0] - TRUE[14, 0])
    assert gone > 0.8 and off.mean() < 0.12 and off[:, 0].max() < 0.2
    local = [p - p[:, :1] for p in (motion.points[15:], TRUE[15:])]
    assert np.linalg.norm(local[0] - local[1], axis=-1).mean() < 0.07


def test_who_leaves_the_picture_of_the_last_view_keeps_what_the_lifter_says_of_the_half_that_is_gone():
    cameras = ring(3)
    keypoints, scores = seen(cameras, POINTS, 1.0)
    poses = lifted(cameras)
    sure = np.full(poses.shape[:-1], 0.9)
    scores[1:, 20:], poses[1:, 20:] = 0, np.nan
    for marks, body in ((scores, BLAZEPOSE), (sure, H36M)):
        left = [i for i, name in enumerate(body.joints) if name.startswith("left")]
        marks[0, 22:, left] = 0
    sure[0, 22:, H36M.index("pelvis")] = 0
    motion = reconstruct(cameras, keypoints, scores, TIMES, BLAZEPOSE, H36M, blazepose_to_h36m, poses, sure).motion
    assert np.linalg.norm(motion.points - TRUE, axis=-1)[22:].mean() < 0.2


def test_feet_that_nobody_ever_saw_do_not_pull_where_one_view_sees_the_rest():
    cameras = ring(3)
    keypoints, scores = seen(cameras, POINTS, 1.0)
    poses = lifted(cameras)
    sure = np.full(poses.shape[:-1], 0.9)
    for marks, body in ((scores, BLAZEPOSE), (sure, H36M)):
        marks[..., [i for i, name in enumerate(body.joints) if name.endswith(("heel", "toe"))]] = 0
    scores[1:, 42:] = 0
    motion = reconstruct(cameras, keypoints, scores, TIMES, BLAZEPOSE, H36M, blazepose_to_h36m, poses, sure).motion
    assert np.linalg.norm(motion.points - TRUE, axis=-1)[:42, :17].mean() < 0.012


def test_nobody_is_where_nobody_is_seen_and_gaps_within_are_filled():
    cameras = ring(3)
    keypoints, scores = seen(cameras, POINTS, 1.0)
    scores[:, :5] = scores[:, 40:] = scores[:, 20:22] = 0
    scores[:, 30:33, BLAZEPOSE.index("left_wrist")[0]] = 0
    result = rebuilt(cameras, keypoints, scores).motion
    there = (scores > 0).any(axis=(0, 2))
    assert np.isnan(result.points[~there]).all() and (result.scores[~there] == 0).all()
    assert np.isfinite(result.points[there]).all()
    assert result.completed[30:33, H36M.index("left_wrist")[0]].all()


def test_two_views_against_two_are_settled_by_the_frames_around():
    cameras = ring(4)
    keypoints, scores = seen(cameras, POINTS, 1.0)
    wrist = BLAZEPOSE.index("right_wrist")[0]
    for view in (1, 2):
        keypoints[view, 15:25, wrist] = project(cameras[view], POINTS[15:25, wrist] + [0.2, 0.1, 0.35])[0]
    alone = np.linalg.norm(triangulate(cameras, keypoints, scores).points - POINTS, axis=-1)[15:25, wrist]
    settled = reconstruct(cameras, keypoints, scores, TIMES, BLAZEPOSE).found
    assert (alone > 0.2).any()
    assert np.linalg.norm(settled.points - POINTS, axis=-1)[15:25, wrist].max() < 0.02
    assert settled.used[0, 15:25, wrist].all() and not settled.used[1, 15:25, wrist].any()


def test_bones_are_nearly_constant_and_a_jump_of_one_frame_does_not_pull():
    random = np.random.default_rng(3)
    covariance = np.broadcast_to(0.01**2 * np.eye(3), (45, 23, 3, 3))
    noisy = TRUE + 0.02 * random.standard_normal(TRUE.shape)
    noisy[20, 13] += 0.5
    parents, children = np.array(H36M.bones).T
    lengths = np.median(np.linalg.norm(TRUE[:, children] - TRUE[:, parents], axis=-1), axis=0)
    places = refine(noisy, covariance, TIMES, H36M.bones, lengths)
    spread = [np.linalg.norm(p[:, children] - p[:, parents], axis=-1).std(axis=0).mean() for p in (noisy, places)]
    assert spread[1] < 0.4 * spread[0]
    assert np.linalg.norm(places[20, 13] - TRUE[20, 13]) < 0.05


def test_conversion_keeps_what_is_unknown_unknown_and_takes_the_least_sure():
    cameras = ring(3)
    keypoints, scores = seen(cameras, POINTS)
    hips = BLAZEPOSE.index("left_hip", "right_hip")
    scores[:, 3, hips[0]] = 0
    scores[0, 4, hips[1]] = 0
    found = converted(triangulate(cameras, keypoints, scores), blazepose_to_h36m)
    pelvis = H36M.index("pelvis")[0]
    assert np.isnan(found.points[3, pelvis]).all() and found.scores[3, pelvis] == 0 and found.views[3, pelvis] == 0
    assert found.views[4, pelvis] == 2 and not found.used[0, 4, pelvis] and found.used[1, 4, pelvis]
    np.testing.assert_allclose(found.points[5], TRUE[5], atol=1e-8)
    assert np.isfinite(found.covariance[5]).all()


def test_nothing_triangulated_is_said():
    cameras = ring(2)
    keypoints, scores = seen(cameras, POINTS)
    scores[1] = 0
    with pytest.raises(NothingSeen, match="triangulated"):
        complete(triangulate(cameras, keypoints, scores), TIMES, BLAZEPOSE)
