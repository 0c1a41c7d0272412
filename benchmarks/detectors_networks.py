"""Networks with random weights that see a few people in given pictures: the same work as trained ones.

Files as the packages themselves write them. Running statistics are those of the pictures, so that no layer dies out,
and one bias decides how many people pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.results import Array


def yolo(
    path: Path, name: str, pictures: Sequence[Array], people: int = 10, single: bool = False, fused: bool = False
) -> Path:
    """Write a `.pt` of Ultralytics.

    Args:
        name: of the plan, as yolo11n-pose.
        pictures: (H,W,3) uint8 BGR, sides multiples of the strides.
        people: anchors in each of the pictures, about, whose score is above 0.5.
        single: people are taken from the head that gives one box each.
        fused: normalisation is folded into the convolutions, and the other head left out.
    """
    import torch

    from detectors.yolo_file import ultralytics

    torch.manual_seed(0)
    network = ultralytics("ultralytics.nn.tasks").PoseModel(f"{name}.yaml", nc=1, verbose=False)
    network.names, network.task = {0: "person"}, "pose"
    seen = torch.tensor(np.stack(pictures)[..., ::-1].copy()).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        _settle(network, seen)
        network.end2end = single
        for level in _levels(network.model[-1], "cv2"):
            level.weight *= 0.2  # boxes of some size
            level.bias += 1
        found = network(seen)[1]
        logits = found.get("one2one" if single else "one2many", found)["scores"].flatten()
        shift = -logits.kthvalue(len(logits) - people * len(pictures)).values
        for level in _levels(network.model[-1], "cv3"):
            level.bias += shift
    network = network.fuse(verbose=False) if fused else network
    torch.save({"model": network, "ema": None, "epoch": -1, "train_args": {"imgsz": 640, "task": "pose"}}, path)
    return path


def keypoint_rcnn(path: Path, pictures: Sequence[Array], people: int = 10) -> Path:
    """Write a state dict of torchvision's Keypoint R-CNN; see `yolo`."""
    import torch
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    torch.manual_seed(0)
    network = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    seen = [torch.tensor(picture[..., ::-1].copy()).permute(2, 0, 1) / 255 for picture in pictures]
    margins: list[Any] = []
    with torch.no_grad():
        _settle(network.backbone, torch.stack(seen))
        predictor = network.roi_heads.box_predictor
        hook = predictor.register_forward_hook(lambda module, given, found: margins.append(found[0].diff(dim=1)[:, 0]))
        network.eval()(seen)
        hook.remove()
        every = torch.cat(margins)
        predictor.cls_score.bias[1] -= every.kthvalue(len(every) - people * len(pictures)).values
    torch.save(network.state_dict(), path)
    return path


def mmpose(path: Path, model: str) -> Path:
    """Write a checkpoint of one of MMPose's networks by its name, as initialised."""
    import torch

    from detectors.mmpose_model import config_of
    from detectors.mmpose_package import load, quiet

    torch.manual_seed(0)
    with quiet():
        network = load().init_model(str(config_of(model)), None, device="cpu")
    torch.save({"state_dict": network.state_dict()}, path)
    return path


def pose_landmarker(path: Path) -> Path:
    """Write MediaPipe's task `full` from the two networks that the store has: trained ones."""
    import zipfile

    from checkpoints.store import find

    with zipfile.ZipFile(path, "w") as archive:
        archive.write(find("blazepose-detection"), "pose_detector.tflite")
        network = _with_normalisation(find("blazepose-landmark-full").read_bytes())
        archive.writestr("pose_landmarks_detector.tflite", network)
    return path


def _with_normalisation(network: bytes) -> bytes:
    """The TFLite network with the metadata that a task wants and it lacks: pixels of 0 to 255 become 0 to 1."""
    import flatbuffers
    from mediapipe.tasks.metadata import metadata_schema_py_generated as meta
    from mediapipe.tasks.metadata import schema_py_generated as tflite

    def packed(tree: Any, mark: bytes) -> bytes:
        builder = flatbuffers.Builder(0)
        builder.Finish(tree.Pack(builder), mark)
        return bytes(builder.Output())

    def made(kind: type, **values: Any) -> Any:
        tree = kind()
        vars(tree).update(values)
        return tree

    rule = made(meta.NormalizationOptionsT, mean=[0.0], std=[255.0])
    unit = made(meta.ProcessUnitT, optionsType=meta.ProcessUnitOptions.NormalizationOptions, options=rule)
    colours = made(meta.ImagePropertiesT, colorSpace=meta.ColorSpaceType.RGB)
    kind = meta.ContentProperties.ImageProperties
    content = made(meta.ContentT, contentPropertiesType=kind, contentProperties=colours)
    picture = made(meta.TensorMetadataT, content=content, processUnits=[unit])
    model = tflite.ModelT.InitFromObj(tflite.Model.GetRootAsModel(network, 0))
    outputs = [meta.TensorMetadataT() for _ in model.subgraphs[0].outputs]
    graph = made(meta.SubGraphMetadataT, inputTensorMetadata=[picture], outputTensorMetadata=outputs)
    told = packed(made(meta.ModelMetadataT, subgraphMetadata=[graph]), b"M001")
    model.metadata.append(made(tflite.MetadataT, name="TFLITE_METADATA", buffer=len(model.buffers)))
    model.buffers.append(made(tflite.BufferT, data=list(told)))
    return packed(model, b"TFL3")


def _settle(network: Any, seen: Any) -> None:
    """Running statistics of what is seen; the network is for inference afterwards."""
    import torch

    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # means of all that is seen
    network.train()
    network(seen)
    network.eval()


def _levels(head: Any, part: str) -> Iterator[Any]:
    """The last layers of a part of YOLO's head, of both heads where there are two."""
    for name in (part, f"one2one_{part}"):
        for level in getattr(head, name, None) or []:
            yield level[-1]
