"""A studio scene: actors, cameras and a clock, and the pictures and the truth that come of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from pipeline.results import Camera
from studio.backdrop import Surroundings, paint_backdrop
from studio.body import Body, Figure, Proportions, build_body
from studio.cameras import CameraPath
from studio.flesh import Flesh, dress, palette
from studio.motions import Motion
from studio.render import Painter
from studio.rotations import Array
from studio.shapes import Cones
from studio.truth import Truth, observe

SUBFRAMES = 5  # pictures that a blurred frame is the mean of


@dataclass(frozen=True)
class Actor:
    """One person: bones, a motion, and the seed of the colours."""

    id: int
    body: Body
    motion: Motion
    look: int

    @staticmethod
    def cast(number: int, motion: Motion, seed: int = 0, look: int | None = None) -> Actor:
        """The actor `number` of a scene with this seed; proportions and colours follow from `look`, or the number."""
        look = 101 * seed + (number if look is None else look)
        return Actor(number, build_body(Proportions.random(look)), motion, look)

    @cached_property
    def flesh(self) -> Flesh:
        return dress(self.body)


@dataclass(frozen=True)
class StudioScene:
    """What `studio.scenes.build` gives. `times` (T,) s are the frames' own times and need not be even."""

    name: str
    actors: tuple[Actor, ...]
    cameras: tuple[CameraPath, ...]
    times: Array
    fps: float
    surroundings: Surroundings = field(default_factory=Surroundings)
    noise: float = 1.5  # standard deviation of the sensor's noise, grey levels
    shutter: float = 0.0  # s of motion blur
    seed: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width, height px of the first camera."""
        return self.cameras[0](0.0).size

    def figures(self, times: Array | None = None) -> list[Figure]:
        """Every actor's figure at `times` (the frames' own when None)."""
        return [actor.motion(actor.body, self.times if times is None else times) for actor in self.actors]

    def frames(self, camera: int = 0) -> Iterator[Array]:
        """(H,W,3) uint8 BGR, one picture per time. The same scene gives the same bytes."""
        steps = np.linspace(-0.5, 0.5, SUBFRAMES) * self.shutter if self.shutter else np.zeros(1)
        rng = np.random.default_rng([self.seed, 5, camera])
        grain = _grain(rng, self.cameras[camera](0.0).size, self.noise)
        painter: Painter | None = None
        for time in self.times:
            layers = []
            for moment in time + steps:
                painter = self._painter(self.cameras[camera](float(moment)), painter)
                layers.append(self._paint(painter, float(moment)))
            picture = layers[0] if len(layers) == 1 else np.mean(layers, axis=0).astype(np.uint8)
            yield _with_grain(picture, grain, rng)

    def _painter(self, camera: Camera, last: Painter | None) -> Painter:
        if last is not None and np.array_equal(last.camera.camera_to_world, camera.camera_to_world):
            return last
        return Painter(camera, paint_backdrop(self.surroundings, camera))

    def _paint(self, painter: Painter, moment: float) -> Array:
        figures = self.figures(np.array([moment]))
        cones = [actor.flesh.cones(figure) for actor, figure in zip(self.actors, figures, strict=True)]
        return painter.paint(cones, [a.flesh.material for a in self.actors], [palette(a.look) for a in self.actors])

    def truth(self, skeleton: str = "blazepose-33") -> Truth:
        """The exact truth, without painting: world joints, pixels in `skeleton`, visibility, cameras, contacts."""
        figures = self.figures()
        bodies = [actor.body for actor in self.actors]
        cones: list[Cones] = [actor.flesh.cones(figure) for actor, figure in zip(self.actors, figures, strict=True)]
        cameras = [[path(float(time)) for time in self.times] for path in self.cameras]
        ids = np.array([actor.id for actor in self.actors], dtype=np.int32)
        return observe(self.times, ids, bodies, figures, cones, cameras, self.surroundings.boxes, skeleton)


def _grain(rng: np.random.Generator, size: tuple[int, int], sigma: float) -> Array:
    """A sheet of noise (int16), larger than the picture, of which every frame takes another part."""
    if sigma <= 0:
        return np.zeros((0, 0, 3), dtype=np.int16)
    shape = (size[1] + 64, size[0] + 64, 3)
    return np.round(rng.standard_normal(shape, dtype=np.float32) * sigma).astype(np.int16)


def _with_grain(picture: Array, grain: Array, rng: np.random.Generator) -> Array:
    if not grain.size:
        return picture
    y, x = rng.integers(0, 64, 2)
    part = grain[y : y + picture.shape[0], x : x + picture.shape[1]]
    return cv2.add(picture, part, dtype=cv2.CV_8U)  # saturates
