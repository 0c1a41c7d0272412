"""Variants are found by name, and a slip of the finger gets the nearest name."""

import pytest

from pipeline.choices import choose, chosen_class
from pipeline.errors import UsageError

NAMES = [
    ("detector", "blazepose"),
    ("detector", "openpose"),
    ("tracker", "offline"),
    ("tracker", "bytetrack"),
    ("tracker", "botsort"),
    ("tracker", "ocsort"),
    ("tracker", "given"),
    ("lifter", "videopose3d"),
    ("lifter", "blazepose"),
]
NAMES += [("lifter", name) for name in ("rie", "pstmo", "pstmo-fast", "motionbert")]


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_every_choice_has_the_name_it_is_chosen_by(kind, name):
    assert chosen_class(kind, name).name == name


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError) as caught:
        chosen_class("detector", "blazpose")
    assert "blazepose" in caught.value.hint


def test_a_whole_module_can_be_chosen():
    assert choose("format", "npz", {"npz": "exporters.npz"}).__name__ == "exporters.npz"
