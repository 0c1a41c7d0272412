"""Released checkpoints at the lifters: what a file is taken for, and files, keypoints and devices that do not fit."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from people import look, walking_by
from released_files import motionbert, pstmo, rie, several, temporal, write

from lifters.networks.pstmo import PSTMO
from lifters.networks.pstmo_masked import MaskedPSTMO
from lifters.networks.pstmo_refine import Refine
from lifters.networks.videopose3d import TemporalModel
from pipeline.choices import lifter_class
from pipeline.errors import InputError, MissingError, UsageError
from pipeline.skeletons import skeleton

ROOT = Path(__file__).parent.parent
CAMERA = look()
FAST = "pstmo-fast"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("name", "keypoints", "joints"),
    [
        ("pretrained_h36m_cpn.bin", "h36m-17", "h36m-17"),
        ("pretrained_h36m_detectron_coco.bin", "coco-17", "h36m-17"),
        ("d-pt-243.bin", "coco-17", "h36m-17"),
        ("pretrained_humaneva15_detectron.bin", "coco-17", "humaneva-15"),
        ("cpn_pretrained.bin", "h36m-17", "h36m-17"),
        ("PSTMOS_no_refine_28_4306_h36m_cpn.pth", "h36m-17", "h36m-17"),
        ("PSTMOS_no_refine_48_5137_in_the_wild.pth", "coco-17", "h36m-17"),
        ("PSTMOS_no_refine_50_3203_3dhp.pth", "mpi-inf-3dhp-17", "mpi-inf-3dhp-17"),
        ("best_epoch.bin", "h36m-17", "h36m-17"),
    ],
)
def test_the_name_tells_what_shapes_do_not(make_lifter, name, keypoints, joints):
    about = make_lifter(name).about
    assert (about["keypoints"], about["joints"], about["device"]) == (keypoints, joints, "cpu")


@pytest.mark.parametrize("name", ["rie", "pstmo", FAST, "motionbert"])
def test_no_weights(name):
    with pytest.raises(MissingError, match=rf"{name} has no weights of its own\n.*\.(bin|pth).*\n.*--weights FILE"):
        lifter_class(name, None)()


@pytest.mark.parametrize("name", ["rie", "pstmo", "motionbert", "videopose3d"])
def test_no_such_file(tmp_path, name):
    for ending in ("bin", "onnx"):
        with pytest.raises(MissingError, match=f"no weights at .*a.{ending}"):
            lifter_class(name, tmp_path / f"a.{ending}")(weights=tmp_path / f"a.{ending}")


@pytest.mark.parametrize(
    ("kind", "state", "message"),
    [
        ("rie", lambda: temporal().state_dict(), r"looks like VideoPose3D \(widths 3,3,3.*\n.*--lifter videopose3d"),
        ("videopose3d", lambda: rie().state_dict(), r"looks like RIE \(stage 2 or 3.*\n.*--lifter rie"),
        (FAST, lambda: motionbert().state_dict(), r"looks like MotionBERT.*\n.*--lifter motionbert"),
        ("motionbert", lambda: several(pstmo()), r"looks like P-STMO-S.*\n.*--lifter pstmo"),
        ("pstmo", lambda: MaskedPSTMO(1, 27, 16).state_dict(), r"masked pre-training.*\n.*made to help it"),
        ("pstmo", lambda: Refine().state_dict(), r"refine module.*\n.*made to help it"),
        ("rie", lambda: {"a": torch.ones(1)}, "no known network"),
        ("videopose3d", lambda: temporal(joints=1).state_dict(), "trajectory model.*17 keypoints"),
        ("videopose3d", lambda: TemporalModel(26, 3, 23, (3,), 8).state_dict(), "this is not one that takes 17"),
        ("pstmo", lambda: PSTMO(3, (3, 5), channels=16).state_dict(), "no windows of 15 frames"),
        ("rie", lambda: {k: v for k, v in rie().state_dict().items() if "LArm" not in k}, "missing: LocalLayer_LArm"),
        ("rie", lambda: {k: v for k, v in rie().state_dict().items() if "Global" not in k}, "missing: GlobalInfo"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit(tmp_path, kind, state, message):
    path = tmp_path / "a.pth"
    torch.save(state(), path)
    with pytest.raises(InputError, match=message) as caught:
        lifter_class(kind, path)(weights=path)
    assert str(path) in str(caught.value) and len(str(caught.value).splitlines()) <= 3


def test_keypoints_that_a_file_cannot_take(make_lifter):
    track, times = walking_by(4, 25.0)
    body = skeleton("posetrack-17")
    other = replace(track, skeleton=body.name, keypoints=track.keypoints[:, :17], scores=track.scores[:, :17])
    assert np.isfinite(make_lifter("cpn_pretrained.bin").lift(other, CAMERA, times).joints).all()
    with pytest.raises(UsageError, match=r"takes coco-17, the 2D is posetrack-17\n.*left_eye"):
        make_lifter("pretrained_h36m_detectron_coco.bin").lift(other, CAMERA, times)


def test_devices(tmp_path):
    path = write(tmp_path, "pretrained_h36m_cpn.bin")
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        lifter_class("videopose3d", path)(weights=path, device="tpu")
    if not torch.backends.mps.is_available():
        with pytest.raises(MissingError, match="no mps device"):
            lifter_class("videopose3d", path)(weights=path, device="mps")


def test_without_pytorch_the_install_line_is_told(tmp_path):
    path = write(tmp_path, "cpn_pretrained.bin")
    code = "import sys; sys.modules['torch'] = None; import videopose; videopose.main(sys.argv[1:])"
    clip = ["outputs/sample.mp4", "--out", str(tmp_path / "out"), "--lifter", "rie", "--weights", str(path)]
    done = subprocess.run([sys.executable, "-c", code, *clip], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 4 and "pip install -r requirements-train.txt" in done.stderr
    assert "Traceback" not in done.stderr
