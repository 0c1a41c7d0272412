"""Small networks for MMPose: configurations and checkpoints as its users have them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from detectors import mmpose_package

ROOT = Path(__file__).parent.parent
SIZE, CELLS = (96, 128), (24, 32)  # of the networks' pictures and heatmaps
HEATMAPS = "dict(type='HeatmapHead', in_channels=1280, out_channels={joints}, deconv_out_channels=(8, 8, 8), "
HEATMAPS += "deconv_kernel_sizes=(4, 4, 4), loss=dict(type='KeypointMSELoss'), decoder=codec)"
SIMCC = "dict(type='RTMCCHead', in_channels=1280, out_channels={joints}, input_size=(96, 128), "
SIMCC += "in_featuremap_size=(3, 4), simcc_split_ratio=2.0, final_layer_kernel_size=1, "
SIMCC += "gau_cfg=dict(hidden_dims=16, s=16, expansion_factor=2, "
SIMCC += "dropout_rate=0., drop_path=0., act_fn='SiLU', use_rel_bias=False, pos_enc=False), "
SIMCC += "loss=dict(type='KLDiscretLoss', use_target_weight=True), decoder=codec)"
CODECS = {
    "msra": "dict(type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=1)",
    "udp": "dict(type='UDPHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=1)",
    "simcc": "dict(type='SimCCLabel', input_size=(96, 128), sigma=(4.9, 5.66), simcc_split_ratio=2.0, normalize=False, "
    "use_dark=False)",
}
CONFIG = """
default_scope = 'mmpose'
codec = {codec}
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
                           bgr_to_rgb=True),
    backbone=dict(type='MobileNetV2', widen_factor=0.1, out_indices=(7,)),
    head={head},
    test_cfg=dict(flip_test=False))
train_dataloader = test_dataloader = dict(dataset=dict(
    type='CocoDataset', data_mode='topdown', metainfo=dict(from_file='configs/_base_/datasets/{data}.py'), pipeline=[
        dict(type='LoadImage'), dict(type='GetBBoxCenterScale', padding=1.25),
        dict(type='TopdownAffine', input_size=(96, 128), use_udp={udp}), dict(type='PackPoseInputs')]))
"""


def write_config(folder, kind="msra", data="coco", joints=17):
    head = (SIMCC if kind == "simcc" else HEATMAPS).format(joints=joints)
    path = folder / f"{kind}-{data}.py"
    path.write_text(CONFIG.format(codec=CODECS[kind], head=head, data=data, udp=kind == "udp"))
    return path


def write_weights(config, seed=0, folder=None):
    """Random weights, beside the configuration unless told, in the form of MMEngine's own checkpoints."""
    import torch
    from mmengine.logging import MessageHub

    torch.manual_seed(seed)
    network = mmpose_package.load().init_model(str(config), None, device="cpu")
    curves = MessageHub.get_instance("curves")
    curves.update_scalar("loss", 0.5)
    meta = {"epoch": 1, "dataset_meta": {"sigmas": np.ones(17, np.float32), "colours": np.zeros((2, 3), np.uint8)}}
    path = (folder or config.parent) / f"{config.stem}.pth"
    torch.save({"meta": meta, "state_dict": network.state_dict(), "message_hub": curves.state_dict()}, path)
    return path


def pictures(count, size=(181, 133), seed=0):
    return list(np.random.default_rng(seed).integers(0, 255, (count, *size, 3), np.uint8))


def run(clip, folder, *options):
    command = [sys.executable, ROOT / "videopose.py", clip, "--detector", "mmpose", "--device", "cpu", "--quiet"]
    command += ["--formats", "npz", "--out", folder / "out", *options]
    own = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT, env=own)
