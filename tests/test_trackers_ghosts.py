"""What detectors find that is no person, or not long enough to be one: every tracker goes on and leaves it out."""

import numpy as np
import pytest
from boxed import SIZE, detections, frames_of, walker

from detectors.looking import detections as seen
from trackers.botsort import BotSort
from trackers.bytetrack import ByteTrack
from trackers.given import Given
from trackers.lighttrack import LightTrack
from trackers.ocsort import OCSort
from trackers.offline import OfflineTracker
from trackers.poseflow import PoseFlow

FRAMES, JOINTS, ANKLES = 60, 17, (15, 16)
MAKE = {
    "offline": OfflineTracker, "bytetrack": ByteTrack, "ocsort": OCSort, "lighttrack": LightTrack,
    "botsort": lambda: BotSort(camera_motion=False), "poseflow": lambda: PoseFlow(matching=False),
}  # fmt: skip
KINDS = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


def nonsense(random):
    """(17,2) px: anywhere, all joints in one spot, one joint alone, the ankles alone and in one spot, or nothing."""
    points = random.uniform(0, 200, (JOINTS, 2))
    kind = random.integers(5)
    if kind == 1:
        points[:] = 100
    if kind == 2:
        points[1:] = np.nan
    if kind == 3:
        points[: ANKLES[0]], points[list(ANKLES)] = np.nan, 50
    if kind == 4:
        points[:] = np.nan
    return points


@KINDS
@pytest.mark.filterwarnings("error")
def test_people_who_cannot_be_stop_nobody(make):
    random = np.random.default_rng(0)
    frames = []
    for _ in range(FRAMES):
        points = np.array([nonsense(random) for _ in range(random.integers(4))]).reshape(-1, JOINTS, 2)
        frames.append(seen("coco-17", points, np.isfinite(points).all(-1) * 0.9))
    for track in make().track(frames, np.arange(FRAMES) / 30, (200, 200)):
        assert np.isfinite(track.keypoints[track.scores > 0]).all()


@KINDS
def test_who_is_there_for_a_few_frames_is_a_ghost(make):
    here, blink = walker((300, 300), (2, 0), FRAMES), np.full((FRAMES, 4), np.nan)
    blink[30:35] = walker((900, 300), (0, 0), 5)
    tracks = make().track(frames_of([here, blink]), np.arange(FRAMES) / 30, SIZE)
    assert len(tracks) == 1 and np.nanmedian(tracks[0].boxes[:, 0]) < 700


@KINDS
def test_in_a_clip_of_few_frames_nobody_is(make):
    tracks = make().track(frames_of([walker((300, 300), (2, 0), 3)]), np.arange(3) / 30, SIZE)
    assert len(tracks) == 1


def test_ids_that_a_detector_gives_are_kept_however_short():
    boxes = np.stack([walker((300, 300), (2, 0), 30), walker((900, 300), (0, 0), 30)], axis=1)
    frames = [detections(boxes[k], 0.9, following=np.array([7, 9 if k == 12 else -1])) for k in range(30)]
    tracks = Given().track(frames, np.arange(30) / 30, SIZE)
    assert [(track.id, int(track.observed.sum())) for track in tracks] == [(7, 30), (9, 1)]
