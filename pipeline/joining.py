"""What several views saw, put together: one clock, one person each, cameras, and motion in one world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import InputError
from pipeline.options import Options
from pipeline.report import KEPT
from pipeline.results import Array, Camera, Motion3D, Track2D
from pipeline.skeletons import skeleton

if TYPE_CHECKING:
    from multiview.people import Owners, SeenPerson
    from pipeline.clip import Clip

UPRIGHT_DEG = 20.0  # a known rig whose Z differs more from the people's up than that is turned
MEETING = 0.6  # of the sightings must be of people whom several views see; bystanders are the rest
BODY = "h36m-23"


@dataclass(frozen=True)
class Seen:
    """One view by itself."""

    path: Path
    clip: Clip
    tracks: list[Track2D]
    lifted: list[Motion3D]  # frame "root"
    camera: Camera  # as far as the clip tells
    key: str  # of all that


@dataclass(frozen=True)
class Joined:
    """A scene: P people, and of each view its camera and a track per person."""

    cameras: list[Camera]
    motions: list[Motion3D]  # frame "world"
    tracks: list[list[Track2D]]  # [view][person], of length 0 where the view never saw them
    about: dict[str, Any]
    warnings: tuple[str, ...]


@dataclass
class _Notes:
    """What is told about a scene, gathered on the way."""

    about: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def join(seen: Sequence[Seen], options: Options) -> Joined:
    """All views together, on the first one's clock.

    Raises:
        InputError: a rig that does not fit the clips, clips without a common time, or too little to find cameras by.
    """
    from multiview.associate import associate
    from multiview.people import as_track, gather

    notes, times = _Notes(), seen[0].clip.info.times
    rig = _known_rig(seen, options, notes)
    unknown = [replace(one.camera, name=name) for one, name in zip(seen, names_of(seen), strict=True)]
    cameras = _on_one_clock(rig or unknown, seen, rig is not None, options, notes)
    tracks, lifted = _at(times, cameras, seen)
    if rig is None:
        cameras = _found_cameras(tracks, lifted, cameras, seen, options, notes)
        tracks, lifted = _at(times, cameras, seen)  # their clocks are known better now
    crowd = associate(cameras, tracks, times)
    notes.warnings += _strangers(crowd.seen, cameras, rig is not None)
    people = [gather(crowd.owners, person, tracks, lifted, len(times)) for person in range(len(crowd))]
    motions = [m for n, person in enumerate(people, 1) if (m := _motion(n, person, cameras, times)) is not None]
    cameras, motions = _upright(cameras, motions, times, rig is not None, notes)
    alone = [n for n in range(1, len(people) + 1) if n not in {m.id for m in motions}]
    motions += [m for n in alone if (m := _beside(n, people[n - 1], cameras, times)) is not None]
    views = [[as_track(people[m.id - 1], view, m.id) for m in motions] for view in range(len(seen))]
    return Joined(cameras, motions, views, notes.about, tuple(notes.warnings))


def names_of(seen: Sequence[Seen]) -> list[str]:
    """The files' stems, numbered where several are called alike."""
    stems = [one.path.stem for one in seen]
    return [f"{stem}_{n}" if stems.count(stem) > 1 else stem for n, stem in enumerate(stems, 1)]


def _known_rig(seen: Sequence[Seen], options: Options, notes: _Notes) -> list[Camera] | None:
    """The rig that the options name, fitted to the clips; None where none is named."""
    from multiview.rig import load_rig
    from multiview.rig_fit import fit_rig

    if options.cameras is None:
        return None
    given, told = load_rig(options.cameras)
    sizes = [(one.clip.info.width, one.clip.info.height) for one in seen]
    fitted, more = fit_rig(given, sizes, [one.path.name for one in seen])
    notes.warnings += [*told, *more]
    return fitted


