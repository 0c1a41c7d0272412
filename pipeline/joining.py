"""What several views saw, put together: one clock, one person each, cameras, and motion in one world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import InputError
from pipeline.options import Options
from pipeline.report import KEPT
from pipeline.results import Array, Camera, Motion3D, Track2D
from pipeline.skeletons import skeleton
from pipeline.view_cameras import BODY, Notes, Seen, found_cameras, on_one_clock

if TYPE_CHECKING:
    from multiview.people import SeenPerson

UPRIGHT_DEG, SURELY_DEG = 20.0, 45.0  # a known rig's Z may differ so far from the people's up before it is turned
TOLD_M, TOLD_DEG = 0.1, 5.0  # of a kept rig's floor and up
TOLD_SIZE = 0.1  # by which a measured height may differ from the given one
MEETING = 0.6  # of the sightings must be of people whom several views see; bystanders are the rest


@dataclass(frozen=True)
class Joined:
    """A scene: P people, and of each view its camera and a track per person."""

    cameras: list[Camera]
    motions: list[Motion3D]  # frame "world"
    tracks: list[list[Track2D]]  # [view][person], of length 0 where the view never saw them
    about: dict[str, Any]
    warnings: tuple[str, ...]


def join(seen: Sequence[Seen], rig: list[Camera], options: Options, tell: Callable[[str], None]) -> Joined:
    """All views together, on the first one's clock.

    Args:
        rig: a camera per view that is known; none: they are found.
        tell: hears of each step before it begins: clocks, cameras, people.

    Raises:
        InputError: clips without a common time, a rig of exchanged cameras, or too little to find cameras by.
    """
    from multiview.associate import associate
    from multiview.people import as_track, gather

    notes, times = Notes(), seen[0].clip.info.times
    if options.sync != "none":
        tell("clocks")
    try:
        cameras = on_one_clock(rig or [one.camera for one in seen], seen, bool(rig), options, notes)
    except InputError:
        if rig:  # motions contradict each other before exchanged cameras, too; then that is the reason to tell
            _in_order(rig, _at(times, rig, seen, Notes())[0], seen, options)
        raise
    if not any(one.tracks for one in seen):
        return Joined(cameras, [], [[] for _ in seen], notes.about, tuple(notes.warnings))
    tracks, lifted = _at(times, cameras, seen, notes)
    if rig:
        _in_order(cameras, tracks, seen, options)
    else:
        tell("cameras")
        cameras = found_cameras(tracks, lifted, cameras, seen, options, notes)
        tracks, lifted = _at(times, cameras, seen, Notes())  # their clocks are known better now
    tell("people")
    crowd = associate(cameras, tracks, times)
    notes.warnings[:0] = _strangers(crowd.seen, cameras, bool(rig))
    people = [gather(crowd.owners, person, tracks, lifted, len(times)) for person in range(len(crowd))]
    motions = [m for n, person in enumerate(people, 1) if (m := _motion(n, person, cameras, times)) is not None]
    cameras, motions = _sized(cameras, motions, bool(rig), options.height_m, notes)
    cameras, motions, floor = _upright(cameras, motions, times, bool(rig), notes)
    alone = [n for n in range(1, len(people) + 1) if n not in {m.id for m in motions}]
    motions += [m for n in alone if (m := _beside(n, people[n - 1], cameras, times, floor)) is not None]
    views = [[as_track(people[m.id - 1], view, m.id) for m in motions] for view in range(len(seen))]
    return Joined(cameras, motions, views, notes.about, tuple(notes.warnings))


def _at(
    times: Array, cameras: Sequence[Camera], seen: Sequence[Seen], notes: Notes
) -> tuple[list[list[Track2D]], list[list[Motion3D]]]:
    """Tracks and lifted motions at the scene's times, those that are there then."""
    from multiview.clock import motion_on_clock, on_clock, thawed

    tracks, lifted = [], []
    for one, camera in zip(seen, cameras, strict=True):
        own, clock = one.clip.info.times, (times, camera.offset_s, camera.rate)
        live = [thawed(track, own) for track in one.tracks]
        frozen = sum(int(t.observed.sum() - rest.observed.sum()) for t, rest in zip(one.tracks, live, strict=True))
        if frozen:
            notes.warnings.append(f"{camera.name}: the picture stands still for {frozen} sightings, which are left out")
        pairs = [
            (on_clock(t, own, *clock), motion_on_clock(m, own, *clock)) for t, m in zip(live, one.lifted, strict=True)
        ]
        tracks.append([t for t, _ in pairs if len(t)])
        lifted.append([m for t, m in pairs if len(t)])
        if one.tracks and not tracks[-1]:
            hint = "the clip that begins first goes first; --sync none says that they began together"
            raise InputError(f"nobody in {one.path.name} is seen while {seen[0].path.name} films", hint=hint)
    return tracks, lifted


