"""Bundle adjustment: cameras and what they see, moved until everything is seen where it was seen.

Points are free (each its own three numbers), or corners of a rigid board that takes another pose at every moment
(six numbers a moment). Triggs, McLauchlan, Hartley and Fitzgibbon, Bundle adjustment - a modern synthesis, 2000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares
from scipy.sparse import csr_array
from scipy.spatial.transform import Rotation

from multiview.derivatives import lens_pixels, rotation_derivative, skew
from pipeline.results import Array, Camera

FOCAL, CENTRE, ASPECT = "focal", "centre", "aspect"  # what of a lens may move; distortion by its index: "0", "1", ...


@dataclass(frozen=True)
class Observations:
    """Who saw what where."""

    camera: Array  # (N,) int
    point: Array  # (N,) int
    pixels: Array  # (N,2) px
    weights: Array  # (N,) of the residual in px

    def __len__(self) -> int:
        return len(self.camera)


@dataclass(frozen=True)
class Points:
    """P points that move freely."""

    world: Array  # (P,3) m

    @property
    def numbers(self) -> Array:
        """(M,) what is solved for."""
        return self.world.ravel()

    def moved(self, numbers: Array) -> Points:
        """The same with other numbers."""
        return Points(numbers.reshape(-1, 3))

    def columns(self, point: Array) -> Array:
        """(N,3) index of the numbers on which each of those points depends."""
        return 3 * point[:, None] + np.arange(3)

    def at(self, point: Array) -> tuple[Array, Array]:
        """(N,3) m, and the derivative (N,3,3) by those numbers."""
        return self.world[point], np.broadcast_to(np.eye(3), (len(point), 3, 3))


@dataclass(frozen=True)
class Boards:
    """B poses of a board with K corners; point b * K + k is corner k in pose b."""

    corners: Array  # (K,3) m in the board's axes
    turns: Array  # (B,3) rad, board to world
    places: Array  # (B,3) m

    @property
    def world(self) -> Array:
        """(B*K,3) m"""
        turned = np.einsum("bij,kj->bki", Rotation.from_rotvec(self.turns).as_matrix(), self.corners)
        return (turned + self.places[:, None]).reshape(-1, 3)

    @property
    def numbers(self) -> Array:
        """(M,) what is solved for."""
        return np.concatenate([self.turns, self.places], axis=1).ravel()

    def moved(self, numbers: Array) -> Boards:
        """The same with other numbers."""
        rows = numbers.reshape(-1, 6)
        return replace(self, turns=rows[:, :3], places=rows[:, 3:])

    def columns(self, point: Array) -> Array:
        """(N,6) index of the numbers on which each of those points depends."""
        return 6 * (point // len(self.corners))[:, None] + np.arange(6)

    def at(self, point: Array) -> tuple[Array, Array]:
        """(N,3) m, and the derivative (N,3,6) by those numbers."""
        board, corner = np.divmod(point, len(self.corners))
        turn = Rotation.from_rotvec(self.turns).as_matrix()
        local = self.corners[corner]
        by_turn = -turn[board] @ skew(local) @ rotation_derivative(self.turns)[board]
        by_place = np.broadcast_to(np.eye(3), by_turn.shape)
        return np.einsum("nij,nj->ni", turn[board], local) + self.places[board], np.concatenate([by_turn, by_place], 2)


@dataclass(frozen=True)
class Adjusted:
    """What came out."""

    cameras: list[Camera]
    scene: Points | Boards
    residuals: Array  # (N,2) px, expected minus seen, without weights
    converged: bool


def adjust(cameras: Sequence[Camera], scene: Points | Boards, seen: Observations, lens: Sequence[Sequence[str]] = (),
           still: Sequence[int] = (0,), loss_px: float = 1.0, focal_sigma: float | None = None,
           steps: int = 200) -> Adjusted:  # fmt: skip
    """Cameras and scene that minimise the robust (soft L1) distance in px between what is seen and expected.

    Args:
        cameras: a first guess; still ones, without skew.
        scene: a first guess of the points or boards.
        seen: indices into both. Weights multiply the distance.
        lens: for each camera what of its lens may move: "focal" (both alike), "aspect" (fy apart from fx), "centre",
            and coefficients of distortion by their index, "0" the first; none: its lens stays as it is.
        still: cameras whose pose stays; without any the world floats, and of free points the scale does in any case
            unless two are given: the smallest change is taken.
        loss_px: residuals beyond this count less and less.
        focal_sigma: standard deviation of the first guess of focal lengths, as a share of it; None: unknown.
        steps: evaluations at most.

    Raises:
        ValueError: no observation.
    """
    if not len(seen):
        raise ValueError("a bundle without observations")
    problem = _Problem(cameras, scene, seen, lens or [()] * len(cameras), frozenset(still), focal_sigma)
    found = least_squares(
        problem.residuals, problem.start, problem.jacobian, method="trf", tr_solver="lsmr", loss="soft_l1",
        x_scale="jac", f_scale=loss_px, max_nfev=steps, ftol=1e-10, xtol=1e-10, gtol=1e-10,
        tr_options={"atol": 1e-12, "btol": 1e-12},
    )  # fmt: skip
    cameras, scene = problem.unpacked(found.x)
    count = 2 * len(seen)
    weights = np.maximum(seen.weights, 1e-12)[:, None]
    return Adjusted(cameras, scene, problem.residuals(found.x)[:count].reshape(-1, 2) / weights, found.status > 0)


def lens_numbers(camera: Camera) -> Array:
    """(4+D,) fx fy cx cy and the distortion."""
    matrix = np.asarray(camera.matrix, np.float64)
    return np.concatenate([matrix[[0, 1, 0, 1], [0, 1, 2, 2]], np.asarray(camera.distortion, np.float64)])


class _Problem:
    """Packs cameras and scene into one vector: per camera its pose (unless still) and its lens, then the scene."""

    def __init__(self, cameras: Sequence[Camera], scene: Points | Boards, seen: Observations,
                 lens: Sequence[Sequence[str]], still: frozenset[int], sigma: float | None) -> None:  # fmt: skip
        self.cameras, self.scene, self.seen, self.sigma = list(cameras), scene, seen, sigma
        self.lenses = [lens_numbers(camera) for camera in cameras]
        self.mixes = [_mix(numbers, free) for numbers, free in zip(self.lenses, lens, strict=True)]
        self.rows = [np.flatnonzero(seen.camera == index) for index in range(len(cameras))]
        parts, self.poses, self.lens_at, at = [], [], [], 0
        for index, camera in enumerate(cameras):
            pose = np.zeros(0) if index in still else _packed(camera)
            self.poses.append(slice(at, at + len(pose)))
            self.lens_at.append(slice(at + len(pose), at + len(pose) + self.mixes[index].shape[1]))
            at = self.lens_at[-1].stop
            parts += [pose, np.zeros(self.mixes[index].shape[1])]
        self.scene_at = at
        self.start = np.concatenate([*parts, scene.numbers])
        self.focal_columns = [
            self.lens_at[i].start + _width(free[: list(free).index(FOCAL)])
            for i, free in enumerate(lens)
            if FOCAL in free
        ]

    def unpacked(self, x: Array) -> tuple[list[Camera], Points | Boards]:
        """Cameras and scene of that vector."""
        cameras = []
        for index, camera in enumerate(self.cameras):
            lens = self._lens(index, x)
            matrix = np.array([[lens[0], 0, lens[2]], [0, lens[1], lens[3]], [0, 0, 1.0]])
            turn, shift = self._pose(index, x)
            pose = np.eye(4)
            pose[:3, :3] = Rotation.from_rotvec(turn).as_matrix().T
            pose[:3, 3] = -pose[:3, :3] @ shift
            moved = pose if self.poses[index].stop > self.poses[index].start else camera.camera_to_world
            if self.mixes[index].shape[1]:
                camera = replace(camera, matrix=matrix, distortion=lens[4:])
            cameras.append(replace(camera, camera_to_world=moved))
        return cameras, self.scene.moved(x[self.scene_at :])

    def residuals(self, x: Array) -> Array:
        """(2N + F,) weighted px: expected minus seen, then what is known of focal lengths."""
        world, _ = self.scene.moved(x[self.scene_at :]).at(self.seen.point)
        out = np.empty((len(self.seen), 2))
        for index, rows in enumerate(self.rows):
            turn, shift = self._pose(index, x)
            local = world[rows] @ Rotation.from_rotvec(turn).as_matrix().T + shift
            out[rows] = lens_pixels(self._lens(index, x), self.cameras[index].fisheye, local)[0]
        out = (out - self.seen.pixels) * self.seen.weights[:, None]
        return np.concatenate([out.ravel(), x[self.focal_columns] / self.sigma if self.sigma else []])

    def jacobian(self, x: Array) -> csr_array:
        """(2N + F, M) sparse, exact."""
        scene = self.scene.moved(x[self.scene_at :])
        world, by_scene = scene.at(self.seen.point)
        triples = [self._of_camera(index, x, world, by_scene) for index in range(len(self.cameras))]
        if self.sigma:
            count = len(self.focal_columns)
            rows = 2 * len(self.seen) + np.arange(count)
            triples.append((np.full(count, 1 / self.sigma), rows, np.array(self.focal_columns, dtype=int)))
        values, rows, columns = (np.concatenate(parts) for parts in zip(*triples, strict=True))
        extra = len(self.focal_columns) if self.sigma else 0
        return csr_array((values, (rows, columns)), shape=(2 * len(self.seen) + extra, len(x)))

    def _of_camera(self, index: int, x: Array, world: Array, by_scene: Array) -> tuple[Array, Array, Array]:
        """Values, rows and columns of the derivatives of what one camera saw."""
        rows = self.rows[index]
        turn, shift = self._pose(index, x)
        matrix = Rotation.from_rotvec(turn).as_matrix()
        _, by_local, by_lens = lens_pixels(
            self._lens(index, x), self.cameras[index].fisheye, world[rows] @ matrix.T + shift
        )
        by_world = by_local @ matrix
        by_turn = -by_world @ skew(world[rows]) @ rotation_derivative(turn[None])[0]
        blocks = [by_world @ by_scene[rows], by_lens @ self.mixes[index]]
        scene_columns = self.scene_at + self.scene.columns(self.seen.point[rows])
        columns = [scene_columns, _everywhere(self.lens_at[index], len(rows))]
        if self.poses[index].stop > self.poses[index].start:
            blocks.append(np.concatenate([by_turn, by_local], axis=2))
            columns.append(_everywhere(self.poses[index], len(rows)))
        values = np.concatenate(blocks, axis=2) * self.seen.weights[rows][:, None, None]
        column = np.broadcast_to(np.concatenate(columns, axis=1)[:, None], values.shape)
        row = np.broadcast_to((2 * rows[:, None] + np.arange(2))[:, :, None], values.shape)
        return values.ravel(), row.ravel(), column.ravel()

    def _pose(self, index: int, x: Array) -> tuple[Array, Array]:
        six = x[self.poses[index]] if self.poses[index].stop > self.poses[index].start else _packed(self.cameras[index])
        return six[:3], six[3:]

    def _lens(self, index: int, x: Array) -> Array:
        return self.lenses[index] + self.mixes[index] @ x[self.lens_at[index]]


def _mix(lens: Array, free: Sequence[str]) -> Array:
    """(L,F): how the lens' numbers change with those that are free; focal lengths as a share of themselves."""
    columns = []
    for name in free:
        column = np.zeros((len(lens), _width([name])))
        if name == FOCAL:
            column[:2, 0] = lens[:2]
        elif name == ASPECT:
            column[1, 0] = lens[1]
        elif name == CENTRE:
            column[[2, 3], [0, 1]] = lens[0]
        else:
            column[4 + int(name), 0] = 1
        columns.append(column)
    return np.concatenate(columns, axis=1) if columns else np.zeros((len(lens), 0))


def _width(free: Sequence[str]) -> int:
    return sum(2 if name == CENTRE else 1 for name in free)


def _packed(camera: Camera) -> Array:
    """(6,) rotation vector and translation of world to camera."""
    pose = camera.world_to_camera
    return np.concatenate([Rotation.from_matrix(pose[:3, :3]).as_rotvec(), pose[:3, 3]])


def _everywhere(where: slice, rows: int) -> Array:
    """(rows, n): the same indices in every row."""
    return np.broadcast_to(np.arange(where.start, where.stop), (rows, where.stop - where.start))
