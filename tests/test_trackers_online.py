"""What all online trackers have to do: ByteTrack, BoT-SORT (here without frames) and OC-SORT, and how they assign."""

import time
from itertools import permutations

import numpy as np
import pytest
from boxed import SIZE, box, detections, frames_of, ids_of, walker
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.choices import chosen_class
from pipeline.results import Detections
from studio.scenes import build
from trackers.botsort import BotSort
from trackers.boxes import boxes_and_scores
from trackers.bytetrack import ByteTrack
from trackers.kalman import AreaRatio, AspectHeight, WidthHeight
from trackers.ocsort import OCSort
from trackers.online import assign


def still_botsort():
    return BotSort(camera_motion=False)


KINDS = pytest.mark.parametrize("make", [ByteTrack, still_botsort, OCSort])


def crowd(rng, frames=40, count=4, missed=0.1):
    """Frames of people who walk anywhere, some of them missed, with scores of all sizes."""
    starts, ways = rng.uniform((100, 150), (1100, 550), (count, 2)), rng.uniform(-6, 6, (count, 2))
    people = np.array([walker(s, w, frames) for s, w in zip(starts, ways, strict=True)])
    people[rng.random((count, frames)) < missed] = np.nan
    return frames_of(people, rng.uniform(0.05, 1, (count, frames)), noise=2.0, rng=rng)


@pytest.mark.parametrize("name", ["bytetrack", "botsort", "ocsort", "given"])
def test_found_by_name(name):
    made = chosen_class("tracker", name)()
    assert made.name == name and made.packages == ()
    assert made.needs == (("frames",) if name == "botsort" else ())


@KINDS
def test_straight_walkers_keep_their_ids_at_any_frame_rate(make):
    rng = np.random.default_rng(1)
    for fps in (10, 30, 60):
        ways = ((150, 0), (-120, 40), (60, 0), (0, 30))  # px per second
        starts = ((100, 200), (1100, 200), (200, 600), (640, 350))
        count = 4 * fps
        people = [walker(s, np.divide(w, fps), count) for s, w in zip(starts, ways, strict=True)]
        frames = frames_of(people, 0.9, noise=1.0, rng=rng)
        tracks = make().track(frames, np.arange(count) / fps, SIZE)
        assert [t.id for t in tracks] == [1, 2, 3, 4]
        for track in tracks:
            assert track.observed.all() and len(track) == count
            person = [np.abs(p - track.boxes).max() for p in people]
            assert min(person) < 8, "one track, one person, in every frame"


@KINDS
def test_two_who_cross_keep_their_ids(make):
    people = [walker((200, 300), (6, 0), 120), walker((920, 330), (-6, 0), 120)]
    frames = frames_of(people, 0.9, noise=1.0, rng=np.random.default_rng(2))
    ids = ids_of(make(), frames)
    assert ids[-1].tolist() == ids[10].tolist() and (ids[-1] > 0).all()


@KINDS
def test_births_and_deaths(make):
    people = np.array([walker((200, 300), (2, 0), 90), walker((900, 300), (0, 0), 90)])
    people[0, 60:] = np.nan
    people[1, :30] = np.nan
    first, second = sorted(make().track(frames_of(people), np.arange(90) / 30, SIZE), key=lambda t: t.frames[0])
    assert (first.frames[0], first.frames[-1]) == (0, 59) and first.observed.all()
    assert 30 <= second.frames[0] <= 32 and second.frames[-1] == 89
    np.testing.assert_allclose(second.boxes[0], people[1, 40], atol=1e-3)


@KINDS
@pytest.mark.parametrize(("gap", "tracks"), [(25, 1), (40, 2)])
@pytest.mark.parametrize("fps", [15, 30, 60])
def test_somebody_who_is_lost_is_waited_for_a_second(make, gap, tracks, fps):
    people = np.array([walker((300, 300), (0, 0), 4 * fps)])
    people[0, fps : fps + gap * fps // 30] = np.nan
    found = make().track(frames_of(people), np.arange(4 * fps) / fps, SIZE)
    assert len(found) == tracks
    if tracks == 1:
        missing = ~found[0].observed
        assert missing.sum() == gap * fps // 30
        assert np.isnan(found[0].keypoints[missing]).all() and (found[0].scores[missing] == 0).all()


@KINDS
@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 39))
def test_later_frames_change_nothing(make, seed, cut):
    frames = crowd(np.random.default_rng(seed))
    whole, part = ids_of(make(), frames), ids_of(make(), frames[:cut])
    for a, b in zip(part, whole[:cut], strict=True):
        np.testing.assert_array_equal(a, b)


