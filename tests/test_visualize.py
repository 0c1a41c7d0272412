"""Films and GIFs: every frame, the clip's own times, everyone drawn, nothing left behind."""

import dataclasses
import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import OutputError
from pipeline.results import Camera, ClipInfo, Motion3D, Scene, Track2D
from pipeline.skeletons import SKELETONS, skeleton
from visualize.draw import LEFT, RIGHT, capsules, colors, letters, picture_bones, put_digits, side
from visualize.encode import TICKS, presentation_ticks
from visualize.figure import Figures
from visualize.film import side_by_side, write_film
from visualize.floor import Floor, _segments
from visualize.gif import FASTEST, kept_frames, write_gif
from visualize.overlay import Overlay, _thickness
from visualize.view import View, view_of

STANDING = {
    "pelvis": (0, 0, 0.95), "hip": (0.1, 0, 0.93), "knee": (0.11, 0, 0.5), "ankle": (0.11, 0.02, 0.09),
    "heel": (0.11, 0.05, 0.03), "toe": (0.12, -0.17, 0.03), "spine": (0, 0, 1.2), "thorax": (0, 0, 1.45),
    "neck_nose": (0, -0.04, 1.56), "head_top": (0, -0.02, 1.74), "shoulder": (0.18, 0, 1.42),
    "elbow": (0.24, 0.02, 1.12), "wrist": (0.26, -0.05, 0.88), "hand": (0.26, -0.08, 0.8),
}  # fmt: skip


def standing(kind="h36m-23"):
    """(K,3) m: a person at the origin who looks towards -y, so that the left side is at +x."""
    out = []
    for name in skeleton(kind).joints:
        left, plain = name.startswith("left_"), name.removeprefix("left_").removeprefix("right_")
        x, y, z = STANDING[plain]
        out.append((x if left or plain == name else -x, y, z))
    return np.array(out, np.float32)


def camera(width=320, height=240):
    pose = np.eye(4)
    pose[:3] = [[1, 0, 0, 0], [0, 0, 1, -4.5], [0, -1, 0, 1.2]]
    return Camera(
        np.array([[300.0, 0, width / 2], [0, 300, height / 2], [0, 0, 1]]), (width, height), camera_to_world=pose
    )


class Pictures:
    """A clip of grey frames without a file."""

    def __init__(self, times, width=320, height=240):
        rate = 1 / float(np.median(np.diff(times))) if len(times) > 1 else 30.0
        self.info = ClipInfo("grey.mp4", width, height, np.asarray(times, float), rate)
        self.closed = False

    def frames(self, start=0, stop=None, size=None):
        width, height = size or (self.info.width, self.info.height)
        try:
            for _ in range(start, len(self.info.times) if stop is None else stop):
                yield np.full((height, width, 3), 128, np.uint8)
        finally:
            self.closed = True


def scene_of(clip, people=1, kind="h36m-23", span=None, eye=None):
    """People side by side who sway, seen in the frames `span` of the clip."""
    first, last = span or (0, len(clip.info.times))
    eye = eye or camera(clip.info.width, clip.info.height)
    frames = np.arange(first, last, dtype=np.int32)
    tracks, motions = [], []
    for number in range(people):
        sway = 0.1 * np.sin(frames / 5)[:, None, None] * [1, 0, 0]
        joints = (standing(kind) + sway + [1.0 * number - 0.5 * (people - 1), 0, 0]).astype(np.float32)
        scores = np.full(joints.shape[:2], 0.9, np.float32)
        seen = np.ones(len(frames), bool)
        motions.append(Motion3D(number + 1, kind, "world", frames, joints, scores, joints[:, 0], seen))
        inside = joints @ eye.world_to_camera[:3, :3].T + eye.world_to_camera[:3, 3]
        points = inside @ eye.matrix.T
        points = (points[..., :2] / points[..., 2:]).astype(np.float32)
        boxes = np.concatenate([points.min(1), points.max(1)], 1)
        tracks.append(Track2D(number + 1, kind, frames, points, scores, seen, boxes))
    return Scene(clip.info, eye, tracks, motions)


def drawn(scene, clip, height):
    """All frames of a film, kept."""
    return [frame.copy() for frame in side_by_side(scene, clip, height)]


def near(picture, color, distance=40):
    """How many pixels have about that colour."""
    return int((np.abs(picture.astype(int) - color).max(axis=-1) < distance).sum())


# ---- film -----------------------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
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


