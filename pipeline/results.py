"""The data that flows between the stages: plain frozen dataclasses, no behaviour, nothing of ours imported.

Frames of reference
    pixels   origin top-left, x right, y down, integer pixel centres (OpenCV)
    camera   OpenCV axes: x right, y down, z forward, metres
    world    right-handed, Z up, metres, floor at z = 0
Time is in seconds from the start of the clip. What is missing is NaN with score 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Planes = tuple[Array, Array, Array]  # (H,W), (H/2,W/2), (H/2,W/2) uint8: Y, U and V of 4:2:0, limited range


@dataclass(frozen=True)
class Detections:
    """The people a detector saw in one frame (P people, J keypoints). P may be 0."""

    skeleton: str  # name in pipeline.skeletons
    boxes: Array  # (P,4) float32 px, x1 y1 x2 y2
    box_scores: Array  # (P,) float32 in [0,1], NaN where the detector tells the joints' alone
    keypoints: Array  # (P,J,2) float32 px
    scores: Array  # (P,J) float32 in [0,1]: how sure the detector is of the position (visibility)
    presence: Array | None = None  # (P,J) float32 in [0,1]: is the joint inside the picture at all
    world: Array | None = None  # (P,J,3) float32 m, camera orientation, hip-centred
    following: Array | None = None  # (P,) int32: the detector's own following id, -1 none
    appearance: Array | None = None  # (P,D) float32, D fixed by the detector

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Track2D:
    """One person in 2D over T consecutive frames of the clip, from birth to death, none skipped."""

    id: int
    skeleton: str
    frames: Array  # (T,) int32, consecutive indices into the clip
    keypoints: Array  # (T,J,2) float32 px, NaN where missing
    scores: Array  # (T,J) float32 in [0,1], 0 where missing
    observed: Array  # (T,) bool: a detector saw the person in this frame
    boxes: Array  # (T,4) float32 px, NaN where not observed
    presence: Array | None = None  # (T,J)
    world: Array | None = None  # (T,J,3) m
    appearance: Array | None = None  # (T,D)

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Motion3D:
    """One person in 3D over T consecutive frames of the clip (K joints, the first 17 are Human3.6M's).

    `frame` tells what `joints` are:
        "root"    relative to the pelvis, camera axes (what a lifter gives); `root` is NaN
        "camera"  metres in the camera's frame
        "world"   metres in the world
    """

    id: int
    skeleton: str
    frame: Literal["root", "camera", "world"]
    frames: Array  # (T,) int32, consecutive indices into the clip
    joints: Array  # (T,K,3) float32 m, NaN where unknown
    scores: Array  # (T,K) float32 in [0,1]
    root: Array  # (T,3) float32 m: the pelvis' trajectory in `frame`
    observed: Array  # (T,) bool
    contacts: Array | None = None  # (T,4) float32 in [0,1]: l_heel, l_toe, r_heel, r_toe on the ground

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Camera:
    """A camera: `x_px ~ K distort(R X_world + t)`.

    `distortion` is OpenCV's k1 k2 p1 p2 k3, or k1 k2 p1 p2 k3 k4 k5 k6; of a fisheye its k1 k2 k3 k4.
    """

    matrix: Array  # (3,3) px
    size: tuple[int, int]  # width, height px
    distortion: Array = field(default_factory=lambda: np.zeros(5))  # (5,) or (8,), fisheye (4,)
    camera_to_world: Array = field(default_factory=lambda: np.eye(4))  # (4,4), or (T,4,4) where it moves
    source: str = "default"  # where the focal length came from
    name: str = ""
    fisheye: bool = False
    offset_s: float = 0.0  # of several views: scene time = offset_s + rate * time of this camera's own clock
    rate: float = 1.0

    @property
    def world_to_camera(self) -> Array:
        """(4,4) or (T,4,4), the inverse of `camera_to_world`."""
        return np.linalg.inv(self.camera_to_world)


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip without its pictures."""

    path: str
    width: int  # after rotation
    height: int
    times: Array  # (T,) float64 s, from the container, starting at 0
    fps: float  # nominal: 1 / median frame distance
    rotation: int = 0  # degrees clockwise that were applied
    variable_rate: bool = False
    warnings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # of the pictures, one each, where the clip is made of them


@dataclass(frozen=True)
class View:
    """What one of several cameras saw of a scene.

    `tracks` are on the scene's clock: their `frames` count the scene's times, at which this camera's keypoints are
    interpolated. There is one per person of the scene, in its order; of a person whom the camera never saw it is
    empty (T = 0).
    """

    clip: ClipInfo  # with the camera's own times
    camera: Camera  # moving: one pose per time of the scene
    tracks: list[Track2D]

    @property
    def name(self) -> str:
        """The camera's, or else the file's."""
        return self.camera.name or PurePath(self.clip.path).stem


@dataclass(frozen=True)
class Scene:
    """The result of a run: everyone in the clip, in the camera's frame and in the world.

    Where several cameras filmed it, `clip`, `camera` and `tracks` are those of the first view, whose times are the
    scene's clock.
    """

    clip: ClipInfo
    camera: Camera
    tracks: list[Track2D]  # one per person, same order as `people`; without presence, world and appearance
    people: list[Motion3D]  # frame "world"
    provenance: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    views: tuple[View, ...] = ()  # all of them, the first too; none: one camera filmed it
