"""What works on this machine: versions, device, codecs, weights, room to write."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import VideoposeError
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
    import openvino

    core = openvino.Core()
    names = {name: str(core.get_property(name, "FULL_DEVICE_NAME")) for name in core.available_devices}
    return "; ".join(f"{name}: {full}" for name, full in names.items()) + " (a run uses the CPU in f32)"


def _codecs() -> str:
    import av

    for name, mode in (("h264", "r"), ("hevc", "r"), ("vp9", "r"), ("av1", "r"), ("libx264", "w"), ("gif", "w")):
        av.Codec(name, mode)
    return "reads H.264, HEVC, VP9, AV1; writes H.264 and GIF"


def _weights() -> str:
    from checkpoints.card import card, names
    from checkpoints.store import find

    lines = [f"{name} ({card(name).licence}): {find(name)}" for name in names()]
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
