"""One person in all views as arrays."""

import numpy as np
import pytest

from multiview.people import as_track, gather, to_body, touching
from pipeline.results import Motion3D, Track2D
from pipeline.skeletons import skeleton


def frames(*span):
    return np.arange(*span, dtype=np.int32)


def track(first, count, value, name="coco-17"):
    points = np.full((count, 17, 2), value, np.float32) + frames(first, first + count)[:, None, None]
    scores, boxes = np.full((count, 17), 0.9, np.float32), np.zeros((count, 4), np.float32)
    return Track2D(1, name, frames(first, first + count), points, scores, np.ones(count, bool), boxes)


def motion(of, value, joints=23, contact=0.5):
    shape = (len(of), joints)
    contacts = np.full((len(of), 4), contact, np.float32)
    ones, there = np.ones(shape, np.float32), np.ones(len(of), bool)
    return Motion3D(1, "h36m-23", "root", of.frames, np.full((*shape, 3), value), ones, ones[:, :3], there, contacts)


def scene():
    tracks = [[track(0, 10, 100), track(0, 10, 500)], [track(4, 6, 300)]]
    return tracks, [
        [motion(t, i + v, contact=0.2 + 0.6 * v) for i, t in enumerate(one)] for v, one in enumerate(tracks)
    ]


def owned(*rows):
    """Whose each frame is: [view][track], as lists of numbers."""
    return [[np.array(track) for track in view] for view in rows]


def test_pieces_of_two_tracks_make_one_person():
    tracks, motions = scene()
    owners = owned([[3] * 5 + [0] * 5, [0] * 5 + [3] * 5], [[3] * 6])
    person = gather(owners, 3, tracks, motions, 12)
    np.testing.assert_array_equal(person.keypoints[0, :5, 0, 0], 100 + np.arange(5))
    np.testing.assert_array_equal(person.keypoints[0, 5:10, 0, 0], 505 + np.arange(5))
    assert np.isnan(person.keypoints[0, 10:]).all() and not person.scores[0, 10:].any()
    assert np.isnan(person.poses[1, :4]).all() and (person.poses[1, 4:10] == 1).all()
    np.testing.assert_array_equal(person.seen[1], [False] * 4 + [True] * 6 + [False] * 2)


def test_a_track_comes_back_and_an_unseen_person_has_an_empty_one():
    tracks, motions = scene()
    person = gather(owned([[1] * 10, [-1] * 10], [[0] * 6]), 0, tracks, motions, 12)
    again = as_track(person, 1, 7)
    assert again.id == 7
    for name in ("frames", "keypoints", "scores", "observed", "boxes"):
        np.testing.assert_array_equal(getattr(again, name), getattr(tracks[1][0], name))
    assert len(as_track(person, 0, 7)) == 0


def test_contacts_are_what_the_views_say_together():
    tracks, motions = scene()
    person = gather(owned([[0] * 10, [1] * 10], [[0] * 6]), 0, tracks, motions, 12)
    told = touching(person)
    np.testing.assert_allclose(told[[0, 5], 0], [0.2, 0.5], atol=1e-6)
    assert np.isnan(told[11]).all()


def test_keypoints_of_two_skeletons_are_refused():
    tracks, motions = scene()
    tracks[1][0] = track(4, 6, 300, "h36m-17")
    with pytest.raises(ValueError, match="2 skeletons"):
        gather(owned([[0] * 10, [1] * 10], [[0] * 6]), 0, tracks, motions, 12)


@pytest.mark.parametrize("name", ["blazepose-33", "coco-17", "halpe-26", "body-25", "body-25b", "h36m-17"])
def test_every_detectors_joints_become_the_body(name):
    points = np.random.default_rng(0).normal(size=(2, len(skeleton(name)), 3))
    body = to_body(points, name)
    assert body.shape == (2, 23, 3) and np.isfinite(body[:, :17]).all()
    names, ours = skeleton(name).joints, skeleton("h36m-23").joints
    for joint in ("left_wrist", "right_knee", *(n for n in ours[17:] if n in names)):
        np.testing.assert_allclose(body[:, ours.index(joint)], points[:, names.index(joint)])
    if name == "coco-17":
        assert np.isnan(body[:, 17:]).all()
    linear = np.einsum("kj,tjc->tkc", np.nan_to_num(to_body(np.eye(len(names)), name)), points)
    np.testing.assert_allclose(linear, np.nan_to_num(body), atol=1e-12)
