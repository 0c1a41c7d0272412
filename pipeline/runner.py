"""One clip through all stages: decode -> detect -> track -> complete -> lift -> place -> clean -> write.

Each stage's result is kept under a key of everything it depends on, so a second run redoes only what changed and a
killed run goes on from its last finished stage.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from pipeline import cache as stages
from pipeline import sources
from pipeline.cache import code_version, key
from pipeline.choices import chosen_class, lifter_class, require
from pipeline.clip_stages import ClipStages
from pipeline.errors import InputError, InternalError, NobodyError, OutputError, UsageError, VideoposeError
from pipeline.files import remove_leftovers
from pipeline.ledger import Ledger
from pipeline.options import Options, of_one_clip
from pipeline.results import Camera, Motion3D, Scene, Track2D
from pipeline.writing import Writing

if TYPE_CHECKING:
    from motion.place import Placement
    from pipeline.clip import Clip

log = logging.getLogger("videopose")
Progress = Callable[[str, int, int], None]  # stage, done, total
Tell = Callable[[str, int, int], None]  # name of what comes now, its number from 1, how many there are


def run(source: str | Path, progress: Progress | None = None, **options: Any) -> Scene:
    """Run one clip with the options of `pipeline.options.Options` and return its scene.

    Raises:
        VideoposeError: with a message for the user, when the clip cannot be read, weights are missing and so on.
    """
    return Runner(_options(options), progress).run(Path(source))


def run_views(sources: Sequence[str | Path], progress: Progress | None = None, **options: Any) -> Scene:
    """Run one scene of which the clips are the views, with the options of `pipeline.options.Options`.

    Raises:
        VideoposeError: as `run`.
    """
    return Runner(_options(options), progress).run_views([Path(source) for source in sources])


class Runner:
    """Keeps the loaded models between clips."""

    def __init__(self, options: Options, progress: Progress | None = None) -> None:
        self.options = options
        self.progress = progress or (lambda stage, done, total: None)
        self.announced = False  # what the detector runs on
        self._prepared = False
        cv2.setNumThreads(1)  # decoder, networks and encoder keep all cores busy; more threads only take turns

    @cached_property
    def detector(self) -> Any:
        return chosen_class("detector", self.options.detector)(**self.options.detector_choices)

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
            o = self.options
            own = () if o.weights else chosen_class("lifter", o.lifter).weights
            detector, tracker = chosen_class("detector", o.detector), chosen_class("tracker", o.tracker)
            require("detector", detector)
            require("tracker", tracker)
            for weight in (*detector.uses(**o.detector_choices), *getattr(tracker, "weights", ()), *own):
                if isinstance(weight, str):
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
        of_one_clip(self.options)
        with _expected(f"clip {path}"), _opened([path]) as (clip,):
            self.prepare()
            clip_run = _ClipRun(self, path, clip)
            try:
                return clip_run.run()
            finally:
                sources.release(clip_run.home)

    def run_views(self, paths: Sequence[Path], tell: Tell = lambda name, number, count: None) -> Scene:
        """All stages of a scene that several cameras filmed; results lie in `<out>/<first view's stem>_views/`.

        Args:
            tell: hears of each view before it is looked at, and of the scene before they are joined.

        Raises:
            As `run`; UsageError for fewer than two views, or one twice.
        """
        from pipeline.views import ViewsRun

        if len(paths) < 2:
            raise UsageError("a scene of several views needs at least two clips")
        places = [path.resolve() for path in paths]
        if twice := [path for n, path in enumerate(paths) if places[n] in places[:n]]:
            raise UsageError(f"{twice[0]} is given twice", "each view is a clip of its own")
        with _expected(f"the scene of {paths[0]}"), _opened(paths) as clips:
            self.prepare()
            views_run = ViewsRun(self, paths, clips, tell)
            try:
                return views_run.run()
            finally:
                sources.release(views_run.home)


def _options(given: dict[str, Any]) -> Options:
    """Paths may be given as text, formats as on the command line, a person's id as a number."""
    for name in ("out", "weights", "keypoints", "detector_weights", "cameras"):
        if given.get(name) is not None:
            given[name] = Path(given[name])
    if isinstance(given.get("formats"), str):
        given["formats"] = tuple(name.strip() for name in given["formats"].split(","))
    if isinstance(given.get("person"), int):
        given["person"] = str(given["person"])
    return Options(**given)


@contextmanager
def _expected(where: str) -> Iterator[None]:
    """What nobody expected becomes an error that says so."""
    try:
        yield
    except VideoposeError:
        raise
    except Exception as error:  # the one place: a mistake in one clip must not stop a folder of them
        what, why = f"unexpected {type(error).__name__} in {where}", " ".join(str(error).split())
        raise InternalError(what, why, "--debug shows the traceback; please report it") from error


