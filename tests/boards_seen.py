"""Boards as cameras would see them, without pictures: exact corners, with noise if wanted; and films of boards."""

from fractions import Fraction

import av
import numpy as np

from multiview.boards import Board, Found
from pipeline.projection import project
from studio.boards import pictures, waved
from studio.cameras import look_at

CHARUCO = Board("charuco", 5, 7, 0.06, 0.045)
CHECKERS = Board("checkerboard", 7, 4, 0.06)
TURNABLE = Board("checkerboard", 6, 4, 0.06)  # looks the same after half a turn


def seen(board, camera, pose, random=None, noise=0.0, turned=False):
    """A detection, or None where fewer than 4 corners are inside; `turned` numbers a turnable board the other way."""
    points = board.points
    pixels, depth = project(camera, points @ pose[:3, :3].T + pose[:3, 3])
    if random is not None:
        pixels = pixels + random.normal(0, noise, pixels.shape)
    inside = (depth > 0.05) & ((pixels >= 0) & (pixels < camera.size)).all(axis=1)
    if (board.kind == "checkerboard" and not inside.all()) or inside.sum() < 4:
        return None
    ids = np.flatnonzero(inside)
    ways = [ids]
    if board.kind == "checkerboard" and (board.columns + board.rows) % 2 == 0:
        ways.append(len(points) - 1 - ids)
    ways = np.array(ways[::-1] if turned else ways)
    return Found(ways[0], pixels[inside], 1.0, ways)


def every(board, camera, poses, random=None, noise=0.0, turns=None):
    """Detections by moment."""
    turns = np.zeros(len(poses), bool) if turns is None else turns
    all_ = {i: seen(board, camera, p, random, noise, turns[i]) for i, p in enumerate(poses)}
    return {i: one for i, one in all_.items() if one is not None}


def rig(size=(640, 480), names=("left", "middle", "right")):
    from dataclasses import replace

    eyes = ((-1.0, -1.6, 1.3), (0.1, -1.8, 0.8), (1.1, -1.5, 1.1))
    bend = (-0.15, 0.04, 0.001, -0.001, 0.0)
    cameras = [look_at(eye, (0, 0, 1.0), size, 55, distortion=bend) for eye in eyes]
    return [replace(camera, name=name) for camera, name in zip(cameras, names, strict=False)]


def wave(board, count=14, seed=1, **how):
    return waved(board, count, (0, -0.3, 1.0), seed=seed, **how)


def film(path, frames, rate=10):
    """Write pictures as a clip that loses little."""
    with av.open(str(path), "w") as out:
        stream = None
        for picture in frames:
            if stream is None:
                stream = out.add_stream("libx264", rate=Fraction(rate), options={"crf": "8", "preset": "ultrafast"})
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def filmed(folder, board, cameras, poses, **how):
    """One clip per camera, called after it."""
    return [film(folder / f"{camera.name}.mp4", pictures(board, camera, poses, **how)) for camera in cameras]
