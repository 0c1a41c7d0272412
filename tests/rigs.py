"""Small rigs for the tests: cameras in a ring that look at one place, as people put them up."""

from dataclasses import replace

import numpy as np

from pipeline.projection import project
from pipeline.results import Camera
from studio.cameras import look_at

BEND = np.array([-0.11, 0.07, 0.0004, -0.0007, 0.01])
FISHEYE = np.array([0.05, -0.01, 0.004, -0.001])
RATIONAL = np.array([0.1, -0.05, 0.001, -0.002, 0.01, 0.05, 0.02, 0.001])


def ring(count=4, radius=3.5, target=(0.2, -0.1, 1.0), size=(1280, 720), seed=0):
    """Cameras cam_01, cam_02 ... at uneven places round the target."""
    random = np.random.default_rng(seed)
    cameras = []
    for number in range(count):
        angle = 2 * np.pi * (number + random.uniform(-0.2, 0.2)) / count
        far, high = radius * random.uniform(0.8, 1.2), random.uniform(0.8, 2.4)
        eye = (target[0] + far * np.cos(angle), target[1] + far * np.sin(angle), high)
        aim = tuple(np.add(target, random.uniform(-0.3, 0.3, 3)))
        seen = look_at(eye, aim, size, fov=random.uniform(45, 75))
        matrix = seen.matrix * np.array([[1], [1.01], [1]]) + np.array([[0, 0, 7.25], [0, 0, -3.5], [0, 0, 0]])
        cameras.append(
            replace(seen, matrix=matrix, distortion=BEND * random.uniform(0.5, 1), name=f"cam_{number + 1:02d}")
        )
    return cameras


def points(count=60, seed=1):
    """(N,3) m, where somebody stands."""
    return np.random.default_rng(seed).uniform((-0.6, -0.8, 0), (0.8, 0.6, 1.9), (count, 3))


def apart(first, second):
    """The largest distance in px between where two rigs see the same points; NaN in one only is infinite."""
    seen = np.stack([[project(camera, points())[0] for camera in rig] for rig in (first, second)])
    known = np.isfinite(seen).all(-1)
    assert known[0].any() and np.array_equal(known[0], known[1])
    return float(np.linalg.norm((seen[0] - seen[1])[known[0]], axis=-1).max())


def posed(camera: Camera, turn, shift):
    """The camera with other world-to-camera numbers."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn.T, -turn.T @ shift
    return replace(camera, camera_to_world=pose)


def extrinsics(camera):
    return camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
