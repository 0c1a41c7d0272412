"""Imports MMPose without the packages that its imports name and bodies in pictures do not need.

MMPose 1.3.2 imports all its networks and data sets at once. Two networks (ED-Pose, RTMO) want compiled operations of
`mmcv` or the package `mmdet`, data sets and metrics want `xtcocotools`, none of which installs with pip alone beside
NumPy 2. Where one is missing, something takes its place during the import that says so when it is used.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pipeline.errors import MissingError

ABSENT = ("mmcv._ext", "mmdet", "mmdet.utils", "xtcocotools", "xtcocotools.coco", "xtcocotools.cocoeval",
          "xtcocotools.mask")  # fmt: skip


def load() -> ModuleType:
    """The module `mmpose.apis`.

    Raises:
        MissingError: a package that it does need is not installed, or in a version that does not fit.
    """
    with _stand_ins(), quiet():
        try:
            import mmpose.apis
            from mmengine.logging import MMLogger
        except (ImportError, AssertionError) as error:  # an assertion of its own compares versions
            why = " ".join(str(error).split())[:160]
            raise MissingError("mmpose cannot be imported", why, "the install lines in docs/detectors.md") from error
        MMLogger.get_current_instance().setLevel(logging.ERROR)  # scopes that it looks for in vain and does without
    return mmpose.apis


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of Python that MMPose's packages give at every use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Modules in the place of what is not installed, taken away afterwards: nobody else is to find them."""
    missing = {name: _Absent(name) for name in ABSENT if name not in sys.modules and not _there(name)}
    sys.modules.update(missing)
    try:
        yield
    finally:
        for name, module in missing.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:  # of the package that it is in
        return False


class _Absent(ModuleType):
    """Gives whatever it is asked for a class that cannot be made."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (_NotThere,), {"__module__": self.__name__})


class _NotThere:
    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        package = "mmcv, in place of mmcv-lite" if cls.__module__ == "mmcv._ext" else cls.__module__.partition(".")[0]
        raise MissingError(f"this MMPose network needs {cls.__module__}.{cls.__name__}", hint=f"install {package}")
