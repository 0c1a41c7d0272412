"""Pictures of actors: rounded cones met by the ray of every pixel, nearest first, then shaded once.

Each cone is met only inside the rectangle that holds it; a depth buffer shared by all actors and the empty scene
decides who is in front. Normals are smoothed a little so that cloth runs from one cone into the next.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.projection import project
from pipeline.results import Camera
from studio.backdrop import LIGHT, Backdrop
from studio.cameras import ray_grid
from studio.flesh import MATERIALS
from studio.rotations import Array
from studio.shapes import Cones, cone_depth, cone_normal

Rectangle = tuple[int, int, int, int]  # x0 y0 x1 y1, half open
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
_GLOSS = np.array([{"skin": 0.10, "hair": 0.16, "iris": 0.9, "white": 0.3, "shoes": 0.12, "lips": 0.25}.get(m, 0.0)
                   for m in MATERIALS], dtype=np.float32)  # fmt: skip


class Painter:
    """Paints one moment after another for one camera position; keeps the rays between the pictures."""

    def __init__(self, camera: Camera, backdrop: Backdrop) -> None:
        self.camera, self.backdrop = camera, backdrop
        self.u, self.v = ray_grid(camera)

    def paint(self, actors: Sequence[Cones], materials: Sequence[Array], palettes: Sequence[Array]) -> Array:
        """(H,W,3) uint8 BGR of these actors at one moment.

        Args:
            actors: world cones with T = 1.
            materials: for each actor (N,) indices into `flesh.MATERIALS`.
            palettes: for each actor (M,3) uint8 BGR.
        """
        picture = self.backdrop.picture.copy()
        for cones in actors:
            cast_shadow(picture, self.backdrop.ground, self.camera, cones)
        depth = self.backdrop.depth.copy()
        normals = np.zeros((*depth.shape, 3), dtype=np.float32)
        label = np.zeros(depth.shape, dtype=np.uint8)  # 1 + actor * materials + material
        boxes = []
        for number, (cones, material) in enumerate(zip(actors, materials, strict=True)):
            labels = 1 + (number % 20) * len(MATERIALS) + material
            boxes += self._draw(cones, labels, depth, normals, label)
        if boxes:
            colours = np.concatenate([np.zeros((1, 3)), *palettes[:20]]).astype(np.float32)
            self._shade(picture, _union(boxes, self.camera.size), normals, label, depth, colours)
        return picture

    def _draw(self, cones: Cones, labels: Array, depth: Array, normals: Array, label: Array) -> list[Rectangle]:
        pose = self.camera.world_to_camera
        turn, eye = pose[:3, :3], self.camera.camera_to_world[:3, 3]
        local = cones.local()[0]
        origins = np.einsum("nij,nj->ni", local, eye - cones.start[0]).astype(np.float32)
        rays = (local @ turn.T).astype(np.float32)
        rectangles = rectangles_of(self.camera, cones)
        for i, box in enumerate(rectangles):
            if box is not None:
                shape = [np.float32(values[i]) for values in (cones.length, cones.r0, cones.r1)]
                self._cone(box, origins[i], rays[i], shape, int(labels[i]), depth, normals, label)
        return [box for box in rectangles if box is not None]

    def _cone(self, box: Rectangle, o: Array, m: Array, shape: list, label: int, depth: Array, normals: Array,
              labels: Array) -> None:  # fmt: skip
        """Meet one cone inside its rectangle and keep what is nearer than the depth so far."""
        x0, y0, x1, y1 = box
        window = (slice(y0, y1), slice(x0, x1))
        u, v = self.u[window], self.v[window]
        d = [m[i, 0] * u + m[i, 1] * v + m[i, 2] for i in range(3)]
        hit = cone_depth(o, d, *shape)
        seen = hit < depth[window]
        if not seen.any():
            return
        t = hit[seen]
        q = np.stack([o[i] + t * d[i][seen] for i in range(3)])
        normals[window][seen] = (cone_normal(q, *shape).T @ m) / np.float32(shape[1])
        depth[window][seen] = t
        labels[window][seen] = label

    def _shade(
        self, picture: Array, box: Rectangle, normals: Array, label: Array, depth: Array, colours: Array
    ) -> None:
        x0, y0, x1, y1 = box
        window = (slice(y0, y1), slice(x0, x1))
        ids = np.ascontiguousarray(label[window])
        seen = ids > 0
        if not seen.any():
            return
        smooth = _smoothed(normals[window], seen, float(np.median(depth[window][seen])), self.camera.matrix[0, 0])
        n = smooth[seen]
        n /= np.maximum(np.sqrt((n * n).sum(1, keepdims=True)), 1e-6)
        turn = self.camera.world_to_camera[:3, :3].astype(np.float32)
        light, up = turn @ LIGHT.astype(np.float32), turn @ np.array([0, 0, 1], np.float32)
        view = np.stack([-self.u[window][seen], -self.v[window][seen], -np.ones(len(n), np.float32)], axis=1)
        view /= np.sqrt((view * view).sum(1, keepdims=True))
        which = ids[seen].astype(np.int64)
        key, facing = np.clip(n @ light, 0, 1), np.clip((n * view).sum(1), 0, 1)
        brightness = 0.40 + 0.14 * (n @ up) + 0.42 * key + 0.26 * facing
        half = view + light
        half /= np.sqrt((half * half).sum(1, keepdims=True))
        shine = np.clip((n * half).sum(1), 0, 1) ** 24 * _GLOSS[(which - 1) % len(MATERIALS)] * 255
        out = picture[window]
        out[seen] = np.clip(colours[which] * brightness[:, None] + shine[:, None], 0, 255).astype(np.uint8)
        edges = cv2.morphologyEx(ids, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        cv2.copyTo(cv2.GaussianBlur(out, (3, 3), 0.75), edges, out)


def _smoothed(normals: Array, seen: Array, depth: float, focal: float) -> Array:
    """Unit normals blurred over a few centimetres."""
    length = np.sqrt((normals * normals).sum(-1, keepdims=True))
    normals = normals / np.maximum(length, 1e-9)
    sigma = 0.013 * focal / depth
    return normals if sigma < 0.5 else cv2.GaussianBlur(normals, (0, 0), min(sigma, 7.0))


def rectangles_of(camera: Camera, cones: Cones) -> list[Rectangle | None]:
    """For each cone (T = 1) the pixels that can show it; None when it is outside or at the lens."""
    centres, radii = cones.spheres()
    points = centres[0][:, :, None] + radii[:, :, None, None] * _CORNERS
    pixels, depths = project(camera, points)
    width, height = camera.size
    boxes: list[Rectangle | None] = []
    flat, deep = pixels.reshape(len(radii), -1, 2), depths.reshape(len(radii), -1).min(1)
    for corner, near in zip(flat, deep, strict=True):
        if near < 0.05:
            boxes.append(None)
            continue
        (x0, y0), (x1, y1) = corner.min(0), corner.max(0)
        box = (max(0, int(x0) - 1), max(0, int(y0) - 1), min(width, int(x1) + 3), min(height, int(y1) + 3))
        boxes.append(box if box[0] < box[2] and box[1] < box[3] else None)
    return boxes


def _union(boxes: list[Rectangle], size: tuple[int, int]) -> Rectangle:
    all_boxes = np.array(boxes)
    (x0, y0), (x1, y1) = all_boxes[:, :2].min(0) - 3, all_boxes[:, 2:].max(0) + 3
    return max(0, int(x0)), max(0, int(y0)), min(size[0], int(x1)), min(size[1], int(y1))


def cast_shadow(picture: Array, ground: Array, camera: Camera, cones: Cones) -> None:
    """Darken the floor where the cones keep the light away, and softly where a body is close above it."""
    centres, radii = cones.spheres()
    big = radii.max(1) > 0.02
    centres, radii = centres[0][big], radii[big]
    mask = np.zeros(ground.shape, dtype=np.uint8)
    _fill(mask, camera, _footprints(centres, radii, LIGHT), 110)
    low = centres[:, :, 2].min(1) < 0.30
    if low.any():
        _fill(mask, camera, _footprints(centres[low], 1.25 * radii[low], np.array([0, 0, 1.0])), 165)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return
    pad = 14
    window = (slice(max(0, rows[0] - pad), rows[-1] + pad), slice(max(0, columns[0] - pad), columns[-1] + pad))
    sigma = float(np.clip(0.004 * camera.matrix[0, 0], 0.6, 5))
    soft = cv2.GaussianBlur(mask[window], (0, 0), sigma) & ground[window]
    keep = (255 - soft).astype(np.float32) / 255
    picture[window] = (picture[window] * keep[..., None]).astype(np.uint8)


def _footprints(centres: Array, radii: Array, light: Array) -> Array:
    """(N,2,16,3) floor points round the shadows of the two balls of each cone."""
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    across = np.array([-light[1], light[0]]) if np.hypot(*light[:2]) > 1e-6 else np.array([0, 1.0])
    across = across / np.linalg.norm(across)
    along = np.array([across[1], -across[0]])
    ring = np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * along / light[2]
    middle = centres[..., :2] - centres[..., 2:] * light[:2] / light[2]
    flat = middle[..., None, :] + radii[..., None, None] * ring
    return np.concatenate([flat, np.zeros((*flat.shape[:-1], 1))], axis=-1)


def _fill(mask: Array, camera: Camera, prints: Array, value: int) -> None:
    pixels, depths = project(camera, prints.reshape(len(prints), -1, 3))
    for points, near in zip(pixels, depths.min(1), strict=True):
        if near > 0.1 and np.abs(points).max() < 1e5:
            cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.float32)).round().astype(np.int32), value)
