"""report.json of several views: files, cameras, errors, who is seen by whom, and what speaks against a result."""

import json
from dataclasses import replace

import numpy as np
import people
import pytest
from filmed_views import ring, studio, unseen, views_scene, without

from pipeline.measures import bone_variation, reprojection_errors, sure
from pipeline.projection import project
from pipeline.report import quality, warnings, write_report
from pipeline.report_views import summary
from pipeline.skeletons import skeleton


@pytest.fixture(scope="module")
def scene():
    return views_scene(studio(duration=1.0, fps=12))


def measured(scene):
    scene = replace(scene, provenance={"placement": {"up": "feet"}})
    return replace(scene, quality=quality(scene))


def told(scene):
    return " / ".join(warnings(measured(scene)))


def changed(scene, number, **fields):
    """The scene with other fields of a view's camera, or other tracks."""
    view = scene.views[number]
    tracks = fields.pop("tracks", view.tracks)
    view = replace(view, camera=replace(view.camera, **fields), tracks=tracks)
    return replace(scene, views=(*scene.views[:number], view, *scene.views[number + 1 :]))


def test_a_true_scene_has_no_error_and_no_doubts(scene):
    for view in measured(scene).quality["views"]:
        assert view["reprojection_error_px"] < 0.01
        assert view["covers"] == 1
    for word in ("view", "bones", "does not fit", "below the floor"):
        assert word not in told(scene)


