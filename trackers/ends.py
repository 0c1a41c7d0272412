"""Where a track begins and ends: not before a body is in the picture, and not after it has left."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from pipeline.results import Track2D
from pipeline.skeletons import skeleton

BODY = tuple(f"{side}_{part}" for part in ("shoulder", "elbow", "hip", "knee", "ankle") for side in ("left", "right"))
SURE = 0.5  # score of a joint that is seen
LEAST = 0.3  # share of the body that must be seen inside the picture in the first and in the last frame


def trim(track: Track2D, size: tuple[int, int]) -> Track2D:
    """Without the frames at both ends in which hardly anything of the body is in the picture.

    A detector that follows people to the rim guesses a whole body from a shoe there. A track that never shows enough
    of a body (a portrait) stays as it is.

    Args:
        size: width, height px of the picture.
    """
    names = skeleton(track.skeleton).joints
    body = [names.index(name) for name in BODY if name in names]
    points = np.nan_to_num(track.keypoints[:, body], nan=-1.0)
    inside = ((points >= 0) & (points <= np.array(size) - 1)).all(-1)
    enough = np.flatnonzero(((track.scores[:, body] > SURE) & inside).mean(1) >= LEAST)
    if not len(enough):
        return track
    rows = slice(int(enough[0]), int(enough[-1]) + 1)
    values = {f.name: getattr(track, f.name) for f in fields(track)}
    return replace(track, **{name: value[rows] for name, value in values.items() if isinstance(value, np.ndarray)})
