"""Is a rig plausible? Millimetres taken for metres, transposed or inverted poses, impossible lenses: found and named.

Cameras of one scene look at one place. So the point nearest to all their axes lies before every camera when the poses
are read as they were meant, and people put cameras upright. Read otherwise, a rig seldom does the one and never both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from multiview.rig_camera import Fault
from pipeline.results import Array, Camera

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
LARGEST_M = 100.0  # a rig that is larger, or farther from what it looks at, is in other units
MEETS, STRAYS = np.radians(25), np.radians(60)  # between axes and the place where they meet: surely so, surely not
UPRIGHT, TOGETHER = 0.5, 0.85  # length of the mean of up directions: they agree at all, and surely
OPPOSED = -0.8  # cosine between two axes
_OPENGL = np.diag([1.0, -1.0, -1.0])

Pose = tuple[Array, Array]  # (V,3,3), (V,3): world to camera


def check(cameras: Sequence[Camera], unit: str | None = None) -> tuple[list[Camera], list[str]]:
    """The same rig in metres, world to camera, and warnings of what was put right or looks wrong.

    Args:
        cameras: as a file has them, still, in its units.
        unit: m, cm or mm; None: judged by the size of the rig.

    Raises:
        Fault: no cameras, names that are not unique, lenses or distances that cannot be.
    """
    if not cameras:
        raise Fault("there is no camera in it")
    twice = [name for name, count in Counter(camera.name for camera in cameras).items() if count > 1]
    if twice:
        raise Fault(f"several cameras are called {twice[0]!r}", "a name of its own for each camera")
    warnings = [text for camera in cameras for text in lens(camera)]
    fixed, said = _poses(cameras)
    scaled, told = _metres(fixed, unit)
    return scaled, warnings + said + told + _upright(scaled)


def lens(camera: Camera) -> list[str]:
    """Warnings about the intrinsics. Raises Fault when they cannot be those of a picture of that size."""
    name, (width, height) = f"camera {camera.name}", camera.size
    (fx, _, cx), (_, fy, cy) = camera.matrix[:2]
    if fx <= 0 or fy <= 0 or not 0.5 <= fx / fy <= 2:
        raise Fault(f"the focal lengths of {name}, {fx:g} and {fy:g} px, cannot be those of one lens")
    if (width, height) == (0, 0):
        return []
    if width < 16 or height < 16:
        raise Fault(f"the picture of {name} is {width}x{height} px")
    if not 0.1 <= fx / max(width, height) <= 30:
        hint = "pixels instead of millimetres, and the size at which it was calibrated"
        raise Fault(f"the focal length of {name}, {fx:g} px, is impossible for a picture of {width}x{height}", hint)
    if not (0 <= cx <= width and 0 <= cy <= height):
        hint = "width before height, and the size at which it was calibrated"
        raise Fault(f"the principal point of {name}, {cx:g} {cy:g}, lies outside its {width}x{height} picture", hint)
    if abs(cx / width - 0.5) > 0.25 or abs(cy / height - 0.5) > 0.25:
        text = f"the principal point {cx:.0f} {cy:.0f} is far from the middle of {width}x{height}"
        return [f"{camera.name}: {text}"]
    return []


def meeting(centres: Array, axes: Array) -> tuple[Array, Array] | None:
    """The point (3,) nearest to all axes and its angles to them (V,) rad; None where they are nearly parallel.

    Args:
        centres, axes: (V,3), axes of unit length.
    """
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    normal = across.sum(axis=0)
    if len(axes) < 2 or np.linalg.eigvalsh(normal)[0] < 1e-3 * len(axes):
        return None
    point = np.linalg.solve(normal, np.einsum("vij,vj->i", across, centres))
    towards = point - centres
    distance = np.linalg.norm(towards, axis=1)
    if distance.min() < 1e-9 * max(distance.max(), 1e-300):
        return None
    return point, np.arccos(np.clip(np.einsum("vi,vi->v", towards, axes) / distance, -1, 1))


def _meets(pose: Pose) -> float:
    """The largest angle between an axis and the place where they meet, rad; infinite where they do not."""
    found = meeting(_centres(pose), pose[0][:, 2])
    return float("inf") if found is None else float(found[1].max())


def _centres(pose: Pose) -> Array:
    return -np.einsum("vji,vj->vi", *pose)


def _inverse(pose: Pose) -> Pose:
    return np.swapaxes(pose[0], 1, 2), _centres(pose)


def _flipped(pose: Pose) -> Pose:
    return _OPENGL @ pose[0], pose[1] @ _OPENGL


def _of_centres(pose: Pose) -> Pose:
    return pose[0], -np.einsum("vij,vj->vi", *pose)


READINGS: dict[str, Callable[[Pose], Pose]] = {
    "camera to world instead of world to camera": _inverse,
    "with transposed rotations": lambda pose: (np.swapaxes(pose[0], 1, 2), pose[1]),
    "with camera centres in the place of translations": _of_centres,
    "in OpenGL's axes (y up, looking along -z)": _flipped,
    "camera to world in OpenGL's axes (y up, looking along -z)": lambda pose: _flipped(_inverse(pose)),
}


def _poses(cameras: Sequence[Camera]) -> tuple[list[Camera], list[str]]:
    """As given, unless only another reading lets the cameras stand upright and look at one place."""
    inverse = np.stack([np.asarray(camera.world_to_camera, np.float64) for camera in cameras])
    pose = inverse[:, :3, :3], inverse[:, :3, 3]
    given, up = _meets(pose), _up(pose)
    meets = given <= STRAYS
    if len(cameras) < 2 or _opposed(pose) or (meets and (len(cameras) == 2 or np.linalg.norm(up) >= UPRIGHT)):
        return list(cameras), []
    others = {name: read(pose) for name, read in READINGS.items()}
    others = {name: other for name, other in others.items() if _meets(other) <= MEETS}
    best = max(others, key=lambda name: float(np.linalg.norm(_up(others[name]))), default="")
    agree = np.linalg.norm(_up(others[best])) if best else 0.0
    if agree < (TOGETHER if meets else UPRIGHT) or (up[2] > UPRIGHT and _up(others[best])[2] < -UPRIGHT):
        away = np.isfinite(given) and not meets  # never so of parallel cameras
        return list(cameras), ["some cameras look away from the place at which the others look"] if away else []
    fixed = [_posed(camera, r, t) for camera, r, t in zip(cameras, *others[best], strict=True)]
    wrong = "stand upside down or on their sides" if meets else "look away from each other's middle"
    text = f"as given, the cameras {wrong}; read {best}, they stand upright"
    return fixed, [f"{text} and look at one place within {np.degrees(_meets(others[best])):.0f} degrees: read so"]


def _opposed(pose: Pose) -> bool:
    """Two upright cameras that face each other: where their axes meet says nothing."""
    axes, up = pose[0][:, 2], _up(pose)
    return len(axes) == 2 and float(axes[0] @ axes[1]) < OPPOSED and float(up[2]) > UPRIGHT


def _up(pose: Pose) -> Array:
    """(3,): the mean of the cameras' up directions, shorter the less they agree."""
    return -pose[0][:, 1].mean(axis=0)


