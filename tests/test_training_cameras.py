"""Camera arithmetic, crops and windows against numbers of the published implementations."""

import numpy as np
import pytest
from published import signed

from training.datasets import cameras
from training.datasets.cameras import Camera
from training.datasets.clips import fixed_draw, split_clips, stretch

CAMERA = Camera(
    "54138969", (1000, 1002),
    np.array([0.1407056450843811, -0.1500701755285263, -0.755240797996521, 0.6223280429840088]),
    np.array([1.8411070556640625, 4.95528466796875, 1.5634454345703125]),
    np.array([1145.0494384765625, 1143.7811279296875]), np.array([512.54150390625, 515.4514770507812]),
    np.array([-0.20709891617298126, 0.24777518212795258, -0.0030751503072679043]),
    np.array([-0.0009756988729350269, -0.00142447161488235]),
)  # fmt: skip
INTRINSIC = [
    2.290098876953125, 2.287562255859375, 0.025083007812499947, 0.028902954101562406, -0.20709891617298126,
    0.24777518212795258, -0.0030751503072679043, -0.0009756988729350269, -0.00142447161488235,
]  # fmt: skip
POINTS = np.array([[0.3, -0.5, 4.0], [-1.0, 0.8, 5.5], [0.0, 0.0, 3.0]])
DISTORTED = [
    [0.19607428898647009, -0.2559151447941586], [-0.3870353087207788, 0.3579589543451954],
    [0.025083007812499947, 0.028902954101562406],
]  # fmt: skip
LINEAR = [
    [0.19684042358398432, -0.25704232788085946], [-0.3912986061789774, 0.36163928222656244],
    [0.025083007812499947, 0.028902954101562406],
]  # fmt: skip
WORLD = np.array([[0.0, 0.0, 0.0], [0.5, -0.2, 1.6], [1.0, 1.0, 0.9]])
SEEN = [
    [-0.3460508354205034, 0.5469811973842553, 5.474481044419697],
    [-0.8428973185152867, -1.0349138476637556, 5.157067139140825],
    [-0.836431394725769, -0.10511905076987116, 4.0101408889123125],
]
BACK = [
    [4.212803283998312e-08, 7.993387463045565e-08, 1.0716451703807195e-07],
    [0.5000000217784519, -0.19999993924160098, 1.6000000789865074],
    [1.0000000131045486, 1.0000000574414698, 0.9000000728695159],
]


def assert_summary(values, first, last, mean, deviation, size):
    assert values.ravel()[:6] == pytest.approx(first, abs=1e-9)
    assert values.ravel()[-3:] == pytest.approx(last, abs=1e-9)
    assert [values.mean(), values.std()] == pytest.approx([mean, deviation], abs=1e-9)
    assert np.abs(values).sum() == pytest.approx(size, abs=1e-6)


def test_lens_and_projection():
    assert CAMERA.intrinsic() == pytest.approx(INTRINSIC, abs=1e-12)
    np.testing.assert_allclose(cameras.project(POINTS, CAMERA.intrinsic()), DISTORTED, atol=1e-12)
    np.testing.assert_allclose(cameras.project(POINTS, CAMERA.intrinsic(), distorted=False), LINEAR, atol=1e-12)
    far = cameras.project(np.array([[9.0, -50.0, 1.0]]), CAMERA.intrinsic())
    np.testing.assert_array_equal(far, cameras.project(np.array([[1.0, -1.0, 1.0]]), CAMERA.intrinsic()))


def test_pixels_are_those_of_an_undistorted_pinhole():
    expected = CAMERA.focal * POINTS[:, :2] / POINTS[:, 2:] + CAMERA.centre
    np.testing.assert_allclose(CAMERA.to_pixels(POINTS, distorted=False), expected, atol=1e-9)
    with pytest.raises(ValueError, match="lens of camera C1"):
        Camera("C1", (640, 480), CAMERA.orientation, CAMERA.position).to_pixels(POINTS)


def test_world_and_camera():
    np.testing.assert_allclose(CAMERA.to_camera(WORLD), SEEN, atol=1e-12)
    np.testing.assert_allclose(CAMERA.to_world(np.array(SEEN)), BACK, atol=1e-12)


