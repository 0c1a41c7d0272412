"""Cameras as the lifting papers use them: quaternions, distortion, and 2D in units of half the picture's width.

Camera axes: x right, y down, z forward. Quaternions are (w,x,y,z) and taken as they are, without normalising, because
the published targets were made so. Sources: VideoPose3D (Pavllo et al. 2019), P-STMO (Shan et al. 2022), MotionBERT
(Zhu et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Camera:
    """One calibrated camera: where it is in the world, and, where the data set tells, its lens in pixels.

    One that moves has a place for each of T frames, and maps joints (T,...,3).
    """

    name: str
    size: tuple[int, int]  # width, height in pixels
    orientation: Array  # (4,) or (T,4) quaternion of the camera in the world
    position: Array  # (3,) or (T,3) metres, its centre in the world
    focal: Array | None = None  # (2,) pixels
    centre: Array | None = None  # (2,) pixels
    radial: Array | None = None  # (3,) k1, k2, k3
    tangential: Array | None = None  # (2,) p1, p2

    def to_camera(self, world: Array) -> Array:
        """Joints (...,3) in metres, world -> camera."""
        orientation, position = self._place(world)
        return rotate(conjugate(orientation), world - position)

    def to_world(self, joints: Array) -> Array:
        """Joints (...,3) in metres, camera -> world."""
        orientation, position = self._place(joints)
        return rotate(orientation, joints) + position

    def _place(self, joints: Array) -> tuple[Array, Array]:
        """Orientation and position, with as many axes as the joints where it moves."""
        if self.orientation.ndim == 1:
            return self.orientation, self.position
        axes = tuple(range(1, joints.ndim - 1))
        return np.expand_dims(self.orientation, axes), np.expand_dims(self.position, axes)

    def intrinsic(self) -> Array:
        """(9,) fx, fy, cx, cy, k1, k2, k3, p1, p2; focal length and centre in units of half the width.

        Raises:
            ValueError: the data set does not tell the lens.
        """
        if self.focal is None or self.centre is None or self.radial is None or self.tangential is None:
            raise ValueError(f"the lens of camera {self.name} is not known")
        centre = normalise_screen(self.centre, *self.size)
        return np.concatenate([2 * self.focal / self.size[0], centre, self.radial, self.tangential])

    def to_pixels(self, joints: Array, distorted: bool = True) -> Array:
        """Joints (...,3) in metres in the camera's frame -> (...,2) pixels. Raises ValueError as `intrinsic`."""
        return denormalise_screen(project(joints, self.intrinsic(), distorted), *self.size)


def rotate(quaternion: Array, vectors: Array) -> Array:
    """Turn vectors (...,3) by a quaternion (4,), or by several (...,4)."""
    w, axis = quaternion[..., :1], np.broadcast_to(quaternion[..., 1:], vectors.shape)
    across = np.cross(axis, vectors)
    return vectors + 2 * (w * across + np.cross(axis, across))


def conjugate(quaternion: Array) -> Array:
    """The opposite rotation of a unit quaternion."""
    return quaternion * np.array([1, -1, -1, -1], quaternion.dtype)


def project(joints: Array, intrinsic: Array, distorted: bool = True) -> Array:
    """Joints (...,3) in the camera's frame -> (...,2) in the units of `intrinsic` (9,), as VideoPose3D projects.

    What is more than 45 degrees off the axis, in x or in y, is put at 45 degrees.
    """
    focal, centre, radial, tangential = np.split(intrinsic, [2, 4, 7])
    xy = np.clip(joints[..., :2] / joints[..., 2:], -1, 1)
    if distorted:
        r2 = (xy**2).sum(-1, keepdims=True)
        bent = 1 + radial[0] * r2 + radial[1] * r2**2 + radial[2] * r2**3
        xy = xy * (bent + (tangential * xy).sum(-1, keepdims=True)) + tangential * r2
    return focal * xy + centre


def mirror_intrinsic(intrinsic: Array) -> Array:
    """(...,9) of the camera that sees mirrored pictures: the centre's x and the tangential p1 change sign."""
    return intrinsic * np.array([1, 1, -1, 1, 1, 1, 1, -1, 1])


def back_project(uvd: Array, target: Array, intrinsic: Array) -> Array:
    """P-STMO's refinement input: 2D and relative depth -> root-relative joints (B,T,J,3), distortion left out.

    Args:
        uvd: (B,T,J,3), x and y on the screen and the depth relative to the root; the root's own depth is not used.
        target: (B,T,J,3), true joints in the camera's frame, of which the depth of the root (joint 0) is used.
        intrinsic: (B,9) in the same units as x and y.
    """
    root = target[:, :, :1, 2:]
    depth = uvd[..., 2:] + root
    depth[:, :, :1] = root
    focal, centre = intrinsic[:, None, None, 0:2], intrinsic[:, None, None, 2:4]
    joints = np.concatenate([(uvd[..., :2] - centre) * depth / focal, depth], axis=-1)
    return joints - joints[:, :, :1]


def normalise_screen(pixels: Array, width: int, height: int) -> Array:
    """(...,2) pixels -> x in [-1,1], y in [-h/w,h/w]: both divided by the width, so that proportions survive."""
    return pixels * (2 / width) - np.array([1, height / width])


def denormalise_screen(points: Array, width: int, height: int) -> Array:
    """The inverse of `normalise_screen`."""
    return (points + np.array([1, height / width])) * (width / 2)


def crop_scale(motion: Array, low: float = 1.0, high: float = 1.0, seed: int | None = None) -> Array:
    """MotionBERT's person crop: (T,J,3) x, y, confidence -> x and y in [-1,1] over the square around the whole clip.

    Joints of confidence 0 do not stretch the square; with fewer than 4 others all is zero. The square's side is the
    longer side of their box times a factor drawn between `low` and `high`. Confidences, too, end in [-1,1].
    """
    points = motion[motion[..., 2] != 0][:, :2]
    if len(points) < 4:
        return np.zeros_like(motion)
    first, last = points.min(0), points.max(0)
    ratio = low if low == high else np.random.default_rng(seed).uniform(low, high)
    side = (last - first).max() * ratio
    if side == 0:
        return np.zeros_like(motion)
    corner = (first + last - side) / 2
    xy = 2 * (motion[..., :2] - corner) / side - 1
    return np.clip(np.concatenate([xy, motion[..., 2:]], axis=-1), -1, 1)
