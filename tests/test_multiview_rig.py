"""Rig files: what is written is read again, in every format; what is wrong in a file is named."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rigs import FISHEYE, RATIONAL, apart, ring

from multiview.rig import FORMATS, load_rig, read_rig, write_all, write_rig
from multiview.rig_checks import check
from pipeline.errors import InputError, UsageError

DATA = Path(__file__).parents[2] / "shared" / "data"
NO_FISHEYE = ("freemocap-json", "qualisys", "easymocap", "panoptic")
NO_RATIONAL = ("freemocap-json", "qualisys", "panoptic")
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=6)


@pytest.mark.parametrize("format", FORMATS)
@same_folder
@given(seed=st.integers(0, 10**6), count=st.integers(1, 5), radius=st.floats(1.5, 20))
@example(seed=85, count=2, radius=2.0)  # two cameras that look past each other: a doubt of the rig, not of its format
def test_a_rig_comes_back_from_every_format(tmp_path, format, seed, count, radius):
    rig = ring(count, radius, seed=seed)
    path = tmp_path / f"{format}-{seed}-{count}-{radius:g}" / FORMATS[format].name
    write_rig(path, rig, format)
    again, warnings = load_rig(path)
    assert apart(rig, again) < (1e-2 if format == "qualisys" else 1e-3)
    assert [c.name for c in again] == [c.name for c in rig] and [c.size for c in again] == [c.size for c in rig]
    assert warnings == check(rig)[1]


@pytest.mark.parametrize("format", FORMATS)
def test_numbers_come_back_to_the_last_digits(tmp_path, format):
    rig = ring(3, seed=5)
    write_rig(tmp_path / "rig", rig, format)
    for camera, again in zip(rig, load_rig(tmp_path / "rig")[0], strict=True):
        np.testing.assert_allclose(again.matrix, camera.matrix, rtol=1e-15)
        np.testing.assert_allclose(again.distortion, camera.distortion, rtol=1e-15)
        np.testing.assert_allclose(again.camera_to_world, camera.camera_to_world, atol=1e-14)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("bend", "fisheye", "cannot"), [(FISHEYE, True, NO_FISHEYE), (RATIONAL, False, NO_RATIONAL)])
def test_a_lens_is_kept_or_refused_never_bent(tmp_path, format, bend, fisheye, cannot):
    rig = [replace(camera, distortion=bend, fisheye=fisheye) for camera in ring(3)]
    if format in cannot:
        with pytest.raises(UsageError, match="cannot hold"):
            write_rig(tmp_path / "rig", rig, format)
        assert not (tmp_path / "rig").exists()
    else:
        write_rig(tmp_path / "rig", rig, format)
        assert apart(rig, read_rig(tmp_path / "rig")) < 1e-9


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "qualisys"])
def test_clocks_are_kept(tmp_path, format):
    clocks = ((0, 1), (-1.25, 1.0002), (0.1, 1), (0, 0.9999))
    rig = [replace(camera, offset_s=o, rate=r) for camera, (o, r) in zip(ring(4), clocks, strict=True)]
    write_rig(tmp_path / "rig", rig, format)
    assert [(camera.offset_s, camera.rate) for camera in read_rig(tmp_path / "rig")] == list(clocks)
    files = [tmp_path / "rig"] if (tmp_path / "rig").is_file() else sorted((tmp_path / "rig").iterdir())
    assert "".join(file.read_text() for file in files).count("clock_rate") == 2


def test_a_clock_that_stands_or_runs_backwards_is_refused(tmp_path):
    write_rig(tmp_path / "rig.toml", [replace(ring(1)[0], rate=-1.0)], "pose2sim")
    with pytest.raises(InputError, match="clock rate"):
        read_rig(tmp_path / "rig.toml")


def test_all_formats_at_once_and_what_is_left_out(tmp_path):
    files, left = write_all(tmp_path, ring(3))
    assert {f.name for f in files} == {f.name for f in FORMATS.values()} and left == []
    bent = [replace(ring(1)[0], distortion=FISHEYE, fisheye=True)]
    files, left = write_all(tmp_path / "fisheye", bent)
    assert len(files) + len(left) == len(FORMATS) and len(left) == len(NO_FISHEYE)
    assert "qualisys" in " ".join(left) and "fisheye" in left[0]
    late = [replace(camera, offset_s=0.1 * n) for n, camera in enumerate(ring(3))]
    files, left = write_all(tmp_path / "late", late)
    assert len(files) == len(FORMATS) and left == ["cameras.qca.txt has no place for the clocks' offsets and rates"]


@pytest.mark.parametrize("format", ["pose2sim", "anipose", "freemocap"])
def test_no_error_is_claimed_that_nobody_measured(tmp_path, format):
    write_rig(tmp_path / "rig.toml", ring(2), format)
    assert "error" not in (tmp_path / "rig.toml").read_text()


@pytest.mark.parametrize("name", ["links vorn", "kamera-ä", "12", "a.b", 'say "x"', "[x]"])
def test_unusual_names_survive_or_are_refused(tmp_path, name):
    rig = [replace(ring(1)[0], name=name)]
    for format in FORMATS:
        try:
            write_rig(tmp_path / f"{format}rig", rig, format)
        except UsageError as error:
            assert format in ("easymocap", "opencv") and '"' in name, error
        else:
            assert read_rig(tmp_path / f"{format}rig")[0].name == name


def test_a_moving_camera_cannot_be_written(tmp_path):
    moving = replace(ring(1)[0], camera_to_world=np.tile(np.eye(4), (5, 1, 1)))
    for format in FORMATS:
        with pytest.raises(UsageError, match="moves"):
            write_rig(tmp_path / "rig", [moving], format)
    with pytest.raises(UsageError, match="moves"):
        write_all(tmp_path, [moving])


def test_writing_refuses_what_cannot_be_told_apart(tmp_path):
    camera = ring(1)[0]
    with pytest.raises(UsageError):
        write_rig(tmp_path / "rig", [camera, camera], "pose2sim")
    with pytest.raises(UsageError):
        write_rig(tmp_path / "rig", [], "pose2sim")
    with pytest.raises(UsageError, match="unknown rig format"):
        write_rig(tmp_path / "rig", [camera], "pose3sim")


def test_opencv_reads_what_we_write_with_its_own_hands(tmp_path):
    rig = ring(2)
    write_rig(tmp_path, rig, "easymocap")
    inside = cv2.FileStorage(str(tmp_path / "intri.yml"), cv2.FILE_STORAGE_READ)
    outside = cv2.FileStorage(str(tmp_path / "extri.yml"), cv2.FILE_STORAGE_READ)
    np.testing.assert_array_equal(inside.getNode("K_cam_02").mat(), rig[1].matrix)
    np.testing.assert_allclose(outside.getNode("Rot_cam_02").mat(), rig[1].world_to_camera[:3, :3], atol=1e-15)
    vector = outside.getNode("R_cam_02").mat()
    np.testing.assert_allclose(cv2.Rodrigues(vector)[0], rig[1].world_to_camera[:3, :3], atol=1e-12)


@pytest.mark.parametrize("suffix", ["yml", "xml"])
def test_files_that_opencv_wrote_one_camera_and_a_stereo_pair(tmp_path, suffix):
    first, second = ring(2)
    relative = second.world_to_camera @ first.camera_to_world
    storage = cv2.FileStorage(str(tmp_path / f"left.{suffix}"), cv2.FILE_STORAGE_WRITE)
    for key, value in (("cameraMatrix", first.matrix), ("distCoeffs", first.distortion), ("R", np.eye(3))):
        storage.write(key, value)
    storage.write("T", np.array([0.0, 0, 1]))
    storage.release()
    (alone,) = read_rig(tmp_path / f"left.{suffix}")
    assert alone.name == "left" and alone.size == (0, 0)
    np.testing.assert_allclose(alone.matrix, first.matrix)

    storage = cv2.FileStorage(str(tmp_path / f"stereo.{suffix}"), cv2.FILE_STORAGE_WRITE)
    for key, value in (
        ("M1", first.matrix),
        ("D1", first.distortion),
        ("M2", second.matrix),
        ("D2", second.distortion),
    ):
        storage.write(key, value)
    storage.write("R", relative[:3, :3])
    storage.write("T", 1000 * relative[:3, 3])
    storage.release()
    pair, warnings = load_rig(tmp_path / f"stereo.{suffix}")
    np.testing.assert_allclose(pair[1].world_to_camera, relative, atol=1e-9)
    assert any("mm" in text for text in warnings)


def test_easymocap_is_found_by_folder_or_either_file(tmp_path):
    rig = ring(3)
    write_rig(tmp_path, rig, "easymocap")
    for path in (tmp_path, tmp_path / "intri.yml", tmp_path / "extri.yml"):
        assert apart(rig, read_rig(path)) < 1e-9
    (tmp_path / "extri.yml").unlink()
    with pytest.raises(InputError, match="side by side"):
        read_rig(tmp_path / "intri.yml")


def test_panoptics_world_is_turned_upright(tmp_path):
    """A camera 2 m above the floor: y is -200 cm in Panoptic's world, which is y down."""
    looks_forward = {"name": "00_00", "K": [[1400, 0, 960], [0, 1400, 540], [0, 0, 1]], "distCoef": [0] * 5}
    looks_forward |= {"R": np.eye(3).tolist(), "t": [[0], [200], [300]], "resolution": [1920, 1080], "type": "hd"}
    (tmp_path / "calibration.json").write_text(json.dumps({"calibDataSource": "x", "cameras": [looks_forward]}))
    (camera,) = read_rig(tmp_path / "calibration.json")
    np.testing.assert_allclose(camera.camera_to_world[:3, 3], [0, -3, 2])
    np.testing.assert_allclose(camera.camera_to_world[:3, 2], [0, 1, 0], atol=1e-15)


