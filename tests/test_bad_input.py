"""Bad input at the command line: a clear message, the right exit code, nothing half-written."""

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from commandline import call

ROOT = Path(__file__).parent.parent


def write_video(path, frames=8, size=(64, 48), codec="mpeg4", rate=25):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for i in range(frames):
            picture = np.full((size[1], size[0], 3), 30 * (i % 8), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        container.mux(stream.encode())
    return path


def write_sound(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4410), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def make(tmp_path, name):
    """The unreadable files of the field."""
    path = tmp_path / name
    if name == "empty.mp4":
        path.write_bytes(b"")
    elif name == "text.mp4":
        path.write_text("this is no video\n" * 50)
    elif name == "sound.mp4":
        write_sound(path)
    elif name == "no_frames.mp4":
        whole = write_video(tmp_path / "whole.mp4").read_bytes()
        path.write_bytes(whole[: whole.index(b"mdat") + 4])
    elif name == "playlist.m3u8":
        path.write_text("#EXTM3U\n#EXTINF:1,\nhttps://example.org/other.ts\n#EXT-X-ENDLIST\n")
    elif name == "playlist.ffconcat" or name == "playlist.mp4":
        path.write_text(f"ffconcat version 1.0\nfile {write_video(tmp_path / 'other.mp4').name}\n")
    elif name == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    "name",
    ["missing.mp4", "empty.mp4", "text.mp4", "sound.mp4", "no_frames.mp4", "playlist.m3u8", "playlist.ffconcat",
     "playlist.mp4", "folder"],
)  # fmt: skip
def test_unreadable_input(tmp_path, capsys, name):
    path, out = make(tmp_path, name), tmp_path / "out"
    code, stdout, stderr = call(capsys, path, "--out", out)
    assert code == 3, stderr
    assert stdout == ""
    lines = stderr.strip().splitlines()
    assert lines[0].startswith("error: ") and name in stderr and len(lines) <= 4 and "Traceback" not in stderr
    assert not out.exists(), "a clip that cannot be read leaves no folder"


def test_network_address_is_refused(tmp_path, capsys):
    code, _, stderr = call(capsys, "https://example.org/a.mp4", "--out", tmp_path / "out")
    assert code == 3 and "example.org" in stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--detector", "blazepos"], "blazepose"),
        (["--lifter", "nonsense"], "videopose3d"),
        (["--formats", "mp4,doc"], "doc"),
        (["--height", "17"], "metres"),
        (["--fov", "60", "--focal", "1000"], "--focal"),
        (["--nonsense"], "nonsense"),
        (["--person", "somebody"], "somebody"),
    ],
)
def test_wrong_usage(tmp_path, capsys, arguments, words):
    code, _, stderr = call(capsys, write_video(tmp_path / "a.mp4"), "--out", tmp_path / "out", *arguments)
    assert code == 2 and words in stderr and "Traceback" not in stderr


@pytest.mark.parametrize(("debug", "expected"), [(["--debug"], True), ([], False)])
def test_debug_shows_the_traceback_and_keeps_the_code(tmp_path, capsys, debug, expected):
    code, _, stderr = call(capsys, tmp_path / "missing.mp4", *debug, "--out", tmp_path)
    assert code == 3 and ("Traceback" in stderr) == expected and "error: there is no file" in stderr


def test_nobody_in_the_picture(tmp_path, capsys):
    clip, out = write_video(tmp_path / "grey.mp4"), tmp_path / "out"
    code, stdout, stderr = call(capsys, clip, "--out", out)
    assert code == 0 and "nobody" in stderr and "0 people" in stdout
    with np.load(out / "grey" / "poses.npz", allow_pickle=False) as poses:
        assert poses["joints_world_m"].shape[0] == 0 and len(poses["times"]) == 8
    assert (out / "grey" / "side_by_side.mp4").stat().st_size > 0
    code, _, stderr = call(capsys, clip, "--out", tmp_path / "strict", "--strict")
    assert code == 5 and "nobody" in stderr


@pytest.mark.parametrize("size", [(8, 8), (65, 47), (7680, 4320)])
def test_tiny_odd_and_huge_frames(tmp_path, capsys, size):
    even = tuple(s + s % 2 for s in size)
    clip = write_video(tmp_path / "a.mp4", frames=2, size=even if size[0] > 100 else size, codec="mpeg4")
    code, _, stderr = call(capsys, clip, "--out", tmp_path / "out")
    assert code == 0, stderr
    with np.load(tmp_path / "out" / "a" / "poses.npz") as poses:
        assert poses["frame_size"].tolist() == list(even if size[0] > 100 else size)


def test_one_frame(tmp_path, capsys):
    code, stdout, _ = call(capsys, write_video(tmp_path / "one.mp4", frames=1), "--out", tmp_path / "out")
    assert code == 0 and "1 frame in" in stdout


def test_a_folder_isolates_failures_and_writes_the_table(tmp_path, capsys):
    folder, out = tmp_path / "clips", tmp_path / "out"
    folder.mkdir()
    write_video(folder / "a.mp4")
    (folder / "b.mp4").write_text("no video")
    write_video(folder / "c.mp4")
    code, stdout, stderr = call(capsys, folder, "--out", out)
    assert code == 1 and "b.mp4" in stderr
    assert "a.mp4" in stdout and "c.mp4" in stdout
    rows = (out / "batch.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows] == ["status", "done", "failed", "done"]


def test_two_clips_with_one_stem(tmp_path, capsys):
    for folder, frames in (("one", 3), ("two", 5)):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / "a.mp4", frames=frames)
    code, _, _ = call(capsys, tmp_path / "one/a.mp4", tmp_path / "two/a.mp4", "--out", tmp_path / "out")
    assert code == 0
    for home, frames in (("a", 3), ("a-2", 5)):
        with np.load(tmp_path / "out" / home / "poses.npz") as poses:
            assert len(poses["times"]) == frames


def test_output_that_is_a_file(tmp_path, capsys):
    (tmp_path / "out").write_text("in the way")
    code, _, stderr = call(capsys, write_video(tmp_path / "a.mp4"), "--out", tmp_path / "out")
    assert code == 1 and "cannot write" in stderr and (tmp_path / "out").read_text() == "in the way"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_output_folder_not_writable(tmp_path, capsys):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    code, _, stderr = call(capsys, write_video(tmp_path / "a.mp4"), "--out", locked)
    assert code == 1 and "cannot write" in stderr


def test_weights_that_are_cut(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path / "store"))
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "pose_detection.tflite").write_bytes(b"cut")
    code, _, stderr = call(capsys, write_video(tmp_path / "a.mp4"), "--out", tmp_path / "out")
    assert code == 4 and "3 bytes" in stderr and "VIDEOPOSE_CHECKPOINTS" in stderr
    assert not list((tmp_path / "out").rglob("*.mp4"))


def full_disk_run(out, clip, limit):
    """A run in a process whose files may not grow beyond `limit` bytes, as on a full disk."""
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        f"import videopose; videopose.main([{str(clip)!r}, '--out', {str(out)!r}])"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_disk_full_while_the_film_is_written(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(noise, i * 7, 1), "bgr24")))
        container.mux(stream.encode())
    done = full_disk_run(tmp_path / "out", tmp_path / "a.mp4", 30_000)
    assert done.returncode == 1 and done.stderr.strip().splitlines()[-3:][0].startswith("error"), done.stderr
    left = [p.name for p in (tmp_path / "out" / "a").iterdir() if p.is_file()]
    assert sorted(left) == [".clip.json", "poses.csv", "poses.npz"]
