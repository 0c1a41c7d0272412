"""Scenes by name. A scene is a function of `Options` that says who does what before which cameras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.errors import UsageError
from studio.backdrop import Surroundings
from studio.cameras import CameraPath, look_at, moving, shaken, still
from studio.gait import run as running
from studio.gait import turn as turning
from studio.gait import walk as walking
from studio.mocap import Replay, read_recording
from studio.motions import Action, Motion, Stand
from studio.motions import dance as dance_action
from studio.motions import jump as jump_action
from studio.motions import sit as sit_action
from studio.motions import squat as squat_action
from studio.motions import wave as wave_action
from studio.paths import Path, circle, line, through
from studio.rotations import Array
from studio.shapes import Box
from studio.stage import Actor, StudioScene


@dataclass(frozen=True)
class Options:
    """What every scene understands; None leaves the scene's own value."""

    seed: int = 0
    fps: float | None = None
    size: tuple[int, int] | None = None  # width, height px
    duration: float | None = None  # s
    noise: float | None = None  # grey levels
    shutter: float | None = None  # s of motion blur
    mocap: str | None = None  # FILE or FILE:CLIP, for the scene `mocap`
    cameras: int | None = None  # how many, for the scene `crossing4_views`
    actors: int | None = None  # how many, for the scene `crossing4_views`

    def __post_init__(self) -> None:
        for name in ("cameras", "actors"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= 32:
                raise UsageError(f"{name} must be between 1 and 32, not {value}")
        for name in ("fps", "duration"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 100_000:
                raise UsageError(f"{name} must be positive, not {value}")
        if self.size is not None and not (len(self.size) == 2 and all(8 <= n <= 8192 for n in self.size)):
            raise UsageError(f"size must be width and height between 8 and 8192, not {self.size}")

    @property
    def picture(self) -> tuple[int, int]:
        return self.size or (1280, 720)

    def times(self, duration: float, fps: float = 30.0) -> Array:
        """(T,) s of evenly spaced frames; at least one."""
        rate = self.fps or fps
        return np.arange(max(1, round((self.duration or duration) * rate))) / rate

    def repeated(
        self, action: Callable[[float], Action], first: float, every: float, duration: float
    ) -> tuple[Action, ...]:
        """The action again and again, as long as the scene lasts."""
        return tuple(action(start) for start in np.arange(first, (self.duration or duration), every))


def sample(o: Options) -> StudioScene:
    """Two people: one walks a round, the other waves, squats and jumps."""
    camera = look_at((0.0, -5.4, 1.5), (0.0, 0.0, 0.97), o.picture, fov=44)
    loop = through([(-1.9, 0.9), (-0.5, 1.3), (1.2, 0.6), (1.5, -0.3), (0.5, -0.8), (-1.3, -0.5)], closed=True)
    actions = (wave_action(0.1, 1.9), squat_action(1.9, 1.5), jump_action(3.35, 0.22))
    walker = Actor.cast(1, walking(loop, speed=1.2), o.seed, look=28)
    athlete = Actor.cast(2, Stand((-0.62, 0.1), -1.45, actions, seed=o.seed), o.seed, look=7)
    return _scene("sample", o, (walker, athlete), camera, 5.2)


def walk(o: Options) -> StudioScene:
    """One person walks a round."""
    return _scene("walk", o, (walking(circle((0, 0.9), 1.25, 0.3 * o.seed), speed=1.15),), _front(o), 5.0)


def run(o: Options) -> StudioScene:
    """One person runs across the picture."""
    camera = look_at((0, -7.5, 1.5), (0, 0, 0.95), o.picture, fov=48)
    return _scene("run", o, (running(line((-2.6, 0.6), -0.08)),), camera, 1.8)


def turn(o: Options) -> StudioScene:
    """One person turns on the spot."""
    return _scene("turn", o, (turning((0, 0), -np.pi / 2, 1.2),), _front(o), 5.0)


def wave(o: Options) -> StudioScene:
    """One person waves, with one hand and the other."""
    sides = ("right", "left")
    actions = tuple(wave_action(0.3 + 2.6 * i, 2.4, sides[i % 2]) for i in range(int((o.duration or 5.2) / 2.6) + 1))
    return _scene("wave", o, (Stand((0, 0), -1.4, actions, seed=o.seed),), _front(o), 5.2)


def squat(o: Options) -> StudioScene:
    """One person squats again and again, seen half from the side."""
    actions = o.repeated(lambda start: squat_action(start, 2.0, 0.42), 0.3, 2.2, 5.0)
    return _scene("squat", o, (Stand((0, 0), -0.9, actions, seed=o.seed),), _front(o), 5.0)


def jump(o: Options) -> StudioScene:
    """One person jumps on the spot."""
    actions = o.repeated(lambda start: jump_action(start, 0.30), 0.3, 2.3, 5.0)
    return _scene("jump", o, (Stand((0, 0), -1.1, actions, seed=o.seed),), _front(o), 5.0)


def sit(o: Options) -> StudioScene:
    """One person sits down on a stool, stays and stands up."""
    actions = o.repeated(lambda start: sit_action(start, 4.2), 0.4, 5.0, 5.0)
    back = np.array([np.cos(-0.8), np.sin(-0.8)]) * -0.47
    stool = Box((float(back[0]), float(back[1]), 0.22), (0.40, 0.42, 0.44), -0.8, (78, 112, 150))
    room = Surroundings(boxes=(stool,))
    return _scene("sit", o, (Stand((0, 0), -0.8, actions, seed=o.seed),), _front(o), 5.0, room)


def dance(o: Options) -> StudioScene:
    """Two people dance side by side."""
    length = o.duration or 6.0
    dancers = tuple(
        Stand((x, y), -1.5 + x / 4, (dance_action(0.4, length, beat),), seed=o.seed + i)
        for i, (x, y, beat) in enumerate(((-0.75, 0.0, 0.5), (0.75, 0.2, 0.5)))
    )
    return _scene("dance", o, dancers, _front(o), 6.0)


def crossing4(o: Options) -> StudioScene:
    """Four people walk rounds that cross in the middle, and hide each other again and again."""
    paths: tuple[Path, ...] = (
        through([(-2.2, 0.5), (0, 0.0), (2.2, -0.5), (2.5, 0.3), (0, 0.9), (-2.4, 1.2)], closed=True),
        through([(2.2, 0.8), (0, 0.5), (-2.2, -0.1), (-2.5, -0.9), (0, -0.5), (2.4, -0.2)], closed=True),
        through([(0.2, 2.4), (0.5, 0.4), (0.2, -1.2), (-0.6, -1.3), (-0.7, 0.5), (-0.6, 2.3)], closed=True),
        circle((0.0, 0.6), 1.5, 0.5, left=False),
    )
    motions = tuple(walking(path, 0.23 * i, 1.0 + 0.12 * i) for i, path in enumerate(paths))
    camera = look_at((0.0, -7.2, 1.9), (0.0, 0.3, 0.85), o.picture, fov=46)
    return _scene("crossing4", o, motions, camera, 12.0)


def moving_camera(o: Options) -> StudioScene:
    """One person walks a round; the camera, in a hand, follows and comes nearer."""

    def eye(t: float) -> tuple[float, float, float]:
        return 1.6 * np.sin(0.5 * t), -4.9 + 0.5 * np.sin(0.4 * t), 1.5 + 0.1 * np.sin(0.9 * t)

    def target(t: float) -> tuple[float, float, float]:
        return 0.35 * np.sin(0.8 * t), 0.1, 0.95

    camera = shaken(moving(eye, target, o.picture, 50), seed=o.seed)
    return _scene("moving_camera", o, (walking(circle((0, 0.7), 1.1), speed=1.05),), camera, 5.0)


def multiview4(o: Options) -> StudioScene:
    """Two people before four cameras with lens distortion, round the room."""
    motions = (
        walking(circle((0, 0), 1.2), speed=1.1),
        Stand((0, 0.1), -0.6, (wave_action(0.4), squat_action(3.0), jump_action(5.2)), seed=o.seed),
    )
    bend = (-0.12, 0.03, 0.0005, -0.0004, 0.0)
    eyes = ((3.9, -3.9, 1.7), (3.9, 3.9, 2.2), (-3.9, 3.9, 1.5), (-3.9, -3.9, 2.0))
    cameras = tuple(still(look_at(eye, (0, 0, 0.95), o.picture, 52, distortion=bend)) for eye in eyes)
    return _scene("multiview4", o, motions, cameras, 6.0)


def crossing4_views(o: Options) -> StudioScene:
    """Four people cross in the middle, again and again, between four cameras; or other numbers of both."""
    actors, views = o.actors or 4, o.cameras or 4
    random = np.random.default_rng([o.seed, 29])
    motions = []
    for i in range(actors):
        path = _ring(random.uniform(-0.35, 0.35, 2), np.pi * i / actors, 2.3, 0.3, bool(i % 2))
        motions.append(walking(path, float(random.uniform(0, 1)), float(random.uniform(0.9, 1.4))))
    cameras = []
    for c in range(views):
        angle = 2 * np.pi * (c + 0.5) / views
        eye = (6.5 * np.cos(angle), 6.5 * np.sin(angle), 1.8 + 0.7 * (c % 2))
        cameras.append(still(look_at(eye, (0, 0, 0.9), o.picture, 50)))
    return _scene("crossing4_views", o, tuple(motions), tuple(cameras), 12.0, Surroundings((15.0, 15.0, 3.4)))


def occluded(o: Options) -> StudioScene:
    """One person walks to and fro behind a post and a cupboard."""
    boxes = (
        Box((-0.45, -0.75, 1.1), (0.16, 0.16, 2.2), 0.3, (100, 120, 135)),
        Box((1.05, -0.75, 0.5), (0.75, 0.4, 1.0), 0.1, (70, 100, 140)),
    )
    path = through([(-1.7, 0.1), (0, 0.0), (1.7, 0.1), (1.8, 0.9), (0, 1.0), (-1.8, 0.9)], closed=True)
    return _scene("occluded", o, (walking(path, speed=1.1),), _front(o), 6.0, Surroundings(boxes=boxes))


def occluded3(o: Options) -> StudioScene:
    """Three people walk rounds behind two posts and a cupboard, and behind each other."""
    boxes = (
        Box((-1.3, -1.2, 1.1), (0.35, 0.2, 2.2), 0.2, (100, 120, 135)),
        Box((0.9, -1.2, 0.8), (0.8, 0.4, 1.6), 0.1, (70, 100, 140)),
        Box((2.2, -1.0, 1.1), (0.16, 0.16, 2.2), 0.3, (100, 120, 135)),
    )
    random = np.random.default_rng([o.seed, 31])
    motions = tuple(walking(_ring((0.0, 0.9 + 0.5 * i), random.uniform(-0.2, 0.2), 2.4, 0.35, bool(i % 2)),
                            float(random.uniform(0, 1)), 1.0 + 0.15 * i) for i in range(3))  # fmt: skip
    camera = look_at((0.0, -6.8, 1.6), (0.0, 0.4, 0.95), o.picture, fov=48)
    return _scene("occluded3", o, motions, camera, 12.0, Surroundings(boxes=boxes))


def passers_by(o: Options) -> StudioScene:
    """Seven people come into the picture and leave it, one after the other, to the left and to the right."""
    random = np.random.default_rng([o.seed, 37])
    motions: list[Motion] = []
    for i in range(7):
        speed, deep, right = float(random.uniform(1.0, 1.6)), float(random.uniform(-0.8, 3.0)), bool(i % 2)
        away = 0.46 * (6.5 + deep) + speed * (1.4 * i - 1.0)  # where the picture ends, and the way until then
        start, heading = (away if right else -away, deep), (np.pi if right else 0.0) + float(random.uniform(-0.1, 0.1))
        motions.append(walking(line(start, heading), float(random.uniform(0, 1)), speed))
    plain = Surroundings(None, 1.0, ((120, 160, 138), (104, 146, 122)), clutter=False)
    camera = look_at((0.0, -6.5, 1.7), (0.0, 0.4, 0.95), o.picture, fov=48)
    return _scene("passers_by", o, tuple(motions), camera, 12.0, plain)


def uniforms(o: Options) -> StudioScene:
    """Four people in the same clothes walk rounds that cross."""
    random = np.random.default_rng([o.seed, 41])
    cast = []
    for i in range(4):
        path = _ring(random.uniform(-0.3, 0.3, 2), np.pi * i / 4 + random.uniform(-0.2, 0.2), 2.1, 0.35, bool(i % 2))
        motion = walking(path, float(random.uniform(0, 1)), float(random.uniform(0.9, 1.3)))
        cast.append(replace(Actor.cast(i + 1, motion, o.seed), look=101 * o.seed))
    camera = look_at((0.0, -7.2, 1.9), (0.0, 0.3, 0.85), o.picture, fov=46)
    return _scene("uniforms", o, tuple(cast), camera, 12.0)


def moving_camera3(o: Options) -> StudioScene:
    """Three people walk rounds that cross; the camera, in a hand, goes along and turns."""

    def eye(t: float) -> tuple[float, float, float]:
        return 2.2 * np.sin(0.5 * t), -6.2 + 0.7 * np.sin(0.4 * t), 1.6 + 0.1 * np.sin(0.9 * t)

    def target(t: float) -> tuple[float, float, float]:
        return 0.7 * np.sin(0.8 * t), 0.3, 0.95

    random = np.random.default_rng([o.seed, 43])
    motions = tuple(walking(_ring(random.uniform(-0.3, 0.3, 2), np.pi * i / 3, 1.8, 0.4, bool(i % 2)),
                            float(random.uniform(0, 1)), 1.0 + 0.12 * i) for i in range(3))  # fmt: skip
    camera = shaken(moving(eye, target, o.picture, 50), seed=o.seed)
    return _scene("moving_camera3", o, motions, camera, 12.0)


def crowd10(o: Options) -> StudioScene:
    """Ten people walk rounds of their own over one place."""
    random = np.random.default_rng([o.seed, 47])
    motions = []
    for i in range(10):
        middle = (float(random.uniform(-1.6, 1.6)), float(random.uniform(-0.5, 3.5)))
        path = _ring(middle, random.uniform(0, np.pi), random.uniform(1.2, 2.4), random.uniform(0.3, 0.9), bool(i % 2))
        motions.append(walking(path, float(random.uniform(0, 1)), float(random.uniform(0.8, 1.4))))
    camera = look_at((0.0, -8.5, 2.6), (0.0, 1.2, 0.8), o.picture, fov=50)
    return _scene("crowd10", o, tuple(motions), camera, 12.0, Surroundings((18.0, 18.0, 3.4)))


def outdoors(o: Options) -> StudioScene:
    """Two people under the sky: one runs in a wide curve, one walks."""
    plain = Surroundings(None, 1.0, ((120, 160, 138), (104, 146, 122)), clutter=False)
    motions = (running(circle((0.3, 3.0), 3.4, -2.6)), walking(line((1.9, 0.2), np.pi), 0.3, 1.1))
    camera = look_at((0.0, -6.5, 1.7), (0.0, 0.4, 0.95), o.picture, fov=48)
    return _scene("outdoors", o, motions, camera, 2.6, plain)


def vfr(o: Options) -> StudioScene:
    """The scene `walk` with uneven frame times, as phones record: 15 to 60 frames/s, and one pause of 0.2 s."""
    even = walk(o)
    steps = np.random.default_rng([o.seed, 13]).choice([1 / 60, 1 / 30, 1 / 24, 1 / 15], len(even.times))
    steps[len(steps) // 2] = 0.2
    times = np.round(np.concatenate([[0], np.cumsum(steps)[:-1]]), 4)
    return replace(even, name="vfr", times=times)


def mocap(o: Options) -> StudioScene:
    """A recording given by the option `mocap`, by an actor of the recorded proportions."""
    if not o.mocap:
        raise UsageError("the scene mocap needs a recording", hint="mocap=FILE.npz or FILE.npz:CLIP")
    recording = read_recording(o.mocap)
    middle = (recording.joints[:, 0, :2].min(0) + recording.joints[:, 0, :2].max(0)) / 2 - recording.joints[0, 0, :2]
    reach = float(np.ptp(recording.joints[:, 0, :2], axis=0).max())
    camera = look_at((0.3, -5.0 - reach, 1.5), (0, 0, 0.95), o.picture, fov=46)
    actor = Actor(1, recording.body(), Replay(recording, (-float(middle[0]), -float(middle[1]))), 101 * o.seed + 1)
    size = 2 * reach + 12
    return _scene(
        "mocap", o, (actor,), camera, max(recording.duration, 1 / recording.fps), Surroundings((size, size, 3.4))
    )


def _ring(middle: Sequence[float] | Array, angle: float, length: float, width: float, back: bool = False) -> Path:
    """A long round about `middle`, half as long and wide as said (m), its length at `angle` (rad)."""
    long, wide = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    shape = [(1, 1), (0.0, 0.5), (-1, 1), (-1, -1), (0.0, -0.5), (1, -1)]
    places = [tuple((np.array(middle) + length * a * long + width * b * wide).tolist()) for a, b in shape]
    return through(places[:: -1 if back else 1], closed=True)


def _front(o: Options) -> CameraPath:
    """A camera before the middle of the room, a little to one side by the seed."""
    aside = float(np.random.default_rng([o.seed, 17]).uniform(-0.6, 0.6))
    return still(look_at((aside, -4.9, 1.45), (0.0, 0.0, 0.95), o.picture, fov=46))


def _scene(name: str, o: Options, cast: tuple[Motion | Actor, ...], cameras: object, duration: float,
           surroundings: Surroundings | None = None) -> StudioScene:  # fmt: skip
    """Put a scene together; motions get actors, a single camera may stand alone."""
    actors = tuple(m if isinstance(m, Actor) else Actor.cast(i + 1, m, o.seed) for i, m in enumerate(cast))
    paths = cameras if isinstance(cameras, tuple) else (cameras if callable(cameras) else still(cameras),)
    return StudioScene(
        name, actors, paths, o.times(duration), o.fps or 30.0, surroundings or Surroundings(),
        1.5 if o.noise is None else o.noise, o.shutter or 0.0, o.seed,
    )  # fmt: skip


_ALL = (sample, walk, run, turn, wave, squat, jump, sit, dance, crossing4, crossing4_views, moving_camera, multiview4,
        occluded, occluded3, passers_by, uniforms, moving_camera3, crowd10, outdoors, vfr, mocap)  # fmt: skip
SCENES: dict[str, Callable[[Options], StudioScene]] = {scene.__name__: scene for scene in _ALL}


def build(name: str, **options: object) -> StudioScene:
    """The scene called `name`; `options` are the fields of `Options`.

    Raises:
        UsageError: no such scene or option, or a value out of range.
        InputError: a recording that cannot be read.
    """
    if name not in SCENES:
        raise UsageError(f"no studio scene {name!r}", "the scenes are: " + ", ".join(SCENES), "studio sample")
    unknown = sorted(set(options) - set(Options.__dataclass_fields__))
    if unknown:
        raise UsageError(
            f"studio scenes have no option {unknown[0]!r}", "known: " + ", ".join(Options.__dataclass_fields__)
        )
    return SCENES[name](Options(**options))
