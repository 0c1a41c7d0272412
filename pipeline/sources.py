"""From what the user typed to a list of clips, and from a clip to the folder of its results."""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.files import atomic, is_leftover, remove

log = logging.getLogger("videopose")
VIDEOS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts", ".mts", ".flv"}
IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
RESULTS = {
    "mp4": "side_by_side.mp4",
    "gif": "skeleton.gif",
    "npz": "poses.npz",
    "csv": "poses.csv",
    "alphapose": "alphapose-results.json",
    "openpose": "openpose",
    "coco": "keypoints-coco.json",
}
OF_VIEWS = {"alphapose": "alphapose", "coco": "coco"}  # of several cameras: folders
REPORT = "report.json"
OWNER = ".clip.json"  # not in cache/, which may be deleted at any time


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
        if left := [p for p in files if p.suffix.lower() in IMAGES]:
            log.warning("%s: %d pictures beside the videos are left out; name them to run them", path, len(left))
        return videos
    if any(p.suffix.lower() in IMAGES for p in files):
        return [path]
    raise InputError(f"no clips in the folder {path}", f"looked for {' '.join(sorted(VIDEOS | IMAGES))}")


def unfinished(out: Path) -> list[Path]:
    """Clips that lie in `out`, folders of pictures among them, and have no finished result there yet."""
    if not out.is_dir():
        return []
    found = sorted((p for p in out.iterdir() if not p.name.startswith(".") and _is_clip(p)), key=natural)
    return [path for path in found if not _finished(out, path)]


def _is_clip(path: Path) -> bool:
    if path.is_dir():
        return os.access(path, os.R_OK | os.X_OK) and not _owner(path) and any(pictures(path))
    return path.is_file() and path.suffix.lower() in VIDEOS | IMAGES


def pictures(folder: Path) -> list[Path]:
    """The pictures that lie in a folder, in natural order."""
    files = (p for p in folder.iterdir() if p.suffix.lower() in IMAGES and not p.name.startswith(".") and p.is_file())
    return sorted(files, key=natural)


def _finished(out: Path, clip: Path) -> bool:
    """Is there a whole result of this very file? The same name may have been given to another one since."""
    size, changed = stamp(clip)
    for home in (out / called(clip), *out.glob(f"{glob.escape(called(clip))}-*")):
        report = _read(home / REPORT)
        if not report or report.get("clip_bytes") != size:
            continue
        if _owner(home).get("path") == str(clip.resolve()) and report.get("clip_mtime_ns") == changed:
            return True
        if report.get("clip_sha256") == fingerprint(clip):  # touched or copied
            return True
    return False


def result_folder(out: Path, clip: Path, digest: str, others: Sequence[Path] = (), name: str | None = None) -> Path:
    """`out/<stem>`, or `out/<stem>-2` and so on where that folder belongs to another clip; of views `out/<stem>_views`.

    A folder belongs to the clip whose path or content its mark names, or, where that is gone, its report. One that
    holds neither these nor results is free.

    Args:
        others: the scene's further views; together with the first they are what the folder belongs to.
        name: of the folder, instead of these.
    """
    number, stem = 1, name or (f"{called(clip)}_views" if others else called(clip))
    while True:
        home = out / (stem if number == 1 else f"{stem}-{number}")
        owner = _owner(home)
        same = owner.get("path") == _path(clip, others) or owner.get("sha256") == digest
        if same or not home.exists() or (not owner and _is_free(home)):
            return home
        number += 1


def _path(clip: Path, others: Sequence[Path]) -> str:
    """What a mark names: no file can be called so where there are several."""
    return "\n".join(str(path.resolve()) for path in (clip, *others))


def called(clip: Path) -> str:
    """What a clip, or a folder of clips, is called in the names of results."""
    return (clip.resolve().name or "clip") if clip.is_dir() else clip.stem


def _is_free(home: Path) -> bool:
    """Nothing in it but stage files, a damaged mark, and what a killed process left."""
    return home.is_dir() and all(p.name in ("cache", OWNER) or is_leftover(p) for p in home.iterdir())


