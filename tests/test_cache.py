"""Stage files give back what was put in, survive damage, and change their key with what they depend on."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cache import (
    StageCache,
    code_version,
    key,
    pack_detections,
    pack_people,
    unpack_detections,
    unpack_people,
)  # fmt: skip
from pipeline.results import Detections, Motion3D, Track2D


def some_detections(people, world, rng):
    numbers = lambda *shape: rng.normal(size=(people, *shape)).astype(np.float32)  # noqa: E731
    extra = {"world": numbers(33, 3), "following": np.arange(people, dtype=np.int32)} if world else {}
    return Detections("blazepose-33", numbers(4), numbers(), numbers(33, 2), numbers(33), **extra)


def same(a, b):
    for name in type(a).__dataclass_fields__:
        left, right = getattr(a, name), getattr(b, name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right)
            assert left.dtype == right.dtype, name
        else:
            assert left == right, name


@given(st.lists(st.integers(0, 3), max_size=6), st.booleans())
def test_detections_come_back(people, world):
    rng = np.random.default_rng(0)
    given_ones = [some_detections(n, world, rng) for n in people]
    stored = {name: np.asarray(value) for name, value in pack_detections(given_ones, "blazepose-33").items()}
    back = unpack_detections(stored)
    assert [len(d) for d in back] == people
    for a, b in zip(given_ones, back, strict=True):
        if len(a):
            same(a, b)


def test_people_come_back_through_a_file(tmp_path):
    t, rng = 5, np.random.default_rng(0)
    track = Track2D(
        3, "blazepose-33", np.arange(t, dtype=np.int32), rng.normal(size=(t, 33, 2)), rng.random((t, 33)),
        np.ones(t, bool), np.full((t, 4), np.nan), world=rng.normal(size=(t, 33, 3)),
    )  # fmt: skip
    motion = Motion3D(
        7, "h36m-23", "world", track.frames, rng.normal(size=(t, 23, 3)), rng.random((t, 23)), np.zeros((t, 3)),
        track.observed,
    )  # fmt: skip
    cache = StageCache(tmp_path)
    for number, person in enumerate([track, motion]):
        cache.save("stage", str(number), pack_people([person, person]))
        back = unpack_people(cache.load("stage", str(number)), type(person))
        assert len(back) == 2
        same(person, back[1])


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nonsense", None])
def test_a_damaged_stage_counts_as_absent(tmp_path, damage):
    cache = StageCache(tmp_path)
    cache.save("stage", "k", {"a": np.arange(1000)})
    whole = cache.path("stage", "k").read_bytes()
    cache.path("stage", "k").write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert cache.load("stage", "k") is None
    assert not cache.path("stage", "k").exists()


def test_marks_belong_to_a_key(tmp_path):
    cache = StageCache(tmp_path)
    assert not cache.marked("film", "a")
    cache.mark("film", "a", 1.5)
    assert cache.marked("film", "a")["seconds"] == 1.5 and not cache.marked("film", "b")
    cache.unmark("film")
    assert not cache.marked("film", "a")
    (tmp_path / "film.done").write_text("damaged")
    assert not cache.marked("film", "a")


def test_only_the_newest_files_of_a_stage_stay(tmp_path):
    cache = StageCache(tmp_path)
    for number in range(5):
        cache.save("track", str(number), {"a": np.arange(number)})
        os.utime(cache.path("track", str(number)), ns=(number, number))
        cache.save("motion", "k", {"a": np.arange(3)})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["motion-k.npz", *(f"track-{n}.npz" for n in (2, 3, 4))]


def test_keys_change_with_their_parts():
    assert key("a", 1) == key("a", 1) != key("a", 2)
    assert code_version("pipeline/cache.py") != code_version("pipeline/errors.py")
    assert code_version("trackers") != code_version("motion")
