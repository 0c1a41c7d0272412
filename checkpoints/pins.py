"""Hashes that nobody told beforehand: taken at the first sight of a file, written beside it, in force ever after.

A pin is `<file>.sha256` in the store's folder, in the form that `sha256sum --check` reads; it travels with the file.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from pipeline.errors import OutputError
from pipeline.files import atomic

log = logging.getLogger("videopose")


def place(home: Path, file: str) -> Path:
    """Where the pin of a file lies."""
    return home / f"{file}.sha256"


def read(home: Path, file: str) -> str:
    """The pinned sha256 of a file; empty where there is none, or where the pin is no pin."""
    path = place(home, file)
    try:
        found = re.match(r"([0-9a-f]{64})\s", path.read_text(encoding="ascii", errors="replace"))
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if not found:
        log.warning("%s is no pin: not used", path)
    return found[1] if found else ""


def write(home: Path, file: str, digest: str) -> None:
    """Pin a file, and tell so. Where the folder cannot be written, that is told instead."""
    try:
        with atomic(place(home, file)) as temporary:
            temporary.write_text(f"{digest}  {file}\n", encoding="ascii")
    except (OutputError, OSError) as error:
        log.warning("the hash of %s is not known beforehand and cannot be pinned: %s", file, error)
        return
    log.warning("the hash of %s was not known beforehand; pinned now: sha256 %s", file, digest)
