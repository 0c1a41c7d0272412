"""Cameras from the people whom they see."""

from dataclasses import replace

import numpy as np
import pytest
from filmed_people import along, circling, corridor, guessed, ring, seen_by, triangulated
from people import H36M
from scipy.interpolate import CubicSpline
from scipy.sparse import csc_array
from scipy.spatial.transform import Rotation

from multiview import people_terms as terms
from multiview.layout import pelvis_paths
from multiview.people import Apart
from multiview.people_bundle import factored
from multiview.people_start import pose_numbers, unknowns
from multiview.procrustes import align, angle_between
from multiview.self_calibrate import FOCAL_SIGMA, GIVEN_SIGMA, NOTED_SIGMA, self_calibrate
from pipeline.skeletons import skeleton
from studio.cameras import look_at

LIMBS = [
    i
    for i, n in enumerate(H36M.joints)
    if n.partition("_")[2] in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
]


def rig_errors(found, true):
    """Degrees between the cameras' turns relative to the first, and degrees between the ways from it to the others."""
    ours, theirs = (
        [np.linalg.inv(c.camera_to_world) @ rig[0].camera_to_world for c in rig[1:]] for rig in (found, true)
    )
    turns = [np.degrees(angle_between(a[:3, :3], b[:3, :3])) for a, b in zip(ours, theirs, strict=True)]
    ways = [(-m[:3, :3].T @ m[:3, 3], -n[:3, :3].T @ n[:3, 3]) for m, n in zip(ours, theirs, strict=True)]
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in ways]
    return np.array(turns), np.degrees(np.arccos(np.clip(cosines, -1, 1)))


def p_mpjpe(ours, truth):
    """m, aligned frame by frame."""
    found = align(ours[:, LIMBS], truth[:, LIMBS], scale=True)
    return np.linalg.norm(found(ours[:, LIMBS]) - truth[:, LIMBS], axis=-1).mean()


def test_two_cameras_and_a_walker():
    times, joints = circling(seconds=6.0)
    cameras = ring((0, 75), fov=52)
    person = seen_by(joints, cameras, times)
    result = self_calibrate([person], guessed(2), times)
    turns, ways = rig_errors(result.cameras, cameras)
    assert turns.max() < 1 and ways.max() < 2
    focal = np.array([c.matrix[0, 0] for c in result.cameras])
    off = np.abs(np.log(focal / cameras[0].matrix[0, 0]))
    assert off.max() < 0.04 and (off < 4 * result.uncertainty.focal).all()
    assert p_mpjpe(triangulated(result, person, times), joints) < 0.6 * p_mpjpe(result.fused.joints[0], joints)
    assert result.warnings == ()
    assert ((result.reprojection_px > 0.5) & (result.reprojection_px < 2.4)).all()  # noise of 2 px: median 2.4


def test_clocks_that_are_fractions_of_a_frame_apart():
    fine, joints = circling(seconds=6.0, fps=60.0)
    times = 1.0 + np.arange(60) / 15
    shifts = np.array([0.0, 0.4, -0.3]) / 15
    person = seen_by(CubicSpline(fine, joints), ring((0, 100, 200)), times, noise_px=1.0, shifts=shifts)
    result = self_calibrate([person], guessed(3), times)
    np.testing.assert_allclose(result.offsets, -shifts, atol=0.003)
    np.testing.assert_allclose([c.offset_s for c in result.cameras], shifts, atol=0.003)


