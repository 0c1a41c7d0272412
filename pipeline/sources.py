"""From what the user typed to a list of clips, and from a clip to the folder of its results."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import InputError

VIDEOS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts", ".mts", ".flv"}
IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
OWNER = "cache/clip.json"


def expand(sources: Sequence[str]) -> list[Path]:
    """Clips named by files, folders and globs, in the order given; what a folder or glob gives is sorted naturally.

    A folder stands for the videos in it, or, where it holds only pictures, for the clip these make.

    Raises:
        InputError: a name that leads to nothing, or a folder without clips.
    """
    clips: list[Path] = []
    for source in sources:
        clips += _expand_one(source)
    return list(dict.fromkeys(clips))


def _expand_one(source: str) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        return _folder(path)
    if not path.exists() and glob.has_magic(source):
        found = sorted((Path(p) for p in glob.glob(source, recursive=True)), key=natural)  # noqa: PTH207
        files = [p for p in found if p.suffix.lower() in VIDEOS | IMAGES]
        if not files:
            raise InputError(f"no clip matches {source}", hint="quote the pattern, or name a folder")
        return files
    return [path]


def _folder(path: Path) -> list[Path]:
    files = sorted((p for p in path.iterdir() if p.is_file() and not p.name.startswith(".")), key=natural)
    if videos := [p for p in files if p.suffix.lower() in VIDEOS]:
        return videos
    if any(p.suffix.lower() in IMAGES for p in files):
        return [path]
    raise InputError(f"no clips in the folder {path}", f"looked for {' '.join(sorted(VIDEOS | IMAGES))}")


def unfinished(out: Path) -> list[Path]:
    """Clips that lie in `out` and have no finished result there yet."""
    if not out.is_dir():
        return []
    files = sorted((p for p in out.iterdir() if p.is_file() and p.suffix.lower() in VIDEOS | IMAGES), key=natural)
    return [path for path in files if not _finished(out, path)]


def _finished(out: Path, clip: Path) -> bool:
    homes = [out / clip.stem, *out.glob(f"{glob.escape(clip.stem)}-*")]
    return any((home / "report.json").is_file() and _owner(home).get("path") == str(clip.resolve()) for home in homes)


def result_folder(out: Path, clip: Path, digest: str) -> Path:
    """`out/<stem>`, or `out/<stem>-2` and so on where that folder belongs to another clip.

    A folder belongs to the clip whose path or content its cache/clip.json names.
    """
    stem = clip.name if clip.is_dir() else clip.stem
    number = 1
    while True:
        home = out / (stem if number == 1 else f"{stem}-{number}")
        owner = _owner(home)
        same = owner.get("path") == str(clip.resolve()) or owner.get("sha256") == digest
        if same or not home.exists() or (home.is_dir() and not any(home.iterdir())):
            return home
        number += 1


def _owner(home: Path) -> dict[str, str]:
    try:
        owner = json.loads((home / OWNER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def claim(home: Path, clip: Path, digest: str) -> None:
    """Write down which clip the folder belongs to. Raises OSError."""
    (home / OWNER).parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"path": str(clip.resolve()), "sha256": digest}, indent=1)
    (home / OWNER).write_text(text, encoding="utf-8")


def fingerprint(clip: Path) -> str:
    """sha256 of the clip's bytes; of names and bytes of its pictures when it is a folder."""
    digest = hashlib.sha256()
    files = sorted((p for p in clip.iterdir() if p.is_file()), key=natural) if clip.is_dir() else [clip]
    for path in files:
        if clip.is_dir():
            digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key under which frame 10 follows frame 9."""
    return [(0, int(word), "") if word.isdigit() else (1, 0, word) for word in re.split(r"(\d+)", str(path).lower())]