def _in_order(
    cameras: Sequence[Camera], tracks: Sequence[Sequence[Track2D]], seen: Sequence[Seen], options: Options
) -> None:
    """Raises InputError where the videos fit the rig's cameras in another order."""
    from multiview.exchanged import better_order

    order = better_order(cameras, tracks, len(seen[0].clip.info.times))
    if order is None:
        return
    wrong = [(one, v, i) for v, (one, i) in enumerate(zip(seen, order, strict=True)) if v != i]
    raise InputError(
        f"the cameras of {options.cameras} are exchanged",
        "; ".join(f"{one.path.name} fits {cameras[i].name}, not {cameras[v].name}" for one, v, i in wrong),
        "other names in the rig's file, or other names or another order of the videos",
    )


def _strangers(seen: Array, cameras: Sequence[Camera], known: bool) -> list[str]:
    """What is told where too little of what the views saw meets in another view; `seen` (P,V) frames."""
    together = np.where((seen > 0).sum(axis=1, keepdims=True) > 1, seen, 0)
    total, shared = seen.sum(axis=0), together.sum(axis=0)
    if (total > 0).sum() < 2 or shared.sum() > MEETING * total.sum():
        return []
    alone = [c.name for c, some, of in zip(cameras, total, shared, strict=True) if of < MEETING * some]
    text = f"most of what {', '.join(alone) or 'the views'} saw meets nobody in another view"
    if not known:
        return [f"{text}: the cameras found may be wrong; --cameras RIG, or leave out a view of something else"]
    cause = "the calibration may be of other cameras, or the clips not synchronous"
    return [f"do not trust this scene: {text}; {cause}"]


def _motion(number: int, person: SeenPerson, cameras: list[Camera], times: Array) -> Motion3D | None:
    """A person in the cameras' world; None where no two views agree on any joint."""
    from multiview.complete import NothingSeen
    from multiview.known import reconstruct
    from multiview.people import to_body, touching

    if not (person.seen.sum(axis=0) > 1).any():
        return None
    try:
        whole = reconstruct(
            cameras, person.keypoints, person.scores, times, skeleton(person.skeleton), skeleton(BODY),
            partial(to_body, source=person.skeleton), person.poses, person.pose_scores,
        )  # fmt: skip
    except NothingSeen:
        return None
    there = np.flatnonzero(person.seen.any(axis=0))
    frames = np.arange(there[0], there[-1] + 1, dtype=np.int32)
    points = whole.motion.points[frames].astype(np.float32)
    contacts = touching(person)
    return Motion3D(
        number, BODY, "world", frames, points, whole.motion.scores[frames].astype(np.float32), points[:, 0],
        person.observed.any(axis=0)[frames], None if contacts is None else contacts[frames],
    )  # fmt: skip


