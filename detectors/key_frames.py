"""People's boxes in every frame, with the box network looking at few of them.

It looks at key frames. Between two of them whose people match one to one, boxes are interpolated; where they do not
match (somebody came, left, or two may have crossed), it looks half way between, and so on until they do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from detectors.person_boxes import Boxes
from pipeline.boxes import iou
from pipeline.results import Array

MATCH = 0.4  # least IoU of a person with themselves at the next key frame
STILL = 0.75  # IoU from which nobody can have taken their place meanwhile
APART = 0.05  # greatest IoU of the way of one who moved more with that of anybody else

Look = Callable[[Sequence[Array]], list[Boxes]]


def boxes_of(look: Look, frames: Sequence[Array], times: Array, step: int, before: Boxes | None = None) -> list[Boxes]:
    """The people of each of consecutive frames.

    Args:
        look: the box network.
        frames: (H,W,3) each.
        times: (F+1,) s: of the frame before the first, then of the frames.
        step: frames from one key frame to the next; the last frame is one.
        before: people of the frame before the first; None: there is none, and the first is a key frame.
    """
    keys = sorted({*range(step - 1, len(frames), step), len(frames) - 1, *(() if before is not None else (0,))})
    known = dict(zip(keys, look([frames[key] for key in keys]), strict=True))
    if before is not None:
        known[-1] = before
    while unsure := [(a, b) for a, b in _gaps(known) if matched(known[a], known[b]) is None]:
        middles = [(a + b) // 2 for a, b in unsure]
        known |= zip(middles, look([frames[middle] for middle in middles]), strict=True)
    for a, b in _gaps(known):
        known |= _between(known, a, b, times)
    return [known[index] for index in range(len(frames))]


def _gaps(known: dict[int, Boxes]) -> list[tuple[int, int]]:
    """Pairs of known frames with unknown ones between them."""
    keys = sorted(known)
    return [(a, b) for a, b in pairwise(keys) if b - a > 1]


def matched(some: Boxes, others: Boxes) -> Array | None:
    """For each of some people who of the others they are (P,), None where that is not certain for everybody."""
    if len(some) != len(others):
        return None
    if not len(some):
        return np.zeros(0, int)
    overlap = iou(some.boxes, others.boxes)
    rows, order = linear_sum_assignment(-overlap)
    own, ends = overlap[rows, order], others.boxes[order]
    ways = np.concatenate([np.minimum(some.boxes, ends)[:, :2], np.maximum(some.boxes, ends)[:, 2:]], axis=1)
    near = iou(ways, ways)
    np.fill_diagonal(near, 0)
    certain = (own >= MATCH) & ((own >= STILL) | (near.max(axis=1) <= APART))
    return order if certain.all() else None


def _between(known: dict[int, Boxes], a: int, b: int, times: Array) -> dict[int, Boxes]:
    """Boxes and scores of the frames between two key frames, linear in time."""
    start, end, order = known[a], known[b], matched(known[a], known[b])
    found = {}
    for index in range(a + 1, b):
        share = (times[index + 1] - times[a + 1]) / (times[b + 1] - times[a + 1])
        found[index] = Boxes(
            start.boxes + share * (end.boxes[order] - start.boxes),
            start.scores + share * (end.scores[order] - start.scores),
        )
    return found
