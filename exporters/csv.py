"""poses.csv: one row per frame, person and joint; world coordinates in metres (Z up), score 0 to 1.

Frames in which a person is absent have no rows; unknown coordinates are empty fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.files import atomic
from pipeline.results import Array, Motion3D, Scene
from pipeline.skeletons import skeleton

HEADER = "time_s,frame,person,joint,x_m,y_m,z_m,score\n"
_CHUNK = 1024  # frames turned to text at a time, so that long clips need little memory


def write(scene: Scene, path: str | Path) -> None:
    """Write the scene's people, sorted by frame, then in the order of the scene.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(HEADER)
        for start in range(0, len(scene.clip.times), _CHUNK):
            blocks = [b for person in scene.people for b in _blocks(person, scene.clip.times, start, start + _CHUNK)]
            blocks.sort(key=lambda block: block[0])  # stable: people keep their order within a frame
            file.writelines(text for _, text in blocks)


def _blocks(person: Motion3D, times: Array, start: int, stop: int) -> Iterator[tuple[int, str]]:
    """(frame, its rows) of one person for the clip's frames start..stop-1."""
    first, last = np.searchsorted(person.frames, (start, stop))
    values = np.concatenate([person.joints[first:last], person.scores[first:last, :, None]], axis=-1)
    rows = [f"\0{name},%.4f,%.4f,%.4f,%.3f\n" for name in skeleton(person.skeleton).joints]
    template = "".join(rows)  # \0 stands for what all rows of a frame begin with
    lines = values.reshape(len(values), 4 * len(rows))
    for frame, numbers in zip(person.frames[first:last].tolist(), lines, strict=True):
        text = (template % tuple(numbers.tolist())).replace(",nan", ",")
        yield frame, text.replace("\0", f"{times[frame]:.6f},{frame},{person.id},")
