"""Losses of the lifters' papers, for batches of motions: predicted and true joints (B,T,J,3) in one unit.

Sources: VideoPose3D (Pavllo et al. 2019), MotionBERT (Zhu et al. 2023, with weights 1, 0.5 and 20 for position, scale
and velocity, 0 for limbs and angles). Between views: `training.consistency`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from pipeline.skeletons import skeleton

Bones = Sequence[tuple[int, int]]  # (parent, child)

LIMBS: Bones = skeleton("h36m-17").bones
# Pairs of limbs that meet in a joint. MotionBERT leaves out the neck with the left shoulder.
_OMITTED = {(8, 9), (8, 11)}
CORNERS = tuple(
    (a, b)
    for a, b in combinations(range(len(LIMBS)), 2)
    if set(LIMBS[a]) & set(LIMBS[b]) and {LIMBS[a], LIMBS[b]} != _OMITTED
)


def position(predicted: Tensor, target: Tensor) -> Tensor:
    """MPJPE: mean distance of the joints."""
    return (predicted - target).norm(dim=-1).mean()


def scale(predicted: Tensor, target: Tensor) -> Tensor:
    """N-MPJPE: mean distance after the best scale for every frame."""
    best = (target * predicted).sum((-2, -1), keepdim=True) / predicted.square().sum((-2, -1), keepdim=True)
    return position(best * predicted, target)


def velocity(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean distance of the joints' steps from frame to frame; 0 for single frames."""
    if predicted.shape[1] < 2:
        return predicted.sum() * 0
    return position(predicted.diff(dim=1), target.diff(dim=1))


def projection(predicted: Tensor, keypoints: Tensor, confidence: Tensor) -> Tensor:
    """MotionBERT's for 2D data: mean distance of x and y (B,T,J,2..3), each times its confidence (B,T,J,1)."""
    return (confidence * (predicted[..., :2] - keypoints[..., :2])).norm(dim=-1).mean()


def limb_variance(predicted: Tensor) -> Tensor:
    """Mean over limbs of the variance of their length over time (unbiased)."""
    return bone_lengths(predicted, LIMBS).var(dim=1).mean()


def limb_length(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean difference of the limbs' lengths, without its sign."""
    return (bone_lengths(predicted, LIMBS) - bone_lengths(target, LIMBS)).abs().mean()


def angle(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean difference of the angles between limbs that meet, in radians, without its sign."""
    return (angles(predicted) - angles(target)).abs().mean()


def angle_velocity(predicted: Tensor, target: Tensor) -> Tensor:
    """The same for the steps of the angles from frame to frame."""
    return (angles(predicted).diff(dim=1) - angles(target).diff(dim=1)).abs().mean()


def trajectory(predicted: Tensor, target: Tensor) -> Tensor:
    """VideoPose3D's for the root's path (B,T,1,3) in the camera's frame: distance, less important the farther away."""
    return ((predicted - target).norm(dim=-1) / target[..., 2]).mean()


def reprojection(joints: Tensor, keypoints: Tensor, lens: Tensor, distorted: bool = True) -> Tensor:
    """VideoPose3D's for people without truth: mean distance, on the screen, from what the camera sees (B,T,J,2).

    Args:
        joints: (B,T,J,3) m in the camera's frame, the root where it is.
        lens: (B,9) see `Camera.intrinsic`.
    """
    return position(project(joints, lens, distorted), keypoints)


def project(joints: Tensor, lens: Tensor, distorted: bool = True) -> Tensor:
    """`training.datasets.cameras.project` for batches: (B,T,J,3) through lenses (B,9) -> (B,T,J,2)."""
    focal, centre, radial, tangential = lens[:, None, None].split([2, 2, 3, 2], dim=-1)
    xy = (joints[..., :2] / joints[..., 2:]).clamp(-1, 1)
    if distorted:
        r2 = xy.square().sum(-1, keepdim=True)
        bent = 1 + (radial * torch.cat([r2, r2**2, r2**3], dim=-1)).sum(-1, keepdim=True)
        xy = xy * (bent + (tangential * xy).sum(-1, keepdim=True)) + tangential * r2
    return focal * xy + centre


def mean_bones(labelled: Tensor, unlabelled: Tensor, bones: Bones = LIMBS) -> Tensor:
    """VideoPose3D's soft constraint: bones of people without truth are as long, on average, as those with."""
    lengths = [bone_lengths(joints, bones).flatten(0, -2).mean(0) for joints in (labelled, unlabelled)]
    return (lengths[0] - lengths[1]).abs().mean()


def bone_lengths(joints: Tensor, bones: Bones) -> Tensor:
    """(...,J,3) -> (...,B)."""
    parents, children = zip(*bones, strict=True)
    return (joints[..., children, :] - joints[..., parents, :]).norm(dim=-1)


def angles(joints: Tensor) -> Tensor:
    """(...,17,3) -> (...,18) radians between limbs that meet; 1e-7 keeps gradients finite where limbs are parallel."""
    parents, children = zip(*LIMBS, strict=True)
    limbs = joints[..., parents, :] - joints[..., children, :]
    one, other = zip(*CORNERS, strict=True)
    cosine = torch.cosine_similarity(limbs[..., one, :], limbs[..., other, :], dim=-1)
    return cosine.clamp(-1 + 1e-7, 1 - 1e-7).acos()
