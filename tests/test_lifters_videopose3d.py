"""The default lifter: normalisation, times, gaps, chunks, and that its file computes what the network computes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lifters.networks.sighted import SightedModel
from lifters.normalise import JOINTS, normalise
from lifters.resample import from_grid, grid, to_grid
from lifters.videopose3d import BODY, VideoPose3D, track_from_h36m
from pipeline.results import Camera, Track2D
from training.export_videopose3d import export
from training.metrics import mpjpe, p_mpjpe
from training.normalise import normalise as normalise_tensors

CAMERA = Camera(np.array([[1100.0, 0, 500], [0, 1100, 500], [0, 0, 1]]), (1000, 1000))


@pytest.fixture(scope="module")
def lifter():
    return VideoPose3D()


def walker(seconds: float, fps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A figure that swings its limbs: times (T,), joints (T,23,3) in camera axes, pixels (T,23,2)."""
    times = np.arange(round(seconds * fps) + 1) / fps
    phase = 2 * np.pi * 0.9 * times
    rest = {
        "pelvis": (0, 0, 0), "hip": (0.1, 0, 0), "spine": (0, -0.22, 0), "thorax": (0, -0.5, 0),
        "neck_nose": (0, -0.6, 0), "head_top": (0, -0.74, 0), "shoulder": (0.18, -0.49, 0),
    }  # fmt: skip
    joints = np.zeros((len(times), len(BODY), 3))
    for i, name in enumerate(BODY.joints):
        side, _, part = name.partition("_") if name.startswith(("left", "right")) else ("", "", name)
        sign = -1.0 if side == "right" else 1.0
        swing = 0.5 * np.sin(phase) * sign
        leg = part in ("knee", "ankle", "heel", "toe")
        anchor = np.array(rest.get(part, rest["hip" if leg else "shoulder"])) * [sign, 1, 1]
        down = {"knee": 0.42, "ankle": 0.84, "heel": 0.9, "toe": 0.9, "elbow": 0.28, "wrist": 0.53, "hand": 0.61}
        length, angle = down.get(part, 0.0), swing if leg else -swing
        joints[:, i] = anchor + length * np.stack([0 * times, np.cos(angle), np.sin(angle)], axis=1)
        joints[:, i, 2] -= 0.2 if part == "toe" else 0.0
    turn = np.deg2rad(35)
    joints = joints @ np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
    seen = joints + np.array([0.2, 0.0, 4.0])
    return times, joints, 1100 * seen[..., :2] / seen[..., 2:] + 500


def lift(lifter, pixels, times, **changes):
    track = track_from_h36m(pixels.astype(np.float32), np.arange(len(pixels), dtype=np.int32))
    return lifter.lift(Track2D(**{**track.__dict__, **changes}), CAMERA, times)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 80), st.floats(0.0, 0.6))
