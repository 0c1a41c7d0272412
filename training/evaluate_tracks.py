"""Stored tracks beside the truth of a clip -> how well people are told apart and their joints found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, MissingError
from training.datasets import tracked

SHARES = {"mota": "MOTA", "motp": "MOTP (mean overlap)", "idf1": "IDF1", "hota": "HOTA", "deta": "DetA",
          "assa": "AssA"}  # fmt: skip
COUNTS = {"switches": "ID switches", "fragments": "fragments", "missed": "missed", "false": "false",
          "people_frames": "people-frames", "people": "people", "tracks": "tracks"}  # fmt: skip


def evaluate(truth: Path, predictions: Path, view: int = 1) -> dict[str, Any]:
    """Score stored tracks; `posetrack_mota` and `keypoints` are None where the files do not tell enough.

    Args:
        view: of files of several cameras, which one, from 1.

    Raises:
        InputError: files that are missing, damaged, without ids, or of other frames.
        MissingError: the packages that count are not installed.
    """
    ours, theirs = tracked.read(truth, view), tracked.read(predictions, view)
    try:
        from training.tracking import in_frames, pair, score
        from training.tracking_keypoints import average_precision, posetrack_mota

        pairing = pair(ours, theirs)
        found: dict[str, Any] = {"frames": len(ours.frames), **score(pairing)}
        found["posetrack_mota"] = posetrack_mota(pairing)
        found["keypoints"] = average_precision(ours, in_frames(ours, theirs))
    except ValueError as error:
        raise InputError(f"cannot score {predictions} against {truth}", str(error)) from error
    except ModuleNotFoundError as error:
        hint = "pip install -r requirements-train.txt"
        raise MissingError("metrics of tracks need packages that a run does not", str(error), hint) from error
    return found


def as_json(found: Mapping[str, Any]) -> str:
    """What there is nothing of is null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: plain(inner) for name, inner in value.items()}
        return None if isinstance(value, float) and isnan(value) else value

    return json.dumps(plain(found), indent=1, allow_nan=False)


def text(found: Mapping[str, Any]) -> str:
    """The figures for people to read."""
    rows = [(label, f"{100 * found[name]:.1f} %") for name, label in SHARES.items()]
    rows += [(label, str(found[name])) for name, label in COUNTS.items()]
    if found["posetrack_mota"]:
        rows.append(("PoseTrack MOTA", f"{100 * found['posetrack_mota']['mean']:.1f} %"))
        rows += [(f"  {joint}", f"{100 * value:.1f} %") for joint, value in found["posetrack_mota"].items()
                 if joint != "mean"]  # fmt: skip
    if found["keypoints"]:
        names = {"ap": "keypoint AP (OKS)", "ap50": "  at 0.50", "ap75": "  at 0.75", "ar": "keypoint AR"}
        rows += [(names[name], f"{100 * value:.1f} %") for name, value in found["keypoints"].items()]
    wide = max(len(label) for label, _ in rows)
    return "\n".join([f"{found['frames']} frames", *(f"{label:<{wide}}  {value:>9}" for label, value in rows)])
