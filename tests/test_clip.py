"""Reading clips: every container, rotation, times, pictures."""

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import bar, picture, turned, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.clip import open_clip
from pipeline.errors import InputError

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
CONTAINERS = [
    ("mp4", "libx264", "yuv420p"),
    ("mov", "libx264", "yuv420p"),
    ("mkv", "libx264", "yuv420p"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("webm", "libvpx", "yuv420p"),  # hidden reference frames
    ("avi", "mpeg4", "yuv420p"),
    ("avi", "libx264", "yuv420p"),  # B-frames in a container that knows no order of presentation
    ("ts", "libx264", "yuv420p"),  # does not begin at 0
    ("mp4", "libx264", "yuv420p10le"),
    ("mp4", "libx264", "yuvj420p"),
    ("mp4", "libx264", "yuv444p"),
]


@pytest.mark.parametrize(("ending", "codec", "pix_fmt"), CONTAINERS)
def test_every_container_gives_all_frames_in_order(tmp_path, ending, codec, pix_fmt):
    clip = open_clip(write(tmp_path / f"clip.{ending}", codec, pix_fmt))
    assert [bar(frame) for frame in clip.frames()] == list(range(30))
    assert (clip.info.width, clip.info.height) == (96, 64)
    np.testing.assert_allclose(clip.info.times, np.arange(30) / 30, atol=6e-4)
    assert clip.info.fps == 30
    assert not clip.info.variable_rate
    assert clip.info.warnings == ()


def test_colours_survive(tmp_path):
    frame = next(open_clip(write(tmp_path / "a.mp4", pix_fmt="yuv444p")).frames())
    assert np.abs(frame[30, 4].astype(int) - (40, 230, 230)).max() < 12


@pytest.mark.parametrize(("ending", "codec", "pix_fmt"), CONTAINERS[:8])
def test_read_finds_exactly_the_frame(tmp_path, ending, codec, pix_fmt):
    options = {"g": "7"}
    path = tmp_path / f"clip.{ending}"
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pix_fmt
        for index in range(40):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="bgr24")))
        out.mux(stream.encode(None))
    with open_clip(path) as clip:
        frames = list(clip.frames())
        for index in (39, 0, 13, 14, 15, 21, 20, 6, 7, 8, 38, 3):
            np.testing.assert_array_equal(clip.read(index), frames[index])
        for start, stop in ((0, 3), (5, 20), (20, 21), (37, 40), (9, 9)):
            got = list(clip.frames(start, stop))
            assert len(got) == stop - start
            assert all(np.array_equal(a, b) for a, b in zip(got, frames[start:stop], strict=True))


def test_ranges_outside_the_clip_are_refused(whole):
    clip = open_clip(whole["mp4"])
    for start, stop in ((-1, 3), (0, 31), (5, 4)):
        with pytest.raises(IndexError):
            clip.frames(start, stop)
    for index in (-1, 30):
        with pytest.raises(IndexError):
            clip.read(index)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
def test_variable_rate_is_kept_and_told(tmp_path, ending):
    ticks = np.cumsum([0, 33, 33, 100, 17, 33, 250, 33, 33, 40, 33]).tolist()
    codec = "libvpx-vp9" if ending == "webm" else "libx264"
    clip = open_clip(write(tmp_path / f"a.{ending}", codec, ticks=ticks, count=11))
    np.testing.assert_allclose(clip.info.times, np.array(ticks) / 1000, atol=1e-6)
    assert clip.info.variable_rate
    assert any("variable" in text for text in clip.info.warnings)
    assert [bar(frame) for frame in clip.frames()] == list(range(11))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(2, 900), min_size=1, max_size=12))
def test_times_are_the_containers(tmp_path, steps):
    ticks = np.cumsum([0, *steps]).tolist()
    clip = open_clip(write(tmp_path / "a.mkv", ticks=ticks, count=len(ticks)))
    np.testing.assert_allclose(clip.info.times, np.array(ticks) / 1000, atol=1e-9)
    assert len(list(clip.frames())) == len(ticks)


def test_gif_times(tmp_path):
    ticks = [0, 100, 150, 400, 480]
    clip = open_clip(write(tmp_path / "a.gif", "gif", "rgb8", ticks=ticks, count=5))
    np.testing.assert_allclose(clip.info.times, np.array(ticks) / 1000)
    assert [bar(frame) for frame in clip.frames()] == list(range(5))


