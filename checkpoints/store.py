"""Find a weight file: already here, in this repository, in an installed package, in a pinned wheel, or on the net.

Every file is verified before it is used: by the size and sha256 of its card, else by those that were pinned when it
was seen first (`checkpoints.pins`). What does not verify is never used and never kept. Fetched files live in
`$VIDEOPOSE_CHECKPOINTS` or the user's cache folder; `VIDEOPOSE_OFFLINE=1` forbids fetching.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
from pathlib import Path
from typing import Any

from checkpoints import pins
from checkpoints.card import CARDS, Card, card
from pipeline.errors import MissingError

log = logging.getLogger("videopose")
ROOT = Path(__file__).parent.parent
FETCHED = ("wheel", "https")  # the kinds of sources that need a network
BEGINNINGS = {
    "onnx": (b"\x08",),
    "pt": (b"PK\x03\x04", b"\x80"),
    "pth": (b"PK\x03\x04", b"\x80"),
    "bin": (b"PK\x03\x04", b"\x80"),
    "task": (b"PK\x03\x04",),
}
"""Of each format's files; what is no such file is not pinned."""


def folder() -> Path:
    """Where fetched weights are kept."""
    if chosen := os.environ.get("VIDEOPOSE_CHECKPOINTS"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "videopose"


def find(name: str, cards: Path = CARDS) -> Path:
    """The verified local file of the weights called `name`, fetched if need be.

    Raises:
        UsageError: no such card.
        MissingError: no source gave the file; each source's reason is told.
    """
    wanted = card(name, cards)
    path, reasons = checked(wanted)
    if path:
        return path
    if may_fetch(wanted):
        from checkpoints.fetching import fetch

        path, failures = fetch(wanted, cards)
        if path:
            return path
        reasons += failures
    elif _fetchable(wanted):
        reasons.append("VIDEOPOSE_OFFLINE=1 forbids fetching")
    why = "; ".join(reasons) or "it is nowhere on this machine, and its card names no source that can be fetched"
    raise MissingError(f"weights {name} ({wanted.file}) are not to be had", why, how_to_get(wanted))


def local(name: str, cards: Path = CARDS) -> Path | None:
    """The verified file of the weights called `name` if it is on this machine; nothing is fetched.

    Raises:
        UsageError: no such card.
    """
    return checked(card(name, cards))[0]


def digest(name: str, cards: Path = CARDS) -> str:
    """The sha256 in force for the weights called `name`: its card's, else the pinned one of its file.

    A file that was never seen is fetched.

    Raises:
        UsageError, MissingError: as `find`.
    """
    wanted = card(name, cards)
    return known_hash(wanted) or sha256(find(name, cards))


def known_hash(of: Card) -> str:
    """The sha256 that the file must have, by its card or its pin; empty where nobody knows it yet."""
    return of.sha256 or pins.read(folder(), of.file)


def verify(path: Path, of: Card) -> str:
    """Empty when the file is what its card, or its pin, says; otherwise the reason why not."""
    size, known = path.stat().st_size, known_hash(of)
    if not size:
        return "the file is empty"
    if of.bytes and size != of.bytes:
        return f"the file has {size} bytes, its card says {of.bytes}"
    if not known and (begin := BEGINNINGS.get(of.format)):
        with path.open("rb") as file:
            if not file.read(4).startswith(begin):
                return f"the file does not begin as one of the format {of.format} does"
    found = sha256(path)
    if not found.startswith(of.sha256_begins):
        return f"the file has sha256 {found[:12]}..., its card says {of.sha256_begins}..."
    if of.sha256 and found != known:
        return f"the file has sha256 {found[:12]}..., its card says {known[:12]}..."
    if known and found != known:
        place = pins.place(folder(), of.file)
        return f"the file has sha256 {found[:12]}..., {known[:12]}... was pinned (to accept another, remove {place})"
    return ""


def checked(wanted: Card) -> tuple[Path | None, list[str]]:
    """The file on this machine that verifies, now pinned if its hash was not known, and why others did not."""
    reasons = []
    for path in places(wanted):
        if path.is_file():
            if not (reason := verify(path, wanted)):
                pin(path, wanted)
                return path, reasons
            reasons.append(f"{path}: {reason}")
            log.warning("%s: not used", reasons[-1])
    return None, reasons


def pin(path: Path, of: Card) -> None:
    """Keep the hash of a file that verified, if it was not known."""
    if not known_hash(of):
        pins.write(folder(), of.file, sha256(path))


def places(wanted: Card) -> list[Path]:
    """Where on this machine the file may be, in the order in which it is looked for."""
    paths = [folder() / wanted.file]
    for source in wanted.sources:
        if source["kind"] == "repository":
            paths.insert(0, ROOT / source["path"])
        if source["kind"] == "installed" and (spec := importlib.util.find_spec(source["package"])) and spec.origin:
            paths.append(Path(spec.origin).parent / source["path"])
    return paths


def may_fetch(wanted: Card) -> bool:
    """Does the card name a source that can be fetched, and is fetching allowed?"""
    return os.environ.get("VIDEOPOSE_OFFLINE") != "1" and bool(_fetchable(wanted))


def megabytes(wanted: Card) -> int:
    """What fetching the weights would transfer, from the card's first source that can be fetched; 0: not known."""
    source = next(iter(_fetchable(wanted)), {})
    return source.get("megabytes") or -(-(source.get("bytes") or wanted.bytes) // 1_000_000)


def how_to_get(wanted: Card) -> str:
    """One line: what a person can do to have the file."""
    for source in wanted.sources:
        if source["kind"] == "by_hand":
            return f"get {source['take']} at {source['page']} and put it at {folder() / wanted.file}"
        if source["kind"] == "https":
            it = f"{source['member']} of it" if "member" in source else "it"
            return f"download {source['url']} elsewhere and put {it} at {folder() / wanted.file}"
    return f"put the file at {folder() / wanted.file}, or set VIDEOPOSE_CHECKPOINTS to a folder that holds it"


def sha256(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    result = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            result.update(block)
    return result.hexdigest()


def _fetchable(wanted: Card) -> list[dict[str, Any]]:
    return [source for source in wanted.sources if source["kind"] in FETCHED]