def test_a_focal_length_is_believed_as_its_source_deserves():
    times, joints = circling(seconds=1.5)
    cameras = ring((0, 75), fov=52)
    person, rig = seen_by(joints, cameras, times), guessed(2)
    true = cameras[0].matrix[0, 0]
    rig = [replace(rig[0], matrix=cameras[0].matrix), replace(rig[1], matrix=cameras[1].matrix * [[1.1], [1.1], [1]])]
    found = {}
    for sigma in (GIVEN_SIGMA, NOTED_SIGMA, FOCAL_SIGMA):
        result = self_calibrate([person], rig, times, focal_sigma=np.array([GIVEN_SIGMA, sigma]))
        found[sigma] = np.array([c.matrix[0, 0] for c in result.cameras]) / true
        assert abs(found[sigma][0] - 1) < 0.03
    far = [abs(found[sigma][1] / 1.1 - 1) for sigma in (GIVEN_SIGMA, NOTED_SIGMA, FOCAL_SIGMA)]
    assert far[0] < 0.03 and far[0] < far[1] < far[2] and abs(found[FOCAL_SIGMA][1] - 1) < 0.06
    for wrong in (np.array([0.1]), np.array([0.1, 0.0])):
        with pytest.raises(ValueError, match="focal_sigma"):
            self_calibrate([person], rig, times, focal_sigma=wrong)


def test_sides_that_one_view_exchanges_are_put_right():
    times, joints = circling(seconds=3.0)
    cameras = ring((0, 85, 170))
    person = seen_by(joints, cameras, times, noise_px=1.0)
    clean = p_mpjpe(triangulated(self_calibrate([person], guessed(3), times), person, times), joints)
    keypoints = person.keypoints.copy()
    keypoints[1, 10:25] = keypoints[1, 10:25][:, list(skeleton("blazepose-33").mirror)]
    wrong = replace(person, keypoints=keypoints)
    result = self_calibrate([wrong], guessed(3), times)
    assert p_mpjpe(triangulated(result, wrong, times), joints) < 1.2 * clean
    assert result.swapped[1] > 0.2 and result.swapped[[0, 2]].max() < 0.1


def test_two_people_one_of_whom_a_view_never_sees():
    times, joints = circling(seconds=3.0, radius=0.7)
    other = circling(seconds=3.0, start=3.0, radius=1.2)[1]
    cameras = ring((0, 80, 190))
    people = [seen_by(each, cameras, times, seed=k) for k, each in enumerate((joints, other))]
    blind = {name: getattr(people[1], name).copy() for name in ("keypoints", "scores", "poses", "pose_scores")}
    blind["scores"][2] = blind["pose_scores"][2] = 0
    blind["keypoints"][2] = blind["poses"][2] = np.nan
    people[1] = replace(people[1], **blind)
    result = self_calibrate(people, guessed(3), times)
    assert rig_errors(result.cameras, cameras)[0].max() < 1
    first, second = (triangulated(result, person, times) for person in people)
    apart = second[:, 0] - first[:, 0]
    true = other[:, 0] - joints[:, 0]
    np.testing.assert_allclose(np.linalg.norm(apart, axis=-1) / np.linalg.norm(true, axis=-1), 1, atol=0.12)


def test_a_camera_that_moves():
    times, joints = circling(seconds=2.5)
    still, first = ring((0, 90))
    poses = []
    for t in times:
        angle = np.pi / 2 + 0.15 * np.sin(t)
        eye = (4.3 * np.cos(angle), 4.3 * np.sin(angle), 1.6)
        poses.append(look_at(eye, (0.2 * np.sin(t), 0, 0.95), first.size, 60).camera_to_world)
    path = replace(first, camera_to_world=np.array(poses))
    frozen = [replace(first, camera_to_world=pose) for pose in poses]
    seen = [seen_by(joints[k : k + 1], [still, camera], times[k : k + 1], seed=k) for k, camera in enumerate(frozen)]
    merged = {
        n: np.concatenate([getattr(p, n) for p in seen], axis=1)
        for n in ("keypoints", "scores", "poses", "pose_scores")
    }
    person = replace(seen[0], **merged)
    result = self_calibrate([person], guessed(2), times, np.array([False, True]))
    assert result.cameras[1].camera_to_world.shape == (len(times), 4, 4)
    turns = np.swapaxes(path.camera_to_world[:, :3, :3], 1, 2) @ still.camera_to_world[:3, :3]
    found = np.swapaxes(result.cameras[1].camera_to_world[:, :3, :3], 1, 2) @ result.cameras[0].camera_to_world[:3, :3]
    assert np.degrees(angle_between(turns, found)).mean() < 2
    assert p_mpjpe(triangulated(result, person, times), joints) < 0.025


