"""Whole runs of small clips: people who leave, broken clips, changed options and clips, mistakes of our own."""

import csv
import dataclasses
import json
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from test_bad_input import call, write_video
from test_clip import turned

import pipeline
from checkpoints import store
from checkpoints.card import card
from pipeline.batch import run_all
from pipeline.errors import InternalError, NobodyError, UsageError
from pipeline.options import Options
from pipeline.report import finite
from pipeline.runner import Runner
from trackers.offline import OfflineTracker

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A runner whose loaded models the tests share."""
    return Runner(Options(out=tmp_path_factory.mktemp("models")))


@pytest.fixture
def runner(models, tmp_path):
    """Make a runner with options of its own; its results go to tmp_path/out."""

    def make(**options):
        one = Runner(Options(**{"out": tmp_path / "out", "formats": ("npz",)} | options))
        one.__dict__ |= {"detector": models.detector} | (
            {"lifter": models.lifter} if one.options.lifter == "videopose3d" else {}
        )
        return one

    return make


def pictures(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def write_pictures(path, frames, rate=12, ticks=None, options=None):
    """`ticks` (1/1000 s) gives the frames times of their own."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        if ticks is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24").reformat(format="yuv420p")
            if ticks is not None:
                frame.pts, frame.time_base = ticks[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def report_of(home):
    return json.loads((home / "report.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def names(home):
    return sorted(p.name for p in home.iterdir() if p.is_file() and not p.name.startswith("."))


# ---- broken and unusual clips at the command line ----------------------------------------------------------------


def test_everybody_leaves_half_way(clip, tmp_path, runner):
    frames = pictures(clip)
    empty = [np.full_like(frames[0], 120)] * len(frames)
    scene = runner().run(write_pictures(tmp_path / "leaves.mp4", frames + empty))
    assert len(scene.people) == 1
    with np.load(tmp_path / "out" / "leaves" / "poses.npz") as poses:
        assert len(poses["times"]) == 2 * len(frames)
        known = np.isfinite(poses["joints_world_m"][0]).all((1, 2))
        assert known[: len(frames) - 1].all() and not known[len(frames) + 1 :].any()
        assert not poses["joint_scores"][0][~known].any()


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_a_cut_file_runs_to_its_end_and_says_so_every_time(clip, tmp_path, capsys, ending):
    path = tmp_path / f"cut.{ending}"
    write_pictures(path, pictures(clip) * 3, options={"movflags": "faststart"} if ending == "mp4" else {})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    for _ in range(2):
        code, stdout, stderr = call(capsys, path, "--out", tmp_path / "out", "--formats", "npz")
        report = report_of(tmp_path / "out" / "cut")
        assert code == 0 and path.name in stdout and report["clip"]["frames"] > 0
        assert len(report["warnings"]) >= 1
        for text in report["warnings"]:
            assert text in stderr


def test_a_lost_frame_is_told_by_every_later_run(clip, tmp_path, runner):
    path = write_pictures(tmp_path / "hurt.mp4", pictures(clip) * 3)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][20]
    data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    for again in ((), ("track", "motion"), ()):
        for stage in again:
            next((tmp_path / "out" / "hurt" / "cache").glob(f"{stage}-*")).unlink()
        scene = runner().run(path)
        assert any("could not be decoded" in text for text in scene.provenance["warnings"])
        assert scene.provenance["warnings"] == report_of(tmp_path / "out" / "hurt")["warnings"]
        assert {"detect", "track", "lift", "npz"} <= set(scene.provenance["seconds_per_stage"])


def test_a_turned_clip(clip, tmp_path, capsys):
    lying = [np.rot90(picture) for picture in pictures(clip)]
    path = turned(write_pictures(tmp_path / "turned.mp4", lying), 90)
    code, stdout, _ = call(capsys, path, "--out", tmp_path / "out", "--formats", "npz")
    assert code == 0 and "1 person" in stdout
    assert report_of(tmp_path / "out" / "turned")["clip"]["rotation"] == 90
    with np.load(tmp_path / "out" / "turned" / "poses.npz") as poses:
        assert poses["frame_size"].tolist() == [320, 240]


def test_an_uneven_clip_keeps_its_times(clip, tmp_path, capsys):
    ticks = np.cumsum([0, 33, 33, 150, 33, 33, 100, 33, 33, 33, 250, 33]).tolist()
    path = write_pictures(tmp_path / "uneven.mkv", pictures(clip), ticks=ticks)
    code, _, stderr = call(capsys, path, "--out", tmp_path / "out", "--formats", "npz,mp4")
    assert code == 0 and "variable" in stderr
    with np.load(tmp_path / "out" / "uneven" / "poses.npz") as poses:
        np.testing.assert_allclose(poses["times"], np.array(ticks) / 1000, atol=1e-6)
    with av.open(str(tmp_path / "out" / "uneven" / "side_by_side.mp4")) as film:
        shown = [float(frame.time) for frame in film.decode(video=0)]
    np.testing.assert_allclose(shown, np.array(ticks) / 1000, atol=1e-3)


@pytest.mark.parametrize("fault", ["missing", "another"])
def test_the_lifters_weights_are_sought_before_any_work(clip, tmp_path, capsys, monkeypatch, models, fault):
    lifter = card("videopose3d-open")
    for name in ("blazepose-detection", "blazepose-landmark-full"):
        found = store.find(name)
        (tmp_path / "store").mkdir(exist_ok=True)
        (tmp_path / "store" / card(name).file).write_bytes(found.read_bytes())
    if fault == "another":
        (tmp_path / "store" / lifter.file).write_bytes(bytes(lifter.bytes))
    monkeypatch.setattr(store, "ROOT", tmp_path)
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path / "store"))
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1")
    code, _, stderr = call(capsys, clip, "--out", tmp_path / "out")
    assert code == 4 and "videopose3d-open" in stderr
    assert ("sha256" in stderr) == (fault == "another")
    assert not (tmp_path / "out").exists()


