"""The cameras of several views: a rig that is known, or found from the people; and their clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import InputError
from pipeline.options import Options
from pipeline.results import Array, Camera, ClipInfo, Motion3D, Track2D

if TYPE_CHECKING:
    from multiview.people import Owners
    from pipeline.clip import Clip


BODY = "h36m-23"


@dataclass(frozen=True)
class Seen:
    """One view by itself."""

    path: Path
    clip: Clip
    tracks: list[Track2D]
    lifted: list[Motion3D]  # frame "root"
    camera: Camera  # named; as far as the clip or the rig tells
    key: str  # of all that


@dataclass
class Notes:
    """What is told about a scene, gathered on the way."""

    about: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def names_of(paths: Sequence[Path]) -> list[str]:
    """The files' stems; where several are called alike, with their folders' names or numbers."""
    stems = [path.stem for path in paths]
    if len(set(stems)) < len(stems):
        stems = [f"{path.parent.name}_{path.stem}" if path.parent.name else path.stem for path in paths]
    taken: list[str] = []
    for number, stem in enumerate(stems, 1):
        taken.append(stem if stems.count(stem) == 1 else f"{stem}_{number}")
    return taken if len(set(taken)) == len(taken) else [f"view_{n}" for n in range(1, len(paths) + 1)]


def known_rig(paths: Sequence[Path], infos: Sequence[ClipInfo], options: Options) -> tuple[list[Camera], list[str]]:
    """The rig that the options name, fitted to the clips, and what was assumed; empty where none is named.

    Raises:
        InputError: a file that cannot be read, or a rig that does not fit the clips.
    """
    from multiview.rig import load_rig
    from multiview.rig_fit import fit_rig

    if options.cameras is None:
        return [], []
    given, told = load_rig(options.cameras)
    fitted, more = fit_rig(given, [(info.width, info.height) for info in infos], [str(path) for path in paths])
    return fitted, [*told, *more]


def on_one_clock(
    cameras: list[Camera], seen: Sequence[Seen], known: bool, options: Options, notes: Notes
) -> list[Camera]:
    """The cameras with their clocks against the first one's; a view without people keeps what its rig says.

    Raises:
        InputError: a view whose clock cannot be told.
    """
    first = cameras[0]
    cameras = [
        replace(c, offset_s=(c.offset_s - first.offset_s) / first.rate, rate=c.rate / first.rate) for c in cameras
    ]
    seeing = [v for v, one in enumerate(seen) if one.tracks]
    if options.sync == "none" or len(seeing) < 2 or 0 not in seeing:
        return cameras
    from multiview.sync import synchronise
    from pipeline.sound import read_sound

    clocks = synchronise(
        [seen[v].lifted for v in seeing], [seen[v].tracks for v in seeing], [seen[v].clip.info.times for v in seeing],
        [cameras[v] for v in seeing] if known else None,
        [read_sound(seen[v].path) if seen[v].clip.sound else None for v in seeing],
    )  # fmt: skip
    for v, sure, why in zip(seeing, clocks.reliable, clocks.reasons, strict=True):
        if not sure:
            hint = "--sync none, if the cameras were started together and show one scene"
            hint += "; without --cameras, if the rig may be another's" if known else ""
            raise InputError(f"{seen[v].path.name} cannot be brought onto the clock of {seen[0].path.name}", why, hint)
    for v, offset, rate in zip(seeing, clocks.offset_s, clocks.rate, strict=True):
        cameras[v] = replace(cameras[v], offset_s=float(offset), rate=float(rate))
    notes.about["sync"] = {
        "confidence": [round(float(c), 3) for c in clocks.confidence], "method": list(clocks.methods)
    }  # fmt: skip
    return cameras


def found_cameras(
    tracks: list[list[Track2D]], lifted: list[list[Motion3D]], cameras: list[Camera], seen: Sequence[Seen],
    options: Options, notes: Notes,
) -> list[Camera]:  # fmt: skip
    """Unknown cameras from the people whom several of them see, sized for a person of average height.

    Raises:
        InputError: too little that the views share.
    """
    from multiview.people import Apart, gather
    from multiview.self_calibrate import FOCAL_SIGMA, GIVEN_SIGMA, NOTED_SIGMA, self_calibrate

    times = seen[0].clip.info.times
    moving = np.array([options.moving == "all" or (options.moving == "auto" and _moves(one, notes)) for one in seen])
    owners, count = _alike(lifted, times, moving, notes)
    people = (gather(owners, person, tracks, lifted, len(times)) for person in range(count))
    shared = [person for person in people if (person.seen.sum(axis=0) > 1).any()]
    unseen = [one.path.name for v, one in enumerate(seen) if not any(person.seen[v].any() for person in shared)]
    what, hint = "the cameras cannot be found from the people", "--cameras RIG, or leave that view out"
    if unseen:
        raise InputError(what, f"nobody in {', '.join(unseen)} moves like somebody in another view", hint)
    sure_of = {"default": FOCAL_SIGMA, "file": NOTED_SIGMA}  # first words of what a camera says of its focal length
    sigma = np.array([sure_of.get(camera.source.split(":")[0].split()[0], GIVEN_SIGMA) for camera in cameras])
    try:
        found = self_calibrate(shared, cameras, times, moving, sigma)
    except Apart as error:
        names = ", ".join(seen[v].path.name for v in error.views)
        raise InputError(what, f"nobody in {names} is seen at the same time by another view", hint) from error
    except (ValueError, np.linalg.LinAlgError) as error:
        raise InputError(what, str(error), hint) from error
    sure = {name: np.round(value, 4).tolist() for name, value in vars(found.uncertainty).items()}
    notes.about["calibration"] = {
        "uncertainty": sure, "moving": moving.tolist(), "swapped": np.round(found.swapped, 3).tolist(),
        "reprojection_px": np.round(found.reprojection_px, 2).tolist(),
    }  # fmt: skip
    notes.warnings += found.warnings
    return found.cameras


def _alike(lifted: list[list[Motion3D]], times: Array, moving: Array, notes: Notes) -> tuple[Owners, int]:
    """Who is who by their lifted poses: [view][track] the person of each frame, and how many several views see."""
    from multiview.identity import identify

    found = identify(lifted, times, moving)
    notes.about["identity"] = {"similarity": [round(float(s), 3) for s in found.similarity]}
    if found.doubtful:
        notes.warnings.append("who is who in the views is not sure: several people move alike")
    owners = [[np.full(len(motion), -1) for motion in view] for view in lifted]
    for person, group in enumerate(found.groups):
        for view, track in group.items():
            owners[view][track][:] = person
    return owners, sum(len(group) > 1 for group in found.groups)


def _moves(one: Seen, notes: Notes, count: int = 8, apart_s: float = 0.25, width: int = 480) -> bool:
    """Does the view's camera move? A few pairs of pictures, spread over the clip, tell."""
    import cv2

    from multiview.stillness import moves

    info = one.clip.info
    size = width, max(2, round(info.height * width / info.width))
    step, scale = max(1, round(apart_s * info.fps)), width / info.width
    starts = np.unique(np.linspace(0, max(0, len(info.times) - 1 - step), count).astype(int))
    pairs = []
    for start in starts[starts + step < len(info.times)].tolist():
        pictures = [p for i, p in enumerate(one.clip.frames(start, start + step + 1, size)) if i in (0, step)]
        first, second = (cv2.cvtColor(p, cv2.COLOR_BGR2GRAY) for p in pictures)
        boxes = [t.boxes[start - t.frames[0]] for t in one.tracks if t.frames[0] <= start <= t.frames[-1]]
        there = [box * scale for box in boxes if np.isfinite(box).all()]
        pairs.append((first, second, np.array(there).reshape(-1, 4)))
    told = moves(pairs)
    if told is None:
        text = "nothing behind the people tells whether it moves: taken to stand still"
        notes.warnings.append(f"{one.camera.name}: {text}")
    return bool(told)
