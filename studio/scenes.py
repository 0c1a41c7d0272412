"""Scenes by name. A scene is a function of `Options` that says who does what before which cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import UsageError
from studio.backdrop import Surroundings
from studio.cameras import look_at, still
from studio.gait import walk
from studio.motions import Stand, jump, squat, wave
from studio.paths import through
from studio.rotations import Array
from studio.stage import Actor, StudioScene


@dataclass(frozen=True)
class Options:
    """What every scene understands; None leaves the scene's own value."""

    seed: int = 0
    fps: float | None = None
    size: tuple[int, int] | None = None  # width, height px
    duration: float | None = None  # s
    noise: float | None = None  # grey levels
    shutter: float | None = None  # s
    mocap: str | None = None  # FILE or FILE:CLIP

    def times(self, duration: float, fps: float = 30.0) -> Array:
        """(T,) s of evenly spaced frames; at least one."""
        rate = self.fps or fps
        return np.arange(max(1, round((self.duration or duration) * rate))) / rate


def sample(o: Options) -> StudioScene:
    size = o.size or (1280, 720)
    camera = look_at((0.0, -5.4, 1.5), (0.0, 0.0, 0.97), size, fov=44)
    loop = through([(-1.9, 0.9), (-0.5, 1.3), (1.2, 0.5), (1.45, -0.6), (0.5, -1.2), (-1.3, -0.6)], closed=True)
    first = Actor.cast(1, walk(loop, speed=1.2), o.seed)
    stand = Stand((-0.62, 0.1), -1.45, (wave(0.1, 1.9), squat(1.9, 1.5), jump(3.35, 0.26)), seed=o.seed)
    second = Actor.cast(2, stand, o.seed)
    return _scene("sample", o, (first, second), (still(camera),), o.times(5.2))


def _scene(name: str, o: Options, actors: tuple[Actor, ...], cameras: tuple, times: Array,
           surroundings: Surroundings | None = None) -> StudioScene:  # fmt: skip
    return StudioScene(
        name, actors, cameras, times, o.fps or 30.0, surroundings or Surroundings(),
        1.5 if o.noise is None else o.noise, o.shutter or 0.0, o.seed,
    )  # fmt: skip


SCENES: dict[str, Callable[[Options], StudioScene]] = {f.__name__: f for f in (sample,)}


def build(name: str, **options: object) -> StudioScene:
    """The scene called `name`; `options` are the fields of `Options`.

    Raises:
        UsageError: no such scene or option, or a value out of range.
    """
    unknown = set(options) - set(Options.__dataclass_fields__)
    if unknown:
        raise UsageError(f"studio scenes have no option {sorted(unknown)[0]!r}")
    if name not in SCENES:
        raise UsageError(f"no studio scene {name!r}", "the scenes are: " + ", ".join(SCENES), "studio sample")
    return SCENES[name](Options(**options))
