"""The tracker that keeps the detector's own ids."""

import numpy as np
import pytest
from boxed import SIZE, detections, walker

from pipeline.errors import UsageError
from trackers.given import Given

PEOPLE = np.array([walker((300, 300), (2, 0), 10), walker((900, 300), (0, 0), 10, 300.0)])


def frames(ids):
    return [detections(PEOPLE[:, t], 0.9, following=np.array(ids[t], np.int32)) for t in range(10)]


def test_ids_are_kept_and_nobody_s_are_left_out():
    ids = [[7, 4]] * 5 + [[7, -1]] * 2 + [[7, 4]] * 3
    large, small = Given().track(frames(ids), np.arange(10) / 30, SIZE)
    assert (large.id, small.id) == (4, 7)
    assert small.observed.all() and np.flatnonzero(~large.observed).tolist() == [5, 6]
    np.testing.assert_allclose(small.boxes, PEOPLE[0], atol=1e-3)


def test_of_two_with_one_id_the_surer_is_taken():
    found = frames([[7, 7]] * 10)
    for frame in found:
        frame.box_scores[0] = 0.5
    (track,) = Given().track(found, np.arange(10) / 30, SIZE)
    np.testing.assert_allclose(track.boxes, PEOPLE[1], atol=1e-3)


def test_without_ids_it_says_so():
    none = [detections(PEOPLE[:, t], 0.9) for t in range(10)]
    for found in (none, frames([[-1, -1]] * 10)):
        with pytest.raises(UsageError, match="ids") as caught:
            Given().track(found, np.arange(10) / 30, SIZE)
        assert "offline" in caught.value.hint
    nobody = detections(np.zeros((0, 4)), 0.9)
    assert Given().track([nobody] * 3, np.arange(3), SIZE) == []
    assert Given().track([nobody, *frames([[1, 2]] * 10)], np.arange(11) / 30, SIZE)[0].frames[0] == 1
