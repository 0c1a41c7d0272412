"""How far joints may be off, against how far they are: few and many cameras, fast and slow errors of the detector."""

import numpy as np
import pytest
from several_views import SKELETON, drifting, ring, seen, walker

from multiview.known import reconstruct
from multiview.uncertainty import UNSEEN_M, expected_errors
from pipeline.skeletons import skeleton

TIMES = 90


def judged(cameras, fast, slow=0.0, seed=0):
    """The expected and the true mean error in m of somebody whom the cameras film with such noise in px."""
    truth, times = walker(TIMES), np.arange(TIMES) / 30
    keypoints, scores = seen(cameras, truth, fast, seed)
    random = np.random.default_rng(seed + 1)
    drift = np.cumsum(random.standard_normal(keypoints.shape), axis=1)  # a random walk, brought to its size
    keypoints += slow * drift / drift.std(axis=1, keepdims=True)
    found = reconstruct(cameras, keypoints, scores, times, skeleton(SKELETON)).motion.points
    expected = expected_errors(cameras, keypoints, scores, found, times)
    return expected.mean(), np.linalg.norm(found - truth, axis=-1).mean()


@pytest.mark.parametrize("count", [2, 3, 4, 8])
@pytest.mark.parametrize(("fast", "slow"), [(1.0, 0.0), (4.0, 0.0), (1.0, 4.0), (0.2, 2.0)])
def test_what_is_expected_is_what_comes_within_a_factor_of_two(count, fast, slow):
    cameras = ring(7)[:2] if count == 2 else ring(count)  # two of a ring of two face each other
    expected, true = judged(cameras, fast, slow)
    assert true / 2 < expected < 2 * true


def test_moving_cameras():
    expected, true = judged([drifting(camera, TIMES) for camera in ring(3)], 3.0)
    assert true / 2 < expected < 2 * true


def test_what_one_view_or_none_sees_is_as_sure_as_bones_hold_it():
    cameras, truth = ring(3), walker(12)
    keypoints, scores = seen(cameras, truth, 2.0)
    keypoints[1:, :, 5], scores[1:, :, 5] = np.nan, 0
    keypoints[:, :, 6], scores[:, :, 6] = np.nan, 0
    points = truth.copy()
    points[3, 9] = np.nan
    errors = expected_errors(cameras, keypoints, scores, points, np.arange(12) / 30)
    assert np.isnan(errors[3, 9]) and np.isfinite(np.delete(errors, 9, axis=1)).all()
    assert (errors[:, 5] > 5 * np.nanmedian(errors)).all() and (errors[:, 6] > errors[:, 5]).all()
    assert errors[0, 6] == pytest.approx(UNSEEN_M * 3**0.5 * 11 / 12)


def test_one_moment():
    cameras, truth = ring(4), walker(1)
    assert 0 < expected_errors(cameras, *seen(cameras, truth, 2.0), truth, np.zeros(1)).mean() < 0.02
