"""MOTChallenge's text: frame, id, left, top, width, height, confidence, class (or x), visibility (or y, z).

Frames and pixels count from 1. Of ground truth with classes (MOT16 and later: 9 columns) pedestrians count;
people on vehicles, static people, distractors and reflections are ignored, the rest and lines with confidence 0 are
left out, as in the benchmark's own evaluation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.datasets.tracked import Tracked, people

PEDESTRIAN = 1
IGNORED = (2, 7, 8, 12)


def read(path: Path, view: int = 1) -> Tracked:
    """See `tracked.read`. Raises ValueError."""
    text = path.read_text(encoding="utf-8")
    lines = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError("it is empty")
    if len({len(line) for line in lines}) > 1 or len(lines[0]) < 6:
        raise ValueError("lines are not: frame, id, left, top, width, height, confidence, ...")
    table = np.array(lines, dtype=float)
    if not np.isfinite(table[:, :6]).all():
        raise ValueError("frames, ids or boxes are no numbers")
    if (table[:, 0] < 1).any() or (table[:, 1] < 0).any() or (table[:, 4:6] <= 0).any():
        raise ValueError("frames count from 1, ids from 0, boxes have a size: id -1 marks detections without tracks")
    frames = np.arange(int(table[:, 0].max()))
    ignored = np.zeros(len(table), bool)
    if table.shape[1] == 9:  # ground truth with classes
        ignored = np.isin(table[:, 7], IGNORED)
        kept = ignored | ((table[:, 7] == PEDESTRIAN) & (table[:, 6] != 0))
        table, ignored = table[kept], ignored[kept]
    corner = table[:, 2:4] - 1
    boxes = np.concatenate([corner, corner + table[:, 4:6]], axis=1)
    scores = table[:, 6] if table.shape[1] > 6 else np.ones(len(table))
    return people(frames, table[:, 0].astype(int) - 1, table[:, 1].astype(int), boxes=boxes, scores=scores,
                  areas=table[:, 4] * table[:, 5], ignored=ignored)  # fmt: skip
