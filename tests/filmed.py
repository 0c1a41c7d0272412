"""People who stand and sway, and a clip without a file, for tests of what is drawn."""

import numpy as np

from pipeline.results import Camera, ClipInfo, Motion3D, Scene, Track2D
from pipeline.skeletons import skeleton
from visualize.film import side_by_side

STANDING = {
    "pelvis": (0, 0, 0.95), "hip": (0.1, 0, 0.93), "knee": (0.11, 0, 0.5), "ankle": (0.11, 0.02, 0.09),
    "heel": (0.11, 0.05, 0.03), "toe": (0.12, -0.17, 0.03), "spine": (0, 0, 1.2), "thorax": (0, 0, 1.45),
    "neck_nose": (0, -0.04, 1.56), "head_top": (0, -0.02, 1.74), "shoulder": (0.18, 0, 1.42),
    "elbow": (0.24, 0.02, 1.12), "wrist": (0.26, -0.05, 0.88), "hand": (0.26, -0.08, 0.8),
}  # fmt: skip


def standing(kind="h36m-23"):
    """(K,3) m: a person at the origin who looks towards -y, so that the left side is at +x."""
    out = []
    for name in skeleton(kind).joints:
        left, plain = name.startswith("left_"), name.removeprefix("left_").removeprefix("right_")
        x, y, z = STANDING[plain]
        out.append((x if left or plain == name else -x, y, z))
    return np.array(out, np.float32)


def camera(width=320, height=240):
    pose = np.eye(4)
    pose[:3] = [[1, 0, 0, 0], [0, 0, 1, -4.5], [0, -1, 0, 1.2]]
    return Camera(
        np.array([[300.0, 0, width / 2], [0, 300, height / 2], [0, 0, 1]]), (width, height), camera_to_world=pose
    )


class Pictures:
    """A clip of grey frames without a file."""

    def __init__(self, times, width=320, height=240):
        rate = 1 / float(np.median(np.diff(times))) if len(times) > 1 else 30.0
        self.info = ClipInfo("grey.mp4", width, height, np.asarray(times, float), rate)
        self.closed = False

    def frames(self, start=0, stop=None, size=None):
        width, height = size or (self.info.width, self.info.height)
        try:
            for _ in range(start, len(self.info.times) if stop is None else stop):
                yield np.full((height, width, 3), 128, np.uint8)
        finally:
            self.closed = True


def scene_of(clip, people=1, kind="h36m-23", span=None, eye=None):
    """People side by side who sway, seen in the frames `span` of the clip."""
    first, last = span or (0, len(clip.info.times))
    eye = eye or camera(clip.info.width, clip.info.height)
    frames = np.arange(first, last, dtype=np.int32)
    tracks, motions = [], []
    for number in range(people):
        sway = 0.1 * np.sin(frames / 5)[:, None, None] * [1, 0, 0]
        joints = (standing(kind) + sway + [1.0 * number - 0.5 * (people - 1), 0, 0]).astype(np.float32)
        scores = np.full(joints.shape[:2], 0.9, np.float32)
        seen = np.ones(len(frames), bool)
        motions.append(Motion3D(number + 1, kind, "world", frames, joints, scores, joints[:, 0], seen))
        inside = joints @ eye.world_to_camera[:3, :3].T + eye.world_to_camera[:3, 3]
        points = inside @ eye.matrix.T
        points = (points[..., :2] / points[..., 2:]).astype(np.float32)
        boxes = np.concatenate([points.min(1), points.max(1)], 1)
        tracks.append(Track2D(number + 1, kind, frames, points, scores, seen, boxes))
    return Scene(clip.info, eye, tracks, motions)


def drawn(scene, clip, height):
    """All frames of a film, kept."""
    return [frame.copy() for frame in side_by_side(scene, clip, height)]


def near(picture, color, distance=40):
    """How many pixels have about that colour."""
    return int((np.abs(picture.astype(int) - color).max(axis=-1) < distance).sum())