# ---- wrong usage is told before any work -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [{"detector": "blazepos"}, {"tracker": "x"}, {"lifter": "x"}, {"person": "00"}, {"person": "-1"}, {"person": "²"},
     {"person": "9" * 5000}, {"person": ""}],
)  # fmt: skip
def test_wrong_choices_are_no_options(wrong):
    with pytest.raises(UsageError):
        Options(**wrong)


def test_wrong_choices_in_a_batch_are_wrong_usage(tmp_path, capsys):
    clips = [write_video(tmp_path / "a.mp4"), write_video(tmp_path / "b.mp4")]
    code, _, stderr = call(capsys, *clips, "--out", tmp_path / "out", "--lifter", "videopose3")
    assert code == 2 and "videopose3d" in stderr and not (tmp_path / "out").exists()


# ---- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [RuntimeError("oh"), ValueError("oh"), MemoryError(), cv2.error("oh\n\nno\n")])
def test_an_unexpected_exception_becomes_an_error_of_ours(tmp_path, runner, monkeypatch, failure):
    def fail(*_):
        raise failure

    monkeypatch.setattr(OfflineTracker, "track", fail)
    with pytest.raises(InternalError, match=rf"unexpected {type(failure).__name__} in clip .*a\.mp4") as caught:
        runner().run(write_video(tmp_path / "a.mp4"))
    assert caught.value.__cause__ is failure and caught.value.exit_code == 1 and "--debug" in caught.value.hint
    assert names(tmp_path / "out" / "a") == [] and len(str(caught.value).splitlines()) <= 3


