"""`videopose.py checkpoints list|pull|verify|where`."""

import json

import pytest
from commandline import call

from checkpoints.card import card, names
from checkpoints.store import ROOT


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty store, offline; of our cards only the lifter's file is on this machine."""
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path))
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1")
    monkeypatch.setattr("checkpoints.store.importlib.util.find_spec", lambda name: None)
    return tmp_path


def test_list_tells_name_place_size_and_licence(home, capsys):
    code, out, _ = call(capsys, "checkpoints", "list")
    lines = {line.split()[0]: line.split(maxsplit=3) for line in out.splitlines()}
    assert code == 0 and set(lines) == {"name", *names()}
    assert lines["videopose3d-open"][1:] == ["yes", "12.2", "Apache-2.0"]
    assert lines["yolo11n-pose"][1:] == ["no", "6.3", "AGPL-3.0"]
    assert lines["rie-cpn"][1:3] == ["by", "hand"]


def test_list_as_json(home, capsys):
    (home / "rtmo-s.onnx").write_bytes(b"12345")
    code, out, _ = call(capsys, "checkpoints", "list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and list(rows) == names()
    assert rows["rtmo-s"]["here"] == str(home / "rtmo-s.onnx") and rows["rtmo-s"]["bytes"] == 5
    assert rows["mediapipe-lite"]["sha256"] == card("mediapipe-lite").sha256 and rows["mediapipe-lite"]["here"] is None


def test_list_where_the_store_is_no_folder(home, capsys, monkeypatch):
    (home / "file").touch()
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(home / "file"))
    code, out, _ = call(capsys, "checkpoints", "list")
    assert code == 0 and len(out.splitlines()) == 1 + len(names())


def test_where_prints_the_path(home, capsys):
    code, out, _ = call(capsys, "checkpoints", "where", "videopose3d-open")
    assert code == 0 and out.strip() == str(ROOT / "checkpoints" / "videopose3d-open.onnx")


@pytest.mark.parametrize(
    ("name", "offline", "told"),
    [
        ("rtmo-s", False, "python videopose.py checkpoints pull rtmo-s"),
        ("rtmo-s", True, "rtmo-s.onnx"),
        ("rie-cpn", False, "get cpn_pretrained.bin from the archive at https://drive.google.com"),
    ],
)
def test_where_tells_how_to_get_what_is_not_here(home, capsys, monkeypatch, name, offline, told):
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1" if offline else "0")
    code, out, err = call(capsys, "checkpoints", "where", name)
    assert code == 4 and out == "" and "is not here" in err and told in err


def test_pull_goes_on_after_a_failure_and_ends_in_4(home, capsys):
    code, out, err = call(capsys, "checkpoints", "pull", "videopose3d-[co]*")
    assert code == 4 and out.strip() == str(ROOT / "checkpoints" / "videopose3d-open.onnx")
    failed = [name for name in names() if name.startswith(("videopose3d-c", "videopose3d-old"))]
    assert err.count("error: ") == len(failed) == 4 and all(f"weights {name} (" in err for name in failed)


def test_pull_of_what_is_here_ends_in_0(home, capsys):
    assert call(capsys, "checkpoints", "pull", "videopose3d-open", "videopose3d-open")[0] == 0


def test_verify_tells_what_is_wrong_and_ends_in_4(home, capsys):
    assert call(capsys, "checkpoints", "verify")[0] == 0
    wrong = home / "pose_landmarker_lite.task"
    wrong.write_bytes(bytes(card("mediapipe-lite").bytes))
    (home / ".x.onnx.12345678.part").write_bytes(bytes(100_000))
    code, out, err = call(capsys, "checkpoints", "verify")
    assert code == 4 and f"WRONG  {wrong}: the file has sha256" in out and "1 unfinished downloads (0.1 MB)" in out
    assert "videopose3d-open         ok" in out and "mediapipe-lite is not what it should be" in err
    assert wrong.exists()


def test_verify_pins_and_holds_to_the_pin(home, capsys):
    (home / "rtmo-s.onnx").write_bytes(b"\x08first")
    code, out, err = call(capsys, "checkpoints", "verify", "rtmo-s")
    assert code == 0 and "rtmo-s                   as pinned" in out and "pinned now" in err
    (home / "rtmo-s.onnx").write_bytes(b"\x08other")
    code, out, err = call(capsys, "checkpoints", "verify", "rtmo-s")
    assert code == 4 and "was pinned" in out


def test_verify_of_what_is_not_here(home, capsys):
    code, _, err = call(capsys, "checkpoints", "verify", "rtmo-s")
    assert code == 4 and "rtmo-s is not here" in err


@pytest.mark.parametrize("command", ["pull", "verify", "where"])
def test_an_unknown_name_suggests_the_nearest(home, capsys, command):
    code, _, err = call(capsys, "checkpoints", command, "rtmpse-m-17")
    assert code == 2 and "nearest: rtmpose-m-17" in err


def test_a_mistyped_command_is_told(home, capsys):
    code, _, err = call(capsys, "checkpoint", "list")
    assert code == 2 and "videopose.py checkpoints" in err
