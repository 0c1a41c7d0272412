"""videopose.py calibrate, from films of boards to files."""

import json
import re
import sys
import types
from dataclasses import replace

import cv2
import numpy as np
import pytest
from boards_seen import CHECKERS, film, filmed, rig, wave
from commandline import call

from multiview import rig_toml
from multiview.board_files import board
from multiview.calibrate import FACE_UP
from pipeline.calibrating import run
from pipeline.calibration import Request
from pipeline.clip import open_clip
from pipeline.errors import InputError, UsageError
from pipeline.projection import centre
from studio.boards import pictures, waved
from visualize.rig_picture import draw_rig

BOARD = "charuco:5x7:100mm:75mm:DICT_4X4_50"
CHARUCO = board(BOARD)
SIZE = (480, 360)
CAMERAS = rig(SIZE, ("cam1", "cam2"))


POSES = wave(CHARUCO, 16)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Two cameras that film a waved board."""
    return filmed(tmp_path_factory.mktemp("films"), CHARUCO, CAMERAS, POSES)


@pytest.fixture
def rig_files(monkeypatch):
    """Rig files that are read stand in memory, so that these tests are about calibration only."""
    files = types.ModuleType("multiview.rig")
    fits = types.ModuleType("multiview.rig_fit")
    files.read_rig = lambda path: CAMERAS
    fits.fit_rig = lambda cameras, sizes, names: (cameras, ["told"])
    monkeypatch.setitem(sys.modules, "multiview.rig", files)
    monkeypatch.setitem(sys.modules, "multiview.rig_fit", fits)


def distance(cameras):
    return np.linalg.norm(centre(cameras[0]) - centre(cameras[1]))


def test_films_of_a_board_give_a_rig(films, rig_files, tmp_path, capsys):
    out = tmp_path / "new" / "rig.toml"
    code, stdout, stderr = call(capsys, "calibrate", *films, "--board", BOARD, "--out", out, "--floor", "5")
    assert code == 0, stderr
    assert "| cam2 |" in stdout and "rig.png" in stdout and "scale rests on squares of 100 mm" in stderr
    cameras, _ = rig_toml.read(out.read_text())
    assert [camera.name for camera in cameras] == ["cam1", "cam2"]
    for one, truth in zip(cameras, CAMERAS, strict=True):
        assert one.matrix[0, 0] == pytest.approx(truth.matrix[0, 0], rel=0.02)
        onto = FACE_UP @ np.linalg.inv(POSES[5]) @ truth.camera_to_world
        np.testing.assert_allclose(centre(one), onto[:3, 3], atol=0.05)
    told = json.loads(out.with_suffix(".json").read_text())
    least, most = sorted(camera["rms_px"] for camera in told["cameras"])
    error = float(re.search(r"^error = (.*)$", out.read_text(), re.MULTILINE)[1])
    assert 0 < least - 1e-3 <= error <= most + 1e-3 and told["rms_px"] == pytest.approx(error, abs=1e-3)
    assert told["cameras"][0]["rms_px"] < 0.5 and told["cameras"][0]["lens"]["focal_std_percent"] < 3
    assert told["shared_boards"][0][1] >= 6 and told["floor"] == 5
    picture = cv2.imread(str(out.with_suffix(".png")))
    assert picture.shape == (640, 1280, 3) and len(np.unique(picture)) > 50


def test_known_lenses_are_kept(films, rig_files, tmp_path):
    done = run(Request(tuple(films), BOARD, tmp_path / "rig.toml", cameras=tmp_path / "any.toml"))
    assert distance(done.calibration.cameras) == pytest.approx(distance(CAMERAS), abs=0.01)
    assert done.lenses == [None, None] and "told" in done.warnings
    for one, truth in zip(done.calibration.cameras, CAMERAS, strict=True):
        np.testing.assert_array_equal(one.matrix, truth.matrix)


def test_lenses_from_pictures_apart(films, rig_files, tmp_path):
    for camera in CAMERAS:
        towards = centre(camera) - (0, -0.3, 1)
        for i, picture in enumerate(pictures(CHECKERS, camera, waved(CHECKERS, 9, (0, -0.4, 1), towards, seed=4))):
            cv2.imwrite(str(tmp_path / f"{camera.name}_{i}.png"), picture)
    request = Request(
        tuple(films), BOARD, tmp_path / "rig.toml", intrinsics_from=tmp_path, intrinsics_board="checkerboard:7x4:60mm"
    )
    done = run(request)
    for one, truth in zip(done.calibration.cameras, CAMERAS, strict=True):
        assert one.matrix[0, 0] == pytest.approx(truth.matrix[0, 0], rel=0.01)
    with pytest.raises(UsageError, match="both give lenses"):
        run(replace(request, cameras=tmp_path / "x.toml"))
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no picture or video of cam1"):
        run(replace(request, intrinsics_from=tmp_path / "none"))


@pytest.mark.parametrize("name", ["rig.json", "rig.png", "rig"])
def test_a_rig_that_its_report_would_overwrite_is_refused_before_any_work(tmp_path, name, capsys):
    code, _, stderr = call(capsys, "calibrate", tmp_path / "none.mp4", "--board", BOARD, "--out", tmp_path / name)
    assert code == 2 and name in stderr and ".toml" in stderr and not list(tmp_path.iterdir())


def test_clips_are_closed_whatever_happens(films, rig_files, tmp_path, monkeypatch):
    opened, closed = [], []

    def watched(path):
        clip = open_clip(path)
        opened.append(clip)
        monkeypatch.setattr(clip, "close", lambda: closed.append(clip))
        return clip

    monkeypatch.setattr("pipeline.calibrating.open_clip", watched)
    request = Request(tuple(films), BOARD, tmp_path / "rig.toml", cameras=tmp_path / "any.toml")
    run(request)
    assert len(opened) == 2 and set(closed) == set(opened)
    cv2.imwrite(str(tmp_path / "cam1.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(InputError, match=r"cam1\.png is 9 x 9"):
        run(replace(request, cameras=None, intrinsics_from=tmp_path))
    assert len(opened) == 5 and set(closed) == set(opened)


def test_frames_matched_by_a_table(films, rig_files, tmp_path):
    """The second camera's frames come two moments later than they are numbered: the table knows."""
    late = tmp_path / "late_2.mp4"
    table = tmp_path / "times.csv"
    rows = [f"{m},{c},{m},{m / 10}" for m in range(16) for c in (1, 2)]
    table.write_text("sync_index,cam_id,frame_index,frame_time\n" + "\n".join(rows) + "\n")
    late.write_bytes(films[1].read_bytes())
    request = Request((films[0], late), BOARD, tmp_path / "rig.toml", cameras=tmp_path / "x.toml", timestamps=table)
    right = run(request)
    assert distance(right.calibration.cameras) == pytest.approx(distance(CAMERAS), abs=0.01)
    table.write_text(
        "\n".join(["sync_index,cam_id,frame_index", *(f"{m},1,{m}\n{(m + 5) % 16},2,{m}" for m in range(16))])
    )
    assert any("synchronous" in text for text in run(request).warnings)
    for text, words in (
        ("a,b\n1,2\n", "columns sync_index"),
        ("sync_index,cam_id\n0,1\n", "says nothing of late_2"),
        ("sync_index,cam_id,frame_index\n0,1,0\n0,2,99\n", "frame 99 of late_2"),
    ):
        table.write_text(text)
        with pytest.raises(InputError, match=words):
            run(request)
    with pytest.raises(InputError, match="no file"):
        run(replace(request, timestamps=tmp_path / "none.csv"))