# ---- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_cut_anywhere_is_refused_or_whole(tmp_path, format):
    """What is cut off is an error of ours, or was only the end of the last line or table."""
    rig = ring(2)
    write_rig(tmp_path / "rig", rig, format)
    files = [tmp_path / "rig"] if (tmp_path / "rig").is_file() else sorted((tmp_path / "rig").iterdir())
    whole, refused = files[-1].read_bytes(), 0
    for end in np.linspace(1, len(whole) - 2, 23).astype(int):
        files[-1].write_bytes(whole[:end])
        try:
            read = read_rig(tmp_path / "rig")
        except InputError as error:
            assert error.why, error
            refused += 1
        else:
            assert all(np.isfinite(camera.camera_to_world).all() for camera in read)
    assert refused >= 10


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\x00\x01\xff\xfe\x89PNG", "no text"),
        (b"hello", "no TOML"),
        (b"{}", "no list of `cameras`"),
        (b'{"cameras": []}', "no camera"),
        (b'{"cameras": [1, 2]}', "no list of `cameras`"),
        (b"[" * 100_000, "no TOML"),
        (b'{"a":' * 100_000, "no JSON"),
        (b"<html></html>", "another kind"),
        (b"<calibration><cameras/></calibration>", "no camera"),
        (b'<calibration><camera serial="a"/></calibration>', "not calibrated"),
        (b"%YAML:1.0\n---\nnames: []\n", "no camera matrix"),
        (b"%YAML:1.0\n---\n: : :\n", "cannot read"),
        (b"[metadata]\nadjusted = false\n", "no camera"),
        (b"[a]\nmatrix = 3\n", "no rotation"),
    ],
)  # fmt: skip
def test_foreign_and_empty_files(tmp_path, content, why):
    (tmp_path / "rig").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_rig(tmp_path / "rig")
    assert why in caught.value.why and "rig" in caught.value.what


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(InputError):
            read_rig(path)
    with pytest.raises(UsageError, match="unit"):
        read_rig(tmp_path, unit="ft")


