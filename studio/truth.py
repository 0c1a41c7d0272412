"""What is exactly true of a studio scene, and what a detector would say of it.

A joint is visible when it lies in the picture and no actor and no box is nearer to the camera on its ray. Joints lie
inside the flesh, so the body they belong to hides them only from a distance in front that is set per joint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.projection import project
from pipeline.results import Camera, Detections
from pipeline.skeletons import skeleton
from studio.body import Body, Figure
from studio.rotations import Array
from studio.shapes import FAR, Box, Cones, box_depth, cone_depth

# How deep (m) a joint may lie under its own body's surface and still count as seen.
_DEPTHS = {"hip": 0.16, "pelvis": 0.2, "mid_hip": 0.2, "spine": 0.2, "thorax": 0.15, "neck": 0.15, "neck_nose": 0.13,
           "head": 0.13, "head_top": 0.13, "shoulder": 0.11, "knee": 0.10, "elbow": 0.08, "ankle": 0.08, "wrist": 0.06,
           "eye": 0.04, "eye_inner": 0.04, "eye_outer": 0.045, "ear": 0.05, "mouth": 0.05, "nose": 0.04}  # fmt: skip
_DEFAULT_DEPTH = 0.07


@dataclass(frozen=True)
class Truth:
    """C cameras, A actors, T frames, J joints of `skeleton`, K = 23 joints of `h36m-23`."""

    times: Array  # (T,) s
    ids: Array  # (A,) int32
    joints: Array  # (A,T,23,3) m, world, h36m-23
    skeleton: str
    points: Array  # (A,T,J,3) m, world: the joints that `keypoints` are the pictures of
    keypoints: Array  # (C,A,T,J,2) px, NaN behind the camera
    visible: Array  # (C,A,T,J) bool: in the picture and nothing in front
    inside: Array  # (C,A,T,J) bool: in the picture
    contacts: Array  # (A,T,4) bool: left heel, left toe, right heel, right toe
    cameras: tuple[tuple[Camera, ...], ...]  # [C][T]

    def detections(
        self, noise_px: float = 0.0, drop: float = 0.0, seed: int = 0, camera: int = 0, least: float = 0.3
    ) -> list[Detections]:
        """What a good detector would give for each frame, people in random order.

        Args:
            noise_px: standard deviation of each coordinate for a person 400 px tall; it grows with the person.
            drop: chance that a person who is there is not found in a frame.
            seed: of noise, order and drops.
            least: a person with a smaller visible share of the joints is not found.
        """
        rng = np.random.default_rng([seed, 11, camera])
        found = []
        for t in range(len(self.times)):
            there = self.visible[camera, :, t].mean(axis=-1) >= least
            there &= np.isfinite(self.keypoints[camera, :, t]).all(axis=(1, 2))
            kept = rng.random(len(self.ids)) >= drop
            order = rng.permutation(len(self.ids))
            found.append(self._detect(camera, t, order[(there & kept)[order]], noise_px, rng))
        return found

    def _detect(self, camera: int, t: int, people: Array, noise: float, rng: np.random.Generator) -> Detections:
        """The detections of these people (indices of actors); hidden joints scatter more and score low."""
        exact, clear = self.keypoints[camera, people, t], self.visible[camera, people, t]
        size = np.ptp(exact, axis=1).max(axis=1)[:, None, None] / 400
        spread = np.where(clear, 1.0, 2.5)[..., None] * noise * size
        keypoints = (exact + rng.standard_normal(exact.shape) * spread).astype(np.float32)
        scores = np.where(clear, rng.uniform(0.8, 1.0, clear.shape), rng.uniform(0.05, 0.4, clear.shape))
        boxes = np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1)
        presence = self.inside[camera, people, t].astype(np.float32)
        scores = scores.astype(np.float32)
        return Detections(self.skeleton, boxes, scores.mean(axis=1), keypoints, scores, presence)


def observe(
    times: Array, ids: Array, bodies: Sequence[Body], figures: Sequence[Figure], cones: Sequence[Cones],
    cameras: Sequence[Sequence[Camera]], boxes: Sequence[Box], name: str,
) -> Truth:  # fmt: skip
    """The truth of figures that are already in the world."""
    joints = np.stack([body.joints(figure) for body, figure in zip(bodies, figures, strict=True)])
    points = np.stack([body.joints(figure, name) for body, figure in zip(bodies, figures, strict=True)])
    keypoints = np.full((len(cameras), *points.shape[:3], 2), np.nan)
    inside = np.zeros(keypoints.shape[:-1], dtype=bool)
    visible = np.zeros_like(inside)
    for c, path in enumerate(cameras):
        for t, camera in enumerate(path):
            keypoints[c, :, t], depth = project(camera, points[:, t])
            inside[c, :, t] = (depth > 0) & _in_picture(keypoints[c, :, t], camera.size)
            clear = ~hidden(camera, points[:, t], [_moment(shape, t) for shape in cones], boxes, name)
            visible[c, :, t] = inside[c, :, t] & clear
    contacts = np.stack([figure.contacts for figure in figures])
    return Truth(times, ids, joints, name, points, keypoints, visible, inside, contacts, tuple(map(tuple, cameras)))


def _in_picture(pixels: Array, size: tuple[int, int]) -> Array:
    with np.errstate(invalid="ignore"):
        return (pixels >= -0.5).all(-1) & (pixels[..., 0] < size[0] - 0.5) & (pixels[..., 1] < size[1] - 0.5)


def _moment(cones: Cones, t: int) -> Cones:
    return Cones(cones.start[t : t + 1], cones.axes[t : t + 1], cones.length, cones.r0, cones.r1, cones.squash)


def hidden(camera: Camera, points: Array, cones: Sequence[Cones], boxes: Sequence[Box], name: str) -> Array:
    """(A,J) bool: something is in front of the joints `points` (A,J,3) m of actors with these cones (T = 1)."""
    eye = camera.camera_to_world[:3, 3]
    rays = points - eye
    reach = np.linalg.norm(rays, axis=-1)
    rays = rays / np.maximum(reach, 1e-9)[..., None]
    own_depth = np.array([_own_depth(joint) for joint in skeleton(name).joints])
    blocked = np.zeros(reach.shape, dtype=bool)
    for box in boxes:
        axes = box.axes()
        o = axes.T @ (eye - np.array(box.centre))
        d = np.moveaxis(rays @ axes, -1, 0)
        blocked |= box_depth(np.broadcast_to(o[:, None, None], d.shape), d, np.array(box.size) / 2)[0] < reach
    for owner, shapes in enumerate(cones):
        margin = np.zeros_like(reach)
        margin[owner] = own_depth
        blocked |= _first_hit(shapes, eye, rays) < reach - margin
    return blocked


def _own_depth(joint: str) -> float:
    return _DEPTHS.get(joint.removeprefix("left_").removeprefix("right_"), _DEFAULT_DEPTH)


def _first_hit(cones: Cones, eye: Array, rays: Array) -> Array:
    """(A,J) m: how far unit rays (A,J,3) from `eye` go before they meet one of the cones; `FAR` if never."""
    local = cones.local()[0]
    o = np.einsum("nij,nj->in", local, eye - cones.start[0])[:, :, None, None]
    d = np.einsum("nij,akj->inak", local, rays)
    sizes = [values[:, None, None] for values in (cones.length, cones.r0, cones.r1)]
    return np.minimum(cone_depth(o, d, *sizes).min(axis=0), FAR)
