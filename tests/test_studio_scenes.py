"""Studio scenes: pictures and truth belong together, the same seed gives the same bytes, files keep both."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.clip import open_clip
from pipeline.errors import InputError, UsageError
from pipeline.skeletons import skeleton
from studio.backdrop import Surroundings
from studio.cameras import look_at, still
from studio.motions import Stand
from studio.scenes import SCENES, build
from studio.shapes import Box
from studio.stage import Actor, StudioScene
from studio.write import main, read_truth, write

SMALL = {"size": (160, 90), "duration": 0.2}


def two(order=(1, 2), boxes=(), size=(320, 240)):
    """Actor 1 stands a metre behind actor 2 and a little beside; `order` says who is on the stage."""
    places = {1: (0.6, 0.16), 2: (-0.5, -0.1)}
    actors = tuple(Actor.cast(n, Stand(places[n], np.pi, seed=n), 5) for n in order)
    camera = still(look_at((-4, 0, 1.3), (0, 0, 0.9), size, 50))
    return StudioScene("two", actors, (camera,), np.zeros(1), 30, Surroundings(boxes=tuple(boxes)), noise=0)


def picture(scene):
    return next(iter(scene.frames()))


@pytest.mark.parametrize("name", sorted(set(SCENES) - {"mocap"}))
def test_every_scene_gives_pictures_and_truth(name):
    scene = build(name, **SMALL)
    truth = scene.truth()
    cameras, actors, frames = len(scene.cameras), len(scene.actors), len(scene.times)
    assert frames == 6
    assert truth.joints.shape == (actors, frames, 23, 3)
    assert truth.keypoints.shape == (cameras, actors, frames, 33, 2)
    assert truth.contacts.shape == (actors, frames, 4)
    assert (np.diff(truth.times) > 0).all()
    pictures = list(scene.frames(cameras - 1))
    assert len(pictures) == frames
    assert all(p.shape == (90, 160, 3) and p.dtype == np.uint8 for p in pictures)
    assert truth.visible.any()


def test_truth_s_pixels_are_opencv_s_projection_of_its_points():
    truth = build("multiview4", **SMALL).truth("coco-17")
    assert truth.skeleton == "coco-17"
    for c, path in enumerate(truth.cameras):
        camera, world = path[3], path[3].world_to_camera
        turn = cv2.Rodrigues(world[:3, :3])[0]
        for actor in range(2):
            expected, _ = cv2.projectPoints(
                truth.points[actor, 3], turn, world[:3, 3], camera.matrix, camera.distortion
            )
            np.testing.assert_allclose(truth.keypoints[c, actor, 3], expected[:, 0], atol=1e-6)


def test_the_same_seed_gives_the_same_bytes_another_one_does_not():
    def pixels(seed):
        return np.stack(list(build("walk", seed=seed, **SMALL).frames()))

    assert (pixels(3) == pixels(3)).all()
    assert (pixels(3) != pixels(4)).mean() > 0.05


def test_a_faster_camera_sees_the_same_motion():
    slow, fast = (build("dance", fps=fps, duration=1.0, size=(64, 48), noise=0) for fps in (10, 30))
    np.testing.assert_allclose(slow.truth().joints, fast.truth().joints[:, ::3], atol=1e-12)
    assert (np.stack(list(slow.frames())) == np.stack(list(fast.frames())[::3])).all()


@pytest.mark.parametrize("size", [(8, 8), (161, 91), (91, 161), (640, 9)])
def test_odd_sizes(size):
    assert picture(build("walk", size=size, duration=0.1)).shape == (size[1], size[0], 3)


def test_visibility_agrees_with_the_pictures():
    both, alone = two(), two((1,))
    truth, free = both.truth(), alone.truth()
    changed = np.abs(picture(both).astype(int) - picture(alone)).max(-1) > 25  # shading moves by some grey levels
    seen, before = truth.visible[0, 0, 0], free.visible[0, 0, 0]
    lost = before & ~seen
    assert lost.sum() > 5, "actor 2 hides a part of actor 1"
    assert seen.sum() > 5
    columns, rows = truth.keypoints[0, 0, 0].round().astype(int).T
    assert changed[rows[lost], columns[lost]].all()
    near = np.array([changed[r - 1 : r + 2, c - 1 : c + 2].all() for r, c in zip(rows, columns, strict=True)])
    assert not near[seen].any()
    assert (truth.visible[0, 1] == two((2,)).truth().visible[0, 0]).all(), "who is behind hides nobody"


def test_actors_hide_each_other_by_depth_not_by_order():
    assert (picture(two((1, 2))) == picture(two((2, 1)))).mean() > 0.97


def test_a_box_hides_what_is_behind_it():
    box = Box((-1.5, 0, 0.5), (0.2, 3, 1.0))
    truth = two((1,), [box]).truth()
    height = truth.points[0, 0, :, 2]
    assert not truth.visible[0, 0, 0][height < 0.7].any()
    assert truth.visible[0, 0, 0][height > 1.3].any()
    legs = truth.keypoints[0, 0, 0, skeleton("blazepose-33").index("left_knee")].round().astype(int)[0]
    colour = picture(two((1,), [box]))[legs[1], legs[0]].astype(int)
    np.testing.assert_allclose(colour / colour.sum(), np.array(box.colour) / sum(box.colour), atol=0.02)


def test_out_of_the_picture_is_not_visible():
    scene = two((1,))
    aside = replace(scene, cameras=(still(look_at((-4, 0, 1.3), (0, 5, 0.9), (320, 240), 30)),))
    truth = aside.truth()
    assert not truth.inside.any()
    assert not truth.visible.any()
    assert len(truth.detections()[0]) == 0


def test_motion_blur_spreads_what_moves_and_nothing_else():
    sharp = build("run", size=(320, 180), duration=0.1, noise=0)
    blurred = replace(sharp, shutter=1 / 20)
    difference = np.abs(picture(sharp).astype(int) - picture(blurred)).max(-1)
    assert difference.max() > 40
    assert (difference == 0).mean() > 0.8


def test_detections_without_noise_are_the_truth():
    truth = build("sample", **SMALL).truth()
    for t, detections in enumerate(truth.detections(seed=1)):
        assert len(detections) == 2
        expected = {tuple(p) for p in truth.keypoints[0, :, t, 0].astype(np.float32)}
        assert {tuple(p) for p in detections.keypoints[:, 0]} == expected
        order = [int(np.argmin(np.abs(truth.keypoints[0, :, t] - k).sum((1, 2)))) for k in detections.keypoints]
        assert ((detections.scores > 0.5) == truth.visible[0, order, t]).all()


def test_detections_have_the_noise_and_the_drops_they_are_asked_for():
    truth = build("sample", size=(1280, 720), duration=2.0).truth()
    noisy = truth.detections(noise_px=4.0, drop=0.25, seed=2)
    counts = np.array([len(d) for d in noisy])
    assert 0.6 < counts.mean() / 2 < 0.9
    errors = np.concatenate([
        np.abs(d.keypoints[:, None] - truth.keypoints[0, None, :, t]).mean((2, 3)).min(1) for t, d in enumerate(noisy)
    ])  # fmt: skip
    assert 2 < errors.mean() < 9
    again = truth.detections(noise_px=4.0, drop=0.25, seed=2)
    assert all((a.keypoints == b.keypoints).all() for a, b in zip(noisy, again, strict=True))


def test_a_written_clip_has_the_scene_s_times_and_its_truth(tmp_path):
    scene = build("vfr", size=(160, 90), duration=0.6)
    told = []
    write(scene, tmp_path / "a.mp4", told.append)
    info = open_clip(tmp_path / "a.mp4").info
    assert (info.width, info.height) == (160, 90)
    assert info.variable_rate
    np.testing.assert_allclose(info.times, scene.times, atol=2e-4)
    assert told == list(range(1, len(scene.times) + 1))
    truth, saved = scene.truth(), read_truth(tmp_path / "a.truth.npz")
    for name in ("times", "ids", "joints", "points", "keypoints", "visible", "inside", "contacts"):
        np.testing.assert_array_equal(getattr(truth, name), getattr(saved, name))
    first = saved.cameras[0][0]
    assert first.size == (160, 90)
    np.testing.assert_array_equal(first.matrix, truth.cameras[0][0].matrix)
    decoded = next(iter(open_clip(tmp_path / "a.mp4").frames()))
    assert np.abs(decoded.astype(int) - picture(scene)).mean() < 6
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "a.truth.npz"]


def test_several_cameras_make_several_clips_and_odd_sizes_stay(tmp_path):
    main("multiview4", tmp_path / "v.mp4", size=(95, 61), seconds=0.1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["v.mp4", "v.truth.npz", "v_2.mp4", "v_3.mp4", "v_4.mp4"]
    assert (open_clip(tmp_path / "v_3.mp4").info.width, open_clip(tmp_path / "v_3.mp4").info.height) == (95, 61)
    assert len(read_truth(tmp_path / "v.truth.npz").cameras) == 4


def test_a_recording_becomes_a_scene(tmp_path):
    scene = build("dance", **SMALL)
    np.savez(tmp_path / "r.npz", joints=scene.truth().joints[0], fps=30.0)
    replayed = build("mocap", mocap=str(tmp_path / "r.npz"), size=(160, 90))
    assert replayed.truth().visible.mean() > 0.4
    assert picture(replayed).shape == (90, 160, 3)


@pytest.mark.parametrize(
    ("name", "options"),
    [("nothing", {}), ("walk", {"colour": 3}), ("walk", {"fps": 0}), ("walk", {"duration": -1}), ("mocap", {}),
     ("walk", {"size": (4, 4)})],
)  # fmt: skip
def test_wrong_use_is_told(name, options):
    with pytest.raises(UsageError):
        build(name, **options)


def test_what_is_no_truth_is_told(tmp_path):
    (tmp_path / "x.truth.npz").write_bytes(b"no")
    for name in ("x.truth.npz", "absent.npz"):
        with pytest.raises(InputError):
            read_truth(tmp_path / name)
