"""The film of several cameras: every view at its place and time, and the cameras in the 3D view."""

import threading
from dataclasses import replace

import av
import numpy as np
import people
import pytest
from filmed import Pictures, near
from filmed_views import blank, ring, studio, views_scene, without

from pipeline.results import Camera, ClipInfo, View
from studio.cameras import orbit
from visualize.draw import LEFT, colors
from visualize.figure import Figures
from visualize.film import _panels, side_by_side, write_film
from visualize.gif import write_gif
from visualize.rig import Rig, _shape
from visualize.tiles import arranged
from visualize.view import view_of

MIXED = [(320, 240), (180, 320), (320, 180), (240, 240)]


@pytest.fixture(scope="module")
def scene():
    return views_scene(studio(ring(4, sizes=MIXED), duration=1.0, fps=12))


def drawn(scene, clips=None, height=360):
    return [frame.copy() for frame in side_by_side(scene, clips or blank(scene), height)]


def places(scene, height=360):
    return arranged([(v.clip.width, v.clip.height) for v in scene.views], height, 1.6, 1.0)[0]


def shifted(scene, number, offset):
    view = scene.views[number]
    view = replace(view, camera=replace(view.camera, offset_s=offset))
    return replace(scene, views=(*scene.views[:number], view, *scene.views[number + 1 :]))


@pytest.mark.parametrize("count", [2, 3, 4, 6, 8])
def test_film_of_several_views(tmp_path, count):
    scene, done = views_scene(studio(ring(count), duration=0.5, fps=10)), []
    clips = blank(scene)
    before = threading.active_count()
    write_film(scene, clips, tmp_path / "side_by_side.mp4", done.append, panel_height=240)
    with av.open(str(tmp_path / "side_by_side.mp4")) as film:
        stream = film.streams.video[0]
        shown = [float(frame.pts * stream.time_base) for frame in film.decode(stream)]
        assert stream.height == 240
        left = arranged([(320, 240)] * count, 240, 1.6, 1.0)[1]
        assert stream.width == pytest.approx(np.clip(16 / 9 * 240, left + 240, left + 336), abs=2)
    np.testing.assert_allclose(shown, scene.clip.times, atol=1e-4)
    assert done == [1, 2, 3, 4, 5]
    assert all(clip.closed for clip in clips)
    assert threading.active_count() == before


def test_a_film_of_many_views_fits_the_screen(scene):
    for count in (2, 8):
        some = views_scene(studio(ring(count), duration=0.1, fps=10))
        height, width = next(side_by_side(some, blank(some))).shape[:2]
        assert 720 <= height <= 1080
        assert width <= 1922 or height == 720


@pytest.mark.parametrize(
    ("count", "size", "film", "tall"),
    [
        (4, (1080, 1920), (1920, 1080), 540),  # two rows fill the height; the 3D view has what the screen leaves
        (2, (1080, 1920), (1920, 902), 902),
        (3, (1080, 1920), (1920, 738), 700),
        (4, (1280, 720), (1920, 738), 332),
    ],
)
def test_pictures_are_as_large_as_a_screen_allows(count, size, film, tall):
    views = [View(ClipInfo("a.mp4", *size, np.zeros(1), 30.0), Camera(np.eye(3), size), [])] * count
    height, shown, left, beside = _panels(views, None)
    np.testing.assert_allclose((left + beside, height), film, atol=4)
    assert min(place.size[1] for place in shown) == pytest.approx(tall, abs=12)
    assert beside >= height - 2


def test_everybody_is_drawn_in_every_view_and_in_3d(scene):
    frame = drawn(scene)[4]
    for place in places(scene):
        tile = place.of(frame)
        assert ((tile.astype(int) - 128).__abs__().max(-1) > 40).mean() > 0.005
        assert sum(near(tile, colors(person)[LEFT], 60) for person in (0, 1)) > 5
    for person in (0, 1):
        assert near(frame[:, -504:], colors(person)[LEFT]) > 60


def test_a_view_that_does_not_film_is_dimmed_and_shows_no_skeletons(scene):
    frames = drawn(shifted(scene, 2, 0.5))
    place = places(scene)[2]
    for index, frame in enumerate(frames):
        tile = place.of(frame)[30:]  # below the name
        if index < 5:  # 0.5 s less a frame's length
            assert np.ptp(tile) == 0 and tile.mean() < 60
        elif index > 5:
            assert np.median(tile) == 128 and np.ptp(tile) > 60
    ended = drawn(shifted(scene, 2, -0.5))
    assert [np.ptp(place.of(frame)[30:]) == 0 for frame in ended] == [False] * 6 + [True] * 6


class Numbered(Pictures):
    def frames(self, start=0, stop=None, size=None):
        for index, picture in zip(range(start, stop), super().frames(start, stop, size), strict=True):
            picture[:] = 10 * index
            yield picture


def test_each_view_shows_the_frame_of_the_scenes_time(scene):
    """The second view films at twice the rate, and began half a second early."""
    view = scene.views[1]
    clip = replace(view.clip, times=np.arange(24) / 24, fps=24.0)
    late = replace(view, clip=clip, camera=replace(view.camera, offset_s=-0.25), tracks=[])
    people = replace(scene, people=[], tracks=[], views=(replace(scene.views[0], tracks=[]), late))
    clips = [Numbered(v.clip.times, v.clip.width, v.clip.height) for v in people.views]
    frames = drawn(people, clips)
    for index, frame in enumerate(frames):
        for place, own in zip(places(people), (index, 6 + 2 * index), strict=True):
            shown = np.median(place.of(frame)[30:])
            assert shown == 10 * own % 256 if own < 24 else shown < 0.35 * 230


