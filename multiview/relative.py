"""How two cameras stand to each other, from boards that both saw: every board votes, the votes that agree count.

One view of a board allows several poses: a small flat board seen from afar nearly fits mirrored in depth, too
(Schweighofer and Pinz 2006; Collins and Bartoli 2014), and a checkerboard may look the same turned by half a turn. All
of them vote; only the true ones of different moments agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from multiview.boards import Board, Found
from pipeline.projection import rays
from pipeline.results import Array, Camera

_RIVAL = 3.0  # the second pose of a flat board is kept while its error is below that many times the first's
_TURN, _SHIFT = np.radians(5.0), 0.05  # votes agree within that turn, and that share of the distance to the board
_VOTES = 1500  # compared at most


@dataclass(frozen=True)
class Relative:
    """One camera to another: X_b = pose X_a."""

    pose: Array  # (4,4) m
    moments: int  # in which both saw the board
    agree: int  # of them vote for this pose
    rival: int  # vote for the best pose that is another one


@dataclass(frozen=True)
class Sighting:
    """One camera's view of the board at one moment, with all poses that it may have."""

    found: Found
    poses: Array  # (H,4,4) board to camera
    way: Array  # (H,) int: which of `found.ways`


def sighting(board: Board, camera: Camera, found: Found) -> Sighting:
    """The poses (infinitesimal plane-based pose estimation) of a detection whose corners are not in a line."""
    flat = rays(camera, found.corners)
    known = np.isfinite(flat).all(axis=1)
    poses, ways = [], []
    for way, ids in enumerate(found.ways):
        points = board.points[ids] - board.points.mean(0)
        _, turns, shifts, errors = cv2.solvePnPGeneric(
            points[known][:, None], flat[known][:, None], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE
        )
        for turn, shift, error in zip(turns, shifts, errors.ravel(), strict=True):
            if error > _RIVAL * errors.min() + 0.2 / camera.matrix[0, 0]:
                continue
            pose = np.eye(4)
            pose[:3, :3] = cv2.Rodrigues(turn)[0]
            pose[:3, 3] = shift.ravel() - pose[:3, :3] @ board.points.mean(0)
            poses.append(pose)
            ways.append(way)
    return Sighting(found, np.array(poses), np.array(ways))


def relative(a: dict[int, Sighting], b: dict[int, Sighting]) -> Relative | None:
    """The pose on which most moments agree that both cameras share; None if they share none."""
    moments = sorted(set(a) & set(b))
    if not moments:
        return None
    votes, of, far = [], [], []
    for number, moment in enumerate(moments):
        one = a[moment].poses[a[moment].way == 0]  # turning the board in both views changes nothing
        pairs = b[moment].poses[:, None] @ np.linalg.inv(one)[None]
        votes.append(pairs.reshape(-1, 4, 4))
        of.append(np.full(len(votes[-1]), number))
        far.append(np.full(len(votes[-1]), np.linalg.norm(b[moment].poses[0][:3, 3])))
    poses, of, far = np.concatenate(votes), np.concatenate(of), np.concatenate(far)
    return _elected(poses, of, far, len(moments))


def _elected(poses: Array, of: Array, far: Array, moments: int) -> Relative:
    """The pose with the most agreement, averaged over those who agree."""
    candidates = np.unique(np.linspace(0, len(poses) - 1, min(_VOTES, len(poses))).astype(int))
    away = _apart(poses[candidates], poses, far)  # (C,M) in units of the tolerance
    price = np.stack([np.minimum(away[:, of == number].min(axis=1), 1) for number in range(moments)], axis=1)
    best = int((price**2).sum(axis=1).argmin())
    others = _apart(poses[candidates[best]][None], poses[candidates], far[candidates])[0] > 2
    rival = int((price[others] < 1).sum(axis=1).max()) if others.any() else 0
    near = np.flatnonzero(away[best] < 1)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_matrix(poses[near, :3, :3]).mean().as_matrix()
    pose[:3, 3] = np.median(poses[near, :3, 3], axis=0)
    return Relative(pose, moments, int((price[best] < 1).sum()), rival)


def _apart(some: Array, all_: Array, far: Array) -> Array:
    """(C,M) distances between poses, 1 where the tolerance ends."""
    trace = np.einsum("cij,mij->cm", some[:, :3, :3], all_[:, :3, :3])
    turn = np.arccos(((trace - 1) / 2).clip(-1, 1))
    shift = np.linalg.norm(some[:, None, :3, 3] - all_[None, :, :3, 3], axis=-1)
    return np.hypot(turn / _TURN, shift / (_SHIFT * far))