def test_footage_that_does_not_do(films, rig_files, tmp_path):
    def attempt(second, **how):
        request = Request((films[0], second), BOARD, tmp_path / "rig.toml", cameras=tmp_path / "x.toml")
        return run(replace(request, **how))

    shown = list(pictures(CHARUCO, CAMERAS[1], wave(CHARUCO, 16)[:5]))
    with pytest.raises(InputError, match=r"cam3: no ChArUco.*\n.*mirrored"):
        attempt(film(tmp_path / "cam3.mp4", [np.ascontiguousarray(picture[:, ::-1]) for picture in shown]))
    with pytest.raises(InputError, match="nothing like a board"):
        attempt(film(tmp_path / "cam4.mp4", [np.full_like(picture, 90) for picture in shown]))
    with pytest.raises(InputError, match="frames are matched by their number"):
        attempt(film(tmp_path / "cam5.mp4", shown, rate=25))
    with pytest.raises(UsageError, match="two videos are called cam1"):
        attempt(films[0])
    with pytest.raises(InputError, match="in frame 99"):
        attempt(films[1], floor=99)
    short = attempt(film(tmp_path / "cam6.mp4", shown))
    assert any("different numbers of frames (cam1 16, cam6 5)" in text for text in short.warnings)
    assert not list(tmp_path.glob(".*part*"))


def test_a_lens_that_cannot_be_had(rig_files, tmp_path):
    towards = centre(CAMERAS[0]) - (0, -0.3, 1)
    poses = waved(CHARUCO, 6, (0, -0.3, 1), towards, tilt=0.001, reach_m=0.05)
    paths = filmed(tmp_path, CHARUCO, CAMERAS[:1], poses)
    with pytest.raises(InputError, match=r"the lens of cam1 cannot be had.*\n.*face the camera"):
        run(Request(tuple(paths), BOARD, tmp_path / "rig.toml"))
    assert not (tmp_path / "rig.json").exists()


def test_a_picture_of_an_empty_rig():
    assert draw_rig([], np.zeros((0, 3)), 200).shape == (200, 400, 3)
    named = draw_rig(CAMERAS, np.full((2, 3), np.nan), 200)
    assert (named != draw_rig([], np.zeros((0, 3)), 200)).any()
