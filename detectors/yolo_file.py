"""Opens a `.pt` file of Ultralytics without running anything that is in it.

Such a file is a pickle of the whole network, made of Ultralytics' and PyTorch's classes. It is read by PyTorch's
restricted unpickler. What it names is looked at before: layers are let through as classes that cannot be called (a
pickle that calls one with arguments of its own could have a network built from text, which Ultralytics evaluates),
what a run does not need (paths, settings, losses, numbers of NumPy) becomes empty, anything else is refused.
"""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from unittest.mock import patch

from checkpoints.torch_file import check_torch_file, first_line
from detectors.yolo_decode import JOINTS, Head
from pipeline.errors import InputError

LAYERS = re.compile(r"(torch\.nn\.modules|ultralytics\.nn)\.[\w.]+")
NOT_NEEDED = re.compile(
    r"ultralytics\.(utils|yolo|cfg|data|engine|models)\.[\w.]+|pathlib(\._local)?\.\w+Path"
    r"|numpy\.dtype|numpy\._?core\.multiarray\.(scalar|_reconstruct)|numpy\.ndarray|builtins\.getattr"
)
APART = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
CALLS = "it calls"
HINT = "a *-pose model of Ultralytics as it was released, or trained by it"


def load(path: Path) -> tuple[Any, Head]:
    """The network (a `torch.nn.Module`, float32, for inference) and how its outputs are read.

    Raises:
        InputError: no such file, damaged, refused, or no network for the 17 keypoints of COCO.
    """
    check_torch_file(path, HINT)
    asked = _asked(path)
    strangers = sorted(name for name in asked if not LAYERS.fullmatch(name) and not NOT_NEEDED.fullmatch(name))
    if strangers:
        why = f"it asks for {', '.join(strangers[:3])}, which no network needs; nothing was run"
        raise InputError(f"refused to open {path}", why, HINT)
    network, settings = _unpickle(path, asked)
    try:
        return _ready(network), _head(network, settings, path)
    except (AttributeError, TypeError, ValueError, KeyError, RuntimeError) as error:
        why = f"its parts do not fit together: {type(error).__name__}: {first_line(error)}"
        raise InputError(f"cannot use {path}", why, HINT) from error


def ultralytics(module: str) -> Any:
    """Import a module of Ultralytics, which looks for the internet and writes settings, unless told not to."""
    import torch  # noqa: F401 - before Ultralytics limits the threads of what is imported after it

    with tempfile.TemporaryDirectory() as settings, patch.dict(os.environ, APART | {"YOLO_CONFIG_DIR": settings}):
        return import_module(module)


def _asked(path: Path) -> list[str]:
    """Names of all classes and functions in the pickle beside PyTorch's own plain ones. Nothing is run."""
    import torch

    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception as error:  # a damaged file can fail in any way
        why = f"damaged, or no pickle of PyTorch: {first_line(error)}"
        raise InputError(f"cannot read {path}", why, HINT) from error


def _unpickle(path: Path, asked: list[str]) -> tuple[Any, dict[str, Any]]:
    """The network and the settings of its training. Raises InputError."""
    import torch

    layers = {name: _layer(name, path) for name in asked if LAYERS.fullmatch(name)}
    known = [(layers.get(name, _Empty), name) for name in asked]
    try:
        with torch.serialization.safe_globals(known), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        told = re.search(f"{CALLS} [^\n]*", str(error))
        why = told[0] if told else "its pickle does more than build a network"
        raise InputError(f"refused to open {path}", f"{why}; nothing was run", HINT) from error
    except Exception as error:
        raise InputError(f"cannot read {path}", f"damaged or not whole: {first_line(error)}", HINT) from error
    held = held if isinstance(held, dict) else {"model": held}
    network = held.get("model") if held.get("ema") is None else held["ema"]
    if not isinstance(network, torch.nn.Module):
        raise InputError(f"no network in {path}", "weights alone do not tell how they hang together", HINT)
    for module in network.modules():
        _restore(module)
    settings = held.get("train_args")
    return network, settings if isinstance(settings, dict) else {}


class _Uncallable(type):
    """Of classes that a pickle may fill, but not call."""

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        raise UnpicklingError(f"{CALLS} {cls.__module__}.{cls.__name__}, which building a network does not take")


class _Empty:
    """Stands for what a file holds beside its network."""

    def __init__(self, *arguments: Any) -> None:
        """Takes and forgets anything."""

    def __new__(cls, *arguments: Any) -> _Empty:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Takes and forgets anything."""


def _layer(name: str, path: Path) -> type:
    """The class of that name, uncallable; what is there under that name and is no layer becomes empty.

    Raises InputError where it is not there.
    """
    import torch

    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(ultralytics(module) if name.startswith("ultralytics") else import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        why = f"it is made of {name}, which this version of Ultralytics does not have"
        raise InputError(f"cannot use {path}", why, "the version of Ultralytics that made it") from error
    if not isinstance(found, type) or not issubclass(found, torch.nn.Module):
        return _Empty
    return _Uncallable(found.__name__, (found,), {"__module__": found.__module__})


def _restore(module: Any) -> None:
    """Give a layer its true class, and the methods of that class where the file has something in their place."""
    if isinstance(type(module), _Uncallable):
        module.__class__ = type(module).__mro__[1]
    for name in [name for name in vars(module) if callable(getattr(type(module), name, None))]:
        delattr(module, name)
        if name == "forward" and not hasattr(module, "bn") and hasattr(module, "forward_fuse"):
            module.forward = module.forward_fuse  # saved after its normalisation was folded in


def _ready(network: Any) -> Any:
    """The same network for inference: float32, normalisation folded into the convolutions.

    Of two heads the one that gives several boxes a person is taken, as Ultralytics does by itself: it is the surer one.
    """
    import torch

    for module in network.modules():
        if isinstance(module, torch.nn.Upsample) and not hasattr(module, "recompute_scale_factor"):
            module.recompute_scale_factor = None  # files of before PyTorch 1.11
    network.end2end = False  # changes nothing where there is one head only
    return network.float().fuse(verbose=False).eval()


def _head(network: Any, settings: dict[str, Any], path: Path) -> Head:
    """Raises InputError where it is no head that is read here."""
    heads = ultralytics("ultralytics.nn.modules.head")
    head = network.model[-1]
    if not isinstance(head, heads.Pose):
        raise InputError(f"{path} finds no keypoints", f"its head is {type(head).__name__}, not Pose", HINT)
    shape = tuple(int(number) for number in head.kpt_shape)
    if shape != (JOINTS, 3):
        why = f"its keypoints are {shape[0]} of {shape[1]} numbers, COCO's are {JOINTS} of 3"
        raise InputError(f"cannot use {path}", why, "a model for COCO's keypoints")
    channels = next(network.parameters()).shape[1]
    if channels != 3:
        raise InputError(f"cannot use {path}", f"it takes pictures of {channels} channels, a clip has 3", HINT)
    names = [str(network.names[index]).lower() for index in range(int(head.nc))]
    if "person" not in names and len(names) > 1:
        raise InputError(f"cannot use {path}", f"none of its {len(names)} classes is called person", HINT)
    return Head(
        strides=tuple(int(stride) for stride in head.stride.tolist()),
        bins=int(head.reg_max),
        person=names.index("person") if "person" in names else 0,
        classes=len(names),
        size=int(settings.get("imgsz", 640)),
        single=bool(head.end2end),
        doubled=not isinstance(head, heads.Pose26),
    )
