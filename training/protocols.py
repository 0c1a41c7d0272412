"""How papers turn errors of sequences into the numbers of their tables.

The same name, MPJPE on Human3.6M, is two quantities: VideoPose3D's and MotionBERT's numbers rest on other truth, other
test frames and another order of averaging. Compare only inside one convention.

Sequences are in metres, tables in millimetres (PCK and AUC in percent).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import skeleton
from training import metrics

Array = NDArray[np.floating]

# Sequences of subject 9 whose truth is wrong (MotionBERT's evaluation leaves them out).
BLOCKED = frozenset({"s_09_act_05_subact_02", "s_09_act_10_subact_02", "s_09_act_13_subact_01"})
_3DHP = skeleton("mpi-inf-3dhp-17")
_3DHP_SCORED = [i for i, name in enumerate(_3DHP.joints) if name not in ("pelvis", "spine", "head")]


@dataclass(frozen=True)
class Scored:
    """One sequence of one camera: predicted and true joints (T,J,3) in metres in its frame."""

    subject: str
    action: str
    camera: str
    predicted: Array
    target: Array
    valid: NDArray[np.bool_] | None = None  # (T,) frames that count; None: all
    bones: tuple[tuple[int, int], ...] = ()  # (parent, child); none: no bone-length error


@dataclass(frozen=True)
class ScoredClip:
    """One window of a MotionBERT test sequence; a source is one video, like s_09_act_02_subact_01_ca_01."""

    source: str
    action: str
    frames: NDArray[np.integer]  # (T,) in the whole test set: what overlapping windows share
    predicted: Array  # (T,17,3) pixels, depth too
    target: Array  # (T,17,3) mm: `joints_2.5d_image`
    factor: Array  # (T,) mm per pixel: `2.5d_factor`


@dataclass(frozen=True)
class Table:
    """Errors by row (action, sequence or cell of the paper's table) and their mean, by metric."""

    rows: dict[str, dict[str, float]]
    mean: dict[str, float]
    frames: int


def human36m_videopose3d(sequences: Iterable[Scored]) -> Table:
    """VideoPose3D's: means of whole videos, weighted by frames within an action, plain mean over the actions.

    The truth is made root-relative; the prediction counts as the network gave it. `Walking 1` is the action Walking.

    Raises:
        ValueError: no sequence, or predicted and true joints of different shapes.
    """
    return _grouped(sequences, lambda s: _first_word(s.action))


def humaneva(sequences: Iterable[Scored]) -> Table:
    """VideoPose3D's on HumanEva-I: as on Human3.6M, with one cell for each action of each subject.

    Rows are called `Walking S1`; `Walking 1 chunk2` of `Validate/S1` belongs there. Raises ValueError.
    """
    return _grouped(sequences, lambda s: f"{_first_word(s.action)} {s.subject.rpartition('/')[2]}")


def human36m_motionbert(clips: Iterable[ScoredClip]) -> Table:
    """MotionBERT's: pixels to mm by the frame's factor, both root-relative, mean over windows that share a frame, then
    over the frames of an action, then over the actions. Videos with bad truth are left out.

    Raises:
        ValueError: nothing is left to score, or shapes differ.
    """
    errors: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for clip in clips:
        if clip.source.rpartition("_ca_")[0] in BLOCKED:
            continue
        _check(clip.source, clip.predicted, clip.target)
        predicted = _root_relative(clip.predicted * clip.factor[:, None, None])
        target = _root_relative(clip.target)
        aligned = metrics.align(predicted, target)
        pairs = zip(_per_frame(predicted, target), _per_frame(aligned, target), strict=True)
        for frame, pair in zip(clip.frames.tolist(), pairs, strict=True):
            errors[clip.action, frame].append(pair)
    actions: dict[str, list[Array]] = defaultdict(list)
    for (action, _), pairs_of_frame in errors.items():
        actions[action].append(np.mean(pairs_of_frame, axis=0))
    rows = {}
    for action, values in actions.items():
        p1, p2 = np.mean(values, axis=0)
        rows[action] = {"mpjpe_mm": float(p1), "p_mpjpe_mm": float(p2)}
    return Table(rows, _plain_mean(rows), len(errors))


def mpi_inf_3dhp(sequences: Iterable[Scored]) -> Table:
    """MPI-INF-3DHP's: valid frames, pelvis subtracted; PCK@150 and AUC over 14 joints, MPJPE over all 17.

    One row for each test sequence (the subject names it); the mean is weighted by frames. Raises ValueError.
    """
    pelvis = _3DHP.joints.index("pelvis")
    parts: dict[str, tuple[int, dict[str, float]]] = {}
    for sequence in sequences:
        predicted, target = _valid(sequence, pelvis)
        if len(target):
            limbs = predicted[:, _3DHP_SCORED], target[:, _3DHP_SCORED]
            errors = {"pck_percent": 100 * metrics.pck(*limbs), "auc_percent": 100 * metrics.auc(*limbs)}
            parts[sequence.subject] = len(target), errors | {"mpjpe_mm": 1000 * metrics.mpjpe(predicted, target)}
    rows = {name: errors for name, (_, errors) in parts.items()}
    mean = _weighted_mean(list(parts.values()))
    return Table(rows, mean, sum(count for count, _ in parts.values()))


def mdvpose(sequences: Iterable[Scored]) -> Table:
    """MDVPose's on Ski-Pose PTZ and EgoBody: P1 and P2 of every window and view over its valid frames, plain mean.

    Raises ValueError.
    """
    rows, frames = {}, 0
    for sequence in sequences:
        predicted, target = _valid(sequence, 0)
        if len(target):
            p1, p2 = metrics.mpjpe(predicted, target), metrics.p_mpjpe(predicted, target)
            rows[_name(sequence)] = {"mpjpe_mm": 1000 * p1, "p_mpjpe_mm": 1000 * p2}
            frames += len(target)
    return Table(rows, _plain_mean(rows), frames)


def sequence_errors(sequence: Scored) -> dict[str, float]:
    """All errors of one sequence in mm (per frame, or per frame squared); NaN what it is too short for."""
    predicted, target = sequence.predicted, _root_relative(sequence.target)
    errors = {
        "mpjpe_mm": metrics.mpjpe(predicted, target),
        "p_mpjpe_mm": metrics.p_mpjpe(predicted, target),
        "n_mpjpe_mm": metrics.n_mpjpe(predicted, target),
        "mpjve_mm": metrics.velocity(predicted, target),
        "acceleration_error_mm": metrics.acceleration_error(predicted, target),
        "jitter_mm": metrics.jitter(predicted),
    }
    if sequence.bones:
        errors["bone_length_error_mm"] = metrics.bone_length_error(predicted, target, sequence.bones)
    return {key: 1000 * value for key, value in errors.items()}


def _grouped(sequences: Iterable[Scored], group: Callable[[Scored], str]) -> Table:
    """Sequences weighted by their frames within a group; plain mean over groups."""
    groups: dict[str, list[tuple[int, dict[str, float]]]] = defaultdict(list)
    for sequence in sequences:
        _check(_name(sequence), sequence.predicted, sequence.target)
        if len(sequence.target):
            groups[group(sequence)].append((len(sequence.target), sequence_errors(sequence)))
    rows = {name: _weighted_mean(parts) for name, parts in groups.items()}
    return Table(rows, _plain_mean(rows), sum(count for parts in groups.values() for count, _ in parts))


def _weighted_mean(parts: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """Of (frames, errors); a sequence too short for one metric does not count for that one."""
    if not parts:
        raise ValueError("nothing to score")
    mean = {}
    for key in parts[0][1]:
        defined = [(count, errors[key]) for count, errors in parts if not np.isnan(errors[key])]
        total = sum(count for count, _ in defined)
        mean[key] = float(sum(count * value for count, value in defined) / total) if defined else float("nan")
    return mean


def _plain_mean(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    if not rows:
        raise ValueError("nothing to score")
    return {key: float(np.mean([row[key] for row in rows.values()])) for key in next(iter(rows.values()))}


def _valid(sequence: Scored, root: int) -> tuple[Array, Array]:
    """The frames that count, root-relative."""
    _check(_name(sequence), sequence.predicted, sequence.target)
    keep = slice(None) if sequence.valid is None else sequence.valid
    return _root_relative(sequence.predicted[keep], root), _root_relative(sequence.target[keep], root)


def _root_relative(joints: Array, root: int = 0) -> Array:
    return joints - joints[:, root : root + 1]


def _per_frame(predicted: Array, target: Array) -> Array:
    return np.linalg.norm(predicted - target, axis=-1).mean(-1)


def _first_word(action: str) -> str:
    return action.partition(" ")[0]


def _name(sequence: Scored) -> str:
    return f"{sequence.subject}/{sequence.action}/{sequence.camera}"


def _check(name: str, predicted: Array, target: Array) -> None:
    if predicted.shape != target.shape:
        raise ValueError(f"{name}: predicted joints {predicted.shape}, true ones {target.shape}")
    for what, joints in (("predicted", predicted), ("true", target)):
        if not np.isfinite(joints).all():
            raise ValueError(f"{name}: {what} joints that are no numbers")
