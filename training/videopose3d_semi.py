"""VideoPose3D's semi-supervised recipe (Pavllo et al., CVPR 2019, section 4).

    python videopose.py train videopose3d-semi --data h36m/ --set labelled=S1 --set subset=0.1

Of some people the 3D is known, of others the 2D and the lens alone. A second network of the same form says where in
front of the camera the root is; both learn from those whose 3D is known. Pose and path together, seen through the lens,
must give the 2D of the others, and the others' bones must be as long on average: from an epoch on, since both mislead
a network that knows nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from lifters.networks.videopose3d import TemporalModel
from pipeline.errors import InputError, UsageError
from training import losses, videopose3d_h36m
from training.datasets.clips import shortened
from training.datasets.sequence import Sequence
from training.loop import Losses, Stage, teach
from training.run import Run, command, start
from training.tracks import Tracks, Windows, around, read

STAGES = ("lifter",)


@dataclass(frozen=True)
class Options(videopose3d_h36m.Options):
    """The hyper-parameters of the paper's smallest set of labels, a tenth of subject 1; windows of 27 frames."""

    widths: tuple[int, ...] = (3, 3, 3)
    batch: int = 64  # windows of known 3D, and as many others
    epochs: int = 200  # over the windows of known 3D
    decay: float = 0.98
    labelled: tuple[str, ...] = ("S1",)  # subjects whose 3D is known
    unlabelled: tuple[str, ...] = ()  # subjects whose 3D is not looked at; none named: all others trained on
    subset: float = 0.1  # share of every labelled video, one stretch of it
    downsample: int = 1  # keeps every n-th frame of all videos
    warmup: int = 5  # epochs that learn from known 3D alone
    projection: bool = True  # the loss on the screen
    distortion: bool = True  # of the lens, in that loss
    bone_length: bool = True  # the loss of mean bone lengths


def small(options: Options) -> Options:
    """The same in seconds, to see that it learns."""
    return replace(
        options, widths=(3, 3), channels=256, dropout=0.0, batch=64, epochs=24, warmup=4, learning_rate=2e-3,
        decay=0.9, momentum=(0.1, 0.02), epoch_windows=3840, cameras=2, subset=0.2,
    )  # fmt: skip


class PoseAndPath(nn.Module):
    """The network for the pose and the one for the root's path, which learn together."""

    def __init__(self, pose: TemporalModel, path: TemporalModel) -> None:
        super().__init__()
        self.pose, self.path = pose, path

    def forward(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """Windows (B,T,J,2) -> root-relative joints (B,1,17,3), root (B,1,1,3), metres in the camera's frame."""
        return self.pose.forward_strided(keypoints)[0], self.path.forward_strided(keypoints)[0]


def train(options: Options, run: Run) -> Path:
    """Returns the path of `lifter.bin`, which holds the pose's weights (`model_pos`) and the path's (`model_traj`).

    Raises:
        InputError: data that cannot be used, no such subjects, or nothing to resume.
        UsageError: no such device, or 2D of other joints than Human3.6M's.
    """
    fabric = start(run, STAGES)
    known, others = people(options, list(read(options.data, "train", options.keypoints, options.cameras)))
    torch.manual_seed(run.seed)
    stage = both(options, Tracks(known, fabric.device), Tracks(others, fabric.device))
    return teach(fabric, run, stage, "videopose3d-semi", options)


def people(options: Options, sequences: list[Sequence]) -> tuple[Iterator[Sequence], Iterator[Sequence]]:
    """Videos of known 3D, cut to the subset, and the others. Raises InputError and UsageError as `train`."""
    there = sorted({sequence.subject for sequence in sequences})
    unlabelled = options.unlabelled or tuple(name for name in there if name not in options.labelled)
    absent = [name for name in (*options.labelled, *unlabelled) if name not in there]
    if absent or not unlabelled or not options.labelled or set(unlabelled) & set(options.labelled):
        what = f"no subjects {', '.join(absent)}" if absent else "no two groups of subjects"
        raise InputError(f"{what} in {options.data}", f"trained on: {', '.join(there)}", "labelled=... unlabelled=...")
    if options.projection and sequences[0].skeleton_2d != sequences[0].skeleton_3d:
        raise UsageError(
            f"{options.keypoints} are not the joints that are lifted", "the loss on the screen compares them",
            "projection=no, or other keypoints",
        )  # fmt: skip

    def take(names: tuple[str, ...], share: float) -> Iterator[Sequence]:
        return (shortened(some, share, options.downsample) for some in sequences if some.subject in names)

    return take(options.labelled, options.subset), take(unlabelled, 1.0)


def both(options: Options, known: Tracks, others: Tracks) -> Stage:
    """How both networks learn: an epoch goes over the windows of known 3D, the others are drawn beside them."""
    network = PoseAndPath(*(videopose3d_h36m.build(options, len(known.mirror_2d), joints) for joints in (17, 1)))
    optimiser = torch.optim.Adam(network.parameters(), lr=options.learning_rate, amsgrad=True, fused=True)
    offsets = around(network.pose.receptive_field, causal=options.causal)
    frame, warm = int((offsets == 0).nonzero()), False

    def draw(rows: Tensor, random: Generator) -> tuple[Windows, Windows]:
        beside = torch.randint(others.samples, (len(rows),), generator=random, device=rows.device)
        return known.windows(rows, offsets), others.windows(beside, offsets)

    def loss(wrapped: nn.Module, drawn: tuple[Windows, Windows]) -> Losses:
        seen, unseen = drawn
        joints, roots = wrapped(torch.cat([seen.keypoints, unseen.keypoints]))
        (pose, new_pose), (path, new_path) = joints.split(len(seen.keypoints)), roots.split(len(seen.keypoints))
        position = losses.position(pose, seen.relative[:, frame, None])
        trajectory = losses.trajectory(path, seen.joints[:, frame, None, :1])
        screen = losses.reprojection(
            new_pose + new_path, unseen.keypoints[:, frame, None], unseen.lens, options.distortion
        )
        bones = losses.mean_bones(pose, new_pose)
        weights = (1.0, 1.0, float(warm and options.projection), float(warm and options.bone_length))
        parts = {"position": position, "trajectory": trajectory, "reprojection": screen, "bones": bones}
        counted = [weight * part for weight, part in zip(weights, parts.values(), strict=True) if weight]
        return {"loss": torch.stack(counted).sum()} | parts

    def on_epoch(epoch: int) -> None:
        nonlocal warm
        warm = epoch >= options.warmup
        for part in (network.pose, network.path):
            part.set_momentum(videopose3d_h36m.momentum(options, epoch))

    return Stage(
        STAGES[0], network, optimiser, known.samples, draw, loss, options.batch, options.epochs, options.decay,
        options.epoch_windows, options.steps, options.accumulate, on_epoch,
        saved={"model_pos": network.pose, "model_traj": network.path}, fps=known.fps,
    )  # fmt: skip


main = partial(command, Options, small, train)
