"""Losses against numbers of the published implementations, and against their definitions in plain loops."""

import numpy as np
import pytest
import torch
from published import signed

from training import losses

SHAPE = (2, 9, 17, 3)


def tensor(name, shape=SHAPE):
    return torch.from_numpy(signed(name, shape))


def test_published_values():
    predicted, target = tensor("pred"), tensor("target")
    values = {
        losses.position(predicted, target): 1.382095074843698,
        losses.scale(predicted, target): 0.959270672960734,
        losses.velocity(predicted, target): 1.938313958254854,
        losses.limb_variance(predicted): 0.2553826690821757,
        losses.limb_length(predicted, target): 0.5438610408834021,
        losses.angle(predicted, target): 0.6263708055698276,
        losses.angle_velocity(predicted, target): 0.8733193556960264,
        losses.projection(predicted, target, tensor("conf", (2, 9, 17, 1))): 0.5115551233915214,
    }
    for value, published in values.items():
        assert value.item() == pytest.approx(published, abs=1e-9)


def test_the_path_counts_less_far_away():
    predicted, target = tensor("path", (2, 5, 1, 3)), tensor("root", (2, 5, 1, 3)) + torch.tensor([0, 0, 4.0])
    apart = np.linalg.norm((predicted - target).numpy(), axis=-1) / target[..., 2].numpy()
    assert losses.trajectory(predicted, target).item() == pytest.approx(apart.mean(), abs=1e-12)


def test_people_without_truth_have_bones_of_usual_length():
    labelled, unlabelled = tensor("pred"), tensor("target", (5, 9, 17, 3))
    expected = [
        abs(np.linalg.norm((labelled[:, :, c] - labelled[:, :, p]).numpy(), axis=-1).mean()
            - np.linalg.norm((unlabelled[:, :, c] - unlabelled[:, :, p]).numpy(), axis=-1).mean())
        for p, c in losses.LIMBS
    ]  # fmt: skip
    assert losses.mean_bones(labelled, unlabelled).item() == pytest.approx(np.mean(expected), abs=1e-12)
    assert losses.mean_bones(labelled, labelled).item() == 0


def test_gradients_stay_finite_where_limbs_are_parallel():
    straight = torch.zeros(1, 4, 17, 3, dtype=torch.float64)
    straight[..., 2] = torch.arange(17.0)
    straight.requires_grad_()
    losses.angle(straight, tensor("target", (1, 4, 17, 3))).backward()
    assert torch.isfinite(straight.grad).all()


def test_single_frames_have_no_velocity():
    one = tensor("pred")[:, :1].requires_grad_()
    losses.velocity(one, tensor("target")[:, :1]).backward()
    assert (one.grad == 0).all()