# ---- failures -------------------------------------------------------------------------------------------------------


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


# ---- parts ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=50))
def test_presentation_ticks_always_rise(values):
    ticks = presentation_ticks(np.sort(values))
    assert (np.diff(ticks) > 0).all()
    assert ticks[0] == round(min(values) * TICKS)


@given(rate=st.floats(1, 240), count=st.integers(1, 300))
def test_gif_keeps_the_pace(rate, count):
    times = np.arange(count) / rate
    kept = kept_frames(times)
    assert kept[0] == 0
    assert (np.diff(times[kept]) >= 1 / FASTEST - 2e-3).all()
    assert (np.diff(times[kept]) <= 1 / FASTEST + 1 / rate + 2e-3).all()


def test_gif_plays_at_the_clips_pace(tmp_path):
    times = np.concatenate([np.arange(60) / 60, 1 + np.arange(10) / 5])
    clip = Pictures(times)
    done = []
    write_gif(scene_of(clip, people=3), tmp_path / "skeleton.gif", done.append, size=200)
    with av.open(str(tmp_path / "skeleton.gif")) as gif:
        frames = list(gif.decode(video=0))
        shown = np.array([float(frame.pts * frame.time_base) for frame in frames])
        picture = frames[3].to_ndarray(format="bgr24")
    np.testing.assert_allclose(shown, times[kept_frames(times)], atol=0.0051)
    assert done[-1] == len(times)
    assert picture.shape == (200, 200, 3)
    for person in range(3):
        assert near(picture, colors(person)[LEFT]) > 10


def test_gif_of_one_frame(tmp_path):
    write_gif(scene_of(Pictures([0.0])), tmp_path / "a.gif")
    with av.open(str(tmp_path / "a.gif")) as gif:
        assert len(list(gif.decode(video=0))) == 1


def test_people_fill_the_view_and_stay_inside():
    clip = Pictures(np.arange(300) / 30)
    scene = scene_of(clip, people=2)
    walked = dataclasses.replace(
        scene.people[0], joints=scene.people[0].joints + np.linspace(0, 12, 300)[:, None, None].astype("f4") * [0, 1, 0]
    )
    for people in (scene.people, [walked]):
        view = view_of(dataclasses.replace(scene, people=people), (400, 400))
        joints = np.concatenate([p.joints for p in people], axis=1)
        pixels, depth = view.project(joints, np.arange(300))
        assert np.isfinite(depth).all()
        assert pixels.min() > 0
        assert pixels.max() < 400
        height = pixels[..., 1].max(1) - pixels[..., 1].min(1)
        assert np.median(height) > 130
        eye = view.target - view.distance[:, None] * view.axes[:, 2]
        jerk = np.linalg.norm(np.diff(eye, n=3, axis=0), axis=1)
        assert jerk.max() < 0.02  # m per frame^3: no jitter


def test_projection_is_a_pinhole():
    clip = Pictures(np.arange(3) / 30)
    view = view_of(scene_of(clip), (400, 300))
    center, depth = view.project(view.target[:, None], np.arange(3))
    np.testing.assert_allclose(center[:, 0], [[200, 156]] * 3, atol=1e-9)
    np.testing.assert_allclose(depth[:, 0], view.distance)
    aside, _ = view.project((view.target + 0.5 * view.axes[:, 0])[:, None], np.arange(3))
    np.testing.assert_allclose(aside[:, 0, 0] - 200, 0.5 * view.focal / view.distance)
    up, _ = view.project((view.target + np.array([0, 0, 0.5]))[:, None], np.arange(3))
    assert (up[:, 0, 1] < 156).all()


def test_chunks_do_not_show(monkeypatch):
    import visualize.figure
    import visualize.floor
    import visualize.overlay

    clip = Pictures(np.arange(25) / 30)
    scene = scene_of(clip, people=2, span=(2, 23))
    whole = drawn(scene, clip, 120)
    monkeypatch.setattr(visualize.figure, "_CHUNK", 7)
    monkeypatch.setattr(visualize.floor, "_CHUNK", 3)
    for a, b in zip(whole, side_by_side(scene, clip, 120), strict=True):
        np.testing.assert_array_equal(a[:, 160:], b[:, 160:])
    figures = Figures(scene, view_of(scene, (120, 120)))
    few = np.array([0, 3, 4, 20, 24])
    for frame, panel in zip(few, figures.panels(few), strict=True):
        alone = next(figures.panels(np.array([frame])))
        np.testing.assert_array_equal(panel, alone)


