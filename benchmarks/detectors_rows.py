"""Our detectors and the packages that their networks come from, ready to be run side by side; see `detectors.py`."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import detectors_networks as networks
from benchmarks import detectors_onnx as onnx_networks
from benchmarks import detectors_sides as sides
from benchmarks.detectors_sides import Rival, Row, Run
from pipeline.choices import chosen_class, require
from pipeline.errors import MissingError

RTMLIB = Rival(  # without what it asks for: another build of OpenCV, which writes into the same folder as ours
    "rtmlib",
    ("rtmlib", "onnxruntime", "onnx"),
    "pip install onnx onnxruntime tqdm && pip install --no-deps rtmlib",
)


def blazepose(clip: Path, scratch: Path) -> Row:
    """The base install's default against MediaPipe, which runs the same two networks."""
    task = _task(scratch)
    rivals = {
        "MediaPipe Tasks, 6 people": partial(_mediapipe_loop, task, 6),
        "MediaPipe Tasks, 1 person": partial(_mediapipe_loop, task, 1),
    }
    return Row("BlazePose full, trained", sides.ours(chosen_class("detector", "blazepose")()), rivals, 150)


def mediapipe(clip: Path, scratch: Path) -> Row:
    """MediaPipe's own task, in our program and in the loop that its documentation shows."""
    task = _task(scratch)
    ours = chosen_class("detector", "mediapipe")(detector_weights=task)
    return Row("BlazePose full, trained", sides.ours(ours), {"its own loop": partial(_mediapipe_loop, task, 6)}, 150)


def rtmpose(clip: Path, scratch: Path) -> Row:
    """Boxes of YOLOX-tiny, RTMPose-s in each, on the CPU: what rtmlib and we call lightweight."""
    from rtmlib import Body, PoseTracker

    pose, boxes = scratch / "pose.onnx", scratch / "boxes.onnx"
    kind = sides.copied({"rtmpose-s-17": pose, "yolox-tiny-person": boxes})
    if kind == "random":
        onnx_networks.rtmpose(pose)
        onnx_networks.yolox(boxes, sides.people_in(clip, 416))
    ours = chosen_class("detector", "rtmpose")(detector_weights=scratch, device="cpu")
    files = {"det": str(boxes), "det_input_size": (416, 416), "pose": str(pose), "pose_input_size": (192, 256)}

    def tracker(backend: str) -> Any:
        return PoseTracker(partial(Body, **files), det_frequency=4, tracking=False, backend=backend, device="cpu")

    with contextlib.redirect_stdout(io.StringIO()):  # they tell what they load
        models = {"rtmlib Body, boxes in each frame": Body(**files, device="cpu")}
        models |= {f"rtmlib, each 4th{told}": model for told, model in _in_runtimes(tracker).items()}
    rivals: dict[str, Run] = {told: partial(_called, model) for told, model in models.items()}
    return Row(f"RTMPose-s, YOLOX-tiny, {kind}", sides.ours(ours), rivals, 60)


def rtmo(clip: Path, scratch: Path) -> Row:
    """RTMO-s at 640 px, on the CPU."""
    import rtmlib

    path = scratch / "one-stage.onnx"
    kind = sides.copied({"rtmo-s": path})
    if kind == "random":
        onnx_networks.rtmo(path, sides.people_in(clip, 640))
    ours = chosen_class("detector", "rtmo")(detector_weights=path, device="cpu")

    def model(backend: str) -> Any:
        return rtmlib.RTMO(str(path), (640, 640), score_thr=0.3, backend=backend, device="cpu")

    with contextlib.redirect_stdout(io.StringIO()):
        models = {f"rtmlib RTMO{told}": model for told, model in _in_runtimes(model).items()}
    rivals: dict[str, Run] = {told: partial(_called, model) for told, model in models.items()}
    return Row(f"RTMO-s, {kind}", sides.ours(ours), rivals, 40)


def yolo(clip: Path, scratch: Path) -> Row:
    """YOLO11n-pose at 640 px, on the CPU."""
    import torch

    os.environ |= {"YOLO_CONFIG_DIR": str(scratch), "YOLO_VERBOSE": "false", "YOLO_OFFLINE": "true"}
    from ultralytics import YOLO

    from detectors.yolo import MODEL
    from detectors.yolo_picture import Letterbox

    weights = sides.local(MODEL)
    if weights is None:
        frames = sides.some(clip, 4)
        box = Letterbox.of((frames[0].shape[1], frames[0].shape[0]), 640, 32)
        weights = networks.yolo(scratch / f"{MODEL}.pt", MODEL, [box(frame) for frame in frames], people=3)
    ours = chosen_class("detector", "yolo")(detector_weights=weights, device="cpu", threshold=0.5)
    model = YOLO(weights, task="pose")

    def predict(threads: int | None, path: Path) -> int:
        told, people = {"conf": 0.5, "iou": 0.7, "imgsz": 640, "device": "cpu", "verbose": False}, 0
        before = torch.get_num_threads()
        for number, result in enumerate(model.predict(path, stream=True, **told)):
            if number == 0:  # by now Ultralytics has chosen, which it does in the first call alone
                before = torch.get_num_threads()
                torch.set_num_threads(threads or before)
            people += len(result.keypoints)
        torch.set_num_threads(before)
        return people

    rivals: dict[str, Run] = {
        "Ultralytics, as it comes": partial(predict, None),
        "Ultralytics, all cores": partial(predict, os.cpu_count()),
    }
    return Row(f"{MODEL}, 640, {sides.trained(MODEL)}", sides.ours(ours), rivals, 60)


def torchvision(clip: Path, scratch: Path) -> Row:
    """Keypoint R-CNN at its own size, on the CPU."""
    import cv2
    import torch

    weights = sides.local("keypointrcnn")
    if weights is None:
        weights = networks.keypoint_rcnn(scratch / "random.pth", sides.some(clip, 2), people=3)
    ours = chosen_class("detector", "torchvision")(detector_weights=weights, device="cpu")
    network = ours._network  # the package's own

    def frame_by_frame(path: Path) -> int:
        people = 0
        for frame in sides.frames(path):
            picture = torch.from_numpy(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).permute(2, 0, 1) / 255
            with torch.inference_mode():
                people += int((network([picture])[0]["scores"] > 0.5).sum())
        return people

    rivals: dict[str, Run] = {"the model, frame by frame": frame_by_frame}
    return Row(f"Keypoint R-CNN, {sides.trained('keypointrcnn')}", sides.ours(ours), rivals, 6)


def mmpose(clip: Path, scratch: Path) -> Row:
    """MMPose's model `human`, RTMPose-m, on the CPU, in the same three boxes of each frame on both sides."""
    from detectors.mmpose_package import load, quiet

    apis, card = load(), "mmpose-human"
    weights = sides.local(card) or networks.mmpose(scratch / "random.pth", "human")
    boxes = sides.people_in(clip)
    seen = boxes, np.ones(len(boxes))
    ours = chosen_class("detector", "mmpose")(None, weights, "cpu", boxes=lambda frames: [seen] * len(frames))
    model = ours._network._model  # the package's own

    def topdown(path: Path) -> int:
        with quiet():
            return sum(len(apis.inference_topdown(model, frame, boxes)) for frame in sides.frames(path))

    rivals: dict[str, Run] = {"inference_topdown, each frame": topdown}
    return Row(f"RTMPose-m, 3 boxes, {sides.trained(card)}", sides.ours(ours), rivals, 24)


ROWS: dict[str, Callable[[Path, Path], Row]] = {
    made.__name__: made for made in (blazepose, rtmpose, rtmo, yolo, torchvision, mmpose, mediapipe)
}


def lacking(name: str) -> str | None:
    """The package that a row wants and does not find, with the line that installs it; None: all is here."""
    rival = {"rtmpose": RTMLIB, "rtmo": RTMLIB}.get(name)
    wanted = rival or chosen_class("detector", "mediapipe" if name == "blazepose" else name)
    try:
        require("rival" if rival else "detector", wanted)
    except MissingError as error:
        return f"{error.what}; {error.hint}"
    return None


def _in_runtimes(make: Callable[[str], Any]) -> dict[str, Any]:
    """Models of rtmlib in ONNX Runtime, in OpenVINO as it comes (bfloat16 where the CPU has it), and in float32."""
    import openvino

    found = {", ONNX Runtime": make("onnxruntime")}
    for precision in ({}, {"INFERENCE_PRECISION_HINT": "f32"}):
        model = make("openvino")
        for part in (model.det_model, model.pose_model) if hasattr(model, "pose_model") else (model,):
            core, settings = openvino.Core(), {"PERFORMANCE_HINT": "LATENCY"} | precision  # the hint is rtmlib's own
            part.compiled_model = core.compile_model(core.read_model(part.onnx_model), "CPU", settings)
            part._ov_outputs = part.compiled_model.outputs
        found[f", OpenVINO {part.compiled_model.get_property('INFERENCE_PRECISION_HINT').get_type_name()}"] = model
    return found


def _called(model: Any, path: Path) -> int:
    """A model of rtmlib on each frame, from the beginning of a clip."""
    if hasattr(model, "reset"):
        model.reset()
    return sum(len(model(frame)[0]) for frame in sides.frames(path))


def _mediapipe_loop(task: Path, people: int, path: Path) -> int:
    """As MediaPipe's documentation reads a video, with as many people at most."""
    import cv2
    from mediapipe import Image, ImageFormat
    from mediapipe.tasks.python import BaseOptions
    from mediapipe.tasks.python.vision import PoseLandmarker, PoseLandmarkerOptions, RunningMode

    base = BaseOptions(model_asset_path=str(task))
    options = PoseLandmarkerOptions(base_options=base, running_mode=RunningMode.VIDEO, num_poses=people)
    seen = 0
    with PoseLandmarker.create_from_options(options) as landmarker:
        for number, frame in enumerate(sides.frames(path)):
            picture = Image(image_format=ImageFormat.SRGB, data=cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            seen += len(landmarker.detect_for_video(picture, number * 1000 // 30).pose_landmarks)
    return seen


def _task(scratch: Path) -> Path:
    return sides.local("mediapipe-full") or networks.pose_landmarker(scratch / "full.task")
