"""`evaluate --render`: films show the 2D, what was lifted and the truth, as the data have them."""

import json

import av
import numpy as np
import pytest
from commandline import call
from scipy.spatial.transform import Rotation

from pipeline.clip import Clip
from pipeline.skeletons import skeleton
from tests import dataset_files as files
from tests.people import walker
from training.comparison import compare
from training.datasets import calibration, human36m, humaneva, motionbert, mpi_inf_3dhp, ski_pose
from visualize.draw import LEFT, RIGHT, colors
from visualize.encode import Film

FRAMES = 24
KEPT = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
ONE = ("--viz-subject", "S9", "--viz-action", "Walking 1", "--viz-camera", "54138969", "--viz-size", "160")


def facing(place):
    """Orientation (w,x,y,z) of a camera at `place` m that looks at a person at the origin."""
    forward = np.array([0, 0, 0.9]) - place
    right = np.cross(forward, [0, 0, 1])
    axes = np.stack([v / np.linalg.norm(v) for v in (right, np.cross(forward, right), forward)], axis=1)
    x, y, z, w = Rotation.from_matrix(axes).as_quat()
    return [w, x, y, z]


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Human3.6M's files of somebody who walks in a circle, and predictions that are some cm wrong."""
    folder = tmp_path_factory.mktemp("h36m")
    times = np.arange(FRAMES) / 50
    joints = walker(lambda t: 1.2 * np.stack([np.cos(t), np.sin(t)], axis=-1), times)[0][:, :17]
    motion = np.zeros((FRAMES, 32, 3), np.float32)
    motion[:, KEPT] = joints
    table = files.camera_table("h36m", files.H36M_CAMERAS, ["S9"], files.H36M_SIZES)
    for place, (x, y) in zip(table["h36m_extrinsics"]["S9"], ((-4, 3), (-4, -3), (4, 3), (4, -3)), strict=True):
        place |= {"translation": [1000 * x, 1000 * y, 1600], "orientation": facing(np.array([x, y, 1.6]))}
    (folder / "cameras.json").write_text(json.dumps(table))
    cameras = calibration.load_cameras(folder / "cameras.json", "h36m")["S9"]
    actions = {"Walking": motion[:9], "Walking 1": motion}
    flat = {a: [c.to_pixels(c.to_camera(m[:, KEPT].astype(float))) for c in cameras] for a, m in actions.items()}
    np.savez(folder / "data_3d_h36m.npz", positions_3d=files.object_array({"S9": actions}))
    arrays = {"positions_2d": files.object_array({"S9": flat}), "metadata": files.metadata("h36m-17")}
    np.savez(folder / "data_2d_h36m_gt.npz", **arrays)
    stored = {
        s.name: s.joints
        - s.joints[:, :1]
        + files.rng_of(s.name).normal(0, 0.03, s.joints.shape) * (np.arange(17) > 0)[:, None]
        for s in human36m.read(folder)
    }
    np.savez(folder / "mine.npz", **stored)
    return folder, stored


def drawn(capsys, folder, film, *options, code=0):
    arguments = (folder, "--predictions", folder / "mine.npz", "--keypoints", "gt", "--subjects", "S9")
    got, stdout, stderr = call(capsys, "evaluate", *arguments, "--render", film, *options)
    assert got == code, stderr
    return stdout if code == 0 else stderr


def frames_of(path):
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        frames = list(film.decode(stream))
        times = [float(frame.pts * stream.time_base) for frame in frames]
        return np.array(times), np.stack([frame.to_ndarray(format="bgr24") for frame in frames])


def near(picture, color, distance=40):
    return int((np.abs(picture.astype(int) - color).max(axis=-1) < distance).sum())


