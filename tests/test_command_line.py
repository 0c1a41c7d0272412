"""The command line's own words: unexpected errors, --debug, wrong choices, doctor."""

import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest
from commandline import call

from pipeline import batch, command, doctor
from pipeline.errors import MissingError, OutputError
from pipeline.options import Options
from training import RECIPES
from training.settings import changed

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("debug", [True, False])
def test_an_error_that_nobody_foresaw(capsys, monkeypatch, debug):
    def fail():
        raise ValueError("odd\nand more of it")

    monkeypatch.setattr(doctor, "examine", fail)
    code, stdout, stderr = call(capsys, "doctor", *(["--debug"] if debug else []))
    assert code == 1 and stdout == ""
    assert ("Traceback" in stderr) == debug
    message = stderr[stderr.index("error: unexpected") :].splitlines()
    assert message[0] == "error: unexpected ValueError: odd" and len(message) <= 4
    assert "in fail" in message[1] and "test_command_line.py" in message[1]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_debug_may_stand_anywhere(capsys, place):
    arguments = ["studio", "no-such-scene"]
    arguments.insert(place, "--debug")
    code, _, stderr = call(capsys, *arguments)
    assert code == 2 and "Traceback" in stderr and "error: " in stderr
    assert "Traceback" not in call(capsys, "studio", "no-such-scene")[2]


def test_help_tells_of_debug(capsys):
    assert "--debug" in call(capsys, "--help")[1]


