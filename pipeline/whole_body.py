"""The words for feet, face and hands with which `pipeline.skeletons` builds the skeletons of a whole body."""

from __future__ import annotations

from itertools import pairwise

FEET = " L.big_toe<L.heel L.small_toe<L.heel L.heel<L.ankle R.big_toe<R.heel R.small_toe<R.heel R.heel<R.ankle"
SMALL = " .02" * 68 + " .03" * 42  # of faces and hands, about COCO-WholeBody's means

# 300-W's 68 points of a face: its own right half and its middle as chains that begin at the nose, or at a point of an
# earlier chain; the left half mirrors them.
_CHAINS = (
    (None, 8, 7, 6, 5, 4, 3, 2, 1, 0),  # chin and jaw
    (None, 27, 28, 29, 30, 33, 32, 31),  # bridge of the nose, nostrils
    (27, 21, 20, 19, 18, 17),  # brow
    (27, 39, 38, 37, 36),  # eye, above
    (39, 40, 41),  # and below
    (33, 51, 50, 49, 48),  # outer lip, above
    (51, 62, 61, 60),  # inner lip, above
    (62, 66, 67),  # and below
    (66, 57, 58, 59),  # outer lip, below
)
_MIRROR = (*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
           45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, *range(54, 47, -1), *range(59, 54, -1),
           *range(64, 59, -1), 67, 66, 65)  # fmt: skip


def face_and_hands() -> str:
    """The joints of a whole body that follow those of body and feet."""
    return _face() + _hand("L") + _hand("R")


def _face() -> str:
    """The 68 points as joints; the two of a pair share the number of the right one."""
    parents = {child: parent for chain in _CHAINS for parent, child in pairwise(chain)}
    names = [_point(i, i in parents) for i in range(68)]
    words = []
    for i, name in enumerate(names):
        parent = parents[i] if i in parents else _mirrored(parents[_MIRROR[i]])
        words.append(f"{name}<{'nose' if parent is None else names[parent]}")
    return " " + " ".join(words)


def _point(number: int, right: bool) -> str:
    if _MIRROR[number] == number:
        return f"face{number}"
    return f"R.face{number}" if right else f"L.face{_MIRROR[number]}"


def _mirrored(number: int | None) -> int | None:
    return None if number is None else _MIRROR[number]


def _hand(side: str) -> str:
    """21 points: the root, and four of each finger, from the knuckle on."""
    words = [f"{side}.hand_root<{side}.wrist"]
    for finger in ("thumb", "index", "middle", "ring", "pinky"):
        parents = [f"{side}.hand_root", *(f"{side}.{finger}{n}" for n in (1, 2, 3))]
        words += [f"{side}.{finger}{n}<{parent}" for n, parent in enumerate(parents, 1)]
    return " " + " ".join(words)
