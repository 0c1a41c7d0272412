"""What a run says of itself: options, versions, weights, timings, quality and warnings."""

from __future__ import annotations

import dataclasses
import json
import math
import platform
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import VERSION
from pipeline.choices import chosen_class, versions
from pipeline.files import atomic
from pipeline.measures import jitter, lowest, mean, median, reprojection_errors, rounded
from pipeline.options import Options
from pipeline.report_views import clip_facts, doubts, person_quality, view_facts, view_quality
from pipeline.results import Scene

MISFIT = 0.15  # of the person's height in the picture, that 3D joints may lie off their keypoints
SUNK_M = 0.15  # depth below the floor that is told
LEVELS_M = 0.08  # difference of two people's lowest, and height above the floor of one's, that are told
EMPTY = 0.15  # share of the frames without anybody that is told
KEPT = "as the rig has it"  # the world of a rig whose Z is up
PACKAGES = ("av", "numpy", "opencv-python-headless", "openvino", "rich", "scipy", "typer")


def provenance(options: Options, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """Options, versions and the hashes and licences of the weights in use.

    Args:
        given: what is known of the file that the options name for the lifter, if they name one.
    """
    from checkpoints.card import card
    from checkpoints.store import digest, sha256

    detector = chosen_class("detector", options.detector)
    uses = detector.uses(**options.detector_choices)
    files = {str(path): {"sha256": sha256(path)} for path in uses if isinstance(path, Path)}
    names = [name for name in uses if isinstance(name, str)]
    names += getattr(chosen_class("tracker", options.tracker), "weights", ())
    if options.weights is None:
        names += chosen_class("lifter", options.lifter).weights
    return {
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(options).items()},
        "version": VERSION,
        "python": platform.python_version(),
        "packages": versions((*PACKAGES, *detector.packages)),
        "weights": {name: {"sha256": digest(name), "licence": card(name).licence} for name in dict.fromkeys(names)}
        | files
        | ({options.weights.name: given} if options.weights else {}),
    }


def quality(scene: Scene) -> dict[str, Any]:
    """Figures per person, and of several views per view, that tell how far a result may be trusted."""
    people = [_of_person(scene, number) for number in range(len(scene.people))]
    return {"people": people} | ({"views": view_quality(scene)} if scene.views else {})


def _of_person(scene: Scene, number: int) -> dict[str, Any]:
    motion, track = scene.people[number], scene.tracks[number]
    if scene.views:
        seen = person_quality(scene, number)
    else:
        seen = {
            "mean_keypoint_score": rounded(mean(track.scores[track.observed]), 3),
            "height_px": rounded(median(track.boxes[:, 3] - track.boxes[:, 1]), 1),
            "reprojection_error_px": rounded(median(reprojection_errors(motion, track, scene.camera)), 2),
        }
    return {
        "id": motion.id,
        "frames": len(motion),
        "first_frame": int(motion.frames[0]),
        "observed": round(float(motion.observed.mean()), 4),
        **seen,
        "jitter_m_s2": rounded(jitter(motion.joints, scene.clip.times[motion.frames]), 2),
        "lowest_m": rounded(lowest(motion), 3),
    }


