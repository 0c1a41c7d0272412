"""Kicks, lunges, balancing and bows: real bodies, standing feet that stand, limbs that go where they are sent."""

import numpy as np
import pytest

from pipeline.skeletons import skeleton
from studio.athletics import balance, kick, lunge, wild
from studio.body import Proportions, build_body
from studio.motions import Stand

BONES = skeleton("h36m-23")
TIMES = np.arange(120) / 30


def perform(*actions, seed: int = 0):
    body = build_body(Proportions.random(seed))
    figure = Stand((0.0, 0.0), 0.0, actions, seed=seed)(body, TIMES)
    return body, body.joints(figure), figure.contacts


@pytest.mark.parametrize("seed", range(6))
def test_bones_keep_their_length_and_standing_feet_their_place(seed):
    _, joints, contacts = perform(*wild(np.random.default_rng(seed), 4.0), seed=seed)
    for parent, child in BONES.bones:
        assert np.ptp(np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)) < 1e-9
    feet = joints[:, BONES.index("left_heel", "left_toe", "right_heel", "right_toe")]
    both = contacts[1:] & contacts[:-1]
    assert both.any() and np.linalg.norm(np.diff(feet, axis=0), axis=-1)[both].max() < 2e-3
    assert np.isfinite(joints).all() and joints[..., 2].min() > -0.1


def test_a_kick_reaches_its_height_and_comes_back():
    body, joints, contacts = perform(kick(0.5, side=1, height=1.1, aside=0.0, duration=1.5))
    ankle, heel = joints[:, BONES.index("right_ankle")[0]], contacts[:, 2]
    assert ankle[:, 2].max() == pytest.approx(1.1 * body.scale, abs=0.12) and ankle[:, 0].max() > 0.5
    np.testing.assert_allclose(ankle[-1], ankle[0], atol=0.02)
    assert heel[0] and heel[-1] and not heel[36]
    assert contacts[:, :2].all(), "the other foot stays"


def test_a_lunge_steps_out_and_sinks():
    _, joints, _ = perform(lunge(0.5, side=0, length=0.7, aside=np.pi / 2, depth=0.25, duration=2.5))
    ankle, pelvis = joints[:, BONES.index("left_ankle")[0]], joints[:, 0]
    assert np.ptp(ankle[:, 1]) == pytest.approx(0.7 * 1.0, abs=0.1)
    assert pelvis[0, 2] - pelvis[:, 2].min() > 0.2


def test_balancing_puts_the_weight_over_the_standing_foot():
    _, joints, _ = perform(balance(0.2, side=0, foot=(0.2, 0.1, 0.4), lean=0.2, duration=3.5))
    middle = joints[60]
    standing, pelvis = middle[BONES.index("right_ankle")[0]], middle[0]
    assert abs(pelvis[1] - standing[1]) < 0.06 and middle[BONES.index("left_ankle")[0], 2] > 0.4
