"""The last stage: films and files of a scene, and the report whose presence says that they are whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import sources
from pipeline.cache import code_version, key
from pipeline.choices import choose
from pipeline.errors import OutputError, UsageError
from pipeline.ledger import Ledger
from pipeline.results import Scene

if TYPE_CHECKING:
    from pipeline.clip import Clip
    from pipeline.runner import Runner


class Writing:
    """What a scene leaves in its folder.

    Args:
        clips: whose pictures the film shows, one for each view.

    Raises:
        UsageError: a file would be replaced from which the detector reads.
        InputError: files from which it would read are not there.
    """

    def __init__(self, runner: Runner, clips: Sequence[Clip], ledger: Ledger) -> None:
        self.runner, self.options, self.clips, self.ledger = runner, runner.options, clips, ledger
        self.cache, self.home = ledger.cache, ledger.home
        self.files = sources.results(self.home, views=len(clips) > 1)
        read = {format for format, file in self.files.items() if self._is_read(file)}
        if wanted := [format for format in self.options.formats if format in read]:
            text = f"--formats {wanted[0]} would replace {self.files[wanted[0]]}, from which --detector reads"
            raise UsageError(text, hint="--out DIR, or --formats without it")
        for format in read:
            del self.files[format]

    def _is_read(self, file: Path) -> bool:
        """Does the detector read from this file, or from this folder?"""
        if self.options.keypoints is None:
            return False
        places = (self.runner.detector.place(Path(clip.info.path)).resolve() for clip in self.clips)
        return any(file.resolve() in (place, *place.parents) for place in places)

    def write(self, scene: Scene, scene_key: str) -> Scene:
        """Films and files, then the report; what lies there of other options is removed. Returns the whole scene.

        Raises:
            OutputError: something cannot be written or replaced.
        """
        writers = {"mp4": self._film, "gif": self._gif}
        done_key, files = key(scene_key, code_version("visualize", "exporters")), self.files
        missing = [format for format in files if not self._is_done(format, files[format], done_key)]
        if any(format in self.options.formats for format in missing):
            self.ledger.outdate()
        for format in missing:
            self._remove(format, files[format])
        for format in sorted(files, key=lambda format: format in writers):  # films last
            if format in missing and format in self.options.formats:
                with self.ledger.timed(format):
                    writers.get(format, self._export)(scene, files[format], format)
                if files[format].is_dir():
                    sources.own(self.home, format)
                self.cache.mark(format, done_key, self.ledger.timings[format])
        return self._finish(scene)

    def _is_done(self, format: str, file: Path, done_key: str) -> bool:
        noted = self.cache.marked(format, done_key) if file.exists() else None
        wanted = format in self.options.formats
        if noted is None or (wanted and self.options.overwrite):
            return False
        if wanted:
            self.ledger.reused.append(format)
            self.ledger.timings[format] = noted["seconds"]
        return True

    def _remove(self, format: str, file: Path) -> None:
        try:
            if file.exists():
                self.ledger.outdate()
            sources.discard(self.home, format, file)
            self.cache.unmark(format)
        except OSError as error:
            raise OutputError(f"cannot replace {file}", str(error), "--out DIR names another place") from error

    def _finish(self, scene: Scene) -> Scene:
        """report.json, whose presence says that the clip is finished."""
        from pipeline.report import provenance, warnings, write_report

        told = [*scene.clip.warnings, *self.ledger.warnings(self.clips[0].info)]
        info = dataclasses.replace(scene.clip, warnings=tuple(dict.fromkeys(told)))
        scene = dataclasses.replace(scene, clip=info)
        about = scene.provenance | provenance(self.options, self.runner.given_weights) | {"warnings": warnings(scene)}
        about |= {"device": self.ledger.device} if self.ledger.device else {}
        about["seconds_per_stage"] = {name: round(value, 3) for name, value in self.ledger.timings.items()}
        about["reused_stages"] = self.ledger.reused
        scene = dataclasses.replace(scene, provenance=about)
        write_report(scene, self.home / sources.REPORT)
        return scene

    def _film(self, scene: Scene, file: Path, _: str) -> None:
        from visualize.film import write_film

        total = len(scene.clip.times)
        write_film(scene, self.clips, file, lambda done: self.runner.progress("film", done, total))

    def _gif(self, scene: Scene, file: Path, _: str) -> None:
        from visualize.gif import write_gif

        total = len(scene.clip.times)
        write_gif(scene, file, lambda done: self.runner.progress("gif", done, total))

    def _export(self, scene: Scene, file: Path, format: str) -> None:
        from exporters import EXPORTERS

        self.runner.progress(format, 0, 1)
        choose("format", format, EXPORTERS).write(scene, file)
