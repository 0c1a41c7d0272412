"""keypoints-coco.json: a list of COCO's keypoint results, 17 joints, with the score of each as its third number.

`image_id` is the frame's index, or the number in the picture's name; `score` the mean of the joints that are there;
`track_id` the person's number in the scene. Of several cameras: a folder with a file for each, on the scene's clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from exporters.alphapose import write_lists
from exporters.keypoints import OneView, by_frame
from pipeline.results import Scene
from pipeline.skeletons import skeleton


def write(scene: Scene, path: str | Path) -> None:
    """Write the 2D of a scene: a file, or of several cameras a folder.

    Raises:
        OutputError: it cannot be written.
    """
    write_lists(scene, Path(path), entries)


def joints(source: str) -> Sequence[str]:
    """COCO's, of every skeleton."""
    return skeleton("coco-17").joints


def entries(view: OneView) -> Iterator[dict[str, Any]]:
    """Sorted by frame."""
    numbers = _numbers(view)
    for frame, people in enumerate(by_frame(view, joints)):
        for person in people:
            known = [score for score in person.joints[2::3] if score > 0]
            yield {
                "image_id": numbers[frame],
                "category_id": 1,
                "keypoints": person.joints,
                "score": round(sum(known) / len(known), 6),
                "bbox": person.box,
                "track_id": person.id,
            }


def _numbers(view: OneView) -> Sequence[int]:
    """Of the frames: those in the pictures' names, where each has one of its own."""
    found = [re.findall("[0-9]+", Path(name).stem) for name in view.pictures]
    numbers = [int(words[-1][:18]) for words in found if words]
    return numbers if len(set(numbers)) == view.frames else range(view.frames)
