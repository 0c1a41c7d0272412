"""Released checkpoints over whole tracks: every length, rate and gap, against one window per frame."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from people import look, observe, project, to_camera, walker, walking_by
from released_files import FILES, motionbert

from lifters.motionbert import CHAIN_M, chain, square
from lifters.networks.videopose3d import TemporalModel
from lifters.sequence import BODY, fill, screen
from pipeline.choices import lifter_class
from pipeline.results import Camera, Track2D
from pipeline.skeletons import coco_to_h36m, coco_to_h36m_demo, pick, skeleton
from training.metrics import mpjpe

CAMERA = look()
WIDTH, HEIGHT = CAMERA.size
FAST = "pstmo-fast"
CASES = [(name, lifter) for name, (lifter, _, _) in FILES.items()] + [("PSTMOS_no_refine_28_4306_h36m_cpn.pth", FAST)]


pytestmark = pytest.mark.usefixtures("one_thread")


def hidden(track: Track2D, rows: slice) -> Track2D:
    """The same, with nothing seen in some frames."""
    points, scores, observed = track.keypoints.copy(), track.scores.copy(), track.observed.copy()
    points[rows], scores[rows], observed[rows] = np.nan, 0, False
    return replace(track, keypoints=points, scores=scores, observed=observed)


def part(track: Track2D, rows: slice) -> Track2D:
    fields = ("frames", "keypoints", "scores", "observed", "boxes")
    return replace(track, **{name: getattr(track, name)[rows] for name in fields})


def close(one, other, tolerance=1e-5):
    np.testing.assert_allclose(one, other, atol=tolerance * max(1.0, float(np.nanmax(np.abs(other)))), rtol=0)


@pytest.mark.parametrize(("name", "kind"), CASES)
@settings(max_examples=5)
@given(frames=st.integers(1, 45), fps=st.sampled_from([12.5, 25.0, 30.0, 50.0, 60.0, 120.0]))
def test_any_length_at_any_rate(make_lifter, name, kind, frames, fps):
    track, times = walking_by(frames, fps)
    motion = make_lifter(name, kind).lift(track, CAMERA, times)
    assert motion.skeleton == "h36m-17" and motion.frame == "root" and motion.id == track.id
    assert motion.joints.shape == (frames, 17, 3) and motion.joints.dtype == np.float32
    assert np.isfinite(motion.joints).all() and not motion.joints[:, 0].any()
    assert np.ptp(motion.joints) > 1e-6
    np.testing.assert_allclose(motion.scores, 0.9, atol=1e-6)
    assert np.isnan(motion.root).all() and motion.contacts is None
    assert motion.frames is track.frames and motion.observed is track.observed


def by_hand(net: torch.nn.Module, name: str, track: Track2D, window, step: int = 1) -> np.ndarray:
    """The papers' way: one window around every frame, ends repeated, mirrored too, nothing shared. (T,K,3)."""
    coco = pick(track.keypoints.astype(float), track.skeleton, "coco-17")
    layout = "coco-17" if "coco" in name or "wild" in name else "h36m-17"
    points = coco if layout == "coco-17" else coco_to_h36m_demo(coco)
    points = np.stack([points[..., 0] / WIDTH * 2 - 1, points[..., 1] / WIDTH * 2 - HEIGHT / WIDTH], -1)
    sides = [points, points[:, list(skeleton(layout).mirror)] * [-1, 1]]
    out = []
    for side in sides:
        reach = 13 * step
        padded = np.concatenate([side[:1]] * reach + [side] + [side[-1:]] * reach)
        frames = [padded[t : t + 2 * reach + 1 : step] for t in range(len(side))]
        with torch.no_grad():
            out.append(torch.cat([window(net, torch.from_numpy(f).float()[None]) for f in frames])[:, 0].numpy())
    joints = (out[0] + out[1][:, list(BODY.mirror)] * [-1, 1, 1]) / 2
    return joints - joints[:, :1]


@pytest.mark.parametrize(
    ("name", "window", "step"),
    [
        ("pretrained_h36m_cpn.bin", lambda net, x: net(x)[0], 1),
        ("pretrained_h36m_detectron_coco.bin", lambda net, x: net.forward_strided(x)[0], 1),
        ("cpn_pretrained.bin", lambda net, x: net(x), 1),
        ("stage_1_epoch_20.bin", lambda net, x: net(x), 1),
        ("PSTMOS_no_refine_28_4306_h36m_cpn.pth", lambda net, x: net(x)[0], 2),
        ("PSTMOS_no_refine_48_5137_in_the_wild.pth", lambda net, x: net(x)[0], 2),
    ],
)
def test_one_window_per_frame_gives_the_same(make_lifter, name, window, step):
    track, times = walking_by(40, 50.0)
    lifted = make_lifter(name).lift(track, CAMERA, times).joints
    close(lifted, by_hand(FILES[name][1](), name, track, window, step))


