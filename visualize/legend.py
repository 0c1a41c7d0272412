"""The words on films: the time, which colours are left and right, and which lines are 2D and 3D."""

from __future__ import annotations

import numpy as np

from pipeline.results import Array
from visualize.draw import LEFT, MIDDLE, RIGHT, Color, Patch, colors, fill, letters

TEXT: Color = (225, 220, 214)
QUIET: Color = (150, 140, 132)


def clock(time: float) -> str:
    """Seconds as minutes and seconds: 0:01.500."""
    return f"{int(time // 60)}:{time % 60:06.3f}"


def sides(people: int, size: int, first: int = 0) -> Patch:
    """Dots in the colours of `people`, from the scene's `first` on, with the words left and right."""
    words = [(letters(text, size), side) for text, side in (("left", LEFT), ("right", RIGHT))]
    step = round(size * 0.8)
    width = sum(word.shape[1] for word, _ in words) + 2 * people * step + size
    mask, tint = np.zeros((*words[0][0].shape[:1], width, 1), np.float32), np.full((1, width, 3), QUIET, np.float32)
    dots = np.zeros((mask.shape[0], width, 3), np.uint8)
    x = 0
    for word, side in words:
        for person in range(first, first + people):
            _dot(dots, (x + size * 0.3, size * 0.75), size * 0.3, (255, 255, 255))
            tint[:, x : x + step] = colors(person)[side]
            x += step
        mask[:, x : x + word.shape[1]] = word
        x += word.shape[1] + size
    return Patch(np.maximum(mask, dots[..., :1] / np.float32(255)), tint)


def skeletons(size: int) -> Patch:
    """What the two skeletons in a picture are: a thick line for what was found there, a fine one for the 3D."""
    words = letters("found in the picture", size), letters("3D, projected back", size)
    step, height = round(size * 1.5), words[0].shape[0]
    mask = np.zeros((height, sum(word.shape[1] for word in words) + 2 * step + size, 1), np.float32)
    tint = np.full((1, mask.shape[1], 3), QUIET, np.float32)
    x, middle = 0, round(size * 0.75)
    for word, half, color in zip(words, (max(2, size // 6), 1), (colors(0)[MIDDLE], TEXT), strict=True):
        mask[middle - half : middle + (half if half > 1 else 0), x : x + round(0.75 * step)] = 1
        tint[:, x : x + step] = color
        mask[:, x + step : x + step + word.shape[1]] = word
        x += step + word.shape[1] + size
    return Patch(mask, tint)


def _dot(canvas: Array, center: tuple[float, float], radius: float, color: Color) -> None:
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.array(center) + radius * np.stack([np.cos(angle), np.sin(angle)], -1)
    fill(canvas, (ring * 16).round().astype(np.int32), color)
