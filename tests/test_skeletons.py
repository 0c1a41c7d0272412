"""Skeletons are trees with mirrored sides, and their conversions give the published numbers."""

import numpy as np
import pytest
from published import numbers, signed

from pipeline.skeletons import (
    CONVERSIONS,
    SKELETONS,
    body25_to_coco,
    coco_to_h36m,
    coco_to_h36m_demo,
    halpe_to_h36m,
    pick,
    posetrack_to_h36m,
    skeleton,
    to_coco,
    to_h36m,
    to_lift,
)

PUBLISHED = numbers("conversions")


@pytest.mark.parametrize("name", SKELETONS)
def test_a_skeleton_is_a_tree_with_mirrored_sides(name):
    of = skeleton(name)
    assert len(set(of.joints)) == len(of.joints) == len(of.parents)
    assert [of.mirror[i] for i in of.mirror] == list(range(len(of)))
    assert len(of.left) == len(of.right)
    for joint in range(len(of)):
        steps = 0
        while of.parents[joint] >= 0:
            joint, steps = of.parents[joint], steps + 1
            assert steps <= len(of), "parents run in a circle"
    for parent, child in of.bones:
        mirrored = (of.mirror[parent], of.mirror[child])
        assert mirrored in of.bones


def test_first_seventeen_joints_are_human36m():
    assert skeleton("h36m-23").joints[:17] == skeleton("h36m-17").joints
    assert skeleton("h36m-17").parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)


@pytest.mark.parametrize("pair", CONVERSIONS)
def test_conversion_fits_both_skeletons_and_keeps_sides(pair):
    source, target = map(skeleton, pair)
    points = np.random.default_rng(0).normal(size=(5, len(source), 3))
    converted = CONVERSIONS[pair](points)
    assert converted.shape == (5, len(target), 3)
    mirrored = CONVERSIONS[pair](points[:, list(source.mirror)])
    np.testing.assert_allclose(mirrored, converted[:, list(target.mirror)], atol=1e-12)


def test_body25_face_falls_back_to_the_nose():
    points = np.arange(50, dtype=float).reshape(25, 2)
    scores = np.ones(25)
    scores[skeleton("body-25").joints.index("left_ear")] = 0.1
    coco, _ = body25_to_coco(points, scores)
    ear, eye = skeleton("coco-17").index("left_ear", "left_eye")
    assert coco[ear].tolist() == points[0].tolist()
    assert coco[eye].tolist() == points[skeleton("body-25").joints.index("left_eye")].tolist()


def test_pick_takes_by_name_and_guesses_nothing():
    points = np.arange(23 * 3, dtype=float).reshape(23, 3)
    assert pick(points, "h36m-23", "h36m-17").tolist() == points[:17].tolist()
    with pytest.raises(ValueError, match="nose"):
        pick(points, "h36m-23", "coco-17")


@pytest.mark.parametrize(
    ("name", "given", "convert", "near"),
    [
        ("coco_motionbert", signed("coco", (17, 3)), coco_to_h36m, 1e-9),
        ("halpe_motionbert", signed("halpe", (26, 3)), halpe_to_h36m, 1e-9),
        ("coco_demo", signed("coco_px", (17, 2)) * 200 + 300, coco_to_h36m_demo, 1e-4),  # stored from 32-bit floats
    ],
)
def test_conversions_match_the_originals(name, given, convert, near):
    before = given.copy()
    np.testing.assert_allclose(convert(given), np.array(PUBLISHED[name]), rtol=0, atol=near)
    np.testing.assert_array_equal(given, before)


def test_posetrack_scores_fall_to_the_weakest_part():
    points = signed("posetrack", (4, 17, 3))
    converted = dict(zip(skeleton("h36m-17").joints, posetrack_to_h36m(points).swapaxes(0, 1), strict=True))
    hips, neck = points[:, [11, 12]], points[:, 1]
    np.testing.assert_allclose(converted["pelvis"][:, :2], hips[..., :2].mean(1))
    np.testing.assert_allclose(converted["pelvis"][:, 2], hips[..., 2].min(1))
    np.testing.assert_allclose(converted["spine"][:, 2], np.minimum(hips[..., 2].min(1), neck[:, 2]))
    np.testing.assert_allclose(converted["thorax"], neck)
    np.testing.assert_allclose(converted["head_top"], points[:, 2])


