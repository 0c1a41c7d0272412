"""What stands still: floor, walls or sky, and boxes (furniture, posts, occluders), as picture and depth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.results import Camera
from studio.cameras import project, ray_grid
from studio.rotations import Array
from studio.shapes import FAR, Box, box_depth

LIGHT = np.array([-0.38, -0.46, 0.80]) / np.linalg.norm([-0.38, -0.46, 0.80])  # towards the light, world

_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)


@dataclass(frozen=True)
class Surroundings:
    """A room (`room` m: depth x, width y, height z, centred on the origin) or, with None, a plain under the sky."""

    room: tuple[float, float, float] | None = (11.0, 11.0, 3.4)
    tile: float = 0.5
    floor: tuple[tuple[int, int, int], tuple[int, int, int]] = ((176, 188, 196), (148, 160, 170))
    wall: tuple[int, int, int] = (196, 203, 206)
    clutter: bool = True
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Backdrop:
    """The empty scene in one camera."""

    picture: Array  # (H,W,3) uint8 BGR
    depth: Array  # (H,W) float32 m along the camera's z, FAR for the sky
    ground: Array  # (H,W) uint8, 255 where the floor is seen: shadows fall there


def paint_backdrop(surroundings: Surroundings, camera: Camera) -> Backdrop:
    """Draw floor, walls and boxes as this camera sees them."""
    u, v = ray_grid(camera)
    turn = camera.camera_to_world[:3, :3].astype(np.float32)
    eye = camera.camera_to_world[:3, 3].astype(np.float32)
    rays = np.stack([turn[i, 0] * u + turn[i, 1] * v + turn[i, 2] for i in range(3)])
    colour = _sky(rays)
    depth = np.full(u.shape, FAR, dtype=np.float32)
    pixel = 1.0 / camera.matrix[0, 0]
    if surroundings.room:
        _walls(surroundings, eye, rays, colour, depth)
    ground = _floor(surroundings, eye, rays, pixel, colour, depth)
    for box in surroundings.boxes:
        _box(box, eye, rays, colour, depth, ground)
    picture = np.clip(np.moveaxis(colour, 0, -1), 0, 255).astype(np.uint8)
    _box_shadows(surroundings.boxes, camera, picture, ground)
    return Backdrop(_soften(picture, depth, surroundings), depth, ground.astype(np.uint8) * 255)


def _sky(rays: Array) -> Array:
    height = np.clip(rays[2] / np.sqrt((rays * rays).sum(0)), 0, 1) ** 0.6
    low, high = np.array([232, 226, 216], np.float32), np.array([206, 160, 112], np.float32)
    return low[:, None, None] + (high - low)[:, None, None] * height


def _floor(s: Surroundings, eye: Array, rays: Array, pixel: float, colour: Array, depth: Array) -> Array:
    """Checker with edges as wide as a pixel's footprint, so that it never sparkles; far away it is one grey."""
    with np.errstate(divide="ignore", over="ignore"):
        hit = np.where(rays[2] < -1e-5, -eye[2] / rays[2], FAR).astype(np.float32)
    seen = (hit > 0) & (hit < depth + 1e-3) & (hit < 400)
    t = hit[seen]
    footprint = np.clip(t * pixel / s.tile, 1e-4, None)
    steep = np.clip(footprint * np.maximum(1, t / max(abs(float(eye[2])), 0.1)), 1e-4, 4)
    sign = np.ones_like(t)
    for axis in range(2):
        wave = (eye[axis] + t * rays[axis][seen]) / s.tile
        nearest = np.abs(np.mod(wave, 1.0) - 0.5)  # 0.5 on the line between two tiles
        sign *= np.where(np.mod(np.floor(wave), 2) > 0, -1, 1) * np.clip((0.5 - nearest) / steep, 0, 1)
    contrast = 1 / (1 + (2.2 * steep) ** 2)
    pattern = 0.5 + 0.5 * sign * contrast
    haze = np.clip(t / 45, 0, 1) if s.room is None else np.clip(t / 60, 0, 0.4)
    light, dark = (np.array(c, np.float32)[:, None] for c in s.floor)
    value = dark + (light - dark) * pattern
    colour[:, seen] = value * (1 - haze) + np.array([228, 224, 218], np.float32)[:, None] * haze
    depth[seen] = t
    return seen