def test_a_film(capsys, tmp_path, walk):
    folder, stored = walk
    stdout = drawn(capsys, folder, tmp_path / "film.mp4", *ONE)
    sequence = next(s for s in human36m.read(folder, subjects=["S9"]) if s.name == "S9/Walking 1/54138969")
    error = 1000 * np.linalg.norm(stored[sequence.name] - sequence.joints + sequence.joints[:, :1], axis=-1).mean()
    assert stdout == f"{tmp_path / 'film.mp4'}: S9/Walking 1/54138969, {FRAMES} frames, MPJPE {error:.1f} mm\n"
    times, frames = frames_of(tmp_path / "film.mp4")
    np.testing.assert_allclose(times, np.arange(FRAMES) / 50, atol=1e-4)
    assert frames.shape == (FRAMES, 160, 480, 3)
    flat, lifted, truth = np.split(frames[12], 3, axis=1)
    for panel, person in ((flat, 0), (lifted, 0), (truth, 1)):
        assert all(near(panel[20:130], colors(person)[side], 60) > 20 for side in (LEFT, RIGHT))
    assert near(truth, colors(0)[LEFT]) == 0 and near(lifted, colors(1)[LEFT]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_the_2d_lies_where_the_data_have_it(capsys, tmp_path, walk):
    """On a grey video, so that only the skeleton is coloured."""
    folder, _ = walk
    with Film(tmp_path / "grey.mp4", (1000, 1002), np.arange(FRAMES) / 50, 50) as film:
        for _ in range(FRAMES):
            film.add(np.full((1002, 1000, 3), 128, np.uint8))
    drawn(capsys, folder, tmp_path / "film.mp4", *ONE[:-1], "500", "--viz-video", tmp_path / "grey.mp4")
    sequence = next(s for s in human36m.read(folder, subjects=["S9"]) if s.name == "S9/Walking 1/54138969")
    _, frames = frames_of(tmp_path / "film.mp4")
    for frame in (0, 20):
        flat = frames[frame, 60:440, :499].astype(int)
        rows, columns = np.nonzero(np.ptp(flat, axis=-1) > 60)
        points = sequence.keypoints[frame] / 2
        for seen, expected in ((columns, points[:, 0]), (rows + 60, points[:, 1])):
            assert (seen.min(), seen.max()) == pytest.approx((expected.min(), expected.max()), abs=5)


def test_the_world_is_the_datas_own(walk):
    folder, stored = walk
    for s in human36m.read(folder, subjects=["S9"]):
        shown = compare(s, stored, 50.0)
        np.testing.assert_allclose(shown.motions["truth"].joints, s.world, atol=1e-5)
        w, *xyz = s.lens.orientation
        turned = Rotation.from_quat([*xyz, w]).apply(stored[s.name].reshape(-1, 3)).reshape(-1, 17, 3)
        np.testing.assert_allclose(shown.motions["lifted"].joints, s.world[:, :1] + turned, atol=1e-5)
        np.testing.assert_allclose(shown.camera.camera_to_world[:3, 3], s.lens.position)
        np.testing.assert_allclose(shown.track.keypoints, s.keypoints, rtol=1e-6)


def test_limit_and_downsample(walk):
    folder, stored = walk
    s = next(s for s in human36m.read(folder, subjects=["S9"]) if s.action == "Walking 1")
    shown = compare(s, stored, 50.0, every=5, limit=3)
    np.testing.assert_allclose(shown.clip.times, [0, 0.1, 0.2])
    assert shown.clip.fps == 10
    for frame in range(3):
        rows = slice(5 * frame, 5 * frame + 5)
        np.testing.assert_allclose(shown.track.keypoints[frame], s.keypoints[rows].mean(0), rtol=1e-6)
        np.testing.assert_allclose(shown.motions["truth"].joints[frame], s.world[rows].mean(0), atol=1e-5)
    assert len(compare(s, stored, 50.0, every=5).clip.times) == FRAMES // 5
    assert list(compare(s, stored, 50.0, truth=False).motions) == ["lifted"]


def test_a_gif_without_the_truth(capsys, tmp_path, walk):
    folder, _ = walk
    drawn(capsys, folder, tmp_path / "film.gif", *ONE, "--viz-no-ground-truth")
    times, frames = frames_of(tmp_path / "film.gif")
    assert frames.shape[1:] == (160, 320, 3) and len(frames) < FRAMES and np.diff(times).min() >= 1 / 15 - 0.01
    assert near(frames[2][:, 160:], colors(0)[LEFT]) > 20 and near(frames[2], colors(1)[LEFT]) == 0


def test_a_folder_of_films(capsys, tmp_path, walk):
    folder, _ = walk
    stdout = drawn(
        capsys, folder, tmp_path / "films", "--viz-action", "Walking", "--viz-size", "120", "--viz-limit", "2"
    )
    names = [f"S9_Walking_{camera}.mp4" for camera in files.H36M_CAMERAS]
    assert sorted(path.name for path in (tmp_path / "films").iterdir()) == names and stdout.count("\n") == 4
    assert len(frames_of(tmp_path / "films" / names[0])[0]) == 2


def test_the_video_runs_along(capsys, tmp_path, walk):
    """Every frame of the video has a grey of its own."""
    folder, _ = walk
    with Film(tmp_path / "video.mp4", (500, 500), np.arange(20) / 50, 50) as film:
        for number in range(20):
            film.add(np.full((500, 500, 3), 10 * number, np.uint8))
    options = ("--viz-video", tmp_path / "video.mp4", "--viz-skip", "3", "--viz-downsample", "2")
    drawn(capsys, folder, tmp_path / "film.mp4", *ONE, *options, "--viz-limit", "8")
    _, frames = frames_of(tmp_path / "film.mp4")
    grey = frames[:, 60:100, 4:14].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(grey, [10 * (3 + 2 * frame) + 5 for frame in range(8)], atol=4)
    told = drawn(capsys, folder, tmp_path / "other.mp4", *ONE, *options, code=3)
    assert "video.mp4 ends before the data\n  20 frames, 27 are needed" in told


def test_frames_that_do_not_count_have_no_error(capsys, tmp_path):
    """The figure of a film is that of `evaluate`, also where the film's frames are means of some that count."""
    files.write_3dhp(tmp_path)
    one = next(mpi_inf_3dhp.read_test(tmp_path))
    assert 0 < one.valid.sum() < len(one)
    wrong = np.where(one.valid, 0.01, 0.9)[:, None, None] * (np.arange(17) == 3)[:, None] * [0, 0, 1]
    np.savez(tmp_path / "mine.npz", **{one.name: one.joints + wrong})
    given = (tmp_path, "--protocol", "mpi-inf-3dhp", "--predictions", tmp_path / "mine.npz")
    options = ("--render", tmp_path / "film.gif", "--viz-subject", one.subject, "--viz-size", "120")
    code, stdout, stderr = call(capsys, "evaluate", *given, *options)
    assert code == 0 and stdout.endswith(f"MPJPE {10 / 17:.1f} mm\n"), stdout + stderr
    some = compare(one, {one.name: one.joints + wrong}, 25.0, every=2).errors
    np.testing.assert_allclose(some[np.isfinite(some)], 10 / 17)
    assert np.isfinite(some).sum() == one.valid.reshape(-1, 2).any(axis=1).sum()


def test_the_video_is_closed(capsys, monkeypatch, tmp_path, walk):
    folder, _ = walk
    with Film(tmp_path / "video.mp4", (500, 500), np.arange(20) / 50, 50) as film:
        for _ in range(20):
            film.add(np.zeros((500, 500, 3), np.uint8))
    closed = []
    monkeypatch.setattr(Clip, "close", lambda clip: closed.append(clip))
    options = (*ONE, "--viz-video", tmp_path / "video.mp4")
    drawn(capsys, folder, tmp_path / "film.gif", *options, "--viz-limit", "2")
    drawn(capsys, folder, tmp_path / "film.gif", *options, "--viz-skip", "30", code=3)
    assert len(closed) == 2


def sequences_of(name, folder):
    """Every data set, with predictions: the truth, 5 cm away in one joint."""
    if name == "humaneva":
        files.write_humaneva(folder)
        return list(humaneva.read(folder))
    if name == "mpi-inf-3dhp":
        files.write_3dhp(folder)
        return list(mpi_inf_3dhp.read_test(folder))
    if name == "human36m-motionbert":
        return list(motionbert.read(files.write_motionbert(folder)[0], "test"))
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "labels.h5", "w") as file:
        for key, values in files.ski_pose_rows().items():
            file[key] = values
    return list(ski_pose.read(folder))


