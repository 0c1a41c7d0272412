"""One process at a time: a lock that the system lets go when its holder ends, however it ends."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("videopose")
POLL_S = 0.1


class LockError(Exception):
    """The folder's file system knows no locks."""


@contextmanager
def one_at_a_time(path: Path, what: str) -> Iterator[bool]:
    """Hold the lock file at `path`; True is yielded when another process had it before.

    The file that a killed process leaves behind holds nobody up: the lock is on the open file, not its being there.

    Args:
        what: is being done, told while waiting.

    Raises:
        LockError: the file system knows no locks.
        OSError: the file cannot be made.
    """
    waited = False
    while (handle := _try(path)) is None:
        if not waited:
            log.info("another process is %s: waiting for it", what)
        waited = True
        time.sleep(POLL_S)
    try:
        yield waited
    finally:
        with suppress(OSError):  # Windows removes no open file
            path.unlink(missing_ok=True)
        os.close(handle)


def _try(path: Path) -> int | None:
    """The locked file; None when it is another's, or was removed by its holder meanwhile."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(handle)
        if os.fstat(handle).st_ino == path.stat().st_ino:
            return handle
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            os.close(handle)
            raise LockError(f"{path.parent} knows no locks: {error.strerror}") from error
    os.close(handle)
    return None


def _lock(handle: int) -> None:
    """Take the lock or raise OSError at once."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
