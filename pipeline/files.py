"""Files that are whole or absent: written under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import errno
import re
import secrets
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
    temporary = path.with_name(f".{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        why, hint = _DISK[error.errno]
        raise OutputError(f"cannot write {path}", why, hint) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


_DISK = {
    errno.ENOSPC: ("the disk is full", "free some space, or --out DIR on another disk"),
    errno.EDQUOT: ("the quota is used up", "free some space, or --out DIR on another disk"),
    errno.EFBIG: ("the file grew larger than allowed here", "--out DIR on another disk"),
    errno.EACCES: ("no permission to write there", "--out DIR names another place"),
    errno.EPERM: ("no permission to write there", "--out DIR names another place"),
    errno.EROFS: ("the disk can only be read", "--out DIR names another place"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "--out DIR names another place"),
    errno.EEXIST: ("a part of the path is a file, not a folder", "--out DIR names another place"),
    errno.EISDIR: ("a folder has that name", "remove it, or --out DIR names another place"),
    errno.ENAMETOOLONG: ("the name is too long", "a shorter file name"),
    errno.EIO: ("the disk reports an error", "--out DIR on another disk"),
}


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of processes that were killed while they wrote below `folder`."""
    for left in folder.rglob(".*.part*"):
        if is_leftover(left):
            left.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Does the file bear a name as `atomic` gives to temporary ones?"""
    return re.fullmatch(r"\.[0-9a-f]{8}\.part(\..*)?", path.name) is not None and path.is_file()
