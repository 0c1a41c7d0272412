"""The stages that look at one clip alone: detect, track, complete, lift. Views of a scene go through the same."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import cache as stages
from pipeline.cache import code_version, key
from pipeline.choices import chosen_class, versions
from pipeline.ledger import Arrays, Ledger
from pipeline.memory import give_back
from pipeline.results import Camera, Detections, Motion3D, Track2D

if TYPE_CHECKING:
    from pipeline.clip import Clip
    from pipeline.options import Options
    from pipeline.runner import Runner

log = logging.getLogger("videopose")
CLIP = ("pipeline/clip.py", "pipeline/container.py", "pipeline/pixels.py", "pipeline/video.py", "pipeline/metadata.py")
PLAIN = (
    "pipeline/cache.py",
    "pipeline/results.py",
    "pipeline/skeletons.py",
    "pipeline/whole_body.py",
    "pipeline/boxes.py",
)


class ClipStages:
    """One clip from its pictures to people in 3D, each relative to the pelvis.

    Args:
        digest: sha256 of the clip.
        lens: of the camera where it is known; its place does not matter.
    """

    def __init__(
        self, runner: Runner, path: Path, clip: Clip, digest: str, ledger: Ledger, lens: Camera | None = None
    ) -> None:
        self.runner, self.options, self.path, self.clip = runner, runner.options, path, clip
        self.digest, self.ledger, self.lens = digest, ledger, lens

    def tracks(self) -> tuple[list[Track2D], str]:
        """Everyone in the clip, short gaps filled, and the key of that."""
        o = self.options
        detect_key = key(
            self.digest,
            detector_version(o),
            code_version(*CLIP, *PLAIN),
            *(() if o.keypoints is None else (self.runner.detector.digest(self.path),)),
        )
        weights = getattr(chosen_class("tracker", o.tracker), "weights", ())
        track_key = key(detect_key, *version("tracker", o.tracker, weights))
        if (arrays := self.ledger.load("track", track_key)) is None:
            arrays = self._save("track", track_key, self._track(self._detections(detect_key)), "detect", "track")
        return stages.unpack_people(arrays, Track2D), track_key

    def camera(self) -> Camera:
        """As the rig, the options or the clip tell it, else guessed; it stands at the origin.

        A fisheye counts as unknown: lifters know no such lens.
        """
        from motion.camera import default_camera
        from pipeline.metadata import focal_from_metadata

        o, info = self.options, self.clip.info
        if self.lens is not None and not self.lens.fisheye:
            return Camera(self.lens.matrix, self.lens.size, self.lens.distortion, source=self.lens.source)
        noted = focal_from_metadata(self.path, info)
        return default_camera((info.width, info.height), o.fov_deg, o.focal_px, noted)

    def lifted(self, tracks: list[Track2D], camera: Camera) -> list[Motion3D]:
        """Everyone in metres relative to the pelvis, in the camera's axes."""
        lifted = []
        with self.ledger.timed("lift"):
            for number, track in enumerate(tracks):
                self.runner.progress("lift", number, len(tracks))
                lifted.append(self.runner.lifter.lift(track, camera, self.clip.info.times))
        return lifted

    def lifter_version(self) -> list[str]:
        """Of a given file its name counts too: it tells what the shapes in it do not."""
        name, given = self.options.lifter, self.runner.given_weights
        if given is not None:
            return [*version("lifter", name, ()), given["sha256"], Path(given["path"]).name]
        return version("lifter", name, chosen_class("lifter", name).weights)

    def _detections(self, stage_key: str) -> list[Detections]:
        """Views of a few long arrays, which take half the memory of arrays frame by frame."""
        if (arrays := self.ledger.load("detect", stage_key)) is None:
            arrays = self._save("detect", stage_key, self._detect(), "detect")
        give_back()
        return stages.unpack_detections(arrays)

    def _detect(self) -> dict[str, Any]:
        total, detector = len(self.clip.info.times), self.runner.detector
        self.ledger.device = detector.device
        if not self.runner.announced:
            log.info("%s on %s", self.options.detector, detector.device)
            self.runner.announced = True
        with self.ledger.timed("detect"):
            found = detector.detect(self.clip, lambda done: self.runner.progress("detect", done, total))
        return stages.pack_detections(found, detector.skeleton)

    def _track(self, found: list[Detections]) -> dict[str, Any]:
        from trackers.complete import complete

        info = self.clip.info
        self.runner.progress("track", 0, len(found))
        tracker = self.runner.tracker
        needs = {"frames": self.clip.frames} if "frames" in tracker.needs else {}
        if "poses" in tracker.needs:
            needs["poses"] = getattr(self.runner.detector, "poses", None)
        with self.ledger.timed("track"):
            tracks = tracker.track(found, info.times, (info.width, info.height), **needs)
            return stages.pack_people([complete(track, info.times) for track in tracks])

    def _save(self, stage: str, stage_key: str, arrays: dict[str, Any], *timed: str) -> Arrays:
        return self.ledger.save(stage, stage_key, arrays, *timed, info=self.clip.info)


def version(kind: str, name: str, weights: Sequence[str | Path]) -> list[str]:
    """Name, code and weights (of cards, or files) of a detector, tracker or lifter."""
    from checkpoints.store import digest, sha256

    digests = (sha256(of) if isinstance(of, Path) else digest(of) for of in weights)
    return [name, code_version(f"{kind}s"), *digests]


def detector_version(options: Options) -> list[Any]:
    """What decides what the detector finds in a picture."""
    chosen = chosen_class("detector", options.detector)
    choices = options.detector_choices
    given = {name: value for name, value in choices.items() if name in ("model", "device")}
    return [version("detector", options.detector, chosen.uses(**choices)), given, versions(chosen.packages)]