def test_motionbert_window_by_hand(make_lifter):
    track, times = walking_by(27, 50.0)
    both = np.concatenate([track.keypoints, track.scores[..., None]], -1).astype(float)
    points = coco_to_h36m(pick(both, track.skeleton, "coco-17"))
    low, high = points[..., :2].min((0, 1)), points[..., :2].max((0, 1))
    points[..., :2] = (points[..., :2] - (low + high) / 2) / ((high - low).max() / 2)
    out, net = [], motionbert()
    for side in (points, points[:, list(BODY.mirror)] * [-1, 1, 1]):
        with torch.no_grad():
            joints = net(torch.from_numpy(side).float()[None])[0].numpy()
        out.append(joints - joints[:, :1])
    lifter = make_lifter("best_epoch.bin")
    expected = lifter._joints((out[0] + out[1][:, list(BODY.mirror)] * [-1, 1, 1]) / 2, _h36m(track), CAMERA)
    close(lifter.lift(track, CAMERA, times).joints, expected - expected[:, :1], 1e-4)


def _h36m(track):
    both = np.concatenate([track.keypoints, track.scores[..., None]], -1).astype(float)
    return coco_to_h36m(pick(both, track.skeleton, "coco-17"))


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    [
        ("pretrained_h36m_cpn.bin", None, {"chunk": 7}),
        ("cpn_pretrained.bin", None, {"windows": 6}),
        ("PSTMOS_no_refine_28_4306_h36m_cpn.pth", None, {"batch": 2}),
        ("PSTMOS_no_refine_28_4306_h36m_cpn.pth", FAST, {"batch": 2}),
        ("best_epoch.bin", None, {"batch": 4}),
    ],
)
def test_what_is_computed_at_once_changes_nothing(make_lifter, monkeypatch, name, kind, size):
    track, times = walking_by(90, 50.0)
    lifter = make_lifter(name, kind)
    whole = lifter.lift(track, CAMERA, times).joints
    for field, value in size.items():
        assert getattr(lifter, field) != value
        monkeypatch.setattr(lifter, field, value, raising=True)
    close(lifter.lift(track, CAMERA, times).joints, whole)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_mirrored_track_gives_the_mirrored_motion(make_lifter, name, kind):
    track, times = walking_by(33, 30.0)
    sides = list(skeleton(track.skeleton).mirror)
    flipped = track.keypoints[:, sides] * np.array([-1, 1]) + np.array([WIDTH, 0])
    mirrored = replace(track, keypoints=flipped.astype(np.float32), scores=track.scores[:, sides])
    joints, other = (make_lifter(name, kind).lift(t, CAMERA, times).joints for t in (track, mirrored))
    close(other[:, list(BODY.mirror)] * [-1, 1, 1], joints, 1e-3)
    joints, other = (make_lifter(name, kind, False).lift(t, CAMERA, times).joints for t in (track, mirrored))
    assert np.abs(other[:, list(BODY.mirror)] * [-1, 1, 1] - joints).max() > 0.01 * np.abs(joints).max()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_long_gap_is_missing_and_parts_know_nothing_of_each_other(make_lifter, name, kind):
    track, times = walking_by(60, 25.0)
    joints = make_lifter(name, kind).lift(hidden(track, slice(20, 40)), CAMERA, times).joints
    assert np.isnan(joints[20:40]).all()
    for rows in (slice(0, 20), slice(40, 60)):
        close(joints[rows], make_lifter(name, kind).lift(part(track, rows), CAMERA, times).joints)


def test_short_gap_is_missing_and_bridged(make_lifter):
    track, times = walking_by(60, 50.0)
    lifter = make_lifter("pretrained_h36m_cpn.bin")
    motion = lifter.lift(hidden(track, slice(28, 34)), CAMERA, times)
    assert np.isnan(motion.joints[28:34]).all() and not motion.scores[28:34].any()
    share = np.linspace(0, 1, 8)[1:-1, None, None]
    bridge = track.keypoints.copy()
    bridge[28:34] = (1 - share) * bridge[27] + share * bridge[34]
    expected = lifter.lift(replace(track, keypoints=bridge), CAMERA, times).joints
    known = np.r_[0:28, 34:60]
    close(motion.joints[known], expected[known])
    assert np.abs(lifter.lift(part(track, slice(0, 28)), CAMERA, times).joints[-1] - expected[27]).max() > 1e-4


