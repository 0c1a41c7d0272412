"""A studio scene as users have it on disk: a film per camera, a folder of OpenPose's files per camera, and the rig.

The films are grey: who finds people reads them from the files, which hold the exact truth with noise.
"""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from filmed_views import ring, studio

from multiview.rig import write_rig
from pipeline.skeletons import skeleton
from visualize.encode import Film

NAMES = skeleton("coco-18").joints


def write(folder, cameras=3, noise_px=1.0, duration=2.0, fps=20.0, size=(480, 360), shifts=None, seed=0, paths=None):
    """Returns the films, the keypoints' folder, the rig's file and the scene's truth.

    `shifts`: frames by which each camera began late; its film lacks them. `paths`: other cameras than a ring of still
    ones; of these there is no rig.
    """
    scene = studio(paths or ring(cameras, size), duration, fps, size)
    truth, folder = scene.truth(), folder / "scene"
    films = [folder / f"cam{number + 1:02d}.mp4" for number in range(cameras)]
    folder.mkdir(parents=True)
    for number, film in enumerate(films):
        first = shifts[number] if shifts else 0
        _film(film, size, truth.times[: len(truth.times) - first], fps)
        _files(folder / "keypoints" / f"cam{number + 1:02d}_json", truth, number, first, noise_px, seed)
    rig = folder / "rig.toml"
    if paths:
        return SimpleNamespace(films=films, keypoints=folder / "keypoints", rig=None, truth=truth)
    names = [f"cam_{number + 1:02d}" for number in range(cameras)]
    write_rig(rig, [replace(path[0], name=name) for path, name in zip(truth.cameras, names, strict=True)], "pose2sim")
    return SimpleNamespace(films=films, keypoints=folder / "keypoints", rig=rig, truth=truth)


def _film(path, size, times, fps):
    with Film(path, size, times, fps) as film:
        for shade in np.linspace(90, 110, len(times)):
            film.add(np.full((size[1], size[0], 3), int(shade), np.uint8))


def _files(folder, truth, camera, first, noise_px, seed):
    random, names = np.random.default_rng([seed, camera]), skeleton(truth.skeleton)
    folder.mkdir(parents=True)
    for t in range(first, len(truth.times)):
        people = []
        for person in range(len(truth.ids)):
            points = truth.keypoints[camera, person, t]
            points = points + random.normal(0, noise_px, points.shape)
            seen = np.where(truth.visible[camera, person, t], 0.9, 0.3)
            rows = [
                [*points[list(names.index("left_shoulder", "right_shoulder"))].mean(0), 0.8]
                if name == "neck"
                else [*points[names.joints.index(name)], seen[names.joints.index(name)]]
                for name in NAMES
            ]
            people.append({"pose_keypoints_2d": np.ravel(rows).tolist()})
        text = json.dumps({"version": 1.3, "people": people})
        (folder / f"cam_{t - first:012d}_keypoints.json").write_text(text)
