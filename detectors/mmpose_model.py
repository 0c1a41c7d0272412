"""A network of MMPose with its weights: which configuration a name means, and what becomes of a box of a picture."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from checkpoints.torch_file import first_line
from detectors.looking import batches
from detectors.mmpose_file import load as read
from detectors.mmpose_joints import match
from detectors.mmpose_package import load, quiet
from detectors.torch_parts import described
from pipeline.errors import InputError, UsageError, VideoposeError
from pipeline.results import Array

log = logging.getLogger("videopose")
_RTMPOSE, _VITPOSE = "rtmpose-m_8xb{}256x192", "td-hm_ViTPose-{}_8xb64-210e_coco-256x192"
NAMED = {  # MMPose's own short names: configuration, card of its weights
    "human": (_RTMPOSE.format("256-420e_body8-"), "mmpose-human"),
    "body26": (_RTMPOSE.format("512-700e_body8-halpe26-"), "mmpose-body26"),
    "wholebody": ("rtmw-m_8xb1024-270e_cocktail14-256x192", "mmpose-wholebody"),
    "vitpose": (_VITPOSE.format("base"), "vitpose-b"),
    "vitpose-s": (_VITPOSE.format("small"), "vitpose-s"),
    "vitpose-b": (_VITPOSE.format("base"), "vitpose-b"),
    "vitpose-l": (_VITPOSE.format("large"), "vitpose-l"),
    "vitpose-h": (_VITPOSE.format("huge"), "vitpose-h"),
}
SUFFIXES = (".py", ".json", ".yaml", ".yml")
CROPS = 32  # at once


class Network:
    """A top-down network.

    Args:
        model: one of `NAMED`, the name of a configuration that comes with MMPose, or the path of one.
        weights: its `.pth` file.
        device: a torch.device.

    Attributes:
        skeleton, joints: name of the skeleton, number of its joints.
        device: what it runs on.

    Raises:
        UsageError: no such configuration.
        MissingError: a package that is needed.
        InputError: a configuration or weights that cannot be used.
    """

    def __init__(self, model: str, weights: Path, device: Any) -> None:
        apis = load()
        config = config_of(model)
        self._model = _built(apis, config, device)
        _fill(self._model, read(weights), weights, config)
        names = self._model.dataset_meta["keypoint_id2name"]
        self.skeleton, self._order = match([names[index] for index in range(len(names))], config)
        self.joints = len(self._order)
        self._prepare = _pipeline(self._model.cfg)
        self._try(config)
        self.device = described(device)

    def look(self, crops: Iterable[tuple[Array, Array]]) -> tuple[Array, Array]:
        """The pose in each box, `CROPS` at a time.

        Args:
            crops: frames (H,W,3) uint8 BGR with a box (4,) px x1 y1 x2 y2; at least one.

        Returns:
            (N,J,2) px of the frame and (N,J), in the skeleton's order.
        """
        found = [self._run(some) for some in batches(iter(crops), CROPS)]
        points, scores = (np.concatenate(part)[:, self._order] for part in zip(*found, strict=True))
        return points, scores

    def _run(self, crops: list[tuple[Array, Array]]) -> tuple[Array, Array]:
        """(N,K,2) px, (N,K) in the network's own order."""
        import torch
        from mmengine.dataset import pseudo_collate

        one, meta = np.ones(1, np.float32), self._model.dataset_meta
        told = ({"img": frame, "bbox": np.float32(box)[None], "bbox_score": one, **meta} for frame, box in crops)
        try:
            with torch.inference_mode(), quiet():
                found = self._model.test_step(pseudo_collate([self._prepare(each) for each in told]))
        except np.linalg.LinAlgError:  # MMPose cannot refine a peak on a ridge, and gives up all of a batch
            return self._apart(crops)
        people = [sample.pred_instances for sample in found]
        points = np.concatenate([person.keypoints[..., :2] for person in people])
        return points, np.concatenate([person.keypoint_scores for person in people])

    def _apart(self, crops: list[tuple[Array, Array]]) -> tuple[Array, Array]:
        """As `_run`, without a pose where that fails."""
        if len(crops) > 1:
            points, scores = (np.concatenate(part) for part in zip(*(self._run([crop]) for crop in crops), strict=True))
            return points, scores
        log.warning("MMPose could not decode a pose in the box %s", np.round(crops[0][1]).tolist())
        return np.full((1, self.joints, 2), np.nan), np.zeros((1, self.joints))

    def _try(self, config: Path) -> None:
        """One grey picture, so that what cannot work is told before work is done. Raises InputError."""
        try:
            points, _ = self._run([(np.full((64, 48, 3), 128, np.uint8), np.array([0, 0, 48, 64]))])
        except Exception as error:  # any part of a configuration can be wrong in any way
            raise InputError(f"MMPose cannot run {config}", _told(error), "a top-down configuration") from error
        if points.shape[1:] != (self.joints, 2):
            why = f"the network gives {points.shape[1]} joints, the data set has {self.joints}"
            raise InputError(f"cannot use {config}", why, "a configuration whose data set is the network's")


def config_file(model: str) -> Path | None:
    """The file, if `model` is the path of a configuration."""
    return Path(model) if model.endswith(SUFFIXES) else None


def config_of(model: str) -> Path:
    """The configuration's file. Raises UsageError."""
    import mmpose

    if (given := config_file(model)) is not None:
        return given
    name = NAMED[model][0] if model in NAMED else model
    known = {path.stem: path for path in (Path(mmpose.__file__).parent / ".mim" / "configs").glob("*_2d_*/**/*.py")}
    if name not in known:
        near = get_close_matches(model, [*NAMED, *known], n=1, cutoff=0.4)
        why = f"known: {', '.join(NAMED)}, the {len(known)} configurations in MMPose, and files"
        raise UsageError(f"mmpose has no model {model!r}", why, "".join(near))
    return known[name]


def _built(apis: Any, config: Path, device: Any) -> Any:
    """The network with random weights. Raises InputError."""
    try:
        with quiet():
            model = apis.init_model(str(config), None, device=device)
    except VideoposeError:
        raise
    except Exception as error:  # a configuration is a program, and MMPose's registries fail in many ways
        raise InputError(f"MMPose cannot build {config}", _told(error), "a configuration for MMPose 1.x") from error
    if type(model).__name__ != "TopdownPoseEstimator":
        why = f"it is a {type(model).__name__}, which does not find a pose in a box"
        raise InputError(f"cannot use {config}", why, "a configuration with a TopdownPoseEstimator")
    return model


def _pipeline(config: Any) -> Any:
    from mmengine.dataset import Compose

    return Compose(config.test_dataloader.dataset.pipeline)


def _fill(model: Any, state: dict[str, Any], weights: Path, config: Path) -> None:
    """Put weights into the network. Raises InputError unless they are of it."""
    wanted = model.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    wrong = [name for name in wanted if shapes.get(name) != wanted[name].shape and "num_batches" not in name]
    if wrong:
        has, wants = shapes.get(wrong[0], "nothing"), tuple(wanted[wrong[0]].shape)
        why = f"{len(wrong)} of {len(wanted)} tensors do not fit: {wrong[0]} has {has}, the network wants {wants}"
        raise InputError(f"{weights} is not of {config.name}", why, "the configuration that it was trained with")
    if spare := sorted(set(state) - set(wanted)):
        log.info("%s: %d tensors are not used, as %s", weights, len(spare), spare[0])
    model.load_state_dict(state, strict=False)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
