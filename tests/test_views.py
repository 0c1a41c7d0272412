"""Several cameras through the whole program: films and keypoint files in, one scene in metres out."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import people
import pytest
from views_on_disk import write

import pipeline
import videopose
from exporters import npz
from motion.bones import bone_lengths, stature
from multiview.rig import read_rig, write_rig
from pipeline.errors import InputError, NobodyError, UsageError
from pipeline.joining import _sized
from pipeline.options import Options
from pipeline.runner import Runner
from pipeline.skeletons import skeleton
from pipeline.view_cameras import Notes
from pipeline.views import copies
from studio.cameras import moving, shaken
from training.metrics import p_mpjpe

TIMES = np.arange(30) / 30
LIMBS = [f"{s}_{p}" for p in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for s in ("left", "right")]


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    return write(tmp_path_factory.mktemp("views"))


def run(disk, out, films=None, formats=(), **options):
    options = {"detector": "openpose", "keypoints": disk.keypoints, "sync": "none", "formats": formats} | options
    return Runner(Options(out=out, **options)).run_views(films or disk.films)


def errors_mm(scene, truth, similar=False):
    """(P,) of each person against the actor who is nearest: absolute, or after similarity alignment of each frame."""
    limbs, found = skeleton("h36m-23").index(*LIMBS), []
    for person in scene.people:
        joints, actors = person.joints[:, limbs], truth.joints[:, person.frames][:, :, limbs]
        if similar:
            found.append(min(1000 * p_mpjpe(joints, actor) for actor in actors))
        else:
            found.append(1000 * np.linalg.norm(actors - joints, axis=-1).mean((1, 2)).min())
    return found


def test_known_cameras_give_the_scene_in_their_world(disk, tmp_path):
    scene = run(disk, tmp_path, cameras=disk.rig, formats=("mp4", "npz", "csv"))
    assert len(scene.views) == 3 and len(scene.people) == 2
    assert max(errors_mm(scene, disk.truth)) < 25
    assert abs(scene.provenance["placement"]["rig_floor_m"]) < 0.05  # by the ankles: these files have no feet
    home = tmp_path / "cam01_views"
    stored = npz.read(home / "poses.npz")
    assert stored["view_names"].tolist() == ["cam_01", "cam_02", "cam_03"]
    assert stored["keypoints_px"].shape[:2] == (3, 2) and np.isfinite(stored["joints_world_m"][:, :, :17]).all()
    hands = list(stored["joint_names"]).index("left_hand"), list(stored["joint_names"]).index("right_hand")
    assert np.isnan(stored["joints_world_m"][:, :, hands]).all()  # OpenPose has none
    report = json.loads((home / "report.json").read_text())
    assert [view["name"] for view in report["views"]] == ["cam_01", "cam_02", "cam_03"]
    assert (home / "side_by_side.mp4").stat().st_size > 1000


def test_the_cameras_are_left_in_every_format(disk, tmp_path):
    scene = run(disk, tmp_path, cameras=disk.rig)
    for name in ("cameras.toml", "cameras.qca.txt", "easymocap"):
        again = read_rig(tmp_path / "cam01_views" / "cameras" / name)
        for one, view in zip(again, scene.views, strict=True):
            np.testing.assert_allclose(one.camera_to_world, view.camera.camera_to_world, atol=1e-5)


def test_unknown_cameras_are_found_from_the_people(disk, tmp_path):
    scene = run(disk, tmp_path)
    assert len(scene.people) == 2
    assert max(errors_mm(scene, disk.truth, similar=True)) < 40
    up = np.concatenate([person.joints[:, 10] - person.joints[:, 3] for person in scene.people])
    assert up[..., 2].mean() > 1.0  # heads are above feet
    ankles = np.concatenate([person.joints[:, [3, 6], 2] for person in scene.people])
    assert 0.0 < np.quantile(ankles, 0.1) < 0.15
    assert scene.provenance["placement"]["world"] == "above the first camera's floor"


def test_two_cameras_in_hands(tmp_path):
    paths = tuple(
        shaken(
            moving(lambda t, x=x, y=y: (x + 0.3 * np.sin(t), y, 1.5), lambda t: (0.1 * t, 0, 0.95), (480, 360), 52),
            0.01,
            n,
        )
        for n, (x, y) in enumerate([(0.5, -5.0), (4.8, 0.5)])
    )
    disk = write(tmp_path, cameras=2, paths=paths)
    scene = run(disk, tmp_path / "out", moving="all", formats=("npz",))
    assert max(errors_mm(scene, disk.truth, similar=True)) < 45
    stored = npz.read(tmp_path / "out" / "cam01_views" / "poses.npz")
    assert stored["camera_to_world"].shape == (2, len(disk.truth.times), 4, 4)
    assert not (tmp_path / "out" / "cam01_views" / "cameras").exists()
    assert "moving cameras" in scene.provenance["cameras_left_out"][0]


def test_late_cameras_are_brought_onto_one_clock(tmp_path):
    disk = write(tmp_path, duration=4.0, shifts=(0, 7, 3))
    scene = run(disk, tmp_path / "out", cameras=disk.rig, sync="auto")
    offsets = [view.camera.offset_s for view in scene.views]
    np.testing.assert_allclose(offsets, [0, 7 / 20, 3 / 20], atol=0.5 / 20)
    report = json.loads((tmp_path / "out" / "cam01_views" / "report.json").read_text())
    assert any("clocks' offsets" in text for text in report["cameras_left_out"])
    assert max(errors_mm(scene, disk.truth)) < 30


def test_a_second_run_does_nothing_again(disk, tmp_path):
    first = run(disk, tmp_path, cameras=disk.rig, formats=("npz",))
    again = run(disk, tmp_path, cameras=disk.rig, formats=("npz",))
    assert {"detect", "track", "lift", "join", "npz"} - {"detect"} <= set(again.provenance["reused_stages"])
    np.testing.assert_array_equal(first.people[0].joints, again.people[0].joints)
    for a, b in zip(first.views, again.views, strict=True):
        np.testing.assert_array_equal(a.camera.matrix, b.camera.matrix)
        assert a.camera.name == b.camera.name and a.camera.size == b.camera.size


def test_views_and_a_clip_alone_have_folders_of_their_own(disk, tmp_path):
    run(disk, tmp_path, cameras=disk.rig)
    one = {"detector": "openpose", "keypoints": disk.keypoints, "formats": ()}
    Runner(Options(out=tmp_path, **one)).run(disk.films[0])
    run(disk, tmp_path, cameras=disk.rig, name="hall")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cam01", "cam01_views", "hall"]


def test_one_person_only(disk, tmp_path):
    assert [p.id for p in run(disk, tmp_path, cameras=disk.rig, person="2").people] == [2]
    assert [p.id for p in run(disk, tmp_path, cameras=disk.rig, person="largest").people] == [1]
    with pytest.raises(UsageError, match="no person 9"):
        run(disk, tmp_path, cameras=disk.rig, person="9")


def test_a_view_without_people_is_told(disk, tmp_path):
    shutil.copytree(disk.keypoints, tmp_path / "keypoints")
    for file in (tmp_path / "keypoints" / "cam03_json").iterdir():
        file.write_text('{"version": 1.3, "people": []}')
    scene = run(disk, tmp_path / "out", cameras=disk.rig, keypoints=tmp_path / "keypoints")
    assert max(errors_mm(scene, disk.truth)) < 40
    assert any(text == "cam_03: sees nobody" for text in scene.provenance["warnings"])
    with pytest.raises(InputError, match="cannot be found from the people"):
        run(disk, tmp_path / "out", keypoints=tmp_path / "keypoints")


def test_nobody_in_any_view(disk, tmp_path):
    shutil.copytree(disk.keypoints, tmp_path / "keypoints")
    for file in (tmp_path / "keypoints").rglob("*.json"):
        file.write_text('{"version": 1.3, "people": []}')
    given = {"cameras": disk.rig, "keypoints": tmp_path / "keypoints", "sync": "auto"}
    scene = run(disk, tmp_path / "out", formats=("mp4", "npz"), **given)
    assert scene.people == [] and "nobody was found" in scene.provenance["warnings"]
    with pytest.raises(NobodyError):
        run(disk, tmp_path / "out", strict=True, **given)


def test_a_picture_that_freezes_is_left_out(disk, tmp_path):
    shutil.copytree(disk.keypoints, tmp_path / "keypoints")
    files = sorted((tmp_path / "keypoints" / "cam02_json").iterdir())
    for file in files[15:]:
        file.write_text(files[15].read_text())
    scene = run(disk, tmp_path / "out", cameras=disk.rig, keypoints=tmp_path / "keypoints")
    assert any(text.startswith("cam_02: the picture stands still") for text in scene.provenance["warnings"])
    assert max(errors_mm(scene, disk.truth)) < 30


def test_a_height_that_nobody_can_be_measured_by_is_told():
    whole = people.observe(people.walker(lambda t: np.stack([t, 4 + 0 * t], -1), TIMES)[0], people.look(), TIMES)[0]
    headless, notes = people.without(whole, ("head_top",)), Notes()
    _, motions = _sized([people.look()], [headless], False, 1.8, notes)
    assert motions == [headless] and "--height was not used" in notes.warnings[0]
    _, motions = _sized([people.look()], [people.without(whole, people.UNKNOWN["a leg"])], False, 1.8, Notes())
    _, all_known = _sized([people.look()], [whole], False, 1.8, Notes())
    known = np.isfinite(motions[0].joints)
    np.testing.assert_allclose(motions[0].joints[known], all_known[0].joints[known], rtol=1e-5)


def test_a_given_height_sizes_unknown_cameras(disk, tmp_path):
    one, other = (run(disk, tmp_path / str(h), height_m=h).people[0].joints for h in (1.6, 1.92))
    np.testing.assert_allclose(np.ptp(other[..., 2], axis=1), 1.2 * np.ptp(one[..., 2], axis=1), rtol=0.02)
    scene = run(disk, tmp_path / "known", cameras=disk.rig, height_m=2.6)
    assert any("are its units right" in text for text in scene.provenance["warnings"])


def test_the_report_says_where_the_scale_comes_from(disk, tmp_path):
    told = {}
    for name, options in (("rig", {"cameras": disk.rig}), ("mean", {}), ("given", {"height_m": 1.6})):
        run(disk, tmp_path, name=name, **options)
        told[name] = json.loads((tmp_path / name / "report.json").read_text())["placement"]
    assert [one["scale"] for one in told.values()] == ["as the rig has it", "mean stature", "height given for person 1"]
    tall, mean, given = (one["stature_m"] for one in told.values())
    assert set(tall) == set(mean) == set(given) == {"1", "2"}
    assert given["1"] == pytest.approx(1.6, abs=1e-3)
    for person in "12":
        assert given[person] / mean[person] == pytest.approx(given["1"] / mean["1"], rel=1e-3)
    body = skeleton("h36m-23")
    true = [stature(bone_lengths(actor, np.ones(actor.shape[:2]), body), body) for actor in disk.truth.joints]
    assert sorted(tall.values()) == pytest.approx(sorted(true), rel=0.05)


def test_in_python(disk, tmp_path):
    scene = pipeline.run_views(
        disk.films, out=tmp_path, cameras=str(disk.rig), detector="openpose", keypoints=disk.keypoints, sync="none",
        formats=(),
    )  # fmt: skip
    assert len(scene.views) == 3
    with pytest.raises(UsageError, match="several cameras"):
        pipeline.run(disk.films[0], out=tmp_path, cameras=disk.rig)


def test_exchanged_cameras_are_refused(disk, tmp_path):
    wrong = tmp_path / "wrong.toml"
    text = disk.rig.read_text().replace("cam_01", "cam_x").replace("cam_02", "cam_01").replace("cam_x", "cam_02")
    wrong.write_text(text)
    with pytest.raises(InputError, match=r"cam01.mp4 fits cam_02, not cam_01; cam02.mp4 fits cam_01, not cam_02"):
        run(disk, tmp_path / "out", cameras=wrong)


def test_a_rig_of_other_cameras_is_the_first_that_is_told(disk, tmp_path):
    cameras = read_rig(disk.rig)
    poses = [camera.camera_to_world.copy() for camera in cameras]
    for number, pose in enumerate(poses):
        pose[2, 3] += 1.5 * number
    other = [replace(camera, camera_to_world=pose) for camera, pose in zip(cameras, poses, strict=True)]
    write_rig(tmp_path / "other.toml", other, "pose2sim")
    warnings = run(disk, tmp_path / "out", cameras=tmp_path / "other.toml").provenance["warnings"]
    assert warnings[0].startswith("do not trust this scene: most of what cam_01, cam_02, cam_03 saw")


def test_a_rig_of_fewer_cameras_is_refused(disk, tmp_path):
    write_two = tmp_path / "two.toml"
    text = disk.rig.read_text().split("[cam_03]")[0]
    write_two.write_text(text)
    with pytest.raises(InputError):
        run(disk, tmp_path / "out", cameras=write_two)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--views"], "cam01.mp4 alone"),
        (["--cameras", "rig.toml"], "--cameras is of several cameras"),
        (["--sync", "none"], "--sync is of several cameras"),
        (["--moving", "all", "--name", "hall"], "--moving and --name are of several cameras"),
        (["--views", "--cameras", "rig.toml", "--moving", "all"], "--moving is of cameras that are unknown"),
        (["--views", "--sync", "sometimes"], "known: auto, none"),
        (["--views", "--name", "a/b"], "folder's name"),
    ],
)
def test_wrong_usage_is_explained(disk, arguments, text, capsys):
    with pytest.raises(SystemExit) as ended:
        videopose.main([str(disk.films[0]), *arguments])
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_the_command_line_runs_a_scene(disk, tmp_path, capsys):
    arguments = [
        *map(str, disk.films),
        "--views",
        "--cameras",
        str(disk.rig),
        "--sync",
        "none",
        "--detector",
        "openpose",
    ]
    arguments += ["--keypoints", str(disk.keypoints), "--out", str(tmp_path), "--formats", "npz", "--json", "-q"]
    with pytest.raises(SystemExit) as ended:
        videopose.main(arguments)
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told[0]["people"] == [1, 2] and told[0]["folder"] == str(tmp_path / "cam01_views")


def command(disk, out, *arguments):
    """What `--views` of the films with their rig prints; returns the exit code."""
    given = ["--cameras", disk.rig, "--sync", "none", "--detector", "openpose", "--keypoints", disk.keypoints]
    with pytest.raises(SystemExit) as ended:
        videopose.main([*map(str, [*arguments, "--views", *given, "--out", out, "--formats", "npz"])])
    return ended.value.code


def test_a_warning_begins_with_what_it_is_about(disk, tmp_path, capsys):
    shutil.copytree(disk.keypoints, tmp_path / "keypoints")
    for file in (tmp_path / "keypoints" / "cam03_json").iterdir():
        file.write_text('{"version": 1.3, "people": []}')
    blind = SimpleNamespace(**vars(disk) | {"keypoints": tmp_path / "keypoints"})
    assert command(blind, tmp_path / "out", *disk.films, "--name", "hall", "--height", "2.6") == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert "warning: cam_03: sees nobody" in told
    assert any(line.startswith("warning: hall: person 1 is") for line in told)


def test_the_folder_is_called_after_what_was_given(disk, tmp_path, capsys):
    folder = tmp_path / "recording"
    folder.mkdir()
    for film in disk.films:
        shutil.copy(film, folder)
    for arguments, name in (([folder], "recording"), ([folder, "--name", "hall"], "hall"), (disk.films, "cam01_views")):
        assert command(disk, tmp_path / "out", *arguments) == 0
        assert capsys.readouterr().out.startswith(f"{name}: 2 people in 3 views, 40 frames in ")
        assert (tmp_path / "out" / name / "poses.npz").exists()


def test_progress_names_the_view_and_the_step(disk, tmp_path, capsys):
    films = [disk.films[0], disk.films[1]]
    told = []
    options = Options(out=tmp_path, detector="openpose", keypoints=disk.keypoints, formats=())
    runner = Runner(options, lambda stage, done, total: told.append(stage))
    runner.run_views(films, tell=lambda *about: told.append(about))
    views = [told.index(("cam01.mp4", 1, 2)), told.index(("cam02.mp4", 2, 2)), told.index(("cam01_views", 1, 1))]
    assert views == sorted(views) and told[views[2] + 1 :] == ["clocks", "cameras", "people"]
    capsys.readouterr()
    assert command(disk, tmp_path / "again", *disk.films) == 0
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("2 of 3, cam02.mp4: ") for line in lines) and "joining people" in lines
    assert sum("openpose on" in line for line in lines) == 1


def test_the_same_video_twice(disk, tmp_path, capsys):
    (tmp_path / "again.mp4").symlink_to(disk.films[0])
    for films, text in (
        ([disk.films[0], disk.films[0]], f"{disk.films[0]} is given twice"),
        ([*disk.films, disk.films[1]], f"{disk.films[1]} is given twice"),
        ([*disk.films[:2], tmp_path / "again.mp4"], f"{tmp_path / 'again.mp4'} is given twice"),
    ):
        assert command(disk, tmp_path / "out", *films) == 2
        assert text in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_that_fails_leaves_no_empty_folder(disk, tmp_path):
    for file in shutil.copytree(disk.keypoints, tmp_path / "keypoints").rglob("*_000000000003_*"):
        file.write_text("{")
    with pytest.raises(InputError):
        run(disk, tmp_path / "new" / "out", cameras=disk.rig, keypoints=tmp_path / "keypoints")
    assert not (tmp_path / "new").exists()
    (tmp_path / "own").mkdir()
    with pytest.raises(InputError):
        run(disk, tmp_path / "own", cameras=disk.rig, keypoints=tmp_path / "keypoints")
    assert list((tmp_path / "own").iterdir()) == []


def test_copies_of_a_file_are_named():
    paths = [Path("a/cam1.mp4"), Path("a/cam2.mp4"), Path("b/copy.mp4")]
    assert copies(paths, ["x", "y", "x"]) == ["copy.mp4 is a copy of cam1.mp4: two views of one camera tell no depth"]
    assert copies(paths, ["x", "y", "z"]) == []
