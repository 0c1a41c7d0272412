"""How frames are read: ahead in a thread, from any place, with the decoder of the opening, as planes."""

import shutil
import threading
import time

import cv2
import numpy as np
import pytest
from clips import bar, turned, write

import pipeline.video
from pipeline.ahead import ahead
from pipeline.clip import open_clip
from pipeline.errors import InputError


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


# ---- one decoder for opening and the first reading -----------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch):
    """Every container that is opened, in turn."""
    containers, plain = [], pipeline.video.opened

    def counted(path):
        containers.append(plain(path))
        return containers[-1]

    monkeypatch.setattr(pipeline.video, "opened", counted)
    return containers


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm", "ts", "avi", "gif"])
def test_the_first_reading_gives_what_the_second_gives(whole, kind):
    clip = open_clip(whole[kind])
    first, second = (list(clip.frames()) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert [bar(frame) for frame in first] == list(range(30))


def test_the_first_reading_opens_nothing(whole, opened):
    clip = open_clip(whole["mp4"])
    count = len(opened)
    list(clip.frames())
    assert len(opened) == count
    list(clip.frames())
    assert len(opened) == count + 1


def test_two_first_readings_do_not_share_a_decoder(whole):
    clip = open_clip(whole["mp4"])
    one, other = clip.frames(), clip.frames()
    for index in range(30):
        assert bar(next(one)) == bar(next(other)) == index


def test_a_closed_clip_holds_no_file_and_can_be_read(whole, opened):
    clip = open_clip(whole["mp4"])
    clip.close()
    with pytest.raises(AssertionError, match="not open"):
        next(opened[0].demux())
    assert [bar(frame) for frame in clip.frames()] == list(range(30))


def test_large_frames_do_not_wait_for_the_first_reading(whole, opened, monkeypatch):
    monkeypatch.setattr(pipeline.video, "_KEPT_BYTES", 96 * 64)
    clip = open_clip(whole["mp4"])
    with pytest.raises(AssertionError, match="not open"):
        next(opened[0].demux())
    assert [bar(frame) for frame in clip.frames()] == list(range(30))


# ---- planes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_planes_are_the_picture(tmp_path, degrees):
    clip = open_clip(turned(write(tmp_path / "a.mp4", size=(100, 70), count=20), degrees))
    frames = zip(list(clip.frames(planes=True)), clip.frames(), strict=True)
    for (luma, blue, red), plain in frames:
        height, width = clip.info.height, clip.info.width
        assert luma.shape == (height, width) and blue.shape == red.shape == (height // 2, width // 2)
        stored = np.concatenate([part.reshape(-1) for part in (luma, blue, red)]).reshape(-1, width)
        assert np.abs(cv2.cvtColor(stored, cv2.COLOR_YUV2BGR_I420).astype(int) - plain).mean() < 4


@pytest.mark.parametrize(("pix_fmt", "size"), [("yuvj420p", (96, 64)), ("yuv444p", (96, 64)), ("yuv444p", (97, 63))])
def test_pictures_without_such_planes_come_in_colours(tmp_path, pix_fmt, size):
    frame = next(open_clip(write(tmp_path / "a.mp4", pix_fmt=pix_fmt, size=size)).frames(planes=True))
    assert frame.shape == (size[1], size[0], 3)