def _posed(camera: Camera, turn: Array, shift: Array) -> Camera:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn.T, -turn.T @ shift
    return replace(camera, camera_to_world=pose)


def _metres(cameras: list[Camera], unit: str | None) -> tuple[list[Camera], list[str]]:
    """Raises Fault for a rig that no unit makes plausible."""
    places = np.stack([camera.camera_to_world[:3, 3] for camera in cameras])
    size = float(np.linalg.norm(places[:, None] - places[None], axis=-1).max())
    found = meeting(places, np.stack([camera.camera_to_world[:3, 2] for camera in cameras]))
    if found is not None:
        size = max(size, float(np.median(np.linalg.norm(found[0] - places, axis=1))))
    texts = []
    if unit is None and size > LARGEST_M:
        unit = "cm" if found is not None and size <= 1000 else "mm"
        metres = size * UNITS[unit]
        texts.append(
            f"the rig would be {size:.0f} m large: its numbers are taken for {unit}, and {metres:.2f} m for it"
        )
    scale = UNITS[unit or "m"]
    if size * scale > 10 * LARGEST_M or 1e-9 < size * scale < 0.01:
        raise Fault(f"the rig would be {size * scale:g} m large", "the unit of its translations: m, cm or mm")
    if scale == 1:
        return cameras, texts
    poses = [np.array(camera.camera_to_world, np.float64) for camera in cameras]
    for pose in poses:
        pose[:3, 3] *= scale
    return [replace(camera, camera_to_world=p) for camera, p in zip(cameras, poses, strict=True)], texts


def _upright(cameras: Sequence[Camera]) -> list[str]:
    up = -np.stack([camera.camera_to_world[:3, 1] for camera in cameras]).mean(axis=0)
    if np.linalg.norm(up) < 0.5 or up[2] / np.linalg.norm(up) > UPRIGHT:
        return []
    return [
        "the cameras' up direction is not the world's Z: its floor is not z = 0 (a board's frame, or another axis up)"
    ]