def test_training_and_run_normalise_alike(seed, frames, missing):
    rng = np.random.default_rng(seed)
    rays, scores = rng.normal(0, 0.3, (frames, len(JOINTS), 2)), rng.random((frames, len(JOINTS)))
    scores[rng.random(scores.shape) < missing] = 0.0
    rays[scores == 0] = np.nan
    inputs, turn = normalise(rays, scores)
    same, turned = normalise_tensors(torch.from_numpy(rays)[None], torch.from_numpy(scores)[None])
    np.testing.assert_allclose(inputs, same[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(turn, turned[0].numpy(), atol=1e-9)
    np.testing.assert_allclose(turn @ np.swapaxes(turn, 1, 2), np.broadcast_to(np.eye(3), turn.shape), atol=1e-9)


def test_input_does_not_depend_on_place_size_and_lens():
    _, joints, _ = walker(2, 30)
    points = np.stack(
        [joints[:, BODY.joints.index(n)] if n in BODY.joints else joints[:, 10] for n in JOINTS.joints], 1
    )
    ones = np.ones(points.shape[:2])
    near, far = points + np.array([0, 0, 40.0]), 1.7 * points + np.array([0, 0, 68.0])
    angle = np.deg2rad(20)
    aside = near @ np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    first, turn = normalise(near[..., :2] / near[..., 2:], ones)
    np.testing.assert_allclose(normalise(far[..., :2] / far[..., 2:], ones)[0], first, atol=1e-5)
    second, turned = normalise(aside[..., :2] / aside[..., 2:], ones)
    np.testing.assert_allclose(second, first, atol=2e-3)
    assert np.rad2deg(np.arccos((np.trace(turned[30] @ turn[30].T) - 1) / 2)) == pytest.approx(20, abs=0.5)


def test_lifts_a_walker(lifter):
    times, joints, pixels = walker(4, 30)
    motion = lift(lifter, pixels, times)
    assert motion.skeleton == "h36m-23" and motion.frame == "root"
    assert motion.joints.dtype == np.float32 and motion.joints.shape == joints.shape
    assert np.isnan(motion.root).all() and np.all(motion.joints[:, 0] == 0)
    assert p_mpjpe(motion.joints[:, :17].astype(float), joints[:, :17]) < 0.09
    assert mpjpe(motion.joints[:, :17], joints[:, :17]) < 0.16
    assert ((motion.contacts >= 0) & (motion.contacts <= 1)).all()
    assert np.all(motion.scores == 1)


def test_mirrored_track_gives_the_mirrored_motion(lifter):
    times, _, pixels = walker(2, 30)
    mirrored = (np.array([1000.0, 0]) + np.array([-1, 1]) * pixels)[:, BODY.mirror]
    motion, other = lift(lifter, pixels, times), lift(lifter, mirrored, times)
    np.testing.assert_allclose(other.joints[:, BODY.mirror] * [-1, 1, 1], motion.joints, atol=1e-4)
    np.testing.assert_allclose(other.contacts[:, [2, 3, 0, 1]], motion.contacts, atol=1e-4)


def test_chunks_change_nothing(lifter):
    times, _, pixels = walker(6, 30)
    whole, pieces = lift(lifter, pixels, times), lift(VideoPose3D(chunk=50), pixels, times)
    np.testing.assert_allclose(pieces.joints, whole.joints, atol=1e-5)
    again = lift(VideoPose3D(), pixels, times)
    assert again.joints.tobytes() == whole.joints.tobytes()


@pytest.mark.parametrize("fps", [12.5, 24, 25, 50, 60, 120, 240])
def test_frame_rate_does_not_matter(lifter, fps):
    times, _, pixels = walker(4, 30)
    own, _, faster = walker(4, fps)
    expected = from_grid(lift(lifter, pixels, times).joints.astype(float), times, own)
    assert mpjpe(lift(lifter, faster, own).joints, expected) < 0.012


def test_variable_frame_rate(lifter):
    times, _, pixels = walker(4, 120)
    keep = np.sort(np.random.default_rng(0).choice(len(times), len(times) // 3, replace=False))
    even = lift(lifter, pixels, times).joints[keep]
    assert mpjpe(lift(lifter, pixels[keep], times[keep]).joints, even) < 0.02


def test_single_frame(lifter):
    times, joints, pixels = walker(1, 30)
    motion = lift(lifter, pixels[:1], times)
    assert motion.joints.shape == (1, 23, 3) and np.isfinite(motion.joints).all()
    assert p_mpjpe(motion.joints[:, :17].astype(float), joints[:1, :17]) < 0.15


def test_two_frames_far_apart(lifter):
    times, _, pixels = walker(2, 1)
    assert np.isfinite(lift(lifter, pixels[:2], times).joints).all()


def test_missing_joints_are_not_looked_at(lifter):
    times, _, pixels = walker(3, 30)
    scores = np.ones(pixels.shape[:2], np.float32)
    scores[20:40, BODY.index("left_wrist", "left_hand")] = 0
    wild, absent = pixels.copy(), pixels.copy()
    wild[scores == 0], absent[scores == 0] = 1e6, np.nan
    first, second = lift(lifter, wild, times, scores=scores), lift(lifter, absent, times, scores=scores)
    assert first.joints.tobytes() == second.joints.tobytes()
    assert np.isfinite(first.joints).all()
    assert mpjpe(first.joints, lift(lifter, pixels, times).joints) < 0.05
    assert (first.scores[20:40, BODY.joints.index("left_wrist")] == 0).all()


def test_long_gap_stays_missing(lifter):
    times, _, pixels = walker(6, 30)
    scores = np.ones(pixels.shape[:2], np.float32)
    scores[60:150] = 0
    motion = lift(lifter, np.where(scores[..., None] > 0, pixels, np.nan), times, scores=scores)
    assert np.isnan(motion.joints[60:150]).all() and np.isnan(motion.contacts[60:150]).all()
    assert np.isfinite(motion.joints[:60]).all() and np.isfinite(motion.joints[150:]).all()
    assert mpjpe(motion.joints[:50], lift(lifter, pixels, times).joints[:50]) < 0.05


def test_distortion_is_taken_out(lifter):
    times, joints, _ = walker(1, 30)
    import cv2

    bent = Camera(CAMERA.matrix, (1000, 1000), np.array([-0.2, 0.05, 0.001, 0.001, 0.0]))
    seen = (joints + np.array([0.2, 0, 4])).reshape(-1, 3)
    pixels = cv2.projectPoints(seen, np.zeros(3), np.zeros(3), bent.matrix, bent.distortion)[0].reshape(-1, 23, 2)
    track = track_from_h36m(pixels.astype(np.float32), np.arange(len(pixels), dtype=np.int32))
    straight = lift(lifter, walker(1, 30)[2], times)
    np.testing.assert_allclose(lifter.lift(track, bent, times).joints, straight.joints, atol=1e-3)


@settings(max_examples=20)
@given(st.floats(5, 240), st.integers(2, 200), st.integers(0, 1000))
def test_grid_covers_the_times_and_lines_survive(fps, frames, seed):
    rng = np.random.default_rng(seed)
    times = np.arange(frames) / fps + rng.uniform(0, 0.3 / fps, frames)
    even = grid(times, 30.0)
    assert even[0] == times[0] and even[-1] >= times[-1] - 1e-6
    line = np.stack([times, 2 * times], axis=-1)[:, None].repeat(3, axis=1)
    points, scores = to_grid(line, np.ones((frames, 3)), times, even, 30.0)
    assert (scores > 0).all()
    inner = (even > times[0] + 0.07) & (even < times[-1] - 0.07)
    np.testing.assert_allclose(points[inner, 0, 0], even[inner], atol=0.6 / min(fps, 30))


def test_file_computes_what_the_network_computes(tmp_path):
    torch.manual_seed(0)
    net = SightedModel((3, 5, 1), 16, 32).eval()
    for value in net.parameters():
        if value.ndim < 2:  # norms and biases that are not 1 and 0
            value.data.uniform_(0.5, 1.5)
    facts = export(net, tmp_path, "net")
    small = VideoPose3D(tmp_path / str(facts["file"]))
    assert small.receptive_field == net.receptive_field == 15
    x = np.random.default_rng(0).normal(size=(2, 40, len(JOINTS), 3)).astype(np.float32)
    joints, extra = small._run(x)
    with torch.no_grad():
        expected = net(torch.from_numpy(x))
    np.testing.assert_allclose(joints, expected[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(extra, expected[1].numpy(), atol=1e-4)


def test_committed_files_agree(lifter):
    from safetensors.torch import load_file

    from checkpoints.card import card
    from checkpoints.store import ROOT, sha256

    facts = card("videopose3d-open")
    path = ROOT / "checkpoints" / facts.details["safetensors_file"]
    assert sha256(path) == facts.details["safetensors_sha256"]
    assert path.stat().st_size < 40e6
    net = SightedModel(*(facts.details[key] for key in ("filter_widths", "features", "summary"))).eval()
    net.load_state_dict(load_file(path))
    assert lifter.receptive_field == facts.details["receptive_field"] == net.receptive_field
    x = np.random.default_rng(0).normal(size=(1, 60, len(JOINTS), 3)).astype(np.float32)
    with torch.no_grad():
        np.testing.assert_allclose(lifter._run(x)[0], net(torch.from_numpy(x))[0].numpy(), atol=1e-4)