def test_screen():
    pixels = np.array([[0, 0], [1000, 1002], [320, 240]])
    screen = [[-1.0, -1.002], [1.0, 1.002], [-0.36, -0.522]]
    np.testing.assert_allclose(cameras.normalise_screen(pixels, 1000, 1002), screen, atol=1e-12)
    np.testing.assert_allclose(cameras.denormalise_screen(np.array(screen), 1000, 1002), pixels, atol=1e-9)


def test_a_mirrored_camera_sees_mirrored_people():
    mirrored = cameras.project(POINTS * [-1, 1, 1], cameras.mirror_intrinsic(CAMERA.intrinsic()))
    np.testing.assert_allclose(mirrored, np.array(DISTORTED) * [-1, 1], atol=1e-12)


def test_back_projection():
    shape, far = (2, 1, 17, 3), np.array([0, 0, 5])
    relative = cameras.back_project(signed("uvd", shape), signed("gt", shape) + far, signed("cam", (2, 9)) + 2)
    assert_summary(
        relative, [0, 0, 0, 3.2839457625146027, -2.6014847777468066, 0.3844357831410772],
        [1.7426558978044975, 0.6013291935395562, -0.9562549730209255],
        -0.3094689336495522, 1.998432212505896, 138.94134389459964,
    )  # fmt: skip


def test_back_projection_undoes_projection():
    joints = signed("gt", (2, 3, 17, 3)) + np.array([0, 0, 5])
    lens = np.stack([CAMERA.intrinsic(), CAMERA.intrinsic() * 1.1])
    flat = np.stack([cameras.project(j, i, distorted=False) for j, i in zip(joints, lens, strict=True)])
    uvd = np.concatenate([flat, joints[..., 2:] - joints[:, :, :1, 2:]], axis=-1)
    uvd[:, :, 0, 2] = 77.0  # the root's depth must not matter
    np.testing.assert_allclose(cameras.back_project(uvd, joints, lens), joints - joints[:, :, :1], atol=1e-9)


def test_crop():
    motion = signed("motion", (5, 17, 3)) * [200, 200, 0] + [300, 300, 1]
    assert_summary(
        cameras.crop_scale(motion),
        [0.27079291944940653, -0.18605124631436898, 1.0, -0.7914237121143224, 0.09979758215077794, 1.0],
        [0.8022665341764319, -0.33145826552117263, 1.0], 0.3121360292562382, 0.6651291821830912, 165.52088376803368,
    )  # fmt: skip


def test_crop_minds_seen_joints_only():
    motion = signed("motion", (5, 17, 3)) * [200, 200, 0] + [300, 300, 1]
    far = motion.copy()
    far[2, 3] = [9000, -9000, 0]
    seen = np.ones((5, 17), bool)
    seen[2, 3] = False
    few = motion * [1, 1, 0]
    few[0, :3, 2] = 1
    np.testing.assert_array_equal(cameras.crop_scale(few), np.zeros_like(few))
    cropped = cameras.crop_scale(far)
    assert cropped[2, 3].tolist() == [1, -1, 0], "clipped to the square"
    assert cropped[seen][:, :2].max() == pytest.approx(1)
    loose = cameras.crop_scale(motion, 2.0, 2.0)
    np.testing.assert_allclose(loose[..., :2], cameras.crop_scale(motion)[..., :2] / 2, atol=1e-12)


def test_windows_stay_inside_their_source():
    clips = split_clips(["a"] * 300 + ["b"] * 100 + ["c"] * 500, 243, 81)
    spans = [[clip.min(), clip.max(), len(clip)] for clip in clips]
    assert spans == [[0, 242, 243], [300, 399, 243], [400, 642, 243], [481, 723, 243], [562, 804, 243], [643, 885, 243]]
    assert all((np.diff(clip) == 1).all() for i, clip in enumerate(clips) if i != 1)
    assert split_clips([], 9, 3) == []
    assert [clip.tolist() for clip in split_clips(list("aaabbb"), 3, 1)] == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("frames", [1, 2, 100, 242])
def test_short_sources_are_stretched_evenly(frames):
    stretched = stretch(frames, 243, np.random.default_rng(5))
    assert len(stretched) == 243 and stretched.min() == 0 and stretched.max() == frames - 1
    even = np.arange(243) * frames / 243
    assert (np.diff(stretched) >= 0).all() and np.abs(stretched - even).max() <= 2
    assert len(set(stretched.tolist())) > 0.7 * frames


def test_draws_that_depend_on_a_text_only():
    assert [fixed_draw(text, 1000) for text in ("1383", "2995", "abc")] == [323, 166, 746]
