"""What the report says of a scene that several cameras filmed: each view, its camera, and what speaks against it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.measures import (
    bone_variation,
    mean,
    median,
    position_uncertainty,
    reprojection_errors,
    reprojection_offsets,
    rounded,
    shared_joints,
    sure,
)
from pipeline.results import Array, Camera, ClipInfo, Scene, View

_WORSE, _WORTH_TELLING = 3.0, 0.03  # times the other views' misfit, and share of a person's height, that are told
_WORTH_TELLING_SHIFT = 0.015  # the same share where all keypoints of a view lie to one side
_MOSTLY, _SOMETIMES = 0.5, 0.05  # share of the frames that is told to the user, that is noted in the report
_COVERED = 0.8  # share of the scene's time below which it is told that a view films little of it
_NAMED = 6  # joints at most that are told by their names
_STRETCHED = 0.10  # variation of bone lengths that is told


def clip_facts(clip: ClipInfo) -> dict[str, Any]:
    """What the report says of a file."""
    names = ("path", "width", "height", "fps", "rotation", "variable_rate")
    facts = {name: getattr(clip, name) for name in names}
    return facts | {"frames": len(clip.times), "seconds": float(clip.times[-1]) + 1 / clip.fps}


def view_facts(view: View) -> dict[str, Any]:
    """A view's file, clock and camera."""
    return {
        "name": view.name,
        **clip_facts(view.clip),
        "offset_s": view.camera.offset_s,
        "clock_rate": view.camera.rate,
        "camera": _camera(view.camera),
    }


def _camera(camera: Camera) -> dict[str, Any]:
    """Where a camera moves: its first pose, and how far it goes."""
    poses = np.asarray(camera.camera_to_world, np.float64).reshape(-1, 4, 4)
    place = poses[:, :3, 3]
    facts = {
        "source": camera.source,
        "matrix": np.asarray(camera.matrix).tolist(),
        "distortion": np.asarray(camera.distortion).tolist(),
        "fisheye": camera.fisheye,
        "position_m": place[0].round(5).tolist(),
        "world_to_camera_rotation": poses[0, :3, :3].T.round(7).tolist(),
        "moves": len(poses) > 1,
    }
    return facts | ({"path_m": float(np.linalg.norm(np.diff(place, axis=0), axis=1).sum())} if len(poses) > 1 else {})


def view_quality(scene: Scene) -> list[dict[str, Any]]:
    """Per view: median error in px of each person whom it sees, of all together, and as a share of their height.

    Also what of that is a shift of all that was found in the view, right and down.
    """
    return [_of_view(scene, view) for view in scene.views]


def _of_view(scene: Scene, view: View) -> dict[str, Any]:
    offsets, heights = {}, {}
    for motion, track in zip(scene.people, view.tracks, strict=True):
        found = reprojection_offsets(motion, track, view.camera).reshape(-1, 2)
        if np.isfinite(found).any():
            offsets[motion.id] = found
            heights[motion.id] = median(track.boxes[:, 3] - track.boxes[:, 1])
    errors = {person: np.linalg.norm(found, axis=-1) for person, found in offsets.items()}
    shifts = [_joined([found[:, axis] for found in offsets.values()]) for axis in (0, 1)]
    slides = [_joined([found[:, axis] / heights[p] for p, found in offsets.items()]) for axis in (0, 1)]
    return {
        "reprojection_error_px": rounded(median(_joined(list(errors.values()))), 2),
        "reprojection_error_of_height": rounded(median(_joined([e / heights[p] for p, e in errors.items()])), 4),
        "reprojection_error_px_per_person": {str(person): rounded(median(e), 2) for person, e in errors.items()},
        "shift_px": [rounded(median(part), 2) for part in shifts],
        "shift_of_height": rounded(float(np.hypot(*(median(part) for part in slides))), 4),
        "covers": rounded(_covered(scene, view), 3),
    }


def _covered(scene: Scene, view: View) -> float:
    """The share of the scene's time during which the view films."""
    whole, own = scene.clip.times[-1] + 1 / scene.clip.fps, view.clip.times
    offset, rate = view.camera.offset_s, view.camera.rate
    begin = max(0.0, offset + rate * own[0])
    end = min(whole, offset + rate * (own[-1] + 1 / view.clip.fps))
    return max(0.0, float((end - begin) / whole))


