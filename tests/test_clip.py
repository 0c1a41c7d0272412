"""Reading clips: every container, rotation, times, damage, what is refused."""

import contextlib
import json
import shutil
import struct
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.ahead import ahead
from pipeline.clip import open_clip
from pipeline.errors import InputError
from pipeline.metadata import focal_from_metadata

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


def picture(index, width=96, height=64):
    """A frame that tells its index: a bright bar whose left edge is at 2 * index, on a dark ramp."""
    out = np.zeros((height, width, 3), np.uint8)
    out[:, :, 0] = np.linspace(0, 60, height)[:, None]
    out[:, 2 * index : 2 * index + 10] = (40, 230, 230)
    return out


def bar(frame):
    """The index that `picture` drew, read back."""
    columns = frame[..., 1].astype(float).mean(axis=0)
    return round(float(np.flatnonzero(columns > 130)[0]) / 2)


def write(path, codec="libx264", pix_fmt="yuv420p", ticks=None, rate=30, count=30, size=(96, 64), options=None):
    """A clip of `count` pictures; `ticks` (in 1/1000 s) gives them times of their own."""
    with av.open(str(path), "w", options=options or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        if ticks is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="bgr24").reformat(format=pix_fmt)
            if ticks is not None:
                frame.pts, frame.time_base = ticks[index], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One healthy file of each kind, made once."""
    folder = tmp_path_factory.mktemp("whole")
    mp4 = write(folder / "a.mp4", options={"movflags": "+faststart"})
    return {
        "mp4": mp4,
        "late.mp4": write(folder / "late.mp4"),
        "frag.mp4": write(folder / "frag.mp4", options={"movflags": "+frag_keyframe+empty_moov"}),
        "mkv": write(folder / "a.mkv"),
        "webm": write(folder / "a.webm", "libvpx-vp9"),
        "avi": write(folder / "a.avi", "mpeg4"),
        "gif": write(folder / "a.gif", "gif", "rgb8", ticks=[40 * i for i in range(30)]),
        "ts": write(folder / "a.ts"),
    }


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


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def turned(path, degrees):
    """Write a quarter-turn matrix into the track header of an MP4."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix comes 40 bytes after the name
    one = 1 << 16
    matrix = {
        0: (one, 0, 0, one),
        90: (0, one, -one, 0),
        180: (-one, 0, 0, -one),
        270: (0, -one, one, 0),
    }[degrees]
    a, b, c, d = matrix
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


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


def decodable(path):
    """How many frames a plain loop over the packets gets."""
    count = 0
    with av.open(str(path)) as container, contextlib.suppress(av.FFmpegError):
        for packet in container.demux(video=0):
            with contextlib.suppress(av.FFmpegError):
                count += len(packet.decode())
    return count


# ---- damage ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["mp4", "late.mp4", "frag.mp4", "mkv", "webm", "avi", "gif", "ts"]), part=st.floats(0, 1))
def test_cut_anywhere(whole, tmp_path, kind, part):
    """A cut file is refused with a message or gives the first frames, in order, as many as it says."""
    data = whole[kind].read_bytes()
    path = tmp_path / f"cut.{kind.rpartition('.')[2]}"
    path.write_bytes(data[: int(len(data) * part)])
    try:
        clip = open_clip(path)
    except InputError as error:
        assert error.why
        return
    bars = [bar(frame) for frame in clip.frames()]
    assert len(bars) == len(clip.info.times) <= 30
    assert len(bars) >= decodable(path)
    assert (np.diff(clip.info.times) > 0).all()
    if kind not in ("avi", "ts"):  # a cut B-frame stream may lose some that were to be shown before its end
        assert bars == sorted(bars)
    if len(bars) < 22 and kind != "ts":  # a transport stream has no header that could tell
        assert clip.info.warnings


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["mp4", "frag.mp4", "mkv", "webm", "avi", "gif", "ts"]),
    place=st.floats(0, 1),
    noise=st.binary(min_size=1, max_size=400),
)
def test_overwritten_anywhere(whole, tmp_path, kind, place, noise):
    """Whatever bytes are lost, there are as many frames as times, or a message."""
    data = bytearray(whole[kind].read_bytes())
    at = int(place * (len(data) - len(noise)))
    data[at : at + len(noise)] = noise
    path = tmp_path / f"hurt.{kind.rpartition('.')[2]}"
    path.write_bytes(data)
    try:
        clip = open_clip(path)
        frames = list(clip.frames())
    except InputError as error:
        assert str(error)
        return
    assert len(frames) == len(clip.info.times)
    assert (np.diff(clip.info.times) > 0).all()
    assert all(frame.shape == (clip.info.height, clip.info.width, 3) for frame in frames)