@KINDS
@settings(max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_nobody_has_two_boxes_and_tracks_are_the_detections(make, seed):
    frames = crowd(np.random.default_rng(seed), missed=0.3)
    tracker = make()
    for ids in ids_of(tracker, frames):
        assert ids.dtype == np.int32 and len(np.unique(ids[ids >= 0])) == (ids >= 0).sum()
    for track in make().track(frames, np.arange(len(frames)) / 30, SIZE):
        assert track.observed[0] and track.observed[-1]
        for k in np.flatnonzero(track.observed):
            frame = frames[track.frames[k]]
            assert (np.abs(frame.keypoints - track.keypoints[k]).max((1, 2)) == 0).sum() == 1


@KINDS
def test_a_tracker_forgets_the_clip_before(make):
    frames = crowd(np.random.default_rng(5))
    tracker = make()
    one, other = (tracker.track(frames, np.arange(len(frames)) / 30, SIZE) for _ in range(2))
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.keypoints, b.keypoints)


@KINDS
def test_nobody_one_frame_and_an_empty_clip(make):
    nobody = detections(np.zeros((0, 4)), 0.9)
    assert make().track([], np.zeros(0), SIZE) == []
    assert make().track([nobody] * 5, np.arange(5) / 30, SIZE) == []
    two = detections([walker((300, 300), (0, 0), 1)[0], walker((900, 300), (0, 0), 1, 300.0)[0]], 0.9)
    tracks = make().track([two], np.zeros(1), SIZE)
    assert [t.id for t in tracks] == [1, 2] and [len(t) for t in tracks] == [1, 1]
    assert tracks[0].boxes[0, 0] > 800, "the larger one comes first"


@KINDS
def test_times_must_grow_and_be_as_many(make):
    one = detections(walker((300, 300), (0, 0), 1), 0.9)
    with pytest.raises(ValueError, match="times"):
        make().track([one], np.arange(2), SIZE)
    with pytest.raises(ValueError, match="follow"):
        make().track([one, one], np.zeros(2), SIZE)


@KINDS
def test_boxes_that_are_no_boxes(make):
    """NaN boxes are taken from keypoints, boxes without width or turned round are boxes, nothing at all is nobody."""
    frames = frames_of([walker((300, 300), (2, 0), 30), walker((900, 300), (0, 0), 30)])
    for t, frame in enumerate(frames):
        frame.boxes[0] = np.nan if t % 2 else frame.boxes[0, [2, 3, 0, 1]]
        frame.boxes[1, [0, 2]] = 900
        assert (np.diff(boxes_and_scores(frame)[0].reshape(2, 2, 2), axis=1) >= 1).all()
        frame.box_scores[:] = np.nan
    lost = detections(np.full((1, 4), np.nan), 0.9)
    rows = {k: np.concatenate([getattr(f, k) for f in (frames[15], lost)]) for k in ("boxes", "box_scores")}
    rows |= {k: np.concatenate([getattr(f, k) for f in (frames[15], lost)]) for k in ("keypoints", "scores")}
    frames[15] = Detections("coco-17", **rows)
    ids = ids_of(make(), frames)
    assert ids[15][2] == -1
    assert all(len(set(column)) == 1 for column in zip(*[i[:2].tolist() for i in ids[5:]], strict=True))
    assert make().track(frames, np.arange(30) / 30, SIZE)[0].observed.sum() >= 28


def test_scores_that_the_detector_does_not_give_are_the_surer_joints():
    found = detections(walker((300, 300), (0, 0), 1), 0.9)
    found.box_scores[:] = np.nan
    found.scores[0, :9] = 0.1
    assert boxes_and_scores(found)[1][0] == pytest.approx((8 * 0.9 + 0.1) / 9)
    found.keypoints[0, 9] = np.nan
    assert boxes_and_scores(found)[1][0] == pytest.approx((7 * 0.9 + 2 * 0.1) / 9)


