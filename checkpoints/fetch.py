"""Downloads by https (or from a file address): resumed, watched for stalls, only from hosts that are named.

The part of a file that has come lies beside its place under another name, with a note of what the server said of the
whole. It is gone on with only if the server still has the same file. Proxies are those of `https_proxy` and `no_proxy`.
"""

from __future__ import annotations

import errno
import http.client
import json
import logging
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

log = logging.getLogger("videopose")
SCHEMES = ("https", "file")
LIMIT = 2 << 30  # bytes of a file whose size nobody knows
STALL_S = 30.0  # without a byte, or with fewer than SLOWEST a second, and a server is given up
SLOWEST = 2048
PAUSE_S = 1.0  # before a connection that broke is tried again
TRIES = 5  # of one address, while each brings something
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES)  # of the disk, not of the network


class FetchError(Exception):
    """One source failed; the store goes on to the next."""


class Broken(FetchError):
    """The connection ended early; what has come is kept."""


@dataclass(frozen=True)
class Wanted:
    """What is known of a download beforehand."""

    url: str
    hosts: Collection[str]  # that it may lead to; "*.name.org" is every host below name.org
    bytes: int = 0  # 0: not known
    hashed: bool = False  # its hash is known, so that a part need not be trusted


def download(wanted: Wanted, part: Path) -> bool:
    """Bring a file to `part`, going on where an earlier try broke off; a broken connection is taken up again.

    Returns whether it came in one piece.

    Raises:
        FetchError: refused, missing, too long, too slow, or broken again and again; a usable part is kept.
        OSError: it cannot be written.
    """
    _check(wanted.url, wanted.hosts)
    for left in reversed(range(TRIES)):
        before = _size(part)
        try:
            return _attempt(wanted, part)
        except Broken as error:
            if not left or _size(part) <= before:
                raise FetchError(f"{error}; the next try goes on from there" if _size(part) else str(error)) from error
            log.info("%s: going on", error)
            time.sleep(PAUSE_S)
    raise AssertionError


