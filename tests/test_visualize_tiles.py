"""Pictures of several views: where they go, which frames are shown, and what lies over them."""

from dataclasses import replace

import numpy as np
import pytest
from filmed import Pictures, camera, scene_of, standing
from filmed_views import blank, ring, studio, views_scene
from hypothesis import given
from hypothesis import strategies as st

from pipeline.projection import project
from pipeline.results import Camera, ClipInfo, View
from visualize.footage import own_frames, pictures_at
from visualize.reprojection import Reprojection, seen
from visualize.tiles import arranged

SHAPES = [(1280, 720), (720, 1280), (640, 480), (1080, 1920), (640, 640), (1920, 800)]


@given(
    sizes=st.lists(st.sampled_from(SHAPES), min_size=1, max_size=16),
    height=st.integers(240, 600).map(lambda n: 2 * n),
    widest=st.floats(1.0, 2.0),
)
def test_pictures_keep_their_shapes_and_do_not_overlap(sizes, height, widest):
    places, width = arranged(sizes, height, widest, 1.0)
    covered = np.zeros((height, width), np.uint8)
    assert width % 2 == 0 and width <= widest * height + 4
    for (wide, tall), place in zip(sizes, places, strict=True):
        assert place.size[0] % 2 == place.size[1] % 2 == 0
        part = place.of(covered)
        assert part.shape == place.size[::-1]  # all of it is in the panel
        part += 1
        assert abs(place.size[0] / wide - place.size[1] / tall) * max(wide, tall) <= 2.1 * max(wide / tall, tall / wide)
    assert covered.max() == 1


@pytest.mark.parametrize("count, rows", [(1, 1), (2, 2), (3, 3), (4, 2), (6, 3), (8, 4)])
def test_landscapes_stand_in_even_rows(count, rows):
    places, _ = arranged([(1280, 720)] * count, 720, 1.6, 1.0)
    assert len({place.y for place in places}) == rows
    assert len({place.size for place in places}) == 1
    order = [(place.y, place.x) for place in places]
    assert order == sorted(order)


@pytest.mark.parametrize("count, rows", [(2, 1), (3, 1), (4, 2), (6, 2), (8, 2)])
def test_portraits_stand_side_by_side(count, rows):
    places, _ = arranged([(1080, 1920)] * count, 720, 1.6, 1.0)
    assert len({place.y for place in places}) == rows


def view(times, offset=0.0, fps=30.0):
    clip = ClipInfo("a.mp4", 320, 240, np.asarray(times, float), fps)
    return View(clip, Camera(np.eye(3), (320, 240), offset_s=offset), [])


def test_the_first_view_shows_its_own_frames():
    times = np.arange(50) / 30
    frames, filming = own_frames(view(times), times)
    np.testing.assert_array_equal(frames, np.arange(50))
    assert filming.all()


@given(
    rate=st.floats(5, 120),
    offset=st.floats(-2, 2),
    count=st.integers(1, 80),
    own_rate=st.sampled_from([25.0, 29.97, 60]),
)
def test_frames_are_the_nearest_in_time(rate, offset, count, own_rate):
    times, own = np.arange(40) / rate, np.arange(count) / own_rate
    frames, filming = own_frames(view(own, offset, own_rate), times)
    away = np.abs(own[None] + offset - times[:, None])
    np.testing.assert_allclose(away[np.arange(40), frames], away.min(axis=1), atol=1e-9)
    assert (np.diff(frames) >= 0).all()
    assert (away.min(axis=1)[filming] < 1 / own_rate + 1e-9).all()
    assert (away.min(axis=1)[~filming] > 1 / own_rate - 1e-9).all()


class Numbered(Pictures):
    """Each picture holds its own number; notes what was asked for."""

    def frames(self, start=0, stop=None, size=None):
        self.asked = start, stop
        for index, picture in zip(range(start, stop), super().frames(start, stop, size), strict=True):
            picture[:] = index
            yield picture


def test_pictures_are_streamed_and_repeated():
    clip, wanted = Numbered(np.arange(30) / 30, 8, 8), np.array([3, 3, 4, 7, 7, 7, 12])
    shown = [int(picture[0, 0, 0]) for picture in pictures_at(clip, wanted, (8, 8))]
    assert shown == wanted.tolist()
    assert clip.asked == (3, 13) and clip.closed


def test_a_clip_that_ends_early_is_no_silent_still():
    clip = Pictures(np.arange(5) / 30, 8, 8)
    short = replace_frames(clip, 3)
    with pytest.raises(ValueError, match="argument"):
        list(pictures_at(short, np.arange(5), (8, 8)))


def replace_frames(clip, count):
    class Short:
        info = clip.info

        def frames(self, start, stop, size):
            return clip.frames(start, count, size)

    return Short()


BENDS = {
    "usual": [-0.3, 0.1, 0.002, -0.001, 0.01],
    "rational": [0.1, -0.05, 0.001, -0.002, 0.01, 0.05, 0.02, 0.001],
    "fisheye": [0.05, -0.01, 0.004, -0.001],
    "moving": [0.0] * 5,
}


@pytest.mark.parametrize("kind", sorted(BENDS))
def test_skeletons_are_projected_as_by_the_one_camera_model(kind):
    eye = camera()
    bend = np.array(BENDS[kind])
    poses = np.repeat(eye.camera_to_world[None], 9, 0)
    poses[:, 0, 3] = np.linspace(-1, 1, 9)
    pose = poses if kind == "moving" else eye.camera_to_world
    eye = replace(eye, distortion=bend, fisheye=kind == "fisheye", camera_to_world=pose)
    joints, frames = standing() + np.linspace(0, 0.4, 4)[:, None, None], np.arange(3, 7)
    at = replace(eye, camera_to_world=pose[frames]) if kind == "moving" else eye
    np.testing.assert_allclose(seen(eye, joints, frames), project(at, joints)[0], atol=1e-6)


def test_what_is_behind_or_far_beside_is_not_drawn():
    eye = replace(camera(), distortion=np.array([-0.3, 0.1, 0, 0, 0.0]))
    joints = np.tile(standing(), (3, 1, 1))
    joints[1] += [0, -20, 0]
    joints[2] += [30, 0, 0]  # the lens model would fold this back into the picture
    pixels = seen(eye, joints, np.arange(3))
    assert np.isfinite(pixels[0]).all() and np.isnan(pixels[1:]).all()


def test_reprojected_lines_lie_on_the_person():
    clip = Pictures(np.arange(300) / 30)
    scene = scene_of(clip, people=2, span=(10, 290))
    lines = Reprojection(scene.people, View(scene.clip, scene.camera, scene.tracks), (640, 480))
    for frame in (5, 10, 250, 289, 295, 20):
        canvas = np.zeros((480, 640, 3), np.uint8)
        lines.draw(canvas, frame)
        assert canvas.any() == (10 <= frame < 290)
        for track in scene.tracks:
            if not canvas.any():
                continue
            hips = (track.keypoints[frame - 10, [1, 4]].mean(axis=0) * 2).round().astype(int)
            around = canvas[hips[1] - 3 : hips[1] + 4, hips[0] - 3 : hips[0] + 4]
            assert (around > 120).all(axis=-1).any()


def test_reprojection_of_somebody_without_joints():
    scene = views_scene(studio(ring(2), duration=0.2, fps=10))
    nobody = replace(scene.people[0], joints=np.full_like(scene.people[0].joints, np.nan))
    canvas = np.zeros((240, 320, 3), np.uint8)
    Reprojection([nobody], scene.views[0], (320, 240)).draw(canvas, 1)
    assert not canvas.any() and len(blank(scene)) == 2