def test_cameras_along_a_corridor_each_share_people_with_their_neighbours_only():
    times, joints = along(seconds=9.0)
    cameras = corridor()
    person = seen_by(joints, cameras, times, within=True)
    shared = (person.seen[:, None] & person.seen).sum(-1)
    assert shared[0, 1] and shared[1, 2] and shared[2, 3] and not (shared[0, 2:].any() or shared[1, 3])
    result = self_calibrate([person], guessed(4), times)
    turns, ways = rig_errors(result.cameras, cameras)
    assert turns.max() < 3 and ways.max() < 2
    ours, both = triangulated(result, person, times), person.seen.sum(0) > 1
    wide = [*cameras, look_at((0, -8, 2.0), (0, 0, 0.9), cameras[0].size, 80)]
    whole = seen_by(joints, wide, times, within=True)
    common = triangulated(self_calibrate([whole], guessed(5), times), whole, times)
    assert p_mpjpe(ours[both], joints[both]) < 1.25 * p_mpjpe(common[both], joints[both])
    there = person.seen.any(0)
    assert p_mpjpe(ours[there], joints[there]) < 0.03


def test_views_that_nobody_joins_to_the_others_are_named():
    times, joints = along(seconds=9.0)
    cameras = corridor()
    person = seen_by(joints, cameras, times, within=True)
    poses = person.poses.copy()
    poses[1, person.seen[2]] = np.nan
    with pytest.raises(ValueError, match="views 3, 4: nobody seen in common"):
        self_calibrate([replace(person, poses=poses)], guessed(4), times)


def test_poor_views_are_told():
    times, joints = circling(seconds=2.0)
    standing = np.repeat(joints[:1] - joints[0, 0] * (1, 1, 0), len(times), axis=0)
    close = [look_at((4.5, y, 1.4), (0, 0, 0.95), (1280, 720), 60) for y in (-0.15, 0.15)]
    told = " ".join(self_calibrate([seen_by(standing, close, times)], guessed(2), times).warnings)
    assert "nearly the same side" in told and "stay on one spot" in told
    way = np.linspace(-1.0, 1.0, len(times))[:, None] * (1, 0)
    passing = standing + np.concatenate([way, np.zeros((len(times), 1))], 1)[:, None]
    named = [replace(camera, name=name) for camera, name in zip(guessed(2), ("left", "right"), strict=True)]
    told = self_calibrate([seen_by(passing, close, times)], named, times).warnings
    assert "one straight line" in " ".join(told)
    assert any(text.startswith("places of right are known to") for text in told)


def test_what_cannot_be_done_is_refused():
    times, joints = circling(seconds=1.0)
    person = seen_by(joints, ring((0, 90)), times)
    with pytest.raises(ValueError, match="at least two views"):
        self_calibrate([], guessed(2), times)
    with pytest.raises(ValueError, match="several skeletons"):
        self_calibrate([person, replace(person, skeleton="coco-17")], guessed(2), times)
    poses = person.poses.copy()
    poses[0, :8], poses[1, 8:] = np.nan, np.nan
    with pytest.raises(Apart, match="in common") as refused:
        self_calibrate([replace(person, poses=poses)], guessed(2), times)
    assert refused.value.views in ((0,), (1,))  # of two, each lacks the other


def test_pelvis_paths_are_exact_without_noise():
    rng = np.random.default_rng(1)
    pose, place = rng.normal(0, 0.4, (5, 12, 3)), rng.uniform((-1, -1, 3), (1, 1, 6), (5, 3))
    points = pose + place[:, None]
    np.testing.assert_allclose(
        pelvis_paths(points[..., :2] / points[..., 2:], np.ones((5, 12)), pose), place, atol=1e-6
    )
    assert np.isnan(pelvis_paths(points[..., :2] / points[..., 2:], np.zeros((5, 12)), pose)).all()


