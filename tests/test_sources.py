"""What the user typed leads to the right clips, and every clip to a folder of its own."""

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


def test_unfinished_lists_clips_without_report(tmp_path):
    touch(tmp_path, "a.mp4", "b.mov", "c.txt")
    sources.claim(tmp_path / "a", tmp_path / "a.mp4", "x")
    touch(tmp_path, "a/report.json")
    assert sources.unfinished(tmp_path) == [tmp_path / "b.mov"]
    assert sources.unfinished(tmp_path / "absent") == []


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