def test_lost_frame_is_told(whole, tmp_path):
    data = bytearray(whole["mp4"].read_bytes())
    with av.open(str(whole["mp4"])) as container:
        packet = [p for p in container.demux(video=0) if p.size][20]
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path = tmp_path / "hurt.mp4"
    path.write_bytes(data)
    clip = open_clip(path)
    assert len(list(clip.frames())) == 30
    assert any("could not be decoded" in text for text in clip.info.warnings)


# ---- refused --------------------------------------------------------------------------------------------------------


def refused(path, *words):
    with pytest.raises(InputError) as error:
        open_clip(path)
    text = str(error.value)
    assert all(word in text for word in words), text
    assert len(text.splitlines()) <= 3


def test_missing_empty_and_text(tmp_path):
    refused(tmp_path / "none.mp4", "no file", "none.mp4")
    (tmp_path / "empty.mp4").touch()
    refused(tmp_path / "empty.mp4", "empty")
    (tmp_path / "text.mp4").write_text("this is not a film\n" * 50)
    refused(tmp_path / "text.mp4", "cannot read", "text.mp4")
    (tmp_path / "text.png").write_text("nor a picture")
    refused(tmp_path / "text.png", "cannot read")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("no pictures here")
    refused(tmp_path / "folder", "no pictures")


def test_sound_only(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        stream.layout = "mono"
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate = 44100
        for index in range(5):
            sound.pts = index * 1024
            out.mux(stream.encode(sound))
        out.mux(stream.encode(None))
    refused(path, "no video", "sound")


def test_no_frames(tmp_path):
    path = tmp_path / "none.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    refused(path)
    data = bytearray(write(tmp_path / "a.mkv", "mjpeg", "yuvj420p", count=1).read_bytes())
    at = data.index(b"\xff\xd8\xff")
    data[at : at + 600] = bytes(600)
    (tmp_path / "b.mkv").write_bytes(data)
    refused(tmp_path / "b.mkv")


@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat", "list.mp4", "list.mkv", "list.avi", "list.gif"])
@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.ts\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile other.ts\n",
        "ffconcat version 1.0\nfile 'concat:other.ts|other.ts'\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
    ],
)
def test_playlists_are_refused(whole, tmp_path, name, content):
    shutil.copy(whole["ts"], tmp_path / "other.ts")
    (tmp_path / name).write_text(content)
    refused(tmp_path / name, "playlist", "names other files")


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/a.mp4", "rtsp://127.0.0.1/a", "concat:a.mp4|b.mp4", "pipe:0", "file:a.mp4", "-"]
)
def test_addresses_are_refused(tmp_path, monkeypatch, whole, address):
    shutil.copy(whole["mp4"], tmp_path / "a.mp4")
    monkeypatch.chdir(tmp_path)
    refused(address, "no file")


