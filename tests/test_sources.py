"""What the user typed leads to the right clips, and every clip to a folder of its own."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import sources
from pipeline.errors import InputError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_files_folders_and_globs(tmp_path):
    touch(tmp_path, "b.mp4", "a/clip10.mov", "a/clip9.mov", "a/notes.txt", "pictures/1.png")
    found = sources.expand([str(tmp_path / name) for name in ("b.mp4", "a", "*.mp4", "pictures")])
    assert [str(p.relative_to(tmp_path)) for p in found] == ["b.mp4", "a/clip9.mov", "a/clip10.mov", "pictures"]


def test_a_file_that_does_not_exist_is_left_to_the_run(tmp_path):
    assert sources.expand([str(tmp_path / "gone.mp4")]) == [tmp_path / "gone.mp4"]


@pytest.mark.parametrize("source", ["empty", "*.mp4"])
def test_nothing_there_is_said(tmp_path, source):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no clip"):
        sources.expand([str(tmp_path / source)])


def test_two_clips_with_one_stem_get_two_folders(tmp_path):
    touch(tmp_path, "one/a.mp4", "two/a.mp4")
    out, homes = tmp_path / "out", []
    for clip in (tmp_path / "one/a.mp4", tmp_path / "two/a.mp4"):
        digest = sources.fingerprint(clip)
        homes.append(sources.result_folder(out, clip, digest))
        sources.claim(homes[-1], clip, digest)
    assert [h.name for h in homes] == ["a", "a-2"]
    again = sources.result_folder(out, tmp_path / "two/a.mp4", sources.fingerprint(tmp_path / "two/a.mp4"))
    assert again == homes[1]


def test_a_moved_clip_keeps_its_folder_and_a_strangers_folder_is_left_alone(tmp_path):
    touch(tmp_path, "a.mp4", "out/b/mine.txt")
    digest = sources.fingerprint(tmp_path / "a.mp4")
    sources.claim(tmp_path / "out" / "a", tmp_path / "a.mp4", digest)
    moved = tmp_path / "elsewhere" / "a.mp4"
    assert sources.result_folder(tmp_path / "out", moved, digest).name == "a"
    assert sources.result_folder(tmp_path / "out", tmp_path / "b.mp4", "0").name == "b-2"


def finish(home, clip, **more):
    """A home as a finished run leaves it."""
    size, changed = sources.stamp(clip)
    report = {"clip": {"path": str(clip)}, "clip_sha256": sources.fingerprint(clip), "clip_bytes": size}
    sources.claim(home, clip, report["clip_sha256"])
    (home / "report.json").write_text(json.dumps(report | {"clip_mtime_ns": changed} | more))


def test_unfinished_lists_clips_without_report(tmp_path):
    touch(tmp_path, "a.mp4", "b.mov", "c.txt", ".hidden.mp4", "._a.mp4", "pictures/1.png", "seen/1.png", "other/x.txt")
    finish(tmp_path / "a", tmp_path / "a.mp4")
    finish(tmp_path / "seen-2", tmp_path / "seen")
    touch(tmp_path, "a/frame.png")
    assert sources.unfinished(tmp_path) == [tmp_path / "b.mov", tmp_path / "pictures"]
    assert sources.unfinished(tmp_path / "absent") == []


def test_a_clip_replaced_by_another_is_new_and_a_touched_one_is_not(tmp_path):
    clip = tmp_path / "a.mp4"
    touch(tmp_path, "a.mp4")
    finish(tmp_path / "a", clip)
    assert sources.unfinished(tmp_path) == []
    os.utime(clip, ns=(1, 1))
    assert sources.unfinished(tmp_path) == []
    clip.write_bytes(b"other")
    assert sources.unfinished(tmp_path) == [clip]


def test_two_copies_are_both_finished(tmp_path):
    touch(tmp_path, "a.mp4")
    (tmp_path / "a.mov").write_bytes((tmp_path / "a.mp4").read_bytes())
    finish(tmp_path / "a", tmp_path / "a.mov")
    assert sources.unfinished(tmp_path) == []


def test_the_mark_outlives_the_cache_and_is_whole_or_absent(tmp_path):
    touch(tmp_path, "a.mp4")
    digest, home = sources.fingerprint(tmp_path / "a.mp4"), tmp_path / "out" / "a"
    finish(home, tmp_path / "a.mp4")
    assert not (home / "cache").exists()
    for damage in ("", "{", "[]", None):
        (home / sources.OWNER).unlink() if damage is None else (home / sources.OWNER).write_text(damage)
        assert sources.result_folder(tmp_path / "out", tmp_path / "a.mp4", digest) == home
        assert sources.result_folder(tmp_path / "out", tmp_path / "elsewhere" / "a.mp4", "0").name == "a-2"


@pytest.mark.parametrize("left", [(), ("cache/track-1.npz",), (".0123abcd.part.json",), (".clip.json",)])
def test_a_folder_without_results_is_free(tmp_path, left):
    (tmp_path / "out" / "a").mkdir(parents=True)
    touch(tmp_path / "out" / "a", *left)
    assert sources.result_folder(tmp_path / "out", tmp_path / "a.mp4", "0").name == "a"


def test_results_of_the_clip_before_are_removed(tmp_path):
    touch(tmp_path, "a.mp4", "out/a/side_by_side.mp4", "out/a/poses.npz", "out/a/mine.txt")
    home = tmp_path / "out" / "a"
    finish(home, tmp_path / "a.mp4")
    sources.claim(home, tmp_path / "a.mp4", sources.fingerprint(tmp_path / "a.mp4"))
    assert (home / "poses.npz").exists() and (home / "report.json").exists()
    sources.claim(home, tmp_path / "a.mp4", "another")
    assert sorted(p.name for p in home.iterdir()) == [".clip.json", "mine.txt"]


def test_a_folder_with_only_a_mark_is_given_back(tmp_path):
    home = tmp_path / "a"
    sources.claim(home, tmp_path / "a.mp4", "0")
    (home / "cache").mkdir()
    sources.release(home)
    assert not home.exists()
    sources.claim(home, tmp_path / "a.mp4", "0")
    touch(home, "cache/detect-1.npz")
    sources.release(home)
    assert (home / sources.OWNER).exists()


@pytest.mark.parametrize("name", [".", "..", "../walk"])
def test_a_folder_of_pictures_is_called_by_its_real_name(tmp_path, monkeypatch, name):
    touch(tmp_path, "walk/1.png", "walk/deeper/1.png")
    monkeypatch.chdir(tmp_path / "walk" / ("deeper" if name == ".." else ""))
    assert sources.result_folder(tmp_path / "out", Path(name), "0") == tmp_path / "out" / "walk"


def test_fingerprint_reads_only_pictures_and_says_what_cannot_be_read(tmp_path):
    touch(tmp_path, "f/1.png")
    first = sources.fingerprint(tmp_path / "f")
    touch(tmp_path, "f/notes.txt", "f/.hidden.png")
    assert sources.fingerprint(tmp_path / "f") == first
    for name in (sources.fingerprint, sources.stamp):
        with pytest.raises(InputError, match="cannot read"):
            name(tmp_path / "gone.mp4")


def test_fingerprint_sees_content_and_names_of_pictures(tmp_path):
    touch(tmp_path, "f/1.png", "f/2.png")
    first = sources.fingerprint(tmp_path / "f")
    (tmp_path / "f/2.png").rename(tmp_path / "f/3.png")
    assert sources.fingerprint(tmp_path / "f") != first


@given(st.lists(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), max_size=8))
def test_natural_order_is_total(words):
    ordered = sorted((Path(word) for word in words), key=sources.natural)
    assert sorted(map(str, ordered)) == sorted(words)


def test_natural_order_counts():
    assert sorted([Path("f10.png"), Path("f9.png")], key=sources.natural) == [Path("f9.png"), Path("f10.png")]


def test_pictures_beside_videos_are_left_out_and_told(tmp_path, caplog):
    for name in ("a.mp4", "b.jpg", "c.png"):
        (tmp_path / name).write_bytes(b"x")
    assert sources.expand([str(tmp_path)]) == [tmp_path / "a.mp4"]
    assert "2 pictures beside the videos are left out" in caplog.text
