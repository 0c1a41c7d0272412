"""Variants are found by name, and a slip of the finger gets the nearest name."""

import pytest

from pipeline.choices import choose, chosen_class, variants
from pipeline.errors import UsageError
from pipeline.options import Options
from pipeline.runner import Runner, run

NAMES = [(kind, name) for kind in ("detector", "tracker", "lifter") for name in variants(kind)]


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_every_choice_has_the_name_it_is_chosen_by(kind, name):
    assert chosen_class(kind, name).name == name


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError) as caught:
        chosen_class("detector", "blazpose")
    assert "blazepose" in caught.value.hint


def test_a_name_far_from_all_gets_none():
    with pytest.raises(UsageError) as caught:
        chosen_class("detector", "camera")
    assert not caught.value.hint


def test_a_choice_that_a_detector_lacks_names_those_that_have_it():
    with pytest.raises(UsageError, match="blazepose has no --device") as caught:
        Options(device="cuda")
    assert "rtmpose" in str(caught.value) and "openpose" not in str(caught.value)


def test_a_person_can_be_0_as_a_file_s_ids_begin_there():
    assert Options(person="0").person == "0"
    with pytest.raises(UsageError, match="unknown choice of person"):
        Options(person="00")


def test_in_python_formats_may_be_text_and_a_person_a_number(monkeypatch):
    monkeypatch.setattr(Runner, "run", lambda self, clip: self.options)
    made = run("clip.mp4", formats="npz,csv", person=2)
    assert made.formats == ("npz", "csv") and made.person == "2"


def test_a_whole_module_can_be_chosen():
    assert choose("format", "npz", {"npz": "exporters.npz"}).__name__ == "exporters.npz"