def _on_one_clock(
    cameras: list[Camera], seen: Sequence[Seen], known: bool, options: Options, notes: _Notes
) -> list[Camera]:
    """The cameras with their clocks against the first one's."""
    if options.sync == "none":
        return [replace(c, offset_s=c.offset_s - cameras[0].offset_s) for c in cameras]
    from multiview.sync import synchronise
    from pipeline.sound import read_sound

    clocks = synchronise(
        [one.lifted for one in seen], [one.tracks for one in seen], [one.clip.info.times for one in seen],
        cameras if known else None, [read_sound(one.path) for one in seen],
    )  # fmt: skip
    for one, sure, why in zip(seen, clocks.reliable, clocks.reasons, strict=True):
        if not sure:
            hint = "--sync none, if the cameras were started together"
            raise InputError(f"{one.path.name} cannot be brought onto the clock of {seen[0].path.name}", why, hint)
    notes.about["sync"] = {
        "confidence": [round(float(c), 3) for c in clocks.confidence], "method": list(clocks.methods)
    }  # fmt: skip
    return [
        replace(c, offset_s=float(o), rate=float(r))
        for c, o, r in zip(cameras, clocks.offset_s, clocks.rate, strict=True)
    ]


def _at(
    times: Array, cameras: Sequence[Camera], seen: Sequence[Seen]
) -> tuple[list[list[Track2D]], list[list[Motion3D]]]:
    """Tracks and lifted motions at the scene's times, those that are there then."""
    from multiview.clock import motion_on_clock, on_clock

    tracks, lifted = [], []
    for one, camera in zip(seen, cameras, strict=True):
        clock = one.clip.info.times, times, camera.offset_s, camera.rate
        pairs = [(on_clock(t, *clock), motion_on_clock(m, *clock)) for t, m in zip(one.tracks, one.lifted, strict=True)]
        tracks.append([t for t, _ in pairs if len(t)])
        lifted.append([m for t, m in pairs if len(t)])
    if not any(len(t) for view in tracks[1:] for t in view) and any(one.tracks for one in seen[1:]):
        raise InputError(
            "the clips have no time in common with the first", hint="the clip that begins first goes first"
        )
    return tracks, lifted


def _found_cameras(
    tracks: list[list[Track2D]], lifted: list[list[Motion3D]], cameras: list[Camera], seen: Sequence[Seen],
    options: Options, notes: _Notes,
) -> list[Camera]:  # fmt: skip
    """Unknown cameras from the people whom several of them see."""
    from multiview.people import gather
    from multiview.self_calibrate import self_calibrate

    times = seen[0].clip.info.times
    moving = np.array([options.moving == "all" or (options.moving == "auto" and _moves(one)) for one in seen])
    owners, count = _alike(lifted, times, moving, notes)
    people = [gather(owners, person, tracks, lifted, len(times)) for person in range(count)]
    shared = [person for person in people if person.seen.any(axis=1).sum() > 1]
    unseen = [one.path.name for v, one in enumerate(seen) if not any(person.seen[v].any() for person in shared)]
    if unseen:
        why = f"nobody in {', '.join(unseen)} moves like somebody in another view"
        raise InputError("the cameras cannot be found from the people", why, "--cameras RIG, or leave that view out")
    focal_known = np.array([camera.source != "default" for camera in cameras])
    found = self_calibrate(shared, cameras, times, moving, focal_known, options.height_m)
    sure = {name: np.round(value, 4).tolist() for name, value in vars(found.uncertainty).items()}
    notes.about["calibration"] = {"uncertainty": sure, "moving": moving.tolist()}
    notes.warnings += found.warnings
    return found.cameras


def _strangers(seen: Array, cameras: Sequence[Camera], known: bool) -> list[str]:
    """What is told where too little of what the views saw meets in another view; `seen` (P,V) frames."""
    together = np.where((seen > 0).sum(axis=1, keepdims=True) > 1, seen, 0)
    total, shared = seen.sum(axis=0), together.sum(axis=0)
    if (total > 0).sum() < 2 or shared.sum() > MEETING * total.sum():
        return []
    alone = [c.name for c, some, of in zip(cameras, total, shared, strict=True) if of < MEETING * some]
    cause = "the calibration may be of other cameras, or the clips not synchronous" if known else "see the report"
    return [f"most of what {', '.join(alone) or 'the views'} saw meets nobody in another view: {cause}"]