def test_the_report_tells_of_every_view(scene, tmp_path):
    write_report(measured(scene), tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert [view["name"] for view in report["views"]] == ["cam_1", "cam_2", "cam_3", "cam_4"]
    assert report["clip"]["path"] == report["views"][0]["path"] == "cam_1.mp4"
    for view, given in zip(report["views"], scene.views, strict=True):
        camera = view["camera"]
        rotation, place = np.array(camera["world_to_camera_rotation"]), np.array(camera["position_m"])
        np.testing.assert_allclose(rotation, given.camera.world_to_camera[:3, :3], atol=1e-6)
        np.testing.assert_allclose(-rotation @ place, given.camera.world_to_camera[:3, 3], atol=1e-4)
        np.testing.assert_allclose(camera["matrix"], given.camera.matrix)
        np.testing.assert_allclose(camera["distortion"], given.camera.distortion)
        assert (view["frames"], view["offset_s"], camera["moves"]) == (12, 0, False)
        assert set(view["reprojection_error_px_per_person"]) == {"1", "2"}
    assert list(report["quality"]) == ["people"]


def test_views_per_joint_count_what_was_seen_for_sure(scene):
    person = measured(scene).quality["people"][0]
    seen = np.sum([sure(scene.people[0], view.tracks[0]) for view in scene.views], axis=0)
    assert sum(person["views_per_joint"]) == pytest.approx(1, abs=1e-3)
    assert person["views_per_joint"][2] == pytest.approx((seen == 2).mean(), abs=1e-3)
    assert person["seen_by"] == ["cam_1", "cam_2", "cam_3", "cam_4"]


def test_fewer_views_and_more_noise_are_less_sure(scene):
    """And the reader is told in one line; of who is seen by one view alone nothing is claimed."""
    random, views = np.random.default_rng(0), []
    for view in scene.views:
        tracks = [replace(t, keypoints=t.keypoints + random.normal(0, 3, t.keypoints.shape)) for t in view.tracks]
        views.append(replace(view, tracks=tracks))
    four = replace(scene, views=tuple(views))
    two = replace(scene, views=tuple(views[:2]))
    sure, less, least = (
        [p["position_uncertainty_mm"] for p in measured(s).quality["people"]] for s in (scene, four, two)
    )
    assert max(sure) < 2 < min(less) and all(b > 1.3 * a for a, b in zip(less, least, strict=True))
    assert f"person 1 to about {less[0]:.0f} mm (4 views), on person 2" in summary(measured(four))
    joints = measured(two).quality["people"][0]["position_uncertainty_mm_per_joint"]
    assert np.mean(list(joints.values())) == pytest.approx(least[0], rel=0.1)
    alone = measured(without(without(without(four, 0), 1), 2))
    assert [p["position_uncertainty_mm"] for p in alone.quality["people"]] == [None, None] and summary(alone) == ""


def test_errors_are_those_of_the_distorted_picture(scene):
    """The lens bends the picture, which a pinhole would take for errors of the 3D."""
    motion, view = scene.people[1], scene.views[2]
    assert np.nanmax(reprojection_errors(motion, view.tracks[1], view.camera)) < 0.01
    straight = replace(view.camera, distortion=np.zeros(5))
    assert np.nanmax(reprojection_errors(motion, view.tracks[1], straight)) > 0.1


def test_errors_of_a_moving_camera_at_the_frames_of_both():
    scene = views_scene(studio(name="moving_camera", duration=1.0, fps=12))
    motion, view = scene.people[0], scene.views[0]
    assert view.camera.camera_to_world.shape == (12, 4, 4)
    track = view.tracks[0]
    late = replace(track, **{n: getattr(track, n)[4:] for n in ("frames", "keypoints", "scores", "observed", "boxes")})
    early = replace(motion, frames=motion.frames[:9], joints=motion.joints[:9], scores=motion.scores[:9])
    errors = reprojection_errors(early, late, view.camera)
    assert errors.shape[0] == 5
    assert np.nanmax(errors) < 0.01
    stopped = replace(view.camera, camera_to_world=view.camera.camera_to_world[0])
    assert np.nanmedian(reprojection_errors(early, late, stopped)) > 1
    assert measured(scene).quality["people"][0]["reprojection_error_px"] < 0.01


def test_a_view_that_sees_nobody_is_told(scene):
    text = told(without(scene, 0))
    assert "cam_1: sees nobody" in text
    assert text.count("sees nobody") == 1
    assert measured(without(scene, 0)).quality["people"][0]["seen_by"] == ["cam_2", "cam_3", "cam_4"]


def test_a_view_that_does_not_fit_is_told(scene):
    pose = scene.views[1].camera.camera_to_world.copy()
    pose[:3, 3] += [0.3, 0, 0]
    text = told(changed(scene, 1, camera_to_world=pose))
    assert "cam_2: does not fit the others" in text
    assert text.count("does not fit the others") == 1


def test_a_view_whose_picture_is_shifted_is_told_by_little(scene):
    """Two per cent of a person's height in one direction are no noise; as much in all directions is."""
    random = np.random.default_rng(0)
    tall = np.median(scene.views[1].tracks[0].boxes[:, 3] - scene.views[1].tracks[0].boxes[:, 1])

    def moved(by):
        tracks = [replace(t, keypoints=t.keypoints + by(t.keypoints.shape)) for t in scene.views[1].tracks]
        return changed(scene, 1, tracks=tracks)

    text = told(moved(lambda shape: np.array([0.02 * tall, 0], np.float32)))
    assert "cam_2: does not fit the others" in text and f"mostly to one side ({0.02 * tall:+.0f} px right" in text
    assert "does not fit" not in told(moved(lambda shape: random.normal(0, 0.015 * tall, shape)))


def test_who_is_seen_by_one_view_and_joints_of_too_few(scene):
    for number in (0, 1, 2):
        tracks = scene.views[number].tracks
        scene = changed(scene, number, tracks=[tracks[0], unseen(tracks[1])])
    text = told(scene)
    assert "person 2 is seen by cam_4 only: their size and distance are guessed" in text
    wrist = skeleton("blazepose-33").index("left_wrist")
    for number in (0, 1, 2):
        track = scene.views[number].tracks[0]
        scores = track.scores.copy()
        scores[:, wrist] = 0.1
        scene = changed(scene, number, tracks=[replace(track, scores=scores), scene.views[number].tracks[1]])
    assert "person 1: fewer than two views see the left wrist for sure most of the time" in told(scene)


def test_a_view_that_films_little_is_told(scene):
    assert "cam_3: films only 60% of the scene's time" in told(changed(scene, 2, offset_s=0.4))


def test_bones_that_change_their_length_are_told(scene):
    assert bone_variation(scene.people[0]) < 0.01
    swell = (1 + 0.3 * np.sin(np.arange(12)))[:, None, None].astype(np.float32)
    joints = scene.people[0].joints
    grown = replace(scene.people[0], joints=joints[:, :1] + swell * (joints - joints[:, :1]))
    assert bone_variation(grown) == pytest.approx(0.3 * np.std(np.sin(np.arange(12))), rel=0.05)
    assert "person 1: bones change their length" in told(replace(scene, people=[grown, scene.people[1]]))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unknown", [*people.UNKNOWN.values(), ("pelvis",), people.H36M.joints])
def test_joints_that_are_never_known_do_not_matter(scene, unknown, tmp_path):
    part = replace(scene, people=[people.without(scene.people[0], unknown), scene.people[1]])
    assert "bones" not in told(part) and "does not fit" not in told(part)
    if len(unknown) < 23:
        assert bone_variation(part.people[0]) == pytest.approx(bone_variation(scene.people[0]), abs=0.003)
    write_report(measured(part), tmp_path / "report.json")


@pytest.mark.parametrize("number", [0, 1])
def test_warnings_of_a_file_begin_with_its_view(scene, number):
    hurt = replace(scene.views[number].clip, warnings=("3 frames are damaged",))
    views = [replace(view, clip=hurt) if n == number else view for n, view in enumerate(scene.views)]
    text = told(replace(scene, clip=views[0].clip, views=tuple(views)))
    assert text.count("3 frames are damaged") == text.count(f"cam_{number + 1}: 3 frames are damaged") == 1


def test_nobody(scene):
    views = tuple(replace(view, tracks=[]) for view in scene.views)
    text = told(replace(scene, people=[], tracks=[], views=views))
    assert "nobody was found" in text and "sees nobody" not in text


def test_the_truth_of_the_tests_is_the_cameras(scene):
    """The builder's keypoints are the projections of its joints by the one camera model."""
    for view in views_scene(studio(ring(2), duration=0.2, fps=10)).views:
        knee, hip = (skeleton("blazepose-33").index(name)[0] for name in ("left_knee", "left_hip"))
        assert np.ptp(view.tracks[0].keypoints[:, [knee, hip], 1]) > 5
    motion, view = scene.people[0], scene.views[3]
    pixels, depth = project(view.camera, motion.joints)
    knee = skeleton("h36m-23").index("left_knee")[0], skeleton("blazepose-33").index("left_knee")[0]
    np.testing.assert_allclose(pixels[:, knee[0]], view.tracks[0].keypoints[:, knee[1]], atol=0.01)
    assert (depth > 1).all()