@pytest.mark.parametrize("name", ["humaneva", "mpi-inf-3dhp", "human36m-motionbert", "ski-pose"])
def test_other_data_sets(tmp_path, name):
    for s in sequences_of(name, tmp_path):
        body = skeleton(s.skeleton_3d)
        knee, root = body.index("left_knee", "pelvis")
        wrong = s.joints + 0.05 * np.eye(len(body))[knee][:, None] * [0, 0, 1]
        if s.factor is not None:  # as the network gives it, in halves of the width
            wrong = wrong * 1000 / s.factor[:, None, None] / (s.size[0] / 2) - [1, s.size[1] / s.size[0], 0]
        shown = compare(s, {s.name: wrong}, 25.0)
        valid = np.ones(len(s), bool) if s.valid is None else s.valid
        np.testing.assert_allclose(shown.errors, np.where(valid, 50 / len(body), np.nan), rtol=1e-5)
        truth, lifted = shown.motions["truth"].joints, shown.motions["lifted"].joints
        apart = np.linalg.norm(lifted - truth, axis=-1)
        assert apart[:, 5] == pytest.approx(0.05, abs=1e-5) and np.delete(apart, 5, axis=1).max() < 1e-5
        if s.lens is None:
            assert truth[..., 2].min() == pytest.approx(0, abs=1e-6), "on the floor"
            up = s.joints[:, body.index("left_ankle")[0], 1] - s.joints[:, root, 1]
            np.testing.assert_allclose(truth[:, 0, 2] - truth[:, 6, 2], up, atol=1e-5)
        np.testing.assert_array_equal(shown.track.observed, valid)
        assert shown.track.skeleton == ("coco-17" if name == "humaneva" else "h36m-17")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            ("a.mp4",),
            2,
            "several sequences for one film\n  S9/Walking/54138969, S9/Walking/55011271, ...\n  try: --viz-",
        ),
        (("a.mp4", "--viz-action", "Walk"), 3, "no such sequence in"),
        (("a.mp4", "--viz-subject", "S7"), 3, "has no subject S7"),
        (("a.avi", *ONE), 2, "known endings: .mp4 .gif"),
        (("a.mp4", *ONE, "--viz-downsample", "25"), 2, "has 24 frames"),
        (("a.mp4", *ONE, "--json"), 2, "--render draws instead of scoring"),
        (("films", "--viz-video", "a.mp4"), 2, "--viz-video is of one sequence"),
        (("a.mp4", *ONE, "--viz-video", "none.mp4"), 3, "there is no file none.mp4"),
    ],
)
def test_what_cannot_be_drawn_is_told(capsys, tmp_path, walk, options, code, message):
    folder, _ = walk
    assert message in drawn(capsys, folder, tmp_path / options[0], *options[1:], code=code)
    assert list(tmp_path.iterdir()) == []