def test_nobody_seen_at_all(make_lifter):
    track, times = walking_by(5, 25.0)
    for name in ("pretrained_h36m_cpn.bin", "best_epoch.bin"):
        motion = make_lifter(name).lift(hidden(track, slice(0, 5)), CAMERA, times)
        assert np.isnan(motion.joints).all() and not motion.scores.any()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_missing_joints_are_not_looked_at(make_lifter, name, kind):
    track, times = walking_by(30, 25.0)
    lost = skeleton(track.skeleton).index("left_wrist", "right_ankle")
    scores = track.scores.copy()
    scores[8:20, lost[0]] = scores[:, lost[1]] = 0
    wild, absent = track.keypoints.copy(), track.keypoints.copy()
    wild[scores == 0], absent[scores == 0] = 1e6, np.nan
    one, other = (
        make_lifter(name, kind).lift(replace(track, keypoints=points, scores=scores), CAMERA, times)
        for points in (wild, absent)
    )
    assert one.joints.tobytes() == other.joints.tobytes() and np.isfinite(one.joints).all()
    wrist, ankle = BODY.index("left_wrist", "right_ankle")
    assert not one.scores[8:20, wrist].any() and one.scores[:8, wrist].all() and not one.scores[:, ankle].any()


def test_filled_joints_move_evenly_and_unseen_ones_stay_with_their_limb():
    keypoints = np.zeros((5, 17, 3))
    keypoints[..., 0], keypoints[..., 2] = np.arange(17), 1.0
    knee, ankle, wrist = BODY.index("right_knee", "right_ankle", "left_wrist")
    keypoints[:, wrist, :2] = np.array([[0, 0], [9, 9], [9, 9], [6, 3], [9, 9]])
    keypoints[[1, 2, 4], wrist, 2] = 0
    keypoints[:, [knee, ankle], 2] = 0
    filled = fill(keypoints, BODY)
    np.testing.assert_allclose(filled[:, wrist], [[0, 0], [2, 1], [4, 2], [6, 3], [6, 3]])
    np.testing.assert_array_equal(filled[:, [knee, ankle], 0], BODY.index("right_hip")[0])


def test_pstmo_windows_span_the_same_time_at_25_and_50_frames_per_second(make_lifter):
    (fast, times), name = walking_by(61, 50.0), "PSTMOS_no_refine_28_4306_h36m_cpn.pth"
    slow = replace(part(fast, slice(0, None, 2)), frames=np.arange(31, dtype=np.int32))
    whole = make_lifter(name).lift(fast, CAMERA, times).joints
    close(make_lifter(name).lift(slow, CAMERA, times[::2]).joints, whole[::2])
    assert np.abs(make_lifter(name).lift(slow, CAMERA, times[:31]).joints - whole[::2]).max() > 1e-3


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_frame_rate_hardly_matters(make_lifter, name, kind):
    """Made-up networks are rougher than trained ones: a tenth of their own range."""
    fine, _ = walker(lambda t: np.stack([-0.8 + 0.9 * t, 4 + 0 * t], -1), np.arange(121) / 100)
    lifted = []
    for every in (2, 4):
        times = np.arange(121)[::every] / 100
        track = observe(fine[::every], CAMERA, times)[1]
        lifted.append(make_lifter(name, kind).lift(track, CAMERA, times).joints)
    assert np.abs(lifted[0][::2] - lifted[1]).mean() < 0.1 * np.abs(lifted[0]).mean()


@settings(max_examples=20)
@given(x=st.floats(-400, 400), y=st.floats(-200, 200), size=st.floats(0.3, 2.0))
def test_motionbert_does_not_see_place_and_size(make_lifter, x, y, size):
    """Through a very long lens, where another place is no other view."""
    track, times = walking_by(20, 25.0)
    far = replace(CAMERA, matrix=np.array([[1e7, 0, 640], [0, 1e7, 360], [0, 0, 1.0]]))
    lifter = make_lifter("best_epoch.bin")
    moved = replace(track, keypoints=track.keypoints.astype(float) * size + [x, y])
    close(lifter.lift(moved, far, times).joints, lifter.lift(track, far, times).joints, 2e-3)


def test_motionbert_picture_and_depth_become_metres(make_lifter):
    """Exact 2.5D of a person at the picture's border, as Human3.6M's is made, gives the exact pose."""
    times = np.arange(40) / 50
    joints, _ = walker(lambda t: np.stack([1.2 + 0.4 * t, 3.5 + 0 * t], -1), times)
    truth, pixels = to_camera(joints, CAMERA)[:, :17], project(joints, CAMERA)[:, :17]
    keypoints = np.concatenate([pixels, np.ones_like(pixels[..., :1])], -1)
    _, half = square(keypoints)
    per_metre = CAMERA.matrix[0, 0] / truth[:, :1, 2:]
    outputs = np.concatenate([pixels - pixels[:, :1], (truth[..., 2:] - truth[:, :1, 2:]) * per_metre], -1) / half
    lifted = make_lifter("best_epoch.bin")._joints(outputs, keypoints, CAMERA)
    truth = truth - truth[:, :1]
    truth = truth * (CHAIN_M / np.median(chain(truth)))
    assert mpjpe(lifted, truth) < 0.003
    flat = outputs * (CHAIN_M / np.median(chain(outputs)))
    assert mpjpe(flat, truth) > 0.02