def _sized(
    cameras: list[Camera], motions: list[Motion3D], known: bool, height_m: float | None, notes: Notes
) -> tuple[list[Camera], list[Motion3D]]:
    """With the first person as tall as told; a known rig has its own size, and what differs is told."""
    from motion.bones import bone_lengths, stature

    body = skeleton(BODY)
    tall = {m.id: stature(bone_lengths(m.joints, m.scores, body), body) for m in motions}
    first, factor = motions[0].id if motions else 0, 1.0
    scale = KEPT if known else "mean stature"
    if height_m is not None and motions and not np.isfinite(tall[first]):
        notes.warnings.append(f"--height was not used: the legs, trunk or head of person {first} are never seen")
    elif height_m is not None and motions:
        factor = height_m / tall[first]
        if known and abs(factor - 1) > TOLD_SIZE:
            text = f"person {first} is {tall[first]:.2f} m tall by the rig, not {height_m:.2f} m: are its units right?"
            notes.warnings.append(text)
        factor, scale = (1.0, scale) if known else (factor, f"height given for person {first}")
    statures = {person: round(factor * metres, 3) for person, metres in tall.items() if np.isfinite(metres)}
    notes.about |= {"scale": scale, "stature_m": statures}
    if factor == 1:
        return cameras, motions
    poses = [np.array(camera.camera_to_world, float) for camera in cameras]
    for pose in poses:
        pose[..., :3, 3] *= factor
    cameras = [replace(camera, camera_to_world=pose) for camera, pose in zip(cameras, poses, strict=True)]
    if sure := notes.about.get("calibration", {}).get("uncertainty"):
        sure["centre_m"] = [round(factor * metres, 4) for metres in sure["centre_m"]]
    return cameras, [replace(m, joints=m.joints * factor, root=m.root * factor) for m in motions]


def _upright(
    cameras: list[Camera], motions: list[Motion3D], times: Array, known: bool, notes: Notes
) -> tuple[list[Camera], list[Motion3D], float]:
    """The world with Z up and the floor at 0; a known rig with Z up keeps its own. Also the floor's height there."""
    from motion.settle import settle

    if known and not motions:
        return cameras, motions, 0.0
    still = next((c for c in cameras if np.ndim(c.camera_to_world) == 2), None)
    eye = still.camera_to_world if still is not None else cameras[0].camera_to_world[0]
    above, about = settle([_moved(motion, np.linalg.inv(eye), "camera") for motion in motions], times)
    notes.about |= about
    change = above @ np.linalg.inv(eye)
    tilt = float(np.degrees(np.arccos(np.clip(change[2, 2], -1, 1))))
    most = max(UPRIGHT_DEG if about["up"] == "feet" else SURELY_DEG, 3 * about["tilt_error_deg"])
    if known and tilt < most:
        floor = -float(change[2, 3])
        notes.about |= {"world": KEPT, "rig_tilt_deg": round(tilt, 2), "rig_floor_m": round(floor, 3)}
        if about["floor"] == "feet" and abs(floor) > TOLD_M:
            notes.warnings.append(f"people stand {floor:+.2f} m from the rig's zero, which was kept")
        if about["up"] == "feet" and tilt > TOLD_DEG:
            notes.warnings.append(f"the rig's Z axis, which was kept, leans by {tilt:.0f} degrees")
        return cameras, motions, floor
    if known:
        notes.warnings.append(f"the rig's Z axis is not up ({tilt:.0f} degrees off): its world was turned")
        notes.about["rig_to_world"] = change.round(9).tolist()
    notes.about["world"] = "above the first camera's floor"
    turned = [replace(c, camera_to_world=change @ c.camera_to_world) for c in cameras]
    return turned, [_moved(motion, change, "world") for motion in motions], 0.0


def _moved(motion: Motion3D, change: Array, frame: str) -> Motion3D:
    joints = (motion.joints.astype(float) @ change[:3, :3].T + change[:3, 3]).astype(np.float32)
    return replace(motion, frame=frame, joints=joints, root=joints[:, 0])


def _beside(number: int, person: SeenPerson, cameras: list[Camera], times: Array, floor: float) -> Motion3D | None:
    """Somebody whom only one view saw, by that view's lift; None where it moves or sees too little."""
    from motion.beside import beside
    from multiview.people import as_motion, as_track

    view = int(person.seen.sum(axis=1).argmax())
    camera, track = cameras[view], as_track(person, view, number)
    if np.ndim(camera.camera_to_world) != 2:
        return None
    return beside(as_motion(person, view, number), track, camera, times, floor)