def test_an_interrupt_is_no_mistake(tmp_path, runner, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(OfflineTracker, "track", interrupt)
    with pytest.raises(KeyboardInterrupt):
        runner().run(write_video(tmp_path / "a.mp4"))


def test_an_unexpected_exception_stays_with_its_clip(tmp_path, capsys, monkeypatch):
    track = OfflineTracker.track

    def fail_on_four(self, detections, times, size):
        if len(times) == 4:
            raise RuntimeError("four is too many")
        return track(self, detections, times, size)

    monkeypatch.setattr(OfflineTracker, "track", fail_on_four)
    clips = [write_video(tmp_path / f"{name}.mp4", frames=n) for name, n in (("a", 3), ("b", 4), ("c", 5))]
    code, stdout, stderr = call(capsys, *clips, "--out", tmp_path / "out", "--formats", "npz")
    assert code == 1 and "four is too many" in stderr and "Traceback" not in stderr
    assert "a.mp4" in stdout and "c.mp4" in stdout
    with (tmp_path / "out" / "batch.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["done", "failed", "done"]
    assert "RuntimeError" in rows[1]["message"] and "nobody" in rows[2]["message"]
    monkeypatch.undo()
    assert call(capsys, clips[1], "--out", tmp_path / "out", "--formats", "npz")[0] == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a", "b", "batch.csv", "c"]


def test_a_failure_before_the_first_stage_leaves_no_folder(tmp_path, runner, monkeypatch):
    def fail(*_):
        raise RuntimeError("oh")

    one = runner()
    monkeypatch.setattr(type(one.detector), "detect", fail)
    with pytest.raises(InternalError):
        one.run(write_video(tmp_path / "a.mp4"))
    assert not (tmp_path / "out").exists()


def test_a_table_of_one_clip_when_asked_for(tmp_path):
    clip = write_video(tmp_path / "a.mp4")
    options = Options(out=tmp_path / "out", formats=("npz",))
    run_all([clip], options)
    assert not (tmp_path / "out" / "batch.csv").exists()
    run_all([clip], options, table=True)
    assert len((tmp_path / "out" / "batch.csv").read_text().splitlines()) == 2


# ---- a second run ------------------------------------------------------------------------------------------------


def test_results_of_other_options_do_not_stay(clip, tmp_path, runner):
    home = tmp_path / "out" / "walk"
    runner(formats=("npz", "csv", "gif")).run(clip)
    assert names(home) == ["poses.csv", "poses.npz", "report.json", "skeleton.gif"]
    runner(formats=("csv",)).run(clip)
    assert names(home) == ["poses.csv", "poses.npz", "report.json", "skeleton.gif"], "still true"
    runner(formats=("csv",), lifter="blazepose").run(clip)
    assert names(home) == ["poses.csv", "report.json"]


def test_a_person_chosen_after_a_cached_run(clip, tmp_path, runner):
    first = runner().run(clip)
    with pytest.raises(UsageError, match="no person 7"):
        runner(person="7").run(clip)
    scene = runner(person=str(first.people[0].id)).run(clip)
    assert {"detect", "track", "lift"} <= set(scene.provenance["reused_stages"])
    assert scene.provenance["device"] == first.provenance["device"]


def test_overwrite_does_everything_again(clip, runner):
    runner().run(clip)
    again = runner(overwrite=True).run(clip).provenance
    assert again["reused_stages"] == []
    assert set(again["seconds_per_stage"]) == {"detect", "track", "lift", "place", "clean", "npz"}


def test_another_clip_under_the_same_name_leaves_nothing_of_the_first(clip, tmp_path, runner):
    path, home = tmp_path / "a.mp4", tmp_path / "out" / "a"
    path.write_bytes(clip.read_bytes())
    runner(formats=("npz", "csv")).run(path)
    write_video(path)
    with pytest.raises(NobodyError):
        runner(strict=True).run(path)
    assert names(home) == []
    scene = runner(formats=("npz",)).run(path)
    assert scene.people == [] and names(home) == ["poses.npz", "report.json"]


def test_a_run_that_fails_leaves_a_result_as_it_was_or_unfinished(clip, tmp_path, runner, monkeypatch):
    """Before anything is written of the new one, and while it is."""
    one, home = runner(), tmp_path / "out" / "walk"
    one.run(clip)
    before = {name: (home / name).read_bytes() for name in names(home) if (home / name).is_file()}

    def fail(*_):
        raise RuntimeError("oh")

    with monkeypatch.context() as patch:
        patch.setattr(type(one.lifter), "lift", fail)
        with pytest.raises(InternalError):
            runner(fov_deg=50).run(clip)
    assert "report.json" in before and all((home / name).read_bytes() == data for name, data in before.items())
    monkeypatch.setattr("visualize.film.write_film", fail)
    with pytest.raises(InternalError):
        runner(fov_deg=50, formats=("mp4",)).run(clip)
    assert "report.json" not in names(home)


# ---- the report --------------------------------------------------------------------------------------------------


def test_a_person_without_a_pose_is_told_and_the_report_is_json(clip, tmp_path, capsys, models, monkeypatch):
    lift = type(models.lifter).lift

    def lose(self, *arguments):
        motion = lift(self, *arguments)
        return dataclasses.replace(motion, joints=np.full_like(motion.joints, np.nan))

    monkeypatch.setattr(type(models.lifter), "lift", lose)
    code, stdout, stderr = call(capsys, clip, "--out", tmp_path / "out", "--formats", "mp4,gif,npz,csv")
    report = report_of(tmp_path / "out" / "walk")
    number = report["quality"]["people"][0]["id"]
    assert code == 0 and "1 person" in stdout
    assert f"person {number} has no usable 3D pose" in report["warnings"]
    assert all(stderr.count(text) == 1 for text in report["warnings"])
    assert report["quality"]["people"][0]["jitter_m_s2"] is None


def test_what_json_does_not_know_becomes_none():
    given = {"a": [np.float32("nan"), (1.5, -np.inf)], "b": np.int64(3), 1: float("nan"), "c": "NaN"}
    assert finite(given) == {"a": [None, [1.5, None]], "b": 3, 1: None, "c": "NaN"}


def test_the_report_names_versions_and_the_clip(clip, tmp_path, runner):
    runner().run(clip)
    report = report_of(tmp_path / "out" / "walk")
    assert report["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert report["version"] == pipeline.VERSION
    required = {line.split("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}
    assert set(report["packages"]) == required - {"tomli"} and all(report["packages"].values())
    assert report["clip_bytes"] == clip.stat().st_size and report["clip_mtime_ns"] == clip.stat().st_mtime_ns


def test_the_scene_leaves_out_what_only_lifters_read(runner, clip):
    (track,) = runner(lifter="blazepose").run(clip).tracks
    assert track.presence is track.world is track.appearance is None
    assert np.isfinite(track.keypoints).any()
