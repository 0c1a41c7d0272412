"""A scene that several cameras filmed, from the studio's truth, with blank or rendered pictures."""

from dataclasses import replace

import numpy as np
from filmed import Pictures

from pipeline.results import Camera, ClipInfo, Motion3D, Scene, Track2D, View
from studio.cameras import look_at, still
from studio.scenes import build

BEND = (-0.12, 0.03, 0.0005, -0.0004, 0.0)


def ring(count, size=(320, 240), radius=5.0, sizes=None):
    """That many studio cameras in a circle around the room's middle; `sizes` (w, h) px one by one."""
    angles = -np.pi / 4 + 2 * np.pi * np.arange(count) / count
    eyes = [(radius * np.cos(a), radius * np.sin(a), 1.5 + 0.3 * (i % 3)) for i, a in enumerate(angles)]
    sizes = sizes or [size] * count
    fov = [52 if w > h else 34 for w, h in sizes]
    return tuple(
        still(look_at(eye, (0, 0, 0.95), s, f, distortion=BEND)) for eye, s, f in zip(eyes, sizes, fov, strict=True)
    )


def studio(cameras=None, duration=1.0, fps=20.0, size=(320, 240), name="multiview4"):
    """The studio's scene, before other cameras if they are given."""
    scene = build(name, seed=1, size=size, duration=duration, fps=fps)
    return scene if cameras is None else replace(scene, cameras=cameras)


def views_scene(scene, offsets=None):
    """The exact truth of a studio scene as a run would give it; every camera filmed all of it, on a clock of its own.

    `offsets` (V,) s: the scene's time at which each camera began; the pictures it made before the scene are left out.
    """
    truth, frames = scene.truth(), np.arange(len(scene.times), dtype=np.int32)
    views = []
    for number, path in enumerate(truth.cameras):
        offset = 0.0 if offsets is None else float(offsets[number])
        camera = _camera(path, f"cam_{number + 1}", offset)
        clip = ClipInfo(f"cam_{number + 1}.mp4", *camera.size, scene.times, scene.fps)
        tracks = [
            _track(int(truth.ids[a]), truth.keypoints[number, a], truth.visible[number, a], frames, truth.skeleton)
            for a in range(len(truth.ids))
        ]
        views.append(View(clip, camera, tracks))
    people = [_person(int(i), joints, frames) for i, joints in zip(truth.ids, truth.joints, strict=True)]
    return Scene(views[0].clip, views[0].camera, views[0].tracks, people, views=tuple(views))


def blank(scene):
    """Grey clips of the views' sizes and times."""
    return [Pictures(view.clip.times, view.clip.width, view.clip.height) for view in scene.views]


def unseen(track):
    """The track of somebody whom a view never saw."""
    names = ("frames", "keypoints", "scores", "observed", "boxes")
    return replace(track, **{name: getattr(track, name)[:0] for name in names})


def without(scene, number):
    """The scene with nobody seen by that view."""
    views = [
        replace(view, tracks=[unseen(track) for track in view.tracks]) if n == number else view
        for n, view in enumerate(scene.views)
    ]
    return replace(scene, tracks=views[0].tracks, views=tuple(views))


def _camera(path, name, offset):
    poses = np.stack([camera.camera_to_world for camera in path])
    first = path[0]
    moves = np.ptp(poses, axis=0).max() > 0
    return Camera(
        first.matrix, first.size, first.distortion, poses if moves else poses[0], "studio", name, offset_s=offset
    )


def _track(number, points, visible, frames, kind):
    scores = np.where(visible, 0.95, 0.2).astype(np.float32)
    boxes = np.concatenate([points.min(1), points.max(1)], 1).astype(np.float32)
    return Track2D(number, kind, frames, points.astype(np.float32), scores, visible.any(1), boxes)


def _person(number, joints, frames):
    scores = np.full(joints.shape[:2], 0.9, np.float32)
    return Motion3D(
        number, "h36m-23", "world", frames, joints.astype(np.float32), scores, joints[:, 0], np.ones(len(frames), bool)
    )