def state(rng, people=2, moments=4, joints=5):
    points = rng.normal(0, 0.5, (people, moments, joints, 3)) + np.array([0, 0, 5.0])
    turns, centres = Rotation.from_rotvec(rng.normal(0, 0.2, (6, 3))).as_matrix(), rng.normal(0, 0.3, (6, 3))
    focal, offsets, bones = rng.normal(0, 0.1, 3), rng.normal(0, 0.01, 3), rng.normal(-1, 0.1, (people, 2))
    return terms.State(points, turns, centres, focal, offsets, bones)


@pytest.mark.parametrize("moving", [(False, True, False), (True, False, False)])
def test_the_first_views_clock_and_the_references_pose_are_no_unknowns(moving):
    moving = np.array(moving)
    reference = int(np.flatnonzero(~moving)[0])
    given, poses = state(np.random.default_rng(0)), pose_numbers(moving, 4)
    order = unknowns(given, poses, reference)
    starts, kept = given.starts, set(order.tolist())
    one = int(poses[reference, 0])
    held = {starts[4]} | {starts[k] + 3 * one + axis for k in (1, 2) for axis in range(3)}
    assert set(range(starts[-1])) - kept == held and len(kept) == len(order)


def blocks(given, rng_seed=3):
    rng = np.random.default_rng(rng_seed)
    pick = lambda most: rng.integers(0, most, 20)  # noqa: E731
    seen = terms.Sightings(
        pick(2), pick(3), pick(4), pick(5), pick(6), rng.normal(0, 100, (20, 2)), rng.normal(0, 50, (20, 2)),
        np.full(20, 1000.0), np.ones(20), rng.uniform(1, 3, 20),
    )  # fmt: skip
    pairs, wanted = np.array([[0, 1], [1, 2], [3, 4]]), rng.normal(size=(2, 4, 3, 3))
    times = np.array([0, 0.1, 0.25, 0.3])
    yield terms.reprojection(given, seen)
    yield terms.bones(given, pairs, np.array([0, 1, 1]), 0.02)
    yield terms.shape(given, pairs, wanted, np.full(3, 0.1))
    yield terms.prior(given.log_focal, np.zeros(3), 0.1, given.starts[3])
    yield terms.alike(given.log_focal[1:], 0.1, given.starts[3] + np.array([1, 2]))
    yield terms.smooth_cameras(given, np.arange(4), times, 2.0, 3.0, 1.0)[1]


def test_jacobians_are_the_derivatives():
    rng = np.random.default_rng(2)
    given = state(rng)
    width, step = given.starts[-1], 1e-6
    for number, block in enumerate(blocks(given)):
        matrix = terms.stacked([block], np.ones(len(block.values)), width, np.arange(width))[0].toarray()
        direction = rng.normal(size=width)
        ahead, behind = ([*blocks(given.moved(sign * step * direction))][number].values for sign in (1, -1))
        np.testing.assert_allclose(matrix @ direction, (ahead - behind) / 2 / step, rtol=1e-4, atol=1e-4)


def test_blocks_are_stacked_with_their_weights_and_the_chosen_unknowns():
    rng = np.random.default_rng(4)
    given = state(rng)
    width, two = given.starts[-1], [*blocks(given)][:2]
    factors, order = rng.uniform(1, 2, sum(len(block.values) for block in two)), rng.permutation(width)[:50]
    jacobian, values = terms.stacked(two, factors, width, order)
    every = np.concatenate(
        [terms.stacked([b], np.ones(len(b.values)), width, np.arange(width))[0].toarray() for b in two]
    )
    np.testing.assert_allclose(jacobian.toarray(), factors[:, None] * every[:, order])
    np.testing.assert_allclose(values, factors * np.concatenate([block.values for block in two]))


def test_damped_normal_equations_are_solved():
    rng = np.random.default_rng(5)
    root, right = rng.normal(size=(25, 17)) * (rng.random((25, 17)) < 0.4), rng.normal(size=17)
    normal = root.T @ root + 0.1 * np.eye(17)
    damped = normal + 0.2 * np.diag(np.diag(normal))
    np.testing.assert_allclose(factored(csc_array(normal), 0.2).solve(right), np.linalg.solve(damped, right), rtol=1e-6)
