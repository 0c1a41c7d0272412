"""Small procedural people with exact truth for tests: joints of h36m-23 in the world (Z up, metres) and contacts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from pipeline.results import Camera, Detections, Motion3D, Track2D
from pipeline.skeletons import skeleton

H36M = skeleton("h36m-23")
BLAZE = skeleton("blazepose-33")
UNKNOWN = {  # joints that are known in no frame, as a detector without them or a frame that cuts them off leaves it
    "a wrist": ("left_wrist",),
    "hands": ("left_hand", "right_hand"),
    "heels and toes": ("left_heel", "left_toe", "right_heel", "right_toe"),
    "a leg": ("right_hip", "right_knee", "right_ankle", "right_heel", "right_toe"),
    "a thorax": ("thorax",),
}
STEP, STANCE = 0.55, 0.6  # m per step; share of a leg's cycle on the ground
SOLE = 0.02  # m from the ground to heel and toe joints


def without(motion, names):
    """The motion with these joints unknown in all frames, score 0."""
    joints, scores, lost = motion.joints.copy(), motion.scores.copy(), H36M.index(*names)
    joints[:, lost], scores[:, lost] = np.nan, 0
    return replace(motion, joints=joints, scores=scores, root=joints[:, 0] if "pelvis" in names else motion.root)


def unit(v):
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


def leg(hip, ankle, thigh, shank, forward):
    """Knee of a two-bone leg that bends forward."""
    reach = ankle - hip
    d = np.clip(np.linalg.norm(reach, axis=-1, keepdims=True), 1e-6, thigh + shank - 1e-6)
    axis = unit(reach)
    bend = unit(forward - (forward * axis).sum(-1, keepdims=True) * axis)
    a = (thigh**2 - shank**2 + d**2) / (2 * d)
    return hip + a * axis + np.sqrt(np.maximum(thigh**2 - a**2, 0)) * bend, hip + d * axis


def body(pelvis, heading, ankles, pitch, swing, height):
    """Joints (T,23,3) from the pelvis, the heading angle, both ankles (T,2,3), feet pitch (T,2) and arm swing (T,2)."""
    s = height / 1.7
    t = len(pelvis)
    fwd = np.stack([np.cos(heading), np.sin(heading), np.zeros(t)], -1)
    side = np.stack([-np.sin(heading), np.cos(heading), np.zeros(t)], -1)  # to the person's left
    up = np.broadcast_to([0.0, 0, 1], (t, 3))
    j = {"pelvis": pelvis, "spine": pelvis + 0.23 * s * up, "thorax": pelvis + 0.47 * s * up}
    j["neck_nose"] = pelvis + 0.59 * s * up
    j["head_top"] = pelvis + 0.76 * s * up
    for k, (name, sign) in enumerate((("left", 1), ("right", -1))):
        hip = pelvis + sign * 0.1 * s * side
        knee, ankle = leg(hip, ankles[:, k], 0.42 * s, 0.42 * s, fwd)
        c, sn = np.cos(pitch[:, k])[:, None], np.sin(pitch[:, k])[:, None]
        sole = c * fwd - sn * up
        down = -c * up - sn * fwd
        heel = ankle + 0.055 * s * down - 0.045 * s * sole
        j |= {f"{name}_hip": hip, f"{name}_knee": knee, f"{name}_ankle": ankle, f"{name}_heel": heel}
        j[f"{name}_toe"] = heel + 0.23 * s * sole
        shoulder = j["thorax"] + sign * 0.17 * s * side - 0.02 * s * up
        arm = np.sin(swing[:, k])[:, None] * fwd - np.cos(swing[:, k])[:, None] * up + 0.1 * sign * side
        fore = np.sin(swing[:, k] + 0.35)[:, None] * fwd - np.cos(swing[:, k] + 0.35)[:, None] * up
        j[f"{name}_shoulder"], j[f"{name}_elbow"] = shoulder, shoulder + 0.29 * s * unit(arm)
        j[f"{name}_wrist"] = j[f"{name}_elbow"] + 0.25 * s * fore
        j[f"{name}_hand"] = j[f"{name}_wrist"] + 0.085 * s * fore
    return np.stack([j[name] for name in H36M.joints], axis=1)


def walker(path, times, height=1.7):
    """Somebody walking along path(t) -> (T,2) m: joints (T,23,3), contacts (T,4). Standing where the path stands."""
    s = height / 1.7
    fine = np.linspace(times[0] - 3, times[-1] + 3, 60 * (int(times[-1] - times[0]) + 7))
    xy = path(fine)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(xy, axis=0), axis=1))])
    way = np.gradient(xy, fine, axis=0)
    moving = np.linalg.norm(way, axis=1) > 0.05
    angle = np.unwrap(np.arctan2(way[:, 1], way[:, 0]))
    angle = np.interp(fine, fine[moving], angle[moving]) if moving.any() else np.zeros(len(fine))
    gone, heading = np.interp(times, fine, length), np.interp(times, fine, angle)

    def at(distance, sign):  # a footprint: the path's point at that distance, to one side
        when = np.interp(distance, length + 1e-9 * np.arange(len(length)), fine)
        p = np.stack([np.interp(when, fine, xy[:, k]) for k in (0, 1)], -1)
        a = np.interp(when, fine, angle)
        return np.concatenate([p + sign * 0.1 * s * np.stack([-np.sin(a), np.cos(a)], -1), np.zeros((*a.shape, 1))], -1)

    ankles, pitch, contacts, swing = [], [], [], []
    for k, sign in enumerate((1, -1)):
        phase = gone / (2 * STEP * s) + 0.5 * k
        cycle, part = np.floor(phase), phase % 1
        mid = (cycle + STANCE / 2 - 0.5 * k) * 2 * STEP * s  # distance at which the body is over the foot
        lift = np.clip((part - STANCE) / (1 - STANCE), 0, 1)
        ease = lift * lift * (3 - 2 * lift)
        foot = at(mid, sign) * (1 - ease[:, None]) + at(mid + 2 * STEP * s, sign) * ease[:, None]
        foot[:, 2] = SOLE + 0.055 * s + 0.10 * s * np.sin(np.pi * lift) ** 2
        ankles.append(foot)
        pitch.append(0.5 * np.sin(2 * np.pi * lift))
        contacts += [part < STANCE] * 2
        swing.append(-0.45 * np.cos(2 * np.pi * (part - STANCE / 2 + 0.5)) * np.interp(times, fine, moving * 1.0))
    bob = 0.02 * s * np.cos(4 * np.pi * gone / (2 * STEP * s))
    pelvis = np.concatenate([path(times), (SOLE + 0.81 * s + bob)[:, None]], -1)
    joints = body(pelvis, heading, np.stack(ankles, 1), np.stack(pitch, 1), np.stack(swing, 1), height)
    return joints, np.stack(contacts, 1).astype(np.float32)


def jumper(times, take_off=1.0, rise=0.4, place=(0.0, 4.0), height=1.7):
    """Stands, goes down, jumps `rise` metres up, lands: joints, contacts."""
    s = height / 1.7
    flight = 2 * np.sqrt(2 * rise / 9.81)
    t = times - take_off
    air = (t > 0) & (t < flight)
    z = np.where(air, np.sqrt(2 * 9.81 * rise) * t - 9.81 * t * t / 2, 0.0)
    crouch = 0.25 * (np.exp(-(((t + 0.35) / 0.15) ** 2)) + np.exp(-(((t - flight - 0.2) / 0.15) ** 2)))
    base = np.broadcast_to(np.array(place), (len(times), 2))
    pelvis = np.concatenate([base, (SOLE + 0.89 * s + z - np.where(air, 0, crouch))[:, None]], -1)
    heading = np.full(len(times), -np.pi / 2)
    feet = []
    for sign in (1, -1):
        side = sign * 0.1 * s * np.array([1.0, 0.0])
        feet.append(np.concatenate([base + side, (SOLE + 0.055 * s + z)[:, None]], -1))
    zero = np.zeros((len(times), 2))
    joints = body(pelvis, heading, np.stack(feet, 1), zero, zero + 0.1, height)
    return joints, np.repeat(~air[:, None], 4, axis=1).astype(np.float32)


def look(pitch_deg=10.0, height=1.5, size=(1280, 720), focal=1100.0, roll_deg=0.0, yaw_deg=0.0):
    """A camera `height` metres above the origin that looks along +y, pitched down: Camera with camera_to_world."""
    p, r, y = np.radians([pitch_deg, roll_deg, yaw_deg])
    level = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # columns: camera x, y, z in the world
    tilt = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    roll = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    yaw = np.array([[np.cos(y), -np.sin(y), 0], [np.sin(y), np.cos(y), 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = yaw @ level @ tilt.T @ roll
    pose[:3, 3] = (0, 0, height)
    matrix = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]])
    return Camera(matrix=matrix, size=size, camera_to_world=pose)


def to_camera(joints, camera):
    w2c = camera.world_to_camera
    return joints @ w2c[:3, :3].T + w2c[:3, 3]


def project(joints, camera):
    points = to_camera(joints, camera)
    return points[..., :2] / points[..., 2:] * camera.matrix[[0, 1], [0, 1]] + camera.matrix[:2, 2]


def blaze(joints):
    """(...,23,3) -> (...,33,3): the face around the head, fingers at the hand."""
    p = {name: joints[..., i, :] for i, name in enumerate(H36M.joints)}
    side = unit(p["left_shoulder"] - p["right_shoulder"])
    ahead = unit(np.cross(side, p["head_top"] - p["thorax"]))
    head = 0.5 * (p["neck_nose"] + p["head_top"])
    out = {"nose": head + 0.1 * ahead}
    for name, sign in (("left", 1), ("right", -1)):
        for part, along, across in (("eye_inner", 0.08, 0.02), ("eye", 0.08, 0.03), ("eye_outer", 0.07, 0.04)):
            out[f"{name}_{part}"] = head + along * ahead + sign * across * side + (0, 0, 0.03)
        out[f"{name}_ear"] = head + sign * 0.075 * side
        out[f"{name}_mouth"] = head + 0.09 * ahead + sign * 0.02 * side - (0, 0, 0.04)
        for finger in ("pinky", "index", "thumb"):
            out[f"{name}_{finger}"] = p[f"{name}_hand"]
    return np.stack([out.get(name, p.get(name)) for name in BLAZE.joints], axis=-2)


def shadowed(people, camera):
    """(P,T) share of each person's joints that somebody nearer covers, from joints (P,T,J,3)."""
    px = np.stack([project(p, camera) for p in people])
    depth = np.stack([to_camera(p, camera)[..., 2].mean(-1) for p in people])
    hidden = np.zeros(px.shape[:2])
    for a in range(len(people)):
        covered = np.zeros(px.shape[1:3], bool)
        for b in range(len(people)):
            low, high = px[b].min(1)[:, None] - 2, px[b].max(1)[:, None] + 2
            narrow = 0.2 * (high - low) * (1, 0)
            inside = ((px[a] > low + narrow) & (px[a] < high - narrow)).all(-1)
            covered |= inside & (depth[b] < depth[a] - 0.1)[:, None]
        hidden[a] = covered.mean(1)
    return hidden