@contextmanager
def _opened(paths: Sequence[Path]) -> Iterator[list[Clip]]:
    from pipeline.clip import open_clip

    with ExitStack() as stack:
        clips = []
        for path in paths:
            if not os.path.lexists(path):
                raise InputError(f"there is no file {path}", hint="check the name, or drop the clip into outputs/")
            clips.append(stack.enter_context(open_clip(path)))
        yield clips


class _ClipRun:
    """The state of one clip on its way."""

    def __init__(self, runner: Runner, path: Path, clip: Clip) -> None:
        self.runner, self.options, self.path, self.clip = runner, runner.options, path, clip
        self.home, self.facts = claim_folder(runner.options, path)
        self.ledger = Ledger(self.home, overwrite=self.options.overwrite)
        self.stages = ClipStages(runner, path, clip, self.facts["clip_sha256"], self.ledger)

    def run(self) -> Scene:
        from trackers.select import select

        writing = Writing(self.runner, [self.clip], self.ledger)
        everyone, track_key = self.stages.tracks()
        info = self.clip.info
        tracks = select(everyone, self.options.person, (info.width, info.height))
        if not tracks and self.options.strict:
            text = f"nobody was found in {len(self.clip.info.times)} frames of {self.path}"
            raise NobodyError(text, hint="a clip in which people are larger, or another --detector")
        motions, camera, key_3d = self._motions(tracks, key(track_key, [track.id for track in tracks]))
        scene = self._scene([drawn(track) for track in tracks], motions, camera)
        scene = writing.write(scene, key_3d)
        for text in scene.provenance["warnings"]:
            log.warning("%s: %s", self.path, text)
        return scene

    def _motions(self, tracks: list[Track2D], track_key: str) -> tuple[list[Motion3D], Camera, str]:
        """Lifted, placed in the world in metres and cleaned."""
        from pipeline.report import finite

        o, camera = self.options, self.stages.camera()
        version = self.stages.lifter_version(), code_version("motion")
        stage_key = key(track_key, version, camera.matrix.tolist(), o.height_m, o.cutoff_hz)
        if (arrays := self.ledger.load("motion", stage_key)) is None:
            placed = self._lift_and_place(tracks, camera)
            arrays = stages.pack_people(placed.motions) | {
                "camera_to_world": placed.camera.camera_to_world,
                "quality": json.dumps(finite(placed.quality)),
            }
            arrays = self.ledger.save("motion", stage_key, arrays, "lift", "place", "clean", info=self.clip.info)
        camera = dataclasses.replace(camera, camera_to_world=arrays.pop("camera_to_world"))
        self.facts["placement"] = json.loads(str(arrays.pop("quality")))
        return stages.unpack_people(arrays, Motion3D), camera, stage_key

    def _lift_and_place(self, tracks: list[Track2D], camera: Camera) -> Placement:
        from motion.clean import clean
        from motion.place import placement

        times = self.clip.info.times
        lifted = self.stages.lifted(tracks, camera)
        with self.ledger.timed("place"):
            self.runner.progress("place", 0, len(tracks))
            placed = placement(lifted, tracks, camera, times, height_m=self.options.height_m)
            del lifted
        with self.ledger.timed("clean"):
            motions = clean(placed.motions, times, cutoff_hz=self.options.cutoff_hz)
        return dataclasses.replace(placed, motions=motions)

    def _scene(self, tracks: list[Track2D], motions: list[Motion3D], camera: Camera) -> Scene:
        from pipeline.report import quality

        scene = Scene(self.clip.info, camera, tracks, motions, self.facts, {})
        return dataclasses.replace(scene, quality=quality(scene))


def claim_folder(
    options: Options, path: Path, others: Sequence[Path] = (), name: str | None = None
) -> tuple[Path, dict[str, Any]]:
    """The folder of the results of a clip or of several views, made and marked as their own, and facts about them.

    Raises:
        OutputError: no folder can be made there.
        InputError: a clip cannot be read.
    """
    stamps, digests = zip(*((sources.stamp(p), sources.fingerprint(p)) for p in (path, *others)), strict=True)
    digest = digests[0] if not others else key(*digests)
    try:
        home = sources.result_folder(options.out, path, digest, others, name)
        sources.claim(home, path, digest, others, options.keypoints)
        remove_leftovers(home)
    except OSError as error:
        raise OutputError(f"cannot write to {options.out}", str(error), "--out DIR names another place") from error
    size, changed = sum(stamp[0] for stamp in stamps), max(stamp[1] for stamp in stamps)
    facts = {"clip_sha256": digest, "clip_bytes": size, "clip_mtime_ns": changed, "folder": str(home)}
    return home, facts | ({"view_sha256": list(digests)} if others else {})


def drawn(track: Track2D) -> Track2D:
    """A track without what only lifters read: two thirds of its memory, which a long film has no use for."""
    return dataclasses.replace(track, presence=None, world=None, appearance=None)
