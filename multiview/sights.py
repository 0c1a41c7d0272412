"""What the views see of points, as linear equations of the points' places: undistorted once, in pixels.

A view that sees a point at the direction (u, v) = (x/z, y/z) says of its place X in the world that
`(R1 - u R3) X + t1 - u t3 = 0` and likewise for v (Hartley and Zisserman, section 12.2). Multiplied by the derivative
of the pixels by (u, v) and divided by the depth `R3 X + t3`, these are the reprojection errors in pixels: exactly where
there is no distortion, else to first order in the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.projection import centre, rays, to_pixels
from pipeline.results import Array, Camera

_STEP = 1e-5  # of the finite difference of the distortion, in units of x/z
_NEAREST = 1e-3  # m: no point is nearer to a camera, so that nothing is divided by 0


@dataclass(frozen=True)
class Sights:
    """V views of N points; homogeneous places (x, y, z, 1) in m, the points last for speed."""

    rows: Array  # (V,2,4,N) px times m: of a place, its error in pixels times its depth
    axis: Array  # (V,4,N), or (V,4,1) where the cameras stand still: of a place, its depth m
    weights: Array  # (V,N) the scores, 0 where unseen
    centres: Array  # (V,3,N) or (V,3,1) m
    unit: Array  # (V,1) px: a 1080th of the picture's shorter side

    def some(self, points: Array) -> Sights:
        """The same of some of the points: indices or (N,) bool."""
        still = self.axis.shape[-1] == 1
        return Sights(self.rows[..., points], self.axis if still else self.axis[..., points], self.weights[:, points],
                      self.centres if still else self.centres[..., points], self.unit)  # fmt: skip

    def errors(self, places: Array) -> tuple[Array, Array]:
        """Places (3,N) m -> errors (V,2,N) px and depths (V,N) m, which are negative behind a camera."""
        x, y, z = places
        depth = self.axis[:, 0] * x + self.axis[:, 1] * y + self.axis[:, 2] * z + self.axis[:, 3]
        r = self.rows
        off = r[:, :, 0] * x + r[:, :, 1] * y + r[:, :, 2] * z + r[:, :, 3]
        return off / np.where(np.abs(depth) < _NEAREST, _NEAREST, depth)[:, None], depth


def sights(cameras: Sequence[Camera], keypoints: Array, scores: Array) -> Sights:
    """Keypoints (V,T,J,2) px with scores (V,T,J) -> N = T * J points; what is NaN in either is unseen.

    Raises:
        ValueError: not one camera per view, or a moving camera that has not one pose per time.
    """
    keypoints, scores = np.asarray(keypoints, np.float64), np.asarray(scores, np.float64)
    if keypoints.shape != (*scores.shape, 2) or len(cameras) != len(keypoints):
        raise ValueError(f"{len(cameras)} cameras, keypoints {keypoints.shape}, scores {scores.shape}")
    times, joints = scores.shape[1:]
    poses = [np.asarray(c.world_to_camera, np.float64).reshape(-1, 4, 4) for c in cameras]
    if any(len(p) not in (1, times) for p in poses):
        raise ValueError(f"{times} times, but cameras of {sorted({len(p) for p in poses})} poses")
    still = all(len(p) == 1 for p in poses)
    flat = np.stack([rays(c, k.reshape(-1, 2)) for c, k in zip(cameras, keypoints, strict=True)])
    scores = scores.reshape(len(cameras), -1)
    seen = np.isfinite(flat).all(-1) & (scores > 0)
    flat = np.where(seen[..., None], flat, 0.0)

    def spread(values: Array) -> Array:
        """(1 or T, ...) -> (..., 1 or N)."""
        wide = values if still else np.repeat(np.broadcast_to(values, (times, *values.shape[1:])), joints, axis=0)
        return np.moveaxis(wide, 0, -1)

    pose = np.stack([spread(p[:, :3]) for p in poses])  # (V,3,4,N or 1)
    off = pose[:, :2] - flat.transpose(0, 2, 1)[:, :, None] * pose[:, 2:]
    return Sights(
        np.stack([_stretched(c, f, o) for c, f, o in zip(cameras, flat, off, strict=True)]),
        pose[:, 2],
        np.where(seen, scores, 0.0),
        np.stack([spread(centre(c).reshape(-1, 3)) for c in cameras]),
        np.array([min(c.size) / 1080 for c in cameras])[:, None],
    )


def _stretched(camera: Camera, flat: Array, off: Array) -> Array:
    """(2,4,N) per unit of `flat` (N,2) -> px, by the derivative of the camera's distortion at `flat`."""
    if not (np.any(camera.distortion) or camera.fisheye):
        (a, b), (c, d) = np.asarray(camera.matrix, np.float64)[:2, :2]
        return np.stack([a * off[0] + b * off[1], c * off[0] + d * off[1]])
    middle = to_pixels(camera, flat)
    by = [((to_pixels(camera, flat + step) - middle) / _STEP).T for step in _STEP * np.eye(2)]
    return by[0][:, None] * off[0] + by[1][:, None] * off[1]
