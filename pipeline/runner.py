"""One clip through all stages: decode -> detect -> track -> complete -> lift -> place -> clean -> write.

Each stage's result is kept under a key of everything it depends on, so a second run redoes only what changed and a
killed run goes on from its last finished stage.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pipeline import cache as stages
from pipeline import sources
from pipeline.cache import StageCache, code_version, key
from pipeline.choices import choose, chosen_class, lifter_class
from pipeline.errors import InputError, InternalError, NobodyError, OutputError, VideoposeError
from pipeline.files import remove_leftovers
from pipeline.memory import give_back
from pipeline.options import Options
from pipeline.results import Camera, Detections, Motion3D, Scene, Track2D

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motion.place import Placement
    from pipeline.clip import Clip

log = logging.getLogger("videopose")
CLIP = ("pipeline/clip.py", "pipeline/container.py", "pipeline/pixels.py", "pipeline/video.py", "pipeline/metadata.py")
PLAIN = ("pipeline/cache.py", "pipeline/results.py", "pipeline/skeletons.py")
Progress = Callable[[str, int, int], None]  # stage, done, total


def run(source: str | Path, progress: Progress | None = None, **options: Any) -> Scene:
    """Run one clip with the options of `pipeline.options.Options` and return its scene.

    Raises:
        VideoposeError: with a message for the user, when the clip cannot be read, weights are missing and so on.
    """
    for name in ("out", "weights", "keypoints"):
        if options.get(name) is not None:
            options[name] = Path(options[name])
    return Runner(Options(**options), progress).run(Path(source))


class Runner:
    """Keeps the loaded models between clips."""

    def __init__(self, options: Options, progress: Progress | None = None) -> None:
        self.options = options
        self.progress = progress or (lambda stage, done, total: None)
        self._prepared = False
        cv2.setNumThreads(1)  # decoder, networks and encoder keep all cores busy; more threads only take turns

    @cached_property
    def detector(self) -> Any:
        keypoints = self.options.keypoints
        made = chosen_class("detector", self.options.detector)
        return made() if keypoints is None else made(keypoints=keypoints)

    @cached_property
    def tracker(self) -> Any:
        return chosen_class("tracker", self.options.tracker)()

    @cached_property
    def lifter(self) -> Any:
        weights = self.options.weights
        return lifter_class(self.options.lifter, weights)(**({} if weights is None else {"weights": weights}))

    @cached_property
    def given_weights(self) -> dict[str, Any] | None:
        """Of the file that the options name for the lifter: sha256, path, and what the lifter takes it for."""
        from checkpoints.store import sha256

        path = self.options.weights
        return None if path is None else {"sha256": sha256(path), "path": str(path)} | getattr(self.lifter, "about", {})

    def prepare(self) -> None:
        """Find all weights, before any work is done in vain. Raises MissingError, InputError."""
        from checkpoints.store import find

        if not self._prepared:
            own = () if self.options.weights else chosen_class("lifter", self.options.lifter).weights
            for weight in (*chosen_class("detector", self.options.detector).weights, *own):
                find(weight)
            if not own:
                _ = self.lifter  # opens the file, or tells that it wants one
            self._prepared = True

    def run(self, path: Path) -> Scene:
        """All stages of one clip; results lie in `<out>/<stem>/`.

        Raises:
            InputError, OutputError, MissingError, NobodyError, UsageError: see `pipeline.errors`.
            InternalError: anything unexpected, chained.
        """
        try:
            return self._run(path)
        except VideoposeError:
            raise
        except Exception as error:  # the one place: a mistake in one clip must not stop a folder of them
            what, why = f"unexpected {type(error).__name__} in clip {path}", " ".join(str(error).split())
            raise InternalError(what, why, "--debug shows the traceback; please report it") from error

    def _run(self, path: Path) -> Scene:
        from pipeline.clip import open_clip

        if not os.path.lexists(path):
            raise InputError(f"there is no file {path}", hint="check the name, or drop the clip into outputs/")
        with open_clip(path) as clip:
            self.prepare()
            clip_run = _ClipRun(self, path, clip)
            try:
                return clip_run.run()
            finally:
                sources.release(clip_run.home)


class _ClipRun:
    """The state of one clip on its way."""

    def __init__(self, runner: Runner, path: Path, clip: Clip) -> None:
        self.runner, self.options, self.path, self.clip = runner, runner.options, path, clip
        self.timings: dict[str, float] = {}
        self.reused: list[str] = []
        self.decoding: list[str] = []  # warnings of an earlier run that decoded the clip
        size, changed = sources.stamp(path)
        digest = sources.fingerprint(path)
        out = self.options.out
        try:
            self.home = sources.result_folder(out, path, digest)
            sources.claim(self.home, path, digest)
            remove_leftovers(self.home)
        except OSError as error:
            raise OutputError(f"cannot write to {out}", str(error), "--out DIR names another place") from error
        facts = {"clip_sha256": digest, "clip_bytes": size, "clip_mtime_ns": changed}
        self.provenance: dict[str, Any] = facts | {"folder": str(self.home)}
        self.cache = StageCache(self.home / "cache")

    def run(self) -> Scene:
        tracks, track_key = self._tracks()
        if not tracks and self.options.strict:
            text = f"nobody was found in {len(self.clip.info.times)} frames of {self.path}"
            raise NobodyError(text, hint="a clip in which people are larger, or another --detector")
        motions, camera, key_3d = self._motions(tracks, track_key)
        tracks = [_drawn(track) for track in tracks]
        scene = self._finish(self._write(self._scene(tracks, motions, camera), key_3d))
        for text in scene.provenance["warnings"]:
            log.warning("%s: %s", self.path, text)
        return scene

    # ---- stages -------------------------------------------------------------------------------------------------

    def _detections(self, stage_key: str) -> list[Detections]:
        """Views of a few long arrays, which take half the memory of arrays frame by frame."""
        arrays = self._load("detect", stage_key)
        if arrays is None:
            arrays = self._detect()
            self._save("detect", stage_key, arrays, "detect")
        give_back()
        return stages.unpack_detections(_as_arrays(arrays))

    def _detect(self) -> dict[str, Any]:
        total = len(self.clip.info.times)
        detector = self.runner.detector
        self.provenance["device"] = detector.device
        log.info("%s on %s", self.options.detector, detector.device)
        with self._timed("detect"):
            found = detector.detect(self.clip, lambda done: self.runner.progress("detect", done, total))
        return stages.pack_detections(found, detector.skeleton)

    def _tracks(self) -> tuple[list[Track2D], str]:
        from trackers.select import select

        o = self.options
        detect_key = key(
            self.provenance["clip_sha256"],
            _version("detector", o.detector, chosen_class("detector", o.detector).weights),
            code_version(*CLIP, *PLAIN),
            *(() if o.keypoints is None else (self.runner.detector.digest(self.path),)),
        )
        track_key = key(detect_key, o.tracker, code_version("trackers"))
        if (arrays := self._load("track", track_key)) is None:
            tracks = self._track(self._detections(detect_key))
            arrays = stages.pack_people(tracks)
            self._save("track", track_key, arrays, "detect", "track")
        else:
            tracks = stages.unpack_people(_as_arrays(arrays), Track2D)
        chosen = select(tracks, o.person)
        return chosen, key(track_key, [track.id for track in chosen])

    def _track(self, found: list[Detections]) -> list[Track2D]:
        from trackers.complete import complete

        info = self.clip.info
        self.runner.progress("track", 0, len(found))
        with self._timed("track"):
            tracks = self.runner.tracker.track(found, info.times, (info.width, info.height))
            return [complete(track, info.times) for track in tracks]

    def _motions(self, tracks: list[Track2D], track_key: str) -> tuple[list[Motion3D], Camera, str]:
        """Lifted, placed in the world in metres and cleaned."""
        from motion.camera import default_camera
        from pipeline.metadata import focal_from_metadata
        from pipeline.report import finite

        o, info = self.options, self.clip.info
        noted = focal_from_metadata(self.path, info)
        camera = default_camera((info.width, info.height), o.fov_deg, o.focal_px, noted)
        version = self._lifter_version(), code_version("motion")
        stage_key = key(track_key, version, camera.matrix.tolist(), o.height_m, o.cutoff_hz)
        if (arrays := self._load("motion", stage_key)) is None:
            placed = self._lift_and_place(tracks, camera)
            arrays = stages.pack_people(placed.motions) | {
                "camera_to_world": placed.camera.camera_to_world,
                "quality": json.dumps(finite(placed.quality)),
            }
            self._save("motion", stage_key, arrays, "lift", "place", "clean")
        arrays = _as_arrays(arrays)
        camera = dataclasses.replace(camera, camera_to_world=arrays.pop("camera_to_world"))
        self.provenance["placement"] = json.loads(str(arrays.pop("quality")))
        return stages.unpack_people(arrays, Motion3D), camera, stage_key

    def _lifter_version(self) -> list[str]:
        """Of a given file its name counts too: it tells what the shapes in it do not."""
        name, given = self.options.lifter, self.runner.given_weights
        if given is not None:
            return [*_version("lifter", name, ()), given["sha256"], Path(given["path"]).name]
        return _version("lifter", name, chosen_class("lifter", name).weights)

    def _lift_and_place(self, tracks: list[Track2D], camera: Camera) -> Placement:
        from motion.clean import clean
        from motion.place import placement

        times = self.clip.info.times
        lifted = self._lift(tracks, camera)
        with self._timed("place"):
            self.runner.progress("place", 0, len(tracks))
            placed = placement(lifted, tracks, camera, times, height_m=self.options.height_m)
            del lifted
        with self._timed("clean"):
            motions = clean(placed.motions, times, cutoff_hz=self.options.cutoff_hz)
        return dataclasses.replace(placed, motions=motions)

    def _lift(self, tracks: list[Track2D], camera: Camera) -> list[Motion3D]:
        lifted = []
        with self._timed("lift"):
            for number, track in enumerate(tracks):
                self.runner.progress("lift", number, len(tracks))
                lifted.append(self.runner.lifter.lift(track, camera, self.clip.info.times))
        return lifted

    def _scene(self, tracks: list[Track2D], motions: list[Motion3D], camera: Camera) -> Scene:
        from pipeline.report import quality

        scene = Scene(self.clip.info, camera, tracks, motions, self.provenance, {})
        return dataclasses.replace(scene, quality=quality(scene))

    # ---- results ------------------------------------------------------------------------------------------------

    def _write(self, scene: Scene, scene_key: str) -> Scene:
        """Films and files; what lies there of other options is removed."""
        writers = {"mp4": self._film, "gif": self._gif, "npz": self._export, "csv": self._export}
        done_key = key(scene_key, code_version("visualize", "exporters"))
        files = {format: self.home / name for format, name in sources.RESULTS.items()}
        missing = [format for format in files if not self._is_done(format, files[format], done_key)]
        for format in missing:
            self._remove(format, files[format])
        for format in ("npz", "csv", "mp4", "gif"):
            if format in missing and format in self.options.formats:
                with self._timed(format):
                    writers[format](scene, files[format], format)
                self.cache.mark(format, done_key, self.timings[format])
        return scene

    def _is_done(self, format: str, file: Path, done_key: str) -> bool:
        noted = self.cache.marked(format, done_key) if file.is_file() else None
        wanted = format in self.options.formats
        if noted is None or (wanted and self.options.overwrite):
            return False
        if wanted:
            self.reused.append(format)
            self.timings[format] = noted["seconds"]
        return True

    def _remove(self, format: str, file: Path) -> None:
        try:
            self.cache.unmark(format)
            if file.is_file():
                self._outdate()
                file.unlink()
        except OSError as error:
            raise OutputError(f"cannot replace {file}", str(error), "--out DIR names another place") from error

    def _finish(self, scene: Scene) -> Scene:
        """report.json, whose presence says that the clip is finished."""
        from pipeline.report import provenance, warnings, write_report

        info = dataclasses.replace(self.clip.info, warnings=self._decoding_warnings())
        scene = dataclasses.replace(scene, clip=info)
        about = self.provenance | provenance(self.options, self.runner.given_weights) | {"warnings": warnings(scene)}
        about["seconds_per_stage"] = {name: round(value, 3) for name, value in self.timings.items()}
        about["reused_stages"] = self.reused
        scene = dataclasses.replace(scene, provenance=about)
        write_report(scene, self.home / sources.REPORT)
        return scene

    def _film(self, scene: Scene, file: Path, _: str) -> None:
        from visualize.film import write_film

        total = len(scene.clip.times)
        write_film(scene, self.clip, file, lambda done: self.runner.progress("film", done, total))

    def _gif(self, scene: Scene, file: Path, _: str) -> None:
        from visualize.gif import write_gif

        total = len(scene.clip.times)
        write_gif(scene, file, lambda done: self.runner.progress("gif", done, total))

    def _export(self, scene: Scene, file: Path, format: str) -> None:
        from exporters import EXPORTERS

        self.runner.progress(format, 0, 1)
        choose("format", format, EXPORTERS).write(scene, file)

    # ---- bookkeeping --------------------------------------------------------------------------------------------

    def _load(self, stage: str, stage_key: str) -> dict[str, np.ndarray] | None:
        """The arrays of a finished stage; what it noted goes into the report of this run too."""
        arrays = None if self.options.overwrite else self.cache.load(stage, stage_key)
        if arrays is None:
            return None
        about = json.loads(str(arrays.pop("about")))
        self.timings |= about["seconds"]
        self.reused += about["seconds"]
        self.decoding += about["warnings"]
        if "device" in about:
            self.provenance["device"] = about["device"]
        return arrays

    def _save(self, stage: str, stage_key: str, arrays: dict[str, Any], *timed: str) -> None:
        seconds = {name: self.timings[name] for name in timed}
        about: dict[str, Any] = {"seconds": seconds, "warnings": self._decoding_warnings()}
        about |= {"device": self.provenance["device"]} if "device" in self.provenance else {}
        self.cache.save(stage, stage_key, arrays | {"about": json.dumps(about)})

    def _decoding_warnings(self) -> tuple[str, ...]:
        """What the clip tells by now (reading may add to it), and what it told the run before."""
        return tuple(dict.fromkeys([*self.clip.info.warnings, *self.decoding]))

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        self._outdate()
        begin = time.perf_counter()
        yield
        self.timings[stage] = time.perf_counter() - begin
        give_back()

    def _outdate(self) -> None:
        """Before anything is done anew: the clip is no longer finished."""
        (self.home / sources.REPORT).unlink(missing_ok=True)


def _drawn(track: Track2D) -> Track2D:
    """A track without what only lifters read: two thirds of its memory, which a long film has no use for."""
    return dataclasses.replace(track, presence=None, world=None, appearance=None)


def _as_arrays(packed: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in packed.items()}


def _version(kind: str, name: str, weights: tuple[str, ...]) -> list[str]:
    """Name, code and carded weights of a detector or lifter."""
    from checkpoints.card import card

    return [name, code_version(f"{kind}s"), *(card(weight).sha256 for weight in weights)]
