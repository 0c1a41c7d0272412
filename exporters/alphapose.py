"""alphapose-results.json: a list with one entry per person and frame, in AlphaPose's own form.

Skeletons that AlphaPose knows keep their joints; others become Halpe's 26 where all of the feet are there, else COCO's
17. `idx` is the person's number in the scene. `score` is AlphaPose's sum: certainty of the box, here 1, mean of the
joints' scores, 1.25 times the largest. Of several cameras: a folder with a file for each, on the scene's clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from exporters.keypoints import OneView, Person, by_frame, picture, views
from pipeline.files import atomic, atomic_folder
from pipeline.results import Scene
from pipeline.skeletons import skeleton

KEPT = ("coco-17", "halpe-26", "halpe-136", "coco-133")
FEET = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel"))


def write(scene: Scene, path: str | Path) -> None:
    """Write the 2D of a scene: a file, or of several cameras a folder.

    Raises:
        OutputError: it cannot be written.
    """
    write_lists(scene, Path(path), entries)


def write_lists(scene: Scene, path: Path, of_view: Callable[[OneView], Iterator[dict[str, Any]]]) -> None:
    """The list of entries of each view as a file; the files of several views in a folder. Raises OutputError."""
    if not scene.views:
        with atomic(path) as temporary:
            _write(temporary, of_view(views(scene)[0]))
        return
    with atomic_folder(path) as folder:
        for view in views(scene):
            _write(folder / f"{view.name}.json", of_view(view))


def _write(file: Path, items: Iterator[dict[str, Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="\n") as out:
        between = "[\n"
        for item in items:
            out.write(between + json.dumps(item))
            between = ",\n"
        out.write("[]\n" if between == "[\n" else "\n]\n")


def joints(source: str) -> Sequence[str]:
    """Those that are written of a skeleton."""
    if source in KEPT:
        return skeleton(source).joints
    return skeleton("halpe-26" if set(FEET) <= set(skeleton(source).joints) else "coco-17").joints


def entries(view: OneView) -> Iterator[dict[str, Any]]:
    """Sorted by frame."""
    for frame, people in enumerate(by_frame(view, joints)):
        for person in people:
            yield {
                "image_id": picture(view, frame),
                "category_id": 1,
                "keypoints": person.joints,
                "score": _score(person),
                "box": person.box,
                "idx": person.id,
            }


def _score(person: Person) -> float:
    scores = person.joints[2::3]
    return round(1 + sum(scores) / len(scores) + 1.25 * max(scores), 6)