def person_quality(scene: Scene, number: int) -> dict[str, Any]:
    """One person over all views: error, who sees each joint, and whether bones keep their lengths."""
    motion, pairs = scene.people[number], [(view.tracks[number], view.camera) for view in scene.views]
    errors = [reprojection_errors(motion, track, camera).ravel() for track, camera in pairs]
    heights = [median(track.boxes[:, 3] - track.boxes[:, 1]) for track, _ in pairs]
    scores = [track.scores[track.observed].ravel() for track, _ in pairs]
    seen = [sure(motion, track) for track, _ in pairs]
    count = np.sum(seen, axis=0)  # (T,S) views that see each joint
    few = (count < 2).mean(axis=0)
    names = shared_joints(motion, pairs[0][0])
    several = sum(of_view.any() for of_view in seen) > 1
    off = 1000 * position_uncertainty(motion, pairs, scene.clip.times) if several else np.full(count.shape, np.nan)
    return {
        "mean_keypoint_score": rounded(mean(_joined(scores)), 3),
        "height_px": rounded(max(heights, key=lambda height: height if np.isfinite(height) else -1.0), 1),
        "reprojection_error_px": rounded(median(_joined(errors)), 2),
        "seen_by": [view.name for view, of_view in zip(scene.views, seen, strict=True) if of_view.any()],
        "views_per_joint": (np.bincount(count.ravel(), minlength=len(pairs) + 1) / count.size).round(4).tolist(),
        "joints_of_fewer_than_two_views": {
            name: round(float(share), 3) for name, share in zip(names, few, strict=True) if share > _SOMETIMES
        },
        "position_uncertainty_mm": rounded(mean(off), 1),
        "position_uncertainty_mm_per_joint": {
            name: rounded(mean(of_joint), 1) for name, of_joint in zip(names, off.T, strict=True)
        },
        "bone_length_variation": rounded(bone_variation(motion), 4),
    }


def _joined(parts: list[Array]) -> Array:
    return np.concatenate(parts) if parts else np.empty(0)


def summary(scene: Scene) -> str:
    """How far the views agree on people's joints and how many there are, in words; "" where no two views tell."""
    texts = []
    for person in scene.quality["people"]:
        error, views = person["position_uncertainty_mm"], len(person["seen_by"])
        if error is not None:
            texts.append(f"on person {person['id']} to about {error:.0f} mm ({views} views)")
    return f"the views agree {', '.join(texts)}" if texts else ""


def doubts(scene: Scene) -> list[str]:
    """What speaks against a view or a person, in words; `scene.quality` is filled."""
    texts = [f"{view.name}: {text}" for view in scene.views[1:] for text in view.clip.warnings]
    for number, (view, measured) in enumerate(zip(scene.views, scene.quality["views"], strict=True)):
        if scene.people and not measured["reprojection_error_px_per_person"]:
            texts.append(f"{view.name}: sees nobody")
        if measured["covers"] < _COVERED:
            texts.append(f"{view.name}: films only {measured['covers']:.0%} of the scene's time")
        others = scene.quality["views"][:number] + scene.quality["views"][number + 1 :]
        texts += _misfit(view.name, measured, [o for o in others if o["reprojection_error_px"] is not None])
    for person in scene.quality["people"]:
        texts += _person_doubts(person)
    return texts


def _misfit(name: str, measured: dict[str, Any], others: list[dict[str, Any]]) -> list[str]:
    """Large errors, or smaller ones to one side, as noise has none: a moved camera, or a picture cut elsewhere."""

    def stands_out(value: str, least: float) -> bool:
        return measured[value] >= max(least, _WORSE * float(np.median([other[value] for other in others])))

    if not others or measured["reprojection_error_px"] is None:
        return []
    shifted = stands_out("shift_of_height", _WORTH_TELLING_SHIFT)
    if not shifted and not stands_out("reprojection_error_of_height", _WORTH_TELLING):
        return []
    error, share = measured["reprojection_error_px"], 100 * measured["reprojection_error_of_height"]
    usual = 100 * float(np.median([other["reprojection_error_of_height"] for other in others]))
    text = f"{name}: does not fit the others: its 3D poses lie {error:.0f} px beside what was found in it"
    text += f" ({share:.1f} % of a person's height, elsewhere {usual:.1f} %)"
    if shifted:
        text += ", mostly to one side ({:+.0f} px right, {:+.0f} down)".format(*measured["shift_px"])
    return [f"{text}; its camera or its timing may be wrong"]


def _person_doubts(person: dict[str, Any]) -> list[str]:
    texts, seen = [], person["seen_by"]
    if len(seen) == 1:
        texts.append(f"person {person['id']} is seen by {seen[0]} only: their size and distance are guessed")
    fewer = person["joints_of_fewer_than_two_views"]
    mostly = [name.replace("_", " ") for name, share in fewer.items() if share > _MOSTLY]
    if len(seen) > 1 and mostly:
        which = f"the {', '.join(mostly)}" if len(mostly) <= _NAMED else "most joints"
        texts.append(f"person {person['id']}: fewer than two views see {which} for sure most of the time")
    if (person["bone_length_variation"] or 0) > _STRETCHED:
        text = f"person {person['id']}: bones change their length by {person['bone_length_variation']:.0%}"
        texts.append(f"{text}; views may not be synchronous, or show different people")
    return texts
