"""Our own lifter's network: outputs of single frames, and the keypoints that it adds."""

import pytest
import torch

from lifters.networks.sighted import BODY, CONTACTS, INPUT, SightedModel


def network(widths: tuple[int, ...] = (3, 3, 3, 1)) -> SightedModel:
    torch.manual_seed(0)
    net = SightedModel(widths, 8, 16).double().eval()
    for value in net.parameters():
        if value.ndim < 2:  # norms and biases that are not 1 and 0
            value.data.uniform_(0.5, 1.5)
    return net


@torch.no_grad()
@pytest.mark.parametrize("stride", [1, 2, 3, 5, 9, 27])
@pytest.mark.parametrize("widths", [(3, 3, 3, 1), (3, 5, 1), (9, 3, 3, 1), (1, 3, 9)])
def test_a_stride_gives_the_very_frames_of_the_whole(stride, widths):
    net, x = network(widths), torch.randn(2, 130, len(INPUT), 3, dtype=torch.double)
    whole, some = net(x), net(x, stride)
    assert some[0].shape == (2, -(-(130 - net.receptive_field + 1) // stride), len(BODY), 3)
    assert some[1].shape[2] == CONTACTS
    for every, few in zip(whole, some, strict=True):
        torch.testing.assert_close(few, every[:, ::stride], atol=1e-12, rtol=0)


@torch.no_grad()
def test_a_joint_is_its_own_keypoint_times_what_that_is_worth():
    net, x = network(), torch.randn(1, 40, len(INPUT), 3, dtype=torch.double)
    net.head.weight.zero_()
    net.head.bias.zero_()
    for k, name in enumerate(BODY.joints):
        net.head.bias[INPUT.joints.index(name), 0, 3] = k
    joints, contacts = net(x)
    reach = net.receptive_field // 2
    for k, name in enumerate(BODY.joints):
        own = x[:, reach:-reach, INPUT.joints.index(name), :2]
        torch.testing.assert_close(joints[:, :, k, :2], k * own)
    assert not joints[..., 2].any() and not contacts.any()


def test_too_few_frames():
    with pytest.raises(ValueError, match="fewer than the receptive field, 27"):
        network()(torch.zeros(1, 26, len(INPUT), 3, dtype=torch.double))


@torch.no_grad()
def test_joints_learn_of_each_other_through_the_summary_alone():
    net, x = network(), torch.randn(1, 40, len(INPUT), 3, dtype=torch.double)
    moved, hand = x.clone(), INPUT.joints.index("left_hand")
    moved[:, :, hand] += 1
    differ = (net(x)[0] - net(moved)[0]).abs().amax(dim=(0, 1, 3)) > 1e-9
    assert differ.all()
    for block in net.blocks:
        block.spread.weight.zero_()
    differ = (net(x)[0] - net(moved)[0]).abs().amax(dim=(0, 1, 3)) > 1e-9
    assert [BODY.joints[k] for k in differ.nonzero()[:, 0]] == ["left_hand"]


def test_bad_widths():
    with pytest.raises(ValueError, match="odd"):
        SightedModel((3, 2))
