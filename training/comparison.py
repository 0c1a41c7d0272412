"""A sequence with its stored prediction as a film shows it: in the world, as one body, at the film's rate.

Where the data tell a camera, people move through the world as recorded: the prediction on the path of the true root.
Elsewhere the camera is taken to be level, and the lowest point of the truth to lie on the floor.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.results import Camera, ClipInfo, Motion3D, Track2D
from pipeline.skeletons import CONVERSIONS, skeleton
from training.datasets import motionbert
from training.datasets.cameras import rotate
from training.datasets.sequence import Sequence
from training.predictions import prediction
from visualize.compare import Comparison

Array = NDArray[np.floating]
BODY = "h36m-17"  # what all 3D is drawn as
LEVEL = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # axes of a level camera in a world with Z up


def compare(
    sequence: Sequence, stored: Mapping[str, Array], fps: float, every: int = 1, limit: int | None = None,
    truth: bool = True,
) -> Comparison:  # fmt: skip
    """The sequence's 2D, what is stored of it and the truth.

    Args:
        fps: of the data.
        every: frames of the data of which each of the film's is the mean; not more than there are.
        limit: most frames of the film.
        truth: whether it is shown.

    Raises:
        ValueError: nothing stored, no numbers, or another shape than the truth's.
    """
    frames = min(len(sequence) // every, limit or len(sequence))

    def thinned(values: Array) -> Array:
        return values[: frames * every].reshape(frames, every, *values.shape[1:]).mean(axis=1)

    lifted, target, errors = _metres(sequence, stored)
    camera, lifted, target = _in_world(sequence, lifted, target)
    valid = np.ones(len(sequence), bool) if sequence.valid is None else sequence.valid
    share = thinned(valid)
    counts = share >= 0.5
    motions = {"lifted": lifted} | ({"truth": target} if truth else {})
    return Comparison(
        sequence.name.replace("/", "   "),
        ClipInfo(sequence.name, *sequence.size, np.arange(frames) * every / fps, fps / every),
        camera,
        _track(sequence, thinned(sequence.keypoints), counts),
        {title: _motion(thinned(joints), counts) for title, joints in motions.items()},
        np.divide(thinned(np.where(valid, errors, 0)), share, out=np.full(frames, np.nan), where=share > 0),
    )


def _metres(sequence: Sequence, stored: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    """Predicted and true bodies (T,17,3) m in the camera's frame, both on the true root's path, and (T,) mm between."""
    predicted, target = prediction(sequence, stored), sequence.joints
    if predicted.shape != target.shape:
        raise ValueError(f"{sequence.name}: predicted joints {predicted.shape}, true ones {target.shape}")
    if not np.isfinite(predicted).all(axis=(1, 2)).any():
        raise ValueError(f"{sequence.name}: predicted joints that are no numbers")
    root = skeleton(sequence.skeleton_3d).joints.index("pelvis")
    if sequence.factor is not None:  # what MotionBERT's network gives, whose place in the picture means nothing
        predicted = motionbert.pixels(predicted, sequence.size) * sequence.factor[:, None, None] / 1000
        target = target - target[:, root : root + 1]
    path = target[:, root : root + 1]
    predicted = predicted - predicted[:, root : root + 1] + path
    errors = 1000 * np.linalg.norm(predicted - target, axis=-1).mean(axis=-1)
    return _body(predicted, sequence.skeleton_3d), _body(target, sequence.skeleton_3d), errors


def _body(points: Array, source: str) -> Array:
    return points if source == BODY else CONVERSIONS[source, BODY](points)


def _in_world(sequence: Sequence, lifted: Array, target: Array) -> tuple[Camera, Array, Array]:
    """The camera that filmed it, and both motions in the world."""
    lens, pose = sequence.lens, np.eye(4)
    if lens is not None:
        pose[:3, :3], pose[:3, 3] = rotate(lens.orientation, np.eye(3)).T, lens.position
    else:
        pose[:3, :3], pose[2, 3] = LEVEL, -np.nanmin((target @ LEVEL.T)[..., 2])
    camera = Camera(np.eye(3), sequence.size, camera_to_world=pose, source="the data set")  # lens: nothing is projected
    return camera, lifted @ pose[:3, :3].T + pose[:3, 3], target @ pose[:3, :3].T + pose[:3, 3]


def _track(sequence: Sequence, keypoints: Array, counts: NDArray[np.bool_]) -> Track2D:
    """The 2D as one person's track; frames that do not count are drawn pale."""
    points, layout = keypoints[..., :2], sequence.skeleton_2d
    scores = keypoints[..., 2] if keypoints.shape[-1] == 3 else np.ones(keypoints.shape[:2])
    if layout != "coco-17":
        points = _body(points, layout)
        scores = _body(scores[..., None], layout)[..., 0]
        layout = BODY
    frames, boxes = np.arange(len(points), dtype=np.int32), np.full((len(points), 4), np.nan)
    return Track2D(1, layout, frames, points.astype(np.float32), scores, counts, boxes)


def _motion(joints: Array, counts: NDArray[np.bool_]) -> Motion3D:
    frames, scores = np.arange(len(joints), dtype=np.int32), np.ones(joints.shape[:2])
    return Motion3D(1, BODY, "world", frames, joints.astype(np.float32), scores, joints[:, 0], counts)
