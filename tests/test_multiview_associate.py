"""Who is who: several people before several cameras, with everything that trackers do wrong."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from several_views import SKELETON, as_track, drifting, ring, seen, walker

from multiview.associate import associate, smoothed
from multiview.identities import grouped
from multiview.people import gather
from multiview.sides import _move_costs, put_right
from pipeline.skeletons import skeleton

TIMES = np.arange(60) / 30
PLACES = [(0, 0), (1.1, 0.4), (-0.9, 1.0), (0.2, -1.3), (-1.2, -0.9)]


def people(count=5, times=60):
    return np.stack([walker(times, i + 1, PLACES[i], 1.3 * i) for i in range(count)])


def tracks_of(cameras, persons, noise=3.0, seed=0):
    """[view][person], all complete."""
    out = []
    for v, camera in enumerate(cameras):
        view = []
        for i, points in enumerate(persons):
            keypoints, scores = seen([camera], points, noise, 100 * seed + 10 * v + i)
            view.append(as_track(i, keypoints[0], scores[0], np.arange(len(points))))
        out.append(view)
    return out


def cut(track, begin, end, number):
    """The frames [begin, end) of a track as a track of its own."""
    part = slice(begin, end)
    return replace(track, id=number, frames=track.frames[part], keypoints=track.keypoints[part],
                   scores=track.scores[part], observed=track.observed[part], boxes=track.boxes[part])  # fmt: skip


def correct(found, truth):
    """Share of track-frames that are the actor's whom `truth` [view][track] (T,) names; are false tracks alone?"""
    pairs = [np.stack([o, a]) for mine, true in zip(found.owners, truth, strict=True)
             for o, a in zip(mine, true, strict=True)]  # fmt: skip
    owner, actor = np.concatenate(pairs, axis=1)
    real = actor >= 0
    table = np.zeros((len(found), 1 + actor.max()), int)
    np.add.at(table, (owner[real], actor[real]), 1)
    rows, columns = linear_sum_assignment(-table)
    alone = all(len(np.unique(owner[(actor == -1)])) == 0 or k not in rows for k in owner[actor == -1])
    return table[rows, columns].sum() / real.sum(), alone


def test_five_people_in_four_views_with_gaps_fragments_and_false_tracks():
    cameras, random = ring(4, radius=6, fov=60), np.random.default_rng(0)
    tracks, truth = [], []
    for view in tracks_of(cameras, people()):
        mine, true = [], []
        for track in view:
            missed = random.random(60) < 0.2
            gone = replace(
                track,
                keypoints=np.where(missed[:, None, None], np.nan, track.keypoints),
                scores=np.where(missed[:, None], 0, track.scores),
                observed=~missed,
            )
            split = int(random.integers(15, 45))
            mine += [cut(gone, 0, split, len(mine)), cut(gone, split + 3, 60, len(mine) + 1)]
            true += [np.full(split, track.id), np.full(57 - split, track.id)]
        ghost = random.uniform((100, 100), (1100, 600), (1, 1, 2)) + 60 * random.standard_normal((60, 33, 2))
        mine.append(as_track(99, ghost, np.full((60, 33), 0.8), np.arange(60)))
        true.append(np.full(60, -1))
        order = random.permutation(len(mine))
        tracks.append([mine[k] for k in order])
        truth.append([true[k] for k in order])
    found = associate(cameras, tracks, TIMES)
    share, ghosts_alone = correct(found, truth)
    assert share > 0.98 and ghosts_alone
    assert (found.seen[:5].min(axis=1) > 50).all() and (np.count_nonzero(found.seen[5:], axis=1) == 1).all()


@pytest.mark.parametrize("views", [2, 3, 4])
def test_tracks_that_exchange_people_in_the_middle(views):
    cameras = ring(views, radius=6, fov=60)
    cameras[0] = drifting(cameras[0], 60)
    tracks = tracks_of(cameras, people(3))
    one, two = tracks[1][0], tracks[1][1]
    for a, b in ((one, two), (two, one)):
        joined = np.concatenate([a.keypoints[:30], b.keypoints[30:]])
        tracks[1][a.id] = replace(a, keypoints=joined)
    truth = [[np.full(60, i) for i in range(3)] for _ in cameras]
    truth[1][0][30:], truth[1][1][30:] = 1, 0
    found = associate(cameras, tracks, TIMES)
    assert correct(found, truth)[0] > 0.98
    for person in range(3):
        whole = gather(found.owners, person, tracks, None, 60)
        assert np.isfinite(whole.keypoints).all() and (whole.scores > 0).all() and np.isnan(whole.poses).all()