def warnings(scene: Scene) -> list[str]:
    """What a user should know before trusting the result; what is about one of several views begins with its name."""
    of = f"{scene.views[0].name}: " if scene.views else ""
    texts = [*scene.provenance.get("joining", ()), *(of + text for text in scene.clip.warnings)]
    if not scene.people:
        texts.append("nobody was found")
    if scene.clip.fps < 20 and len(scene.clip.times) > 1:
        texts.append(f"only {scene.clip.fps:.3g} frames per second: fast motion is lost between frames")
    texts += _empty(scene)
    for motion in scene.people:
        if not np.isfinite(motion.joints).any():
            texts.append(f"person {motion.id} has no usable 3D pose")
    placement = scene.provenance.get("placement", {})
    people = [_above(person, placement.get("rig_floor_m", 0.0)) for person in scene.quality.get("people", [])]
    for person in people:
        if person["height_px"] is not None and person["height_px"] < 100:
            texts.append(f"person {person['id']} is only {person['height_px']:.0f} px high")
        if person["observed"] < 0.8:
            texts.append(f"person {person['id']} was seen in only {person['observed']:.0%} of the frames")
        texts += _doubts(person)
    texts += _levels(people, placement)
    if scene.views:
        texts += doubts(scene)
    if scene.people and placement.get("up") == "prior" and placement.get("world") != KEPT:
        tilt = placement.get("tilt_error_deg") or 0
        texts.append(f"the feet hardly tell how the floor is tilted: people may lean by {tilt:.0f} degrees or more")
    return texts


def _empty(scene: Scene) -> list[str]:
    """How much of the clip has no skeleton, where that is much, and when for longest."""
    times = scene.clip.times
    empty = ~np.isin(np.arange(len(times)), np.concatenate([np.zeros(0, int), *(m.frames for m in scene.people)]))
    if not scene.people or empty.mean() < EMPTY:
        return []
    begin, end = np.flatnonzero(np.diff(empty, prepend=False, append=False)).reshape(-1, 2).T
    k = int(np.argmax(end - begin))
    longest = f"the longest time from {times[begin[k]]:.1f} s to {times[end[k] - 1]:.1f} s"
    return [f"nobody is followed in {empty.mean():.0%} of the frames, {longest}"]


def _above(person: dict[str, Any], floor_m: float) -> dict[str, Any]:
    """Measured from the floor; how far a rig's zero lies off it is told by itself."""
    low = person["lowest_m"]
    return person | {"lowest_m": None if low is None else low - floor_m}


def _doubts(person: dict[str, Any]) -> list[str]:
    """What speaks against one person's motion."""
    texts, error, height = [], person["reprojection_error_px"], person["height_px"]
    if error is not None and height is not None and error > MISFIT * height:
        texts.append(f"person {person['id']}: the 3D pose does not fit the picture ({error:.0f} px off)")
    if person["lowest_m"] is not None and person["lowest_m"] < -SUNK_M:
        text = f"person {person['id']} is up to {-person['lowest_m']:.2f} m below the floor"
        texts.append(f"{text}: more than one level, or feet that are not seen")
    return texts


def _levels(people: list[dict[str, Any]], placement: dict[str, Any]) -> list[str]:
    """Where people's feet do not come down to one floor; who is deep below it is told already."""
    if placement.get("one_floor") is False:
        return ["people stand on different levels, no statures bring them onto one: sizes and distances are less sure"]
    known = [(person["lowest_m"], person["id"]) for person in people if person["lowest_m"] is not None]
    if not known or min(known)[0] < -SUNK_M:
        return []
    (least, low), (most, high) = min(known), max(known)
    cause = "more than one level, a tilted floor, or feet that are not seen"
    if most - least > LEVELS_M:
        return [f"person {high} stays {most - least:.2f} m higher than person {low}: {cause}"]
    return [f"person {high} stays {most:.2f} m above the floor: {cause}"] if most > LEVELS_M else []


def write_report(scene: Scene, file: Path) -> None:
    """Write report.json. Raises OutputError."""
    camera = {"matrix": scene.camera.matrix.tolist(), "source": scene.camera.source}
    report = {"schema": 1, "clip": clip_facts(scene.clip), "camera": camera, **scene.provenance}
    report["quality"] = {"people": scene.quality.get("people", [])}
    if scene.views:
        measured = scene.quality["views"]
        report["views"] = [view_facts(v) | of_view for v, of_view in zip(scene.views, measured, strict=True)]
    with atomic(file) as temporary:
        temporary.write_text(json.dumps(finite(report), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def finite(value: Any) -> Any:
    """The same with None for every NaN and infinity in it, which JSON does not know."""
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