def detect(people, camera, rng, noise=0.01, missed=0.02, wrong_hint=True):
    """What a detector would give, and the true person of each detection: list[Detections], list[(P,) int].

    Hidden people are lost, half hidden ones noisy and unsure; the following ids go wrong when people overlap.
    """
    points = np.stack([project(blaze(p), camera) for p in people])  # (P,T,33,2)
    hidden = shadowed(people, camera)
    hint = np.arange(len(people))
    out, truth, fresh = [], [], len(people)
    for t in range(points.shape[1]):
        seen = []
        for p in range(len(people)):
            high = np.ptp(points[p, t, :, 1])
            if hidden[p, t] > 0.6 or rng.random() < missed * (1 + 5 * hidden[p, t]):
                continue
            lost = rng.random(33) < 0.8 * hidden[p, t]
            spread = noise * high * np.where(lost, 4, 1)[:, None]
            score = np.clip(np.where(lost, 0.25, 0.9) + 0.05 * rng.normal(size=33), 0.05, 1)
            seen.append((p, points[p, t] + spread * rng.normal(size=(33, 2)), score))
            if wrong_hint and hidden[p, t] > 0.3 and rng.random() < 0.2:
                other = int(rng.integers(len(people)))
                hint[[p, other]] = hint[[other, p]]
            if hidden[p, t] > 0.5 and rng.random() < 0.3:
                hint[p], fresh = fresh, fresh + 1
        rng.shuffle(seen)
        truth.append(np.array([s[0] for s in seen], int))
        out.append(_frame(seen, hint))
    return out, truth


