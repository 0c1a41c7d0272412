"""Several cameras of one scene: every clip through its own stages, then all together.

each view: decode -> detect -> track -> complete -> lift
together:  synchronise -> associate -> triangulate, or fuse and calibrate -> settle -> clean -> write
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import cache as stages
from pipeline.cache import code_version, key
from pipeline.clip_stages import ClipStages
from pipeline.errors import NobodyError
from pipeline.joining import Joined, join
from pipeline.ledger import Arrays, Ledger
from pipeline.report_views import summary
from pipeline.results import Camera, ClipInfo, Motion3D, Scene, Track2D, View
from pipeline.runner import claim_folder, drawn
from pipeline.view_cameras import Seen, known_rig, names_of
from pipeline.writing import Writing

if TYPE_CHECKING:
    from pipeline.clip import Clip
    from pipeline.runner import Runner, Tell

log = logging.getLogger("videopose")
CAMERAS = "cameras"  # folder of the rig in the formats of other programs


class ViewsRun:
    """The state of a scene on its way.

    Args:
        paths, clips: of the views; the first one's times are the scene's clock.
        tell: as of `Runner.run_views`.
    """

    def __init__(self, runner: Runner, paths: Sequence[Path], clips: Sequence[Clip], tell: Tell) -> None:
        self.runner, self.options, self.paths, self.clips, self.tell = runner, runner.options, paths, clips, tell
        self.rig, self.rig_notes = known_rig(paths, [clip.info for clip in clips], self.options)
        self.home, self.facts = claim_folder(self.options, paths[0], paths[1:], self.options.name)
        if self.options.keypoints is None:
            self.rig_notes[:0] = copies(paths, self.facts["view_sha256"])
        self.ledger = Ledger(self.home, overwrite=self.options.overwrite)
        self.names = [camera.name for camera in self.rig] or names_of(paths)
        self.views = [
            ClipStages(runner, path, clip, digest, Ledger(self.home, f"view{n}", self.options.overwrite), lens)
            for n, (path, clip, digest, lens) in enumerate(
                zip(paths, clips, self.facts["view_sha256"], self.rig or [None] * len(clips), strict=True), start=1
            )
        ]

    def run(self) -> Scene:
        """All stages.

        Raises:
            As `Runner.run_views`.
        """
        writing = Writing(self.runner, self.clips, self.ledger)
        seen = [self._seen(number) for number in range(len(self.views))]
        self.tell(self.home.name, 1, 1)
        scene_key = key(*(one.key for one in seen), self._choices())
        if (arrays := self.ledger.load("scene", scene_key)) is None:
            joined = self._join(seen)
            arrays = self.ledger.save("scene", scene_key, pack(joined), "join", "clean")
        scene = self._scene(unpack(arrays, len(self.views)))
        if not scene.people and self.options.strict:
            raise NobodyError(f"nobody was found in the scene of {self.paths[0]}")
        self._add_up()
        left_out = self._write_cameras([view.camera for view in scene.views])
        scene = replace(scene, provenance=scene.provenance | {"cameras_left_out": left_out})
        scene = writing.write(scene, key(scene_key, self.options.person))
        if text := summary(scene):
            log.info("%s: %s", self.home.name, text)
        for text in scene.provenance["warnings"]:
            of_view = text.startswith(tuple(f"{name}: " for name in self.names))
            log.warning("%s", text if of_view else f"{self.home.name}: {text}")
        return scene

    def _seen(self, number: int) -> Seen:
        """A view by itself, from the cache where it is there."""
        view = self.views[number]
        self.tell(view.path.name, number + 1, len(self.views))
        tracks, track_key = view.tracks()
        camera = replace(view.camera(), name=self.names[number])
        lift_key = key(track_key, view.lifter_version(), camera.matrix.tolist(), camera.distortion.tolist())
        if (arrays := view.ledger.load("lift", lift_key)) is None:
            packed = stages.pack_people(view.lifted(tracks, camera))
            arrays = view.ledger.save("lift", lift_key, packed, "lift", info=view.clip.info)
        return Seen(view.path, view.clip, tracks, stages.unpack_people(arrays, Motion3D), camera, lift_key)

    def _choices(self) -> list[Any]:
        """What the scene depends on beside its views."""
        o = self.options
        rig = [[np.asarray(getattr(c, f.name)).tolist() for f in fields(Camera)] for c in self.rig]
        code = code_version(
            "multiview", "motion", "pipeline/joining.py", "pipeline/view_cameras.py", "pipeline/sound.py"
        )
        return [rig, self.names, o.sync, o.moving, o.height_m, o.cutoff_hz, code]

    def _join(self, seen: list[Seen]) -> Joined:
        from motion.clean import clean

        with self.ledger.timed("join"):
            joined = join(seen, self.rig, self.options, lambda step: self.runner.progress(step, 0, 1))
        with self.ledger.timed("clean"):
            motions = clean(joined.motions, seen[0].clip.info.times, cutoff_hz=self.options.cutoff_hz, bones=False)
        return replace(joined, motions=motions)

    def _scene(self, joined: Joined) -> Scene:
        from pipeline.report import quality

        chosen = self._chosen(joined)
        views = tuple(
            View(self._info(view), camera, [drawn(tracks[i]) for i in chosen])
            for view, camera, tracks in zip(self.views, joined.cameras, joined.tracks, strict=True)
        )
        people = [joined.motions[i] for i in chosen]
        facts = self.facts | {"placement": joined.about, "joining": [*joined.warnings, *self.rig_notes]}
        scene = Scene(views[0].clip, views[0].camera, views[0].tracks, people, facts, {}, views)
        return replace(scene, quality=quality(scene))

    def _info(self, view: ClipStages) -> ClipInfo:
        """With what decoding told, in an earlier run too."""
        return replace(view.clip.info, warnings=view.ledger.warnings(view.clip.info))

    def _chosen(self, joined: Joined) -> list[int]:
        """`--person`: who is seen by most views in most frames comes first, as `largest` and `longest` have it.

        The other rules are asked of the first view.
        """
        from trackers.select import select

        if self.options.person in ("largest", "longest"):
            return list(range(len(joined.motions)))[:1]
        info = self.views[0].clip.info
        chosen = select(joined.tracks[0], self.options.person, (info.width, info.height))
        ids = [track.id for track in chosen]
        return [i for i, motion in enumerate(joined.motions) if motion.id in ids]

    def _write_cameras(self, cameras: list[Camera]) -> list[str]:
        """In every format that can hold them; returns what these cannot hold, as a camera that moves."""
        from multiview.rig import write_all

        folder = self.home / CAMERAS
        self.ledger.outdate()
        shutil.rmtree(folder, ignore_errors=True)
        if moving := [camera.name for camera in cameras if np.ndim(camera.camera_to_world) == 3]:
            return [f"moving cameras ({', '.join(moving)}) are in poses.npz only"]
        return write_all(folder, cameras)[1]

    def _add_up(self) -> None:
        """The views' stages take part in the scene's time."""
        everywhere = set.intersection(*(set(view.ledger.reused) for view in self.views))
        self.ledger.reused += sorted(everywhere)
        for view in self.views:
            for stage, seconds in view.ledger.timings.items():
                self.ledger.timings[stage] = self.ledger.timings.get(stage, 0.0) + seconds
            self.ledger.device = view.ledger.device or self.ledger.device


def copies(paths: Sequence[Path], digests: Sequence[str]) -> list[str]:
    """Warnings of files with the same content: they are one view, and show nothing of depth."""
    firsts = [digests.index(digest) for digest in digests]
    return [
        f"{path.name} is a copy of {paths[first].name}: two views of one camera tell no depth"
        for number, (path, first) in enumerate(zip(paths, firsts, strict=True)) if number != first
    ]  # fmt: skip


def pack(joined: Joined) -> dict[str, Any]:
    """A scene as arrays for the cache."""
    arrays = stages.pack_people(joined.motions, "people.")
    for number, (camera, tracks) in enumerate(zip(joined.cameras, joined.tracks, strict=True)):
        arrays |= stages.pack_people(tracks, f"tracks{number}.")
        arrays |= {f"camera{number}.{field.name}": getattr(camera, field.name) for field in fields(Camera)}
    return arrays | {"facts": json.dumps(joined.about), "warnings": np.array(joined.warnings, np.str_)}


def unpack(arrays: Arrays, views: int) -> Joined:
    """The inverse of `pack`."""
    cameras = []
    for number in range(views):
        values = {field.name: arrays[f"camera{number}.{field.name}"] for field in fields(Camera)}
        plain = {name: value.item() for name, value in values.items() if value.ndim == 0}
        cameras.append(Camera(**values | plain | {"size": tuple(values["size"].tolist())}))
    tracks = [stages.unpack_people(arrays, Track2D, f"tracks{number}.") for number in range(views)]
    motions = stages.unpack_people(arrays, Motion3D, "people.")
    return Joined(cameras, motions, tracks, json.loads(str(arrays["facts"])), tuple(arrays["warnings"].tolist()))
