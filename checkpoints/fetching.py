"""From a card's sources to a verified file in the store: one process at a time, the next source where one fails."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from checkpoints import store
from checkpoints.archive import unpack
from checkpoints.card import Card, card, names
from checkpoints.fetch import LIMIT, FetchError, Wanted, download, forget
from checkpoints.lock import LockError, one_at_a_time
from checkpoints.wheel import from_wheel
from pipeline.errors import MissingError

log = logging.getLogger("videopose")


def fetch(wanted: Card, cards: Path) -> tuple[Path | None, list[str]]:
    """The verified file from the first source that gives it, and why the others did not.

    Raises:
        MissingError: the store's folder cannot be written.
    """
    home = store.folder()
    reasons: list[str] = []
    try:
        home.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(home / f".{_key(wanted)}.lock", f"fetching {wanted.file}") as waited:
            if waited and (path := store.checked(wanted)[0]):
                return path, []
            for source in wanted.sources:
                if source["kind"] not in store.FETCHED:
                    continue
                try:
                    return _from(source, wanted, cards, home), reasons
                except FetchError as error:
                    reasons.append(str(error))
                    log.warning("%s", error)
    except (OSError, LockError) as error:
        raise MissingError(f"cannot keep weights in {home}", str(error), "set VIDEOPOSE_CHECKPOINTS") from error
    return None, reasons


def _key(wanted: Card) -> str:
    """The files of one wheel come together, so they share a lock."""
    wheel = next((source for source in wanted.sources if source["kind"] == "wheel"), None)
    return f"wheel-{wheel['sha256'][:12]}" if wheel else wanted.file


def _from(source: dict[str, Any], wanted: Card, cards: Path, home: Path) -> Path:
    if source["kind"] == "https":
        return _from_https(source, wanted, home)
    together = _of_same_wheel(source, cards)
    mark = f".fetch-{source['sha256'][:12]}-"
    for left in home.glob(f"{mark}*"):  # of a process that was killed: the lock is ours now
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=mark) as scratch:
        paths = from_wheel(source, {file: member for file, (member, _) in together.items()}, Path(scratch))
        return _keep({file: (path, together[file][1]) for file, path in paths.items()}, home)[wanted.file]


def _of_same_wheel(source: dict[str, Any], cards: Path) -> dict[str, tuple[str, Card]]:
    """File -> its member of the wheel and its card, for every card that takes something from that wheel."""
    given = [card(name, cards) for name in names(cards)]
    wheels = [(of, other) for of in given for other in of.sources if other["kind"] == "wheel"]
    return {of.file: (other["member"], of) for of, other in wheels if other["sha256"] == source["sha256"]}


def _from_https(source: dict[str, Any], wanted: Card, home: Path) -> Path:
    """Pieces that do not make the right file are thrown away, and it is fetched from its start once more."""
    archived = "member" in source
    part = home / f".{wanted.file}.{hashlib.sha256(source['url'].encode()).hexdigest()[:8]}.part"
    size = source.get("bytes", 0) if archived else wanted.bytes
    known = source.get("sha256", "") if archived else store.known_hash(wanted)
    for again in (True, False):
        at_once = False
        try:
            at_once = download(Wanted(source["url"], _hosts(wanted), size, bool(known)), part)
            fetched = _unpacked(part, source, wanted) if archived else part
            kept = _keep({wanted.file: (fetched, wanted)}, home)[wanted.file]
        except _Wrong as error:
            forget(part)
            if at_once or not again:
                raise FetchError(f"{source['url']}: {error}") from error
            log.info("%s: its pieces are of different files: from the start", source["url"])
            continue
        for left in home.glob(f".{wanted.file}.*.part*"):  # of other sources, too
            left.unlink(missing_ok=True)
        return kept
    raise AssertionError


class _Wrong(FetchError):
    """What came is whole, and it is not the file."""


def _unpacked(part: Path, source: dict[str, Any], wanted: Card) -> Path:
    digest = store.sha256(part)
    if digest != source.get("sha256", digest):
        raise _Wrong(f"the archive has sha256 {digest[:12]}..., its card says {source['sha256'][:12]}...")
    try:
        return unpack(part, source["member"], part.with_suffix(".unpacked.part"), wanted.bytes or LIMIT)
    except FetchError as error:
        raise _Wrong(str(error)) from error


def _hosts(wanted: Card) -> set[str]:
    """All hosts that the card names, by its addresses or as those that an address leads to."""
    web = [source for source in wanted.sources if source["kind"] == "https"]
    return {urlsplit(source["url"]).hostname or "" for source in web} | {h for s in web for h in s.get("hosts", ())}


def _keep(fetched: dict[str, tuple[Path, Card]], home: Path) -> dict[str, Path]:
    """Move what was fetched to its place if all of it verifies; delete it otherwise. Raises FetchError."""
    for path, of in fetched.values():
        if reason := store.verify(path, of):
            path.unlink()
            raise _Wrong(reason.replace("the file", of.file, 1))
    for path, of in fetched.values():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        store.pin(path, of)
    return {file: path.replace(home / file) for file, (path, _) in fetched.items()}
