"""The offline tracker: identities through crossings, births and deaths, duplicates, ghosts."""

import json
from pathlib import Path

import numpy as np
import people
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.choices import chosen_class
from pipeline.errors import UsageError
from pipeline.results import Detections
from trackers.cutting import cut
from trackers.linking import link
from trackers.offline import OfflineTracker
from trackers.pool import gather

SIZE = (1280, 720)
CAMERA = people.look(5, 1.5, focal=900)
DATA = Path(__file__).parents[2] / "shared" / "data"


def crossing(seed, seconds=12, fps=30, count=4):
    """Walkers that go to and fro at different distances: joints (P,T,23,3), times."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * fps)) / fps
    found = []
    for k in range(count):
        phase, rate, wide, deep = rng.uniform((0, 0.5, 1.2, 0), (6.28, 0.9, 2.0, 0.5))

        def path(t, phase=phase, rate=rate, wide=wide, deep=deep, away=4 + 0.9 * k):
            return np.stack([wide * np.sin(rate * t + phase), away + deep * np.sin(0.7 * rate * t + phase)], -1)

        found.append(people.walker(path, times, rng.uniform(1.55, 1.9))[0])
    return np.stack(found), times


def owners(tracks, detections):
    """Per frame, the id of the track that took each detection (0 none)."""
    out = []
    for t, frame in enumerate(detections):
        ids = np.zeros(len(frame), int)
        for track in tracks:
            k = t - track.frames[0]
            if 0 <= k < len(track) and track.observed[k]:
                same = np.abs(frame.keypoints - track.keypoints[k]).max((1, 2)) < 1e-3
                ids[same] = track.id
        out.append(ids)
    return out


def switches(tracks, detections, truth):
    """How often a person's detections pass from one track to another."""
    last, count = {}, 0
    for ids, persons in zip(owners(tracks, detections), truth, strict=True):
        for person, number in zip(persons, ids, strict=True):
            if number:
                count += last.setdefault(person, number) != number
                last[person] = number
    return count


def people_at(joints, seed=0, **options):
    return people.detect(joints, CAMERA, np.random.default_rng(seed), **options)


def line(start, velocity, seconds=4.0, fps=30):
    times = np.arange(int(seconds * fps)) / fps
    path = lambda t: np.array(start) + np.outer(t, velocity)  # noqa: E731
    return people.walker(path, times)[0], times


def track(detections, times, **options):
    return OfflineTracker(**options).track(detections, times, SIZE)


@pytest.mark.parametrize("seed", [1, 2, 3, 5, 6])
def test_four_people_who_cross_keep_their_identities(seed):
    joints, times = crossing(seed)
    detections, truth = people_at(joints, seed)
    tracks = track(detections, times)
    hidden = sum(len(t) < 4 for t in truth)
    assert hidden > 30, "the scene must hide people, or it proves nothing"
    assert len(tracks) == 4
    assert switches(tracks, detections, truth) == 0


def test_the_hints_alone_would_fail():
    """The following ids of the made-up detector really are wrong at crossings."""
    joints, _ = crossing(1)
    detections, truth = people_at(joints, 1)
    seen = {}
    wrong = 0
    for frame, persons in zip(detections, truth, strict=True):
        for hint, person in zip(frame.following, persons, strict=True):
            wrong += seen.setdefault(int(hint), person) != person
    assert wrong > 50


@pytest.mark.slow
def test_the_studio_scene_with_four_actors_has_no_switch():
    scenes = pytest.importorskip("studio.scenes")
    truth = scenes.build("crossing4").truth()
    for seed, (noise, drop) in enumerate([(4, 0.05), (8, 0.15)]):
        detections = truth.detections(noise, drop, seed)
        persons = [
            np.linalg.norm(d.keypoints[:, None] - truth.keypoints[0, :, t][None], axis=-1).mean(-1).argmin(1)
            for t, d in enumerate(detections)
        ]
        tracks = track(detections, truth.times)
        assert len(tracks) == 4
        assert switches(tracks, detections, persons) == 0