def _owner(home: Path) -> dict[str, Any]:
    """`path` and `sha256` of the clip that a folder belongs to; empty where nothing tells."""
    if owner := _read(home / OWNER):
        return owner
    report = _read(home / REPORT)
    if isinstance(clip := report.get("clip"), dict):
        return {"path": str(Path(str(clip.get("path"))).resolve()), "sha256": report.get("clip_sha256")}
    return {}


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def claim(home: Path, clip: Path, digest: str, others: Sequence[Path] = (), read: Path | None = None) -> None:
    """Write down which clip, or which views of a scene, the folder belongs to.

    Results of what the clip was before are removed.

    Args:
        read: what a run is told to read, which stays though it be such a result.

    Raises:
        OutputError: the folder cannot be written.
        OSError: it cannot be cleared.
    """
    if (before := _owner(home).get("sha256")) and before != digest:
        (home / REPORT).unlink(missing_ok=True)
        for format, path in results(home, views=bool(others)).items():
            if read is None or path.resolve() not in (read.resolve(), *read.resolve().parents):
                discard(home, format, path)
    mark = {"path": _path(clip, others), "sha256": digest, "made": [str(p) for p in home.parents if not p.exists()]}
    _mark(home, mark | {"folders": _folders(home)})


def _mark(home: Path, mark: dict[str, Any]) -> None:
    """Raises OutputError."""
    with atomic(home / OWNER) as temporary:
        temporary.write_text(json.dumps(mark, indent=1), encoding="utf-8")


def _folders(home: Path) -> list[str]:
    """Formats whose results are folders that runs made."""
    return list(_read(home / OWNER).get("folders", ()))


def own(home: Path, format: str) -> None:
    """Note that a run made the folder of that format, so that a later one may delete it. Raises OutputError."""
    _mark(home, _read(home / OWNER) | {"folders": sorted({*_folders(home), format})})


def results(home: Path, views: bool) -> dict[str, Path]:
    """Where each format lies, of one clip or of several views."""
    return {format: home / name for format, name in (RESULTS | (OF_VIEWS if views else {})).items()}


def discard(home: Path, format: str, path: Path) -> None:
    """Delete a result; a folder only where a run is known to have made it: somebody may keep files of his own there.

    Raises:
        OSError: it cannot be deleted.
        OutputError: that cannot be noted.
    """
    folders = _folders(home)
    if not path.is_dir() or format in folders:
        remove(path)
    if format in folders:
        _mark(home, _read(home / OWNER) | {"folders": [other for other in folders if other != format]})


def release(home: Path) -> None:
    """Give a folder back in which a failed run left nothing but its mark, and those above it that were made for it."""
    cache, above = home / "cache", _read(home / OWNER).get("made", [])
    with suppress(OSError):  # what cannot be removed may stay
        if cache.is_dir() and not any(cache.iterdir()):
            cache.rmdir()
        if [p.name for p in home.iterdir()] == [OWNER]:
            (home / OWNER).unlink()
            for folder in (home, *above):
                Path(folder).rmdir()


def stamp(clip: Path) -> tuple[int, int]:
    """Bytes and time of the last change (ns) of a clip, of a folder's pictures together. Raises InputError."""
    try:
        facts = [path.stat() for path in (pictures(clip) if clip.is_dir() else [clip])]
    except OSError as error:
        raise InputError(f"cannot read {clip}", str(error)) from error
    return sum(f.st_size for f in facts), max((f.st_mtime_ns for f in facts), default=0)


def fingerprint(clip: Path) -> str:
    """sha256 of the clip's bytes; of names and bytes of its pictures when it is a folder. Raises InputError."""
    digest = hashlib.sha256()
    try:
        for path in pictures(clip) if clip.is_dir() else [clip]:
            if clip.is_dir():
                digest.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise InputError(f"cannot read {clip}", str(error)) from error
    return digest.hexdigest()


def natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key under which frame 10 follows frame 9."""
    return [(0, int(word), "") if word.isdigit() else (1, 0, word) for word in re.split(r"(\d+)", str(path).lower())]
