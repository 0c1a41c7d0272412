"""What stands still: floor, walls or sky, and boxes (furniture, posts, occluders), as picture and depth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.projection import project
from pipeline.results import Camera
from studio.cameras import ray_grid
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
    picture = cv2.merge([np.clip(channel, 0, 255).astype(np.uint8) for channel in colour])
    _box_shadows(surroundings.boxes, camera, picture, ground)
    return Backdrop(_soften(picture), depth, ground.astype(np.uint8) * 255)


def _sky(rays: Array) -> Array:
    length = np.sqrt(rays[0] * rays[0] + rays[1] * rays[1] + rays[2] * rays[2])
    height = np.sqrt(np.clip(rays[2] / length, 0, 1))
    low, high = np.array([232, 226, 216], np.float32), np.array([206, 160, 112], np.float32)
    return low[:, None, None] + (high - low)[:, None, None] * height


def _floor(s: Surroundings, eye: Array, rays: Array, pixel: float, colour: Array, depth: Array) -> Array:
    """Checker with edges as wide as a pixel's footprint, so that it never sparkles; far away it is one grey."""
    with np.errstate(divide="ignore", over="ignore"):
        hit = np.where(rays[2] < -1e-5, -eye[2] / rays[2], FAR).astype(np.float32)
    seen = (hit > 0) & (hit < depth) & (hit < 400)
    t = hit[seen]
    steep = t * np.float32(pixel / s.tile) * np.maximum(1, t / np.float32(max(abs(float(eye[2])), 0.1)))
    steep = np.clip(steep, 1e-4, 4)
    sign = np.ones_like(t)
    for axis in range(2):
        wave = (eye[axis] + t * rays[axis][seen]) * np.float32(1 / s.tile)
        tile = np.floor(wave)
        middle = np.abs(wave - tile - np.float32(0.5))  # 0.5 on the line between two tiles
        sign *= np.clip((np.float32(0.5) - middle) / steep, 0, 1)
        sign *= 1 - 2 * np.abs(tile - 2 * np.floor(tile * np.float32(0.5)))
    pattern = 0.5 + 0.5 * sign / (1 + (2.2 * steep) ** 2)
    haze = np.clip(t / 45, 0, 1) if s.room is None else np.clip(t / 60, 0, 0.4)
    for channel, (light, dark, far) in enumerate(zip(*s.floor, (228, 224, 218), strict=True)):
        value = dark + (light - dark) * pattern
        colour[channel][seen] = value + (far - value) * haze
    depth[seen] = t
    return seen


def _walls(s: Surroundings, eye: Array, rays: Array, colour: Array, depth: Array) -> None:
    """Walls and ceiling from inside (the wall between an outside camera and the room is left out)."""
    x, y, z = (np.float32(n) for n in s.room)
    sides = np.array([[-x / 2, x / 2], [-y / 2, y / 2], [0, z]], np.float32) - eye[:, None]
    leave = []
    for ray, (low, high) in zip(rays, sides, strict=True):
        away = np.where(ray > 0, high, low)
        away /= np.where(np.abs(ray) < 1e-7, np.float32(1e-7), ray)
        leave.append(away)
    t = np.minimum(np.minimum(leave[0], leave[1]), leave[2])
    seen = (t > 0) & ((rays[2] > 0) | (t < leave[2]))  # the floor is painted elsewhere
    if not ((sides[:, 0] < 0) & (sides[:, 1] > 0)).all():
        for ray, (low, high) in zip(rays, sides, strict=True):
            seen &= (t * ray >= low - 0.01) & (t * ray <= high + 0.01)
    reach = t[seen]
    on_x, up = leave[0][seen] <= reach, leave[2][seen] <= reach
    place = [eye[i] + reach * rays[i][seen] for i in range(3)]
    shade = np.where(up, np.float32(1.04), np.where(on_x, np.float32(1.0), np.float32(0.93)))
    shade *= 0.90 + 0.10 * place[2] / z
    paint = shade * np.array(s.wall, np.float32)[:, None]
    paint[:, ~up & (place[2] < 0.11)] = np.array([150, 156, 160], np.float32)[:, None]  # skirting
    if s.clutter:
        _pictures(np.where(on_x, place[1], place[0]), np.where(up, np.float32(-9), place[2]), paint)
    for channel in range(3):
        colour[channel][seen] = paint[channel]
    depth[seen] = reach


def _pictures(along: Array, height: Array, paint: Array) -> None:
    """A few framed pictures and a door, so that the walls are not bare; `along` and `height` (N,) m on the wall."""
    wide = (
        (-3.4, 1.75, 0.55, 0.40, (96, 120, 88)),
        (0.4, 1.9, 0.42, 0.55, (120, 104, 84)),
        (3.6, 1.02, 0.46, 1.02, (112, 138, 160)),
    )
    for x, z, half_x, half_z, tint in wide:
        frame = np.flatnonzero((np.abs(along - x) < half_x) & (np.abs(height - z) < half_z))
        dx, dz = along[frame] - x, height[frame] - z
        inner = (np.abs(dx) < half_x - 0.05) & (np.abs(dz) < half_z - 0.05)
        fade = 1 + 0.25 * np.sin(5 * dz + 2.5 * dx)
        edge = np.array([[86], [92], [98]], np.float32)
        paint[:, frame] = np.where(inner, np.array(tint, np.float32)[:, None] * fade, edge)


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


def _soften(picture: Array) -> Array:
    """Blend the steps along edges of boxes and pictures on the wall."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    edges = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 24
    return cv2.copyTo(cv2.GaussianBlur(picture, (3, 3), 0.8), edges.astype(np.uint8), picture)