def test_birth_and_death_are_right_to_the_frame():
    joints, times = line((-1, 5), (0.5, 0))
    detections, _ = people_at(joints[None], missed=0)
    for t in [*range(13), *range(97, len(times))]:
        detections[t] = people._frame([], np.zeros(1))
    (found,) = track(detections, times)
    assert (found.frames[0], found.frames[-1]) == (13, 96)
    assert found.observed.all() and len(found) == 84


@settings(max_examples=15)
@given(st.integers(5, 60), st.integers(1, 60))
def test_gaps_up_to_the_limit_are_one_person(begin, length):
    joints, times = line((-1.5, 5), (0.8, 0.0), seconds=5)
    detections, _ = people_at(joints[None], missed=0)
    for t in range(begin, begin + length):
        detections[t] = people._frame([], np.zeros(1))
    (found,) = track(detections, times)
    assert not found.observed[begin : begin + length].any() and found.observed.sum() == len(times) - length
    assert np.isnan(found.keypoints[begin : begin + length]).all()
    assert (found.scores[begin : begin + length] == 0).all()
    np.testing.assert_array_equal(found.frames, np.arange(len(times)))


def test_a_gap_beyond_the_limit_is_two_tracks():
    joints, times = line((-1.5, 5), (0.4, 0.0), seconds=8)
    detections, _ = people_at(joints[None], missed=0)
    for t in range(60, 180):
        detections[t] = people._frame([], np.zeros(1))
    assert len(track(detections, times, max_gap_s=2.5)) == 2
    assert len(track(detections, times, max_gap_s=5.0)) == 1


@settings(max_examples=5)
@given(st.randoms(use_true_random=False))
def test_the_order_of_detections_does_not_matter(random):
    joints, times = crossing(1, seconds=2)
    detections, _ = people_at(joints, 1)
    mixed = []
    for frame in detections:
        order = list(range(len(frame)))
        random.shuffle(order)
        rows = {k: v[order] for k, v in vars(frame).items() if isinstance(v, np.ndarray)}
        mixed.append(Detections(frame.skeleton, **rows))
    plain, other = track(detections, times), track(mixed, times)
    assert len(plain) == len(other)
    for a, b in zip(plain, other, strict=True):
        np.testing.assert_array_equal(a.keypoints, b.keypoints)


def test_a_jump_from_a_height_is_one_track():
    """Free fall and landing in a quarter of a second, lost for some frames on the way."""
    joints, times = line((-0.5, 5), (0.3, 0), seconds=3)
    fall = np.clip(times - 1.0, 0, 0.6)
    joints = joints + np.stack([1.5 * fall, 0 * fall, 1.8 - 4.9 * fall**2], -1)[:, None]
    detections, _ = people_at(joints[None], missed=0)
    for t in range(36, 44):
        detections[t] = people._frame([], np.zeros(1))
    assert len(track(detections, times)) == 1


def test_two_detections_of_one_person_are_one():
    joints, times = line((-1, 5), (0.5, 0))
    detections, _ = people_at(np.stack([joints, joints]), noise=0.004, missed=0)
    for frame in detections:
        frame.scores[:] = 0.9
    assert len(track(detections, times)) == 1


def test_a_ghost_of_a_few_frames_and_a_faint_one_are_dropped():
    joints, times = line((-1, 5), (0.5, 0))
    ghost, _ = line((1.5, 6), (0, 0))
    both, _ = people_at(np.stack([joints, ghost]), missed=0)
    alone, _ = people_at(joints[None], missed=0)
    brief = [both[t] if 40 <= t < 45 else alone[t] for t in range(len(times))]
    assert len(track(brief, times)) == 1
    for t, frame in enumerate(both):
        far = frame.keypoints[:, :, 0].mean(1) > both[t].keypoints[:, :, 0].mean()
        frame.box_scores[far] = 0.1
    assert len(track(both, times)) == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_single_picture_keeps_everybody(count):
    joints, _ = crossing(2, seconds=1, count=count)
    spread = joints + np.array([2.2, 0, 0]) * np.arange(count)[:, None, None, None]
    detections, _ = people_at(spread[:, :1], missed=0, wrong_hint=False)
    tracks = track(detections, np.zeros(1))
    assert len(tracks) == len(detections[0]) >= 1
    assert [t.id for t in tracks] == list(range(1, len(tracks) + 1))