def test_somebody_whom_one_view_sees_stays_alone_and_subsets_are_found():
    cameras = ring(4, radius=6, fov=60)
    tracks = tracks_of(cameras, people(3))
    tracks = [tracks[0], tracks[1][:2], tracks[2][:2], tracks[3][:1]]  # person 2 in view 0 only, 1 in three views
    found = associate(cameras, tracks, TIMES)
    np.testing.assert_array_equal(np.count_nonzero(found.seen, axis=1), [4, 3, 1])


def test_no_people_no_tracks_and_wrong_calls():
    cameras = ring(3)
    assert len(associate(cameras, [[], [], []], TIMES)) == 0
    tracks = [tracks_of(cameras[:1], people(1))[0], [], []]
    alone = associate(cameras, tracks, TIMES)
    assert len(alone) == 1 and not gather(alone.owners, 0, tracks, None, 60).seen[1:].any()
    with pytest.raises(ValueError, match="views"):
        associate(cameras, [[], []], TIMES)
    with pytest.raises(ValueError, match="beyond"):
        associate(cameras, tracks_of(cameras, people(1)), TIMES[:20])


def test_a_group_has_one_of_each_view_and_all_pairs_count():
    view = np.array([0, 0, 1, 2])
    odds = np.array([[0, 0, 3, 2], [0, 0, 2.5, -9], [3, 2.5, 0, -1], [2, -9, -1, 0.0]])
    assert [sorted(g) for g in grouped(odds, view)] == [[0, 2, 3], [1]]
    odds[2, 3] = odds[3, 2] = -5  # 0-2 agree, but together they no longer want 3
    assert sorted(map(sorted, grouped(odds, view))) == [[0, 2], [1], [3]]


def test_evidence_changes_sign_where_the_tracks_exchange_people():
    evidence = np.r_[np.full(40, 0.5), np.full(40, -0.5)] + 0.3 * np.random.default_rng(0).standard_normal(80)
    starts = np.arange(80) == 0
    odds = smoothed(evidence[:, None], starts[:, None], 1 / 30)[:, 0]
    assert abs(int(np.flatnonzero(odds < 0)[0]) - 40) <= 3
    assert (odds[:36] > 0).all() and (odds[44:] < 0).all()


MIRROR = skeleton(SKELETON).mirror


@pytest.mark.parametrize("views", [2, 3, 4, 9])
def test_left_and_right_of_whole_views_are_put_right(views):
    cameras = ring(views)
    exact, marks = seen(cameras, walker(60), 4.0)
    wrong = np.zeros((views, 60), bool)
    wrong[0, 10:30] = wrong[1, 25:50] = True
    keypoints = exact.copy()
    keypoints[wrong] = exact[wrong][:, list(MIRROR)]
    right, scores, found = put_right(cameras, keypoints, marks, MIRROR)
    assert (found != wrong).mean() < 0.005
    assert (right[found == wrong] == exact[found == wrong]).all() and (scores == marks).all()


def test_sides_that_are_right_stay_even_with_gaps_and_wrong_joints():
    cameras = ring(4)
    keypoints, marks = seen(cameras, walker(60), 6.0)
    random = np.random.default_rng(1)
    keypoints[2][random.random((60, 33)) < 0.3] += 200
    keypoints[1, 20:30], marks[1, 20:30] = np.nan, 0
    assert not put_right(cameras, keypoints, marks, MIRROR)[2].any()


def test_a_joint_never_seen_does_not_hide_how_tall_somebody_is():
    keypoints, marks = seen(ring(2), walker(60), 4.0)
    keypoints[:, :, 32] = np.nan
    keypoints[1, 20:30], marks[:, :, 32], marks[1, 20:30] = np.nan, 0, 0
    mirror = np.array(MIRROR)
    costs = _move_costs(keypoints, marks, mirror)
    assert np.isfinite(costs).all() and costs[..., 0].max() < 6 < np.median(costs[..., 1])
    blind = _move_costs(np.full_like(keypoints, np.nan), np.zeros_like(marks), mirror)
    assert not blind.any()
