"""LightTrack: key frames, poses in boxes between them, people lost and recognised by their pose."""

import numpy as np
import pytest
from crossings import SIZE, crossing, nobody, only, standing, switches

from checkpoints.card import card
from pipeline.boxes import iou
from pipeline.clip_stages import version
from pipeline.options import Options
from pipeline.report import provenance
from pipeline.results import Detections
from trackers.boxes import around_joints
from trackers.lighttrack import LightTrack

PICTURE = np.zeros((360, 640, 3), np.uint8)


def ids(tracker, frames, fps=30):
    tracker.reset()
    return [tracker.update(frame, t / fps).tolist() for t, frame in enumerate(frames)]


def run(frames, poses=None, fps=30, **options):
    tracker = LightTrack(**options)
    tracks = tracker.track(frames, np.arange(len(frames)) / fps, SIZE, pictures, poses)
    return tracks, tracker


def pictures(start, stop):
    """Whose brightness tells the number of the frame."""
    for number in range(start, stop):
        yield np.full_like(PICTURE, number)


def squatting(places):
    """As `standing`, with bent knees and an arm up."""
    frame = standing(places)
    for row, (x, y) in enumerate(places):
        bent = np.array([[-40, -80], [-45, -110], [-45, 5], [45, 5], [-20, 45], [20, 45]])
        frame.keypoints[row, [7, 9, 13, 14, 15, 16]] = bent + np.array([x, y])
    return frame


class Estimator:
    """Finds in each box the person of the frame who fits it best, as a detector's own `poses` would; counts calls."""

    def __init__(self, frames, unsure=(), score=0.95):
        self.frames, self.unsure, self.score = frames, unsure, score
        self.calls = []

    def __call__(self, given, boxes):
        assert len(given) == len(boxes) == 1 and boxes[0].shape[1:] == (4,)
        number = int(given[0][0, 0, 0])
        self.calls.append((number, len(boxes[0])))
        frame = self.frames[number]
        rows = np.argmax(np.nan_to_num(iou(boxes[0].astype(float), around_joints(frame))), axis=1)
        out = only(frame, rows)
        return [Detections(out.skeleton, out.boxes, out.box_scores, out.keypoints,
                           np.full_like(out.scores, 0.1 if number in self.unsure else self.score))]  # fmt: skip


def test_two_people_who_cross_keep_their_identities():
    frames, times, _, truth = crossing()
    tracks = LightTrack().track(frames, times, SIZE)
    assert len(tracks) == 2 and switches(tracks, frames, truth) == 0


def test_between_key_frames_people_are_where_the_detector_finds_them_in_boxes():
    frames = [standing([(200 + 3 * t, 180), (400, 180)]) for t in range(35)]
    estimator = Estimator(frames)
    tracks, tracker = run(frames, estimator)
    assert tracker.key_frames == 4 and [n for n, _ in estimator.calls] == [t for t in range(35) if t % 10]
    assert {count for _, count in estimator.calls} == {2}
    assert len(tracks) == 2
    for track in tracks:
        key = np.arange(35) % 10 == 0
        np.testing.assert_allclose(track.scores[key], 0.9, atol=1e-6)
        np.testing.assert_allclose(track.scores[~key], 0.95, atol=1e-6)


def test_detections_between_key_frames_do_not_count_where_the_detector_looks_into_boxes():
    frames = [standing([(200 + 3 * t, 180)]) for t in range(20)]
    estimator = Estimator(frames)
    told = [frame if t % 10 == 0 else nobody() for t, frame in enumerate(frames)]
    (track,), _ = run(told, estimator)
    assert track.observed.all() and len(track) == 20
    np.testing.assert_allclose(track.keypoints[:, 0, 0], 200 + 3 * np.arange(20), atol=1e-3)


def test_a_lost_target_makes_a_key_frame():
    frames = [standing([(200, 180)]) for _ in range(20)]
    estimator = Estimator(frames, unsure=(4,))
    (track,), tracker = run(frames, estimator)
    assert tracker.key_frames == 3  # 0, 4, 14
    assert [n for n, _ in estimator.calls] == [t for t in range(20) if t not in (0, 14)]
    np.testing.assert_allclose(track.scores[[3, 4, 5]], np.tile([[0.95], [0.9], [0.95]], 17), atol=1e-6)