def test_nobody_and_an_empty_clip():
    nobody = people._frame([], np.zeros(1))
    assert track([nobody] * 5, np.arange(5) / 30) == []
    assert track([], np.zeros(0)) == []
    with pytest.raises(ValueError, match="times"):
        track([nobody], np.arange(3))


def test_uneven_and_low_frame_rates():
    for fps in (5, 10):
        joints, times = line((-1.5, 5), (0.7, 0), seconds=6, fps=fps)
        other, _ = line((1.5, 6.5), (-0.6, 0), seconds=6, fps=fps)
        detections, truth = people_at(np.stack([joints, other]), 3)
        tracks = track(detections, times)
        assert len(tracks) == 2 and switches(tracks, detections, truth) == 0


def test_a_long_clip_is_fast():
    import time

    joints, _ = crossing(5, seconds=10, count=2)
    detections, _ = people_at(joints, 5)
    many = (detections + detections[::-1]) * 10  # five minutes; linear in time
    times = np.arange(len(many)) / 30
    begin = time.process_time()
    assert len(track(many, times)) >= 2
    assert (time.process_time() - begin) / len(many) < 0.005


def test_load_by_name():
    assert chosen_class("tracker", "offline") is OfflineTracker
    with pytest.raises(UsageError, match="offline"):
        chosen_class("tracker", "nonsense")


def openpose_frames(camera):
    """The two people of a real clip, as another program detected them: BODY_25B, of which COCO's 17 come first."""
    folder = DATA / "balance_4views" / "openpose_json" / f"{camera}_json"
    if not folder.is_dir():
        pytest.skip(f"real detections are not here: {folder}")
    frames = []
    for path in sorted(folder.glob("*.json")):
        people_2d = json.loads(path.read_text())["people"]
        points = np.array([p["pose_keypoints_2d"] for p in people_2d], np.float32).reshape(len(people_2d), -1, 3)[
            :, :17
        ]
        known = points[..., 2:] > 0
        xy = np.where(known, points[..., :2], np.nan)
        low, high = np.nanmin(xy, axis=1), np.nanmax(xy, axis=1)
        boxes = np.concatenate([low, high], 1).reshape(-1, 4)
        frames.append(Detections("coco-17", boxes, points[..., 2].mean(1), xy, points[..., 2]))
    return frames


@pytest.mark.parametrize("camera", ["cam01", "cam02"])
def test_the_bystander_never_becomes_the_man(camera):
    detections = openpose_frames(camera)
    tracks = OfflineTracker().track(detections, np.arange(len(detections)) / 60, (1080, 1920))
    assert len(tracks) == 2
    man, other = tracks
    assert len(man) == len(other) == len(detections)
    assert man.observed.mean() > 0.95 and other.observed.mean() > 0.95
    apart = np.subtract(*(np.nanmedian(t.keypoints[man.observed & other.observed, :, 0], axis=1) for t in tracks))
    assert (np.sign(apart) == np.sign(apart[0])).all() and np.abs(apart).min() > 100


@pytest.mark.parametrize(("unseen", "pieces"), [(range(0), 2), (range(55, 66), 4)])
def test_a_leap_of_a_pose_is_doubtful_only_where_it_could_be_somebody_elses(unseen, pieces):
    """Who is seen elsewhere in the same frames cannot have been taken for one; who is unseen just then can."""
    joints = np.stack([line((-1.5, 5), (0, 0))[0], line((1.2, 5), (0, 0))[0]])
    detections, truth = people_at(joints, missed=0, wrong_hint=False)
    for number, (frame, who) in enumerate(zip(detections, truth, strict=True)):
        if number >= 60:
            points = frame.keypoints[who == 0]
            middle = points.mean(1, keepdims=True)
            frame.keypoints[who == 0] = 0.8 * (points - middle) @ [[0.83, 0.56], [-0.56, 0.83]] + middle
        if number in unseen:
            frame.keypoints[who == 1] = np.nan
    times = np.arange(len(detections)) / 30
    pool = gather(detections, times)
    assert len(cut(pool, link(pool, times))) == pieces