def scored(name, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(4, len(skeleton(name)), 2)), rng.random((4, len(skeleton(name)), 1))], -1)


@pytest.mark.parametrize("demo", [False, True])
@pytest.mark.parametrize("source", ["coco-17", "blazepose-33", "halpe-26"])
def test_detectors_give_human36m_by_way_of_coco(source, demo):
    points = scored(source)
    coco = pick(points, source, "coco-17")
    made = to_h36m(points, source, demo)
    np.testing.assert_array_equal(to_coco(points, source), coco)
    if demo:
        np.testing.assert_array_equal(made[..., :2], coco_to_h36m_demo(coco[..., :2]))
        head, face = made[:, 10, 2], coco[:, 1:5, 2].mean(1)  # both eyes and ears
        np.testing.assert_allclose(head, face, atol=1e-12)
        np.testing.assert_allclose(made[:, 0, 2], coco[:, 11:13, 2].mean(1), atol=1e-12)
    else:
        expected = halpe_to_h36m(points) if source == "halpe-26" else coco_to_h36m(coco)
        np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("source", ["h36m-17", "h36m-23", "lift-26"])
def test_human36ms_own_joints_stay(source):
    points = scored(source)
    for demo in (False, True):
        np.testing.assert_array_equal(to_h36m(points, source, demo), pick(points, source, "h36m-17"))


def test_body25_face_falls_back_on_the_way_to_human36m():
    points = scored("body-25")
    points[:, skeleton("body-25").index("left_ear", "right_ear"), 2] = 0.1
    xy, scores = body25_to_coco(points[..., :2], points[..., 2])
    np.testing.assert_array_equal(to_coco(points, "body-25"), np.concatenate([xy, scores[..., None]], -1))
    np.testing.assert_array_equal(to_h36m(points, "body-25", True)[..., :2], coco_to_h36m_demo(xy))


def test_a_missing_part_makes_a_made_joint_missing():
    points = scored("blazepose-33")
    points[:, skeleton("blazepose-33").index("left_hip")] = np.nan
    for demo in (False, True):
        made = to_h36m(points, "blazepose-33", demo)
        assert np.isnan(made[:, skeleton("h36m-17").index("pelvis", "left_hip", "spine")]).all()
        assert np.isfinite(made[:, skeleton("h36m-17").index("right_hip", "left_wrist", "head_top")]).all()


@pytest.mark.parametrize("source", ["panoptic-15", "humaneva-15"])
def test_too_few_joints_are_told(source):
    with pytest.raises(ValueError, match=f"{source} has no .*eye"):
        to_coco(scored(source), source)
    if source == "panoptic-15":
        with pytest.raises(ValueError, match="has no"):
            to_h36m(scored(source), source)


@pytest.mark.parametrize(("name", "first"), [("coco-133", 23), ("halpe-136", 26)])
def test_faces_and_hands_are_mirrored_as_300w_and_coco_number_them(name, first):
    body = skeleton(name)
    other = {0: 16, 8: 8, 17: 26, 30: 30, 31: 35, 36: 45, 39: 42, 40: 47, 48: 54, 51: 51, 60: 64, 66: 66, 67: 65}
    assert {n: body.mirror[first + n] - first for n in other} == other
    left, right = first + 68, first + 89
    assert body.mirror[left : left + 21] == tuple(range(right, right + 21))
    assert body.joints[left + 4 : left + 6] == ("left_thumb4", "left_index1")
    points = np.arange(len(body) * 2.0).reshape(len(body), 2)
    hand = to_lift(points, name)[skeleton("lift-26").index("left_hand")[0]]
    assert np.allclose(hand, (points[left + 5] + points[left + 17]) / 2)