TABLE = {
    "name": "a",
    "size": [1280, 720],
    "matrix": [[900, 0, 640], [0, 900, 360], [0, 0, 1]],
    "distortions": [0, 0, 0, 0],
    "rotation": [1.2, 0, 0],
    "translation": [0, 0, 4],
}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rotation": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}, "mirror"),
        ({"rotation": [[1, 0.2, 0], [0, 1, 0], [0, 0, 1]]}, "no rotation"),
        ({"rotation": [90.0, 0, 0]}, "more than a whole turn"),
        ({"rotation": [1, 0]}, "instead of 3x3"),
        ({"rotation": None}, "no rotation"),
        ({"translation": None}, "no translation"),
        ({"distortions": None}, "no distortions"),
        ({"translation": [0, float("nan"), 1]}, "not finite"),
        ({"matrix": [[float("inf"), 0, 640], [0, 900, 360], [0, 0, 1]]}, "not finite"),
        ({"matrix": [[900, 0, 0], [0, 900, 0], [640, 360, 1]]}, "transposed"),
        ({"matrix": [[900, 640], [0, 900]]}, "instead of 3x3"),
        ({"matrix": [[8.5, 0, 640], [0, 8.5, 360], [0, 0, 1]]}, "impossible"),
        ({"matrix": [[-900, 0, 640], [0, 900, 360], [0, 0, 1]]}, "one lens"),
        ({"matrix": [[900, 0, 360], [0, 900, 840], [0, 0, 1]]}, "outside"),
        ({"distortions": [0, 0, 0]}, "has 3 numbers"),
        ({"distortions": [0.1] * 5, "fisheye": True}, "fisheye distortion"),
        ({"fisheye": "no"}, "true or false"),
        ({"size": [1280]}, "size"),
        ({"name": "b"}, "several cameras"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_camera_is_named(tmp_path, change, why):
    other = TABLE | {"name": "b", "rotation": [1.2, 0.5, 0]}
    tables = {"one": {k: v for k, v in (TABLE | change).items() if v is not None}, "two": other}
    text = "".join(
        f"[{key}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in table.items()) for key, table in tables.items()
    )
    text = text.replace("NaN", "nan").replace("Infinity", "inf")
    (tmp_path / "rig.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_rig(tmp_path / "rig.toml")
    assert why in caught.value.why, caught.value


@given(text=st.text(alphabet="[]{}<>=:,.-+0123456789eE\"'\n abcKRTnxm%YAML", max_size=80))
@same_folder
def test_nothing_but_our_errors(tmp_path, text):
    (tmp_path / "rig").write_text(text)
    with pytest.raises(InputError):
        read_rig(tmp_path / "rig")


# ---- real files -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not (DATA / "balance_4views").is_dir(), reason="needs balance_4views of the shared data")
def test_one_real_rig_in_two_formats():
    rig, warnings = load_rig(DATA / "balance_4views" / "cameras.toml")
    same, others = load_rig(DATA / "balance_4views" / "cameras.qca.txt")
    assert apart(rig, same) < 1e-2 and warnings == others == []
    assert [c.name for c in same] == ["cam_01", "cam_02", "cam_03", "cam_04"] and same[0].size == (1088, 1920)


@pytest.mark.skipif(not (DATA / "charuco_4views").is_dir(), reason="needs charuco_4views of the shared data")
def test_a_real_rig_of_caliscope():
    rig, warnings = load_rig(DATA / "charuco_4views" / "camera_array.toml")
    assert [camera.name for camera in rig] == ["cam_0", "cam_1", "cam_2", "cam_3"] and warnings == []
    old, _ = load_rig(DATA / "charuco_4views" / "config.toml")
    assert apart(rig, old) < 1e-9
