"""One person between the lift and the world: a pose with constant bones, scaled, and the path of the pelvis."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from motion.ground import Evidence, gather_evidence, upwards
from motion.pose import refine
from motion.stance import Feet, feet_of, standing, still
from motion.trajectory import Ground, Sight, sight, solve_path
from pipeline.results import Array, Camera, Motion3D, Track2D
from pipeline.skeletons import skeleton

MEAN_STATURE_M = 1.70


@dataclass(frozen=True)
class Body:
    """One person on the way: the pose with constant bones, scaled, and where the pelvis is in camera axes."""

    motion: Motion3D
    seen: Sight
    times: Array  # (T,) s
    pose: Array  # (T,K,3) m relative to the pelvis
    path: Array  # (T,3) m
    contact: Array  # (T,F) in [0,1]
    stature: float = MEAN_STATURE_M  # m

    @property
    def joints(self) -> Array:
        return self.pose + self.path[:, None]

    @property
    def feet(self) -> Feet:
        return feet_of(skeleton(self.motion.skeleton), self.pose)


def posed(motion: Motion3D) -> bool:
    """Is a joint known beside the pelvis in some frame? Without one there is nothing to place."""
    return bool(np.isfinite(motion.joints - motion.joints[:, :1])[:, 1:].all(-1).any())


def make_body(motion: Motion3D, track: Track2D, camera: Camera, clip_times: Array) -> Body:
    """Of a `posed` motion in frame "root", of about a mean-sized person, and the track that it was lifted from."""
    times = clip_times[motion.frames]
    seen = sight(motion, track, camera)
    pose, path = refine(motion, seen, times, MEAN_STATURE_M)
    return Body(motion, seen, times, pose, path, _contact(motion, seen, pose + path[:, None], times))


def _contact(motion: Motion3D, seen: Sight, joints: Array, times: Array) -> Array:
    """(T,F): the lifter's contacts or slow low feet, if the foot is seen, and seen to keep its place."""
    bones = skeleton(motion.skeleton)
    feet = feet_of(bones, joints)
    visible = np.maximum(seen.weights[:, feet.joints], seen.weights[:, feet.ankles])
    if motion.contacts is not None and motion.contacts.shape[1] == len(feet.joints):
        touching = np.nan_to_num(motion.contacts) * still(seen.rays[:, feet.joints], joints[:, feet.joints, 2], times)
    else:
        touching = standing(joints[:, feet.joints], upwards(joints, bones), times)
    return touching * np.clip(visible / 0.5, 0, 1) * np.isfinite(joints[:, feet.joints]).all(-1)


def scaled(body: Body, factor: float) -> Body:
    """The same person `factor` times as tall, and so much farther away."""
    return replace(body, pose=body.pose * factor, path=body.path * factor, stature=body.stature * factor)


def evidence(body: Body) -> Evidence:
    """What the person tells of the floor."""
    feet, bones = body.feet, skeleton(body.motion.skeleton)
    return gather_evidence(body.joints, feet.joints, feet.rest_m, body.contact, body.times, bones)


def on_ground(body: Body, ground: Ground) -> Body:
    """The path once more, knowing the floor: standing feet stay where they are, on it."""
    feet = body.feet
    above = Ground(ground.up, ground.height - feet.rest_m)
    path = solve_path(body.pose, body.seen, body.times, above, (feet.joints, body.contact), body.path)
    return replace(body, path=path)


def world_axes(up: Array, height: float) -> Array:
    """(4,4) camera to world: origin on the floor under the camera, Z `up`, Y the horizontal view direction."""
    ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
    if np.linalg.norm(ahead) < 1e-6:  # looking straight up or down: the picture's top is ahead
        ahead = np.array([0.0, -1.0, 0.0]) + up[1] * up
    ahead = ahead / np.linalg.norm(ahead)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([np.cross(ahead, up), ahead, up])
    pose[2, 3] = height
    return pose


def to_world(body: Body, camera: Camera) -> Motion3D:
    """The motion in the world of a camera that stands still."""
    pose = camera.camera_to_world
    joints = body.joints @ pose[:3, :3].T + pose[:3, 3]
    root = body.path @ pose[:3, :3].T + pose[:3, 3]
    root = np.where(np.isfinite(joints[:, 0]), root, np.nan)
    contacts = body.motion.contacts
    if contacts is not None and contacts.shape == body.contact.shape:
        contacts = body.contact.astype(np.float32)
    world = {"joints": joints.astype(np.float32), "root": root.astype(np.float32), "contacts": contacts}
    return replace(body.motion, frame="world", **world)
