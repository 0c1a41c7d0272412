"""What the stages of a run left on disk, how long they took, and what was taken from an earlier run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cache import StageCache
from pipeline.memory import give_back
from pipeline.results import ClipInfo
from pipeline.sources import REPORT

Arrays = dict[str, np.ndarray]


class Ledger:
    """The stages of one clip, or of all clips of a scene together.

    Args:
        home: the folder of the results.
        part: of its cache, where several clips keep their stages apart.
        overwrite: what earlier runs left is not read.

    Attributes:
        timings: seconds of each stage, of an earlier run where its result was taken from there.
        reused: names of those stages.
        device: what the detector ran on.
    """

    def __init__(self, home: Path, part: str = "", overwrite: bool = False) -> None:
        self.home, self.part, self.overwrite = home, part, overwrite
        self.cache = StageCache(home / "cache" / part)
        self.timings: dict[str, float] = {}
        self.reused: list[str] = []
        self.device: str | None = None
        self._told: list[str] = []  # warnings of an earlier run that decoded the clip

    def load(self, stage: str, stage_key: str) -> Arrays | None:
        """The arrays of a finished stage; what it noted goes into the report of this run too."""
        arrays = None if self.overwrite else self.cache.load(stage, stage_key)
        if arrays is None:
            return None
        about = json.loads(str(arrays.pop("about")))
        self.timings |= about["seconds"]
        self.reused += about["seconds"]
        self._told += about["warnings"]
        self.device = about.get("device", self.device)
        return arrays

    def save(
        self, stage: str, stage_key: str, arrays: dict[str, Any], *timed: str, info: ClipInfo | None = None
    ) -> Arrays:
        """Keep a stage's arrays with the seconds of what was timed; returns them as they would be loaded."""
        seconds = {name: self.timings[name] for name in timed}
        about: dict[str, Any] = {"seconds": seconds, "warnings": self.warnings(info)}
        about |= {"device": self.device} if self.device else {}
        self.cache.save(stage, stage_key, arrays | {"about": json.dumps(about)})
        return {name: np.asarray(value) for name, value in arrays.items()}

    def warnings(self, info: ClipInfo | None) -> tuple[str, ...]:
        """What the clip tells by now (reading may add to it), and what it told the run before."""
        return tuple(dict.fromkeys([*(info.warnings if info else ()), *self._told]))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Seconds of a stage that is done anew."""
        begin = time.perf_counter()
        yield
        self.timings[stage] = time.perf_counter() - begin
        give_back()

    def outdate(self) -> None:
        """Before anything is written anew: the result is no longer finished."""
        (self.home / REPORT).unlink(missing_ok=True)
