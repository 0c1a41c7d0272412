"""What works on this machine: versions, device, codecs, weights, room to write."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipeline.choices import chosen_class
from pipeline.errors import MissingError, VideoposeError
from pipeline.options import Options
from pipeline.report import PACKAGES


def examine() -> int:
    """Print one line per check. Returns 0 when a run can work here, 4 otherwise."""
    failed = [name for name, check in CHECKS.items() if not _tell(name, check)]
    print("all is well" if not failed else f"not well: {', '.join(failed)}")
    return 4 if failed else 0


def _tell(name: str, check: Callable[[], str]) -> bool:
    try:
        print(f"{name:10s} {check()}")
        return True
    except (VideoposeError, OSError, ImportError, RuntimeError) as error:
        print(f"{name:10s} FAILED: {error}")
        return False


def _python() -> str:
    return f"{platform.python_version()} on {platform.platform()}"


def _packages() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)


def _device() -> str:
    import numpy
    import openvino
    from openvino import opset13

    core = openvino.Core()
    names = {name: str(core.get_property(name, "FULL_DEVICE_NAME")) for name in core.available_devices}
    x = opset13.parameter([1], numpy.float32)
    bound = core.compile_model(openvino.Model([opset13.relu(x)], [x], "probe"), "CPU", F32)
    precision = bound.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if precision != "f32":
        raise MissingError(f"the CPU computes in {precision} where f32 was asked for")
    used = ",".join(bound.get_property("EXECUTION_DEVICES"))
    return "; ".join(f"{name}: {full}" for name, full in names.items()) + f" (a run uses the {used} in {precision})"


F32 = {"INFERENCE_PRECISION_HINT": "f32"}
CODECS = {
    "r": {"h264": "H.264", "hevc": "HEVC", "vp9": "VP9", "av1": "AV1"},
    "w": {"libx264": "H.264", "gif": "GIF"},
}


def _codecs() -> str:
    import av
    from av.codec.codec import UnknownCodecError

    missing = []
    for mode, codecs in CODECS.items():
        for codec, name in codecs.items():
            try:
                av.Codec(codec, mode)
            except UnknownCodecError:
                missing.append(f"{'read' if mode == 'r' else 'write'} {name}")
    if missing:
        raise MissingError(f"PyAV here cannot {', '.join(missing)}", hint="pip install -r requirements.txt")
    return "; ".join(f"{verb} {', '.join(CODECS[mode].values())}" for mode, verb in (("r", "reads"), ("w", "writes")))


def _weights() -> str:
    """Of a run without options; there are many more."""
    from checkpoints.card import card, names
    from checkpoints.store import find, local, may_fetch, megabytes

    detector, lifter = chosen_class("detector", Options.detector), chosen_class("lifter", Options.lifter)
    lines, used = [], [*detector.uses(), *lifter.weights]
    for given in map(card, used):
        path = local(given.name) if may_fetch(given) else find(given.name)  # which then fetches nothing
        place = path or f"not fetched yet ({megabytes(given)} MB at the first run)"
        lines.append(f"{given.name} ({given.licence}): {place}")
    lines.append(f"{len(names()) - len(used)} more, of other detectors and lifters: videopose.py checkpoints list")
    return "\n           ".join(lines)


def _writing() -> str:
    folder = Path("outputs")
    folder.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(b"x")
    return f"outputs/ can be written, {shutil.disk_usage(folder).free / 1e9:.0f} GB free"


CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    "packages": _packages,
    "device": _device,
    "codecs": _codecs,
    "weights": _weights,
    "writing": _writing,
}
