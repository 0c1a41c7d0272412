"""One member of a downloaded archive, unpacked without trusting what the archive says of itself."""

from __future__ import annotations

import stat
import zipfile
import zlib
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from checkpoints.fetch import FULL, FetchError

BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError)


def unpack(archive: Path, pattern: str, to: Path, limit: int) -> Path:
    """Write the one member whose name fits to `to`. No name in the archive decides where anything is written.

    Args:
        pattern: of the member's name, with * and ?.
        limit: bytes that it may have, counted while it is unpacked.

    Raises:
        FetchError: no such member or several, one that is no plain file, larger than `limit`, or damaged.
        OSError: it cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            member = _member(opened, pattern)
            with opened.open(member) as source, to.open("wb") as target:
                size = 0
                while block := source.read(1 << 20):
                    size += len(block)
                    if size > limit:
                        raise FetchError(f"{member.filename} in the archive is larger than {limit} bytes")
                    target.write(block)
    except FetchError:
        to.unlink(missing_ok=True)
        raise
    except BROKEN as error:
        to.unlink(missing_ok=True)
        if getattr(error, "errno", None) in FULL:
            raise
        raise FetchError(f"the archive cannot be unpacked: {error}") from error
    return to


def _member(opened: zipfile.ZipFile, pattern: str) -> zipfile.ZipInfo:
    fitting = [info for info in opened.infolist() if fnmatchcase(info.filename, pattern) and not info.is_dir()]
    if len(fitting) != 1:
        names = ", ".join(info.filename for info in (fitting or opened.infolist())[:3]) or "nothing"
        raise FetchError(f"the archive has {len(fitting)} members {pattern} where one is expected; it holds {names}")
    path, kind = PurePosixPath(fitting[0].filename), stat.S_IFMT(fitting[0].external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or "\\" in str(path) or kind not in (0, stat.S_IFREG):
        raise FetchError(f"{path} in the archive is no plain file in its place")
    return fitting[0]
