"""The benchmark of trackers: labels as they are drawn, what a tracker is given, what is counted."""

import json
from pathlib import Path

import numpy as np
import people
import pytest

from benchmarks import trackers
from benchmarks.trackers_clips import LABELS, SCENES, Case, labelled
from pipeline.errors import InputError
from pipeline.results import Track2D
from studio.scenes import SCENES as ALL
from studio.write import main as film
from training.datasets.tracked import people as sightings

DRAWN = {"clip": "a.mp4", "size": [64, 48], "every": 10, "frames": {
    "0": [{"id": 1, "box": [0, 0, 10, 20], "difficult": False}], "10": [],
    "20": [{"id": 1, "box": [5, 0, 15, 20], "difficult": True}, {"id": 2, "box": [30, 0, 40, 20], "difficult": False}],
}}  # fmt: skip


def test_labels_are_read_and_frames_without_anybody_count():
    truth = labelled(DRAWN, (64, 48), 30)
    np.testing.assert_array_equal(truth.frames, [0, 10, 20])
    np.testing.assert_array_equal(truth.frame, [0, 20, 20])
    np.testing.assert_array_equal(truth.ids, [1, 1, 2])
    np.testing.assert_array_equal(truth.ignored, [False, True, False])
    np.testing.assert_array_equal(truth.boxes[2], [30, 0, 40, 20])


@pytest.mark.parametrize("size, frames", [((48, 64), 30), ((64, 48), 20)])
def test_labels_of_another_clip_are_refused(size, frames):
    with pytest.raises(InputError, match=r"a\.mp4"):
        labelled(DRAWN, size, frames)


@pytest.mark.parametrize("path", sorted(LABELS.glob("*.json")), ids=lambda path: path.stem)
def test_the_labels_kept_here_are_boxes_in_their_pictures(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    frames = sorted(map(int, content["frames"]))
    truth = labelled(content, tuple(content["size"]), frames[-1] + 1)
    np.testing.assert_array_equal(np.diff(frames), content["every"])
    assert (truth.boxes[:, :2] < truth.boxes[:, 2:]).all()
    assert (truth.boxes >= 0).all() and (truth.boxes[:, 2:] <= content["size"]).all()
    assert (~truth.ignored).sum() > 10 and Path(content["clip"]).stem == path.stem


def test_there_are_labels_and_six_scenes():
    assert {path.stem for path in LABELS.glob("*.json")} >= {"one_by_one", "roof_jump_crossing"}
    assert len(SCENES) == 6 and set(SCENES) <= set(ALL)


class Keeps:
    """A tracker that says what it was told to, and notes what it was given."""

    needs = ("frames", "poses")
    given = ()

    def track(self, detections, times, size, frames=None, poses=None):
        Keeps.given = (len(detections), len(times), size, next(iter(frames(0, 1))).shape, poses)
        return detections


def test_a_tracker_gets_what_it_needs_and_its_short_gaps_are_filled(tmp_path, monkeypatch):
    film("walk", tmp_path / "clip.mp4", seconds=0.5, fps=30, size=(64, 48))
    times = np.arange(15) / 30
    joints, _ = people.walker(lambda t: np.stack([-0.3 + t, 4 + 0 * t], -1), times)
    _, track = people.observe(joints, people.look(), times)
    seen = track.observed.copy()
    seen[5:8] = False
    points = np.where(seen[:, None, None], track.keypoints, np.nan)
    told = Track2D(3, track.skeleton, track.frames, points, track.scores * seen[:, None], seen, track.boxes)
    truth = sightings(
        np.arange(15), np.arange(15), np.ones(15, int), skeleton=track.skeleton, keypoints=track.keypoints,
        joint_scores=np.ones(track.scores.shape),
    )  # fmt: skip
    monkeypatch.setattr(trackers, "chosen_class", lambda kind, name: Keeps)
    case = Case("walk", truth, [told], times, (64, 48), lambda: tmp_path / "clip.mp4", None)
    found = trackers.measure("keeps", case)
    assert Keeps.given == (1, 15, (64, 48), (48, 64, 3), None)
    assert (found["missed"], found["mota"], found["idf1"]) == (0, 1, 1), "three frames in between are filled"
    assert found["frames"] == 15 and found["seconds"] > 0


def test_nobody_tracked_is_everybody_missed():
    found = trackers.as_tracked([], 4)
    assert len(found) == 0 and len(found.frames) == 4