def test_somebody_whom_a_view_never_saw(scene):
    frame = drawn(without(scene, 3))[4]
    assert near(places(scene)[3].of(frame), (255, 255, 255), 60) > 10  # the 3D is projected into it all the same


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unknown", [*people.UNKNOWN.values(), ("pelvis",)])
def test_joints_that_are_never_known_are_left_out(scene, unknown):
    part = replace(scene, people=[people.without(scene.people[0], unknown), scene.people[1]])
    whole, found = drawn(scene)[6], drawn(part)[6]
    changed = (np.abs(whole.astype(int) - found) > 30).any(-1).sum()
    assert 0 < changed < 0.03 * found.shape[0] * found.shape[1]


def test_clips_must_be_as_many_as_views(scene):
    with pytest.raises(ValueError, match="argument"):
        drawn(scene, blank(scene)[:3])


def test_a_scene_of_one_picture_each(tmp_path):
    scene = views_scene(studio(ring(2), duration=0.05, fps=10))
    write_film(scene, blank(scene), tmp_path / "a.mp4", panel_height=240)
    assert (tmp_path / "a.png").is_file()


def test_people_come_first_and_cameras_as_far_as_they_fit():
    """Cameras at 3 m are all held; those at 30 m do not make people small."""
    near_by, far = (views_scene(studio(ring(4, radius=r), duration=1.0, fps=8)) for r in (3.5, 30.0))
    alone = view_of(replace(near_by, views=()), (504, 360))
    for scene, held in ((near_by, True), (far, False)):
        view = view_of(scene, (504, 360))
        assert view.distance.max() <= 2.6 * alone.distance.max()
        for one in scene.views:
            centre = np.broadcast_to(one.camera.camera_to_world[:3, 3], (8, 1, 3))
            pixels, _ = view.project(centre, np.arange(8))
            assert bool(((pixels > 0) & (pixels < view.size)).all()) == held
        people = np.concatenate([person.joints for person in scene.people], axis=1)
        pixels, _ = view.project(people, np.arange(8))
        assert ((pixels > 0) & (pixels < view.size)).all()
        assert np.ptp(pixels[..., 1], axis=1).min() > 60


def test_cameras_are_drawn_and_faded_when_they_do_not_film():
    scene = views_scene(studio(ring(3, radius=3.5), duration=0.5, fps=8))
    view = view_of(scene, (504, 360))
    with_rig, without_rig = (Figures(s, view) for s in (scene, replace(scene, views=())))
    later = Figures(shifted(scene, 1, 10.0), view)
    pictures = [next(figures.panels(np.array([2]))).astype(int) for figures in (with_rig, without_rig, later)]
    for number, one in enumerate(scene.views):
        centre, _ = view.project(one.camera.camera_to_world[None, None, :3, 3], np.array([2]))
        x, y = centre[0, 0].round().astype(int)
        parts = [picture[max(0, y - 25) : y + 25, max(0, x - 25) : x + 25] for picture in pictures]
        assert np.abs(parts[0] - parts[1]).max() > 60
        assert (np.abs(parts[0] - parts[2]).max() > 30) == (number == 1)


def test_a_camera_out_of_sight_is_told_at_the_rim():
    scene = views_scene(studio(ring(4, radius=30.0), duration=0.5, fps=8))
    view = view_of(scene, (504, 360))
    canvas = np.zeros((360, 504, 3), np.uint8)
    rig = Rig(scene, view)
    rig.draw(canvas, 1, behind=True)
    rig.draw(canvas, 1, behind=False)
    ys, xs = np.nonzero(canvas.max(axis=-1))
    assert len(xs) > 100
    middle = (np.abs(xs - 252) < 150) & (np.abs(ys - 180) < 100)
    assert not middle.any()


def test_a_moving_camera_moves():
    scene = views_scene(studio((orbit((0, 0, 1), 3.0, 1.6, 0.8), *ring(1, radius=3.0)), duration=2.0, fps=10))
    view = view_of(scene, (504, 360))
    rig, frames = Rig(scene, view), np.arange(20)
    drawn = rig._project(scene.views[0].camera, frames)
    centres, _ = view.project(scene.camera.camera_to_world[:, None, :3, 3], frames)
    np.testing.assert_allclose(drawn.points[:, 0], centres[:, 0])
    assert np.linalg.norm(np.diff(centres[:, 0], axis=0), axis=1).min() > 3
    assert drawn.whole.all()


def test_a_frustum_shows_the_pictures_shape(scene):
    for view in scene.views:
        corners = _shape(view.camera, 0.5)[1:5]
        wide, tall = (np.linalg.norm(corners[a] - corners[b]) for a, b in ((0, 1), (0, 3)))
        assert wide / tall == pytest.approx(view.clip.width / view.clip.height)
        assert np.linalg.norm(corners, axis=1).max() == pytest.approx(0.5)


def test_gif_of_several_views(tmp_path, scene):
    write_gif(scene, tmp_path / "skeleton.gif", size=240)
    with av.open(str(tmp_path / "skeleton.gif")) as gif:
        assert len(list(gif.decode(video=0))) == 12
