"""Somebody whom one camera alone saw, put beside the others: where that camera stands and where the floor is are known.

How far a single view sees somebody away depends on how tall they are. The floor under their feet tells both.
"""

from __future__ import annotations

import numpy as np

from motion.body import Body, evidence, make_body, on_ground, posed, scaled, to_world
from motion.place import SCALE_ERROR, SMALLEST, STATURE_SPREAD, TALLEST
from motion.trajectory import Ground
from pipeline.results import Array, Camera, Motion3D, Track2D


def beside(motion: Motion3D, track: Track2D, camera: Camera, times: Array, floor_m: float = 0.0) -> Motion3D | None:
    """The motion in the world, on the floor z = `floor_m`; None where no joint is known.

    Args:
        motion: frame "root".
        track: that it was lifted from.
        camera: that saw it, still, with its pose in a world with Z up.
        times: (T_clip,) s, the clock that both count.

    Raises:
        ValueError: a motion in another frame.
    """
    if motion.frame != "root":
        raise ValueError(f"person {motion.id}: expected a motion relative to the pelvis, got {motion.frame!r}")
    if not posed(motion):
        return None
    pose = np.asarray(camera.camera_to_world, float)
    ground = Ground(pose[2, :3], float(pose[2, 3]) - floor_m)
    body = make_body(motion, track, camera, np.asarray(times, float))
    return to_world(on_ground(scaled(body, _factor(body, ground)), ground), camera)


def _factor(body: Body, ground: Ground) -> float:
    """By which the person's feet come onto the floor, drawn towards a usual stature."""
    stood = evidence(body)
    below = stood.rest - stood.points @ ground.up  # the camera's height as this person's size has it
    below = below[below > 0.3]
    if not len(below) or ground.height < 0.3:
        return 1.0
    log = np.log(ground.height / float(np.median(below)))
    sure = STATURE_SPREAD**2 / (STATURE_SPREAD**2 + SCALE_ERROR**2)
    return float(np.clip(np.exp(sure * log if abs(log) < 3 * STATURE_SPREAD else log), SMALLEST, TALLEST))
