"""Boards: as text, as files, in pictures; and what is said when they are not found."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from boards_seen import CHARUCO, CHECKERS, TURNABLE, rig, wave

from multiview.board_files import board, length, read_board
from multiview.boards import Board, find, sharp
from multiview.explain import why_not
from pipeline.errors import InputError, UsageError
from pipeline.projection import project
from studio.boards import pictures

CALISCOPE = """columns = 4
rows = 5
board_height = 11.0
board_width = 8.5
dictionary = "DICT_4X4_1000"
units = "inch"
aruco_scale = 0.75
inverted = true
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("charuco:5x7:60mm:45mm:DICT_5X5_100", Board("charuco", 5, 7, 0.06, 0.045, "DICT_5X5_100")),
        ("charuco:5x7:6cm", Board("charuco", 5, 7, 0.06, 0.045)),
        ("charuco:5X7:0.06:5x5_50:inverted:legacy", Board("charuco", 5, 7, 0.06, 0.045, "DICT_5X5_50", True, True)),
        ("checkerboard:7x4:2in", Board("checkerboard", 7, 4, 0.0508)),
    ],
)
def test_a_board_in_a_word(text, expected):
    found = board(text)
    assert replace(found, square_m=0.1, marker_m=0.05) == replace(expected, square_m=0.1, marker_m=0.05)
    assert found.square_m == pytest.approx(expected.square_m)
    assert found.marker_m == pytest.approx(expected.marker_m)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("chess:7x4:60mm", "no board"),
        ("charuco:5x7", "no board"),
        ("charuco:57:60mm", "COLUMNSxROWS"),
        ("checkerboard:7x4:60", "60 m"),
        ("checkerboard:1x4:6cm", "1 x 4"),
        ("checkerboard:7x4:6ft", "no length"),
        ("checkerboard:7x4:6cm:4cm", "nothing of a checkerboard"),
        ("charuco:5x7:6cm:7cm", "markers of 0.07 m"),
        ("charuco:5x7:6cm:4X9_50", "no dictionary"),
    ],
)
def test_no_board(text, words):
    with pytest.raises(UsageError, match=words):
        board(text)


def test_lengths():
    assert [length(t) for t in ("54mm", "5.4cm", ".054m", "0.054")] == pytest.approx([0.054] * 4)


def test_board_files(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text(CALISCOPE)
    found = board(str(path))
    assert found.square_m == pytest.approx(8.5 / 4 * 0.0254) and found.inverted and found.columns == 4
    path.write_text(CALISCOPE + "square_size_override_cm = 5.4\n")
    assert read_board(path).square_m == pytest.approx(0.054) and read_board(path).marker_m == pytest.approx(0.0405)
    path.write_text("columns = 7\nrows = 4\nsquare_m = 0.06\n")
    assert read_board(path) == CHECKERS


@pytest.mark.parametrize(
    "text", ["columns = 7", "columns = [", 'columns = "x"\nrows = 2\nsquare_m = 1', "columns=4\nrows=4\n"]
)
def test_board_files_that_are_none(tmp_path, text):
    path = tmp_path / "board.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"board\.toml"):
        read_board(path)
    with pytest.raises(InputError, match="no board file"):
        read_board(tmp_path / "none.toml")


@pytest.mark.parametrize("kind", [CHARUCO, replace(CHARUCO, inverted=True), CHECKERS, TURNABLE], ids=str)
def test_corners_are_where_the_camera_has_them(kind):
    camera, poses = rig()[1], wave(kind, 4)
    count = 0
    for pose, picture in zip(poses, pictures(kind, camera, poses), strict=True):
        found = find(kind, picture)
        if found is None:
            continue
        count += 1
        expected = project(camera, kind.points @ pose[:3, :3].T + pose[:3, 3])[0]
        errors = [np.linalg.norm(expected[ids] - found.corners, axis=1) for ids in found.ways]
        assert min(np.median(e) for e in errors) < 0.2
        assert len(found.ways) == (2 if kind == TURNABLE else 1)
    assert count >= 2


@pytest.mark.parametrize(("shape", "ways"), [((7, 4), 1), ((6, 4), 2), ((5, 5), 2), ((4, 4), 4)])
def test_ways_in_which_a_checkerboard_looks_the_same(shape, ways):
    """Whatever way the picture is turned, one of them is the true one; and there are no more than necessary."""
    kind = Board("checkerboard", *shape, 0.06)
    camera = replace(rig()[1], distortion=np.zeros(5))
    pose = wave(kind, 1, tilt=0.1)[0]
    picture = next(pictures(kind, camera, pose[None]))
    expected = project(camera, kind.points @ pose[:3, :3].T + pose[:3, 3])[0]
    width, height = camera.size
    for quarter in range(4):
        found = find(kind, np.ascontiguousarray(np.rot90(picture, quarter)))
        assert len(found.ways) == ways
        x, y = expected.T
        turned = [(x, y), (y, width - 1 - x), (width - 1 - x, height - 1 - y), (height - 1 - y, x)][quarter]
        away = [np.abs(np.stack(turned, 1)[ids] - found.corners).max() for ids in found.ways]
        assert min(away) < 0.5


def test_blur_is_measured_and_left_out():
    camera, poses = rig()[1], wave(CHECKERS, 1, tilt=1e-3)
    found = {}
    for blur_px in (1.0, 2.0, 4.0):
        one = find(CHECKERS, next(pictures(CHECKERS, camera, poses, blur_px=blur_px, noise=0)))
        found[int(blur_px)] = one
        assert one.blur_px == pytest.approx(np.hypot(blur_px, 0.65), rel=0.15)  # pixels and differences blur, too
    assert set(sharp({**found, 10: found[1], 11: found[1]})) == {1, 2, 10, 11}
    assert sharp({}) == {}
    streak = cv2.blur(next(pictures(CHECKERS, camera, poses, noise=0)), (13, 1))
    assert find(CHECKERS, streak).blur_px > 1.7 * found[1].blur_px


def pile(kind, count=2):
    return list(pictures(kind, rig()[1], wave(kind, count, tilt=0.2)))


@pytest.mark.parametrize(
    ("filmed", "said", "words"),
    [
        (replace(CHARUCO, dictionary="DICT_6X6_50"), CHARUCO, "DICT_6X6_50"),
        (replace(CHARUCO, inverted=True), CHARUCO, "black and white are exchanged"),
        (replace(CHARUCO, columns=7, rows=5), CHARUCO, "columns and rows are exchanged"),
        (replace(CHARUCO, rows=6, legacy=True), replace(CHARUCO, rows=6), "other colour"),
        (CHECKERS, Board("checkerboard", 9, 6, 0.06), "of 7 x 4 inner corners|of 4 x 7 inner corners"),
    ],
)
def test_another_board_is_named(filmed, said, words):
    import re

    why, hint = why_not(said, pile(filmed))
    assert re.search(words, why), why
    assert hint


def test_mirrored_footage_is_named():
    flipped = [picture[:, ::-1] for picture in pile(CHARUCO)]
    assert all(find(CHARUCO, np.ascontiguousarray(p)) is None for p in flipped)
    assert "mirrored" in why_not(CHARUCO, flipped)[0]


@pytest.mark.parametrize("kind", [CHARUCO, CHECKERS])
def test_nothing_to_see(kind):
    why, hint = why_not(kind, [np.full((240, 320, 3), 90, np.uint8)] * 2)
    assert "nothing like a board in the 2 pictures" in why and "light" in hint
