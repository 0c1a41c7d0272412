"""Our box trackers against those of Roboflow's library `trackers`, where that is installed.

Its import name is that of our own room, so it runs in a process of its own, outside of the repository. It is looked
for in this environment, or in the folder that VIDEOPOSE_ORACLES names:

    pip install --target oracles -r requirements-oracles.txt
    VIDEOPOSE_ORACLES=oracles python -m pytest tests/test_trackers_oracle.py
"""

import json
import os
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from boxed import frames_of, walker
from scipy.optimize import linear_sum_assignment

from studio.scenes import build
from trackers.botsort import BotSort
from trackers.boxes import boxes_and_scores
from trackers.bytetrack import ByteTrack
from trackers.kalman import WidthHeight
from trackers.ocsort import OCSort

THEIRS = """
import json, sys
import numpy as np, supervision as sv, trackers
asked = json.load(sys.stdin)
tracker = getattr(trackers, asked["name"])(**asked["options"])
out = []
for boxes, scores in asked["frames"]:
    rows = np.arange(len(boxes))
    found = sv.Detections(np.array(boxes, float).reshape(-1, 4), confidence=np.array(scores, float), data={"row": rows})
    found = tracker.update(found)
    ids = np.full(len(rows), -1)
    if len(found):
        ids[found.data["row"]] = found.tracker_id
    out.append(ids.tolist())
json.dump(out, sys.stdout)
"""


def location():
    """The folder of packages that holds the library."""
    named = os.environ.get("VIDEOPOSE_ORACLES")
    found = list(metadata.distributions(name="trackers", **({"path": [named]} if named else {})))
    if not found:
        assert not named, f"no library `trackers` in {named}"
        pytest.skip("the library `trackers` is not installed: requirements-oracles.txt")
    return Path(found[0].locate_file("")).resolve()


def theirs(name, frames, folder, **options):
    """Per frame, the ids that the library gives."""
    asked = {"name": name, "options": options, "frames": [[b.tolist(), s.tolist()] for b, s in frames]}
    environment = {**os.environ, "PYTHONPATH": str(location()), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", THEIRS], cwd=folder, env=environment, input=json.dumps(asked),
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [np.array(ids, int) for ids in json.loads(done.stdout)]


def agreement(one, other):
    """Share of the detections of both that are the same people under the best renaming, and of all that one has."""
    a, b = np.concatenate(one), np.concatenate(other)
    both = (a >= 0) & (b >= 0)
    names, others = np.unique(a[both], return_inverse=True)[1], np.unique(b[both], return_inverse=True)[1]
    table = np.zeros((names.max() + 1, others.max() + 1))
    np.add.at(table, (names, others), 1)
    return table[linear_sum_assignment(-table)].sum() / both.sum(), both.sum() / max((a >= 0).sum(), (b >= 0).sum())


class KeepsSizes(WidthHeight):
    """The library does not stop the size of who is lost, as the authors of BoT-SORT do."""

    sizes = ()


class SameAsTheirs(BotSort):
    filter = KeepsSizes()


class SeesTwice(OCSort):
    """The library takes the box of somebody who is found again twice: at the end of the virtual trajectory, and once
    more; with the paper's equations it is seen once."""

    def _reupdate(self, target, box, now):
        was_lost = bool(target.missed)
        super()._reupdate(target, box, now)
        if was_lost:
            self.filter.put([target], *self.filter.update(*self.filter.stacked([target]), box[None]))


@cache
def scene(seed):
    return build("crossing4", seed=seed).truth()


def crossing(seed, noise, drop):
    truth = scene(seed)
    return truth.detections(noise, drop, seed, least=0.15), truth.times


def compared(tracker, name, seed, noise, drop, folder, **options):
    detections, times = crossing(seed, noise, drop)
    frames = [boxes_and_scores(found) for found in detections]
    ours = [tracker.update(found, time) for found, time in zip(detections, times, strict=True)]
    return agreement(ours, theirs(name, frames, folder, **options))


@pytest.mark.parametrize(("seed", "noise", "drop"), [(0, 4, 0.05), (1, 4, 0.05), (2, 8, 0.15)])
def test_botsort_is_theirs_detection_for_detection(seed, noise, drop, tmp_path):
    location()
    tracker = SameAsTheirs(camera_motion=False)
    same, covered = compared(tracker, "BoTSORTTracker", seed, noise, drop, tmp_path, enable_cmc=False)
    assert same == 1 and covered == 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ocsort_gives_the_same_people(seed, tmp_path):
    """The library is silent for some frames after each loss, so it names fewer of the detections."""
    location()
    same, covered = compared(SeesTwice(), "OCSORTTracker", seed, 4, 0.05, tmp_path)
    assert same == 1 and covered > 0.7


def test_bytetrack_gives_the_same_people_where_nobody_is_hidden(tmp_path):
    """The library's ByteTrack has another filter and other gates; it agrees where these do not matter."""
    location()
    rng = np.random.default_rng(3)
    walkers = [walker((100 + 150 * k, 200), (3, 0.5 * k), 120) for k in range(5)]
    detections = frames_of(walkers, scores=0.9, noise=1.0, rng=rng)
    frames = [boxes_and_scores(found) for found in detections]
    given = theirs("ByteTrackTracker", frames, tmp_path, track_activation_threshold=0.6, high_conf_det_threshold=0.5)
    tracker = ByteTrack()
    ours = [tracker.update(found, k / 30) for k, found in enumerate(detections)]
    same, covered = agreement(ours, given)
    assert same == 1 and covered > 0.98
