"""YOLO-pose networks that tests build: crafted so that a white square is a person, or random but lively."""

import cv2
import numpy as np
import torch

from benchmarks import detectors_networks as networks
from detectors import yolo_file
from detectors.yolo_decode import Head

HEAD = Head(strides=(32,), bins=16, person=0, classes=1, size=640, single=False, doubled=True)
# A standing person in parts of the height, the hips at the origin: x to the right, y down, COCO's order.
FIGURE = np.array([
    [0, -.45], [.02, -.47], [-.02, -.47], [.05, -.46], [-.05, -.46], [.11, -.33], [-.11, -.33],
    [.15, -.17], [-.15, -.17], [.17, -.02], [-.17, -.02], [.06, 0], [-.06, 0],
    [.065, .22], [-.065, .22], [.07, .43], [-.07, .43],
])  # fmt: skip
HEIGHT = 220.0  # px of the network's picture
SIDES = (2, 4, 2, 3)  # cells from a white cell's centre to the left, top, right and bottom of its box
SURE = 1 / (1 + np.exp(-4.0))  # of every keypoint
DARK, WHITE, BENT = 7.0, 10.0, 5.0  # a cell of mean 0..1 has the logit BENT * (WHITE * mean - DARK)


def truth(cell):
    """Box (4,) and keypoints (17,2) in px of the network's picture of a white cell (column, row)."""
    middle = (np.array(cell) + 0.5) * 32
    left, top, right, bottom = np.array(SIDES) * 32
    box = np.array([middle[0] - left, middle[1] - top, middle[0] + right, middle[1] + bottom])
    return box, middle + FIGURE * HEIGHT


def constants():
    """What the outputs of distances (64,) and keypoints (51,) always are."""
    distances = np.full((4, 16), -50.0)
    distances[np.arange(4), SIDES] = 50.0
    points = np.concatenate([FIGURE * HEIGHT / 32 / 2 + 0.25, np.full((17, 1), 4.0)], axis=1)  # anchors are at + 0.5
    # (2 * k + anchor - 0.5) * 32 with anchor = cell + 0.5 is the cell's corner for k = 0, its centre for k = 0.25.
    return torch.tensor(distances.ravel(), dtype=torch.float32), torch.tensor(points.ravel(), dtype=torch.float32)


class Marked(torch.nn.Module):
    """Answers as Ultralytics' networks do: what it decoded itself, which nobody reads, and the outputs of its head."""

    def forward(self, pictures):
        means = torch.nn.functional.avg_pool2d(pictures.mean(dim=1, keepdim=True), 32)
        logits = (BENT * (WHITE * means - DARK)).flatten(2)
        distances, points = (part[None, :, None] + 0 * logits for part in constants())
        return logits, {"boxes": distances, "scores": logits, "kpts": points}


def crafted(path, **changes):
    """A real file of Ultralytics whose network does what `Marked` does, with other numbers in its yaml if wished."""
    from detectors.yolo_file import ultralytics

    convolutions = [[-1, 1, "Conv", [16, 3, 2]] for _ in range(5)]
    plan = {"nc": 1, "kpt_shape": [17, 3], "backbone": convolutions, "head": [[[-1], 1, "Pose", ["nc", "kpt_shape"]]]}
    network = ultralytics("ultralytics.nn.tasks").PoseModel(plan | changes, verbose=False).eval()
    network.names = {index: "person" if index == 0 else f"other {index}" for index in range(network.model[-1].nc)}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if not name.endswith("bn.weight"):
                parameter.zero_()
        for layer in network.model[:-1]:
            layer.conv.weight[0, : layer.conv.in_channels if layer is network.model[0] else 1, 1:, 1:] = 1 / 4
        network.model[0].conv.weight *= WHITE / 3
        head = network.model[-1]
        for convolution in (part for part in head.cv3[0].modules() if isinstance(part, torch.nn.Conv2d)):
            middle = convolution.kernel_size[0] // 2
            convolution.weight[0, 0, middle, middle] = 1
        head.cv3[0][-1].weight[0, 0] = BENT
        head.cv3[0][-1].bias[0] = -BENT * DARK
        head.cv2[0][-1].bias[:], head.cv4[0][-1].bias[: 3 * 17] = constants() if "kpt_shape" not in changes else (0, 0)
    return save(path, network)


def clouds(size, seed):
    """A frame (H,W,3) uint8 of coloured clouds for networks with random weights to see something in."""
    spots = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    return cv2.resize(spots, size, interpolation=cv2.INTER_CUBIC)


def lively(path, name, **how):
    """A real file of a network of that name with random weights, for which about ten anchors are people."""
    return networks.yolo(path, name, [clouds((640, 384), seed) for seed in (1, 2)], **how)


def save(path, network, **more):
    """As Ultralytics saves what it trained."""
    trained = {"model": network, "ema": None, "epoch": -1, "train_args": {"imgsz": 640, "task": "pose"}}
    torch.save(trained | more, path)
    return path


def prepare(monkeypatch, folder):
    """A file that opens as a network which takes white squares for people; where it is kept; all openings."""
    opened = []

    def load(path):
        opened.append(path)
        return Marked().eval(), HEAD

    monkeypatch.setattr(yolo_file, "load", load)
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(folder / "store"))
    path = folder / "marked.pt"
    path.write_bytes(b"stands for a model")
    return path, folder / "store" / "openvino", opened
