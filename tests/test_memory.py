"""Little memory for long clips: what is done piece by piece gives the very numbers of doing it at once."""

import mmap
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import people
import pytest

import motion.filters
import motion.trajectory
import visualize.view
from motion.filters import lowpass_known
from motion.place import placement
from pipeline import memory
from trackers.pool import gather

TIMES = np.arange(90) / 30


@pytest.fixture
def unknown_library():
    memory._trim.cache_clear()
    yield
    memory._trim.cache_clear()


@pytest.mark.parametrize("error", [OSError, TypeError, AttributeError])
def test_where_no_library_takes_memory_back_nothing_happens(error, monkeypatch, unknown_library):
    class Library:
        def __init__(self, name):
            if error is not AttributeError:
                raise error

    monkeypatch.setattr(memory, "ctypes", SimpleNamespace(CDLL=Library))
    memory.give_back()
    assert memory._trim() is None


def test_the_library_that_this_program_runs_on_is_asked_to_keep_nothing(monkeypatch, unknown_library):
    asked = []

    def open_library(name):
        asked.append(name)
        return SimpleNamespace(malloc_trim=asked.append)

    monkeypatch.setattr(memory, "ctypes", SimpleNamespace(CDLL=open_library))
    memory.give_back()
    memory.give_back()
    assert asked == [None, 0, 0]  # found once; no bytes are left on top


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(memory._trim() is None, reason="a C library that trims by itself")
def test_freed_memory_is_given_back():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    some = [np.ones(2000) for _ in range(6000)]
    last = np.ones(2000)  # noqa: F841 keeps the heap from shrinking at its end
    full = resident()
    del some
    memory.give_back()
    assert full - resident() > 60e6


def test_the_filter_takes_joints_in_parts(monkeypatch):
    values = np.random.default_rng(0).normal(size=(90, 11, 3))
    values[20:25, 3] = np.nan
    parts = lowpass_known(values, TIMES, 6.0)
    monkeypatch.setattr(motion.filters, "AT_ONCE", 100)
    assert np.array_equal(parts, lowpass_known(values, TIMES, 6.0), equal_nan=True)


def test_the_path_takes_rays_in_parts(monkeypatch):
    joints, contacts = people.walker(lambda t: np.stack([-1.2 + 0.6 * t, 5 + 0 * t], -1), TIMES)
    camera = people.look(10, 1.5)
    moved, track = people.observe(joints, camera, TIMES, contacts=contacts)
    whole = placement([moved], [track], camera, TIMES).motions[0]
    monkeypatch.setattr(motion.trajectory, "CHUNK", 7)
    assert np.array_equal(placement([moved], [track], camera, TIMES).motions[0].joints, whole.joints, equal_nan=True)


def test_the_view_takes_frames_in_parts(monkeypatch):
    low = np.random.default_rng(0).normal(size=(90, 3))
    given = low + 0.5, visualize.view._axes(np.linspace(0, 1, 90), 0.2), np.array([0.3, 0.3]), low, low + 1
    whole = visualize.view._distance_for(*given)
    monkeypatch.setattr(visualize.view, "_CHUNK", 7)
    assert np.array_equal(visualize.view._distance_for(*given), whole)


def test_the_pool_decides_in_float64_and_carries_the_rest_as_it_came():
    joints, _ = people.walker(lambda t: np.stack([0.6 * t - 1, 5 + 0 * t], -1), TIMES)
    seen, _ = people.detect([joints], people.look(), np.random.default_rng(0))
    found = [replace(d, world=np.ones((len(d), 33, 3), np.float32)) for d in seen]
    pool = gather(found, TIMES)
    assert pool.keypoints.dtype == pool.proportions.dtype == float
    assert pool.world.dtype == np.float32
