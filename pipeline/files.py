"""Files and folders that are whole or absent: written under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import OutputError


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well.

    Whatever ends the block early, Ctrl-C included, leaves `path` as it was and removes the temporary file. The
    temporary name keeps the suffix, so that writers which look at it choose the same format. Missing parent folders
    are made.

    Raises:
        OutputError: no permission, no space, or the name is a folder.
    """
    path = Path(path)
    temporary = _beside(path)
    try:
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; rename it to `path` when the block ends well.

    Nothing may lie at `path` yet: what is there is not ours to replace.

    Raises:
        OutputError: something lies there, or as `atomic`.
    """
    path = Path(path)
    temporary = _beside(path)
    try:
        with _told(path):
            if os.path.lexists(path):
                raise FileExistsError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
            temporary.mkdir(parents=True)
            yield temporary
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove(path: Path) -> None:
    """Delete a file, or a folder that `atomic_folder` made: all at once, then piece by piece. Absent: nothing.

    Raises:
        OSError: it cannot be deleted.
    """
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    aside = _beside(path)
    path.replace(aside)
    shutil.rmtree(aside)


def _beside(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(4)}.part{path.suffix}")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Failures of the disk become errors for the user."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        why, hint = _DISK[error.errno]
        raise OutputError(f"cannot write {path}", why, hint) from error


_DISK = {
    errno.ENOSPC: ("the disk is full", "free some space, or --out DIR on another disk"),
    errno.EDQUOT: ("the quota is used up", "free some space, or --out DIR on another disk"),
    errno.EFBIG: ("the file grew larger than allowed here", "--out DIR on another disk"),
    errno.EACCES: ("no permission to write there", "--out DIR names another place"),
    errno.EPERM: ("no permission to write there", "--out DIR names another place"),
    errno.EROFS: ("the disk can only be read", "--out DIR names another place"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "--out DIR names another place"),
    errno.EEXIST: ("a part of the path is a file, not a folder", "--out DIR names another place"),
    errno.ENOTEMPTY: ("something that this program did not write lies there", "remove it, or --out DIR"),
    errno.EISDIR: ("a folder has that name", "remove it, or --out DIR names another place"),
    errno.ENAMETOOLONG: ("the name is too long", "a shorter file name"),
    errno.EIO: ("the disk reports an error", "--out DIR on another disk"),
}


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files and folders of processes that were killed while they wrote below `folder`."""
    for left in list(folder.rglob(".*.part*")):
        if is_leftover(left):
            remove(left)


def is_leftover(path: Path) -> bool:
    """Does the file or folder bear a name as `atomic` gives to temporary ones?"""
    return re.fullmatch(r"\.[0-9a-f]{8}\.part(\..*)?", path.name) is not None and path.exists()
