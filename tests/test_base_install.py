"""The base install stays small: no optional detector's package, no PyTorch, whatever its packages ask for."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from detectors import DETECTORS
from pipeline.choices import chosen_class

ROOT = Path(__file__).parent.parent
OPTIONAL = {"torch", "torchvision", "ultralytics", "mmpose", "mmengine", "mmcv", "mmcv-lite", "mediapipe"}


def asked(lines):
    """Requirements that hold here, without extras."""
    found = (Requirement(line) for line in lines if line and not line.startswith(("#", "-")))
    return [each for each in found if each.marker is None or each.marker.evaluate({"extra": ""})]


def brought(file):
    """Names of all packages that a requirements file leads to, through what is installed here."""
    waiting, known = asked((ROOT / file).read_text().splitlines()), set()
    while waiting:
        name = canonicalize_name(waiting.pop().name)
        if name not in known:
            known.add(name)
            waiting += asked(metadata.requires(name) or [])
    return known


def named(file):
    """Names of the packages in a requirements file."""
    return {canonicalize_name(each.name) for each in asked((ROOT / file).read_text().splitlines())}


def test_the_base_install_brings_no_optional_package():
    known = brought("requirements.txt")
    assert {"numpy", "openvino", "rich"} <= known  # the way through the packages works
    assert not known.intersection(OPTIONAL), known.intersection(OPTIONAL)


def test_openvino_and_opencv_are_there_once():
    """Another build of OpenCV would write into the same folder."""
    known = brought("requirements.txt")
    assert [name for name in known if name.startswith("opencv")] == ["opencv-python-headless"]


@pytest.mark.parametrize("name", [name for name in DETECTORS if chosen_class("detector", name).packages])
def test_the_install_line_of_a_detector_brings_what_it_needs(name):
    detector = chosen_class("detector", name)
    files = re.findall(r"-r (\S+)", detector.install)
    assert files and set().union(*map(named, files)).issuperset(detector.packages)