def test_a_name_that_looks_like_an_address_is_a_file(tmp_path, monkeypatch, whole):
    shutil.copy(whole["mp4"], tmp_path / "concat:x|y %d.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(open_clip("concat:x|y %d.mp4")) == 30


# ---- sizes, pictures ------------------------------------------------------------------------------------------------


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


def exif(order, millimetres):
    """The smallest EXIF block with a 35 mm equivalent focal length."""
    first = struct.pack(order + "HHHIII", 1, 0x8769, 4, 1, 26, 0)
    detail = struct.pack(order + "HHHIHHI", 1, 0xA405, 3, 1, millimetres, 0, 0)
    body = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, 8) + first + detail
    return b"Exif\0\0" + body


def write_with_focal(path, millimetres, order="<"):
    data = cv2.imencode(".jpg", picture(3, 300, 200))[1].tobytes()
    block = exif(order, millimetres)
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:])
    return data, block


def test_focal_length_is_that_of_the_first_picture(tmp_path):
    write_with_focal(tmp_path / "frame_10.jpg", 50)
    write_with_focal(tmp_path / "frame_9.jpg", 28)
    info = open_clip(tmp_path).info
    assert focal_from_metadata(tmp_path, info) == focal_from_metadata(tmp_path / "frame_9.jpg", info)


@pytest.mark.parametrize("order", ["<", ">"])
def test_focal_length_of_a_picture(tmp_path, order):
    path = tmp_path / "a.jpg"
    data, block = write_with_focal(path, 28, order)
    info = open_clip(path).info
    assert focal_from_metadata(path, info) == pytest.approx(28 / 36 * 300)
    assert focal_from_metadata(tmp_path, info) == pytest.approx(28 / 36 * 300)
    for cut in range(len(block) - 6):  # a note that is cut off is none
        path.write_bytes(data[:2] + block[:cut])
        assert focal_from_metadata(path, info) is None


def test_focal_length_of_a_video(tmp_path, whole):
    assert focal_from_metadata(whole["mp4"], open_clip(whole["mp4"]).info) is None
    path = tmp_path / "a.mov"
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as out:
        out.metadata["com.apple.quicktime.camera.focal_length.35mm_equivalent"] = "26"
        stream = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), format="bgr24")))
        out.mux(stream.encode(None))
    assert focal_from_metadata(path, open_clip(path).info) == pytest.approx(26 / 36 * 96)


# ---- threads --------------------------------------------------------------------------------------------------------


def ahead_threads():
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_stopping_early_ends_the_thread(whole):
    frames = open_clip(whole["mp4"]).frames()
    next(frames)
    assert ahead_threads()
    frames.close()
    assert not ahead_threads()
    for _ in open_clip(whole["mp4"]).frames():
        break
    deadline = time.monotonic() + 5
    while ahead_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not ahead_threads()


def test_errors_travel_out_of_the_thread(whole, tmp_path):
    path = shutil.copy(whole["mp4"], tmp_path / "a.mp4")
    clip = open_clip(path)
    list(clip.frames())
    path.unlink()
    with pytest.raises(InputError):
        list(clip.frames())
    assert not ahead_threads()


def test_a_maker_that_fails_is_heard():
    def make():
        raise OSError("no such thing")

    with pytest.raises(OSError, match="no such thing"):
        list(ahead(make, 2))


def test_a_close_that_fails_ends_the_items_all_the_same():
    class Items:
        left = iter((1, 2))

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.left)

        def close(self):
            raise OSError("cannot close")

    items = ahead(Items, 2)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(OSError, match="cannot close"):
        next(items)
    assert not ahead_threads()


def test_memory_is_bounded(whole, monkeypatch):
    """The thread is at most its queue, the frame in hand and the frame in the making ahead."""
    clip, made = open_clip(whole["mp4"]), []
    plain = clip._source.pictures

    def counted(*args):
        for frame in plain(*args):
            made.append(1)
            yield frame

    monkeypatch.setattr(clip._source, "pictures", counted)
    frames = clip.frames()
    next(frames)
    time.sleep(0.3)
    assert len(made) <= 16 + 3
    frames.close()


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
