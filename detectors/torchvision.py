"""The detector `torchvision`: Keypoint R-CNN with ResNet-50 and FPN, 17 keypoints of everybody in each frame by itself.

Method: He et al. 2017, "Mask R-CNN", section 5, as torchvision has it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from checkpoints.torch_file import first_line
from detectors.looking import detections, look_through
from detectors.models import existing, found
from detectors.torch_parts import check_device, described, state_dict, torch_device
from pipeline.errors import InputError
from pipeline.results import Array, Detections

RELEASED = "keypointrcnn_resnet50_fpn_coco"  # begins the names of torchvision's own files
HINT = f"{RELEASED}-fc266e95.pth of torchvision, or a state dict of the same network for 17 keypoints"
PERSON = 1
BATCH = {"cpu": 1, "cuda": 8}  # frames at a time; on a CPU more of them win no time and take memory
# The network tells the peak of a joint's heatmap before the softmax, a number without bounds. Detectron, whose network
# it is, draws joints above 2; so 2 is "as likely as not" here. Seen are -5 to 20: the spread brings 10 to 0.98.
EVEN, SPREAD = 2.0, 2.0


class KeypointRCNN:
    """Everybody in each frame.

    Args:
        detector_weights: a state dict in the place of torchvision's own.
        device: auto, cpu or cuda.
        threshold: lowest score of a person.

    Attributes:
        device: what the network really runs on.

    Raises:
        MissingError: the weights or the device cannot be had.
        InputError: a file that is no state dict of this network.
    """

    name = "torchvision"
    skeleton = "coco-17"
    packages = ("torch", "torchvision")
    install = "pip install -r requirements-train.txt"

    def __init__(self, detector_weights: Path | None = None, device: str = "auto", threshold: float = 0.5) -> None:
        self._device = torch_device(device)
        (weights,) = self.uses(detector_weights)
        self._network = _network(found(weights), threshold).to(self._device)
        self.device = described(self._device)

    @classmethod
    def uses(cls, detector_weights: Path | None = None, device: str = "auto", **choices: Any) -> tuple[str | Path]:
        """The name of the card, or the file. Raises MissingError where there is no such file, or device."""
        check_device(device)
        return ("keypointrcnn",) if detector_weights is None else (existing(Path(detector_weights), HINT),)

    def detect(self, clip: Any, progress: Callable[[int], None] | None = None) -> list[Detections]:
        """One `Detections` per frame of the clip (what `pipeline.clip.open_clip` gives), people by their score.

        Args:
            progress: called with the number of frames done.
        """
        return look_through(self.look, clip, BATCH[self._device.type], progress)

    def look(self, frames: list[Array]) -> list[Detections]:
        """The people of each frame (H,W,3) uint8 BGR, all looked at in one go."""
        import torch

        with torch.inference_mode():
            found = self._network([self._given(frame) for frame in frames])
        return [self._people({name: part.cpu().numpy() for name, part in one.items()}) for one in found]

    def _given(self, frame: Array) -> Any:
        """(3,H,W) float32 RGB in [0,1]; the network scales it to its own size."""
        import torch

        picture = torch.from_numpy(np.ascontiguousarray(frame)).to(self._device)
        return picture.flip(-1).permute(2, 0, 1).contiguous().float() / 255

    def _people(self, found: dict[str, Array]) -> Detections:
        people = found["labels"] == PERSON
        points = found["keypoints"][people, :, :2]  # the third number is 1, whatever is seen
        scores = 1 / (1 + np.exp(np.clip((EVEN - found["keypoints_scores"][people]) / SPREAD, -60, 60)))
        return detections(self.skeleton, points, scores, found["boxes"][people], found["scores"][people])


def _network(path: Path, threshold: float) -> Any:
    """With the weights of that file. Boxes below the threshold are left out before their keypoints are sought.

    Raises InputError.
    """
    from torchvision.models.detection import KeypointRCNN as Network
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops import FrozenBatchNorm2d

    held = state_dict(path, HINT)
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, trainable_layers=0)
    network = Network(backbone, num_classes=2, num_keypoints=17, box_score_thresh=threshold)
    try:
        network.load_state_dict(held)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]] or [first_line(error)]
        raise InputError(f"{path} is no Keypoint R-CNN for COCO's people", lines[0][:160], HINT) from error
    for layer in network.modules():
        if isinstance(layer, FrozenBatchNorm2d) and path.name.startswith(RELEASED):
            layer.eps = 0.0  # as they were trained, before torchvision 0.8
    return network.eval()
