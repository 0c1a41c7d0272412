"""`evaluate --tracks`: figures that follow from the definitions, files of the field, files that are none."""

import json

import numpy as np
import pytest
from commandline import call

from pipeline.skeletons import skeleton
from studio.scenes import build
from studio.write import write_truth
from training.datasets import tracked
from training.hota import hota
from training.tracking import boxes, clear, pair, score
from training.tracking_keypoints import posetrack_mota

pytest.importorskip("motmetrics")
COCO = skeleton("coco-17")
TRACKEVAL = (0.392117472930, 0.392352721698, 0.398662004815, 0.789279636163)


@pytest.fixture(scope="module")
def truth():
    return build("crossing4", duration=2.0, fps=10).truth("coco-17")


@pytest.fixture(scope="module")
def truth_file(truth, tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "clip.truth.npz"
    write_truth(truth, path)
    return path


def poses(path, truth, ids=None, changed=None):
    """A run's poses.npz that says what the truth says: ids (A,T) of the people in each frame, points changed."""
    points = truth.keypoints[0] if changed is None else changed
    ids = np.broadcast_to(truth.ids[:, None], points.shape[:2]) if ids is None else ids
    names = np.unique(ids)
    spread = np.full((len(names), *points.shape[1:]), np.nan, np.float32)
    for k, name in enumerate(names):
        person, frame = np.nonzero(ids == name)
        spread[k, frame] = points[person, frame]
    scores = np.where(np.isfinite(spread).all(-1), 0.9, 0.0).astype(np.float32)
    np.savez(path, times=truth.times, person_ids=names, keypoint_names=np.array(COCO.joints), keypoints_px=spread,
             keypoint_scores=scores)  # fmt: skip
    return path


def run(capsys, truth, predictions, *options):
    code, stdout, stderr = call(capsys, "evaluate", truth, "--predictions", predictions, "--tracks", "--json", *options)
    assert code == 0, stderr
    return json.loads(stdout)


def test_the_same_tracks_are_perfect(capsys, tmp_path, truth, truth_file):
    found = run(capsys, truth_file, poses(tmp_path / "poses.npz", truth), "--out", tmp_path / "found.json")
    shares = [found[name] for name in ("mota", "motp", "idf1", "hota", "deta", "assa")]
    np.testing.assert_allclose(shares, 1, atol=1e-6)
    assert [found[name] for name in ("switches", "fragments", "missed", "false")] == [0] * 4
    assert found["people"] == found["tracks"] == 4 and found["frames"] == 20
    assert set(found["posetrack_mota"].values()) == {1.0} and set(found["posetrack_mota"]) == {*COCO.joints, "mean"}
    np.testing.assert_allclose(list(found["keypoints"].values()), 1)
    assert json.loads((tmp_path / "found.json").read_text()) == found


def test_two_ids_that_are_exchanged_in_the_middle(capsys, tmp_path, truth, truth_file):
    """MOTA loses two switches, identities half of two people, HOTA lies between."""
    ids = np.broadcast_to(truth.ids[:, None], (4, 20)).copy()
    ids[:2, 10:] = ids[:2, 10:][::-1].copy()
    found = run(capsys, truth_file, poses(tmp_path / "poses.npz", truth, ids))
    assert found["switches"] == 2 and found["missed"] == found["false"] == 0
    assert found["mota"] == pytest.approx(1 - 2 / found["people_frames"])
    assert found["idf1"] < found["hota"] < found["mota"]
    assert found["posetrack_mota"]["mean"] == pytest.approx(1 - 2 / found["people_frames"], abs=0.01)
    two = build("dance", duration=2.0, fps=10).truth("coco-17")
    write_truth(two, tmp_path / "two.npz")
    ids = np.array([[1] * 10 + [2] * 10, [2] * 10 + [1] * 10])
    found = run(capsys, tmp_path / "two.npz", poses(tmp_path / "both.npz", two, ids))
    assert found["idf1"] == pytest.approx(0.5)
    assert found["hota"] == pytest.approx(np.sqrt(1 / 3)), "each pair of tracks shares 10 of 30 sightings"
    assert found["mota"] == pytest.approx(1 - 2 / 40)


def test_hota_is_that_of_its_authors_code():
    """The figures were computed by trackeval 1.3.0 (`trackeval.metrics.HOTA`) from these very tracks."""
    true_ids, ids, frames = _random_tracks(7)
    found = hota(true_ids, ids, frames)
    expected = {"hota": TRACKEVAL[0], "deta": TRACKEVAL[1], "assa": TRACKEVAL[2], "loca": TRACKEVAL[3]}
    assert found == pytest.approx(expected, abs=1e-9)


def _random_tracks(seed):
    rng = np.random.default_rng(seed)
    true_ids, ids, frames = [], [], []
    for _ in range(30):
        here = [np.flatnonzero(rng.random(n) < 0.7) for n in (4, 5)]
        rows = [np.arange(len(of), len(of) + len(a)) for of, a in zip((true_ids, ids), here, strict=True)]
        alike = 0.5 * rng.random((len(here[0]), len(here[1]))) + 0.5 * (here[0][:, None] == here[1][None])
        true_ids, ids = [*true_ids, *here[0]], [*ids, *here[1]]
        frames.append((*rows, alike))
    return np.array(true_ids), np.array(ids), frames


def test_nobody_found_and_nobody_there(truth):
    everyone = tracked.people(np.arange(3), np.arange(3), np.ones(3, int), boxes=np.tile([0, 0, 9, 20.0], (3, 1)))
    nobody = tracked.people(np.arange(3), np.zeros(0, int), np.zeros(0, int), boxes=np.zeros((0, 4)))
    lost = score(pair(everyone, nobody))
    assert (lost["mota"], lost["idf1"], lost["hota"], lost["missed"]) == (0, 0, 0, 3)
    ghosts = score(pair(nobody, everyone))
    assert ghosts["hota"] == 0 and ghosts["false"] == 3
    assert np.isnan(score(pair(nobody, nobody))["hota"])


def test_who_is_ignored_is_neither_missed_nor_false():
    box = np.array([[0, 0, 10, 20], [100, 0, 110, 20], [0, 0, 10, 20], [100, 0, 110, 20.0]])
    frame, ids, ignored = np.array([0, 0, 1, 1]), np.array([1, 2, 1, 2]), np.array([False, True, False, True])
    true = tracked.people(np.arange(2), frame, ids, boxes=box, ignored=ignored)
    for rows in ([0, 2], [0, 1, 2, 3]):
        found = score(pair(true, tracked.people(np.arange(2), frame[rows], ids[rows], boxes=box[rows])))
        assert (found["mota"], found["people_frames"], found["false"]) == (1, 2, 0)
    beside = box + np.array([0, 60, 0, 60])
    assert score(pair(true, tracked.people(np.arange(2), frame, ids, boxes=beside)))["false"] == 4


def test_a_person_who_counts_keeps_the_track_though_an_ignored_one_is_nearer():
    box = np.array([[0, 0, 10, 20], [1, 0, 11, 20.0]])
    true = tracked.people(np.arange(1), np.zeros(2, int), np.array([1, 2]), boxes=box, ignored=np.array([False, True]))
    found = score(pair(true, tracked.people(np.arange(1), np.zeros(1, int), np.array([5]), boxes=box[1:])))
    assert found["missed"] == found["false"] == 0


def test_joints_within_half_a_head_are_found(truth):
    true = tracked.people(
        np.arange(1), np.zeros(1, int), np.array([1]), skeleton="coco-17", keypoints=truth.keypoints[0, :1, 0],
        joint_scores=np.ones((1, 17)), heads=np.array([20.0]),
    )  # fmt: skip
    moved = true.keypoints + np.array([9.9, 0])
    moved[0, 3:] += [0.2, 0]
    guess = tracked.people(np.arange(1), np.zeros(1, int), np.array([1]), skeleton="coco-17", keypoints=moved,
                           joint_scores=np.ones((1, 17)))  # fmt: skip
    found = posetrack_mota(pair(true, guess))
    assert [found[name] for name in COCO.joints] == [1.0] * 3 + [-1.0] * 14, "a joint elsewhere is missed and false"
    assert found["mean"] == pytest.approx((3 - 14) / 17)


def test_boxes():
    none = np.zeros(0, int)
    known = tracked.people(none, none, none, skeleton="coco-17", keypoints=np.zeros((0, 17, 2)))
    assert [len(part) for part in boxes(known, known)] == [0, 0]


def test_clear_is_motmetrics_own():
    far = np.array([[0.1, np.nan], [np.nan, 0.2]])
    found = clear([(np.array([1, 2]), np.array([1, 2]), far), (np.array([1, 2]), np.array([2, 1]), far)])
    assert found["num_switches"] == 2 and found["mota"] == pytest.approx(0.5)