@pytest.mark.parametrize("usual", [0.9, 0.3])
def test_lost_is_less_than_the_detector_usually_says(usual):
    frames = [standing([(200, 180)], score=usual) for _ in range(10)]
    (_,), tracker = run(frames, Estimator(frames, score=0.65 * usual))
    assert tracker.key_frames == 1
    (_,), tracker = run(frames, Estimator(frames, score=0.55 * usual))
    assert tracker.key_frames == 10


def test_two_people_found_in_one_place_make_a_key_frame():
    frames = [standing([(200 + 4 * t, 180), (400 - 4 * t, 180)]) for t in range(10)]
    one = [only(frame, [0]) for frame in frames]
    _, tracker = run(frames, Estimator(one))
    assert tracker.key_frames == 10
    _, tracker = run(frames, Estimator(frames))
    assert tracker.key_frames == 1


def test_newcomers_are_seen_from_the_next_key_frame_on():
    frames = [standing([(100, 180), (400, 180)] if t >= 3 else [(100, 180)]) for t in range(25)]
    tracks, _ = run(frames)
    assert [int(t.frames[0]) for t in tracks] == [0, 10]


def test_who_is_lost_is_recognised_by_pose_elsewhere():
    """Nobody overlaps with where they were: the poses have changed places with each other."""
    frames = [standing([(100, 180)])] * 3 + [nobody()] * 6 + [standing([(400, 180)], 200)] * 3
    assert ids(LightTrack(), frames)[-1] == [1]
    other = [*frames[:-3], *[squatting([(400, 180)])] * 3]
    assert ids(LightTrack(), other)[-1] == [2]
    both = [*frames[:-3], only_two((300, 180), (500, 180))]
    assert ids(LightTrack(), both)[-1] == [2, 1]


def only_two(squats, stands):
    one, other = squatting([squats]), standing([stands])
    values = [np.concatenate([getattr(f, n) for f in (one, other)]) for n in
              ("boxes", "box_scores", "keypoints", "scores")]  # fmt: skip
    return Detections("coco-17", *values)


@pytest.mark.parametrize(("gone", "same"), [(25, True), (40, False)])
def test_who_is_gone_for_long_is_somebody_new(gone, same):
    frames = [standing([(100, 180)])] * 3 + [nobody()] * gone + [standing([(110, 180)])] * 3
    assert ids(LightTrack(memory_s=1.0), frames)[-1] == ([1] if same else [2])


def test_an_empty_frame_one_frame_and_nobody():
    frames, times, _, truth = crossing()
    frames = list(frames)
    frames[7] = nobody()
    tracks = LightTrack().track(frames, times, SIZE)
    assert len(tracks) == 2 and switches(tracks, frames, truth) == 0
    assert all(not t.observed[7] and t.observed[[6, 8]].all() for t in tracks)
    assert len(run(frames[:1])[0]) == len(frames[0])
    assert run([nobody()] * 4)[0] == [] and run([])[0] == []


def test_a_body_without_joints_is_nobody():
    frames = [standing([(300, 180), (100, 180)]) for _ in range(4)]
    frames[0].keypoints[1] = np.nan
    frames[2].scores[1] = 0
    assert ids(LightTrack(every=1), frames) == [[1, -1], [1, 2], [1, -1], [1, 2]]


def test_what_it_needs_is_asked_for():
    frames = [standing([(200, 180)])] * 3
    with pytest.raises(ValueError, match="pictures"):
        LightTrack().track(frames, np.arange(3) / 30, SIZE, None, Estimator(frames))
    with pytest.raises(ValueError, match="2 poses in 1 boxes"):
        run(frames, lambda given, boxes: [standing([(200, 180), (300, 180)])])
    assert LightTrack.needs == ("frames", "poses")


def test_its_weights_are_told_and_count_in_the_key_of_its_tracks():
    told = provenance(Options(tracker="lighttrack"))["weights"]
    of = card("pose-similarity")
    assert told["pose-similarity"] == {"sha256": of.sha256, "licence": "Apache-2.0"}
    assert "pose-similarity" not in provenance(Options())["weights"]
    assert of.sha256 in version("tracker", "lighttrack", LightTrack.weights)
