"""poses.npz: everything that was found, as arrays with the clip's frames as the common axis. Schema 1.

P people, T frames of the clip, J detector keypoints, K 3D joints (the first 17 are Human3.6M's); NaN where a person is
absent.

    schema             ()         1
    times              (T,)       s
    frame_size         (2,)       px, width and height
    person_ids         (P,)
    observed           (P,T)      bool: the detector saw the person
    joint_names        (K,)
    joints_camera_m    (P,T,K,3)  m, camera axes: x right, y down, z forward
    joints_world_m     (P,T,K,3)  m, Z up, floor at z = 0
    joint_scores       (P,T,K)    0 to 1
    keypoint_names     (J,)
    keypoints_px       (P,T,J,2)  px, integer pixel centres
    keypoint_scores    (P,T,J)    0 to 1
    camera_matrix      (3,3)      px
    distortion         (5,)       k1 k2 p1 p2 k3, as OpenCV has them
    camera_to_world    (4,4), or (T,4,4) where the camera moves
    contacts           (P,T,4)    0 to 1, only where known: the foot points in `contact_names` touch the ground

Of V cameras there is one clock, the first view's times, and `joints_camera_m` is in the first view's camera. Only then
there are the first three of these, and the others have a leading axis of views:

    view_names         (V,)
    time_offset_s      (V,)       time on that clock = time_offset_s + clock_rate * time of the view's own
    clock_rate         (V,)
    frame_size         (V,2)      px, width and height
    keypoints_px       (V,P,T,J,2) px, at the common times; NaN of whom a view does not see
    keypoint_scores    (V,P,T,J)  0 to 1
    camera_matrix      (V,3,3)    px
    distortion         (V,5)      k1 k2 p1 p2 k3, or (V,8) with k4 k5 k6 where a view has them; of a fisheye k1 to k4;
                                  what a camera does not have is 0, which changes nothing
    fisheye            (V,)       bool: the lens follows OpenCV's fisheye model
    camera_to_world    (V,4,4), or (V,T,4,4) where one of the cameras moves
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from pipeline.files import atomic
from pipeline.projection import during, to_camera
from pipeline.results import Array, Camera, Motion3D, Scene, Track2D, View
from pipeline.skeletons import skeleton

SCHEMA = 1
CONTACTS = ("left_heel", "left_toe", "right_heel", "right_toe")


@dataclass(frozen=True)
class Rows:
    """An array with one row per person, made row by row: a long clip with many people never stands in memory whole."""

    rows: Iterable[Array]
    count: tuple[int, ...]  # of people; of views and people
    shape: tuple[int, ...]  # of a row
    dtype: np.dtype

    def whole(self) -> Array:
        """(*count, *shape), in memory."""
        made = np.fromiter(self.rows, np.dtype((self.dtype, self.shape)), math.prod(self.count))
        return made.reshape(*self.count, *self.shape)


def write(scene: Scene, path: str | Path) -> None:
    """Write the scene; the same scene gives the same bytes.

    Raises:
        OutputError: the file cannot be written.
        ValueError: people with different skeletons.
    """
    columns = _columns(scene)
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, column in columns.items():
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                if isinstance(column, Rows):
                    _write_rows(file, column)
                else:
                    np.lib.format.write_array(file, np.asarray(column), allow_pickle=False)


def _write_rows(file: IO[bytes], column: Rows) -> None:
    descr = np.lib.format.dtype_to_descr(column.dtype)
    shape = (*column.count, *column.shape)
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    for row in column.rows:
        file.write(np.ascontiguousarray(row, column.dtype).tobytes())


def read(path: str | Path) -> dict[str, Array]:
    """All arrays of a file that `write` made. Raises OSError, ValueError."""
    with np.load(path, allow_pickle=False) as stored:
        content = {name: stored[name] for name in stored.files}
    if "schema" not in content or int(content["schema"]) != SCHEMA:
        raise ValueError(f"{path} does not follow schema {SCHEMA} of poses.npz")
    return content


def arrays(scene: Scene) -> dict[str, Array]:
    """The scene as the arrays that `write` writes, all in memory."""
    return {name: c.whole() if isinstance(c, Rows) else np.asarray(c) for name, c in _columns(scene).items()}


def _columns(scene: Scene) -> dict[str, Array | Rows]:
    frames, people = len(scene.clip.times), scene.people
    joint_names = skeleton(_common([p.skeleton for p in people]) or "h36m-23").joints
    joints = (len(joint_names), 3)
    content: dict[str, Array | Rows] = {
        "schema": np.int64(SCHEMA),
        "times": np.asarray(scene.clip.times, np.float64),
        "person_ids": np.array([p.id for p in people], np.int64),
        "observed": _spread(people, "observed", frames, (), False),
        "joint_names": np.array(joint_names, np.str_),
        "joints_camera_m": _in_camera(people, scene.camera, frames, joints),
        "joints_world_m": _spread(people, "joints", frames, joints, np.float32(np.nan)),
        "joint_scores": _spread(people, "scores", frames, joints[:1], np.float32(0)),
    }
    content |= _keypoints([view.tracks for view in scene.views] or [scene.tracks], frames, len(scene.views))
    content |= _of_views(scene.views, frames) if scene.views else _of_camera(scene)
    if any(person.contacts is not None for person in people):
        content["contacts"] = _spread(people, "contacts", frames, (4,), np.float32(np.nan))
        content["contact_names"] = np.array(CONTACTS, np.str_)
    return content


def _keypoints(tracks: Sequence[list[Track2D]], frames: int, views: int) -> dict[str, Array | Rows]:
    """What each view has found of each person; without a view axis where `views` is 0."""
    flat = [track for of_view in tracks for track in of_view]
    kind = _common([track.skeleton for track in flat])
    names = skeleton(kind).joints if kind else ()
    count = (views, len(tracks[0])) if views else (len(flat),)
    return {
        "keypoint_names": np.array(names, np.str_),
        "keypoints_px": _spread(flat, "keypoints", frames, (len(names), 2), np.float32(np.nan), count),
        "keypoint_scores": _spread(flat, "scores", frames, (len(names),), np.float32(0), count),
    }


def _of_camera(scene: Scene) -> dict[str, Array | Rows]:
    camera = scene.camera
    return {
        "frame_size": np.array([scene.clip.width, scene.clip.height], np.int64),
        "camera_matrix": np.asarray(camera.matrix, np.float64),
        "distortion": np.asarray(camera.distortion, np.float64),
        "camera_to_world": np.asarray(camera.camera_to_world, np.float64),
    }


def _of_views(views: Sequence[View], frames: int) -> dict[str, Array | Rows]:
    """The same of several, still ones with a pose for each frame if others move."""
    cameras = [view.camera for view in views]
    bends = [np.asarray(camera.distortion, np.float64) for camera in cameras]
    wide, poses = max(5, *map(len, bends)), [np.asarray(camera.camera_to_world, np.float64) for camera in cameras]
    if any(pose.ndim == 3 for pose in poses):
        poses = [np.broadcast_to(pose, (frames, 4, 4)) for pose in poses]
    return {
        "view_names": np.array([view.name for view in views], np.str_),
        "time_offset_s": np.array([camera.offset_s for camera in cameras], np.float64),
        "clock_rate": np.array([camera.rate for camera in cameras], np.float64),
        "frame_size": np.array([(view.clip.width, view.clip.height) for view in views], np.int64),
        "camera_matrix": np.array([camera.matrix for camera in cameras], np.float64),
        "distortion": np.stack([np.pad(bend, (0, wide - len(bend))) for bend in bends]),
        "fisheye": np.array([camera.fisheye for camera in cameras], bool),
        "camera_to_world": np.stack(poses),
    }


def _common(names: Sequence[str]) -> str:
    if len(set(names)) > 1:
        raise ValueError(f"people with different skeletons in one file: {', '.join(sorted(set(names)))}")
    return names[0] if names else ""


def _spread(
    people: Sequence[Motion3D] | Sequence[Track2D],
    field: str,
    frames: int,
    shape: tuple[int, ...],
    blank: object,
    count: tuple[int, ...] | None = None,
) -> Rows:
    """(P,T,*shape): each person's rows at their frames of the clip, `blank` elsewhere; (*count,T,*shape) if given."""

    def row(person: Motion3D | Track2D) -> Array:
        out = np.full((frames, *shape), blank)
        values = getattr(person, field)
        if values is not None:
            out[person.frames] = values
        return out

    return Rows(map(row, people), count or (len(people),), (frames, *shape), np.asarray(blank).dtype)


def _in_camera(people: Sequence[Motion3D], camera: Camera, frames: int, shape: tuple[int, int]) -> Rows:
    """(P,T,K,3) float32 m in the camera's frame."""

    def row(person: Motion3D) -> Array:
        out = np.full((frames, *shape), np.float32(np.nan))
        out[person.frames] = to_camera(during(camera, person.frames), person.joints)
        return out

    return Rows(map(row, people), (len(people),), (frames, *shape), np.dtype(np.float32))
