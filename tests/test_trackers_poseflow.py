"""PoseFlow: identities by pose and picture, people lost and found, frames without anybody, flows that repeat."""

import numpy as np
import people
import pytest
from crossings import SIZE, crossing, nobody, only, standing, switches

from pipeline.results import Detections
from trackers.correspondences import OrbMatcher, shared
from trackers.flow_nms import similarity
from trackers.poseflow import PoseFlow


def texture(seed, shape=(360, 640)):
    """A picture of grey blocks that ORB finds its way in."""
    blocks = np.random.default_rng(seed).integers(0, 255, (shape[0] // 6 + 1, shape[1] // 6 + 1), np.uint8)
    return np.repeat(np.kron(blocks, np.ones((6, 6), np.uint8))[: shape[0], : shape[1], None], 3, axis=2)


def run(frames, pictures=None, fps=30, **options):
    tracker = PoseFlow(matching=pictures is not None, **options)
    times = np.arange(len(frames)) / fps
    return tracker.track(frames, times, SIZE, None if pictures is None else lambda a, b: iter(pictures[a:b]))


def ids(tracker, frames, pictures=None, fps=30):
    pictures = pictures or [None] * len(frames)
    tracker.reset()
    return [tracker.update(f, t / fps, p).tolist() for t, (f, p) in enumerate(zip(frames, pictures, strict=True))]


@pytest.mark.parametrize("matching", [True, False])
def test_two_people_who_cross_keep_their_identities(matching):
    frames, times, pictures, truth = crossing()
    tracks = run(frames, pictures if matching else None, fps=1 / times[1])
    assert len(tracks) == 2 and [t.id for t in tracks] == [1, 2]
    assert switches(tracks, frames, truth) == 0
    assert sum(t.observed.sum() for t in tracks) == sum(map(len, frames))


def test_the_picture_tells_who_is_who_where_boxes_would_exchange_people():
    """Both go so far in one frame that the first stands where the second was."""
    before, after = standing([(200, 180), (260, 180)]), standing([(255, 180), (315, 180)])
    picture = texture(1)
    pictures = [picture, np.roll(picture, 55, axis=1)]
    assert ids(PoseFlow(), [before, after], pictures) == [[1, 2], [1, 2]]
    assert ids(PoseFlow(matching=False), [before, after]) != [[1, 2], [1, 2]]


def test_points_of_neighbouring_pictures_say_nothing_of_who_was_not_in_the_last_frame():
    """The picture moves by the very way from where somebody was two frames ago to a newcomer."""
    far = (560, 180)
    frames = [standing([(120, 180), far]), standing([far]), standing([(175, 180), (615, 180)])]
    picture = texture(2)
    pictures = [picture, picture, np.roll(picture, 55, axis=1)]
    assert ids(PoseFlow(), frames, pictures) == [[1, 2], [2], [3, 2]]
    seen_before = [frames[0], frames[0], frames[2]]
    assert ids(PoseFlow(), seen_before, pictures) == [[1, 2], [1, 2], [1, 2]]


def test_pictures_without_texture_do_no_harm():
    frames = [standing([(200 + 4 * t, 180), (400 - 4 * t, 180)]) for t in range(20)]
    grey = [np.full((360, 640, 3), 128, np.uint8)] * len(frames)
    assert ids(PoseFlow(), frames, grey) == [[1, 2]] * 20


def test_shares_of_matches_are_those_of_a_picture_that_moves():
    picture, boxes = texture(3), np.array([[100.0, 100, 200, 260]])
    along = np.array([1, 0, 1, 0])
    matcher = OrbMatcher()
    here = matcher.features(picture, boxes + np.array([-60, -30, 60, 30]))
    moved = matcher.features(np.roll(picture, 40, axis=1), boxes + np.array([-20, -30, 100, 30]))
    matches = matcher.match(here, moved)
    apart = matches.now - matches.before
    assert len(apart) > 50 and np.mean(np.abs(apart - [40, 0]).max(1) < 3) > 0.9
    assert shared(matches, boxes, boxes + 40 * along)[0, 0] > 0.85
    assert shared(matches, boxes, boxes - 60 * along)[0, 0] < 0.1


@pytest.mark.parametrize(("gone", "same"), [(30, True), (99, True), (101, False)])
def test_who_comes_back_within_100_frames_is_the_same(gone, same):
    frames = [standing([(300, 180)])] * 10 + [nobody()] * (gone - 1) + [standing([(310, 180)])] * 10
    tracks = run(frames, link_s=100 / 30)
    assert len(tracks) == (1 if same else 2)
    if same:
        assert tracks[0].observed.sum() == 20 and len(tracks[0]) == gone + 19
        assert np.isnan(tracks[0].keypoints[10:-10]).all()


def test_one_two_and_thirty_people_are_all_kept():
    for count in (1, 2, 30):
        places = [(40 + 80 * (k % 6), 100 + 200 * (k // 6)) for k in range(count)]
        frames = [standing([(x + t, y) for x, y in places], 60) for t in range(5)]
        tracks = run(frames)
        assert len(tracks) == count and all(len(t) == 5 and t.observed.all() for t in tracks)


def test_an_empty_frame_one_frame_and_nobody():
    frames, times, pictures, truth = crossing()
    frames = list(frames)
    frames[10] = nobody(frames[0].skeleton)
    tracks = run(frames, pictures, fps=1 / times[1])
    assert len(tracks) == 2 and switches(tracks, frames, truth) == 0
    assert all(not t.observed[10] and t.observed[[9, 11]].all() for t in tracks)
    assert len(run(frames[:1], pictures[:1])) == len(frames[0])
    assert run([nobody()] * 4) == [] and run([]) == []


def test_a_joint_that_is_missing_and_a_body_without_any():
    frames = [standing([(300 + t, 180), (100, 180)]) for t in range(6)]
    for frame in frames[2:]:
        frame.keypoints[0, 5:] = np.nan
        frame.scores[0, 5:] = 0
    frames[4].keypoints[1] = np.nan
    frames[4].scores[1] = 0
    found = ids(PoseFlow(matching=False), frames)
    assert found == [[1, 2]] * 4 + [[1, -1], [1, 2]]


def test_frame_by_frame_is_the_same_as_the_clip_and_starts_anew():
    frames, times, pictures, _ = crossing()
    tracker = PoseFlow(suppress=False)
    told = ids(tracker, frames, pictures, 1 / times[1])
    tracks = tracker.track(frames, times, SIZE, lambda a, b: iter(pictures[a:b]))
    assert sorted(sum(i == number for row in told for i in row) for number in (1, 2)) == sorted(
        int(t.observed.sum()) for t in tracks
    )
    assert ids(tracker, frames[:3], pictures[:3]) == told[:3]


def test_who_was_seen_long_ago_is_forgotten():
    """A pool that grows with the clip is what made the published program take hours."""
    tracker = PoseFlow(matching=False)
    for t in range(2000):
        tracker.update(standing([(10_000 * (t % 50) + 300, 180)]), t / 30)
    assert len(tracker._flows) <= 101


def test_frames_are_wanted_only_for_matching_and_then_needed():
    assert PoseFlow().needs == ("frames",) and PoseFlow(matching=False).needs == ()
    with pytest.raises(ValueError, match="pictures"):
        PoseFlow().update(standing([(300, 180)]), 0.0)
    tracker = PoseFlow(matching=False)
    tracker.update(nobody(), 1.0)
    with pytest.raises(ValueError, match="follow"):
        tracker.update(nobody(), 1.0)


def doubled(frames, rng, missing=()):
    """Every person detected twice, a little apart; the second not in some frames."""
    out = []
    for t, frame in enumerate(frames):
        twin = (frame.keypoints + rng.normal(0, 1.0, frame.keypoints.shape)).astype(np.float32)
        keep = len(frame) if t not in missing else 0
        points = np.concatenate([frame.keypoints, twin[:keep]])
        scores = np.concatenate([frame.scores, frame.scores[:keep] * 0.5])
        boxes = np.concatenate([frame.boxes, frame.boxes[:keep]])
        out.append(Detections(frame.skeleton, boxes, np.full(len(points), 0.9, np.float32), points, scores))
    return out


def test_flows_on_one_person_become_one_with_mean_joints():
    plain = [standing([(200 + 3 * t, 180)]) for t in range(20)]
    frames = doubled(plain, np.random.default_rng(0))
    assert len(run(frames, suppress=False)) == 2
    (track,) = run(frames)
    wanted = np.stack([(2 * f.keypoints[0] + f.keypoints[1]) / 3 for f in frames])
    np.testing.assert_allclose(track.keypoints, wanted, atol=1e-3)
    np.testing.assert_allclose(track.scores, 0.9 * 0.75, atol=1e-6)


def test_flows_that_share_no_frame_are_joined_by_one_that_repeats_both():
    plain = [standing([(200 + 3 * t, 180)]) for t in range(30)]
    frames = doubled(plain, np.random.default_rng(1), missing=range(10, 20))
    assert len(run(frames, suppress=False, link_s=0.2)) == 3
    assert len(run(frames, link_s=0.2)) == 1


def test_people_who_meet_are_not_made_one():
    frames = [standing([(200 + 6 * t, 180), (380 - 6 * t, 184)]) for t in range(30)]
    assert len(run(frames)) == 2


def test_poses_are_alike_by_their_joints():
    frame = standing([(200, 180), (203, 180), (230, 180)])
    table = similarity(frame.keypoints.astype(float), frame.scores.astype(float))
    np.testing.assert_allclose(table[0], [1, 1, 0], atol=1e-9)
    frame.scores[1, :8] = 0
    frame.keypoints[1, :8] = np.nan
    table = similarity(frame.keypoints.astype(float), frame.scores.astype(float))
    assert table[0, 1] == pytest.approx(1)


def test_any_skeleton_that_detectors_have():
    joints, _ = people.walker(lambda t: np.stack([0.4 * t - 0.5, 5 + 0 * t], -1), np.arange(20) / 30)
    frames, _ = people.detect(joints[None], people.look(5, 1.5, focal=900), np.random.default_rng(0), missed=0)
    assert len(run(frames)) == 1
    assert len(run([only(frame, []) for frame in frames])) == 0