def _frame(seen, hint):
    n = len(seen)
    points = np.array([s[1] for s in seen], np.float32).reshape(n, 33, 2)
    scores = np.array([s[2] for s in seen], np.float32).reshape(n, 33)
    boxes = np.concatenate([points.min(1), points.max(1)], 1) if n else np.zeros((0, 4), np.float32)
    following = np.array([hint[s[0]] for s in seen], np.int32)
    return Detections("blazepose-33", boxes, np.full(n, 0.9, np.float32), points, scores, following=following)


def observe(joints, camera, times, number=1, noise_px=0.0, pose_m=0.0, contacts=None, rng=None, score=0.9):
    """A true person as the lifter and tracker would hand it over: Motion3D "root" in camera axes, Track2D."""
    rng = rng or np.random.default_rng(0)
    cam = to_camera(joints, camera)
    frames = np.arange(len(times), dtype=np.int32)
    pixels = project(blaze(joints), camera)
    pixels = pixels + noise_px * rng.normal(size=pixels.shape)
    scores = np.full(pixels.shape[:2], score, np.float32)
    boxes = np.concatenate([pixels.min(1), pixels.max(1)], 1)
    pose = cam - cam[:, :1] + pose_m * slow_noise(rng, cam.shape, times) * (np.arange(23) > 0)[:, None]
    track = Track2D(number, "blazepose-33", frames, pixels.astype(np.float32), scores, frames >= 0, boxes)
    motion = Motion3D(
        number, "h36m-23", "root", frames, pose.astype(np.float32), np.full(pose.shape[:2], score, np.float32),
        np.full((len(times), 3), np.nan, np.float32), frames >= 0, contacts
    )  # fmt: skip
    return motion, track


def slow_noise(rng, shape, times, seconds=0.15):
    """Unit noise that neighbouring frames share, like a lifter's."""
    step = np.median(np.diff(times)) if len(times) > 1 else 1.0
    keep = np.exp(-step / seconds)
    noise = rng.normal(size=shape)
    for t in range(1, len(noise)):
        noise[t] = keep * noise[t - 1] + np.sqrt(1 - keep**2) * noise[t]
    return noise


@cache
def walking_by(frames: int, fps: float) -> tuple[Track2D, np.ndarray]:
    """Somebody walking by before `look()`: BlazePose's track and the clip's times. Once for each; not to be changed."""
    times = np.arange(frames) / fps
    joints, _ = walker(lambda t: np.stack([-0.8 + 0.9 * t, 4 + 0.3 * t], -1), times)
    return observe(joints, look(), times, noise_px=1.0)[1], times
