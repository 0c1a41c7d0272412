"""Motion capture as if calibrated cameras had filmed it: exact 2D beside 3D that anybody may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pipeline.errors import UsageError
from pipeline.skeletons import skeleton
from training.datasets import open_mocap
from training.datasets.cameras import Camera
from training.datasets.sequence import Sequence

Array = NDArray[np.floating]

SIZE = (1000, 1000)  # pixels
FOCAL = 1145.0  # pixels, like Human3.6M's lenses, without their distortion
DISTANCE = (3.5, 6.0)  # m from the nearest point of the person's path
HEIGHT = (0.8, 2.2)  # m above the floor
JOINTS = len(skeleton("h36m-17"))  # h36m-23 begins with them


def read(
    path: Path, cameras: int = 4, seed: int = 0, wanted: Callable[[str], bool] = lambda subject: True
) -> Iterator[Sequence]:
    """Every clip of `open_mocap.npz` in front of each of its own `cameras`, which stand around it at random.

    A clip's cameras hang on the seed and the clip's number only. Joints are the 17 of Human3.6M, in metres.

    Args:
        wanted: which subjects; all by default.

    Raises:
        InputError: as `open_mocap.read`.
        UsageError: fewer than one camera.
    """
    for clip in clips(path, cameras, wanted):
        rng = np.random.default_rng([seed, int(clip.action)])
        for number in range(cameras):
            yield film(clip, _stand(rng, clip.world, f"camera {number}"))


def clips(path: Path, cameras: int, wanted: Callable[[str], bool]) -> Iterator[Sequence]:
    """What that many cameras film. Raises InputError, UsageError as `read`."""
    if cameras < 1:
        raise UsageError(f"{cameras} cameras", "at least one must film")
    yield from (clip for clip in open_mocap.read(path) if wanted(clip.subject))


def film(clip: Sequence, camera: Camera) -> Sequence:
    """The clip's first 17 joints as the camera sees them: `keypoints` px, `joints` m in its frame."""
    world = clip.world[:, :JOINTS]
    joints = camera.to_camera(world)
    return replace(
        clip, camera=camera.name, keypoints=camera.to_pixels(joints), joints=joints, world=world, lens=camera,
        size=camera.size, skeleton_3d="h36m-17",
    )  # fmt: skip


def _stand(rng: np.random.Generator, world: Array, name: str) -> Camera:
    """A camera without roll that looks at the middle of the path, from far enough to see all of it."""
    low, high = world[:, 0].min(0), world[:, 0].max(0)
    middle = (low + high) / 2
    azimuth = rng.uniform(0, 2 * np.pi)
    away = rng.uniform(*DISTANCE) + np.linalg.norm(high - low) * (0.5 + FOCAL / SIZE[0])
    floor = world[..., 2].min()
    place = np.array(
        [*(middle[:2] + away * np.array([np.cos(azimuth), np.sin(azimuth)])), floor + rng.uniform(*HEIGHT)]
    )
    forward = (middle - place) / np.linalg.norm(middle - place)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward], axis=1)
    x, y, z, w = Rotation.from_matrix(axes).as_quat()
    centre = np.array(SIZE) / 2
    return Camera(name, SIZE, np.array([w, x, y, z]), place, np.full(2, FOCAL), centre, np.zeros(3), np.zeros(2))