def forget(part: Path) -> None:
    """Remove a part and the note of it."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _attempt(wanted: Wanted, part: Path) -> bool:
    note = _usable(wanted, part)
    done = _size(part)
    if note.get("bytes") == done > 0:
        return False  # all of it came, and the program ended before it was looked at
    _announce(wanted, note.get("bytes") or wanted.bytes, done)
    try:
        with closing(_open(wanted, note, done)) as answer:
            if done and not _continues(answer, note, done):
                log.info("%s: the file is another one now, or cannot be had in parts: from the start", wanted.url)
                forget(part)
                if answer.status != 200:
                    return _attempt(wanted, part)
                done = 0
            total = _expected(wanted, answer, done)
            if not done:
                told = {"bytes": total, "etag": answer.headers.get("ETag"), "date": answer.headers.get("Last-Modified")}
                _note(part).write_text(json.dumps(told), encoding="utf-8")
            _save(wanted, answer, part, done, total)
    except urllib.error.HTTPError as error:
        if error.code == 416 and done:  # nothing lies behind what we have: it was another file
            forget(part)
            return _attempt(wanted, part)
        raise _failed(wanted.url, f"the server says {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        if getattr(error, "errno", None) in FULL:
            raise
        raise _reason(wanted.url, error) from error
    return not done


def _usable(wanted: Wanted, part: Path) -> dict[str, Any]:
    """What was noted of a part that may be gone on with; any other part is removed."""
    try:
        note = json.loads(_note(part).read_text(encoding="utf-8"))
        size = part.stat().st_size
        if size and (wanted.hashed or _mark(note)) and size <= (note["bytes"] or LIMIT):
            return note
    except (OSError, ValueError, TypeError, KeyError):
        pass
    forget(part)
    return {}


def _mark(note: dict[str, Any]) -> str:
    """What tells a server which version a part is of (RFC 9110, If-Range); empty where it gave nothing fit for that."""
    tag = note.get("etag") or ""
    return tag if tag and not tag.startswith("W/") else note.get("date") or ""


def _open(wanted: Wanted, note: dict[str, Any], done: int) -> Any:
    headers = {"User-Agent": "videopose"}
    if done:
        headers["Range"] = f"bytes={done}-"
        if mark := _mark(note):
            headers["If-Range"] = mark
    opener = urllib.request.build_opener(_NamedHosts(wanted.hosts))
    return opener.open(urllib.request.Request(wanted.url, headers=headers), timeout=STALL_S)


def _continues(answer: Any, note: dict[str, Any], done: int) -> bool:
    """Is the answer the rest of the very file that we have a part of?"""
    span = re.match(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if answer.status != 206 or not span or int(span[1]) != done:
        return False
    tag = answer.headers.get("ETag")
    return span[2] in ("*", str(note.get("bytes"))) and (not tag or not note.get("etag") or tag == note["etag"])


def _expected(wanted: Wanted, answer: Any, done: int) -> int | None:
    """Bytes of the whole file, as the server promises. Raises FetchError for what cannot be the file."""
    headers = answer.headers
    if headers.get_content_type() == "text/html":
        raise _failed(wanted.url, "a web page came in the place of the file")
    length = headers.get("Content-Length")
    total = done + int(length) if length and length.isdigit() else None
    if total == 0:
        raise _failed(wanted.url, "the file there is empty")
    if total is None and not wanted.hashed and headers.get("Transfer-Encoding", "").lower() != "chunked":
        raise _failed(wanted.url, "neither its length nor its hash is known, so nobody could tell whether it is whole")
    if total is not None and wanted.bytes and total != wanted.bytes:
        raise _failed(wanted.url, f"the file there has {total} bytes, its card says {wanted.bytes}")
    if total is not None and total > LIMIT:
        raise _failed(wanted.url, f"the file there has {total} bytes, more than the {LIMIT} that are allowed")
    return total


def _save(wanted: Wanted, answer: Any, part: Path, done: int, total: int | None) -> None:
    """Write an answer behind the first `done` bytes, watch its speed, and say every few seconds how far it is."""
    told = since = time.monotonic()
    came, limit = 0, wanted.bytes or LIMIT
    with part.open("ab" if done else "wb") as out:
        while block := answer.read1(1 << 18):
            done, came, now = done + len(block), came + len(block), time.monotonic()
            if done > limit:
                break
            out.write(block)
            if now - since > STALL_S:
                if came < SLOWEST * (now - since):
                    raise _failed(wanted.url, f"only {came} bytes in {now - since:.0f} s: too slow")
                came, since = 0, now
            if now - told > 5:
                told = now
                log.info("%s MB", f"{done / 1e6:.1f} of {total / 1e6:.1f}" if total else f"{done / 1e6:.1f}")
    if done > limit:
        forget(part)
        raise _failed(wanted.url, f"more than the {limit} bytes came that were expected")
    if total is not None and done < total:
        raise Broken(f"{wanted.url}: the connection broke off after {done} of {total} bytes")


def _announce(wanted: Wanted, size: int, done: int) -> None:
    facts = [f"{size / 1e6:.1f} MB"] if size else []
    facts += [f"{done / 1e6:.1f} MB are here"] if done else []
    facts += [f"through the proxy {proxy}"] if (proxy := _proxy(wanted.url)) else []
    log.info("fetching %s%s", wanted.url, f" ({', '.join(facts)})" if facts else "")


def _proxy(url: str) -> str:
    """Host and port of the proxy that a request goes through, without the password it may have; or nothing."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or not parts.hostname or urllib.request.proxy_bypass(parts.netloc):
        return ""
    return proxy.rpartition("@")[2].removeprefix("http://").removeprefix("https://").rstrip("/")


def _failed(url: str, why: str) -> FetchError:
    proxy = _proxy(url)
    return FetchError(f"{url}: {why}" + (f" (through the proxy {proxy})" if proxy else ""))


def _reason(url: str, error: Exception) -> FetchError:
    """What a person would say of an error of the network."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, FetchError):  # of a redirect
        return cause
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _failed(url, f"its certificate is not accepted: {cause.verify_message}")
    if isinstance(cause, TimeoutError):
        return _failed(url, f"nothing came for {STALL_S:g} s")
    if isinstance(cause, socket.gaierror):
        return _failed(url, "no such host, or no network")
    if isinstance(cause, ConnectionRefusedError):
        return _failed(url, "no server answers there")
    if isinstance(cause, (http.client.HTTPException, ConnectionError, ssl.SSLError)):
        return Broken(str(_failed(url, f"the connection broke off ({str(cause) or type(cause).__name__})")))
    return _failed(url, str(cause))


def _check(url: str, hosts: Collection[str]) -> None:
    """Raise FetchError for an address that may not be asked."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise FetchError(f"{url} is neither https nor file")
    if parts.scheme != "file" and not any(fnmatchcase(parts.hostname or "", host) for host in hosts):
        raise FetchError(f"{parts.hostname} is not a host that the card names")


class _NamedHosts(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to https addresses on hosts that the card names."""

    def __init__(self, hosts: Collection[str]) -> None:
        self.hosts = hosts

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urllib.parse.urlsplit(newurl).scheme != "https":
            raise urllib.error.URLError(FetchError(f"{req.full_url}: redirected to what is not https"))
        try:
            _check(newurl, self.hosts)
        except FetchError as error:
            raise urllib.error.URLError(FetchError(f"{req.full_url}: redirected, and {error}")) from error
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
