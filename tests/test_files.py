"""Files that are whole or absent."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.errors import OutputError
from pipeline.files import atomic, atomic_folder, is_leftover, remove, remove_leftovers


def test_the_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".txt"
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), SystemExit(1), OSError(errno.ENOENT, "x")])
def test_failures_leave_nothing_and_pass_through(tmp_path, failure):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(failure)), atomic(path) as temporary:
        temporary.write_text("half")
        raise failure
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "word"), [(errno.ENOSPC, "full"), (errno.EACCES, "permission"), (errno.EROFS, "only be read")]
)
def test_the_disk_is_named(tmp_path, number, word):
    with pytest.raises(OutputError, match=word), atomic(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise OSError(number, os.strerror(number))
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "a").write_text("in the way")
    with pytest.raises(OutputError, match="folder"), atomic(tmp_path / "a" / "b.txt") as temporary:
        temporary.write_text("x")


def test_a_folder_of_that_name(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="folder"), atomic(tmp_path / "a") as temporary:
        temporary.write_text("x")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


# ---- folders --------------------------------------------------------------------------------------------------------


def test_a_folder_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a"
    with atomic_folder(path) as temporary:
        (temporary / "1.txt").write_text("x")
        assert not path.exists() and is_leftover(temporary)
    assert [p.name for p in tmp_path.rglob("*")] == ["new", "a", "1.txt"]


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), OSError(errno.ENOENT, "x")])
def test_failures_leave_no_folder(tmp_path, failure):
    with pytest.raises(type(failure)), atomic_folder(tmp_path / "a") as temporary:
        (temporary / "1.txt").write_text("x")
        raise failure
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_lies_there_already_is_kept(tmp_path, make):
    make(tmp_path / "a")
    with pytest.raises(OutputError, match="did not write"), atomic_folder(tmp_path / "a"):
        raise AssertionError
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_is_named_for_folders_too(tmp_path):
    with pytest.raises(OutputError, match="full"), atomic_folder(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "x")
    assert list(tmp_path.iterdir()) == []


def test_files_folders_and_links_are_removed_and_what_links_point_to_is_not(tmp_path):
    for name in ("folder/in/1.txt", "there/2.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    for name in ("folder", "link", "absent"):
        remove(tmp_path / name)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["2.txt", "there"]


def test_leftovers_of_both_kinds_go(tmp_path):
    (tmp_path / "b" / ".0123abcd.part" / "in").mkdir(parents=True)
    (tmp_path / "b" / ".0123abcd.part" / ".0123abcd.part.json").touch()
    (tmp_path / ".0123abce.part.txt").touch()
    (tmp_path / "mine.part").touch()
    remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["b", "mine.part"]
