"""The same command gives the same bytes; what was interrupted goes on; finished stages are not done again."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.files import is_leftover
from studio.scenes import build
from studio.write import write

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """One walking actor, two seconds."""
    path = tmp_path_factory.mktemp("clip") / "walk.mp4"
    write(build("walk", size=(640, 360), duration=2.0, fps=15), path)
    return path


def hears_interrupts():
    """A shell's background job, and all it starts, ignores SIGINT; what is tested here must not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(clip, out, *options):
    command = [sys.executable, "videopose.py", str(clip), "--out", str(out), *options]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hears_interrupts if sys.platform != "win32" else None,
    )


def finish(clip, out, *options):
    process = start(clip, out, *options)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    return (out / "walk" / "poses.npz").read_bytes(), json.loads((out / "walk" / "report.json").read_text())


def temporary_files(folder):
    return [p for p in folder.rglob("*") if p.is_file() and ("tmp" in p.name or is_leftover(p))]


@pytest.fixture(scope="module")
def reference(clip, tmp_path_factory):
    """The bytes, the seconds and the folder of an undisturbed run."""
    begin, out = time.monotonic(), tmp_path_factory.mktemp("reference")
    poses, _ = finish(clip, out)
    return poses, time.monotonic() - begin, out


def test_twice_the_same_bytes_and_nothing_redone(clip, reference, tmp_path):
    poses, first = finish(clip, tmp_path)
    assert poses == reference[0]
    assert first["reused_stages"] == []
    film = (tmp_path / "walk" / "side_by_side.mp4").stat().st_mtime_ns
    again, report = finish(clip, tmp_path)
    assert again == poses
    stages = {"detect", "track", "lift", "place", "clean", "mp4", "npz", "csv"}
    assert set(report["reused_stages"]) == stages == set(report["seconds_per_stage"])
    assert report["device"] == first["device"] and report["seconds_per_stage"] == first["seconds_per_stage"]
    assert (tmp_path / "walk" / "side_by_side.mp4").stat().st_mtime_ns == film


def test_another_lifter_redoes_only_what_changed(clip, reference, tmp_path):
    shutil.copytree(reference[2] / "walk", tmp_path / "walk")
    poses, report = finish(clip, tmp_path, "--formats", "npz", "--lifter", "blazepose")
    assert poses != reference[0]
    assert report["reused_stages"] == ["detect", "track"]


# What tells from outside that a stage has begun, and what must not be there yet when it is interrupted.
STAGES = {
    "detect": ("", "walk/cache/detect-*"),
    "track, lift": ("walk/cache/detect-*", "walk/poses.csv"),
    "npz, csv": ("walk/cache/motion-*", "walk/report.json"),
    "film": ("walk/poses.csv", "walk/side_by_side.mp4"),
}


def wait_for(folder, pattern, process):
    deadline = time.monotonic() + 120
    while not any(folder.glob(pattern)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    assert any(folder.glob(pattern)), "the stage has begun"


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("stage", STAGES)
def test_interrupt_leaves_nothing_half_written(clip, reference, tmp_path, stage):
    begun, ended = STAGES[stage]
    process = start(clip, tmp_path)
    if begun:
        wait_for(tmp_path, begun, process)
    else:
        assert any(line.startswith("blazepose on") for line in process.stderr), "it says so when it begins"
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert not any(tmp_path.glob(ended)), "it was interrupted before the end"
    assert "Traceback" not in stderr and temporary_files(tmp_path) == []
    assert finish(clip, tmp_path)[0] == reference[0]
    assert [p.name for p in tmp_path.iterdir()] == ["walk"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_killed_at_twenty_moments_it_still_ends_with_the_same_bytes(clip, reference, tmp_path):
    moments = random.Random(0)
    poses, whole, _ = reference
    killed = 0
    for trial in range(20):
        out = tmp_path / str(trial)
        process = start(clip, out)
        time.sleep(moments.uniform(0.05, 1.0) * whole)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate()
        finished = (
            {p.name.partition("-")[0] for p in (out / "walk" / "cache").glob("*-*.npz")} if out.exists() else set()
        )
        again, report = finish(clip, out)
        assert again == poses
        if "motion" in finished:
            assert {"detect", "track", "lift"} <= set(report["reused_stages"])
        elif "track" in finished:
            assert {"detect", "track"} <= set(report["reused_stages"])
        elif "detect" in finished:
            assert "detect" in report["reused_stages"]
        assert [p.name for p in out.iterdir()] == ["walk"]
        assert temporary_files(out) == []
    assert killed >= 10, "most runs must have been killed before they ended"