@KINDS
def test_ten_people_are_followed_fast(make):
    rng = np.random.default_rng(7)
    people = np.array([walker((80 + 120 * k, 200 + 30 * (k % 3)), (0.2 * k, 0.3), 300) for k in range(10)])
    frames = frames_of(people, 0.9, noise=2.0, rng=rng)
    times, tracker = np.arange(300) / 30, make()
    begin = time.process_time()
    tracks = tracker.track(frames, times, SIZE)
    spent = time.process_time() - begin
    assert len(tracks) == 10 and all(t.observed.all() for t in tracks)
    assert spent / 300 < 1 / 250, "half of what is to be had, for machines that are busy"


@KINDS
def test_a_studio_scene_in_which_people_hide_each_other(make):
    """Published trackers do exchange people here; what they give has to be tracks all the same."""
    truth = build("crossing4", duration=4.0).truth()
    frames = truth.detections(4, 0.05, 0, least=0.15)
    tracks = make().track(frames, truth.times, SIZE)
    assert 4 <= len(tracks) <= 8
    seen = sum(t.observed.sum() for t in tracks)
    assert seen > 0.6 * sum(len(f) for f in frames)


def test_filters_know_their_own_boxes():
    boxes = np.array([[0, 0, 10, 20], [5, 0, 15, 20], [100, 100, 101, 101]], float)
    for kind in (AspectHeight(), WidthHeight(), AreaRatio()):
        mean, covariance = kind.start(boxes)
        np.testing.assert_allclose(kind.boxes(mean), boxes, atol=1e-9)
        assert np.linalg.eigvalsh(covariance).min() > 0


@pytest.mark.parametrize("step", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("kind", [AspectHeight(), WidthHeight(), AreaRatio()])
def test_a_filter_is_the_textbook_s(kind, step):
    """Predict and update of all people at once are the plain equations, one by one."""
    rng = np.random.default_rng(0)
    boxes = walker((300, 300), (3, 1), 3)
    mean, covariance = kind.start(boxes + rng.normal(size=boxes.shape))
    later = kind.predict(mean, covariance, step)
    seen = boxes + np.array([3, 1, 3, 1])
    after = kind.update(*later, seen)
    f = np.eye(kind.dim) + step * np.eye(kind.dim, k=4)
    h = np.eye(4, kind.dim)
    for k in range(3):
        q, r = step * np.diag(kind.spread(mean)[1][k] ** 2), np.diag(kind.spread(later[0])[2][k] ** 2)
        x, p = f @ mean[k], f @ covariance[k] @ f.T + q
        np.testing.assert_allclose(later[1][k], p)
        gain = p @ h.T @ np.linalg.inv(h @ p @ h.T + r)
        np.testing.assert_allclose(after[0][k], x + gain @ (kind.measure(seen)[k] - h @ x))
        np.testing.assert_allclose(after[1][k], (np.eye(kind.dim) - gain @ h) @ p, atol=1e-6)


def test_an_area_does_not_shrink_to_nothing():
    kind = AreaRatio()
    mean, covariance = kind.start(np.array([box((300, 300), 100)]))
    mean[0, 6] = -500
    assert kind.predict(mean, covariance, 2)[0][0, 2] == pytest.approx(3000)
    assert kind.predict(mean, covariance, 10)[0][0, 2] == pytest.approx(4000)


@settings(max_examples=50)
@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 10**6), st.floats(0.1, 1.2))
def test_an_assignment_costs_the_least_when_the_limit_is_paid_for_every_pair_that_is_not_made(
    rows, columns, seed, limit
):
    cost = np.random.default_rng(seed).random((rows, columns))
    pairs = assign(cost, limit)
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    assert all(cost[p] < limit for p in pairs)
    got = sum(cost[p] - limit for p in pairs)
    wide = np.concatenate([cost - limit, np.zeros((rows, rows))], axis=1)  # everybody may stay alone
    best = min(sum(wide[r, c] for r, c in enumerate(p)) for p in permutations(range(columns + rows), rows))
    assert got == pytest.approx(best)
