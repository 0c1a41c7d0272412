"""Small made-up networks in the very form in which the authors of each saved theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from lifters.networks.motionbert import DSTformer
from lifters.networks.pstmo import PSTMO
from lifters.networks.rie import RIE
from lifters.networks.videopose3d import TemporalModel


def made(build, *sizes, seed=0, **options) -> nn.Module:
    """A network whose every weight and running statistic comes from the seed."""
    torch.manual_seed(seed)
    net = build(*sizes, **options).eval()
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith(("running_var", "running_mean", "bn.bias", "a_2")):
                value.add_(0.3 * torch.rand_like(value))
            elif "embed" in name or "ts_attn" in name:
                value.add_(0.3 * torch.randn_like(value))
    return net


def several(net: nn.Module) -> dict:
    """As DataParallel names the parameters."""
    return {f"module.{name}": value for name, value in net.state_dict().items()}


def wrapped(state: dict, **more) -> dict:
    return {"epoch": 60, "lr": 1e-4, "optimizer": None, "model_pos": state, **more}


def random_states() -> dict:
    return {"random_state": np.random.RandomState(1), "model_traj": None, "random_state_semi": None}


def temporal(features=2, joints=17, seed=0):
    return made(TemporalModel, 17, features, joints, (3, 3, 3), 24, seed=seed)


def pstmo(seed=0, strides=(3, 3, 3)):
    return made(PSTMO, 3, strides, channels=16, hidden=32, seed=seed)


def rie(seed=0, stage=3):
    return made(RIE, stage, 16, (3, 3, 3), 16, hidden=32, seed=seed)


def motionbert(seed=0):
    return made(DSTformer, 16, 2, 2, 8, 16, 27, seed=seed)


# The lifter that runs a file, the network in it, and how its authors saved it.
FILES = {
    "pretrained_h36m_cpn.bin": ("videopose3d", temporal, lambda n: wrapped(n.state_dict(), **random_states())),
    "pretrained_h36m_detectron_coco.bin": (
        "videopose3d", lambda: temporal(seed=1),
        lambda n: wrapped(n.state_dict(), **random_states() | {"model_traj": temporal(joints=1).state_dict()}),
    ),
    "d-pt-243.bin": ("videopose3d", lambda: temporal(3), lambda n: wrapped(n.state_dict(), **random_states())),
    "pretrained_humaneva15_detectron.bin": (
        "videopose3d", lambda: temporal(joints=15), lambda n: wrapped(n.state_dict(), **random_states()),
    ),
    "cpn_pretrained.bin": ("rie", rie, lambda n: wrapped(n.state_dict(), random_state=np.random.RandomState(2))),
    "stage_1_epoch_20.bin": ("rie", lambda: rie(stage=1), lambda n: wrapped(n.state_dict())),
    "PSTMOS_no_refine_28_4306_h36m_cpn.pth": ("pstmo", pstmo, several),
    "PSTMOS_no_refine_48_5137_in_the_wild.pth": ("pstmo", lambda: pstmo(seed=1), several),
    "PSTMOS_no_refine_50_3203_3dhp.pth": ("pstmo", lambda: pstmo(seed=2), several),
    "best_epoch.bin": ("motionbert", motionbert, lambda n: wrapped(several(n), min_loss=37.2)),
}  # fmt: skip


def write(folder: Path, name: str) -> Path:
    """The file of that name in a folder, made when it is not there."""
    path = folder / name
    if not path.is_file():
        _, build, save = FILES[name]
        torch.save(save(build()), path)
    return path