def test_predictions_and_videos_that_do_not_fit(capsys, tmp_path, walk):
    folder, _ = walk
    with Film(tmp_path / "wide.mp4", (640, 360), np.arange(30) / 50, 50) as film:
        for _ in range(30):
            film.add(np.zeros((360, 640, 3), np.uint8))
    told = drawn(capsys, folder, tmp_path / "a.mp4", *ONE, "--viz-video", tmp_path / "wide.mp4", code=3)
    assert "is 640x360\n  the 2D is of 1000x1002" in told
    for wrong, message in (
        ({}, "it has no S9/Walking 1/54138969"),
        ({"S9/Walking 1/54138969": np.zeros((5, 17, 3))}, "predicted joints (5, 17, 3), true ones (24, 17, 3)"),
        ({"S9/Walking 1/54138969": np.full((FRAMES, 17, 3), np.nan)}, "that are no numbers"),
    ):
        np.savez(tmp_path / "wrong.npz", **wrong)
        arguments = (folder, "--predictions", tmp_path / "wrong.npz", "--keypoints", "gt", "--subjects", "S9")
        code, _, stderr = call(capsys, "evaluate", *arguments, "--render", tmp_path / "a.mp4", *ONE)
        assert code == 3 and "cannot draw " in stderr and message in stderr
    assert not (tmp_path / "a.mp4").exists()


def test_options_of_a_film_need_one(capsys, walk):
    folder, _ = walk
    code, _, stderr = call(capsys, "evaluate", folder, "--predictions", folder / "mine.npz", "--viz-subject", "S9")
    assert code == 2 and "--render" in stderr
    code, _, stderr = call(capsys, "evaluate", folder, "--predictions", folder / "mine.npz", "--viz-limit", "0")
    assert code == 2 and "--viz-limit" in stderr