@pytest.mark.parametrize("ending", ["mp4", "mov"])
@pytest.mark.parametrize(("degrees", "turn"), [(0, 0), (90, 3), (180, 2), (270, 1)])
def test_rotation_is_applied_once(tmp_path, ending, degrees, turn):
    """The same stream with each matrix: the frames are the unturned ones, turned clockwise by that many degrees."""
    plain = list(open_clip(write(tmp_path / f"plain.{ending}", count=4)).frames())
    clip = open_clip(turned(write(tmp_path / f"turned.{ending}", count=4), degrees))
    assert clip.info.rotation == degrees
    assert (clip.info.width, clip.info.height) == ((96, 64) if turn % 2 == 0 else (64, 96))
    for got, original in zip(clip.frames(), plain, strict=True):
        np.testing.assert_array_equal(got, np.rot90(original, turn))
    small = next(clip.frames(size=(clip.info.width // 2, clip.info.height // 2)))
    assert small.shape == (clip.info.height // 2, clip.info.width // 2, 3)


def test_non_square_pixels_are_made_square(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for index in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="bgr24")))
        out.mux(stream.encode(None))
    clip = open_clip(path)
    assert (clip.info.width, clip.info.height) == (128, 64)
    assert next(clip.frames()).shape == (64, 128, 3)


@pytest.mark.parametrize(("size", "count"), [((8, 8), 5), ((97, 63), 5), ((2, 200), 2), ((96, 64), 1)])
def test_odd_sizes_and_counts(tmp_path, size, count):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, "bgr0"
        for index in range(count):
            image = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 40 * index, np.uint8), format="bgr24")
            out.mux(stream.encode(image.reformat(format="bgr0")))
        out.mux(stream.encode(None))
    frames = list(open_clip(path).frames())
    assert [int(frame.mean()) for frame in frames] == [40 * index for index in range(count)]
    assert all(frame.shape == (size[1], size[0], 3) and frame.flags.c_contiguous for frame in frames)


def test_8k(tmp_path):
    clip = open_clip(write(tmp_path / "a.mp4", size=(7680, 4320), count=2))
    assert [frame.shape for frame in clip.frames(size=(1280, 720))] == [(720, 1280, 3)] * 2
    assert clip.read(1).shape == (4320, 7680, 3)


def test_folder_of_pictures_is_sorted_naturally(tmp_path):
    for index in (0, 1, 2, 9, 10, 11):
        cv2.imwrite(str(tmp_path / f"frame_{index}.png"), picture(index))
    (tmp_path / "notes.txt").write_text("ignored")
    clip = open_clip(tmp_path, fps=25)
    assert [bar(frame) for frame in clip.frames()] == [0, 1, 2, 9, 10, 11]
    np.testing.assert_allclose(clip.info.times, np.arange(6) / 25)
    assert clip.info.fps == 25
    assert bar(clip.read(4)) == 10
    assert [frame.shape for frame in clip.frames(2, 4, size=(48, 32))] == [(32, 48, 3)] * 2
    assert clip.info.warnings == ("pictures carry no times; shown at 25 frames per second",)
    assert open_clip(tmp_path / "frame_0.png").info.warnings == ()


def test_picture_of_another_size_in_a_folder(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), picture(1))
    cv2.imwrite(str(tmp_path / "2.png"), picture(2, 100, 64))
    with pytest.raises(InputError, match=r"2\.png is 100 x 64"):
        list(open_clip(tmp_path).frames())


def test_picture_kinds(tmp_path):
    grey16 = np.full((20, 30), 40_000, np.uint16)
    clear = np.dstack([np.full((20, 30, 3), 100, np.uint8), np.full((20, 30), 0, np.uint8)])
    clear[:10, :, 3] = 255
    cv2.imwrite(str(tmp_path / "grey16.png"), grey16)
    cv2.imwrite(str(tmp_path / "clear.png"), clear)
    cv2.imwrite(str(tmp_path / "ünï codé.jpg"), picture(5))
    assert int(open_clip(tmp_path / "grey16.png").read(0).mean()) == 40_000 >> 8
    flat = open_clip(tmp_path / "clear.png").read(0)
    assert flat.shape == (20, 30, 3)
    assert flat[0, 0].tolist() == [100] * 3
    assert flat[15, 0].tolist() == [255] * 3
    clip = open_clip(tmp_path / "ünï codé.jpg")
    assert len(clip.info.times) == 1
    assert bar(next(clip.frames())) == 5


# ---- real clips -----------------------------------------------------------------------------------------------------

REAL = [
    "clips/squats.mp4",
    "clips/three_in_store.gif",
    "clips/roof_jump_crossing.mp4",
    "balance_4views/videos/cam02.mp4",
]


@pytest.mark.parametrize("name", REAL)
def test_real_clips_equal_plain_decoding(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        oracle = [
            (float(f.pts * stream.time_base), f.to_ndarray(format="bgr24").mean()) for f in container.decode(stream)
        ]
    clip = open_clip(path)
    np.testing.assert_allclose(clip.info.times, np.array([t for t, _ in oracle]) - oracle[0][0], atol=1e-9)
    means = [frame.mean() for frame in clip.frames()]
    np.testing.assert_allclose(means, [mean for _, mean in oracle], atol=0.5)


def test_squats_has_the_times_of_its_landmarks():
    path = DATA / "clips" / "squats.landmarks2d.json"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    assert len(open_clip(path.with_name("squats.mp4"))) == len(json.loads(path.read_text()))