def test_training_without_pytorch():
    code = (
        "import sys; sys.modules['torch'] = None; import videopose;"
        "videopose.main(['train', 'videopose3d', '--data', 'none.npz'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 4
    assert "try: pip install -r requirements-train.txt" in done.stderr and "Traceback" not in done.stderr


def test_help_of_train_tells_where_the_options_of_a_recipe_are(capsys):
    code, stdout, _ = call(capsys, "train", "--help")
    assert code == 0 and "train RECIPE --help" in stdout and "--tensorboard" in stdout


@pytest.mark.parametrize("name", RECIPES)
def test_help_of_a_recipe_lists_what_set_changes(capsys, name):
    """All options but the data; what it says of each can be given to --set, and is what holds without."""
    code, stdout, _ = call(capsys, "train", name, "--help")
    options = import_module(RECIPES[name]).Options
    told = [line.split()[0] for line in stdout.splitlines() if line.startswith("  ")]
    assert code == 0 and options.__doc__.splitlines()[0] in stdout
    assert [setting.partition("=")[0] for setting in told] == [field.name for field in fields(options)][1:]
    plain = options(Path("data"))
    assert changed(plain, told) == plain


def test_help_of_a_recipe_says_what_options_mean_inherited_ones_too(capsys):
    lines = call(capsys, "train", "videopose3d-semi", "--help")[1].splitlines()
    told = {line.split()[0]: line.partition("  ")[2].split("  ")[-1].strip() for line in lines if line[:2] == "  "}
    assert told["subset=0.1"] == "share of every labelled video, one stretch of it"
    assert told["widths=3,3,3"] == "filters; the window is their product"
    assert told["batch=64"] == "windows of known 3D, and as many others"
    assert told["unlabelled="].startswith("subjects whose 3D is not looked at")


def test_help_of_no_recipe(capsys):
    code, _, stderr = call(capsys, "train", "ri", "--help")
    assert code == 2 and "no recipe called 'ri'" in stderr and "try: rie" in stderr


def test_a_bench_needs_a_run(capsys):
    code, _, stderr = call(capsys, "bench", "--repeats", "0")
    assert code == 2 and "--repeats" in stderr


@pytest.mark.parametrize("name", ["x.txt", "x", "x.webm"])
def test_the_studio_writes_known_kinds_only(capsys, tmp_path, name):
    code, _, stderr = call(capsys, "studio", "walk", "-o", tmp_path / name)
    assert code == 2 and ".mp4" in stderr and name in stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", command.STUDIO_SUFFIXES)
def test_the_studio_writes_what_it_says(capsys, tmp_path, suffix):
    from pipeline.clip import open_clip

    code, _, stderr = call(capsys, "studio", "walk", "-o", tmp_path / f"x{suffix}", "--seconds", "0.2", "--fps", "10")
    assert code == 0, stderr
    assert open_clip(tmp_path / f"x{suffix}").info.times == pytest.approx([0.0, 0.1], abs=1e-3)


def test_nothing_to_do_is_an_empty_list(capsys, tmp_path):
    code, stdout, stderr = call(capsys, "--json", "--out", tmp_path)
    assert code == 0 and stdout == "[]\n" and "nothing new" in stderr


def test_formats_may_have_spaces(capsys, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(command, "run_command", lambda sources, options, **_: seen.append(options.formats) or 0)
    code, _, _ = call(capsys, tmp_path / "a.mp4", "--formats", " mp4, npz,")
    assert code == 0 and seen == [("mp4", "npz")]


def test_a_batch_tells_which_clip_it_is_at(monkeypatch, tmp_path):
    told, clips = [], [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    monkeypatch.setattr(command.console.Reporter, "clip", lambda self, *about: told.append(about))
    monkeypatch.setattr(batch.Runner, "prepare", lambda self: None, raising=False)
    monkeypatch.setattr(batch.Runner, "run", lambda self, path: told.append(path.name) or failing(path))
    for path in clips:
        path.write_bytes(b"x")
    assert command.run_command([str(p) for p in clips], Options(out=tmp_path / "out"), json=False, quiet=True) == 1
    assert told == [("a.mp4", 1, 2), "a.mp4", ("b.mp4", 2, 2), "b.mp4"]


def test_a_batch_shows_tracebacks_when_asked(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(batch.Runner, "prepare", lambda self: None, raising=False)
    monkeypatch.setattr(batch.Runner, "run", lambda self, path: failing(path))
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    for debug in ([], ["--debug"]):
        code, _, stderr = call(capsys, tmp_path, "--out", tmp_path / "out", *debug)
        assert code == 1 and stderr.count("Traceback") == 2 * len(debug)


def test_a_folder_of_one_clip_has_a_table(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(batch.Runner, "run", lambda self, path: failing(path))
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_bytes(b"x")
    call(capsys, tmp_path / "clips" / "a.mp4", "--out", tmp_path / "one")
    call(capsys, tmp_path / "clips", "--out", tmp_path / "folder")
    assert not (tmp_path / "one" / "batch.csv").exists()
    assert (tmp_path / "folder" / "batch.csv").exists()


def failing(path):
    raise OutputError(f"cannot write {path}")


# ---- doctor ---------------------------------------------------------------------------------------------------------


def test_a_codec_that_is_missing_fails_the_check(monkeypatch, capsys):
    monkeypatch.setitem(doctor.CODECS, "w", {"libx264": "H.264", "no-such-codec": "Nothing"})
    monkeypatch.setattr(doctor, "CHECKS", {"codecs": doctor._codecs})
    assert doctor.examine() == 4
    assert "FAILED: PyAV here cannot write Nothing" in capsys.readouterr().out


def test_doctor_names_the_precision_that_was_bound():
    assert doctor._device().endswith("in f32)")


def test_doctor_fetches_no_weights(monkeypatch, tmp_path):
    from checkpoints import store, wheel

    def download(*_, **__):
        raise AssertionError("doctor downloads")

    monkeypatch.setattr(wheel.subprocess, "run", download)
    monkeypatch.setattr(store.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path))
    monkeypatch.delenv("VIDEOPOSE_OFFLINE", raising=False)
    assert "not fetched yet (35 MB at the first run)" in doctor._weights()
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1")
    with pytest.raises(MissingError, match="VIDEOPOSE_OFFLINE"):
        doctor._weights()


def test_threads_respect_the_affinity(monkeypatch):
    from detectors import blazepose

    monkeypatch.setattr(blazepose.os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert blazepose._cores() == 3
    monkeypatch.delattr(blazepose.os, "sched_getaffinity")
    monkeypatch.setattr(blazepose.os, "cpu_count", lambda: 7)
    assert blazepose._cores() == 7


def test_a_mistyped_command_is_told(capsys):
    code, _, stderr = call(capsys, "dcotor")
    assert code == 2 and "no command and no clip called dcotor" in stderr and "videopose.py doctor" in stderr