def test_overlay_can_jump_back():
    clip = Pictures(np.arange(600) / 30)
    overlay = Overlay(scene_of(clip), (320, 240))
    pictures = {}
    for frame in (0, 599, 300, 0, 300):
        canvas = np.zeros((240, 320, 3), np.uint8)
        overlay.draw(canvas, frame)
        assert np.array_equal(pictures.setdefault(frame, canvas), canvas)
        assert canvas.any()


@pytest.mark.parametrize("kind", sorted(SKELETONS))
def test_every_skeleton_is_drawn_as_a_body(kind):
    bones = skeleton(kind)
    pairs = picture_bones(bones)
    limbs = {
        frozenset((f"{s}_{a}", f"{s}_{b}"))
        for s in ("left", "right")
        for a, b in (("elbow", "wrist"), ("knee", "ankle"))
    }
    assert limbs <= {frozenset((bones.joints[a], bones.joints[b])) for a, b in pairs}
    sides = [side(bones, a, b) for a, b in pairs]
    assert sides.count(LEFT) == sides.count(RIGHT) > 3


def test_a_neck_is_drawn_as_thick_as_limbs():
    """Human3.6M's neck_nose is no part of a face."""
    bones = skeleton("h36m-17")
    assert (_thickness(bones.joints, np.array(picture_bones(bones))) == 1).all()
    bones = skeleton("coco-17")
    assert (_thickness(bones.joints, np.array(picture_bones(bones))) < 1).any()


def test_capsules_hold_their_ends():
    a, b = np.array([[10.0, 10.0], [np.nan, 0]]), np.array([[30.0, 20.0], [1, 1]])
    radii = [(np.array([3.0, 3]), np.array([2.0, 2])), (np.array([4.0, 4]), np.array([3.0, 3]))]
    outline, wide = capsules(a, b, radii, 8)
    assert not outline[1].any()
    for point, inside in (((10, 10), True), ((30, 20), True), ((20, 15), True), ((10, 20), False)):
        distance = cv2.pointPolygonTest(outline[0].astype(np.float32) / 16, point, True)
        assert (distance > 1) == inside
        assert cv2.pointPolygonTest(wide[0].astype(np.float32) / 16, point, True) > distance


def test_digits_stand_still_while_they_count():
    def drawn_text(text):
        canvas = np.zeros((30, 120, 3), np.uint8)
        put_digits(canvas, text, 4, 4, 18, (255, 255, 255))
        return canvas

    one, other = drawn_text("0:01.111"), drawn_text("0:08.118")
    assert one.any() and (one != other).any()
    minutes = sum(letters(letter, 18).shape[1] - 3 for letter in "0:0")  # the same in both
    np.testing.assert_array_equal(one[:, : 4 + minutes], other[:, : 4 + minutes])
    small = np.zeros((20, 12, 3), np.uint8)
    put_digits(small, "0:01.111", 4, 4, 18, (255, 255, 255))  # what lies outside is cut off
    assert small.any()


@pytest.mark.parametrize("far, step", [(4.0, 1), (15.0, 2)])
def test_a_wide_stage_has_a_coarser_grid(far, step):
    axes = np.broadcast_to(np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), (2, 3, 3))
    view = View((240, 240), np.tile([0.2, 0.1, 0.9], (2, 1)), np.full(2, far), axes, 1)
    floor = Floor(view)
    assert floor.step == step
    ends, strength = _segments(np.array([[0.2, 0.1]]), max(5.0, 0.75 * far), step)
    whole = ends[0][strength[0] > 0]
    on_grid = np.isclose(whole % step, 0).all(axis=1)[:, :2] | np.isclose(whole % step, step).all(axis=1)[:, :2]
    assert on_grid.any(axis=1).all()  # every line keeps one coordinate at a multiple of the step


def test_the_disc_grows_when_the_eye_comes_nearer():
    axes = np.broadcast_to(view_of(scene_of(Pictures(np.arange(3) / 30)), (120, 120)).axes[:1], (3, 3, 3))
    view = View((120, 120), np.zeros((3, 3)), np.array([12.0, 6.0, 12.0]), axes, 1)
    floor, pictures = Floor(view), []
    for frame in range(3):
        canvas = np.zeros((120, 120, 3), np.uint8)
        floor.paint(canvas, frame)
        pictures.append(canvas)
    np.testing.assert_array_equal(pictures[0], pictures[2])
    assert (pictures[0] != pictures[1]).any()
