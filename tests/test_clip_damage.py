"""Clips that are damaged, cut, empty, or no clips at all."""

import contextlib
import shutil

import av
import numpy as np
import pytest
from clips import bar, write
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.clip import open_clip
from pipeline.errors import InputError


def decodable(path):
    """How many undamaged frames a plain loop over the packets gets."""
    count = 0
    with av.open(str(path)) as container, contextlib.suppress(av.FFmpegError):
        for packet in container.demux(video=0):
            with contextlib.suppress(av.FFmpegError):
                count += sum(not frame.is_corrupt for frame in packet.decode())
    return count


# ---- damage ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["mp4", "late.mp4", "frag.mp4", "mkv", "webm", "avi", "gif", "ts"]), part=st.floats(0, 1))
@example(kind="avi", part=0.6953125)  # its first frame is cut: grey
@example(kind="avi", part=0.8125)  # its last frame is cut
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


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["mp4", "frag.mp4", "mkv", "webm", "avi", "gif", "ts"]),
    place=st.floats(0, 1),
    noise=st.binary(min_size=1, max_size=400),
)
@example(kind="ts", place=0.857421875, noise=b"\x01")  # a packet of a stream that begins there
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


def hurt(path, at):
    """Noise in the second half of what holds frame `at`, so that a decoder makes up the lower part of the picture."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][at]
    start, stop = packet.pos + packet.size // 2, packet.pos + packet.size
    data[start:stop] = np.random.default_rng(0).bytes(stop - start)
    path.write_bytes(data)
    with av.open(str(path)) as container:
        assert [n for n, frame in enumerate(container.decode(video=0)) if frame.is_corrupt] == [at]
    return path


def test_a_made_up_frame_is_missing_and_moves_no_other(tmp_path):
    """Frame 23 is the last before a key frame, so that no other leans on it."""
    others = np.delete(np.arange(30), 23)
    clip = open_clip(hurt(write(tmp_path / "a.avi", "mpeg4"), 23))  # learned by decoding
    assert [bar(frame) for frame in clip.frames()] == others.tolist()
    np.testing.assert_allclose(clip.info.times, others / 30)


@pytest.mark.parametrize("at", [23, 29])
def test_the_frame_before_stands_in_for_a_made_up_one(tmp_path, at):
    clip = open_clip(hurt(write(tmp_path / "a.mkv", "mpeg1video"), at))  # taken at its packets' word
    expected = [*range(at), at - 1, *range(at + 1, 30)]
    assert [bar(frame) for frame in clip.frames()] == expected
    assert [bar(clip.read(index)) for index in (at, at - 1)] == [at - 1, at - 1]
    assert [bar(frame) for frame in clip.frames(start=at)] == expected[at:]
    np.testing.assert_allclose(clip.info.times, np.arange(30) / 30, atol=1e-3)
    assert "frames that could not be decoded: 1; the one before stands in for each" in clip.info.warnings


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
