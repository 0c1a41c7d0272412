"""People as other programs write them, for the tests of what reads and writes such files."""

import json
from types import SimpleNamespace

import numpy as np

from pipeline.results import ClipInfo, Track2D
from pipeline.skeletons import skeleton

SIZE = (320, 240)


def clip(count=4, size=SIZE, path="clip.mp4", names=()):
    """What a detector is given of a clip, without its pictures."""
    return SimpleNamespace(info=ClipInfo(path, *size, np.arange(count) / 30, 30.0, names=tuple(names)))


def people(name, count=1, seed=0, size=SIZE):
    """(count,J,3) float32 px inside the picture and scores, in no order that makes sense."""
    random = np.random.default_rng(seed)
    joints = len(skeleton(name))
    rows = np.concatenate([random.uniform(0, size, (count, joints, 2)), random.uniform(0.1, 1, (count, joints, 1))], -1)
    return rows.astype(np.float32)


def entry(row, frame, **more):
    """One person of AlphaPose's list."""
    return {"image_id": frame, "category_id": 1, "keypoints": np.ravel(row).tolist(), "score": 0.9} | more


def save(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def track(number, name, first, count, seed=0, holes=0.0, size=SIZE):
    """Random points; a share of the joints is missing."""
    rows = people(name, count, [seed, number], size)
    lost = np.random.default_rng([seed, number, 1]).random(rows.shape[:2]) < holes
    points, scores = np.where(lost[..., None], np.nan, rows[..., :2]), np.where(lost, 0, rows[..., 2])
    boxes = np.tile(np.float32([1, 2, 300.5, 200.25]), (count, 1))
    frames = np.arange(first, first + count, dtype=np.int32)
    points, scores = points.astype(np.float32), scores.astype(np.float32)
    return Track2D(number, name, frames, points, scores, np.ones(count, bool), boxes)


def check_valid(found, count):
    """What the house asks of `Detections`."""
    assert len(found) == count
    for one in found:
        joints, number = len(skeleton(one.skeleton)), len(one)
        assert one.keypoints.shape == (number, joints, 2) and one.scores.shape == (number, joints)
        assert one.boxes.shape == (number, 4) and one.box_scores.shape == (number,)
        assert {a.dtype for a in (one.keypoints, one.scores, one.boxes, one.box_scores)} == {np.dtype(np.float32)}
        assert ((one.scores >= 0) & (one.scores <= 1)).all() and np.isfinite(one.boxes).all()
        assert (np.isfinite(one.keypoints).all(-1) == (one.scores > 0)).all()
        assert (one.boxes[:, 2:] >= one.boxes[:, :2]).all()
        assert (np.isnan(one.box_scores) | ((one.box_scores >= 0) & (one.box_scores <= 1))).all()
        if one.following is not None:
            told = one.following[one.following >= 0]
            assert one.following.dtype == np.int32 and len(set(told)) == len(told)
