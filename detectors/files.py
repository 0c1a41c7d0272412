"""What detectors share that run no network but read what other programs found: one file, or one folder, per clip."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from detectors.json_files import content
from detectors.plausible import check_places, check_told, layout_of
from detectors.sightings import Sightings, as_detections
from pipeline.errors import InputError, UsageError
from pipeline.results import Array, Detections
from pipeline.skeletons import skeleton


class FileDetector(ABC):
    """Everybody whom another program saw in a clip, as its files tell.

    Args:
        keypoints: the file or folder of one clip, or a folder of such files or folders called like the clips.
        model: the skeleton whose order the joints are in; None: judged by their number and places.

    Attributes:
        skeleton: of the last clip.

    Raises:
        UsageError: files of this kind have no such skeleton.
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    device: ClassVar[str]
    skeleton: str
    own: ClassVar[str]  # how the program calls what it writes
    ending: ClassVar[str] = ".json"
    per_frame: ClassVar[bool] = False  # a folder of such files is one clip's
    layouts: ClassVar[tuple[str, ...]]  # skeletons; the first is that of files without people
    pixels = "the keypoints of this very video, in its pixels"
    least = 1  # joints; people of whom fewer are seen are nobody, if they have no id
    hint: ClassVar[str]

    def __init__(self, keypoints: Path, model: str | None = None) -> None:
        if model not in (None, *self.layouts):
            raise UsageError(f"--detector {self.name} has no --model {model}", f"known: {', '.join(self.layouts)}")
        self._path, self._model = Path(keypoints), model
        self._clip: Path | None = None  # the one whose keypoints `keypoints` itself is

    @classmethod
    def uses(cls, **choices: Any) -> tuple[str, ...]:
        """No weights."""
        return ()

    def digest(self, clip: Path) -> str:
        """A hash of the names and contents of the clip's files.

        Raises:
            InputError: files that are missing, or of another clip: also where a cache keeps `detect` from being asked.
        """
        digest = hashlib.sha256(str(self._model).encode())
        for file in self.files(self.place(Path(clip))):
            digest.update(f"{file.name} ".encode())
            digest.update(content(file))
        return digest.hexdigest()

    def detect(self, clip: Any, progress: Callable[[int], None] | None = None) -> list[Detections]:
        """One `Detections` per frame of the clip (what `pipeline.clip.open_clip` gives), empty where nothing is told.

        Raises:
            InputError: files that are missing, damaged, or of another clip.
        """
        info = clip.info
        place = self.place(Path(info.path))
        seen = self.read(place)
        enough = (seen.joints[..., 2] > 0).sum(axis=-1) >= np.where(seen.ids >= 0, 1, self.least)
        seen = seen.only(enough)
        check_told(seen, info, place)
        check_places(seen.joints, (info.width, info.height), place, self.pixels)
        self.skeleton = self._skeleton_of(seen, place)
        found = as_detections(seen, self.skeleton, info, place)
        if progress is not None:
            progress(len(found))
        return found

    @abstractmethod
    def read(self, place: Path) -> Sightings:
        """Everybody in the files of one clip. Raises InputError."""

    def files(self, place: Path) -> list[Path]:
        """Of one clip. Raises InputError."""
        found = [place] if place.is_file() else []
        if not found and self.per_frame and place.is_dir():
            found = self._lying(place)
        if not found:
            several = f"no {self.own} in it, nor one {self.ending} file alone"
            why = (f"no {self.ending} files in it" if self.per_frame else several) if place.is_dir() else "no such file"
            raise InputError(f"cannot read keypoints from {place}", why, self.hint)
        return found

    def place(self, clip: Path) -> Path:
        """The file or folder of a clip. Raises InputError."""
        name = clip.name if clip.is_dir() else clip.stem
        place, of_one = self.place_of(self._path, name)
        if of_one:
            if self._clip not in (None, clip.absolute()):
                what = "a folder of folders" if self.per_frame else "a folder of files"
                text = f"{place} holds the keypoints of one clip, and there are several"
                why = f"read for {self._clip.name}, and {clip.name} is another"
                raise InputError(text, why, f"{what} called like the clips")
            self._clip = clip.absolute()
        return place

    @classmethod
    def place_of(cls, path: Path, clip: str) -> tuple[Path, bool]:
        """Where the files of a clip are, and whether `path` is of one clip alone.

        Args:
            path: of one clip, or a folder where something has the clip's name or begins with it; behind it come no
                numbers: walk_2 is another clip's.
            clip: the clip's name without its ending.

        Raises:
            InputError: there is nothing, or there are several.
        """
        if path.is_file():
            return path, True
        if (place := cls._inside(path)) is not None:
            return place, True
        inside = sorted(path.iterdir()) if path.is_dir() else []
        called = {p: p.name if p.is_dir() else p.stem for p in inside if p.is_dir() or cls._is_file(p)}
        for fits in (
            [p for p, name in called.items() if name == clip],
            [p for p, name in called.items() if re.fullmatch(re.escape(clip) + r"([^0-9A-Za-z]\D*)?", name)],
        ):
            if len(fits) == 1:
                return cls._within(fits[0]), False
            if fits:
                names = ", ".join(p.name for p in fits[:4])
                raise InputError(f"several keypoints of {clip} in {path}", names, "name one of them")
        kinds = "folder" if cls.per_frame else "file or folder"
        nothing = f"neither {cls.own} nor a {kinds} called {clip} or {clip}_... is in it"
        why = nothing if path.is_dir() else "it does not exist"
        raise InputError(f"no keypoints of {clip} in {path}", why, cls.hint)

    @classmethod
    def _is_file(cls, path: Path) -> bool:
        return path.suffix.lower() == cls.ending and not cls.per_frame

    @classmethod
    def _lying(cls, folder: Path) -> list[Path]:
        """The files of this kind in a folder, hidden ones aside: marks of runs, and what file systems add to copies."""
        return sorted(file for file in folder.glob(f"*{cls.ending}") if not file.name.startswith("."))

    @classmethod
    def _inside(cls, folder: Path) -> Path | None:
        """What a folder of one clip holds of it: what the program calls so, or a file for each frame."""
        for place in (folder / cls.own, folder):
            if cls._lying(place) if cls.per_frame else place.is_file():
                return place
        return None

    @classmethod
    def _within(cls, place: Path) -> Path:
        """Of a file or folder that is called like the clip: what the program calls so, or its only file."""
        if place.is_file() or ((found := cls._inside(place)) is None and cls.per_frame):
            return place
        files = cls._lying(place)
        return found or (files[0] if len(files) == 1 else place)

    def _skeleton_of(self, seen: Sightings, place: Path) -> str:
        """Raises InputError."""
        joints = seen.joints.shape[1]
        names = [name for name in self.layouts if len(skeleton(name)) == joints]
        if self._model is not None:
            if len(seen) and joints != len(skeleton(self._model)):
                text = f"people there have {joints} joints, {self._model} has {len(skeleton(self._model))}"
                raise InputError(f"cannot use {place} as {self._model}", text, "another --model, or none")
            return self._model
        if seen.skeleton is not None:
            return seen.skeleton
        if not names:
            raise InputError(f"cannot use {place}", f"{joints} joints a person; {self.known()}", self.hint)
        return layout_of(seen.joints, names, place)

    def no_one(self) -> Array:
        """(0,J,3)."""
        return np.zeros((0, len(skeleton(self.layouts[0])), 3))

    @classmethod
    def counts(cls) -> list[int]:
        """Numbers of joints that are read."""
        return sorted({len(skeleton(name)) for name in cls.layouts})

    @classmethod
    def known(cls) -> str:
        """The same in words."""
        return f"read are {', '.join(map(str, cls.counts()))}"
