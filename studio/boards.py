"""Pictures of calibration boards as an exact camera sees them: warped through its lens, blurred, with noise.

Pixel centres are integers, as OpenCV has them. The board is a printed sheet with a bright rim in front of grey.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from scipy.interpolate import RectBivariateSpline

from multiview.boards import Board, charuco_board
from pipeline.projection import rays
from pipeline.results import Array, Camera

_GROUND, _FINE = 96, 2  # grey level behind the board; rays each way per pixel


def sheet(board: Board, pixels: int = 40) -> tuple[Array, Array]:
    """The printed board with a rim of one square, `pixels` per square.

    Returns:
        (H,W) uint8 grey, and (3,3) that takes the board's own x and y in metres to pixels of it.
    """
    if board.kind == "charuco":
        size = (board.columns * pixels, board.rows * pixels)
        print_ = charuco_board(board).generateImage(size, marginSize=0)
        start = 1.0
    else:
        y, x = np.indices((board.rows + 1, board.columns + 1))
        print_ = np.kron(((x + y) % 2 * 255).astype(np.uint8), np.ones((pixels, pixels), np.uint8))
        start = 2.0  # squares from the rim's corner to the first inner corner
    grey = cv2.copyMakeBorder(print_, pixels, pixels, pixels, pixels, cv2.BORDER_CONSTANT, value=255)
    scale, shift = pixels / board.square_m, start * pixels - 0.5
    onto = np.array([[scale, 0, shift], [0, scale, shift], [0, 0, 1.0]])
    return 255 - grey if board.inverted else grey, onto


def pictures(board: Board, camera: Camera, poses: Array, blur_px: float = 0.6, noise: float = 2.0,
             seed: int = 0) -> Iterator[Array]:  # fmt: skip
    """One (H,W,3) uint8 BGR per pose (T,4,4), which takes the board to the world, in a still camera.

    Args:
        blur_px: standard deviation of the lens' softness.
        noise: standard deviation in grey levels.
    """
    fine = _fine_rays(camera)
    random = np.random.default_rng(seed)
    for pose in poses:
        grey = _seen(board, camera, pose, fine)
        grey = cv2.GaussianBlur(grey, (0, 0), blur_px) if blur_px > 0 else grey
        grey = grey * 0.8 + 20 + random.normal(0, noise, grey.shape).astype(np.float32)
        yield cv2.cvtColor(np.clip(np.round(grey), 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)


def _fine_rays(camera: Camera) -> Array:
    """(fine H, fine W, 2): the directions of all parts of pixels, interpolated: distortion is smooth."""
    width, height = camera.size
    steps = (np.arange(_FINE) + 0.5) / _FINE - 0.5
    x, y = ((np.arange(n)[:, None] + steps).ravel() for n in (width, height))
    known_x, known_y = np.arange(-4, width + 8, 4), np.arange(-4, height + 8, 4)
    known = rays(camera, np.stack(np.meshgrid(known_x, known_y), axis=-1))
    return np.stack([RectBivariateSpline(known_y, known_x, known[..., axis])(y, x) for axis in (0, 1)], axis=-1)


def _seen(board: Board, camera: Camera, pose: Array, fine: Array) -> Array:
    """(H,W) float32 grey: the print, warped and averaged over each pixel's parts."""
    print_, onto = sheet(board, _resolution(board, camera, pose))
    local = camera.world_to_camera @ pose
    matrix = onto @ np.linalg.inv(local[:3, [0, 1, 3]])
    place = fine @ matrix[:, :2].T + matrix[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.where(place[..., 2:] > 1e-9, place[..., :2] / place[..., 2:], -10).clip(-10, 1e5).astype(np.float32)
    seen = cv2.remap(print_, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=_GROUND)
    return cv2.resize(seen, camera.size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _resolution(board: Board, camera: Camera, pose: Array) -> int:
    """Pixels per square of the print, about as many as of the fine picture, so that neither is sampled too coarsely."""
    depth = max((camera.world_to_camera @ pose)[2, 3], 0.05)
    return int(np.clip(_FINE * camera.matrix[0, 0] * board.square_m / depth, 16, 400))


def waved(board: Board, count: int, middle: Sequence[float] = (0, 0, 1.0), towards: Sequence[float] = (0, -1, 0),
          reach_m: float = 0.3, tilt: float = 0.5, seed: int = 0) -> Array:  # fmt: skip
    """(count,4,4) poses of a board that is waved about `middle` (m, world) and shown towards a direction.

    Args:
        reach_m: how far it goes from there, each way.
        tilt: rad, standard deviation of its turns about each axis.
    """
    random = np.random.default_rng(seed)
    inward = -np.asarray(towards, np.float64) / np.linalg.norm(towards)
    right = np.cross(inward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(inward, right), inward], axis=1)
    poses = np.tile(np.eye(4), (count, 1, 1))
    centre = board.points.mean(axis=0)
    for pose in poses:
        turn = cv2.Rodrigues(random.normal(0, tilt, 3).clip(-2 * tilt, 2 * tilt))[0]
        pose[:3, :3] = axes @ turn
        pose[:3, 3] = np.asarray(middle) + random.uniform(-reach_m, reach_m, 3) - pose[:3, :3] @ centre
    return poses
