"""The forms in which one JSON file tells of the people of many frames, brought to entries of one kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from detectors.sightings import short
from pipeline.errors import InputError


@dataclass(frozen=True)
class Entry:
    """One person of one frame; the values are as JSON has them, unchecked, None where untold."""

    frame: int  # index into the frames' names
    keypoints: Any
    box: Any = None
    score: Any = None
    id: Any = None


Size = tuple[int, int]


def entries(data: Any, file: Path, hint: str) -> tuple[list[str], list[Entry], Size | None]:
    """The names of all frames that a file tells of, the people in them, and the pictures' size where it is told.

    Args:
        data: AlphaPose's list, COCO's list of results, COCO's annotations, or AlphaPose's `cmu` and `open`.

    Raises:
        InputError: none of these.
    """
    if isinstance(data, list):
        return *_listed(data, {}, file, hint), None
    if isinstance(data, dict) and isinstance(data.get("annotations"), list):
        names = _pictures(data.get("images"), file, hint)
        return *_listed(data["annotations"], names, file, hint), _size(data.get("images"))
    if isinstance(data, dict) and data and all(isinstance(value, dict) for value in data.values()):
        return *_per_picture(data, file, hint), None
    _wrong(file, "neither a list of people, nor annotations, nor people by picture", hint)


def _listed(people: list[Any], pictures: dict[str, str], file: Path, hint: str) -> tuple[list[str], list[Entry]]:
    """People who each name their frame: a picture's name (AlphaPose) or number (COCO)."""
    frames, places, found = list(pictures.values()), {id: index for index, id in enumerate(pictures)}, []
    for person in people:
        if not isinstance(person, dict) or "keypoints" not in person:
            _wrong(file, "people without `keypoints`", hint)
        name = _name(person.get("image_id"), file, hint)
        if name not in places and pictures:
            _wrong(file, f"a person of picture {short(name)}, which is not among its images", hint)
        if name not in places:
            places[name] = len(frames)
            frames.append(name)
        box, id = person.get("box", person.get("bbox")), person.get("idx", person.get("track_id"))
        found.append(Entry(places[name], person["keypoints"], box, person.get("score"), id))
    return frames, found


def _pictures(images: Any, file: Path, hint: str) -> dict[str, str]:
    """By the pictures' ids the names of their files. Raises InputError."""
    if images is None:
        return {}
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        _wrong(file, "`images` that are no list of pictures", hint)
    names = {}
    for image in images:
        id = _name(image.get("id"), file, hint)
        if id in names:
            _wrong(file, f"picture {short(id)} twice", hint)
        names[id] = str(image.get("file_name", id))
    return names


def _size(images: Any) -> Size | None:
    """Of all pictures, where they have one."""
    sizes = {(image.get("width"), image.get("height")) for image in images or () if _is_sized(image)}
    return next(iter(sizes)) if len(sizes) == 1 else None


def _is_sized(image: dict[str, Any]) -> bool:
    return all(type(image.get(side)) is int for side in ("width", "height"))


def _per_picture(data: dict[str, Any], file: Path, hint: str) -> tuple[list[str], list[Entry]]:
    found = []
    for index, content in enumerate(data.values()):
        people = content.get("bodies", content.get("people"))
        if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
            _wrong(file, "pictures without a list of `bodies` or `people`", hint)
        for person in people:
            keypoints = person.get("joints", person.get("pose_keypoints_2d"))
            found.append(Entry(index, keypoints, person.get("box"), person.get("score"), person.get("idx")))
    return list(data), found


def _name(told: Any, file: Path, hint: str) -> str:
    """A frame's name, or its number as a name."""
    if type(told) is float and told.is_integer():
        told = int(told)
    if type(told) not in (int, str) or (type(told) is int and not 0 <= told < 10**18):
        _wrong(file, "people of no picture: `image_id` is a name or a number", hint)
    return str(told)


def _wrong(file: Path, why: str, hint: str) -> NoReturn:
    raise InputError(f"cannot read {file}", why, hint)
