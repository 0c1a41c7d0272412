"""What films and GIFs are made of: times, views, floor, bodies, letters."""

import dataclasses

import av
import cv2
import numpy as np
import pytest
from filmed import Pictures, drawn, near, scene_of
from hypothesis import given
from hypothesis import strategies as st

from pipeline.skeletons import SKELETONS, skeleton
from visualize.draw import LEFT, RIGHT, capsules, colors, letters, picture_bones, put_digits, side
from visualize.encode import TICKS, presentation_ticks
from visualize.figure import Figures
from visualize.film import side_by_side
from visualize.floor import Floor, _segments
from visualize.gif import FASTEST, kept_frames, write_gif
from visualize.overlay import Overlay, _thickness
from visualize.view import View, view_of


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