def _walls(s: Surroundings, eye: Array, rays: Array, colour: Array, depth: Array) -> None:
    """The room seen from inside (the wall between an outside camera and the room is left out)."""
    size = np.array(s.room, dtype=np.float32)
    low, high = np.array([-size[0] / 2, -size[1] / 2, 0]), np.array([size[0] / 2, size[1] / 2, size[2]])
    safe = np.where(np.abs(rays) < 1e-7, 1e-7, rays)
    leave = np.stack([(np.where(safe[i] > 0, high[i], low[i]) - eye[i]) / safe[i] for i in range(3)])
    face, t = leave.argmin(0), leave.min(0).astype(np.float32)
    place = eye[:, None, None] + t * rays
    inside = (t > 0) & (place >= low[:, None, None] - 0.01).all(0) & (place <= high[:, None, None] + 0.01).all(0)
    shade = np.array([1.0, 0.93, 1.04])[face] * (0.90 + 0.10 * np.clip(place[2] / size[2], 0, 1))
    colour[:, inside] = (np.array(s.wall, np.float32)[:, None, None] * shade)[:, inside]
    upright = inside & (face < 2)
    skirting = upright & (place[2] < 0.11)
    colour[:, skirting] = np.array([150, 156, 160], np.float32)[:, None]
    if s.clutter:
        _pictures(place, face, upright, colour)
    depth[inside] = t[inside]


def _pictures(place: Array, face: Array, upright: Array, colour: Array) -> None:
    """A few framed pictures and a door, so that the walls are not bare."""
    along = np.where(face == 0, place[1], place[0])
    wide = (
        (-3.4, 1.75, 0.55, 0.40, (96, 120, 88)),
        (0.4, 1.9, 0.42, 0.55, (120, 104, 84)),
        (3.6, 1.02, 0.46, 1.02, (112, 138, 160)),
    )
    for x, z, half_x, half_z, tint in wide:
        dx, dz = np.abs(along - x), np.abs(place[2] - z)
        frame = upright & (dx < half_x) & (dz < half_z)
        inner = frame & (dx < half_x - 0.05) & (dz < half_z - 0.05)
        colour[:, frame] = np.array([86, 92, 98], np.float32)[:, None]
        fade = 1 + 0.25 * np.sin(5 * (place[2][inner] - z) + 2.5 * (along[inner] - x))
        colour[:, inner] = np.array(tint, np.float32)[:, None] * fade


def _box(box: Box, eye: Array, rays: Array, colour: Array, depth: Array, ground: Array) -> None:
    axes = box.axes().astype(np.float32)
    o = axes.T @ (eye - np.array(box.centre, np.float32))
    d = np.einsum("ji,jhw->ihw", axes, rays)
    half = np.array(box.size, np.float32) / 2
    t, face = box_depth(np.broadcast_to(o[:, None, None], d.shape), d, half)
    seen = t < depth
    on = face[seen]
    side = -np.sign(np.take_along_axis(d[:, seen], on[None], 0)[0])
    normals = axes.T[on] * side[:, None]
    light = 0.62 + 0.38 * np.clip(normals @ LIGHT.astype(np.float32), 0, 1) + 0.08 * normals[:, 2]
    colour[:, seen] = np.array(box.colour, np.float32)[:, None] * light
    depth[seen] = t[seen]
    ground[seen] = False


def _box_shadows(boxes: tuple[Box, ...], camera: Camera, picture: Array, ground: Array) -> None:
    """Darken the floor where boxes keep the light away."""
    mask = np.zeros(ground.shape, dtype=np.uint8)
    for box in boxes:
        corners = np.array(box.centre) + (_SIGNS * np.array(box.size) / 2) @ box.axes().T
        floor = np.concatenate([corners[:, :2] - corners[:, 2:] * LIGHT[:2] / LIGHT[2], np.zeros((8, 1))], axis=1)
        pixels, depths = project(camera, floor)
        if depths.min() > 0.1 and np.abs(pixels).max() < 1e5:
            cv2.fillConvexPoly(mask, cv2.convexHull(pixels.astype(np.float32)).round().astype(np.int32), 105)
    if mask.any():
        soft = cv2.GaussianBlur(mask, (0, 0), float(np.clip(0.004 * camera.matrix[0, 0], 0.6, 5))) * ground
        picture[:] = (picture * (1 - soft[..., None] / np.float32(255))).astype(np.uint8)


def _soften(picture: Array, depth: Array, s: Surroundings) -> Array:
    """Blend the steps along edges of boxes and pictures on the wall."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    edges = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 24
    blurred = cv2.GaussianBlur(picture, (3, 3), 0.8)
    return np.where(edges[..., None], blurred, picture)
