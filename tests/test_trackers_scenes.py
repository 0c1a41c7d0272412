"""The default tracker where people hide each other, leave and enter: what it must not mistake."""

import numpy as np
import people
import pytest
from test_trackers_offline import CAMERA, SIZE, people_at, switches, track

from benchmarks.trackers import as_tracked
from benchmarks.trackers_clips import SCENES
from studio.scenes import build
from trackers import evidence
from trackers.complete import complete
from trackers.cutting import Piece, cut
from trackers.linking import link
from trackers.pool import gather
from training.datasets.tracked_arrays import of_truth


def walk(start, velocity, times):
    return people.walker(lambda t: np.array(start) + np.outer(t, velocity), times)[0]


def without(detections, truth, gone):
    """The detections without person k in the frames gone[k]."""
    out, persons = [], []
    for t, (frame, who) in enumerate(zip(detections, truth, strict=True)):
        kept = np.array([t not in gone.get(int(k), ()) for k in who], bool)
        rows = {name: v[kept] for name, v in vars(frame).items() if isinstance(v, np.ndarray)}
        out.append(type(frame)(frame.skeleton, **rows))
        persons.append(who[kept])
    return out, persons


def test_who_leaves_and_who_enters_at_the_same_place_are_two():
    """One walks out of the picture; within a second another comes in there, the other way."""
    times = np.arange(120) / 30
    edge = 5 * SIZE[0] / 2 / 900  # m aside at which the picture ends, 5 m away
    joints = np.stack([walk((edge - 2.4, 5), (1.3, 0), times), walk((edge + 3.4, 5), (-1.3, 0), times)])
    detections, truth = people_at(joints, missed=0, wrong_hint=False)
    inside = [{t for t in range(120) if np.abs(people.project(j[t], CAMERA)[0, 0] - 640) > 660} for j in joints]
    detections, truth = without(detections, truth, dict(enumerate(inside)))
    gap = min(set(range(60, 120)) - inside[1]) - max(set(range(80)) - inside[0])
    assert 0 < gap < 30, "the second comes soon after the first has gone"
    assert len(track(detections, times)) == 2


@pytest.mark.parametrize("fps", [15, 30, 60])
def test_a_track_that_passes_to_one_who_steps_out_from_behind_is_cut(fps):
    """In one frame one is hidden and the other, never seen before, appears in the same place."""
    times = np.arange(3 * fps) / fps
    joints = np.stack([walk((-0.9, 5), (0.6, 0), times), walk((0.9, 5.05), (-0.6, 0), times)])
    detections, truth = people_at(joints, missed=0, wrong_hint=False)
    meet, again = len(times) // 2, 2 * fps
    detections, truth = without(detections, truth, {0: range(meet, again), 1: range(meet)})
    for frame in detections:
        frame.following[:] = -1
    pool = gather(detections, times)
    tracklets = link(pool, times)
    assert any(meet - 1 in t and meet in t for t in ([int(pool.frame[r]) for r in x.rows] for x in tracklets)), "slides"
    assert meet in [int(pool.frame[piece.rows[0]]) for piece in cut(pool, tracklets)]
    tracks = track(detections, times)
    assert len(tracks) == 2 and switches(tracks, detections, truth) == 0


def test_where_a_piece_ends_is_told_by_its_end():
    """Clean frames long before do not count, though those at the end have somebody near."""
    times = np.arange(90) / 30
    detections, _ = people_at(walk((-1.5, 5), (1, 0), times)[None], missed=0)
    pool = gather(detections, times)
    clean = np.arange(90) < 40
    last = evidence.ends(evidence.strand(pool, Piece(np.arange(90), clean)).tails[:1])
    assert last.time[0] > times[-1] - evidence.CLEAN_S
    assert np.linalg.norm(last.centre[0] - pool.centre[-1]) < 0.3 * pool.size[-1]


def test_a_body_half_hidden_is_as_large_as_before():
    times = np.arange(2) / 30
    detections, _ = people_at(walk((0, 5), (0, 0.01), times)[None], missed=0, noise=0)
    low = np.array([("knee" in n or "ankle" in n or "heel" in n or "toe" in n) for n in people.BLAZE.joints])
    detections[1].scores[:, low] = 0.06
    pool = gather(detections, times)
    assert pool.size[1] == pytest.approx(pool.size[0], rel=0.02)


def test_the_middle_of_a_body_stays_where_it_is_as_its_hips_are_hidden():
    times = np.arange(2) / 30
    detections, _ = people_at(walk((0, 5), (0, 0.01), times)[None], missed=0, noise=0)
    detections[1].scores[:, people.BLAZE.index("left_hip", "right_hip")] = 0.06
    pool = gather(detections, times)
    assert np.linalg.norm(pool.centre[1] - pool.centre[0]) < 0.02 * pool.size[0]


@pytest.mark.parametrize("ratio, together", [(1.03, True), (0.82, False)])
def test_who_is_suddenly_smaller_is_somebody_else(ratio, together):
    """In the same place, in the same pose, while somebody else is about."""
    times = np.arange(90) / 30
    joints = np.stack([walk((-0.6, 5), (0.3, 0), times), walk((1.2, 5.5), (-0.3, 0), times)])
    detections, truth = people_at(joints, missed=0, wrong_hint=False)
    for frame, persons in zip(detections[45:], truth[45:], strict=True):
        frame.following[:] = -1
        for row in np.flatnonzero(persons == 0):
            middle = frame.keypoints[row].mean(0)
            frame.keypoints[row] = middle + ratio * (frame.keypoints[row] - middle)
    pool = gather(detections, times)
    ends = [int(pool.frame[piece.rows[-1]]) for piece in cut(pool, link(pool, times))]
    assert (44 in ends) != together


@pytest.mark.slow
def test_studio_scenes_keep_identities():
    """IDF1 as `benchmarks.trackers` counts it; hardest are people behind posts, and ten in a crowd."""
    pytest.importorskip("motmetrics")
    from training.tracking import pair, score

    found = {}
    for name in SCENES:
        truth = build(name, seed=1).truth()
        tracks = track(truth.detections(4.0, 0.05, 1), truth.times)
        finished = [complete(one, truth.times) for one in tracks]
        found[name] = score(pair(of_truth(truth), as_tracked(finished, len(truth.times))))
    assert all(of["tracks"] == of["people"] for of in found.values())
    idf1 = [of["idf1"] for of in found.values()]
    assert min(idf1) > 0.98
