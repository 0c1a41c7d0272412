"""Motion that the studio's actors perform, in the layouts of Human3.6M's files and of open_mocap.npz; 2D is exact."""

import json

import numpy as np
from dataset_files import H36M_CAMERAS, metadata, object_array

from pipeline.skeletons import skeleton
from studio.body import Proportions, build_body
from studio.gait import run, turn, walk
from studio.motions import Stand, dance, jump, sit, squat, wave
from studio.paths import circle
from training.datasets.calibration import load_cameras
from training.datasets.human36m import LAYOUT
from training.datasets.open_mocap import SHORT

SUBJECTS = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
FPS, SIZE = 50, (1000, 1002)


def performances(rng, seconds):
    """One actor's motions by name: h36m-23 joints (T,23,3) in metres, Z up; size, heading, pace and order are drawn."""
    body = build_body(Proportions.random(int(rng.integers(1 << 30))))
    times = np.arange(round(seconds * FPS)) / FPS
    heading = lambda: rng.uniform(0, 2 * np.pi)  # noqa: E731
    side = str(rng.choice(["left", "right"]))
    round_ = circle(radius=rng.uniform(0.8, 1.5), start=heading(), left=rng.random() < 0.5)
    motions = {
        "Walking": walk(round_, rng.random(), rng.uniform(0.8, 1.6)),
        "Running": run(round_, rng.random()),
        "Turning": turn(heading=heading(), rate=rng.choice([-1, 1]) * rng.uniform(0.8, 2.0)),
        "Greeting": Stand((0, 0), heading(), (wave(0.1, seconds - 0.2, side, rng.uniform(1.2, 2.2)),)),
        "Exercising": Stand((0, 0), heading(), (squat(0.1, seconds / 2, rng.uniform(0.2, 0.5)), jump(seconds / 2))),
        "Sitting": Stand((0, 0), heading(), (sit(0.0, seconds, rng.uniform(0.3, 0.6)),)),
        "Dancing": Stand((0, 0), heading(), (dance(0.0, seconds, rng.uniform(0.25, 0.5)),)),
    }
    return {name: body.joints(motion(body, times)) for name, motion in motions.items()}


def table():
    """Four cameras at the corners of a room, as `cameras.json` has them."""
    lens = {"res_w": SIZE[0], "res_h": SIZE[1], "focal_length": [1145.0, 1144.0], "center": [512.0, 516.0],
            "radial_distortion": [-0.2, 0.24, -0.002], "tangential_distortion": [-0.0009, -0.0016]}  # fmt: skip
    places = []
    for azimuth in np.deg2rad([40, 130, 220, 310]):
        forward = -np.array([np.cos(azimuth), np.sin(azimuth), 0.12])
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(forward, right), forward], axis=1)
        w = np.sqrt(1 + np.trace(axes)) / 2
        q = [w, *(np.array([axes[2, 1] - axes[1, 2], axes[0, 2] - axes[2, 0], axes[1, 0] - axes[0, 1]]) / (4 * w))]
        place = 5500 * np.array([np.cos(azimuth), np.sin(azimuth), 0.0]) + [0, 0, 1600]
        places.append({"orientation": q, "translation": place.tolist()})
    return {
        "h36m_intrinsics": [{"id": name} | lens for name in H36M_CAMERAS],
        "h36m_extrinsics": dict.fromkeys(SUBJECTS, places),
    }


def coco(joints):
    """(T,17,3) of Human3.6M, Z up -> COCO's 17; the face is put where the head and the shoulders say."""
    p = dict(zip(skeleton("h36m-17").joints, joints.swapaxes(0, 1), strict=True))
    left, up = p["left_shoulder"] - p["right_shoulder"], p["head_top"] - p["thorax"]
    left, up = (axis / np.linalg.norm(axis, axis=-1, keepdims=True) for axis in (left, up))
    head, front = (p["neck_nose"] + p["head_top"]) / 2, np.cross(left, up)
    p["nose"] = head + 0.11 * front
    for name, side in (("left", left), ("right", -left)):
        p[f"{name}_eye"], p[f"{name}_ear"] = head + 0.09 * front + 0.03 * (side + up), head + 0.07 * side
    return np.stack([p[name] for name in skeleton("coco-17").joints], axis=1)


def write_human36m(folder, seconds=2.0, takes=3, seed=0):
    """Human3.6M's files; every take has another actor, way and pace. 2D is exact: of its joints, and of COCO's."""
    (folder / "cameras.json").write_text(json.dumps(table()))
    cameras = load_cameras(folder / "cameras.json", "h36m")
    motions, flat, flat_coco = {}, {}, {}
    for number, subject in enumerate(SUBJECTS):
        acted = {
            f"{action} {take}": joints
            for take in range(takes)
            for action, joints in performances(np.random.default_rng([seed, number, take]), seconds).items()
        }
        motions[subject], flat[subject], flat_coco[subject] = {}, {}, {}
        for action, joints in acted.items():
            world = np.zeros((len(joints), 32, 3), np.float32)
            world[:, list(LAYOUT.kept)] = joints[:, :17]
            motions[subject][action] = world
            seen = world[:, list(LAYOUT.kept)].astype(np.float64)
            flat[subject][action], flat_coco[subject][action] = (
                [c.to_pixels(c.to_camera(points)).astype(np.float32) for c in cameras[subject]]
                for points in (seen, coco(seen))
            )
    np.savez(folder / "data_3d_h36m.npz", positions_3d=object_array(motions))
    for name, keypoints, layout in (("gt", flat, "h36m-17"), ("detectron_pt_coco", flat_coco, "coco-17")):
        np.savez(folder / f"data_2d_h36m_{name}.npz", positions_2d=object_array(keypoints), metadata=metadata(layout))
    return folder


def write_mocap(path, seconds=2.0, seed=0, subjects=("a", "b", "cmu55"), fps=FPS):
    """`open_mocap.npz`; the subject cmu55 is kept for testing. Another `fps` makes everybody slower or faster."""
    clips, names = [], []
    for number, subject in enumerate(subjects):
        acted = performances(np.random.default_rng([seed, number]), seconds)
        clips += list(acted.values())
        names += [subject] * len(acted)
    length = np.array([len(clip) for clip in clips])
    joints = np.concatenate(clips)
    np.savez(
        path, rel=(joints - joints[:, :1]).astype(np.float16), root=joints[:, 0].astype(np.float32),
        contacts=np.zeros((len(joints), 4), np.uint8), start=np.cumsum(length) - length, length=length,
        fps=np.float32(fps), subject=np.array(names),
        joints=np.array([SHORT[name] for name in skeleton("h36m-23").joints]),
    )  # fmt: skip
    return path
