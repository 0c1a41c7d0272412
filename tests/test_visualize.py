"""Films and GIFs: every frame, the clip's own times, everyone drawn, nothing left behind."""

import dataclasses
import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from filmed import Pictures, camera, drawn, near, scene_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import OutputError
from pipeline.results import Scene
from visualize.draw import LEFT, RIGHT, colors
from visualize.encode import TICKS
from visualize.film import write_film
from visualize.gif import write_gif


@settings(max_examples=8)
@given(steps=st.lists(st.integers(8, 400), min_size=1, max_size=25))
def test_film_has_every_frame_at_its_time(tmp_path_factory, steps):
    times = np.cumsum([0, *steps]) / 1000
    path = tmp_path_factory.mktemp("film") / "side_by_side.mp4"
    clip = Pictures(times)
    done = []
    write_film(scene_of(clip), clip, path, done.append, panel_height=120)
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (160 + 120, 120)
        shown = [float(frame.pts * stream.time_base) for frame in film.decode(stream)]
    np.testing.assert_allclose(shown, times, atol=0.5 / TICKS + 1e-9)
    assert done == list(range(1, len(times) + 1))


def test_film_starts_playing_before_it_is_all_there(tmp_path):
    clip = Pictures(np.arange(10) / 30)
    write_film(scene_of(clip), clip, tmp_path / "a.mp4", panel_height=120)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_a_single_picture_also_gives_a_still(tmp_path):
    clip = Pictures([0.0], 97, 61)
    write_film(scene_of(clip), clip, tmp_path / "side_by_side.mp4", panel_height=120)
    still = cv2.imread(str(tmp_path / "side_by_side.png"))
    with av.open(str(tmp_path / "side_by_side.mp4")) as film:
        frames = [frame.to_ndarray(format="bgr24") for frame in film.decode(video=0)]
    assert len(frames) == 1
    assert frames[0].shape == still.shape
    assert np.abs(frames[0].astype(int) - still).mean() < 4


@pytest.mark.parametrize("size", [(8, 8), (97, 61), (61, 97), (1000, 20), (20, 1000), (7680, 4320)])
def test_any_shape_of_video(size):
    clip = Pictures(np.arange(2) / 30, *size)
    frames = drawn(scene_of(clip), clip, 121)
    assert len(frames) == 2
    height, width = frames[0].shape[:2]
    assert height == 120
    assert width % 2 == 0
    assert 120 < width <= 120 * 3


def test_everyone_is_drawn_on_both_sides():
    clip = Pictures(np.arange(4) / 30)
    frame = drawn(scene_of(clip, people=2), clip, 480)[2]
    video, view = frame[:, :640], frame[:, 640:]
    for half in (video, view):
        for person in range(2):
            for tone in (colors(person)[LEFT], colors(person)[RIGHT]):
                assert near(half, tone) > 60


def test_left_and_right_are_told_apart():
    """The video's camera faces the people, so their left limbs are on the right of the picture."""
    clip = Pictures(np.arange(4) / 30)
    frame = drawn(scene_of(clip), clip, 480)[1]
    columns = np.arange(frame.shape[1])
    for part in (slice(0, 640), slice(640, None)):
        half, at = frame[60:430, part], columns[part]
        middle = [at[(np.abs(half.astype(int) - colors(0)[s]).max(-1) < 25).any(axis=0)].mean() for s in (LEFT, RIGHT)]
        assert middle[0] > middle[1]


def test_nobody_and_absence():
    clip = Pictures(np.arange(9) / 30)
    empty = drawn(Scene(clip.info, camera(), [], []), clip, 240)
    assert len(empty) == 9
    frames = drawn(scene_of(clip, span=(3, 6)), clip, 240)
    shown = [near(frame[30:200, :320], colors(0)[LEFT]) > 20 for frame in frames]
    assert shown == [False] * 3 + [True] * 3 + [False] * 3


def test_gaps_low_scores_and_stray_joints_do_no_harm():
    clip = Pictures(np.arange(40) / 30)
    scene = scene_of(clip)
    motion, track = scene.people[0], scene.tracks[0]
    joints, points, scores = motion.joints.copy(), track.keypoints.copy(), track.scores.copy()
    joints[5:9], joints[12, 3], joints[15, 7] = np.nan, np.nan, (1e4, -1e4, 1e5)
    points[5:9], points[20, 4], scores[5:9], scores[22] = np.nan, (1e7, -1e7), 0, 0.1
    motion = dataclasses.replace(motion, joints=joints, observed=np.arange(40) % 2 == 0)
    scene = dataclasses.replace(
        scene, people=[motion], tracks=[dataclasses.replace(track, keypoints=points, scores=scores)]
    )
    frames = drawn(scene, clip, 240)
    assert len(frames) == 40
    assert near(frames[30][:, 320:], colors(0)[LEFT], 25) > 20  # the stray joint did not push the eye away


def test_all_unknown_joints():
    clip = Pictures(np.arange(3) / 30)
    scene = scene_of(clip)
    blank = np.full_like(scene.people[0].joints, np.nan)
    scene = dataclasses.replace(scene, people=[dataclasses.replace(scene.people[0], joints=blank)])
    assert len(drawn(scene, clip, 120)) == 3


class Broken(Pictures):
    """Fails, or is interrupted, after some frames."""

    def __init__(self, times, failure):
        super().__init__(times)
        self.failure = failure

    def frames(self, start=0, stop=None, size=None):
        for index, frame in enumerate(super().frames(start, stop, size)):
            if index == 12:
                raise self.failure
            yield frame


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RuntimeError("decoder")])
def test_a_broken_run_leaves_nothing(tmp_path, failure):
    clip = Broken(np.arange(30) / 30, failure)
    before = threading.active_count()
    with pytest.raises(type(failure)):
        write_film(scene_of(clip), clip, tmp_path / "a.mp4", panel_height=120)
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == before


def test_unwritable_places(tmp_path):
    clip = Pictures(np.arange(5) / 30)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_film(scene_of(clip), clip, tmp_path / "file" / "a.mp4", panel_height=120)
    with pytest.raises(OutputError):
        write_gif(scene_of(clip), tmp_path / "file" / "a.gif")
    assert clip.closed


@pytest.mark.parametrize("kind", ["film", "gif"])
def test_full_disk(tmp_path, monkeypatch, kind):
    """The device takes no byte."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    clip, plain_open = Pictures(np.arange(60) / 30), av.open
    monkeypatch.setattr(av, "open", lambda name, *args, **options: plain_open("/dev/full", *args, **options))
    with pytest.raises(OutputError, match="full"):
        if kind == "film":
            write_film(scene_of(clip), clip, tmp_path / "a.mp4", panel_height=240)
        else:
            write_gif(scene_of(clip), tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []
