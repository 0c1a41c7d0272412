"""Runs that write their 2D for other programs, and runs that read it again: the same people, nothing lost."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commandline import call

from exporters.npz import read
from pipeline.errors import InputError, OutputError, UsageError
from pipeline.options import Options
from pipeline.runner import Runner
from pipeline.skeletons import skeleton

SAMPLE = Path(__file__).parent.parent / "outputs" / "sample.mp4"
FORMATS = {"alphapose": "alphapose-results.json", "openpose": "openpose", "coco": "keypoints-coco.json"}


def run(clip, out, **options):
    return Runner(Options(out=out, **{"formats": ()} | options)).run(clip)


def coco(tracks):
    """By id: frames, and of COCO's joints, which all have, points and scores."""
    joints = skeleton("coco-17").joints
    parts = {t.id: skeleton(t.skeleton).index(*joints) for t in tracks}
    return {t.id: (t.frames, t.keypoints[:, parts[t.id]], t.scores[:, parts[t.id]]) for t in tracks}


def assert_same_tracks(one, other):
    assert one.keys() == other.keys()
    for person, values in one.items():
        for a, b in zip(values, other[person], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def first(clip, tmp_path_factory):
    """A run of the default detector, which writes everything."""
    out = tmp_path_factory.mktemp("first")
    return run(clip, out, formats=("npz", *FORMATS)), out / clip.stem


@pytest.mark.parametrize("detector", ["alphapose", "openpose", "coco", "npz"])
def test_a_run_from_its_own_files_gives_the_same_people(clip, first, tmp_path, detector):
    scene, home = first
    path = home / FORMATS.get(detector, "poses.npz")
    again = run(clip, tmp_path, detector=detector, keypoints=path)
    assert scene.people and len(again.people) == len(scene.people)
    assert_same_tracks(coco(scene.tracks), coco(again.tracks))
    assert again.tracks[0].skeleton == {"openpose": "body-25", "npz": "blazepose-33"}.get(detector, "coco-17")


def test_people_of_every_id_can_be_chosen(clip, first, tmp_path):
    """Files count from 0, too, and `given` keeps their ids."""
    people = json.loads((first[1] / FORMATS["alphapose"]).read_text())
    for number in (0, 2**31 - 1):
        (tmp_path / "a.json").write_text(json.dumps([person | {"idx": number} for person in people]))
        given = {"detector": "alphapose", "keypoints": tmp_path / "a.json", "tracker": "given"}
        assert [track.id for track in run(clip, tmp_path, **given, person=str(number)).tracks] == [number]


def test_its_folder_can_be_named_and_so_can_the_folder_of_all(clip, first, tmp_path):
    for place in (first[1], first[1].parent):
        again = run(clip, tmp_path, detector="alphapose", keypoints=place)
        assert_same_tracks(coco(first[0].tracks), coco(again.tracks))


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["alphapose", "openpose", "coco"])
def test_the_sample_from_its_own_files(tmp_path, capsys, detector):
    """Two people, 156 frames, by the command line; the second run in the folder of the first."""
    out = tmp_path / "out"
    assert call(capsys, SAMPLE, "--out", out, "--formats", f"npz,{detector}")[0] == 0
    before = read(out / "sample" / "poses.npz")
    path = out / "sample" / FORMATS[detector]
    given = ["--detector", detector, "--keypoints", path, "--out", out, "--formats", "npz"]
    code, stdout, stderr = call(capsys, SAMPLE, *given)
    assert code == 0 and "2 people, 156 frames" in stdout, stderr
    after = read(out / "sample" / "poses.npz")
    assert path.exists() and str(after["keypoint_names"]) != str(before["keypoint_names"])
    for column in ("keypoints_px", "keypoint_scores"):
        columns = []
        for poses in (before, after):
            names = poses["keypoint_names"].tolist()
            columns.append(poses[column][:, :, [names.index(name) for name in skeleton("coco-17").joints]])
        np.testing.assert_array_equal(*columns)
    assert after["person_ids"].tolist() == before["person_ids"].tolist()
    apart = np.linalg.norm(after["joints_camera_m"] - before["joints_camera_m"], axis=-1)[:, :, :17]
    assert np.nanmedian(apart) < 0.3  # what the lifter makes of fewer joints


# ---- what lies in a result folder -----------------------------------------------------------------------------------


def names(home):
    return sorted(p.name for p in home.iterdir() if not p.name.startswith(".") and p.name != "cache")


@pytest.fixture(scope="module")
def given(first, tmp_path_factory):
    """Options that need no network: the people of the first run."""
    folder = tmp_path_factory.mktemp("given") / "openpose"
    shutil.copytree(first[1] / "openpose", folder)
    return {"detector": "openpose", "keypoints": folder}


def test_what_other_options_replace_is_removed(clip, given, tmp_path):
    home = tmp_path / "walk"
    run(clip, tmp_path, **given, formats=tuple(FORMATS))
    everything = sorted([*FORMATS.values(), "report.json"])
    assert names(home) == everything
    again = run(clip, tmp_path, **given, formats=("openpose",))
    assert names(home) == everything and "openpose" in again.provenance["reused_stages"]
    run(clip, tmp_path, **given, formats=("coco",), fov_deg=50)
    assert names(home) == ["keypoints-coco.json", "report.json"]