@pytest.mark.parametrize("name", ["pretrained_h36m_cpn.bin", "pretrained_h36m_detectron_coco.bin"])
def test_a_network_that_knows_walkers_lifts_one(tmp_path, name):
    """Axes, units and normalisation: the best linear network for walkers, written as VideoPose3D's file."""
    times, layout = np.arange(150) / 50, "coco-17" if "coco" in name else "h36m-17"
    seen, said = [], []
    for k, speed in enumerate((0.5, 0.8, 1.1, 1.4)):
        joints, _ = walker(lambda t, v=speed, k=k: np.stack([-1 + v * t, 3.5 + 0.3 * k + 0 * t], -1), times)
        track = observe(joints, CAMERA, times, noise_px=0.5)[1]
        coco = pick(track.keypoints.astype(float), track.skeleton, "coco-17")
        seen.append(screen(coco if layout == "coco-17" else coco_to_h36m_demo(coco), WIDTH, HEIGHT).reshape(150, 34))
        truth = to_camera(joints, CAMERA)[:, :17]
        said.append((truth - truth[:, :1]).reshape(150, 51))
    x, y = np.concatenate([*seen]), np.concatenate(said)
    net, path = linear(x, y), tmp_path / name
    torch.save({"model_pos": net.state_dict()}, path)
    joints, _ = walker(lambda t: np.stack([-1 + 0.95 * t, 3.9 + 0 * t], -1), times[:100])
    truth = to_camera(joints, CAMERA)[:, :17]
    track = observe(joints, CAMERA, times[:100])[1]
    lifted = lifter_class("videopose3d", path)(weights=path, flip=False).lift(track, CAMERA, times[:100])
    assert mpjpe(lifted.joints.astype(float), truth - truth[:, :1]) < 0.03


def linear(x: np.ndarray, y: np.ndarray) -> TemporalModel:
    """The ridge regression from (N,34) to (N,51) as a TemporalModel of one frame whose activations never cut."""
    lifted = 10.0
    net = TemporalModel(17, 2, 17, (1,), 34).eval()
    ones = np.concatenate([x, np.ones((len(x), 1))], 1)
    weights = np.linalg.solve(ones.T @ ones + 1e-3 * np.eye(35), ones.T @ y)
    with torch.no_grad():
        net.expand_conv.weight.copy_(torch.eye(34)[..., None])
        net.expand_bn.bias.fill_(lifted)
        scale = (1 + net.expand_bn.eps) ** 0.5
        net.shrink.weight.copy_(torch.from_numpy(weights[:34].T * scale)[..., None])
        net.shrink.bias.copy_(torch.from_numpy(weights[34] - lifted * scale * weights[:34].sum(0)))
    return net


def test_3dhp_and_humaneva_come_out_as_human36m(make_lifter, tmp_path):
    """What a network says of a joint's name arrives at that name, in metres."""
    for name, layout, unit in (
        ("PSTMOS_no_refine_50_3203_3dhp.pth", "mpi-inf-3dhp-17", 1000.0),
        ("pretrained_humaneva15_detectron.bin", "humaneva-15", 1.0),
    ):
        lifter, of = make_lifter(name), skeleton(layout)
        place = np.arange(3 * len(of), dtype=float).reshape(1, -1, 3) * unit

        def say(inputs, step, place=place):
            return torch.from_numpy(place)[None].expand(len(inputs), inputs.shape[1], -1, -1)

        track, times = walking_by(9, 25.0)
        lifter._predict, lifter.flip = say, False
        joints = lifter.lift(track, CAMERA, times).joints
        del lifter._predict
        lifter.flip = True
        expected = place / unit - place[:, of.index("pelvis")] / unit
        for joint in ("left_knee", "right_wrist", "left_hip", "right_shoulder"):
            close(joints[:, BODY.index(joint)[0]], np.repeat(expected[:, of.index(joint)[0]], 9, 0))


def test_screen_coordinates_keep_proportions():
    corners = screen(np.array([[0.0, 0], [1920, 1080], [960, 540]]), 1920, 1080)
    np.testing.assert_allclose(corners, [[-1, -0.5625], [1, 0.5625], [0, 0]], atol=1e-12)


def test_another_picture_size_is_another_input(make_lifter):
    track, times = walking_by(10, 50.0)
    wide = Camera(CAMERA.matrix, (2560, 720))
    one, other = (make_lifter("cpn_pretrained.bin").lift(track, camera, times).joints for camera in (CAMERA, wide))
    assert np.abs(one - other).max() > 1e-3
