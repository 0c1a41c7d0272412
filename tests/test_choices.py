"""Variants are found by name, and a slip of the finger gets the nearest name."""

import pytest

from pipeline.choices import choose, chosen_class, variants
from pipeline.errors import UsageError

NAMES = [(kind, name) for kind in ("detector", "tracker", "lifter") for name in variants(kind)]


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_every_choice_has_the_name_it_is_chosen_by(kind, name):
    assert chosen_class(kind, name).name == name


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError) as caught:
        chosen_class("detector", "blazpose")
    assert "blazepose" in caught.value.hint


def test_a_whole_module_can_be_chosen():
    assert choose("format", "npz", {"npz": "exporters.npz"}).__name__ == "exporters.npz"