def test_a_folder_of_an_earlier_run_is_known_without_the_cache(clip, given, tmp_path):
    home = tmp_path / "walk"
    for formats, left in ((("openpose",), ["openpose"]), (("openpose",), ["openpose"]), (("csv",), ["poses.csv"])):
        run(clip, tmp_path, **given, formats=formats)
        assert names(home) == [*left, "report.json"]
        shutil.rmtree(home / "cache")
    (home / "openpose").mkdir()
    run(clip, tmp_path, **given, formats=("csv",))
    assert (home / "openpose").is_dir()  # which nobody here made


def test_somebody_elses_folder_stays(clip, given, tmp_path):
    mine = tmp_path / "walk" / "openpose" / "mine.json"
    run(clip, tmp_path, **given)
    mine.parent.mkdir()
    mine.touch()
    run(clip, tmp_path, **given, fov_deg=50)
    assert mine.exists()
    with pytest.raises(OutputError, match="openpose"):
        run(clip, tmp_path, **given, fov_deg=50, formats=("openpose",))
    assert mine.exists() and not list(mine.parent.parent.glob(".*.part"))


def test_a_clip_that_changed_loses_its_old_files(clip, given, tmp_path):
    from clips import write as write_video

    path = tmp_path / "a.mp4"
    path.write_bytes(clip.read_bytes())
    run(path, tmp_path / "out", **given, formats=tuple(FORMATS))
    write_video(path, count=12, size=(320, 240))
    run(path, tmp_path / "out", **given, formats=("coco",))
    assert names(tmp_path / "out" / "a") == ["keypoints-coco.json", "report.json"]


@pytest.mark.parametrize("detector", ["alphapose", "openpose"])
def test_what_is_read_outlives_a_change_of_the_clip(clip, given, tmp_path, detector):
    path = tmp_path / "a.mp4"
    path.write_bytes(clip.read_bytes())
    run(path, tmp_path / "out", **given, formats=("alphapose", "openpose", "csv"))
    path.write_bytes(clip.read_bytes() + b"\0\0\0\x08free")
    keypoints = tmp_path / "out" / "a" / FORMATS[detector]
    assert run(path, tmp_path / "out", detector=detector, keypoints=keypoints).people
    assert names(tmp_path / "out" / "a") == sorted([FORMATS[detector], "report.json"])


def test_the_file_that_is_read_is_neither_removed_nor_replaced(clip, given, tmp_path):
    run(clip, tmp_path, **given, formats=("npz", "alphapose", "openpose"))
    home = tmp_path / "walk"
    before = {path: path.read_bytes() for path in home.rglob("*_keypoints.json")}
    run(clip, tmp_path, detector="openpose", keypoints=home / "openpose", formats=("csv",), fov_deg=50)
    assert names(home) == ["openpose", "poses.csv", "report.json"]
    assert {path: path.read_bytes() for path in home.rglob("*_keypoints.json")} == before
    run(clip, tmp_path, detector="openpose", keypoints=home / "openpose", formats=("npz", "alphapose"))
    for detector, path in (("openpose", home / "openpose"), ("npz", home), ("npz", tmp_path)):
        with pytest.raises(UsageError, match="would replace"):
            run(clip, tmp_path, detector=detector, keypoints=path, formats=("mp4", detector))
    assert "report.json" in names(home)


def test_a_run_that_cannot_read_leaves_no_folder(clip, tmp_path):
    with pytest.raises(InputError, match=r"none\.npz"):
        run(clip, tmp_path / "out", detector="npz", keypoints=tmp_path / "none.npz")
    assert not (tmp_path / "out").exists()


# ---- several views --------------------------------------------------------------------------------------------------


def test_several_views_write_and_read_a_file_each(tmp_path):
    import views_on_disk

    disk = views_on_disk.write(tmp_path, cameras=2, duration=1.0)
    common = {"cameras": disk.rig, "sync": "none", "out": tmp_path / "out"}
    options = Options(detector="openpose", keypoints=disk.keypoints, formats=tuple(FORMATS), **common)
    scene = Runner(options).run_views(disk.films)
    home = tmp_path / "out" / "cam01_views"
    assert names(home) == ["alphapose", "cameras", "coco", "openpose", "report.json"]
    assert sorted(p.name for p in (home / "alphapose").iterdir()) == ["cam01.json", "cam02.json"]
    options = Options(detector="openpose", keypoints=home / "openpose", formats=(), name="again", **common)
    again = Runner(options).run_views(disk.films)
    assert len(scene.people) == len(again.people) > 0
    for view, other in zip(scene.views, again.views, strict=True):
        assert view.tracks[0].skeleton == other.tracks[0].skeleton == "coco-18"
        assert_same_tracks(coco(view.tracks), coco(other.tracks))
    for detector in ("alphapose", "coco"):
        read_back = json.loads((home / detector / "cam02.json").read_text())
        assert {entry.get("idx", entry.get("track_id")) for entry in read_back} == {m.id for m in scene.people}
        options = Options(detector=detector, keypoints=home / detector, formats=(), name=detector, **common)
        assert len(Runner(options).run_views(disk.films).people) == len(scene.people)
