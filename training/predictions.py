"""Stored predictions, laid beside the sequences that they are of.

An .npz with one array for each sequence, called subject/action/camera: (T,K,3) floating-point numbers, K the data set's
joints. Metres in the camera's frame, root-relative; for MotionBERT's files what its network gives, in halves of the
picture's width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from pipeline.files import atomic
from pipeline.skeletons import skeleton
from training.datasets import motionbert
from training.datasets.clips import split_clips
from training.datasets.sequence import Sequence
from training.protocols import Scored, ScoredClip

Array = NDArray[np.floating]
WINDOW = 243  # frames of MotionBERT's and MDVPose's test clips
FAR = 0.25  # m; a root-relative root is nearer to the origin than this


def scored(sequences: Iterator[Sequence], stored: Mapping[str, Array]) -> Iterator[Scored]:
    """Every sequence with its prediction. Raises ValueError as `prediction`."""
    for sequence in sequences:
        bones = skeleton(sequence.skeleton_3d).bones
        yield Scored(
            sequence.subject, sequence.action, sequence.camera, prediction(sequence, stored), sequence.joints,
            sequence.valid, bones,
        )  # fmt: skip


def prediction(sequence: Sequence, stored: Mapping[str, Array]) -> Array:
    """What is stored of a sequence. Raises ValueError: nothing, or no floating-point numbers."""
    if sequence.name not in stored:
        some = ", ".join(list(stored)[:3]) or "nothing"
        raise ValueError(f"it has no {sequence.name}; it holds {some} ... ({len(stored)} arrays)")
    predicted = np.asarray(stored[sequence.name])
    if predicted.dtype.kind != "f":
        raise ValueError(f"{sequence.name}: {predicted.dtype} instead of floating-point numbers")
    return predicted.astype(np.float64)


def root_relative(sequences: Iterator[Scored]) -> Iterator[Scored]:
    """The same, when predictions are relative to the root, as VideoPose3D's convention takes for granted.

    Raises:
        ValueError: a root that is far from the origin.
    """
    for sequence in sequences:
        away = float(np.median(np.linalg.norm(sequence.predicted[:, 0], axis=-1))) if len(sequence.predicted) else 0.0
        if away > FAR:
            name = f"{sequence.subject}/{sequence.action}/{sequence.camera}"
            raise ValueError(f"{name} is not root-relative: its root is {away:.2f} m from the origin")
        yield sequence


def windows(sequences: Iterator[Scored]) -> Iterator[Scored]:
    """Cut into windows; the last one of a sequence may be shorter."""
    for s in sequences:
        for start in range(0, len(s.target), WINDOW):
            rows = slice(start, start + WINDOW)
            camera = f"{s.camera}/{start}"
            valid = None if s.valid is None else s.valid[rows]
            yield Scored(s.subject, s.action, camera, s.predicted[rows], s.target[rows], valid, s.bones)


def motionbert_clips(sequences: Iterator[Sequence], stored: Mapping[str, Array]) -> Iterator[ScoredClip]:
    """MotionBERT's test clips: windows that do not overlap; a video's rest that fills none is not scored.

    Raises:
        ValueError: as `prediction`, or another shape than the sequence's.
    """
    before = 0
    for s in sequences:
        predicted = motionbert.pixels(prediction(s, stored), s.size)
        if predicted.shape != s.joints.shape:
            raise ValueError(f"{s.name}: predicted joints {predicted.shape}, true ones {s.joints.shape}")
        for rows in split_clips([s.source] * len(s), WINDOW, WINDOW):
            action = s.action.partition(" ")[0]
            yield ScoredClip(
                s.source, action, before + rows, predicted[rows], 1000 * s.joints[rows], s.factor[rows]
            )  # fmt: skip
        before += len(s)


def write_mat(path: Path, sequences: Iterator[Sequence], stored: Mapping[str, Array]) -> None:
    """MPI-INF-3DHP's `inference_data.mat` for the official script: TS# -> (3,17,1,n) mm of the n valid frames.

    Joints are relative to the pelvis, as the script makes the truth but not the predictions.

    Raises:
        ValueError: as `prediction`, or another shape than the sequence's.
    """
    arrays = {}
    for sequence in sequences:
        predicted, pelvis = prediction(sequence, stored), skeleton(sequence.skeleton_3d).index("pelvis")
        if predicted.shape != sequence.joints.shape:
            raise ValueError(f"{sequence.name}: predicted joints {predicted.shape}, true ones {sequence.joints.shape}")
        relative = (predicted - predicted[:, pelvis])[sequence.valid]
        arrays[sequence.subject] = 1000 * relative.transpose(2, 1, 0)[:, :, None]
    with atomic(path) as temporary:
        savemat(temporary, arrays)
