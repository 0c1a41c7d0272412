"""LightTrack's network of poses: its graph, what it reads, what it was taught, its file."""

import numpy as np
import pytest
from crossings import standing

from checkpoints.card import card
from checkpoints.store import find
from pipeline.errors import MissingError
from studio.scenes import build
from trackers.pose_similarity import JOINTS, SAME_PERSON, WEIGHTS, apart, load, nodes, normalised, partitions


def graphs(scene, step=1, **options):
    """Nodes (T,15,3) of the actors of a studio scene as a detector sees them."""
    truth = build(scene, fps=10, **options).truth("coco-17")
    points = truth.keypoints[0] + np.random.default_rng(0).normal(0, 2, truth.keypoints[0].shape)
    return [nodes(person[::step], np.ones(person[::step].shape[:2]), "coco-17") for person in points]


def test_every_joint_gathers_itself_and_its_neighbours():
    parts = partitions()
    np.testing.assert_allclose(parts.sum((0, 2)), 1, atol=1e-6)
    wrist, elbow, shoulder = (JOINTS.index(f"left_{part}") for part in ("wrist", "elbow", "shoulder"))
    assert (parts[0].diagonal() > 0).all()
    assert parts[1, elbow, shoulder] > 0 and parts[2, elbow, wrist] > 0
    assert parts[2, elbow, shoulder] == parts[1, elbow, wrist] == parts[:, wrist, shoulder].sum() == 0


def test_nodes_do_not_change_with_place_and_size():
    one, other = standing([(100, 200)], 80), standing([(600, 900)], 400)
    a, b = (nodes(f.keypoints, f.scores, "coco-17") for f in (one, other))
    np.testing.assert_allclose(a, b, atol=1e-5)
    assert np.ptp(a[0, 1:, 1]) == pytest.approx(1) and np.abs(a[..., :2]).max() == pytest.approx(0.5)
    assert (a[0, JOINTS.index("head_top")] == 0).all()  # which COCO does not have


def test_what_is_not_seen_is_zeros_and_too_little_is_like_nobody():
    frame = standing([(100, 200), (300, 200)])
    frame.scores[0, 4:] = 0
    frame.keypoints[0, 6:] = np.nan
    found = nodes(frame.keypoints, frame.scores, "coco-17")
    assert found[0, :, 2].sum() == 1 and (found[0, 2:] == 0).all() and np.isfinite(found).all()
    looks = load().embed(found)
    assert np.isnan(looks[0]).all() and np.isfinite(looks[1]).all()
    assert np.isinf(apart(looks, looks)[0]).all() and apart(looks, looks)[1, 1] == 0
    assert load().embed(normalised(np.full((2, 15, 2), np.nan))).shape == load().embed(found).shape
    assert load().embed(found[:0]).shape[0] == 0


def test_a_person_a_moment_later_is_nearer_than_another_pose():
    walker, athlete = graphs("sample", duration=4.0)
    network = load()
    same = np.concatenate([np.diagonal(apart(x, x), 2) for x in (network.embed(walker), network.embed(athlete))])
    other = apart(network.embed(walker), network.embed(athlete)).ravel()
    nearer = np.mean(same[:, None] < other[None])
    assert nearer > 0.9, nearer
    assert np.mean(same <= SAME_PERSON) > 0.75 and np.mean(other > SAME_PERSON) > 0.75


def test_the_card_tells_the_file():
    of = card(WEIGHTS)
    assert find(WEIGHTS).stat().st_size == of.bytes < 300_000 and of.format == "npz"
    assert "mocap.cs.cmu.edu" in of.details["acknowledgement"] and of.details["accuracy"]["auc_percent"] > 80


@pytest.mark.parametrize("damage", ["empty", "cut", "other"])
def test_a_damaged_file_is_told(tmp_path, damage):
    path, data = tmp_path / "w.npz", find(WEIGHTS).read_bytes()
    path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "other": data}[damage])
    if damage == "other":
        np.savez(path, scale=np.ones((15, 3)))
    with pytest.raises(MissingError, match=r"w\.npz"):
        load(path)