def _alike(lifted: list[list[Motion3D]], times: Array, moving: Array, notes: _Notes) -> tuple[Owners, int]:
    """Who is who by their lifted poses: [view][track] the person of each frame, and how many there are."""
    from multiview.identity import identify

    poses = [np.full((len(view), len(times), len(skeleton(BODY)), 3), np.nan) for view in lifted]
    for rows, view in zip(poses, lifted, strict=True):
        for row, motion in zip(rows, view, strict=True):
            row[motion.frames, : motion.joints.shape[1]] = motion.joints
    found = identify(poses, times, moving)
    notes.about["identity"] = {"similarity": [round(float(s), 3) for s in found.similarity]}
    if found.doubtful:
        notes.warnings.append("who is who in the views is not sure: several people move alike")
    owners = [[np.full(len(motion), -1) for motion in view] for view in lifted]
    for person, group in enumerate(found.groups):
        for view, track in group.items():
            owners[view][track][:] = person
    return owners, len(found.groups)


def _moves(one: Seen, count: int = 8, apart_s: float = 0.25, width: int = 480) -> bool:
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
    return bool(moves(pairs))


def _motion(number: int, person: SeenPerson, cameras: list[Camera], times: Array) -> Motion3D | None:
    """A person in the cameras' world; None where no two views agree on any joint."""
    from multiview.known import reconstruct
    from multiview.people import to_body, touching

    if not (person.seen.sum(axis=0) > 1).any():
        return None
    try:
        whole = reconstruct(
            cameras, person.keypoints, person.scores, times, skeleton(person.skeleton), skeleton(BODY),
            partial(to_body, source=person.skeleton), person.poses, person.pose_scores,
        )  # fmt: skip
    except ValueError:
        return None
    there = np.flatnonzero(person.seen.any(axis=0))
    frames = np.arange(there[0], there[-1] + 1, dtype=np.int32)
    points = whole.motion.points[frames].astype(np.float32)
    contacts = touching(person)
    return Motion3D(
        number, BODY, "world", frames, points, whole.motion.scores[frames].astype(np.float32), points[:, 0],
        person.observed.any(axis=0)[frames], None if contacts is None else contacts[frames],
    )  # fmt: skip


def _upright(
    cameras: list[Camera], motions: list[Motion3D], times: Array, known: bool, notes: _Notes
) -> tuple[list[Camera], list[Motion3D]]:
    """The world with Z up and the floor at 0; a known rig that has Z up keeps its own."""
    from motion.settle import settle

    still = next((c for c in cameras if np.ndim(c.camera_to_world) == 2), None)
    eye = still.camera_to_world if still is not None else cameras[0].camera_to_world[0]
    local = [_moved(motion, np.linalg.inv(eye), "camera") for motion in motions]
    above, about = settle(local, times)
    notes.about |= about
    change = above @ np.linalg.inv(eye)
    tilt = float(np.degrees(np.arccos(np.clip(change[2, 2], -1, 1))))
    if known and tilt < UPRIGHT_DEG:
        notes.about |= {"world": KEPT, "rig_tilt_deg": round(tilt, 2), "rig_floor_m": round(-change[2, 3], 3)}
        return cameras, motions
    if known:
        notes.warnings.append(f"the rig's Z axis is not up ({tilt:.0f} degrees off): its world was turned")
        notes.about["rig_to_world"] = change.round(9).tolist()
    notes.about["world"] = "above the first camera's floor"
    turned = [replace(c, camera_to_world=change @ c.camera_to_world) for c in cameras]
    return turned, [_moved(motion, change, "world") for motion in motions]


def _moved(motion: Motion3D, change: Array, frame: str) -> Motion3D:
    joints = (motion.joints.astype(float) @ change[:3, :3].T + change[:3, 3]).astype(np.float32)
    return replace(motion, frame=frame, joints=joints, root=joints[:, 0])


def _beside(number: int, person: SeenPerson, cameras: list[Camera], times: Array) -> Motion3D | None:
    """Somebody whom only one view saw, by that view's lift; None where it moves or sees too little."""
    from motion.beside import beside
    from multiview.people import as_motion, as_track

    view = int(person.seen.sum(axis=1).argmax())
    if np.ndim(cameras[view].camera_to_world) != 2:
        return None
    return beside(as_motion(person, view, number), as_track(person, view, number), cameras[view], times)
